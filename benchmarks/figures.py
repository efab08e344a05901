"""What a row yields: figures, each with its spread and, if there is one, the aim that it is held against."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

STARTED = time.monotonic()


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of repeated measurements, with the lowest and the highest."""

    median: float
    low: float
    high: float


def spread(values: Iterable[float]) -> Spread:
    kept = list(values)
    return Spread(median(kept), min(kept), max(kept))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Ours divided by theirs, round by round, since the rounds of a pair ran one after the other."""
    return spread(our / their for our, their in zip(ours, theirs, strict=True))


def percentile(values: Iterable[float], share: float) -> float:
    """The value that `share` of the values stay within."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@dataclass(frozen=True, slots=True)
class Aim:
    """A bound: at least (`>=`) or at most (`<=`) so much."""

    sign: str
    bound: float

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.sign == "≥" else value <= self.bound


def at_least(bound: float) -> Aim:
    return Aim("≥", bound)


def at_most(bound: float) -> Aim:
    return Aim("≤", bound)


@dataclass(frozen=True, slots=True)
class Figure:
    """One cell of a row's table: line `what`, column `where`.

    A growth figure has a `size` (people or events), which is its column in place of `where`. A figure without a number
    has a `note` instead: what a peer did, or why a row was skipped.
    """

    row: str
    what: str
    where: str
    value: Spread | None = None
    unit: str = ""
    aim: Aim | None = None
    size: int | None = None
    note: str = ""

    @property
    def is_missed(self) -> bool:
        return self.value is not None and self.aim is not None and not self.aim.is_met(self.value.median)


def progress(says: str) -> None:
    """Say on standard error what is being measured."""
    print(f"{time.monotonic() - STARTED:6.0f} s  {says}", file=sys.stderr, flush=True)


def timed(act: Callable[[], object]) -> float:
    """Seconds that this takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
