"""The evidence about one person's presence in one live session, and the pieces of time it proves.

PURE. Evidence has a grade: the conference system sent it live (`webhook`), in its report (`report`) or in `both`; it
was inferred (`estimated`); or staff vouch for it (`manual`). Evidence that overlaps counts once (ce.md T6), in whole
seconds (ce.md T7). What staff took away outranks all evidence; time in which the person ran the meeting is no
attendance, unless staff vouch for it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

Evidence = Literal["webhook", "report", "both", "estimated", "manual"]

WAITING_ROOM: Final = "waiting_room"
CORRECTED: Final = "corrected"
STAFF_ROLE: Final = "staff_role"
UNCONFIRMED: Final = "unconfirmed"
# The flag of a day that is settled for a trainee, though the evidence names another person now, or no one. It lowers
# nothing that was earned: staff decide.
IDENTITY_DIFFERS: Final = "identity_differs"
# The flag of a day that was taught while the trainee's account was joined with another one, since separated.
TAUGHT_WHILE_JOINED: Final = "taught_while_joined"
# Days with these flags may belong to another trainee, so staff can link them.
IDENTITY_FLAGS: Final = frozenset({IDENTITY_DIFFERS, TAUGHT_WHILE_JOINED})
EVIDENCE_WITHDRAWN: Final = "evidence_withdrawn"
# How a trainee is known where settlement remembers it.
REMEMBERED: Final = ("place", "address", "settled")
# The key of a connection without an id: Zoom's user number, which other people get on other days.
NUMBERED: Final = "user:"

# From the strongest evidence to the weakest.
GRADES: tuple[Evidence, ...] = ("both", "webhook", "report", "manual", "estimated")
_RANK: Mapping[str, int] = {grade: rank for rank, grade in enumerate(GRADES)}
# Presence that does not count is weaker than any that does.
_STRENGTH = (*GRADES, WAITING_ROOM, UNCONFIRMED)
# The grade of evidence behind a piece that does not count.
_BEHIND: Mapping[str, Evidence] = {CORRECTED: "manual", STAFF_ROLE: "webhook"}


# The flags that staff must look at before a day is final. Other flags only explain (two devices, a telephone): they
# leave no doubt about the seconds.
REVIEW_FLAGS = frozenset(
    {
        "conflict",  # two registrants on one connection, or webhook and report name different people
        "estimated",  # seconds rest on inferred edges
        "evidence_withdrawn",  # there was evidence once, which names another person now
        "identity_differs",  # settled for this trainee, though the evidence names another person now
        "interrupted",  # a connection dropped for a while, or its messages were lost
        "open",  # a connection without a known end
        "repeated",  # one connection with several joins or leaves at once
        "report_differs",  # webhooks and report contradict each other by more than rounding
        "report_missing",  # in the webhooks, not in the report
        "report_only",  # in the report, not in the webhooks
        "reversed",  # left before joining
        "staff_role",  # ran the meeting for a while, which is not attendance
        "stale",  # a delivery came outside the time in which it is trusted
        "taught_while_joined",  # the account was joined with another one, since separated
        "unconfirmed",  # presence without proof
    }
)


def needs_review(flags: Iterable[str]) -> bool:
    """Whether staff must look at this day."""
    return not REVIEW_FLAGS.isdisjoint(flags)


@dataclass(frozen=True, slots=True)
class PresenceInterval:
    """The person was in the meeting from `from_at` to `to_at` (aware UTC).

    `source` names the record that shows it, for example "connection:…", "report:…", "correction:…" or "waiting_room".
    With `counts` false no second of it is credited; where staff took it away (`manual`), no other evidence counts
    either. `from_evidence` and `to_evidence` grade the two edges, None where they are as good as the whole. `role` is
    set while the person ran the meeting ("host", "co-host", …).
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
class RoomInterval:
    """Time in one breakout room, or in the waiting room (`is_waiting`). It explains and never counts. `room` is Zoom's
    id, empty where it is unknown."""

    from_at: datetime
    to_at: datetime
    room: str
    is_waiting: bool = False

    @property
    def seconds(self) -> int:
        return round((self.to_at - self.from_at).total_seconds())


@dataclass(frozen=True, slots=True)
class ReportComparison:
    """The two records of one person side by side, in seconds in the meeting (not clipped to the agenda), over the
    instances whose report is settled. `difference_seconds` is report − webhook; `reasons` are short codes."""

    webhook_seconds: int
    report_seconds: int
    difference_seconds: int
    reasons: tuple[str, ...]


class KnownAs(NamedTuple):
    """What identified a person: the `kind` (registrant, email or connection) with its value, and by what it is known to
    be theirs (`place`, `address` or `settled`)."""

    kind: str
    value: str
    known_by: str


