"""Transactions, column types and constraints mean the same on SQLite and PostgreSQL."""

import os
import threading
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy import Connection, func, insert, literal, select, text, update
from sqlalchemy.exc import IntegrityError, StatementError, TimeoutError

from lti_tool.db import Database, insert_ignoring, upsert
from lti_tool.tables.browser_sessions import used_nonces
from lti_tool.tables.operations import audit_log
from lti_tool.tables.people import licences, trainees
from lti_tool.tables.platforms import deployments, tool_keys
from lti_tool.tables.types import Credits
from tests.conftest import FIELD_KEY


def add_nonce(connection: Connection, nonce: str, now: datetime) -> int:
    return connection.execute(insert_ignoring(connection, used_nonces).values(nonce=nonce, expires_at=now)).rowcount


def count_nonces(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(used_nonces)).scalar_one()


def test_a_write_is_committed_when_its_block_ends(database: Database, now: datetime) -> None:
    with database.write() as connection:
        add_nonce(connection, "n1", now)
    assert count_nonces(database) == 1


def add_nonce_and_fail(database: Database, now: datetime) -> None:
    with database.write() as connection:
        add_nonce(connection, "n1", now)
        raise ZeroDivisionError


def test_a_write_that_raises_leaves_nothing(database: Database, now: datetime) -> None:
    with pytest.raises(ZeroDivisionError):
        add_nonce_and_fail(database, now)
    assert count_nonces(database) == 0


def test_a_writer_that_failed_leaves_the_turn_to_the_next(database: Database, now: datetime) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            add_nonce_and_fail(database, now)
    with database.write() as connection:
        add_nonce(connection, "n1", now)
    assert count_nonces(database) == 1


def test_a_read_sees_one_view_whatever_is_committed_meanwhile(database: Database, now: datetime) -> None:
    count = select(func.count()).select_from(used_nonces)
    with database.read() as connection:
        before = connection.scalar(count)
        with database.write() as other:
            add_nonce(other, "n1", now)
        assert (before, connection.scalar(count)) == (0, 0)
    assert count_nonces(database) == 1


def test_the_same_nonce_is_inserted_only_once(database: Database, now: datetime) -> None:
    with database.write() as connection:
        assert [add_nonce(connection, "n1", now), add_nonce(connection, "n1", now)] == [1, 0]


def test_a_row_with_a_counted_id_too_says_whether_it_was_inserted(database: Database, now: datetime) -> None:
    row = {"id": 1, "calendar_digest": "t", "created_at": now}
    with database.write() as connection:
        statement = insert_ignoring(connection, trainees)
        assert [connection.execute(statement.values(row)).rowcount for _ in range(2)] == [1, 0]
        assert connection.execute(statement.values(calendar_digest="t", created_at=now)).rowcount == 0
        assert connection.execute(statement.values(calendar_digest="u", created_at=now)).rowcount == 1


def test_of_many_threads_with_one_nonce_exactly_one_wins(database: Database, now: datetime) -> None:
    wins: list[int] = []

    def consume() -> None:
        with database.write() as connection:
            wins.append(add_nonce(connection, "n1", now))

    threads = [threading.Thread(target=consume) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins) == [0] * 7 + [1]


