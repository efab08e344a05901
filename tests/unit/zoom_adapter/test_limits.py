"""How often Zoom is asked: spacing by plan and weight, the limits of a day, and what the headers say."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests.clock import TestClock
from zoom_adapter.api_calls import MAX_WAIT_SECONDS, Limits, next_day, retry_at
from zoom_adapter.api_errors import ZoomRefused


class Pendulum:
    """A monotonic time that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)


@pytest.fixture
def pendulum() -> Pendulum:
    return Pendulum()


@pytest.fixture
def limits_of(clock: TestClock, pendulum: Pendulum) -> Callable[[str], Limits]:
    return lambda plan: Limits(plan, clock, monotonic=lambda: pendulum.at, sleep=pendulum.sleep)


@pytest.mark.parametrize(
    ("plan", "weight", "apart"),
    [
        ("free", "heavy", 2.0),
        ("free", "medium", 1.0),
        ("free", "light", 0.5),
        ("pro", "heavy", 0.2),
        ("pro", "medium", 0.1),
        ("business", "heavy", 0.05),
        ("business", "light", 0.025),
    ],
)
def test_calls_are_spaced_by_half_of_what_the_plan_allows(plan, weight, apart, limits_of, pendulum) -> None:
    limits = limits_of(plan)
    for _ in range(4):
        limits.wait(weight)
    assert pendulum.slept == pytest.approx([apart, 2 * apart, 3 * apart])


def test_a_call_after_a_pause_waits_for_nothing(limits_of, pendulum) -> None:
    limits = limits_of("free")
    limits.wait("heavy")
    pendulum.at += 10
    limits.wait("heavy")
    limits.wait("light")
    assert pendulum.slept == []


def test_threads_that_ask_at_once_get_moments_of_their_own(limits_of, pendulum) -> None:
    limits = limits_of("pro")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: limits.wait("heavy"), range(50)))
    assert sorted(pendulum.slept) == pytest.approx([number * 0.2 for number in range(1, 50)])


def test_the_calls_of_a_free_day_are_counted_until_utc_midnight(limits_of, clock) -> None:
    limits = limits_of("free")
    for _ in range(1000):
        limits.wait("heavy")
    with pytest.raises(ZoomRefused) as refused:
        limits.wait("heavy")
    assert (refused.value.code, refused.value.answered) == ("zoom_daily_limit", 0)
    assert refused.value.retry_at == datetime(2026, 12, 2, tzinfo=UTC)
    limits.wait("light")
    clock.at = refused.value.retry_at
    limits.wait("heavy")


def test_nothing_left_of_the_second_delays_the_next_call_by_one(limits_of, pendulum) -> None:
    limits = limits_of("business")
    limits.heed("light", {"X-RateLimit-Type": "QPS", "X-RateLimit-Remaining": "0"})
    limits.wait("light")
    limits.wait("medium")
    assert pendulum.slept == [1.0]


def test_nothing_left_of_the_day_closes_this_weight_only(limits_of) -> None:
    limits = limits_of("pro")
    limits.heed("heavy", {"X-RateLimit-Type": "Daily-limit", "X-RateLimit-Remaining": "0"})
    with pytest.raises(ZoomRefused, match="zoom_daily_limit"):
        limits.wait("heavy")
    limits.wait("medium")


@pytest.mark.parametrize("remaining", ["1", "", "many", "-0", "٠"])
def test_what_is_left_or_unreadable_changes_nothing(remaining, limits_of, pendulum) -> None:
    limits = limits_of("pro")
    limits.heed("heavy", {"X-RateLimit-Type": "Daily-limit", "X-RateLimit-Remaining": remaining})
    limits.wait("heavy")
    assert pendulum.slept == []


def test_backing_off_takes_longer_each_time_and_never_too_long(limits_of, pendulum, clock) -> None:
    limits = limits_of("pro")
    assert all(limits.back_off(attempt, clock()) for attempt in range(3))
    first, second, third = pendulum.slept
    assert 1 <= first <= 1.5
    assert 2 <= second <= 3
    assert 4 <= third <= 6
    assert limits.back_off(0, clock() + timedelta(seconds=7))
    assert 7 <= pendulum.slept[-1] <= 7.5
    assert not limits.back_off(0, clock() + timedelta(seconds=MAX_WAIT_SECONDS + 1))


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("30", datetime(2026, 12, 1, 18, 0, 30, tzinfo=UTC)),
        ("2026-12-01T19:00:00Z", datetime(2026, 12, 1, 19, tzinfo=UTC)),
        ("2026-12-01T19:00:00", datetime(2026, 12, 1, 19, tzinfo=UTC)),
        ("2026-12-01T11:00:00-08:00", datetime(2026, 12, 1, 19, tzinfo=UTC)),
        ("Tue, 01 Dec 2026 19:00:00 GMT", datetime(2026, 12, 1, 19, tzinfo=UTC)),
        ("2026-11-30T19:00:00Z", datetime(2026, 12, 1, 18, 0, 1, tzinfo=UTC)),
        ("0", datetime(2026, 12, 1, 18, 0, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", datetime(2026, 12, 1, 18, 0, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59-14:00", datetime(2026, 12, 1, 18, 0, 1, tzinfo=UTC)),
        ("2099-01-01T00:00:00Z", datetime(2026, 12, 3, 18, tzinfo=UTC)),
        ("99999999999", datetime(2026, 12, 1, 18, 0, 1, tzinfo=UTC)),
        ("soon", datetime(2026, 12, 1, 18, 0, 1, tzinfo=UTC)),
        ("-5", datetime(2026, 12, 1, 18, 0, 1, tzinfo=UTC)),
        ("", datetime(2026, 12, 1, 18, 0, 1, tzinfo=UTC)),
    ],
)
def test_retry_after_is_read_as_seconds_and_as_a_date(said: str, at: datetime, now: datetime) -> None:
    assert retry_at({"Retry-After": said}, now, daily=False) == at


def test_a_daily_limit_without_a_date_ends_at_utc_midnight(now: datetime) -> None:
    assert retry_at({}, now, daily=True) == next_day(now) == datetime(2026, 12, 2, tzinfo=UTC)


def test_a_daily_limit_that_is_said_to_be_over_already_closes_the_day_all_the_same(now: datetime) -> None:
    assert retry_at({"Retry-After": "2026-12-01T17:59:00Z"}, now, daily=True) == next_day(now)


@pytest.mark.parametrize("plan", ["free", "pro", "business"])
def test_every_plan_of_the_settings_has_its_limits(plan, limits_of, pendulum) -> None:
    for weight in ("light", "medium", "heavy"):
        limits_of(plan).wait(weight)
    assert pendulum.slept == []
