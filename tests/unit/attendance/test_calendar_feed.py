"""The calendar feed: the same bytes for the same records, instants in UTC, no link while the gate is shut."""

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
        open_modules = {MODULE} if is_open else set()
        given = {"host": "gatehouse.example.org", "join_address": join_address}
        return feed(connection, trainee_id, published, now, open_modules, **given)


def join_address(session):
    return f"https://gatehouse.example.org/modules/{session.module_id}/join?session={session.id}"


def events(raw):
    return list(Calendar.from_ical(raw).walk("VEVENT"))


def test_a_session_is_an_event_at_its_time(database, published, now, trainee_id, session_id):
    (event,) = events(read(database, published, now, trainee_id))
    assert event["UID"] == f"session-{session_id}@gatehouse.example.org"
    assert event["DTSTART"].dt == datetime.fromisoformat("2026-12-08T09:00-08:00")
    assert event["DTEND"].dt - event["DTSTART"].dt == timedelta(hours=8)
    assert (event["DTSTAMP"].dt, event["SEQUENCE"], event["STATUS"]) == (now, 0, "CONFIRMED")
    assert event["SUMMARY"] == published.programme.modules[MODULE].label


@pytest.mark.parametrize(
    ("held_on", "starts"),
    [("2027-03-13", "17:00"), ("2027-03-14", "16:00"), ("2027-07-10", "16:00"), ("2027-11-08", "17:00")],
)
def test_nine_oclock_pacific_is_the_right_instant_in_summer_and_winter(
    database, published, now, trainee_id, held_on, starts
):
    with database.write() as connection:
        add_session(connection, published, now, starts=date.fromisoformat(held_on))
    raw = read(database, published, now, trainee_id)
    (event,) = events(raw)
    assert event["DTSTART"].dt == datetime.fromisoformat(f"{held_on}T{starts}Z")
    assert f"DTSTART:{held_on.replace('-', '')}T{starts.replace(':', '')}00Z\r\n".encode() in raw
    assert b"TZID" not in raw
    assert b"VTIMEZONE" not in raw


def test_the_same_records_give_the_same_bytes_at_any_hour(database, published, now, trainee_id, session_id):
    assert read(database, published, now, trainee_id) == read(database, published, now + timedelta(hours=5), trainee_id)


def test_the_link_leads_to_the_gate_and_stands_there_only_while_it_is_open(
    database, published, now, trainee_id, session_id
):
    shut = events(read(database, published, now, trainee_id, is_open=False))[0]
    assert ("LOCATION" in shut, "URL" in shut) == (False, False)
    raw = read(database, published, now, trainee_id)
    assert b"zoom" not in raw
    assert b"853" not in raw
    link = f"https://gatehouse.example.org/modules/{MODULE}/join?session={session_id}"
    assert (events(raw)[0]["LOCATION"], events(raw)[0]["URL"]) == (link, link)


def test_a_cancelled_session_says_so_in_its_title_with_a_higher_sequence_and_no_link(
    database, published, now, trainee_id, session_id
):
    with database.write() as connection:
        live_sessions.cancel(connection, session_id, reason="Ill.", actor="cli", now=now)
    (event,) = events(read(database, published, now, trainee_id))
    assert (event["STATUS"], event["SEQUENCE"], "LOCATION" in event, "URL" in event) == ("CANCELLED", 1, False, False)
    assert event["SUMMARY"] == f"Cancelled: {published.programme.modules[MODULE].label}"


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
