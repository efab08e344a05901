"""Scheduling live sessions: what is stamped, what is refused, how one is called off."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from lti_tool.attendance import agenda, live_sessions
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.programme.versions import Published
from tests.training_day import DAY, FIVE, MEETING, MODULE, NINE, add_session


def test_a_session_carries_its_agenda_in_utc_and_the_version_of_the_programme(database, published, session_id):
    with database.read() as connection:
        session = live_sessions.show(connection, session_id)
    assert (session.starts_at, session.ends_at) == (NINE, FIVE)
    assert agenda.instructional_seconds(session.segments) == 390 * 60
    assert (session.programme_version, session.state, session.held_on) == (published.version, "scheduled", DAY)


def test_a_plain_day_starts_when_the_agenda_does(database, published, now):
    with database.write() as connection:
        session_id = add_session(connection, published, now, starts=DAY)
        assert live_sessions.show(connection, session_id).starts_at == NINE


def test_the_join_link_with_its_passcode_is_encrypted_in_the_database(database, published, now):
    link = "https://example.zoom.us/j/85300001234?pwd=invented-passcode"
    with database.write() as connection:
        session_id = add_session(connection, published, now, join_url=link)
        assert live_sessions.show(connection, session_id).join_url == link
        stored = bytes(connection.execute(text("SELECT join_url FROM live_sessions")).scalar_one())
    assert b"invented-passcode" not in stored
    assert b"zoom.us" not in stored


def test_another_start_moves_the_whole_agenda(database, published, now):
    with database.write() as connection:
        session_id = add_session(connection, published, now, starts=datetime.fromisoformat("2026-11-10T08:00"))
        session = live_sessions.show(connection, session_id)
    assert session.starts_at == NINE - timedelta(hours=1)
    assert session.ends_at == FIVE - timedelta(hours=1)
    assert session.segments[1].starts_at == NINE + timedelta(minutes=30)


def test_the_wall_time_of_another_zone_is_meant_there(database, published, now):
    with database.write() as connection:
        session_id = add_session(connection, published, now, zone="Europe/Prague")
        assert live_sessions.show(connection, session_id).starts_at == datetime(2026, 11, 10, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize("pasted", ["853 0000 1234", "853\u00a00000\u20091234\u2060", "853\u20110000-1234"])
def test_a_meeting_number_is_taken_as_it_is_pasted(database, published, now, pasted):
    with database.write() as connection:
        made = add_session(connection, published, now, zoom_meeting_id=pasted)
        assert live_sessions.show(connection, made).zoom_meeting_id == "85300001234"


@pytest.mark.parametrize(
    ("given", "error", "code"),
    [
        ({"module_id": "NONE"}, NotFound, "module_unknown"),
        ({"zone": "Mars/Olympus"}, BadInput, "zone_unknown"),
        ({"zone": "America"}, BadInput, "zone_unknown"),
        ({"zone": "../etc/passwd"}, BadInput, "zone_unknown"),
        ({"starts": datetime.fromisoformat("2026-03-08T02:30")}, BadInput, "wall_time_wrong"),
        ({"starts": datetime.fromisoformat("2026-11-01T01:30")}, BadInput, "wall_time_wrong"),
        ({"starts": datetime(2026, 11, 10, 9, 0, tzinfo=UTC)}, BadInput, "wall_time_wrong"),
        ({"zoom_meeting_id": "abc"}, BadInput, "meeting_id_wrong"),
        ({"zoom_meeting_id": ""}, BadInput, "meeting_id_wrong"),
        ({"zoom_kind": "phone"}, BadInput, "zoom_kind_wrong"),
        ({"join_url": "javascript:alert(1)"}, BadInput, "join_url_wrong"),
        ({"join_url": "https://[zoom"}, BadInput, "join_url_wrong"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_with_its_code(database, published, now, given, error, code):
    with database.write() as connection, pytest.raises(error) as refused:
        add_session(connection, published, now, **given)
    assert refused.value.code == code


def test_a_module_without_an_agenda_cannot_be_scheduled(database, published, now):
    programme = published.programme
    modules = {**programme.modules, MODULE: replace(programme.modules[MODULE], agenda=None)}
    unset = Published(published.version, replace(programme, modules=modules))
    with database.write() as connection, pytest.raises(Conflict) as refused:
        add_session(connection, unset, now)
    assert refused.value.code == "agenda_unset"


def test_two_sessions_of_one_meeting_may_not_overlap_but_may_follow_each_other(database, published, now, session_id):
    with database.write() as connection:
        with pytest.raises(Conflict) as refused:
            add_session(connection, published, now, zoom_meeting_id="853 0000 1234")
        assert refused.value.code == "session_overlaps"
        next_day = add_session(connection, published, now, starts=date(2026, 11, 11))
        assert [each.id for each in live_sessions.of_meeting(connection, MEETING)] == [session_id, next_day]


def test_a_cancelled_session_makes_room_and_raises_the_sequence(database, published, now, session_id):
    with database.write() as connection:
        live_sessions.cancel(connection, session_id, reason="The teacher is ill.", actor="cli", now=now)
        cancelled = live_sessions.show(connection, session_id)
        add_session(connection, published, now)
    assert (cancelled.state, cancelled.calendar_sequence) == ("cancelled", 1)


def test_a_session_is_cancelled_once_and_with_a_reason(database, now, session_id):
    with database.write() as connection:
        reasons = (
            (" ", "reason_missing"),
            ("x" * 2001, "reason_missing"),
            ("Ill.", None),
            ("Ill.", "session_cancelled"),
        )
        for reason, code in reasons:
            if code is None:
                live_sessions.cancel(connection, session_id, reason=reason, actor="cli", now=now)
                continue
            with pytest.raises((BadInput, Conflict)) as refused:
                live_sessions.cancel(connection, session_id, reason=reason, actor="cli", now=now)
            assert refused.value.code == code


def test_upcoming_sessions_are_those_not_over_yet(database, published, now, session_id):
    with database.write() as connection:
        later = add_session(connection, published, now, starts=date(2026, 12, 8))
        today = add_session(connection, published, now, starts=date(2026, 12, 1))
        assert [each.id for each in live_sessions.upcoming(connection, MODULE, now)] == [today, later]


def test_an_unknown_session_is_not_found(database):
    with database.read() as connection, pytest.raises(NotFound) as refused:
        live_sessions.show(connection, 99)
    assert refused.value.code == "session_unknown"
