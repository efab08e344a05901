"""Arithmetic of intervals of time, half open: the end is not part of the interval.

PURE. The lists that these functions return are disjoint and in order of time if the first argument is.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple


class Interval(NamedTuple):
    """From one aware instant up to another."""

    start: datetime
    end: datetime


def union(intervals: Iterable[tuple[datetime, datetime]]) -> list[Interval]:
    """Any intervals as disjoint ones in order; intervals that touch become one."""
    joined: list[Interval] = []
    for start, end in sorted(intervals):
        if joined and start <= joined[-1].end:
            joined[-1] = Interval(joined[-1].start, max(end, joined[-1].end))
        else:
            joined.append(Interval(start, end))
    return joined


def without(
    intervals: Iterable[tuple[datetime, datetime]], taken: Sequence[tuple[datetime, datetime]]
) -> list[Interval]:
    """The parts of the first that the second, disjoint and in order, do not cover."""
    left: list[Interval] = []
    for start, end in intervals:
        at = start
        for taken_from, taken_to in taken:
            if taken_to <= at or taken_from >= end:
                continue
            if at < taken_from:
                left.append(Interval(at, taken_from))
            at = taken_to
        if at < end:
            left.append(Interval(at, end))
    return left


def common(
    intervals: Iterable[tuple[datetime, datetime]], others: Sequence[tuple[datetime, datetime]]
) -> list[Interval]:
    """The parts that the first and the second share."""
    return [
        Interval(max(start, other_start), min(end, other_end))
        for start, end in intervals
        for other_start, other_end in others
        if max(start, other_start) < min(end, other_end)
    ]


def longer(intervals: Iterable[tuple[datetime, datetime]], than: timedelta) -> list[Interval]:
    """The intervals that last longer than this."""
    return [Interval(start, end) for start, end in intervals if end - start > than]


def seconds(intervals: Iterable[tuple[datetime, datetime]]) -> int:
    """The length of all of them together, in whole seconds."""
    return round(sum((end - start).total_seconds() for start, end in intervals))
