"""One person's attendance of one live session: presence × agenda × policy → what counted, what was missed, and why.

PURE, in whole seconds (ce.md T7). Presence is the union of all intervals of the person: what overlaps counts once
(ce.md T6). Only seconds inside instructional segments count (ce.md T3). An interval that does not count (the waiting
room, a connection with an unknown start) only explains a gap.

Participation is how many of the questions put to the person were answered. A question (a presence check or a poll)
counts as put to a person whose counted presence covers, during instruction, the whole time in which it could be
answered: a person who was away has lost those seconds already. Other answers are shown and do not count.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from lti_tool.attendance.agenda import Segment, instructional_seconds, taught
from lti_tool.attendance.evidence import (
    GRADES,
    STAFF_ROLE,
    WAITING_ROOM,
    Evidence,
    Piece,
    PresenceInterval,
    ReportComparison,
    RoomInterval,
    pieces_of,
)
from lti_tool.intervals import Interval, common, union

Kind = Literal["check", "poll"]


@dataclass(frozen=True, slots=True)
class Question:
    """A presence check or poll that could be answered from `from_at` to `to_at` (aware UTC). `answered_at` is when
    this person answered, None without an answer; `put` says whether it counts as put to the person."""

    kind: Kind
    from_at: datetime
    to_at: datetime
    answered_at: datetime | None = None
    put: bool = False


@dataclass(frozen=True, slots=True)
class Participation:
    """The questions of one session as they stand for one person, in order of time."""

    questions: tuple[Question, ...] = ()

    @property
    def put(self) -> int:
        return sum(each.put for each in self.questions)

    @property
    def answered(self) -> int:
        """How many of the questions put to the person were answered."""
        return sum(each.put and each.answered_at is not None for each in self.questions)

    def is_enough(self, share: Decimal | None) -> bool:
        """Whether the answered share reaches the policy's (None: the policy asks for none). Without questions nothing
        is missing."""
        return share is None or self.answered >= math.ceil(share * self.put)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON column; instants as ISO 8601 in UTC."""
        questions = [
            {
                "kind": each.kind,
                "from": each.from_at.astimezone(UTC).isoformat(),
                "to": each.to_at.astimezone(UTC).isoformat(),
                "put": each.put,
                "answered_at": None if each.answered_at is None else each.answered_at.astimezone(UTC).isoformat(),
            }
            for each in self.questions
        ]
        return {"put": self.put, "answered": self.answered, "questions": questions}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Participation":
        """What `to_json` wrote."""
        return cls(
            tuple(
                Question(
                    each["kind"],
                    datetime.fromisoformat(each["from"]),
                    datetime.fromisoformat(each["to"]),
                    datetime.fromisoformat(each["answered_at"]) if each["answered_at"] else None,
                    each["put"],
                )
                for each in raw.get("questions", ())
            )
        )


NO_QUESTIONS = Participation()


def participate(questions: Iterable[Question], present: Sequence[Interval]) -> Participation:
    """Which questions count as put to a person; `present` are the disjoint intervals of counted presence during
    instruction."""
    return Participation(
        tuple(
            replace(each, put=any(start <= each.from_at and each.to_at <= end for start, end in present))
            for each in sorted(questions, key=lambda each: (each.from_at, each.to_at, each.kind))
        )
    )


Absence = Literal["absent", "before_arrival", "away", "left_early"]
# Why instruction was missed: an absence, or "waiting_room", "unconfirmed", "staff_role" or "corrected".
FORGIVABLE: Absence = "away"


class Missed(NamedTuple):
    """Instruction missed without a break, inside one segment. `why` is an Absence or the label of a piece."""

    from_at: datetime
    to_at: datetime
    why: str

    @property
    def seconds(self) -> int:
        return int((self.to_at - self.from_at).total_seconds())


@dataclass(frozen=True, slots=True)
class CountedInterval:
    """Presence of one grade of evidence; the intervals of a day never overlap. `counted_seconds` lie in instruction.
    `from_evidence` and `to_evidence` grade the two edges; with `counts` false it is no attendance."""

    from_at: datetime
    to_at: datetime
    evidence: Evidence
    counted_seconds: int
    from_evidence: Evidence
    to_evidence: Evidence
    counts: bool


@dataclass(frozen=True, slots=True)
class SegmentPresence:
    """One segment of the agenda and the person's presence in it. Breaks are never missed."""

    segment: Segment
    seconds_present: int
    evidence: tuple[str, ...]
    missed: tuple[Missed, ...]

    @property
    def seconds_missed(self) -> int:
        return sum(gap.seconds for gap in self.missed)


