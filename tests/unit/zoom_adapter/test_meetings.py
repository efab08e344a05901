"""People who registered at Zoom itself, decided by the gate; and the settings of meetings, read for staff."""

from datetime import date, timedelta

import pytest
import requests
from sqlalchemy import select

from lti_tool.attendance import live_sessions, matching
from lti_tool.programme import versions
from lti_tool.tables.presence import zoom_meetings
from lti_tool.tables.zoom import registrants
from tests.training_day import add_trainee
from tests.zoom_registrants import Registrants, refusal
from zoom_adapter import meetings, places
from zoom_adapter.events import ZoomEvent
from zoom_adapter.meetings import MeetingDecider
from zoom_adapter.registrants import record_registrations
from zoom_adapter.registration import Registrar

MEETING = "85300000001"
GOOD = {
    "approval_type": 0,
    "registration_type": 1,
    "allow_multiple_devices": False,
    "join_before_host": False,
    "audio": "voip",
    "host_video": True,
}


@pytest.fixture
def people(database, published, now):
    with database.write() as connection:
        live_sessions.add(
            connection,
            published,
            module_id="F1",
            starts=date(2026, 12, 15),
            zoom_meeting_id=MEETING,
            actor="cli",
            now=now,
        )
        return [add_trainee(connection, number, now) for number in range(1, 4)]


@pytest.fixture
def zoom(wire):
    return Registrants(wire, MEETING, settings=dict(GOOD)).serve()


@pytest.fixture
def admitted():
    """The people to whom the gate is open."""
    return set()


@pytest.fixture
def decider(database, zoom, settings, clock, admitted):
    def admits(_connection, trainee_ids, _meeting_id, _now):
        return set(trainee_ids) & admitted

    return MeetingDecider(database, zoom.api(settings, clock), clock, admits)


def care(decider):
    decider.plan()
    for each in decider.claim(9):
        decider.do(each)


def drop_of(people, now):
    return lambda connection: places.drop(connection, people, MEETING, now)


def register_at_zoom(database, zoom, number, status, now, change="created", registrant_id=None):
    email, registrant_id = f"trainee{number}@example.org", registrant_id or f"rg-{number}"
    zoom.by_email[email] = {"id": registrant_id, "join_url": "https://zoom.example.org/w", "status": status}
    event = ZoomEvent(f"meeting.registration_{change}", "registration", str(1000 + number), MEETING)
    with database.write() as connection:
        shown = event._replace(registrant_id=registrant_id, registrant_status=status, email=email)
        record_registrations(connection, [shown], now)


def statuses(database):
    with database.read() as connection:
        query = select(registrants.c.status).order_by(registrants.c.registrant_id)
        return list(connection.scalars(query))


def test_who_registered_at_zoom_is_approved_or_denied_by_the_gate(database, zoom, decider, people, admitted, now):
    admitted.add(people[0])
    register_at_zoom(database, zoom, 1, "pending", now)
    register_at_zoom(database, zoom, 2, "pending", now)
    care(decider)
    assert (zoom.of("approved"), zoom.of("denied")) == ({"trainee1@example.org"}, {"trainee2@example.org"})
    assert statuses(database) == ["approved", "denied"]
    assert zoom.calls == ["status", "status", "settings"]


def test_a_decision_is_told_once(database, zoom, decider, people, now, clock):
    register_at_zoom(database, zoom, 1, "pending", now)
    care(decider)
    clock.advance(minutes=10)
    care(decider)
    assert zoom.calls.count("status") == 1


def test_a_meeting_whose_many_decisions_take_longer_than_its_lease_stays_with_its_worker(
    database, zoom, settings, decider, people, now, clock
):
    claimed = []

    def take_long(_connection, trainee_ids, _meeting_id, _now):
        if claimed:
            clock.advance(minutes=2)
            slow.leases.renew()
            clock.advance(minutes=2)
            assert decider.claim(9) == []
        return set(trainee_ids)

    slow = MeetingDecider(database, zoom.api(settings, clock), clock, take_long)
    register_at_zoom(database, zoom, 1, "pending", now)
    slow.plan()
    claimed += slow.claim(9)
    for each in claimed:
        slow.do(each)
    assert len(claimed) == 1
    assert zoom.of("approved") == {"trainee1@example.org"}


