"""The chain over the inbox: whatever is changed in it afterwards is found, and the row is named."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from lti_tool.db import Database
from lti_tool.tables.zoom import zoom_inbox, zoom_seals
from sandbox.zoom.training_day import encode, signed
from tests.tampering import tamper
from tests.waiting import until_somebody_waits
from tests.zoom_day import people_of, whole_day
from zoom_adapter import hash_chain
from zoom_adapter.events import read_event
from zoom_adapter.hash_chain import Break, Head, HeadLogger, verify
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.presence import take_inbox
from zoom_adapter.signature import secret_mark

SECRET = "the secret of these tests"
BODIES = [encode(event) for event in whole_day(*people_of("breakouts", "late")).events()]


def deliver(database: Database, bodies: list[bytes], now: datetime, mark: str | None = secret_mark(SECRET)) -> None:
    inbox = Inbox(database)
    for body in bodies:
        inbox.append(Delivery(read_event(body), body, signed(body, SECRET, now), 0, now, mark))
    inbox.close()


def lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def verdict(database: Database, *secrets: str, noted: Head | None = None) -> hash_chain.Verdict:
    with database.read() as connection:
        return verify(connection, secrets, noted)


@pytest.fixture
def kept(database: Database, now: datetime) -> int:
    """A day in the inbox, read in three portions; how many rows it has."""
    for start in range(0, len(BODIES), 7):
        deliver(database, BODIES[start : start + 7], now)
        take_inbox(database, now)
    return len(BODIES)


def test_everything_that_was_read_is_sealed_in_order(database: Database, kept: int) -> None:
    with database.read() as connection:
        rows = connection.execute(select(zoom_seals).order_by(zoom_seals.c.position)).all()
        ids = connection.execute(select(zoom_inbox.c.id).order_by(zoom_inbox.c.id)).scalars().all()
    assert [row.position for row in rows] == list(range(1, kept + 1))
    assert [row.inbox_id for row in rows] == list(ids)
    assert len({row.seal for row in rows}) == kept


def test_an_untouched_inbox_stands_and_every_signature_is_verified_again(database: Database, kept: int) -> None:
    found = verdict(database, "another secret", SECRET)
    assert (found.broken, found.breaks, found.waiting, found.head.position) == (0, [], 0, kept)
    assert found.signatures == {"valid": kept}


def test_an_empty_inbox_stands(database: Database) -> None:
    assert (verdict(database).head, verdict(database).broken) == (Head(0, ""), 0)


def test_what_nobody_has_read_yet_waits_for_its_seal(database: Database, now: datetime) -> None:
    deliver(database, BODIES[:3], now)
    assert (verdict(database).waiting, verdict(database).head) == (3, Head(0, ""))


def test_signatures_of_a_secret_that_is_gone_and_rows_without_one_are_told_apart(
    database: Database, kept: int, now: datetime
) -> None:
    deliver(database, [b'{"event": "an.older.one"}'], now, mark=None)
    take_inbox(database, now)
    assert verdict(database, "another secret").signatures == {"secret_gone": kept, "unsigned": 1}


@pytest.mark.parametrize(
    "change",
    [
        "body = CAST('{}' AS BLOB)",
        "headers = '{}'",
        "happened_at = '2026-12-01 17:00:01.000000'",
        "received_at = '2026-12-01 17:00:01.000000'",
        "meeting_id = '1'",
        "meeting_uuid = NULL",
        "event = 'meeting.ended'",
        "stale = true",
        "secret_position = 1",
        "secret_mark = NULL",
        "dedupe_key = 'x'",
    ],
)
def test_a_changed_delivery_is_found_and_named(database: Database, kept: int, change: str) -> None:
    on_this = change.replace("CAST('{}' AS BLOB)", "'{}'::bytea") if not database.is_sqlite else change
    tamper(database.url, f"UPDATE zoom_inbox SET {on_this} WHERE id = 5")
    found = verdict(database, SECRET)
    assert (found.broken, found.breaks) == (1, [Break(5, 5, "row_changed")])


def test_a_dropped_delivery_is_found(database: Database, kept: int) -> None:
    tamper(database.url, "DELETE FROM zoom_inbox WHERE id = 5")
    assert verdict(database).breaks == [Break(5, 5, "row_missing")]


def test_a_delivery_dropped_with_its_seal_is_found(database: Database, kept: int) -> None:
    tamper(database.url, "DELETE FROM zoom_inbox WHERE id = 5", "DELETE FROM zoom_seals WHERE position = 5")
    assert verdict(database).breaks == [Break(5, None, "position_missing")]


def test_seals_that_were_dropped_at_the_end_are_found(database: Database, kept: int) -> None:
    tamper(database.url, f"DELETE FROM zoom_seals WHERE position >= {kept - 1}")
    assert verdict(database).breaks == [Break(None, kept - 1, "row_unsealed"), Break(None, kept, "row_unsealed")]


def test_two_deliveries_that_change_places_are_found(database: Database, kept: int) -> None:
    tamper(
        database.url,
        "UPDATE zoom_seals SET inbox_id = 9999 WHERE position = 5",
        "UPDATE zoom_seals SET inbox_id = 5 WHERE position = 6",
        "UPDATE zoom_seals SET inbox_id = 6 WHERE position = 5",
    )
    assert [each.inbox_id for each in verdict(database).breaks] == [6, 5]


def test_a_break_hides_nothing_behind_it(database: Database, kept: int) -> None:
    tamper(database.url, "UPDATE zoom_inbox SET stale = true WHERE id in (3, 9)")
    assert [each.inbox_id for each in verdict(database).breaks] == [3, 9]


def test_a_chain_that_was_made_up_anew_differs_from_a_seal_that_was_noted(
    database: Database, kept: int, now: datetime
) -> None:
    before = verdict(database).head
    tamper(database.url, "DELETE FROM zoom_seals", "UPDATE zoom_inbox SET stale = true WHERE id = 2")
    with database.write() as connection:
        rows = connection.execute(select(zoom_inbox).order_by(zoom_inbox.c.id)).all()
        hash_chain.seal(connection, rows, now)
    assert verdict(database).broken == 0, "the chain alone cannot tell"
    assert verdict(database, noted=before).breaks == [Break(kept, kept, "noted_seal_differs")]


def test_a_noted_seal_still_stands_when_the_chain_has_grown(database: Database, kept: int, now: datetime) -> None:
    before = verdict(database).head
    deliver(database, [b'{"event": "one.more"}'], now)
    take_inbox(database, now)
    assert verdict(database, noted=before).broken == 0


def test_a_forged_row_that_was_sealed_like_any_other_does_not_bear_the_signature(
    database: Database, kept: int, now: datetime
) -> None:
    forged, genuine = b'{"event": "meeting.forged"}', BODIES[0]
    inbox = Inbox(database)
    headers = lower(signed(genuine, SECRET, now))
    inbox.append(Delivery(read_event(forged), forged, headers, 0, now, secret_mark(SECRET)))
    inbox.close()
    take_inbox(database, now)
    assert verdict(database, SECRET).breaks == [Break(kept + 1, kept + 1, "signature_wrong")]
    assert verdict(database).broken == 0, "without the secret nobody can tell"


def test_two_workers_that_take_at_once_make_one_chain(database: Database, now: datetime) -> None:
    deliver(database, [b'{"event": "the.first"}'], now)
    take_inbox(database, now)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            take_inbox(database, now)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    deliver(database, BODIES, now)
    while verdict(database).waiting:
        pass
    stop.set()
    for worker in workers:
        worker.join()
    assert (verdict(database).broken, verdict(database).head.position) == (0, len(BODIES) + 1)


@pytest.mark.databases("postgresql")
def test_whoever_seals_second_waits_for_the_first(database: Database, kept: int, now: datetime) -> None:
    deliver(database, [b'{"event": "a"}', b'{"event": "b"}'], now)
    with database.read() as connection:
        rows = connection.execute(select(zoom_inbox).where(zoom_inbox.c.taken_at.is_(None))).all()

    def second() -> None:
        with database.write() as connection:
            hash_chain.seal(connection, rows[1:], now)

    thread = threading.Thread(target=second)
    with database.write() as connection:
        hash_chain.seal(connection, rows[:1], now)
        thread.start()
        until_somebody_waits(connection)
    thread.join()
    with database.read() as connection:
        assert connection.scalar(select(func.max(zoom_seals.c.position))) == kept + 2
    assert [each.code for each in verdict(database).breaks] == []


def test_the_log_is_told_the_end_of_the_chain_when_it_has_grown(
    database: Database, kept: int, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    witness = HeadLogger(database)
    with caplog.at_level("INFO", "zoom_adapter.hash_chain"):
        assert (witness.log_head(), witness.log_head()) == (False, False)
    (line,) = caplog.records
    assert f"{line.position}:{line.seal}" == str(verdict(database).head)


def test_a_seal_is_the_same_on_every_database(now: datetime, database: Database) -> None:
    """A chain that moves from SQLite to PostgreSQL still stands."""
    deliver(database, [b'{"event": "the.same"}'], now + timedelta(microseconds=120))
    take_inbox(database, now)
    assert verdict(database).head.seal == "890fb9f009930b992a3245ef7083d7924593135ef7774bc0af21807edd391ade"


def test_the_columns_that_a_seal_covers_are_all_but_the_bookmark() -> None:
    assert set(hash_chain.SEALED) == {each.name for each in zoom_inbox.c} - {"taken_at"}