@dataclass(frozen=True, slots=True)
class Attendance:
    """One person's day in one live session.

    `completed` is "has taken the module" (ce.md T1): at least `seconds_required` of instruction attended, where
    `seconds_forgiven` (short absences, by policy) count like attended ones but are not presence, and enough questions
    answered. `rooms`, `waiting` and `report` only explain.
    """

    seconds_present: int
    seconds_forgiven: int
    seconds_instructional: int
    seconds_required: int
    completed: bool
    intervals: tuple[CountedInterval, ...]
    segments: tuple[SegmentPresence, ...]
    flags: tuple[str, ...]
    rooms: tuple[RoomInterval, ...] = ()
    waiting: tuple[Interval, ...] = ()
    report: ReportComparison | None = None
    participation: Participation = NO_QUESTIONS

    @property
    def missed(self) -> tuple[Missed, ...]:
        return tuple(gap for each in self.segments for gap in each.missed)

    @property
    def seconds_in_role(self) -> int:
        """Seconds of instruction in which the person ran the meeting, and which therefore do not count."""
        return sum(gap.seconds for gap in self.missed if gap.why == STAFF_ROLE)

    @property
    def missing_seconds(self) -> int:
        """How many more seconds would have completed the module; 0 when it is completed by its seconds."""
        return max(0, self.seconds_required - self.seconds_present - self.seconds_forgiven)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON column; instants as ISO 8601 in UTC."""
        return {
            "seconds_present": self.seconds_present,
            "seconds_forgiven": self.seconds_forgiven,
            "seconds_instructional": self.seconds_instructional,
            "seconds_required": self.seconds_required,
            "completed": self.completed,
            "segments": [
                {
                    **_times(each.segment.starts_at, each.segment.ends_at),
                    "title": each.segment.title,
                    "instructional": each.segment.instructional,
                    "seconds": each.segment.seconds,
                    "seconds_present": each.seconds_present,
                    "seconds_missed": each.seconds_missed,
                    "evidence": list(each.evidence),
                    "missed": [
                        {**_times(gap.from_at, gap.to_at), "seconds": gap.seconds, "why": gap.why}
                        for gap in each.missed
                    ],
                }
                for each in self.segments
            ],
            "intervals": [
                {
                    **_times(each.from_at, each.to_at),
                    "evidence": each.evidence,
                    "from_evidence": each.from_evidence,
                    "to_evidence": each.to_evidence,
                    "counts": each.counts,
                    "counted_seconds": each.counted_seconds,
                }
                for each in self.intervals
            ],
            "rooms": [{**_times(each.from_at, each.to_at), "room": each.room} for each in self.rooms],
            "waiting": [_times(*each) for each in self.waiting],
            "report": self.report
            and {
                "webhook_seconds": self.report.webhook_seconds,
                "report_seconds": self.report.report_seconds,
                "difference_seconds": self.report.difference_seconds,
                "reasons": list(self.report.reasons),
            },
            "flags": list(self.flags),
            "participation": self.participation.to_json(),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Attendance":
        """What `to_json` wrote. Days stored by earlier releases lack rooms, waiting rooms, the report, questions and
        forgiven seconds."""
        report = raw.get("report")
        return cls(
            seconds_present=raw["seconds_present"],
            seconds_forgiven=raw.get("seconds_forgiven", 0),
            seconds_instructional=raw["seconds_instructional"],
            seconds_required=raw["seconds_required"],
            completed=raw["completed"],
            intervals=tuple(
                CountedInterval(
                    *_interval(each),
                    evidence=each["evidence"],
                    counted_seconds=each["counted_seconds"],
                    from_evidence=each.get("from_evidence", each["evidence"]),
                    to_evidence=each.get("to_evidence", each["evidence"]),
                    counts=each.get("counts", True),
                )
                for each in raw["intervals"]
            ),
            segments=tuple(
                SegmentPresence(
                    segment=Segment(*_interval(each), each["title"], each["instructional"]),
                    seconds_present=each["seconds_present"],
                    evidence=tuple(each["evidence"]),
                    missed=tuple(Missed(*_interval(gap), gap["why"]) for gap in each["missed"]),
                )
                for each in raw["segments"]
            ),
            flags=tuple(raw["flags"]),
            rooms=tuple(RoomInterval(*_interval(each), each["room"]) for each in raw.get("rooms", ())),
            waiting=tuple(_interval(each) for each in raw.get("waiting", ())),
            report=report and ReportComparison(**{**report, "reasons": tuple(report["reasons"])}),
            participation=Participation.from_json(raw.get("participation", {})),
        )


@dataclass(frozen=True, slots=True)
class SettledDay:
    """One person's settled attendance of one live session.

    `held_on` is the session's date in its own zone; `day` is the attendance. Nothing is awarded before the session
    has `ended`. `is_in_doubt` says that the evidence is odd and staff have not reviewed it.
    """

    trainee_id: int
    session_id: int
    module_id: str
    programme_version: int
    held_on: date
    session_state: str
    ended: bool
    attendance_id: int
    day: Attendance
    flags: tuple[str, ...]
    is_in_doubt: bool = False


def _times(start: datetime, end: datetime) -> dict[str, Any]:
    return {"from": start.astimezone(UTC).isoformat(), "to": end.astimezone(UTC).isoformat()}


def _interval(raw: Mapping[str, Any]) -> Interval:
    return Interval(datetime.fromisoformat(raw["from"]), datetime.fromisoformat(raw["to"]))


def attend(
    intervals: Iterable[PresenceInterval],
    segments: Sequence[Segment],
    share: Decimal,
    *,
    grace_seconds: int = 0,
    staff_earn: bool = False,
    questions: Sequence[Question] = (),
    participation_share: Decimal | None = None,
    rooms: tuple[RoomInterval, ...] = (),
    report: ReportComparison | None = None,
) -> Attendance:
    """Returns what one person attended.

    `share` of the instructional seconds must be attended to complete (0.80 of 390 minutes: 312:00 is enough, 311:59 is
    not). An absence of up to `grace_seconds` between two times of presence is forgiven. With `staff_earn`, time in
    which the person ran the meeting counts too. `participation_share` of the questions put to the person must be
    answered. An agenda without instruction cannot be completed.
    """
    pieces = pieces_of(intervals, staff_earn=staff_earn)
    counting = [piece for piece in pieces if piece.counts]
    shown = tuple(_in_segment(segment, pieces, counting) for segment in segments)
    attended = sum(each.seconds_present for each in shown if each.segment.instructional)
    forgiven = sum(gap.seconds for gap in forgiven_gaps(shown, grace_seconds))
    total = instructional_seconds(segments)
    required = math.ceil(share * total)
    instruction = taught(segments)
    seconds_in_class = [sum(piece.within(*each) for each in instruction) for piece in pieces]
    labels = {piece.label for piece, seconds in zip(pieces, seconds_in_class, strict=True) if seconds}
    participation = NO_QUESTIONS
    if questions:
        present_in_class = common(union((piece.start, piece.end) for piece in counting), instruction)
        participation = participate(questions, present_in_class)
    return Attendance(
        seconds_present=attended,
        seconds_forgiven=forgiven,
        seconds_instructional=total,
        seconds_required=required,
        completed=total > 0 and attended + forgiven >= required and participation.is_enough(participation_share),
        intervals=tuple(
            CountedInterval(
                from_at=piece.start,
                to_at=piece.end,
                evidence=piece.evidence,
                counted_seconds=seconds if piece.counts else 0,
                from_evidence=piece.from_evidence,
                to_evidence=piece.to_evidence,
                counts=piece.counts,
            )
            for piece, seconds in zip(pieces, seconds_in_class, strict=True)
            if piece.label != WAITING_ROOM
        ),
        segments=shown,
        # Seconds were credited on an estimate, or were not credited for want of proof.
        flags=tuple(flag for flag in ("estimated", "unconfirmed") if flag in labels),
        rooms=rooms,
        waiting=tuple(Interval(piece.start, piece.end) for piece in pieces if piece.label == WAITING_ROOM),
        report=report,
        participation=participation,
    )


def forgiven_gaps(segments: Iterable[SegmentPresence], grace_seconds: int) -> list[Missed]:
    """The gaps of all absences that a policy forgives: each at most this long, between two times of presence.

    An absence is counted in seconds of instruction, and breaks do not divide it. A late arrival, an early departure,
    the waiting room and what nothing proves are never forgiven.
    """
    absences: list[list[Missed]] = []
    running = False
    for each in segments:
        if not each.segment.instructional:
            continue
        present_from = each.segment.starts_at
        for gap in each.missed:
            if not running or gap.from_at > present_from:
                absences.append([])
            absences[-1].append(gap)
            running, present_from = True, gap.to_at
        running = running and present_from == each.segment.ends_at
    return [
        gap
        for absence in absences
        if {gap.why for gap in absence} == {FORGIVABLE} and sum(gap.seconds for gap in absence) <= grace_seconds
        for gap in absence
    ]


def _in_segment(segment: Segment, pieces: Sequence[Piece], counting: Sequence[Piece]) -> SegmentPresence:
    start, end = segment.starts_at, segment.ends_at
    here = [piece for piece in pieces if piece.start < end and start < piece.end]
    found = {piece.label for piece in here if piece.counts}
    return SegmentPresence(
        segment=segment,
        seconds_present=sum(piece.within(start, end) for piece in here if piece.counts),
        evidence=tuple(grade for grade in GRADES if grade in found),
        missed=tuple(_gaps(segment, here, counting)) if segment.instructional else (),
    )


def _gaps(segment: Segment, here: Sequence[Piece], counting: Sequence[Piece]) -> Iterator[Missed]:
    """The parts of a segment that no counting piece covers, in order, each with its reason."""
    at = segment.starts_at
    for piece in here:
        if at < piece.start:
            yield Missed(at, piece.start, _absence(at, piece.start, counting))
        at, until = max(at, piece.start), min(piece.end, segment.ends_at)
        if not piece.counts:
            yield Missed(at, until, piece.label)
        at = until
    if at < segment.ends_at:
        yield Missed(at, segment.ends_at, _absence(at, segment.ends_at, counting))


def _absence(start: datetime, end: datetime, counting: Sequence[Piece]) -> Absence:
    if not counting:
        return "absent"
    if end <= counting[0].start:
        return "before_arrival"
    return "left_early" if start >= counting[-1].end else FORGIVABLE
