"""Who is in the meeting now, by the events so far."""

import random
from datetime import timedelta

from lti_tool.attendance.live_board import NO_END
from sandbox.zoom.behaviours import Visit
from sandbox.zoom.training_day import Attendee, TrainingDay, encode
from tests.zoom_day import OPENS, people_of, whole_day
from zoom_adapter.connections import gather
from zoom_adapter.events import ZoomEvent, read_event
from zoom_adapter.live import people_now

HOUR = 3600


def no_trainee(_identity):
    return None


def events_until(day: TrainingDay, seconds: int):
    """The events of the first `seconds` of the day."""
    until = OPENS + timedelta(seconds=seconds)
    received = [read_event(encode(event)) for event in day.events()]
    return [each for each in received if each.at and each.at <= until]


def seen(day: TrainingDay, seconds: int, identify=no_trainee, events=None):
    received = events_until(day, seconds) if events is None else events
    return {each.key: each for each in people_now(gather(received), identify, {})}


def attendee(*visits: Visit, name: str = "Somebody") -> Attendee:
    return Attendee(name, "", "rg-1", "all_day", visits)


def only(day: TrainingDay, seconds: int):
    (person,) = seen(day, seconds).values()
    return person


def test_whoever_joined_and_has_not_left_is_here_since_the_first_join_of_an_unbroken_stay() -> None:
    person = only(whole_day(attendee(Visit(0, 8 * HOUR, (HOUR, 2 * HOUR)))), 90 * 60)
    assert (person.where, person.since, person.intervals[-1][1]) == ("here", OPENS, NO_END)


def test_whoever_left_is_gone_since_then_and_back_after_a_reconnect() -> None:
    day = whole_day(attendee(Visit(0, HOUR), Visit(2 * HOUR, 3 * HOUR)))
    gone, back = only(day, 90 * 60), only(day, int(2.5 * HOUR))
    assert (gone.where, gone.since) == ("gone", OPENS + timedelta(hours=1))
    assert (back.where, back.since) == ("here", OPENS + timedelta(hours=2))


def test_the_waiting_room_is_not_the_meeting() -> None:
    day = whole_day(attendee(Visit(HOUR, 3 * HOUR, waits=600)))
    person = only(day, HOUR - 60)
    assert (person.where, person.intervals) == ("waiting", ())
    assert only(day, HOUR + 60).where == "here"


def test_the_breakout_room_is_known_as_long_as_the_person_is_in_it() -> None:
    day = whole_day(attendee(Visit(0, 8 * HOUR, (HOUR, 2 * HOUR))))
    assert only(day, HOUR - 60).room == ""
    assert only(day, HOUR + 60).room != ""
    assert only(day, 2 * HOUR + 60).room == ""


def test_nobody_is_here_after_the_end_though_a_last_edge_was_lost() -> None:
    day = whole_day(attendee(Visit(0, 2 * HOUR)))
    lost = [each for each in events_until(day, 9 * HOUR) if each.kind != "left"]
    (person,) = seen(day, 0, events=lost).values()
    assert person.where == "gone"


def test_two_devices_of_one_registrant_are_one_person_and_strangers_stay_apart() -> None:
    day = whole_day(*people_of("two_devices", "guest", "late"))
    here = [each for each in seen(day, 4 * HOUR).values() if each.where == "here"]
    assert len(here) == 3


def test_identities_of_one_trainee_are_one_person() -> None:
    day = whole_day(*people_of("all_day", "late"))
    (person,) = seen(day, 4 * HOUR, identify=lambda _identity: 7).values()
    assert (person.key, person.trainee_id) == ("trainee:7", 7)


def test_a_device_that_tells_no_address_is_of_the_person_whose_registrant_has_one_elsewhere() -> None:
    join = ZoomEvent(kind="joined", at=OPENS, meeting_uuid="Qm9yZWFsaXMwMDAwMDAwMQ==", registrant_id="rg-1")
    received = [
        join._replace(participant_uuid="P1", user_id="1", email="ada@example.org"),
        join._replace(participant_uuid="P2", user_id="2"),
    ]
    (person,) = people_now(gather(received), lambda identity: 7 if identity.email else None, {})
    assert person.trainee_id == 7


def test_order_and_copies_of_deliveries_change_nothing_and_neither_does_what_is_remembered() -> None:
    day = whole_day(*people_of("breakouts", "reconnects", "waiting_room", "two_devices", "away_for_lunch"))
    received = events_until(day, 5 * HOUR)
    mixed = received + received[::3]
    random.Random(3).shuffle(mixed)
    assert seen(day, 0, events=mixed) == seen(day, 0, events=received)
    instances, memo = gather(received[:200]), {}
    people_now(instances, no_trainee, memo)
    gather(received[200:], instances)
    assert {each.key: each for each in people_now(instances, no_trainee, memo)} == seen(day, 0, events=received)


def test_somebody_who_only_tried_is_not_on_the_board() -> None:
    body = {"event": "meeting.participant_jbh_waiting", "payload": {"object": {"id": "1", "uuid": "u"}}}
    assert people_now(gather([read_event(encode(body))]), no_trainee, {}) == ()
