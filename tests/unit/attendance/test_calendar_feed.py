"""The calendar feed: the same bytes for the same records, wall times in their zone, no link while the gate is shut."""

from datetime import date, datetime, timedelta

import pytest
from icalendar import Calendar

from lti_tool.attendance import live_sessions
from lti_tool.attendance.calendar_feed import feed
from lti_tool.attendance.settlement import settle
from tests.training_day import FIVE, MODULE, WHOLE_DAY, add_session, add_trainee, present

JOIN = "https://zoom.example.org/j/85300001234?pwd=secret"


@pytest.fixture
def trainee_id(database, now):
    with database.write() as connection:
        return add_trainee(connection, 1, now)


@pytest.fixture
def session_id(database, published, now):
    with database.write() as connection:
        return add_session(connection, published, now, starts=date(2026, 12, 8), join_url=JOIN)


def read(database, published, now, trainee_id, *, is_open=True):
    with database.read() as connection:
        return feed(
            connection, trainee_id, published, now, {MODULE} if is_open else set(), host="gatehouse.example.org"
        )


def events(raw):
    return list(Calendar.from_ical(raw).walk("VEVENT"))


def test_a_session_is_an_event_at_its_wall_time(database, published, now, trainee_id, session_id):
    (event,) = events(read(database, published, now, trainee_id))
    assert event["UID"] == f"session-{session_id}@gatehouse.example.org"
    assert event["DTSTART"].dt.replace(tzinfo=None) == datetime.fromisoformat("2026-12-08T09:00")
    assert event["DTSTART"].params["TZID"] == "America/Los_Angeles"
    assert event["DTEND"].dt - event["DTSTART"].dt == timedelta(hours=8)
    assert (event["DTSTAMP"].dt, event["SEQUENCE"], event["STATUS"]) == (now, 0, "CONFIRMED")
    assert event["SUMMARY"] == published.programme.modules[MODULE].label


def test_the_zone_comes_with_its_rules(database, published, now, trainee_id, session_id):
    (zone,) = Calendar.from_ical(read(database, published, now, trainee_id)).walk("VTIMEZONE")
    assert zone["TZID"] == "America/Los_Angeles"
    assert {str(each["TZNAME"]) for each in zone.subcomponents} == {"PST", "PDT"}


def test_the_same_records_give_the_same_bytes_at_any_hour(database, published, now, trainee_id, session_id):
    assert read(database, published, now, trainee_id) == read(database, published, now + timedelta(hours=5), trainee_id)


def test_the_link_stands_there_only_while_the_gate_is_open(database, published, now, trainee_id, session_id):
    shut = read(database, published, now, trainee_id, is_open=False)
    assert b"zoom" not in shut
    assert b"853" not in shut
    assert events(read(database, published, now, trainee_id))[0]["LOCATION"] == JOIN


def test_a_cancelled_session_says_so_with_a_higher_sequence_and_no_link(
    database, published, now, trainee_id, session_id
):
    with database.write() as connection:
        live_sessions.cancel(connection, session_id, reason="Ill.", actor="cli", now=now)
    (event,) = events(read(database, published, now, trainee_id))
    assert (event["STATUS"], event["SEQUENCE"], "LOCATION" in event) == ("CANCELLED", 1, False)


def test_lines_are_folded_at_75_octets(database, published, now, trainee_id, session_id):
    raw = read(database, published, now, trainee_id)
    assert raw.endswith(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 75


def test_old_sessions_stay_only_with_those_who_were_there(database, published, now, trainee_id):
    with database.write() as connection:
        session_id = add_session(connection, published, now)
        other = add_trainee(connection, 2, now)
    settle(database, session_id, [present(trainee_id, *WHOLE_DAY)], FIVE, now, lambda connection, people: None)
    long_after = FIVE + timedelta(days=60)
    assert len(events(read(database, published, long_after, trainee_id))) == 1
    assert events(read(database, published, long_after, other)) == []


def test_a_calendar_without_sessions_is_a_calendar(database, published, now, trainee_id):
    raw = read(database, published, now, trainee_id)
    assert events(raw) == []
    assert raw == read(database, published, now, trainee_id)
