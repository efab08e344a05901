"""Scheduling live sessions: what is stamped, what is refused, how one is called off."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from lti_tool.attendance import agenda, live_sessions
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.programme.versions import Published
from lti_tool.tables.live_sessions import live_sessions as table
from lti_tool.tables.operations import audit_log
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


AFTERNOON = datetime.fromisoformat("2027-01-13T13:00")


@pytest.fixture
def coming(database, published, now):
    """A session of 12 January, which has not begun."""
    with database.write() as connection:
        return add_session(
            connection, published, now, starts=datetime.fromisoformat("2027-01-12T09:00"), zoom_meeting_id="85300007777"
        )


def shown(database, session_id):
    with database.read() as connection:
        return live_sessions.show(connection, session_id)


def do(database, act, session_id, now, **given):
    with database.write() as connection:
        act(connection, session_id, actor="staff:9", now=now, **given)


def refusal(database, act, session_id, now, **given) -> str:
    with pytest.raises((BadInput, Conflict)) as refused:
        do(database, act, session_id, now, **given)
    return refused.value.code


SAME = {"zoom_meeting_id": "85300007777", "zoom_kind": "meeting", "join_url": None, "note": ""}


def test_a_session_moves_with_its_agenda_and_keeps_its_version_and_its_history(database, coming, now):
    before = shown(database, coming)
    do(database, live_sessions.move, coming, now, sequence=0, starts=AFTERNOON, reason="The teacher is away.")
    after = shown(database, coming)
    assert after.starts_at - before.starts_at == timedelta(days=1, hours=4)
    assert agenda.instructional_seconds(after.segments) == agenda.instructional_seconds(before.segments)
    assert (after.calendar_sequence, after.programme_version) == (1, before.programme_version)
    with database.read() as connection:
        noted = connection.execute(select(audit_log).where(audit_log.c.act == "session_moved")).one()
    assert (noted.actor, noted.reason) == ("staff:9", "The teacher is away.")
    assert noted.details == {"from": before.starts_at.isoformat(), "to": after.starts_at.isoformat()}


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"reason": " "}, "reason_missing"),
        ({"starts": datetime.fromisoformat("2026-06-01T09:00")}, "session_in_past"),
        ({"starts": datetime.fromisoformat("2027-03-14T02:30")}, "wall_time_wrong"),
        ({"starts": datetime.fromisoformat("2027-11-07T01:30")}, "wall_time_wrong"),
        ({"sequence": 1}, "session_changed"),
    ],
    ids=["no reason", "in the past", "a time that clocks skip", "a time that clocks show twice", "seen another plan"],
)
def test_a_move_is_refused_with_its_code(database, coming, now, given, code):
    asked = {"sequence": 0, "starts": AFTERNOON, "reason": "The teacher is away.", **given}
    assert refusal(database, live_sessions.move, coming, now, **asked) == code
    assert shown(database, coming).calendar_sequence == 0


def test_a_session_that_has_begun_or_is_cancelled_stays_where_it_is(database, coming, now):
    asked = {"sequence": 0, "starts": AFTERNOON, "reason": "The teacher is away."}
    begun = shown(database, coming).starts_at
    assert refusal(database, live_sessions.move, coming, begun, **asked) == "session_begun"
    do(database, live_sessions.cancel, coming, now, reason="Nobody came forward.")
    assert refusal(database, live_sessions.move, coming, now, **{**asked, "sequence": 1}) == "session_cancelled"


def test_a_session_does_not_move_onto_another_one_of_its_meeting_but_may_overlap_its_own_old_time(
    database, published, coming, now
):
    with database.write() as connection:
        add_session(connection, published, now, starts=AFTERNOON, zoom_meeting_id="85300007777")
    asked = {"sequence": 0, "reason": "The teacher is away."}
    assert refusal(database, live_sessions.move, coming, now, starts=AFTERNOON, **asked) == "session_overlaps"
    do(database, live_sessions.move, coming, now, starts=datetime.fromisoformat("2027-01-12T08:00"), **asked)


def test_of_two_editors_the_second_is_told_and_the_first_loses_nothing(database, coming, now):
    first, second = {**SAME, "note": "Evening group"}, {**SAME, "note": "Morning group"}
    do(database, live_sessions.edit, coming, now, sequence=0, **first)
    assert refusal(database, live_sessions.edit, coming, now, sequence=0, **second) == "session_changed"
    assert refusal(database, live_sessions.cancel, coming, now, sequence=0, reason="Ill.") == "session_changed"
    assert shown(database, coming).note == "Evening group"


def test_an_edit_that_changes_nothing_leaves_the_calendars_alone(database, coming, now):
    do(database, live_sessions.edit, coming, now, sequence=0, **SAME)
    assert shown(database, coming).calendar_sequence == 0


def test_what_changed_is_in_the_audit_log_and_a_join_link_never_is(database, coming, now):
    link = "https://example.zoom.us/j/85300007777?pwd=invented-passcode"
    do(database, live_sessions.edit, coming, now, sequence=0, **{**SAME, "join_url": link, "note": "Evening group"})
    with database.read() as connection:
        noted = connection.execute(select(audit_log).where(audit_log.c.act == "session_edited")).one()
    assert noted.details == {"changed": ["join_url", "note"]}


def test_a_taught_session_keeps_its_meeting_but_not_its_note(database, coming, now):
    with database.write() as connection:
        connection.execute(update(table).where(table.c.id == coming).values(state="provisional"))
    other = {**SAME, "zoom_meeting_id": "85300008888"}
    assert refusal(database, live_sessions.edit, coming, now, sequence=0, **other) == "session_taught"
    do(database, live_sessions.edit, coming, now, sequence=0, **{**SAME, "note": "Evening group"})
    too_long = {**SAME, "note": "x" * 101}
    assert refusal(database, live_sessions.edit, coming, now, sequence=1, **too_long) == "session_note_long"


def test_the_database_itself_refuses_a_second_session_at_the_same_start_in_one_meeting(database, coming):
    with database.read() as connection:
        row = dict(connection.execute(select(table).where(table.c.id == coming)).mappings().one())
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(insert(table).values({**row, "id": coming + 1}))
