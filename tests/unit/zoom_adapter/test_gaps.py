"""Every gap in the evidence is found while it is there, and gone when its cause is."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert, select, text, update

from lti_tool.attendance import evidence_gaps, live_sessions
from lti_tool.attendance.evidence_gaps import GAPS, Gap
from lti_tool.db import Database
from lti_tool.programme.versions import Published
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.live_sessions import live_sessions as live_sessions_table
from lti_tool.tables.operations import tasks
from lti_tool.tables.presence import attendance_reviews
from lti_tool.tables.zoom import NOTABLE, zoom_gaps, zoom_inbox, zoom_log_reads, zoom_report_fetches
from sandbox.zoom.training_day import encode
from tests.clock import TestClock
from tests.zoom_day import CLOSES, MEETING, OPENS, people_of, whole_day
from zoom_adapter import health
from zoom_adapter.events import read_event
from zoom_adapter.inbox import CHALLENGE_WRONG, Delivery, Inbox, Refusals
from zoom_adapter.presence import take_inbox

QUIET = timedelta(minutes=20)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
CHALLENGE = b'{"event":"endpoint.url_validation","event_ts":1626230691572,"payload":{"plainToken":"%d"}}'
STARTED, JOINED, *_, LEFT, ENDED = map(encode, whole_day(*people_of("late")).events())


def deliver(database: Database, bodies: Iterable[bytes], at: datetime, *, stale: bool = False) -> None:
    inbox = Inbox(database)
    for body in bodies:
        inbox.append(Delivery(read_event(body, stale=stale), body, {}, 0, at))
    inbox.close()
    take_inbox(database, at)


def challenge(database: Database, at: datetime) -> None:
    deliver(database, [CHALLENGE % int(at.timestamp())], at)


def found(database: Database, at: datetime) -> dict[str, Gap]:
    """The gaps at that moment, by code, as the job records them."""
    health.record_gaps(database, QUIET, at)
    with database.read() as connection:
        return {gap.code: gap for gap in evidence_gaps.on_record(connection)}


def refuse(database: Database, code: str, at: datetime, count: int = 1) -> None:
    refusals = Refusals(database)
    for _ in range(count):
        refusals.count(code, at)
    refusals.close()


@pytest.fixture
def session_id(database: Database, published: Published, now: datetime) -> int:
    """From 9:00 to 17:00 in Pacific time on the first of December."""
    with database.write() as connection:
        return live_sessions.add(
            connection,
            published,
            module_id="F1",
            starts=datetime.fromisoformat("2026-12-01T09:00"),
            zoom_meeting_id=MEETING,
            actor="cli",
            now=now,
        )


@pytest.fixture
def heard(database: Database) -> None:
    """Zoom asked an hour before the class whether the address is ours."""
    challenge(database, OPENS - HOUR)


def test_where_nothing_is_wrong_nothing_is_written(database: Database, heard: None, now: datetime) -> None:
    assert found(database, now) == {}


def test_zoom_that_never_delivered_is_told_when_a_session_is_near(database: Database, session_id: int) -> None:
    assert found(database, OPENS - 25 * HOUR) == {}
    assert set(found(database, OPENS - 23 * HOUR)) == {"never_heard"}
    challenge(database, OPENS - 22 * HOUR)
    assert found(database, OPENS - 22 * HOUR) == {}


def test_a_challenge_is_late_after_72_hours_and_overdue_after_80(database: Database, heard: None) -> None:
    asked = OPENS - HOUR
    assert found(database, asked + timedelta(hours=71)) == {}
    late = found(database, asked + timedelta(hours=73))
    assert late == {"challenge_late": Gap("challenge_late", since=asked + timedelta(hours=72))}
    assert set(found(database, asked + timedelta(hours=81))) == {"challenge_overdue"}
    challenge(database, asked + timedelta(hours=82))
    assert found(database, asked + timedelta(hours=82)) == {}


def test_the_wait_for_a_challenge_begins_with_the_first_delivery(database: Database) -> None:
    deliver(database, [JOINED], OPENS)
    assert set(found(database, OPENS + timedelta(hours=81))) == {"challenge_overdue"}


def test_a_challenge_that_was_refused_is_told_until_one_is_answered(
    database: Database, heard: None, now: datetime
) -> None:
    refuse(database, CHALLENGE_WRONG, now, 3)
    assert found(database, now)["challenge_refused"].count == 3
    challenge(database, now + MINUTE)
    assert found(database, now + MINUTE) == {}


def test_wrong_signatures_are_told_until_something_genuine_comes(
    database: Database, heard: None, now: datetime
) -> None:
    refuse(database, "zoom_signature_wrong", now)
    assert set(found(database, now)) == {"signatures_wrong"}
    deliver(database, [b'{"event": "anything"}'], now + MINUTE)
    assert found(database, now + MINUTE) == {}


def test_deliveries_without_a_secret_are_told(database: Database, now: datetime) -> None:
    refuse(database, "zoom_not_configured", now)
    assert set(found(database, now)) == {"not_configured"}


def test_what_could_not_be_stored_is_told_as_long_as_zoom_tries_again(
    database: Database, heard: None, now: datetime
) -> None:
    refuse(database, "zoom_inbox_unavailable", now)
    assert set(found(database, now + 119 * MINUTE)) == {"storing_failed"}
    assert found(database, now + 121 * MINUTE) == {}


def test_what_nobody_reads_is_told_after_five_minutes(database: Database, heard: None, now: datetime) -> None:
    inbox = Inbox(database)
    inbox.append(Delivery(read_event(b"{}"), b"{}", {}, 0, now))
    inbox.close()
    assert "deliveries_unread" not in found(database, now + 4 * MINUTE)
    assert found(database, now + 6 * MINUTE)["deliveries_unread"].since == now
    take_inbox(database, now + 7 * MINUTE)
    assert "deliveries_unread" not in found(database, now + 7 * MINUTE)


def test_what_cannot_be_read_and_what_is_stale_is_told_for_a_while(
    database: Database, heard: None, now: datetime
) -> None:
    deliver(database, [b"\xff"], now)
    deliver(database, [b'{"event": "a"}', b'{"event": "b"}'], now, stale=True)
    shown = found(database, now + HOUR)
    assert {code: gap.count for code, gap in shown.items()} == {"deliveries_unreadable": 1, "deliveries_stale": 2}
    assert set(found(database, now + 25 * HOUR)) == {"deliveries_unreadable"}
    challenge(database, now + timedelta(days=7))
    assert found(database, now + timedelta(days=7, minutes=1)) == {}


def test_a_session_that_does_not_begin_is_told_after_ten_minutes(
    database: Database, session_id: int, heard: None
) -> None:
    assert found(database, OPENS + 9 * MINUTE) == {}
    shown = found(database, OPENS + 11 * MINUTE)
    assert shown == {"not_started": evidence_gaps.of_session("not_started", session_id, OPENS + 10 * MINUTE)}
    assert shown["not_started"].where == f"/desk/sessions/{session_id}"
    joined = JOINED.replace(read_event(JOINED).at.strftime("%H:%M:%SZ").encode(), b"17:12:00Z")
    deliver(database, [joined], OPENS + 12 * MINUTE)
    assert set(found(database, OPENS + 13 * MINUTE)) == {"not_started"}, "people come, and the start was lost"
    deliver(database, [STARTED], OPENS + 13 * MINUTE)
    assert found(database, OPENS + 13 * MINUTE) == {}


def test_a_start_of_another_day_does_not_count(database: Database, session_id: int, heard: None) -> None:
    before = whole_day(*people_of("all_day"))
    old = [
        encode(each) for each in type(before)(MEETING, OPENS - 48 * HOUR, CLOSES - 48 * HOUR, before.attendees).events()
    ]
    deliver(database, old, OPENS - 40 * HOUR)
    assert set(found(database, OPENS + 11 * MINUTE)) == {"not_started"}


def test_silence_during_a_session_is_told_and_ends_with_the_next_event(
    database: Database, session_id: int, heard: None
) -> None:
    deliver(database, [STARTED, JOINED], OPENS)
    joined_at = read_event(JOINED).at
    assert found(database, joined_at + 19 * MINUTE) == {}
    shown = found(database, joined_at + 25 * MINUTE)["quiet"]
    assert (shown.since, shown.details) == (joined_at, {"minutes": 25})
    another = JOINED.replace(joined_at.strftime("%H:%M:%SZ").encode(), b"17:30:00Z")
    deliver(database, [another], OPENS + 30 * MINUTE)
    assert found(database, OPENS + 31 * MINUTE) == {}


def test_after_the_meeting_has_ended_silence_is_right(database: Database, session_id: int, heard: None) -> None:
    at = read_event(ENDED).at
    early = ENDED.replace(at.strftime("%Y-%m-%dT%H:%M:%SZ").encode(), b"2026-12-01T19:00:00Z")
    deliver(database, [STARTED, JOINED, early], OPENS)
    assert found(database, OPENS + 4 * HOUR) == {}


def test_who_leaves_a_second_after_the_end_breaks_no_silence(database: Database, session_id: int, heard: None) -> None:
    at, left_at = (read_event(each).at.strftime("%Y-%m-%dT%H:%M:%SZ").encode() for each in (ENDED, LEFT))
    early = [ENDED.replace(at, b"2026-12-01T19:00:00Z"), LEFT.replace(left_at, b"2026-12-01T19:00:01Z")]
    deliver(database, [STARTED, JOINED, *early], OPENS)
    assert found(database, OPENS + 4 * HOUR) == {}


def test_an_event_from_the_future_hides_no_silence(database: Database, session_id: int, heard: None) -> None:
    joined_at = read_event(JOINED).at
    future = JOINED.replace(joined_at.strftime("%Y-%m-%dT").encode(), b"2099-12-01T")
    deliver(database, [STARTED, JOINED, future], OPENS)
    assert found(database, joined_at + 25 * MINUTE)["quiet"].details == {"minutes": 25}


def test_a_session_of_which_nothing_ever_came_is_told_for_as_long_as_zooms_log_reaches(
    database: Database, session_id: int, heard: None
) -> None:
    challenge(database, CLOSES)
    shown = found(database, CLOSES + MINUTE)
    assert set(shown) == {"no_deliveries"}
    challenge(database, CLOSES + timedelta(days=2))
    assert set(found(database, CLOSES + timedelta(days=2))) == {"no_deliveries", "end_missing"}
    challenge(database, CLOSES + timedelta(days=8))
    assert set(found(database, CLOSES + timedelta(days=8))) == {"end_missing"}


def test_a_cancelled_session_leaves_no_gap(database: Database, session_id: int, heard: None, now: datetime) -> None:
    with database.write() as connection:
        live_sessions.cancel(connection, session_id, reason="nobody came", actor="cli", now=now)
    for at in (OPENS + HOUR, CLOSES + HOUR, CLOSES + 3 * HOUR):
        assert found(database, at) == {}


def test_an_end_that_is_missing_is_told_after_the_last_retry(database: Database, session_id: int, heard: None) -> None:
    deliver(database, [STARTED, JOINED, LEFT], CLOSES)
    assert found(database, CLOSES + HOUR) == {}
    shown = found(database, CLOSES + 2 * HOUR)["end_missing"]
    assert (shown.since, shown.session_id) == (CLOSES, session_id)


def add_day(database: Database, session_id: int, person: str, flags: list[str], at: datetime) -> None:
    row = {
        "live_session_id": session_id,
        "person_key": person,
        "version": 1,
        "is_current": True,
        "input_digest": f"digest of {person}",
        "seconds_present": 60,
        "seconds_instructional": 60,
        "seconds_required": 60,
        "completed": True,
        "day": {},
        "flags": flags,
        "settled_at": at,
    }
    with database.write() as connection:
        connection.execute(insert(attendances).values(row))
        state = {"state": "provisional", "ended_at": CLOSES}
        connection.execute(update(live_sessions_table).values(state))


def test_estimated_days_and_people_whom_one_side_alone_knows_are_counted_until_somebody_looked(
    database: Database, session_id: int, heard: None, now: datetime
) -> None:
    deliver(database, [STARTED], OPENS)
    add_day(database, session_id, "a", ["estimated", "unconfirmed"], now)
    add_day(database, session_id, "b", ["estimated", "report_missing"], now)
    add_day(database, session_id, "c", ["phone"], now)
    shown = found(database, CLOSES + HOUR)
    assert shown["edges_missing"].count == 2
    assert shown["edges_missing"].details == {"estimated": 2, "unconfirmed": 1, "open": 0}
    assert shown["people_differ"].details == {"report_only": 0, "report_missing": 1}
    seen = {"reason": "looked at", "made_by": "staff:1", "made_at": now, "live_session_id": session_id}
    with database.write() as connection:
        for person, digest in (("a", "an older digest"), ("b", "digest of b")):
            connection.execute(insert(attendance_reviews).values(**seen, person_key=person, input_digest=digest))
    shown = found(database, CLOSES + HOUR)
    assert (shown["edges_missing"].count, "people_differ" in shown) == (1, False)


def test_a_report_that_does_not_come_is_told_until_it_does(
    database: Database, session_id: int, heard: None, now: datetime
) -> None:
    deliver(database, [STARTED], OPENS)
    fetch = {"live_session_id": session_id, "meeting_uuid": "u", "source": "report", "settled": False}
    with database.write() as connection:
        connection.execute(insert(zoom_report_fetches).values(**fetch, code="no_answer", fetched_at=CLOSES))
    shown = found(database, CLOSES + HOUR)["report_failing"]
    assert (shown.since, shown.details, shown.words.is_wrong) == (CLOSES, {"code": "no_answer"}, False)
    with database.write() as connection:
        connection.execute(insert(zoom_report_fetches).values(**fetch, fetched_at=CLOSES))
    assert "report_failing" not in found(database, CLOSES + HOUR)


def test_a_report_that_staff_must_see_to_is_told_as_that_alone(
    database: Database, session_id: int, heard: None
) -> None:
    deliver(database, [STARTED], OPENS)
    fetch = {"live_session_id": session_id, "meeting_uuid": "u", "source": "report", "settled": False}
    with database.write() as connection:
        connection.execute(insert(zoom_report_fetches).values(**fetch, code="zoom_scope_missing", fetched_at=CLOSES))
    shown = found(database, CLOSES + HOUR)
    assert {"reports_refused", "report_failing"} & set(shown) == {"reports_refused"}


def test_a_log_of_zoom_that_cannot_be_read_is_told_until_it_can(database: Database, heard: None, now: datetime) -> None:
    read = {"since": now - HOUR, "until": now, "read_at": now}
    with database.write() as connection:
        connection.execute(insert(zoom_log_reads).values(**read, code="zoom_scope_missing"))
    assert found(database, now)["log_unreadable"].details == {"code": "zoom_scope_missing"}
    with database.write() as connection:
        connection.execute(insert(zoom_log_reads).values(**read, row_count=3, added=0, unreadable=0))
    assert found(database, now) == {}


def test_a_parked_settlement_is_told(database: Database, session_id: int, heard: None, now: datetime) -> None:
    row = {"kind": "settle", "payload": {"session_id": session_id}, "state": "parked", "attempts": 8}
    with database.write() as connection:
        for key in ("session:1", "session:1:over"):
            values = {"key": key, "run_at": now, "created_at": now, "last_error": "completion_unset"}
            connection.execute(insert(tasks).values(row | values))
    shown = found(database, OPENS - MINUTE)["settlement_parked"]
    assert (shown.session_id, shown.details, shown.where) == (
        session_id,
        {"code": "completion_unset"},
        "/desk/settings/jobs",
    )


def test_a_gap_keeps_the_moment_it_was_first_seen_and_is_gone_with_its_cause(
    database: Database, heard: None, now: datetime
) -> None:
    refuse(database, "zoom_signature_wrong", now)
    assert found(database, now)["signatures_wrong"].since == now
    refuse(database, "zoom_signature_wrong", now + MINUTE)
    later = found(database, now + MINUTE)["signatures_wrong"]
    assert (later.since, later.count) == (now, 2)
    with database.read() as connection:
        assert connection.execute(select(zoom_gaps.c.seen_at)).scalar_one() == now + MINUTE


def test_the_gravest_gaps_come_first(database: Database, session_id: int, clock: TestClock) -> None:
    deliver(database, [b"\xff"], OPENS)
    with database.read() as connection:
        codes = [gap.code for gap in health.current_gaps(connection, QUIET, OPENS + HOUR)]
    assert codes == ["not_started", "deliveries_unreadable"]


def test_every_gap_says_what_it_is_and_what_to_do() -> None:
    for words in GAPS.values():
        assert words.says.endswith(".")
        assert words.next_step.rstrip(".") != words.next_step or words.next_step.endswith("?")
    assert len({words.says for words in GAPS.values()}) == len(GAPS)


def test_what_is_watched_is_found_by_its_index(database: Database, heard: None) -> None:
    """A partial index serves only where the question holds its condition word for word."""
    query = select(zoom_inbox.c.id).where(text(NOTABLE))
    words = str(query.compile(dialect=database.engine.dialect))
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    with database.read() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = " ".join(str(row) for row in connection.exec_driver_sql(explain + words))
    assert "ix_zoom_inbox_notable" in plan