def test_writers_who_read_before_they_write_lose_no_update(database: Database, now: datetime) -> None:
    with database.write() as connection:
        add_nonce(connection, "n1", now)

    def add_a_second() -> None:
        for _ in range(20):
            with database.write() as connection:
                row = select(used_nonces.c.expires_at).where(used_nonces.c.nonce == "n1").with_for_update()
                later = connection.execute(row).scalar_one() + timedelta(seconds=1)
                connection.execute(update(used_nonces).values(expires_at=later))

    threads = [threading.Thread(target=add_a_second) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.execute(select(used_nonces.c.expires_at)).scalar_one() == now + timedelta(seconds=80)


@pytest.mark.databases("sqlite")
def test_a_writer_that_gets_no_turn_gives_up(database_url: str, cipher: MultiFernet) -> None:
    impatient = Database(database_url, cipher, turn_seconds=0.05)
    with impatient.write(), pytest.raises(TimeoutError), impatient.write():
        pass
    with impatient.write():
        pass
    impatient.close()


def test_a_reader_is_not_held_up_by_a_writer(database: Database, now: datetime) -> None:
    with database.write() as connection:
        add_nonce(connection, "n1", now)
        assert count_nonces(database) == 0
    assert count_nonces(database) == 1


def test_an_upsert_changes_the_row_that_is_there(database: Database, now: datetime) -> None:
    later = now + timedelta(hours=1)
    with database.write() as connection:
        for instant in (now, later):
            statement = upsert(connection, used_nonces).values(nonce="n1", expires_at=instant)
            changed = statement.on_conflict_do_update(index_elements=["nonce"], set_={"expires_at": instant})
            connection.execute(changed)
        assert connection.execute(select(used_nonces.c.expires_at)).scalars().all() == [later]


def test_instants_come_back_aware_in_utc_whatever_zone_they_were_given_in(database: Database) -> None:
    given = datetime(2026, 3, 8, 1, 59, 59, 123456, tzinfo=timezone(timedelta(hours=-8)))
    with database.write() as connection:
        add_nonce(connection, "n1", given)
        stored = connection.execute(select(used_nonces.c.expires_at)).scalar_one()
    assert stored == given
    assert stored.tzinfo is UTC


def test_a_naive_instant_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="aware instant"), database.write() as connection:
        add_nonce(connection, "n1", datetime(2026, 12, 1))  # noqa: DTZ001


def test_credits_come_back_as_the_same_decimal(database: Database) -> None:
    with database.read() as connection:
        assert connection.execute(select(literal(Decimal("6.50"), Credits))).scalar_one() == Decimal("6.50")


def add_licence(connection: Connection, now: datetime, number: str) -> None:
    trainee = connection.execute(insert(trainees).values(created_at=now)).inserted_primary_key
    assert trainee is not None
    row = {"type": "psychologist", "jurisdiction": "US-CA", "name_on_licence": "A", "status": "active"}
    days = {"issued_on": now.date(), "expires_on": now.date()}
    recorded = {"verified": True, "recorded_by": "cli", "recorded_at": now, "trainee_id": trainee[0]}
    connection.execute(insert(licences).values(**row, **days, **recorded, number=number))


def test_a_licence_number_is_unreadable_in_the_database_itself(database: Database, now: datetime) -> None:
    with database.write() as connection:
        add_licence(connection, now, "PSY 12345")
        raw = bytes(connection.execute(text("SELECT number FROM licences")).scalar_one())
        assert connection.execute(select(licences.c.number)).scalar_one() == "PSY 12345"
    assert b"12345" not in raw


def test_what_an_older_key_encrypted_is_read_after_a_new_key_came_first(
    database: Database, database_url: str, now: datetime
) -> None:
    with database.write() as connection:
        add_licence(connection, now, "PSY 12345")
    rotated = Database(database_url, MultiFernet([Fernet(Fernet.generate_key()), Fernet(FIELD_KEY)]))
    with rotated.read() as connection:
        assert connection.execute(select(licences.c.number)).scalar_one() == "PSY 12345"
    rotated.close()


def test_encrypted_nothing_stays_nothing(database: Database) -> None:
    with database.read() as connection:
        assert connection.execute(select(literal(None, tool_keys.c.private_pem.type))).scalar_one() is None


def test_a_row_that_points_nowhere_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(insert(deployments).values(registration_id=99, deployment_id="d"))


def test_ids_count_up_by_themselves(database: Database, now: datetime) -> None:
    row = {"at": now, "actor": "cli", "act": "a", "subject": "s", "details": {"a": [1]}}
    with database.write() as connection:
        connection.execute(insert(audit_log).values(row))
        connection.execute(insert(audit_log).values(row))
        assert connection.execute(select(audit_log.c.id).order_by(audit_log.c.id)).scalars().all() == [1, 2]
        assert connection.execute(select(audit_log.c.details)).scalars().first() == {"a": [1]}


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_a_new_sqlite_file_and_its_folder_are_for_their_owner_only(
    tmp_path: Path, cipher: MultiFernet, mask: int
) -> None:
    path, before = tmp_path / "data" / "gatehouse.db", os.umask(mask)
    try:
        new = Database(f"sqlite:///{path}", cipher)
        with new.write() as connection:
            connection.execute(text("CREATE TABLE kept (id INTEGER)"))
            files = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    finally:
        os.umask(before)
        new.close()
    assert files == dict.fromkeys(("gatehouse.db", "gatehouse.db-wal", "gatehouse.db-shm"), 0o600)
    assert path.parent.stat().st_mode & 0o777 == 0o700
