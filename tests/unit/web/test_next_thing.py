"""The one thing that the home page asks for, in every state that a trainee can be in."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest

from lti_tool.web.trainee.next_thing import JOINED_WITHIN, NOTED_WITHIN, next_thing

NOW = datetime(2026, 12, 1, 18, tzinfo=UTC)
HOUR = timedelta(hours=1)


def session(starts_in: timedelta, number: int = 1):
    return SimpleNamespace(id=number, starts_at=NOW + starts_in, held_on=(NOW + starts_in).date())


def module(
    name: str = "F1", *sessions, is_open: bool = True, completed_on: date | None = None, dates=(), is_needed=True
):
    is_needed = is_needed and completed_on is None
    return SimpleNamespace(
        module=SimpleNamespace(id=name),
        is_open=is_open,
        is_needed=is_needed,
        to_take=is_open and is_needed,
        completed_on=completed_on,
        sessions=sessions,
        dates=[SimpleNamespace(date=each) for each in dates],
    )


def request(state: str, target: str = "F1"):
    return SimpleNamespace(target=target, state=state)


DONE = date(2026, 11, 10)
CASES = {
    "no module is offered": ([], [], "nothing"),
    "everything is done": ([module(completed_on=DONE)], [], "done"),
    "what is left is locked": ([module(completed_on=DONE), module("F2", is_open=False)], [], "locked"),
    "an open module has no date": ([module(), module("F2", is_open=False)], [], "no_date"),
    "a day is announced": ([module(dates=[date(2027, 3, 1)])], [], "announced"),
    "a class is far away": ([module("F1", session(NOTED_WITHIN + HOUR))], [], "later"),
    "a class is soon": ([module("F1", session(NOTED_WITHIN))], [], "soon"),
    "a class is within the day": ([module("F1", session(JOINED_WITHIN))], [], "today"),
    "a class is running": ([module("F1", session(-HOUR))], [], "in_class"),
    "staff asked a question": ([module("F1", session(10 * JOINED_WITHIN))], [request("more_info")], "question"),
    "a question waits while a class begins": ([module("F1", session(HOUR))], [request("more_info")], "today"),
    "training elsewhere is being reviewed": ([module("F1", session(NOTED_WITHIN))], [request("submitted")], "waiting"),
    "a class of today is joined in spite of the review": (
        [module("F1", session(HOUR))],
        [request("submitted")],
        "today",
    ),
    "a locked module's class is none": ([module("F2", session(HOUR), is_open=False)], [], "locked"),
    "a class that training elsewhere replaces is none": ([module("F1", session(-HOUR), is_needed=False)], [], "done"),
    "a completed module's class is none": ([module("F1", session(-HOUR), completed_on=DONE)], [], "done"),
}


@pytest.mark.parametrize(("modules", "requests", "kind"), CASES.values(), ids=CASES)
def test_the_most_pressing_thing_comes_first(modules, requests, kind) -> None:
    assert next_thing(modules, requests, NOW).kind == kind


def test_the_class_that_begins_first_is_the_next_one() -> None:
    modules = [module("F1", session(5 * JOINED_WITHIN, 1)), module("F2", session(3 * JOINED_WITHIN, 2))]
    assert next_thing(modules, [], NOW).module.module.id == "F2"


def test_an_announced_day_that_comes_first_is_the_next_thing() -> None:
    modules = [module("F1", session(60 * 24 * HOUR)), module("F2", dates=[NOW.date() + timedelta(days=30)])]
    assert (next_thing(modules, [], NOW).kind, next_thing(modules[:1], [], NOW).kind) == ("announced", "later")


def test_a_module_under_review_yields_to_another_class() -> None:
    modules = [module("F1", session(3 * JOINED_WITHIN, 1)), module("ST_MUS", session(5 * JOINED_WITHIN, 2))]
    thing = next_thing(modules, [request("submitted")], NOW)
    assert (thing.kind, thing.session.id) == ("soon", 2)


def test_who_takes_a_completed_module_again_sees_its_class() -> None:
    modules = [module("F1", session(-HOUR, 7), completed_on=DONE)]
    assert next_thing(modules, [], NOW, attending={7}).kind == "in_class"
