"""One person's attendance of one live session: presence × agenda × policy → what counted, what was missed, and why.

PURE, in whole seconds (ce.md T7). Presence is the union of all intervals of the person: what overlaps counts once (T6).
Only seconds inside instructional segments count (T3). An interval that does not count (`counts` is false: the waiting
room, a stay whose start nobody knows) earns nothing; it only explains a gap.

Short absences that a completion policy forgives: counted apart, never as presence.

PURE. Forgiven is an absence between two times of presence, in seconds of instruction. Breaks do not divide it. A late
arrival, an early departure, the waiting room and what nobody can prove are never forgiven.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from lti_tool.attendance.agenda import Segment, instructional_seconds
from lti_tool.attendance.evidence import (
    GRADES,
    WAITING_ROOM,
    Evidence,
    PersonPresence,
    Piece,
    PresenceInterval,
    ReportComparison,
    RoomStay,
    pieces_of,
    second,
)

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
    return sum(gap.seconds for gap in _forgiven_absence(taught, grace_seconds))


def forgiven_of(day: Mapping[str, Any], grace_seconds: int) -> int:
    """The same from a stored day (`Attendance.day()`)."""
    return forgiven_seconds(_taught(day), grace_seconds)


def forgiven_stretches(day: Mapping[str, Any], grace_seconds: int) -> frozenset[tuple[datetime, datetime]]:
    """Which of the gaps of a stored day these are."""
    return frozenset((gap.from_at, gap.to_at) for gap in _forgiven_absence(_taught(day), grace_seconds))


def _forgiven_absence(taught: Iterable[Taught], grace_seconds: int) -> Iterator[Missed]:
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


__all__ = [
    "WAITING_ROOM",
    "Attendance",
    "CountedInterval",
    "Evidence",
    "Gap",
    "PersonPresence",
    "PresenceInterval",
    "ReportComparison",
    "RoomStay",
    "SegmentPresence",
    "Why",
    "attend",
]

Absence = Literal["absent", "before_arrival", "away", "left_early"]
Why = Literal[Absence, "waiting_room", "unconfirmed", "staff_role", "corrected"]


@dataclass(frozen=True, slots=True)
class CountedInterval:
    """A stretch of presence of one grade of evidence; stretches never overlap. `counted_seconds` lie in instruction.
    `from_evidence` and `to_evidence` grade its two edges; with `counts` false it is no attendance."""

    from_at: datetime
    to_at: datetime
    evidence: Evidence
    counted_seconds: int
    from_evidence: Evidence
    to_evidence: Evidence
    counts: bool

    def to_json(self) -> dict[str, Any]:
        return {
            "from": _iso(self.from_at),
            "to": _iso(self.to_at),
            "evidence": self.evidence,
            "from_evidence": self.from_evidence,
            "to_evidence": self.to_evidence,
            "counts": self.counts,
            "counted_seconds": self.counted_seconds,
        }


@dataclass(frozen=True, slots=True)
class Gap:
    """Instruction that was missed without a break, inside one segment."""

    from_at: datetime
    to_at: datetime
    seconds: int
    why: str  # one of Why

    def to_json(self) -> dict[str, Any]:
        return {"from": _iso(self.from_at), "to": _iso(self.to_at), "seconds": self.seconds, "why": self.why}


@dataclass(frozen=True, slots=True)
class SegmentPresence:
    """One segment of the agenda and the part of it that the person was there. Breaks are never missed."""

    segment: Segment
    seconds_present: int
    seconds_missed: int
    evidence: tuple[str, ...]
    missed: tuple[Gap, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "from": _iso(self.segment.starts_at),
            "to": _iso(self.segment.ends_at),
            "title": self.segment.title,
            "instructional": self.segment.instructional,
            "seconds": self.segment.seconds,
            "seconds_present": self.seconds_present,
            "seconds_missed": self.seconds_missed,
            "evidence": list(self.evidence),
            "missed": [gap.to_json() for gap in self.missed],
        }


@dataclass(frozen=True, slots=True)
class Attendance:
    """The result. `completed` is "has taken the module" (ce.md T1): of instruction, at least `seconds_required`
    attended, where `seconds_forgiven` (short absences, by policy) count like attended ones but are no presence.
    `rooms`, `waiting` and `report` only explain."""

    seconds_present: int
    seconds_forgiven: int
    seconds_instructional: int
    seconds_required: int
    completed: bool
    intervals: tuple[CountedInterval, ...]
    missed: tuple[Gap, ...]
    segments: tuple[SegmentPresence, ...]
    flags: tuple[str, ...]
    rooms: tuple[RoomStay, ...] = ()
    waiting: tuple[tuple[datetime, datetime], ...] = ()
    report: ReportComparison | None = None

    @property
    def present(self) -> list[tuple[datetime, datetime]]:
        """The disjoint times that count as presence, in order, breaks included."""
        spans: list[tuple[datetime, datetime]] = []
        for each in self.intervals:
            if each.counts and spans and spans[-1][1] == each.from_at:
                spans[-1] = (spans[-1][0], each.to_at)
            elif each.counts:
                spans.append((each.from_at, each.to_at))
        return spans

    def day(self) -> dict[str, Any]:
        """The day as a page shows it, in plain JSON values: each segment with the seconds present and missed, why, and
        by which evidence; the stretches of presence; the rooms; the two records side by side; the sums. Instants are
        ISO 8601 in UTC."""
        return {
            "seconds_present": self.seconds_present,
            "seconds_forgiven": self.seconds_forgiven,
            "seconds_instructional": self.seconds_instructional,
            "seconds_required": self.seconds_required,
            "completed": self.completed,
            "segments": [each.to_json() for each in self.segments],
            "intervals": [each.to_json() for each in self.intervals],
            "missed": [gap.to_json() for gap in self.missed],
            "rooms": [{"from": _iso(each.from_at), "to": _iso(each.to_at), "room": each.room} for each in self.rooms],
            "waiting": [{"from": _iso(start), "to": _iso(end)} for start, end in self.waiting],
            "report": _report_json(self.report),
            "flags": list(self.flags),
        }


def attend(
    intervals: Iterable[PresenceInterval],
    segments: Sequence[Segment],
    share: Decimal,
    *,
    grace_seconds: int = 0,
    staff_earn: bool = False,
    rooms: tuple[RoomStay, ...] = (),
    report: ReportComparison | None = None,
) -> Attendance:
    """What one person attended.

    `share` of the instructional seconds must be attended to complete (0.80 of 390 minutes: 312:00 is enough, 311:59 is
    not). An absence of up to `grace_seconds` between two times of presence is forgiven. With `staff_earn`, time in
    which the person ran the meeting counts too. An agenda without instruction is completed by nobody.
    """
    pieces = pieces_of(intervals, staff_earn=staff_earn)
    present = [piece for piece in pieces if piece.counts]
    spans = [(second(each.starts_at), second(each.ends_at)) for each in segments if each.instructional]
    shown = tuple(_in_segment(segment, pieces, present) for segment in segments)
    attended = sum(each.seconds_present for each in shown if each.segment.instructional)
    forgiven = _forgiven(shown, grace_seconds) if grace_seconds else 0
    total = instructional_seconds(segments)
    required = math.ceil(share * total)
    return Attendance(
        seconds_present=attended,
        seconds_forgiven=forgiven,
        seconds_instructional=total,
        seconds_required=required,
        completed=total > 0 and attended + forgiven >= required,
        intervals=tuple(_counted(piece, spans) for piece in pieces if piece.label != WAITING_ROOM),
        missed=tuple(gap for each in shown for gap in each.missed),
        segments=shown,
        flags=_flags(pieces, spans),
        rooms=rooms,
        waiting=tuple((_instant(each.start), _instant(each.end)) for each in pieces if each.label == WAITING_ROOM),
        report=report,
    )


def _forgiven(shown: Iterable[SegmentPresence], grace_seconds: int) -> int:
    taught = (
        (each.segment.starts_at, each.segment.ends_at, [Missed(gap.from_at, gap.to_at, gap.why) for gap in each.missed])
        for each in shown
        if each.segment.instructional
    )
    return forgiven_seconds(taught, grace_seconds)


def _counted(piece: Piece, spans: Sequence[tuple[int, int]]) -> CountedInterval:
    return CountedInterval(
        from_at=_instant(piece.start),
        to_at=_instant(piece.end),
        evidence=piece.evidence,
        counted_seconds=sum(piece.within(*span) for span in spans) if piece.counts else 0,
        from_evidence=piece.from_evidence,
        to_evidence=piece.to_evidence,
        counts=piece.counts,
    )


def _in_segment(segment: Segment, pieces: Sequence[Piece], present: Sequence[Piece]) -> SegmentPresence:
    start, end = second(segment.starts_at), second(segment.ends_at)
    here = [piece for piece in pieces if piece.within(start, end)]
    found = {piece.label for piece in here if piece.counts}
    gaps = tuple(_gaps(start, end, here, present)) if segment.instructional else ()
    return SegmentPresence(
        segment=segment,
        seconds_present=sum(piece.within(start, end) for piece in here if piece.counts),
        seconds_missed=sum(gap.seconds for gap in gaps),
        evidence=tuple(grade for grade in GRADES if grade in found),
        missed=gaps,
    )


def _gaps(start: int, end: int, here: Sequence[Piece], present: Sequence[Piece]) -> Iterator[Gap]:
    """What of one segment no counting piece covers, in order, each stretch with its reason."""
    at = start
    for piece in here:
        if at < piece.start:
            yield _gap(at, piece.start, _why(at, piece.start, present))
        at, until = max(at, piece.start), min(piece.end, end)
        if not piece.counts:
            yield _gap(at, until, piece.label)
        at = until
    if at < end:
        yield _gap(at, end, _why(at, end, present))


def _why(start: int, end: int, present: Sequence[Piece]) -> Absence:
    if not present:
        return "absent"
    if end <= present[0].start:
        return "before_arrival"
    return "left_early" if start >= present[-1].end else "away"


def _gap(start: int, end: int, why: str) -> Gap:
    return Gap(_instant(start), _instant(end), end - start, why)


def _flags(pieces: Sequence[Piece], spans: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """`estimated`: seconds were credited on an estimate; `unconfirmed`: some were not credited for want of proof."""
    counted = {piece.label for piece in pieces if any(piece.within(*span) for span in spans)}
    return tuple(flag for flag in ("estimated", "unconfirmed") if flag in counted)


def _report_json(report: ReportComparison | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {
        "webhook_seconds": report.webhook_seconds,
        "report_seconds": report.report_seconds,
        "difference_seconds": report.difference_seconds,
        "reasons": list(report.reasons),
    }


def _instant(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
