"""The time a credit body sees: what was missed of a day, under that body's policy.

PURE. Estimated presence earns no credit: it is missed until the platform's report or a reviewer confirms it
(zoom.md §4), so every sum exists twice, without and with what is still unconfirmed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Literal

from lti_tool.programme.model import CreditPolicy

Kind = Literal["proven", "unproven", "absent"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Instructional seconds of one kind, starting at `from_at`; stretches of a day are disjoint."""

    from_at: datetime
    seconds: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Missed:
    """Seconds of instruction missed: before the arrival, in one go at most, and in all."""

    late: int
    longest: int
    total: int

    def meets(self, policy: CreditPolicy) -> bool:
        """Whether a body with this policy still gives credit. A limit nobody has set allows nothing."""
        return (
            self.late <= 60 * (policy.late_arrival_minutes or 0)
            and self.longest <= 60 * (policy.max_missed_consecutive_minutes or 0)
            and self.total <= 60 * (policy.max_missed_total_minutes or 0)
        )


def stretches(day: Mapping[str, Any]) -> tuple[Stretch, ...]:
    """The instructional time of a day (`Attendance.day()`) in order."""
    found = [*_present(day["intervals"]), *_absent(day["missed"])]
    return tuple(sorted(found, key=lambda each: each.from_at))


def missed(day: Iterable[Stretch], policy: CreditPolicy, *, unproven_counts: bool) -> Missed:
    """What was missed. Breaks do not divide an absence; absences up to the body's reconnect gap are not counted."""
    runs: list[tuple[bool, int]] = [
        (present, sum(each.seconds for each in run))
        for present, run in groupby(day, key=lambda each: _is_present(each, unproven_counts))
    ]
    absences = [seconds for present, seconds in runs if not present and seconds > policy.reconnect_gap_seconds]
    late = runs[0][1] if runs and not runs[0][0] and runs[0][1] > policy.reconnect_gap_seconds else 0
    return Missed(late=late, longest=max(absences, default=0), total=sum(absences))


def _is_present(stretch: Stretch, unproven_counts: bool) -> bool:
    return stretch.kind == "proven" or (unproven_counts and stretch.kind == "unproven")


def _present(intervals: Iterable[Mapping[str, Any]]) -> Iterator[Stretch]:
    for each in intervals:
        if each["counted_seconds"]:
            kind: Kind = "unproven" if each["evidence"] == "estimated" else "proven"
            yield Stretch(datetime.fromisoformat(each["from"]), each["counted_seconds"], kind)


def _absent(gaps: Iterable[Mapping[str, Any]]) -> Iterator[Stretch]:
    for each in gaps:
        kind: Kind = "unproven" if each["why"] == "unconfirmed" else "absent"
        yield Stretch(datetime.fromisoformat(each["from"]), each["seconds"], kind)
