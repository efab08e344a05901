"""Presence of generated days: equal to the truth, whatever the order, the copies and the portions of arrival."""

import json
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from lti_tool.attendance.evidence import PersonPresence
from lti_tool.intervals import union
from sandbox.zoom.training_day import Attendee, TrainingDay, arrivals, encode
from tests.profiles import portion
from tests.zoom_day import people_of, seconds, training_days, whole_day
from zoom_adapter.connections import gather
from zoom_adapter.events import read_event
from zoom_adapter.participants import people


def no_trainee(_identity: object) -> None:
    return None


def seen(bodies: list[bytes]) -> tuple[PersonPresence, ...]:
    return people(gather(map(read_event, bodies)), no_trainee)


def spans(person: PersonPresence) -> tuple:
    return tuple(union((each.from_at, each.to_at) for each in person.intervals if each.counts))


def expected(day: TrainingDay) -> Counter:
    """The truth by who Zoom can tell apart: a person with an id or address, else each connection by itself, with
    the telephone bound to it."""
    truth: Counter = Counter()
    for attendee, stays in zip(day.attendees, day.truth(), strict=True):
        if attendee.registers or attendee.shown_email:
            truth[stays] += bool(stays)
        else:
            visits = day.visits_of(attendee)
            for number, visit in enumerate(visits):
                if visit.bound_to is None:
                    own_visits = (visit, *(each for each in visits if each.bound_to == number))
                    alone = Attendee(attendee.name, visits=own_visits)
                    truth[TrainingDay(day.meeting_id, day.opens_at, day.closes_at, (alone,)).truth()[0]] += 1
    return +truth


@given(training_days(), st.randoms(use_true_random=False))
@settings(max_examples=portion(150), deadline=None)
def test_presence_equals_the_truth_in_any_order_with_any_copies(day: TrainingDay, random) -> None:
    bodies = [encode(event) for event in day.registrations() + day.events()]
    in_order = seen(bodies)
    assert Counter(filter(None, map(spans, in_order))) == expected(day)
    bodies += random.choices(bodies, k=len(bodies) // 3)
    random.shuffle(bodies)
    assert seen(bodies) == in_order


@given(training_days(), st.randoms(use_true_random=False))
@settings(max_examples=portion(60), deadline=None)
def test_any_part_of_the_deliveries_has_one_result_too(day: TrainingDay, random) -> None:
    """Lost events: the result may be an estimate, but it never depends on the order."""
    bodies = [encode(event) for event in day.events()]
    some = random.sample(bodies, k=len(bodies) * 2 // 3)
    first = seen(some)
    random.shuffle(some)
    assert seen(some) == first


def test_keys_in_another_order_and_more_spaces_say_the_same() -> None:
    day = whole_day(*people_of("breakouts", "reconnects"))
    events = day.events()
    other = [json.dumps(event, sort_keys=True, indent=1).encode() for event in events]
    assert seen([encode(event) for event in events]) == seen(other)


def test_every_behaviour_is_measured_as_it_was() -> None:
    day = whole_day(*people_of("all_day", "breakouts", "leaves_at_lunch", "late", "two_devices", "reconnects"))
    found = {person.email: person for person in seen(arrivals(day.events(), shuffle=True, duplicate=True))}
    for attendee, truth in zip(day.attendees, day.truth(), strict=True):
        assert seconds(spans(found[attendee.email])) == seconds(truth), attendee.behaviour
    assert {email.partition("@")[0] for email, each in found.items() if "concurrent" in each.flags} == {"two_devices"}
