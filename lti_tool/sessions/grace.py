"""Short absences that a completion policy forgives: counted apart, never as presence.

PURE. Forgiven is an absence between two times of presence, in seconds of instruction. Breaks do not divide it. A late
arrival, an early departure, the waiting room and what nobody can prove are never forgiven.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

FORGIVABLE = "away"


class Missed(NamedTuple):
    """Instruction missed without a break, with the reason (`attendance.Why`)."""

    from_at: datetime
    to_at: datetime
    why: str

    @property
    def seconds(self) -> int:
        return int((self.to_at - self.from_at).total_seconds())


# One instructional segment: its first and last instant, and what of it was missed, in order.
Taught = tuple[datetime, datetime, Sequence[Missed]]


def forgiven_seconds(taught: Iterable[Taught], grace_seconds: int) -> int:
    """The seconds of all absences that are at most this long each."""
    return sum(gap.seconds for gap in _forgiven(taught, grace_seconds))


def forgiven_of(day: Mapping[str, Any], grace_seconds: int) -> int:
    """The same from a stored day (`Attendance.day()`)."""
    return forgiven_seconds(_taught(day), grace_seconds)


def forgiven_stretches(day: Mapping[str, Any], grace_seconds: int) -> frozenset[tuple[datetime, datetime]]:
    """Which of the gaps of a stored day these are."""
    return frozenset((gap.from_at, gap.to_at) for gap in _forgiven(_taught(day), grace_seconds))


def _forgiven(taught: Iterable[Taught], grace_seconds: int) -> Iterator[Missed]:
    for absence in _absences(taught):
        if {gap.why for gap in absence} == {FORGIVABLE} and sum(gap.seconds for gap in absence) <= grace_seconds:
            yield from absence


def _absences(taught: Iterable[Taught]) -> list[list[Missed]]:
    """Every absence, with the gaps that it is made of."""
    found: list[list[Missed]] = []
    running = False
    for starts_at, ends_at, missed in taught:
        present_from = starts_at
        for gap in missed:
            if not running or gap.from_at > present_from:
                found.append([])
            found[-1].append(gap)
            running, present_from = True, gap.to_at
        running = running and present_from == ends_at
    return found


def _taught(day: Mapping[str, Any]) -> Iterator[Taught]:
    for each in day["segments"]:
        if each["instructional"]:
            yield _at(each["from"]), _at(each["to"]), [_missed(gap) for gap in each["missed"]]


def _missed(gap: Mapping[str, Any]) -> Missed:
    return Missed(_at(gap["from"]), _at(gap["to"]), gap["why"])


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