def test_who_is_nobody_we_know_is_left_waiting_for_staff(database, zoom, decider, people, now):
    register_at_zoom(database, zoom, 77, "pending", now)
    care(decider)
    assert zoom.of("pending") == {"trainee77@example.org"}
    with database.read() as connection:
        assert len(places.strangers(connection, MEETING)) == 1


def test_a_link_of_staff_makes_somebody_known_and_the_gate_decides(
    database, zoom, decider, people, admitted, now, clock
):
    admitted.add(people[0])
    register_at_zoom(database, zoom, 77, "pending", now)
    care(decider)
    with database.write() as connection:
        matching.link(
            connection,
            kind="email",
            value="trainee77@example.org",
            meeting_id="",
            trainee_id=people[0],
            reason="Told us so by telephone.",
            actor="staff:9",
            now=now,
        )
    clock.advance(seconds=10)
    care(decider)
    assert zoom.of("approved") == {"trainee77@example.org"}


def test_who_was_approved_by_zoom_with_a_shut_gate_is_cancelled(database, zoom, decider, people, admitted, now):
    admitted.add(people[0])
    register_at_zoom(database, zoom, 1, "approved", now)
    register_at_zoom(database, zoom, 2, "approved", now)
    care(decider)
    assert (zoom.of("approved"), zoom.of("cancelled")) == ({"trainee1@example.org"}, {"trainee2@example.org"})


def test_places_of_ours_are_left_to_the_places(database, zoom, decider, people, now):
    register_at_zoom(database, zoom, 1, "approved", now)
    with database.write() as connection:
        places.want(connection, people[:1], MEETING, "meeting", now)
        connection.exec_driver_sql("UPDATE zoom_places SET registrant_id = 'rg-1', state = 'registered'")
    care(decider)
    assert zoom.calls == ["settings"]


def test_who_registers_again_at_zoom_after_the_place_was_cancelled_is_cancelled_again(
    database, zoom, decider, people, settings, now, clock
):
    registrar = Registrar(database, zoom.api(settings, clock), clock)
    for change in (lambda c: places.want(c, people[:1], MEETING, "meeting", now), drop_of(people[:1], now)):
        with database.write() as connection:
            change(connection)
        registrar.run()
    assert zoom.of("cancelled") == {"trainee1@example.org"}
    register_at_zoom(database, zoom, 1, "approved", now, registrant_id="rg-trainee1")
    care(decider)
    assert zoom.of("cancelled") == {"trainee1@example.org"}


def test_a_place_that_is_being_cancelled_is_left_to_the_places(database, zoom, decider, people, settings, now, clock):
    with database.write() as connection:
        places.want(connection, people[:1], MEETING, "meeting", now)
    Registrar(database, zoom.api(settings, clock), clock).run()
    with database.write() as connection:
        drop_of(people[:1], now)(connection)
    care(decider)
    assert "status" not in zoom.calls


def test_one_whom_zoom_refuses_keeps_nobody_else_waiting(database, zoom, decider, people, admitted, now):
    admitted.update(people)
    for number in (1, 2, 3):
        register_at_zoom(database, zoom, number, "pending", now)

    def trouble(call, body):
        is_bad = call == "status" and any(each["id"] == "rg-2" for each in body["registrants"])
        return refusal(400, 300) if is_bad else None

    zoom.trouble = trouble
    care(decider)
    assert zoom.of("approved") == {"trainee1@example.org", "trainee3@example.org"}
    assert statuses(database) == ["approved", "pending", "approved"]


def test_switched_to_zoom_nobody_is_decided_about(database, zoom, settings, people, clock, now):
    register_at_zoom(database, zoom, 1, "pending", now)
    care(MeetingDecider(database, zoom.api(settings, clock), clock, None))
    assert zoom.of("pending") == {"trainee1@example.org"}