def remembered_as(registrant_id: str, email: str, connections: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The kind and value of everything that identifies a participant. An address does so only without a registrant; a
    connection without an id of its own can be another person in the next instance."""
    if registrant_id:
        yield "registrant", registrant_id
    elif email:
        yield "email", email
    yield from (("connection", key) for key in connections if not key.startswith(NUMBERED))


@dataclass(frozen=True, slots=True)
class PersonPresence:
    """All the evidence about one person in one live session.

    `person_key` names the person ("trainee:7", "registrant:…", "email:…", "connection:…"); `former_keys` are all keys
    that parts of the same evidence may have had before. `trainee_id` is None while the person is unmatched. `report` is
    None until a settled report covers the person's presence. `known_as` is what settlement remembers of a trainee.
    """

    person_key: str
    trainee_id: int | None
    display_name: str | None
    email: str | None
    registrant_id: str | None
    intervals: tuple[PresenceInterval, ...]
    flags: tuple[str, ...] = ()
    former_keys: tuple[str, ...] = ()
    rooms: tuple[RoomInterval, ...] = ()
    report: ReportComparison | None = None
    known_as: tuple[KnownAs, ...] = ()


class Piece(NamedTuple):
    """From `start` to `end`, in whole seconds. `label` is a grade of evidence, or why the time does not count;
    `from_evidence` and `to_evidence` grade the edges."""

    start: datetime
    end: datetime
    label: str
    from_evidence: Evidence
    to_evidence: Evidence

    @property
    def counts(self) -> bool:
        return self.label in _RANK

    @property
    def evidence(self) -> Evidence:
        return next((grade for grade in GRADES if grade == self.label), _BEHIND.get(self.label, "estimated"))

    def within(self, start: datetime, end: datetime) -> int:
        """How many of its seconds lie between these two instants."""
        first, last = max(self.start, start), min(self.end, end)
        return int((last - first).total_seconds()) if first < last else 0


def pieces_of(intervals: Iterable[PresenceInterval], *, staff_earn: bool = False) -> list[Piece]:
    """The union of the intervals as disjoint pieces in order, each labelled with the strongest evidence that covers it.

    With `staff_earn`, time in a role of the meeting counts like any other.
    """
    edges: list[tuple[datetime, int, str]] = []
    graded: list[tuple[datetime, str, Evidence]] = []
    for each in intervals:
        start, end = whole_second(each.from_at), whole_second(each.to_at)
        if start < end:
            label = _label(each, staff_earn)
            edges += [(start, 1, label), (end, -1, label)]
            graded += [
                (start, label, each.from_evidence or each.evidence),
                (end, label, each.to_evidence or each.evidence),
            ]
    grades = _grades(edges, graded)
    pieces: list[Piece] = []
    active: Counter[str] = Counter()
    previous = datetime.min.replace(tzinfo=UTC)
    for at, step, label in sorted(edges):
        if previous < at and (covering := _strongest(active)):
            piece = Piece(previous, at, covering, grades[previous], grades[at])
            if pieces and pieces[-1].end == previous and pieces[-1].label == covering:
                former = pieces.pop()
                piece = piece._replace(start=former.start, from_evidence=former.from_evidence)
            pieces.append(piece)
        active[label] += step
        previous = at
    return pieces


def _grades(
    edges: Iterable[tuple[datetime, int, str]], graded: Sequence[tuple[datetime, str, Evidence]]
) -> dict[datetime, Evidence]:
    """The best grade of the edges at each instant. Where time with one label ends and time with the same label begins,
    nothing changed: such an edge is graded only if there is no other."""
    steps: dict[tuple[datetime, str], set[int]] = {}
    for at, step, label in edges:
        steps.setdefault((at, label), set()).add(step)
    best: dict[datetime, Evidence] = {}
    for is_joint in (True, False):
        those: dict[datetime, Evidence] = {}
        for at, label, grade in graded:
            if (len(steps[at, label]) == 2) is is_joint:
                those[at] = min(those.get(at, grade), grade, key=GRADES.index)
        best |= those
    return best


def whole_second(at: datetime) -> datetime:
    """The instant in UTC without its fraction of a second."""
    return at.astimezone(UTC).replace(microsecond=0)


def _label(interval: PresenceInterval, staff_earn: bool) -> str:
    if interval.counts:
        return STAFF_ROLE if interval.role and not staff_earn else interval.evidence
    if interval.evidence == "manual":
        return CORRECTED
    return WAITING_ROOM if interval.source == WAITING_ROOM else UNCONFIRMED


def _strongest(active: Counter[str]) -> str | None:
    """The label of a piece that all of these cover, None where nothing does."""
    if active[CORRECTED]:
        return CORRECTED
    if active[STAFF_ROLE]:
        return "manual" if active["manual"] else STAFF_ROLE
    if active["webhook"] and active["report"]:
        return "both"
    return next((label for label in _STRENGTH if active[label]), None)
