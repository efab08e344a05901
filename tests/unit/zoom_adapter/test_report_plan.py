"""When Zoom is asked for a report."""

from datetime import UTC, datetime, timedelta

import pytest

from zoom_adapter.reports import MAX_HOURLY_REQUESTS, MIN_BETWEEN_ANSWERS, RequestsSinceEnd, min_apart, next_at

END = datetime(2026, 12, 2, 1, 0, tzinfo=UTC)


def after(minutes: float) -> datetime:
    return END + timedelta(minutes=minutes)


def requests(*minutes: float, settled: bool = False, answered: float | None = None) -> RequestsSinceEnd:
    asked = tuple(after(each) for each in minutes)
    said = after(answered) if answered is not None else (asked[-1] if asked else None)
    return RequestsSinceEnd(asked, said, settled)


@pytest.mark.parametrize(
    ("asked", "following"),
    [((), 5), ((5,), 15), ((5, 15), 30), ((30,), 60), ((60,), 120), ((121,), 1440), ((7,), 15), ((15,), 30)],
)
def test_every_step_comes_once_whatever_came_late(asked: tuple[float, ...], following: float) -> None:
    assert next_at(END, requests(*asked)) == after(following)


def test_two_equal_answers_end_the_asking_until_the_confirmation_a_day_later() -> None:
    assert next_at(END, requests(5, 15, settled=True)) == after(24 * 60)
    assert next_at(END, requests(5, 15, 24 * 60, settled=True)) is None


def test_a_confirmation_that_was_refused_is_asked_for_again() -> None:
    assert next_at(END, requests(5, 15, 1440, settled=True, answered=15)) == after(1500)


def test_without_agreement_a_day_later_it_is_every_hour_for_one_more_day_and_then_never() -> None:
    asked = [1440.0]
    while (following := next_at(END, requests(*asked))) is not None:
        assert following == after(asked[-1] + 60)
        asked.append(asked[-1] + 60)
    assert len(asked) == MAX_HOURLY_REQUESTS + 1


def test_a_class_of_long_ago_is_asked_about_now_and_an_hour_later() -> None:
    year = 365.0 * 24 * 60
    assert next_at(END, requests()) == after(5)
    assert next_at(END, requests(year)) == after(year + 60)
    assert next_at(END, requests(year, year + 60, settled=True)) is None


def test_what_zoom_will_never_have_is_not_asked_for_again() -> None:
    assert next_at(END, requests(5)._replace(is_unavailable=True)) is None


def test_on_the_day_equal_answers_must_lie_apart_later_they_need_not() -> None:
    assert min_apart(END, after(30)) == MIN_BETWEEN_ANSWERS
    assert min_apart(END, after(24 * 60)) == timedelta()
