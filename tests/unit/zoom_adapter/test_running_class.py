"""The sandbox's class under way: what has happened is told once and keeps its bytes, at whatever pace it goes on."""

from datetime import UTC, datetime, timedelta

import pytest

from sandbox.zoom.plan import PlanError, read_class
from sandbox.zoom.running import ClassClock, RunningClass
from sandbox.zoom.training_day import Event, encode

OPENS = datetime(2026, 12, 1, 17, tzinfo=UTC)
PEOPLE = [
    {"email": f"{name}@example.org", "name": name.title(), "behaviour": behaviour}
    for name, behaviour in (("maya", "breakouts"), ("noor", "reconnects"), ("kofi", "very_late"))
]
CLASS = {"title": "Module 2", "meeting_id": "86400002000", "opens_at": OPENS.isoformat(), "people": PEOPLE}


def minutes(count: float) -> datetime:
    return OPENS + timedelta(minutes=count)


def begun() -> tuple[RunningClass, list[Event]]:
    title, day = read_class(CLASS)
    told: list[Event] = []
    return RunningClass(day, title, told.append), told


def test_the_clock_of_a_class_never_changes_its_past() -> None:
    clock = ClassClock(OPENS)
    clock.turn(20, minutes(120))
    clock.turn(1, minutes(123))
    assert clock.second(minutes(60)) != clock.second(minutes(120)) == pytest.approx(clock.second(minutes(123)) - 180)
    assert [clock.moment(60 * each) for each in (-5, 60, 120, 140, 180)] == [
        minutes(each) for each in (-5, 60, 120, 121, 123)
    ]


def test_what_happened_is_told_once_and_in_order_of_time() -> None:
    running, told = begun()
    assert running.tell(minutes(120)) == len(told) > 10
    assert running.tell(minutes(120)) == 0
    running.tell(minutes(700))
    assert running.ended
    assert [encode(each) for each in told] == [encode(each) for each in running.day.events()]


def test_at_another_pace_the_rest_comes_sooner_and_nothing_twice() -> None:
    running, told = begun()
    running.tell(minutes(120))
    before = [encode(each) for each in told]
    running.turn(20, minutes(120))
    running.tell(minutes(160))
    assert running.ended
    assert [encode(each) for each in told[: len(before)]] == before
    assert len(told) == len({encode(each) for each in told}) == len(running.day.events())
    latest = max(each["event_ts"] for each in told) / 1000
    assert datetime.fromtimestamp(latest, UTC) < minutes(160)


def test_zooms_report_shows_the_class_at_the_times_at_which_it_was_held() -> None:
    running, _ = begun()
    running.turn(20, minutes(120))
    rows = running.as_held().report_rows()
    assert max(row["leave_time"] for row in rows) < "2026-12-01T19:20"
    assert {row["name"] for row in rows} == {"Maya", "Noor", "Kofi"}


@pytest.mark.parametrize("wrong", [{"opens_at": "soon"}, {"title": ""}, {"people": None}, {"minutes": "long"}])
def test_a_class_that_cannot_be_read_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(PlanError):
        read_class({**CLASS, **wrong})
