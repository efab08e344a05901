"""Arithmetic of spans of time: (start, end), half open.

PURE. Lists of spans are disjoint and in order of time unless something else is said.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

Span = tuple[datetime, datetime]


def union(spans: Iterable[Span]) -> list[Span]:
    """Any spans as disjoint ones in order; touching ones become one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def without(spans: Iterable[Span], taken: Sequence[Span]) -> list[Span]:
    """What of the first the second leave over."""
    left: list[Span] = []
    for start, end in spans:
        at = start
        for taken_from, taken_to in taken:
            if taken_to <= at or taken_from >= end:
                continue
            if at < taken_from:
                left.append((at, taken_from))
            at = taken_to
        if at < end:
            left.append((at, end))
    return left


def common(spans: Iterable[Span], others: Sequence[Span]) -> list[Span]:
    """What the first and the second share."""
    shared = [
        (max(start, other_start), min(end, other_end)) for start, end in spans for other_start, other_end in others
    ]
    return [(start, end) for start, end in shared if start < end]


def longer(spans: Iterable[Span], than: timedelta) -> list[Span]:
    return [(start, end) for start, end in spans if end - start > than]


def seconds(spans: Iterable[Span]) -> int:
    """The length of them all."""
    return round(sum((end - start).total_seconds() for start, end in spans))
