"""What is known of somebody's presence in one live session, from whatever source: plain values.

PURE. Evidence has a grade: the conference system told it live (`webhook`), in its report (`report`), in `both`; it was
inferred from what came (`estimated`); or staff vouch for it (`manual`).

Presence as disjoint pieces of time, each labelled with the strongest evidence that covers it.

PURE, in whole seconds since the epoch (ce.md T7). What overlaps counts once (T6). Above all evidence stands what staff
took away; time in which somebody ran the meeting is no attendance, unless staff vouch for it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple

Evidence = Literal["webhook", "report", "both", "estimated", "manual"]

WAITING_ROOM: Final = "waiting_room"


@dataclass(frozen=True, slots=True)
class PresenceInterval:
    """Somebody was in the meeting from `from_at` to `to_at` (aware UTC).

    `source` says which record shows it, for example "connection:…", "report:…", "correction:…" or "waiting_room". With
    `counts` false no second of it is credited; where staff took it away (`manual`), no other evidence counts either.
    `from_evidence` and `to_evidence` grade the two edges, None where they are as good as the whole. `role` is set while
    the person ran the meeting ("host", "co-host", …).
    """

    from_at: datetime
    to_at: datetime
    evidence: Evidence
    counts: bool
    source: str
    from_evidence: Evidence | None = None
    to_evidence: Evidence | None = None
    role: str = ""


@dataclass(frozen=True, slots=True)
class RoomStay:
    """In which breakout room somebody was; it says where, never whether. `room` is empty where nobody knows which."""

    from_at: datetime
    to_at: datetime
    room: str


@dataclass(frozen=True, slots=True)
class ReportComparison:
    """The two records of one person side by side, in seconds in the meeting (not clipped to the agenda), over the
    instances whose report is settled. `difference_seconds` is report − webhook; `reasons` are short codes."""

    webhook_seconds: int
    report_seconds: int
    difference_seconds: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PersonPresence:
    """All the evidence about one person in one live session. `person_key` names whom it speaks of ("trainee:7",
    "registrant:…", "email:…", "connection:…"); `trainee_id` is None while nobody has matched the person. `former_keys`
    are all keys that parts of the same evidence may have had before. `report` is None while no settled report covers
    the person's presence."""

    person_key: str
    trainee_id: int | None
    display_name: str | None
    email: str | None
    registrant_id: str | None
    intervals: tuple[PresenceInterval, ...]
    flags: tuple[str, ...] = ()
    former_keys: tuple[str, ...] = ()
    rooms: tuple[RoomStay, ...] = ()
    report: ReportComparison | None = None


CORRECTED: Final = "corrected"
STAFF_ROLE: Final = "staff_role"
UNCONFIRMED: Final = "unconfirmed"

# From the strongest evidence to the weakest.
GRADES: tuple[Evidence, ...] = ("both", "webhook", "report", "manual", "estimated")
_RANK: Mapping[str, int] = {grade: rank for rank, grade in enumerate(GRADES)}
# Presence that does not count is weaker than any that does.
_STRENGTH = (*GRADES, WAITING_ROOM, UNCONFIRMED)
# The grade of evidence behind a piece that counts nothing.
_BEHIND: Mapping[str, Evidence] = {CORRECTED: "manual", STAFF_ROLE: "webhook"}


class Piece(NamedTuple):
    """From `start` to `end`, seconds since the epoch. `label` is a grade of evidence, or why the time does not count;
    `from_evidence` and `to_evidence` grade the edges."""

    start: int
    end: int
    label: str
    from_evidence: Evidence
    to_evidence: Evidence

    @property
    def counts(self) -> bool:
        return self.label in _RANK

    @property
    def evidence(self) -> Evidence:
        return next((grade for grade in GRADES if grade == self.label), _BEHIND.get(self.label, "estimated"))

    def within(self, start: int, end: int) -> int:
        """How many of its seconds lie between these two."""
        return max(0, min(self.end, end) - max(self.start, start))


def pieces_of(intervals: Iterable[PresenceInterval], *, staff_earn: bool = False) -> list[Piece]:
    """The union of the intervals, in order. With `staff_earn`, time in a role of the meeting counts like any other."""
    edges = []
    grades: dict[int, Evidence] = {}
    for each in intervals:
        start, end = second(each.from_at), second(each.to_at)
        if start < end:
            label = _label(each, staff_earn)
            edges += [(start, 1, label), (end, -1, label)]
            _keep_stronger(grades, start, each.from_evidence or each.evidence)
            _keep_stronger(grades, end, each.to_evidence or each.evidence)
    return _swept(sorted(edges), grades)


def _swept(edges: Iterable[tuple[int, int, str]], grades: Mapping[int, Evidence]) -> list[Piece]:
    pieces: list[Piece] = []
    active: Counter[str] = Counter()
    previous = 0
    for at, step, label in edges:
        if previous < at and (covering := _strongest(active)):
            _extend(pieces, Piece(previous, at, covering, grades[previous], grades[at]))
        active[label] += step
        previous = at
    return pieces


def _keep_stronger(grades: dict[int, Evidence], at: int, grade: Evidence) -> None:
    known = grades.get(at)
    if known is None or _RANK[grade] < _RANK[known]:
        grades[at] = grade


def _label(interval: PresenceInterval, staff_earn: bool) -> str:
    if interval.counts:
        return STAFF_ROLE if interval.role and not staff_earn else interval.evidence
    if interval.evidence == "manual":
        return CORRECTED
    return WAITING_ROOM if interval.source == WAITING_ROOM else UNCONFIRMED


def _strongest(active: Counter[str]) -> str | None:
    if active[CORRECTED]:
        return CORRECTED
    if active[STAFF_ROLE]:
        return "manual" if active["manual"] else STAFF_ROLE
    if active["webhook"] and active["report"]:
        return "both"
    return next((label for label in _STRENGTH if active[label]), None)


def _extend(pieces: list[Piece], piece: Piece) -> None:
    if pieces and pieces[-1].end == piece.start and pieces[-1].label == piece.label:
        former = pieces.pop()
        piece = piece._replace(start=former.start, from_evidence=former.from_evidence)
    pieces.append(piece)


def second(at: datetime) -> int:
    """Whole seconds since the epoch."""
    return math.floor(at.timestamp())
