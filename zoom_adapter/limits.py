"""How often Zoom's REST interface may be asked: spacing within this process, and what Zoom's headers say (zoom.md §6).

The limits are an account's, for all of its apps together: Gatehouse takes half of the calls per second, so that the
others have room, and counts the day's only where a plan limits them. A day is a UTC day.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

from zoom_adapter.api_errors import daily_limit

Weight = Literal["light", "medium", "heavy"]

LONG_AGO = datetime.min.replace(tzinfo=UTC)
OUR_SHARE = 0.5
# After a 429 without a word of how long: one second, two, four, each with a random part on top.
FIRST_BACKOFF_SECONDS = 1.0
# Longer than this nobody waits inside a call: the worker has other things to do.
LONGEST_WAIT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one account may do with calls of one weight."""

    per_second: float
    per_day: int | None = None


PLANS: Mapping[str, Mapping[Weight, Allowance]] = {
    "free": {"light": Allowance(4, 6_000), "medium": Allowance(2, 2_000), "heavy": Allowance(1, 1_000)},
    "pro": {"light": Allowance(30), "medium": Allowance(20), "heavy": Allowance(10, 30_000)},
    "business": {"light": Allowance(80), "medium": Allowance(60), "heavy": Allowance(40, 60_000)},
}


@dataclass(slots=True)
class _Pace:
    """The calls of one weight: when the next may start (monotonic seconds), how many there were today, and until when
    there is to be none."""

    allowance: Allowance
    next_at: float = 0.0
    day: date = date.min
    calls: int = 0
    closed_until: datetime = LONG_AGO


@dataclass
class Limits:
    """The paces of one account. Safe to use from several threads: each call gets a moment of its own."""

    plan: str
    clock: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._paces: dict[Weight, _Pace] = {weight: _Pace(each) for weight, each in PLANS[self.plan].items()}

    def wait(self, weight: Weight) -> None:
        """Return when a call of this weight may be made. Raises ZoomRefused `zoom_daily_limit` when there is to be none
        today."""
        with self._lock:
            seconds = self._reserve(self._paces[weight], self.clock())
        if seconds > 0:
            self.sleep(seconds)

    def _reserve(self, pace: _Pace, now: datetime) -> float:
        """Take the next free moment; the seconds until it."""
        if now < pace.closed_until:
            raise daily_limit(pace.closed_until, answered=0)
        if pace.day != now.date():
            pace.day, pace.calls = now.date(), 0
        if pace.allowance.per_day is not None and pace.calls >= pace.allowance.per_day:
            raise daily_limit(next_day(now), answered=0)
        pace.calls += 1
        at = self.monotonic()
        starts = max(at, pace.next_at)
        pace.next_at = starts + 1 / (pace.allowance.per_second * OUR_SHARE)
        return starts - at

    def heed(self, weight: Weight, headers: Mapping[str, str]) -> None:
        """Obey what the headers of any answer say: nothing left of the day closes this weight until tomorrow, nothing
        left of the second delays the next call by one."""
        if _remaining(headers) != 0:
            return
        with self._lock:
            pace = self._paces[weight]
            if is_daily(headers):
                pace.closed_until = max(pace.closed_until, retry_at(headers, self.clock(), daily=True))
            else:
                pace.next_at = max(pace.next_at, self.monotonic() + 1)

    def close(self, weight: Weight, until: datetime) -> None:
        """No call of this weight before this instant."""
        with self._lock:
            pace = self._paces[weight]
            pace.closed_until = max(pace.closed_until, until)

    def back_off(self, attempt: int, until: datetime) -> bool:
        """Wait after a 429 of the second, for the `attempt`-th time (from 0); False when `until` is too far away to
        wait for."""
        asked = (until - self.clock()).total_seconds()
        if asked > LONGEST_WAIT_SECONDS:
            return False
        least = FIRST_BACKOFF_SECONDS * 2**attempt
        # The random part keeps several processes from coming back in the same moment; no secret hangs on it.
        self.sleep(min(max(asked, least), LONGEST_WAIT_SECONDS) + random.uniform(0, least / 2))  # noqa: S311
        return True


def retry_at(headers: Mapping[str, str], now: datetime, *, daily: bool) -> datetime:
    """When Zoom wants to be asked again: `Retry-After` as a date or in seconds; without one in a second, or at the next
    UTC midnight for a daily limit. Always to come, never later than two days from now."""
    said = _instant(headers.get("Retry-After", ""), now)
    fallback = next_day(now) if daily else now + timedelta(seconds=1)
    return min(said if said and said > now else fallback, now + timedelta(days=2))


def next_day(now: datetime) -> datetime:
    """The next UTC midnight."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)


def is_daily(headers: Mapping[str, str]) -> bool:
    """Whether the limit that the headers speak of is the day's (`X-RateLimit-Type`: `QPS` or a text with "daily")."""
    return "daily" in headers.get("X-RateLimit-Type", "").lower()


def _remaining(headers: Mapping[str, str]) -> int | None:
    text = headers.get("X-RateLimit-Remaining", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _instant(text: str, now: datetime) -> datetime | None:
    """Seconds from now, an ISO 8601 instant, or an HTTP date; None for anything else."""
    plain = text.strip()
    if plain.isascii() and plain.isdigit() and len(plain) < 8:
        return now + timedelta(seconds=int(plain))
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = read(plain)
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None
