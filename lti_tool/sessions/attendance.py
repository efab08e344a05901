"""One person's attendance of one live session: presence × agenda × share → what counted, what was missed, and why.

PURE, in whole seconds (ce.md T7). Presence is the union of all intervals of the person: what overlaps counts once (T6).
Only seconds inside instructional segments count (T3). An interval that does not count (`counts` is false: the waiting
room, a stay whose start nobody knows) earns nothing; it only explains a gap.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Literal

from lti_tool.sessions.agenda import Segment, instructional_seconds

Evidence = Literal["webhook", "report", "both", "estimated"]
Why = Literal["absent", "before_arrival", "away", "left_early", "waiting_room", "unconfirmed"]

WAITING_ROOM: Final = "waiting_room"
# From the strongest evidence to the weakest; presence that does not count is weaker than any that does.
_STRENGTH = ("both", "webhook", "report", "estimated", WAITING_ROOM, "unconfirmed")
_COUNTING = frozenset(_STRENGTH[:4])


@dataclass(frozen=True, slots=True)
class PresenceInterval:
    """Somebody was in the meeting from `from_at` to `to_at` (aware UTC).

    `source` says which record shows it, for example "connection:…" or "waiting_room". With `counts` false no second of
    it is credited.
    """

    from_at: datetime
    to_at: datetime
    evidence: Evidence
    counts: bool
    source: str


@dataclass(frozen=True, slots=True)
class PersonPresence:
    """All the evidence about one person in one live session. `person_key` names whom it speaks of ("trainee:7",
    "registrant:…", "email:…", "connection:…"); `trainee_id` is None while nobody has matched the person. `former_keys`
    are all keys that parts of the same evidence may have had before."""

    person_key: str
    trainee_id: int | None
    display_name: str | None
    email: str | None
    registrant_id: str | None
    intervals: tuple[PresenceInterval, ...]
    flags: tuple[str, ...] = ()
    former_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CountedInterval:
    """A stretch of presence of one grade of evidence; stretches never overlap. `counted_seconds` lie in instruction."""

    from_at: datetime
    to_at: datetime
    evidence: Evidence
    counted_seconds: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Instruction that was missed without a break, inside one segment."""

    from_at: datetime
    to_at: datetime
    seconds: int
    why: Why


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
            "missed": [_gap_json(gap) for gap in self.missed],
        }


@dataclass(frozen=True, slots=True)
class Attendance:
    """The result. `completed` is "has taken the module" (T1): at least `seconds_required` of instruction attended."""

    seconds_present: int
    seconds_instructional: int
    seconds_required: int
    completed: bool
    intervals: tuple[CountedInterval, ...]
    missed: tuple[Gap, ...]
    segments: tuple[SegmentPresence, ...]
    flags: tuple[str, ...]

    def day(self) -> dict[str, Any]:
        """The day as a page shows it, in plain JSON values: each segment with the seconds present and missed, why, and
        by which evidence; the stretches of presence; the sums. Instants are ISO 8601 in UTC."""
        return {
            "seconds_present": self.seconds_present,
            "seconds_instructional": self.seconds_instructional,
            "seconds_required": self.seconds_required,
            "completed": self.completed,
            "segments": [each.to_json() for each in self.segments],
            "intervals": [
                {
                    "from": _iso(each.from_at),
                    "to": _iso(each.to_at),
                    "evidence": each.evidence,
                    "counted_seconds": each.counted_seconds,
                }
                for each in self.intervals
            ],
            "missed": [_gap_json(gap) for gap in self.missed],
            "flags": list(self.flags),
        }


@dataclass(frozen=True, slots=True)
class _Piece:
    """Seconds since the epoch with one label of `_STRENGTH`; the pieces of a person are in order and disjoint."""

    start: int
    end: int
    label: str

    def within(self, start: int, end: int) -> int:
        return max(0, min(self.end, end) - max(self.start, start))


def attend(intervals: Iterable[PresenceInterval], segments: Sequence[Segment], share: Decimal) -> Attendance:
    """What one person attended.

    `share` of the instructional seconds must be attended to complete (0.80 of 390 minutes: 312:00 is enough, 311:59 is
    not). An agenda without instruction is completed by nobody.
    """
    pieces = _union(intervals)
    present = [piece for piece in pieces if piece.label in _COUNTING]
    spans = [(_second(each.starts_at), _second(each.ends_at)) for each in segments if each.instructional]
    shown = tuple(_in_segment(segment, pieces, present) for segment in segments)
    attended = sum(each.seconds_present for each in shown if each.segment.instructional)
    total = instructional_seconds(segments)
    required = math.ceil(share * total)
    return Attendance(
        seconds_present=attended,
        seconds_instructional=total,
        seconds_required=required,
        completed=total > 0 and attended >= required,
        intervals=tuple(_counted(piece, spans) for piece in pieces if piece.label != WAITING_ROOM),
        missed=tuple(gap for each in shown for gap in each.missed),
        segments=shown,
        flags=_flags(pieces, spans),
    )