def test_a_crash_after_zooms_answer_is_made_good(database, zoom, decider, people, now, clock):
    class CrashError(Exception):
        pass

    def die(call):
        if call == "status":
            raise CrashError

    register_at_zoom(database, zoom, 1, "pending", now)
    zoom.after = die
    with pytest.raises(CrashError):
        care(decider)
    zoom.after = lambda _call: None
    care(decider)
    assert (zoom.of("denied"), statuses(database)) == ({"trainee1@example.org"}, ["pending"]), "the lease holds"
    clock.advance(minutes=4)
    care(decider)
    assert (zoom.of("denied"), statuses(database)) == ({"trainee1@example.org"}, ["denied"])


def test_a_silent_zoom_is_left_alone_for_a_while(database, zoom, decider, people, now, clock):
    register_at_zoom(database, zoom, 1, "pending", now)
    zoom.trouble = lambda _call, _body: requests.ConnectionError()
    for _ in range(6):
        care(decider)
        clock.advance(seconds=10)
    assert zoom.calls.count("status") == 1
    zoom.trouble = lambda _call, _body: None
    clock.advance(minutes=5)
    care(decider)
    assert statuses(database) == ["denied"]


def test_two_workers_take_no_meeting_twice(database, zoom, decider, settings, people, clock):
    other = MeetingDecider(database, zoom.api(settings, clock), clock, None)
    decider.plan()
    assert (len(decider.claim(9)), other.claim(9)) == (1, [])


@pytest.mark.parametrize("first", ["created", "approved", "cancelled"])
def test_the_newest_event_says_how_a_registration_stands(database, zoom, people, now, first):
    shown = {
        "created": ("5", "pending"),
        "approved": ("6", "approved"),
        "cancelled": ("7", "cancelled"),
    }
    order = [first, *(each for each in shown if each != first)]
    with database.write() as connection:
        for change in (*order, *reversed(order)):
            at, status = shown[change]
            event = ZoomEvent(f"meeting.registration_{change}", "registration", at, MEETING, registrant_id="rg-1")
            record_registrations(connection, [event._replace(registrant_status=status)], now)
    assert statuses(database) == ["cancelled"]


def checked(database):
    with database.read() as connection:
        session = live_sessions.of_meeting(connection, MEETING)[0]
        programme = versions.current(connection).programme
        return meetings.of_session(connection, session, programme)


def test_the_settings_of_a_meeting_are_kept_as_far_as_they_matter(database, decider, people, now):
    assert checked(database).demands == ()
    care(decider)
    assert (checked(database).unmet, checked(database).read_at) == ([], now)
    with database.read() as connection:
        (kept,) = connection.scalars(select(zoom_meetings.c.settings))
    assert "host_video" not in kept


def test_settings_are_read_daily_hourly_on_the_last_day_and_when_asked(database, zoom, decider, people, clock):
    care(decider)
    clock.advance(hours=23)
    care(decider)
    assert zoom.calls == ["settings"]
    clock.advance(hours=1)
    care(decider)
    assert zoom.calls == ["settings"] * 2
    clock.at += timedelta(days=12, hours=12)
    care(decider)
    clock.advance(hours=1)
    care(decider)
    assert zoom.calls == ["settings"] * 4
    with database.write() as connection:
        meetings.reread_settings(connection, MEETING, clock())
    care(decider)
    assert zoom.calls == ["settings"] * 5


def test_settings_that_cannot_be_read_say_why_and_keep_what_was_known(database, zoom, decider, people, clock):
    care(decider)
    zoom.trouble = lambda _call, _body: refusal(400, 4711)
    clock.advance(hours=25)
    care(decider)
    assert checked(database).code == "zoom_scope_missing"
    assert checked(database).demands


def test_meetings_of_classes_that_are_over_are_left_alone(database, zoom, decider, people, clock):
    care(decider)
    clock.advance(days=60)
    care(decider)
    assert zoom.calls == ["settings"]
