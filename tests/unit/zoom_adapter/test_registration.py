"""Registering people at Zoom and cancelling them: batches, limits, refusals, lost answers, a gate that changes."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import requests
from sqlalchemy import select

from lti_tool.attendance import matching
from lti_tool.tables.presence import zoom_places
from lti_tool.tables.zoom import registrants
from tests.training_day import MEETING, add_trainee
from tests.zoom_registrants import Registrants, refusal
from zoom_adapter import places, registration
from zoom_adapter.bound_connections import Identity
from zoom_adapter.events import ZoomEvent
from zoom_adapter.registrants import directory, record_registrations
from zoom_adapter.registration import Registrar

MIDNIGHT = datetime(2026, 12, 2, tzinfo=UTC)


@pytest.fixture
def zoom(wire):
    return Registrants(wire, MEETING).serve()


@pytest.fixture
def registrar(zoom, database, settings, clock):
    return Registrar(database, zoom.api(settings, clock), clock)


@pytest.fixture
def people(database, now):
    with database.write() as connection:
        return [add_trainee(connection, number, now) for number in range(1, 4)]


def want(database, people, now):
    with database.write() as connection:
        places.want(connection, people, MEETING, "meeting", now)


def drop(database, people, now):
    with database.write() as connection:
        places.drop(connection, people, MEETING, now)


def of(database, trainee_id):
    with database.read() as connection:
        return places.of(connection, trainee_id, MEETING)


def states(database, people):
    return [of(database, each).state for each in people]


def codes(database, people):
    return [of(database, each).last_code for each in people]


def used(database, trainee_id):
    with database.read() as connection:
        query = select(zoom_places.c.adds, zoom_places.c.changes).where(zoom_places.c.trainee_id == trainee_id)
        return tuple(connection.execute(query).one())


def test_several_are_registered_by_one_call_each_with_a_link_of_the_own(database, registrar, zoom, people, now):
    want(database, people, now)
    registrar.run()
    assert zoom.calls == ["batch"]
    assert states(database, people) == ["registered"] * 3
    assert len({of(database, each).join_url for each in people}) == 3
    assert all(of(database, each).is_ready for each in people)


def test_one_is_registered_by_a_single_call(database, registrar, zoom, people, now):
    want(database, people[:1], now)
    registrar.run()
    assert zoom.calls == ["register"]


def test_a_large_course_is_registered_by_batches_of_thirty(database, registrar, zoom, now):
    with database.write() as connection:
        many = [add_trainee(connection, number, now) for number in range(10, 85)]
    want(database, many, now)
    registrar.run()
    assert zoom.calls == ["batch"] * 3
    assert len(zoom.of("approved")) == 75


def test_presence_knows_the_person_by_the_registration_at_once(database, registrar, people, now):
    want(database, people[:1], now)
    registrar.run()
    with database.read() as connection:
        known = directory(connection, MEETING, ())
    assert known.identify(Identity("rg-trainee1", "")) == people[0]


def test_whoever_stands_at_the_door_is_served_first_and_alone(database, registrar, zoom, people, now):
    want(database, people[:2], now - timedelta(hours=1))
    with database.write() as connection:
        places.ask(connection, people[2], MEETING, "meeting", now)
    (job,) = registrar.claim(1)
    assert [each.trainee_id for each in job.places] == [people[2]]


def test_a_crowd_at_the_door_is_served_by_batches(database, registrar, now):
    with database.write() as connection:
        many = [add_trainee(connection, number, now) for number in range(10, 20)]
        for each in many:
            places.ask(connection, each, MEETING, "meeting", now)
    (job,) = registrar.claim(1)
    assert len(job.places) == 10


def test_a_batch_with_a_bad_entry_falls_back_to_single_calls(database, registrar, zoom, people, now):
    def trouble(call, body):
        is_bad = call == "batch" or (call == "register" and body["email"] == "trainee2@example.org")
        return refusal(400, 300) if is_bad else None

    zoom.trouble = trouble
    want(database, people, now)
    registrar.run()
    assert zoom.calls == ["batch", "register", "register", "register"]
    assert states(database, people) == ["registered", "refused", "registered"]
    assert codes(database, people) == [None, "zoom_request_invalid", None]


def test_whom_a_batch_leaves_out_is_registered_alone(database, registrar, zoom, people, now):
    left_out = '{"registrants": []}'
    zoom.trouble = lambda call, _body: (201, {}, left_out) if call == "batch" else None
    want(database, people, now)
    registrar.run()
    assert states(database, people) == ["registered"] * 3


def test_a_host_is_refused_for_good_and_staff_see_why(database, registrar, zoom, people, now, clock):
    zoom.trouble = lambda _call, _body: refusal(400, 3027)
    want(database, people[:1], now)
    registrar.run()
    clock.advance(days=2)
    registrar.run()
    assert zoom.calls == ["register"]
    place = of(database, people[0])
    assert (place.state, place.last_code, place.due_at) == ("refused", "zoom_host_cannot_register", None)


def test_a_full_meeting_stops_all_who_wait_for_it(database, registrar, zoom, now):
    zoom.trouble = lambda _call, _body: refusal(400, 3043)
    with database.write() as connection:
        many = [add_trainee(connection, number, now) for number in range(10, 75)]
    want(database, many, now)
    registrar.run()
    assert zoom.calls == ["batch"]
    assert set(codes(database, many)) == {"zoom_registrants_full"}
    assert {of(database, each).due_at for each in many} == {now + timedelta(minutes=30)}


def test_a_daily_limit_of_the_account_is_waited_for(database, registrar, zoom, people, now, clock):
    daily = refusal(429, 429, **{"X-RateLimit-Type": "Daily-limit", "Retry-After": "2026-12-02T00:00:00Z"})
    zoom.trouble = lambda _call, _body: daily
    want(database, people[:1], now)
    registrar.run()
    assert (of(database, people[0]).due_at, codes(database, people[:1])) == (MIDNIGHT, ["zoom_daily_limit"])
    zoom.trouble = lambda _call, _body: None
    clock.at = MIDNIGHT
    registrar.run()
    assert states(database, people[:1]) == ["registered"]


def test_the_days_limit_of_one_person_keeps_nobody_else_waiting(database, registrar, zoom, people, now):
    limit = "You have exceeded the daily rate limit of (3) for Add meeting registrant requests for the registrant."
    spent = (429, {}, json.dumps({"code": 429, "message": limit}))

    def trouble(call, body):
        return spent if call == "batch" or (call == "register" and body["email"] == "trainee1@example.org") else None

    zoom.trouble = trouble
    want(database, people, now)
    registrar.run()
    assert states(database, people) == ["none", "registered", "registered"]
    assert (of(database, people[0]).due_at, codes(database, people[:1])) == (MIDNIGHT, ["zoom_registrant_limit"])


def test_nobody_is_added_more_than_three_times_a_day(database, registrar, zoom, people, now, clock):
    for _ in range(5):
        want(database, people[:1], clock())
        registrar.run()
        drop(database, people[:1], clock.advance(minutes=1))
        registrar.run()
        clock.advance(minutes=1)
    assert zoom.asked["trainee1@example.org"] == 3
    want(database, people[:1], clock())
    registrar.run()
    assert (of(database, people[0]).due_at, codes(database, people[:1])) == (MIDNIGHT, ["zoom_adds_used"])
    clock.at = MIDNIGHT
    registrar.run()
    assert states(database, people[:1]) == ["registered"]


def test_a_gate_that_shuts_cancels_the_registration_and_keeps_who_it_was(database, registrar, zoom, people, now):
    want(database, people, now)
    registrar.run()
    drop(database, people[:2], now)
    registrar.run()
    assert zoom.calls == ["batch", "status"]
    assert zoom.of("cancelled") == {"trainee1@example.org", "trainee2@example.org"}
    assert states(database, people) == ["cancelled", "cancelled", "registered"]
    with database.read() as connection:
        query = select(registrants.c.status, registrants.c.trainee_id).order_by(registrants.c.registrant_id)
        assert [tuple(row) for row in connection.execute(query)] == [
            ("cancelled", people[0]),
            ("cancelled", people[1]),
            ("approved", people[2]),
        ]


def test_a_registration_is_cancelled_under_the_address_it_was_made_with(database, registrar, zoom, people, now):
    want(database, people[:1], now)
    registrar.run()
    with database.write() as connection:
        connection.exec_driver_sql(f"UPDATE trainees SET email = 'new@example.org' WHERE id = {people[0]}")
    drop(database, people[:1], now)
    registrar.run()
    assert zoom.of("cancelled") == {"trainee1@example.org"}


def test_a_gate_that_shuts_while_zoom_registers_is_followed(database, registrar, zoom, people, now, clock):
    zoom.after = lambda call: drop(database, people[:1], clock()) if call == "register" else None
    want(database, people[:1], now)
    registrar.run()
    assert zoom.calls == ["register", "status"]
    assert (states(database, people[:1]), zoom.of("cancelled")) == (["cancelled"], {"trainee1@example.org"})


def test_a_gate_that_opens_while_zoom_cancels_is_followed(database, registrar, zoom, people, now, clock):
    want(database, people[:1], now)
    registrar.run()
    drop(database, people[:1], now)
    zoom.after = lambda call: want(database, people[:1], clock()) if call == "status" else None
    registrar.run()
    assert zoom.calls == ["register", "status", "register"]
    assert of(database, people[0]).is_ready


def test_who_is_dropped_before_anything_was_done_costs_no_call(database, registrar, zoom, people, now):
    want(database, people, now)
    drop(database, people, now)
    registrar.run()
    assert (zoom.calls, [of(database, each).due_at for each in people]) == ([], [None] * 3)


class CrashError(Exception):
    """The worker dies."""


def test_a_crash_between_zooms_answer_and_our_record_registers_nobody_twice(
    database, registrar, zoom, people, now, clock
):
    def die(call):
        if call == "batch":
            raise CrashError

    zoom.after = die
    want(database, people, now)
    with pytest.raises(CrashError):
        registrar.run()
    assert len(zoom.of("approved")) == 3
    zoom.after = lambda _call: None
    registrar.run()
    assert zoom.calls == ["batch"], "somebody else has them until the lease runs out"
    clock.advance(minutes=4)
    registrar.run()
    assert zoom.calls == ["batch", "list"]
    assert states(database, people) == ["registered"] * 3
    assert set(zoom.asked.values()) == {1}


def test_a_lost_answer_is_looked_for_in_the_list_before_anything_is_done_again(
    database, registrar, zoom, people, now, clock
):
    def lose(call, body):
        if call == "register":
            zoom.by_email[body["email"]] = {
                "id": "rg-1",
                "join_url": "https://zoom.example.org/w/1",
                "status": "approved",
            }
            return requests.ConnectionError()
        return None

    zoom.trouble = lose
    want(database, people[:1], now)
    registrar.run()
    assert codes(database, people[:1]) == ["no_answer"]
    clock.advance(minutes=1)
    registrar.run()
    assert zoom.calls == ["register", "list"]
    assert of(database, people[0]).registrant_id == "rg-1"


def lost_answers(zoom):
    """Zoom registers, and nobody hears of it."""

    def lose(call, body):
        if call not in ("register", "batch"):
            return None
        for each in body.get("registrants", [body]):
            link = {"id": f"rg-{each['email']}", "join_url": "https://zoom.example.org/w/1", "status": "approved"}
            zoom.by_email[each["email"]] = link
        return requests.ConnectionError()

    return lose


def test_a_gate_that_shuts_after_a_lost_answer_cancels_what_zoom_did(database, registrar, zoom, people, now, clock):
    zoom.trouble = lost_answers(zoom)
    want(database, people[:2], now)
    registrar.run()
    drop(database, people[:2], now)
    registrar.run()
    assert zoom.calls == ["batch", "list", "status"]
    assert (states(database, people[:2]), zoom.of("approved")) == (["cancelled"] * 2, set())


def test_a_gate_that_shuts_after_a_crash_cancels_what_zoom_did(database, registrar, zoom, people, now, clock):
    def die(call):
        if call == "register":
            raise CrashError

    zoom.after = die
    want(database, people[:1], now)
    with pytest.raises(CrashError):
        registrar.run()
    drop(database, people[:1], clock.advance(minutes=4))
    registrar.run()
    assert (states(database, people[:1]), zoom.of("approved")) == (["cancelled"], set())


def test_a_gate_that_shuts_when_zoom_was_silent_and_did_nothing_costs_a_look(database, registrar, zoom, people, now):
    zoom.trouble = lambda call, _body: requests.ConnectionError() if call == "register" else None
    want(database, people[:1], now)
    registrar.run()
    drop(database, people[:1], now)
    registrar.run()
    assert zoom.calls == ["register", "list"]
    assert (states(database, people[:1]), of(database, people[0]).due_at) == (["cancelled"], None)


def test_a_minute_of_trouble_at_zoom_locks_nobody_out_for_the_day(database, registrar, zoom, people, now, clock):
    zoom.trouble = lambda call, _body: (503, {}, "") if call in ("batch", "register") else None
    want(database, people, now)
    for _ in range(6):
        registrar.run()
        clock.advance(seconds=20)
    zoom.trouble = lambda _call, _body: None
    clock.advance(minutes=5)
    registrar.run()
    assert states(database, people) == ["registered"] * 3


def test_one_on_whom_zoom_breaks_down_keeps_nobody_else_waiting_for_long(database, registrar, zoom, people, now, clock):
    def trouble(call, body):
        asked = body.get("registrants", [body]) if call in ("batch", "register") else []
        return (500, {}, "") if any(each["email"] == "trainee2@example.org" for each in asked) else None

    zoom.trouble = trouble
    want(database, people, now)
    for _ in range(6):
        registrar.run()
        clock.advance(seconds=20)
    assert states(database, people) == ["registered", "pending", "registered"]
    assert codes(database, people) == [None, "zoom_unavailable", None]


def test_after_an_outage_of_hours_it_goes_on_within_minutes(database, registrar, zoom, people, now, clock):
    zoom.trouble = lambda _call, _body: requests.ConnectionError()
    want(database, people[:1], now)
    for _ in range(60):
        registrar.run()
        clock.advance(minutes=5)
    zoom.trouble = lambda _call, _body: None
    clock.advance(minutes=5)
    registrar.run()
    assert states(database, people[:1]) == ["registered"]


def test_one_who_cannot_be_approved_again_keeps_nobody_else_waiting(database, registrar, zoom, people, now):
    link = "https://zoom.example.org/w/1"
    zoom.by_email["trainee1@example.org"] = {"id": "rg-trainee1", "join_url": link, "status": "denied"}
    denied = ZoomEvent("meeting.registration_denied", "registration", "5", MEETING, registrant_id="rg-trainee1")
    with database.write() as connection:
        record_registrations(connection, [denied._replace(email="trainee1@example.org")], now)
    zoom.trouble = lambda call, _body: refusal(400, 300) if call == "status" else None
    want(database, people, now)
    registrar.run()
    assert states(database, people[1:]) == ["registered"] * 2
    assert of(database, people[0]).last_code == "zoom_request_invalid"


def test_a_zoom_that_is_silent_for_hours_uses_up_nobodys_calls_of_the_day(
    database, registrar, zoom, people, now, clock
):
    zoom.trouble = lambda _call, _body: requests.ConnectionError()
    want(database, people[:1], now)
    for _ in range(20):
        registrar.run()
        clock.advance(minutes=10)
    assert zoom.calls.count("register") == 1
    assert used(database, people[0]) == (0, 0)
    zoom.trouble = lambda _call, _body: None
    clock.advance(hours=1)
    registrar.run()
    assert states(database, people[:1]) == ["registered"]


def test_two_workers_take_no_place_twice(database, registrar, zoom, people, settings, clock, now):
    other = Registrar(database, zoom.api(settings, clock), clock)
    want(database, people, now)
    (mine,) = registrar.claim(1)
    assert other.claim(1) == []
    registrar.do(mine)
    assert states(database, people) == ["registered"] * 3


def test_four_workers_at_once_register_everybody_exactly_once(database, zoom, settings, clock, now):
    with database.write() as connection:
        many = [add_trainee(connection, number, now) for number in range(100, 340)]
    want(database, many, now)
    workers = [Registrar(database, zoom.api(settings, clock), clock) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(each.run) for each in workers]:
            done.result()
    assert states(database, many) == ["registered"] * 240
    assert set(zoom.asked.values()) == {1}


def test_while_zoom_is_slow_a_worker_keeps_what_it_has_in_hand(database, registrar, zoom, settings, clock, now):
    other = Registrar(database, zoom.api(settings, clock), clock)

    def wait(call):
        if call == "register":
            clock.advance(seconds=50)
            other.run()

    zoom.trouble = lambda call, _body: refusal(400, 300) if call == "batch" else None
    zoom.after = wait
    with database.write() as connection:
        many = [add_trainee(connection, number, now) for number in range(10, 18)]
    want(database, many, now)
    registrar.run()
    assert states(database, many) == ["registered"] * 8
    assert (zoom.calls.count("batch"), set(zoom.asked.values())) == (1, {1})


def test_who_lost_a_place_tells_zoom_nothing_about_it(database, registrar, zoom, people, settings, clock, now):
    other = Registrar(database, zoom.api(settings, clock), clock)
    want(database, people[:1], now)
    (late,) = registrar.claim(1)
    clock.advance(minutes=4)
    other.run()
    drop(database, people[:1], clock())
    other.run()
    registrar.do(late)
    assert zoom.of("cancelled") == {"trainee1@example.org"}


def test_who_lost_the_lease_overwrites_nothing(database, registrar, zoom, people, settings, clock, now):
    other = Registrar(database, zoom.api(settings, clock), clock)
    want(database, people[:1], now)
    (late,) = registrar.claim(1)
    clock.advance(minutes=4)
    other.run()
    drop(database, people[:1], clock())
    other.run()
    with database.write() as connection:
        registration.registered(
            connection, late, late.places[0], "rg-trainee1", "https://zoom.example.org/w/1", clock()
        )
    assert states(database, people[:1]) == ["cancelled"]


def test_two_people_with_one_address_are_never_made_one(database, registrar, zoom, people, now):
    with database.write() as connection:
        connection.exec_driver_sql(f"UPDATE trainees SET email = 'trainee1@example.org' WHERE id = {people[1]}")
    want(database, people, now)
    registrar.run()
    assert states(database, people) == ["refused", "refused", "registered"]
    assert codes(database, people) == ["address_shared", "address_shared", None]
    assert zoom.of("approved") == {"trainee3@example.org"}


def test_an_address_that_staff_linked_to_somebody_else_registers_nobody(database, registrar, people, now):
    with database.write() as connection:
        connection.exec_driver_sql(f"UPDATE trainees SET email = NULL WHERE id = {people[0]}")
        matching.link(
            connection,
            kind="email",
            value="shared@example.org",
            meeting_id="",
            trainee_id=people[1],
            reason="Told us so by telephone.",
            actor="staff:9",
            now=now,
        )
        connection.exec_driver_sql(f"UPDATE trainees SET email = 'shared@example.org' WHERE id = {people[0]}")
    want(database, people[:1], now)
    registrar.run()
    assert codes(database, people[:1]) == ["address_shared"]


def test_a_registration_that_is_somebody_elses_is_refused(database, registrar, zoom, people, now):
    with database.write() as connection:
        row = {"meeting_id": MEETING, "registrant_id": "rg-trainee1", "trainee_id": people[1], "recorded_at": now}
        connection.execute(registrants.insert().values(**row, matched_by="gate"))
    want(database, people[:1], now)
    registrar.run()
    place = of(database, people[0])
    assert (place.state, place.last_code, place.join_url) == ("refused", "registrant_of_another", None)


def test_without_an_address_nobody_is_registered_until_one_is_known(database, registrar, zoom, people, now, clock):
    with database.write() as connection:
        connection.exec_driver_sql(f"UPDATE trainees SET email = NULL WHERE id = {people[0]}")
    want(database, people[:1], now)
    registrar.run()
    assert zoom.calls == []
    with database.write() as connection:
        connection.exec_driver_sql(f"UPDATE trainees SET email = 'found@example.org' WHERE id = {people[0]}")
    registrar.run()
    assert zoom.of("approved") == {"found@example.org"}


def test_a_registration_that_was_denied_is_approved_when_the_gate_opens(database, registrar, zoom, people, now):
    link = "https://zoom.example.org/w/1"
    zoom.by_email["trainee1@example.org"] = {"id": "rg-trainee1", "join_url": link, "status": "denied"}
    denied = ZoomEvent("meeting.registration_denied", "registration", "5", MEETING, registrant_id="rg-trainee1")
    with database.write() as connection:
        record_registrations(connection, [denied._replace(email="trainee1@example.org")], now)
    want(database, people[:1], now)
    registrar.run()
    assert zoom.calls == ["register", "status"]
    assert (zoom.of("approved"), of(database, people[0]).is_ready) == ({"trainee1@example.org"}, True)


def test_a_missing_scope_is_told_and_tried_again_later(database, registrar, zoom, people, now, clock):
    zoom.trouble = lambda _call, _body: refusal(400, 4711)
    want(database, people, now)
    registrar.run()
    assert zoom.calls == ["batch", "register"], "single calls need another scope, and one refusal is enough"
    assert set(codes(database, people)) == {"zoom_scope_missing"}
    zoom.trouble = lambda _call, _body: None
    clock.advance(minutes=31)
    registrar.run()
    assert states(database, people) == ["registered"] * 3


def test_cancelling_in_a_meeting_that_is_gone_is_done(database, registrar, zoom, people, now):
    want(database, people, now)
    registrar.run()
    zoom.trouble = lambda _call, _body: refusal(404, 3001)
    drop(database, people, now)
    registrar.run()
    assert states(database, people) == ["cancelled"] * 3


def test_a_webinar_is_registered_on_its_own_path(database, wire, settings, people, clock, now):
    webinar = Registrants(wire, MEETING, "webinar").serve()
    with database.write() as connection:
        places.want(connection, people, MEETING, "webinar", now)
    Registrar(database, webinar.api(settings, clock), clock).run()
    assert (webinar.calls, states(database, people)) == (["batch"], ["registered"] * 3)