def _union(intervals: Iterable[PresenceInterval]) -> list[_Piece]:
    """Disjoint pieces in order, each labelled with the strongest evidence that covers it."""
    edges = []
    for each in intervals:
        start, end = _second(each.from_at), _second(each.to_at)
        if start < end:
            label = each.evidence if each.counts else _idle_label(each)
            edges += [(start, 1, label), (end, -1, label)]
    pieces: list[_Piece] = []
    active: Counter[str] = Counter()
    previous = 0
    for second, step, label in sorted(edges):
        covering = _strongest(active)
        if covering and previous < second:
            _extend(pieces, previous, second, covering)
        active[label] += step
        previous = second
    return pieces


def _idle_label(interval: PresenceInterval) -> str:
    return WAITING_ROOM if interval.source == WAITING_ROOM else "unconfirmed"


def _strongest(active: Counter[str]) -> str | None:
    if active["webhook"] > 0 and active["report"] > 0:
        return "both"
    return next((label for label in _STRENGTH if active[label] > 0), None)


def _extend(pieces: list[_Piece], start: int, end: int, label: str) -> None:
    if pieces and pieces[-1].end == start and pieces[-1].label == label:
        start = pieces.pop().start
    pieces.append(_Piece(start, end, label))


def _counted(piece: _Piece, spans: Sequence[tuple[int, int]]) -> CountedInterval:
    counts = piece.label in _COUNTING
    seconds = sum(piece.within(*span) for span in spans) if counts else 0
    evidence: Any = piece.label if counts else "estimated"
    return CountedInterval(_instant(piece.start), _instant(piece.end), evidence, seconds)


def _in_segment(segment: Segment, pieces: Sequence[_Piece], present: Sequence[_Piece]) -> SegmentPresence:
    start, end = _second(segment.starts_at), _second(segment.ends_at)
    here = [piece for piece in pieces if piece.within(start, end)]
    found = {piece.label for piece in here} & _COUNTING
    gaps = tuple(_gaps(start, end, here, present)) if segment.instructional else ()
    return SegmentPresence(
        segment=segment,
        seconds_present=sum(piece.within(start, end) for piece in here if piece.label in _COUNTING),
        seconds_missed=sum(gap.seconds for gap in gaps),
        evidence=tuple(label for label in _STRENGTH if label in found),
        missed=gaps,
    )


def _gaps(start: int, end: int, here: Sequence[_Piece], present: Sequence[_Piece]) -> Iterator[Gap]:
    """What of one segment no counting piece covers, in order, each stretch with its reason."""
    at = start
    for piece in here:
        if at < piece.start:
            yield _gap(at, piece.start, _why(at, piece.start, present))
        at, until = max(at, piece.start), min(piece.end, end)
        if piece.label not in _COUNTING:
            yield _gap(at, until, WAITING_ROOM if piece.label == WAITING_ROOM else "unconfirmed")
        at = until
    if at < end:
        yield _gap(at, end, _why(at, end, present))


def _why(start: int, end: int, present: Sequence[_Piece]) -> Why:
    if not present:
        return "absent"
    if end <= present[0].start:
        return "before_arrival"
    return "left_early" if start >= present[-1].end else "away"


def _gap(start: int, end: int, why: Why) -> Gap:
    return Gap(_instant(start), _instant(end), end - start, why)


def _flags(pieces: Sequence[_Piece], spans: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """`estimated`: seconds were credited on an estimate; `unconfirmed`: some were not credited for want of proof."""
    counted = {piece.label for piece in pieces if any(piece.within(*span) for span in spans)}
    return tuple(flag for flag in ("estimated", "unconfirmed") if flag in counted)


def _gap_json(gap: Gap) -> dict[str, Any]:
    return {"from": _iso(gap.from_at), "to": _iso(gap.to_at), "seconds": gap.seconds, "why": gap.why}


def _second(at: datetime) -> int:
    return math.floor(at.timestamp())


def _instant(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
