"""Webhooks and report of one person in one instance side by side: what counts, by which evidence, where they differ.

PURE. Neither side silently wins (zoom.md §6). What webhooks prove counts, and is of `both` where the report agrees;
what only the report shows counts as `report`; what was only estimated counts where the report confirms it and is
unconfirmed elsewhere. The unions of the two records are compared, since a report may merge or split rows; differences
of up to two seconds are rounding.

Whose the rows of a report are: the appearance that they are of, or what they say themselves.

PURE. A row is of an appearance in the same instance by its registrant, or by its `user_id` and its times (zoom.md §6).
`user_id`s repeat between people, so what fits two appearances is of neither. A name is never read.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from lti_tool.attendance.evidence import WAITING_ROOM, Evidence, PresenceInterval
from zoom_adapter.bound_connections import Identity, Leg, keys_of
from zoom_adapter.connections import Edge, RoleSpan
from zoom_adapter.report_rows import ReportRow
from zoom_adapter.segments import Span, Stay, Stays, common, longer, union, without

# The report and the webhooks tell one moment with that much difference (zoom.md §6).
TOLERANCE = timedelta(seconds=2)

Says = Literal["the same", "nothing", "more"]
# Whose claim to a stay is heard first.
SAYS: tuple[Says, ...] = ("the same", "nothing", "more")


@dataclass(slots=True)
class Matched:
    """One appearance with its rows; `taken` tells of the JOINs of stays that have a row of exactly their times who that
    is of, `half` are the rows of which only one edge is its own, `elsewhere` those of the same registrant in an
    appearance that left no edge."""

    leg: Leg
    rows: list[ReportRow] = field(default_factory=list)
    taken: dict[Edge, Identity] = field(default_factory=dict)
    half: list[ReportRow] = field(default_factory=list)
    elsewhere: list[ReportRow] = field(default_factory=list)


def match_rows(legs: Sequence[Leg], rows: Iterable[ReportRow]) -> tuple[list[Matched], list[ReportRow]]:
    """The appearances with their rows, and the rows that are of none. A row names an appearance that says nothing of
    its person itself, if both its edges are the same."""
    index = _Index(legs)
    left = list(rows)
    for says in SAYS:
        left = [row for row in left if not index.place_exactly(row, says)]
    strangers = [row for row in left if not index.place(row)]
    for each in index.matched:
        doubtful = [row for row in each.half if _is_contradicted(row, (*each.rows, *each.half))]
        strangers += doubtful
        each.rows += [row for row in each.half if row not in doubtful]
    return [replace(each, leg=_named(each), rows=sorted(each.rows)) for each in index.matched], sorted(strangers)


def identity_of(row: ReportRow) -> Identity:
    """Who the row says that it is of. In a breakout room the address can follow the room (zoom.md §3.3)."""
    return Identity(row.registrant_id, "" if row.room else row.email)


def row_keys(row: ReportRow, meeting_uuid: str) -> list[str]:
    """What the person of a row of no appearance may be called, the surest name first."""
    return [*keys_of(identity_of(row)), f"report:{meeting_uuid}:{row.user_id or row.join_at.isoformat()}"]


class _Index:
    """The appearances of one instance by what a row may say of them."""

    def __init__(self, legs: Sequence[Leg]) -> None:
        self.matched = [Matched(leg) for leg in legs]
        self.by_registrant: dict[str, list[Matched]] = defaultdict(list)
        self.by_user: dict[str, list[Matched]] = defaultdict(list)
        self.emails = {each.leg.identity.email for each in self.matched} - {""}
        for each in self.matched:
            self.by_registrant[each.leg.identity.registrant_id].append(each)
            for user_id in {user_id for connection in each.leg.connections for user_id in connection.user_ids}:
                self.by_user[user_id].append(each)

    def place_exactly(self, row: ReportRow, says: Says) -> bool:
        """Give the row to the one appearance with a stay of exactly its times that is nobody else's, if there is one
        and the row says so much of its person."""
        same = [each for each in self._candidates(row) if _is_same(row, each, timedelta())]
        if len(same) != 1 or _says(row, same[0].leg) != says:
            return False
        same[0].rows.append(row)
        same[0].taken[Edge(row.join_at, row.user_id)] = identity_of(row)
        return True

    def place(self, row: ReportRow) -> bool:
        """Give any other row to an appearance; whether there is one. A stay that has its row has no other one."""
        named = self.by_registrant.get(row.registrant_id, []) if row.registrant_id else []
        candidates = self._candidates(row)
        whole = [each for each in candidates if _is_same(row, each)]
        if len(whole) == 1:
            whole[0].rows.append(row)
        elif named:
            own = next((each for each in named if each in candidates), None)
            (own.rows if own else named[0].elsewhere).append(row)
        else:
            half = [each for each in candidates if _has_edge(row, each.leg)]
            if len(half) != 1 or _says(row, half[0].leg) == "more":
                return False
            half[0].half.append(row)
        return True

    def _candidates(self, row: ReportRow) -> list[Matched]:
        said = identity_of(row)
        possible = [each for each in self.by_user.get(row.user_id, []) if _may_be(row, each.leg)]
        return [each for each in possible if not self._is_somebody_else(said, each.leg.identity)]

    def _is_somebody_else(self, said: Identity, known: Identity) -> bool:
        """Whether the row says nothing but an address, and that is known here of another one than this somebody."""
        is_known = bool(known.registrant_id or known.email)
        return is_known and not said.registrant_id and said.email != known.email and said.email in self.emails


def _may_be(row: ReportRow, leg: Leg) -> bool:
    """Whether neither names somebody that the other one is not. A registrant may have any address."""
    known, said = leg.identity, identity_of(row)
    if "conflict" in leg.marks:
        return False
    if known.registrant_id:
        return said.registrant_id in ("", known.registrant_id)
    return not (known.email and said.email) or known.email == said.email


def _says(row: ReportRow, leg: Leg) -> Says:
    """What the row says of its person, beside what the appearance says of its own."""
    known, said = leg.identity, identity_of(row)
    if said.registrant_id:
        return "the same" if said.registrant_id == known.registrant_id else "more"
    if said.email == known.email:
        return "the same" if said.email else "nothing"
    return "more" if said.email and not (known.registrant_id or known.email) else "nothing"


def _is_same(row: ReportRow, matched: Matched, tolerance: timedelta = TOLERANCE) -> bool:
    """Whether it begins with the JOIN of a stay that is nobody else's, and ends with a LEFT of the appearance: a report
    may merge stays."""
    said, connections = identity_of(row), matched.leg.connections
    joins = (edge for each in connections for edge in each.joins if edge.user_id == row.user_id)
    starts = (edge.at for edge in joins if matched.taken.get(edge, said) == said)
    ends = (edge.at for each in connections for edge in each.exits)
    return _meets(row.join_at, starts, tolerance) and _meets(row.leave_at, ends, tolerance)


def _has_edge(row: ReportRow, leg: Leg) -> bool:
    joins = (edge.at for each in leg.connections for edge in each.joins if edge.user_id == row.user_id)
    lefts = (edge.at for each in leg.connections for edge in each.exits if edge.user_id == row.user_id)
    return _meets(row.join_at, joins) or _meets(row.leave_at, lefts)


def _meets(at: datetime, others: Iterator[datetime], tolerance: timedelta = TOLERANCE) -> bool:
    return any(abs(at - other) <= tolerance for other in others)


def _is_contradicted(row: ReportRow, others: Iterable[ReportRow]) -> bool:
    """Nobody is in one stay twice at once; a telephone bound to a computer is another stay."""
    same = (other for other in others if other.user_id == row.user_id and other != row)
    return any(min(row.leave_at, other.leave_at) - max(row.join_at, other.join_at) > TOLERANCE for other in same)


def _named(matched: Matched) -> Leg:
    leg = matched.leg
    if leg.identity.registrant_id or "conflict" in leg.marks:
        return leg
    registrants = {row.registrant_id for row in matched.rows if row.registrant_id}
    if len(registrants) > 1:
        return replace(leg, identity=leg.identity._replace(email=""), marks=leg.marks | {"conflict"})
    emails = {row.email for row in matched.rows if row.email and not row.room}
    email = leg.identity.email or (next(iter(emails)) if len(emails) == 1 else "")
    return replace(leg, identity=leg.identity._replace(registrant_id=next(iter(registrants), ""), email=email))


# Why the two records differ. The first two contradict each other; the others leave an estimate unconfirmed, or fill it.
REPORT_LACKS = "report_lacks"
WEBHOOKS_LACK = "webhooks_lack"
UNCONFIRMED = "estimate_unconfirmed"
COMPLETED = "completed_by_report"
WAITED = "waiting_room_in_report"
# Somebody with this address was in a breakout room, and nothing else says that it was this person.
ROOM_UNCLEAR = "room_unclear_in_report"


@dataclass(frozen=True, slots=True)
class Seen:
    """One person in one instance by the webhooks. `source` names the appearance of each stay; `roles` are the staff
    roles of its connections while they lasted, for a report tells none."""

    stays: tuple[tuple[Stay, str], ...]
    open_from: tuple[datetime, ...] = ()
    roles: tuple[RoleSpan, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreed:
    """What counts after the comparison; `settled` are the flags of the webhooks that the report has answered."""

    intervals: tuple[PresenceInterval, ...]
    webhook: tuple[Span, ...]
    report: tuple[Span, ...]
    reasons: frozenset[str]
    settled: frozenset[str]


def by_webhooks(seen: Seen) -> Iterator[PresenceInterval]:
    """What counts while there is no settled report."""
    for stay, source in seen.stays:
        evidence: Evidence = "estimated" if stay.estimated else "webhook"
        yield _interval(stay, source, (stay.start, stay.end), evidence, counts=stay.counts)


def compare(seen: Seen, rows: Sequence[ReportRow], reported: Iterable[Span]) -> Agreed:
    """What counts where a settled report covers the instance. `reported` is what of the rows is presence, see
    `presence_in`."""
    return _Comparison(seen, rows, reported).agreed()


def presence_in(stays: Sequence[Stay], rows: Sequence[ReportRow]) -> list[Span]:
    """What the rows of one appearance tell, without the time for which it stood in the waiting room: a row may be
    merged across that, but where no webhook told of the admission, a row that begins there does. On another device the
    same person may have been in the meeting meanwhile."""
    proven = union((stay.start, stay.end) for stay in stays if stay.is_proven)
    told = []
    for row in rows:
        waiting = (stay for stay in stays if stay.waiting and not _is_admission(row, stay))
        outside = without(union((stay.start, stay.end) for stay in waiting), proven)
        told += without([(row.join_at, row.leave_at)], outside)
    return union(told)


def _is_admission(row: ReportRow, waiting: Stay) -> bool:
    return waiting.end_by == "estimated" and waiting.start + TOLERANCE < row.join_at


def completed(leg: Leg, rows: Sequence[ReportRow]) -> Leg:
    """The appearance, with what its rows say of edges that no webhook told: a start nobody knew is known by the report,
    and what had no end is not open. A row speaks for its own connection only."""
    if not leg.open_from and not any(map(_lacks_start, leg.stays)):
        return leg
    told = []
    for connection, stays in zip(leg.connections, leg.told, strict=True):
        others = {user_id for each in leg.connections if each is not connection for user_id in each.user_ids}
        spans = union((row.join_at, row.leave_at) for row in rows if row.user_id not in others)
        told.append(_completed(stays, spans))
    return replace(leg, told=tuple(told))


def _completed(told: Stays, spans: Sequence[Span]) -> Stays:
    stays = (stay._replace(start_by="report") if _is_started(stay, spans) else stay for stay in told.stays)
    is_open = any(not _tells_after(at, spans) for at in told.open_from)
    return replace(told, stays=tuple(stays), flags=told.flags if is_open else told.flags - {"open"})


def _is_started(stay: Stay, spans: Sequence[Span]) -> bool:
    """Whether its start is unknown, and the report shows presence until its end: that the next stay begins there is not
    enough."""
    return _lacks_start(stay) and any(start + TOLERANCE < stay.end <= end + TOLERANCE for start, end in spans)


def _lacks_start(stay: Stay) -> bool:
    return stay.start_by == "estimated" and not stay.counts and not stay.stale


def _tells_after(joined: datetime, spans: Sequence[Span]) -> bool:
    return any(start - TOLERANCE <= joined < end - TOLERANCE for start, end in spans)


class _Comparison:
    def __init__(self, seen: Seen, rows: Sequence[ReportRow], reported: Iterable[Span]) -> None:
        self.seen = seen
        self.proven = union((stay.start, stay.end) for stay, _ in seen.stays if stay.is_proven)
        self.rows = rows
        self.told = union((row.join_at, row.leave_at) for row in rows)
        self.reported = union(reported)
        self.reasons: set[str] = set()
        self.open_flags: set[str] = set()

    def agreed(self) -> Agreed:
        intervals = [each for stay, source in self.seen.stays for each in self._of_stay(stay, source)]
        intervals += self._only_reported()
        if longer(without(self.told, self.reported), TOLERANCE):
            self.reasons.add(WAITED)
        counted = union((stay.start, stay.end) for stay, _ in self.seen.stays if stay.counts)
        return Agreed(
            intervals=tuple(intervals),
            webhook=tuple(counted),
            report=tuple(self.told),
            reasons=frozenset(self.reasons),
            settled=frozenset({"estimated", "interrupted", "unconfirmed", "stale"} - self.open_flags),
        )

    def _of_stay(self, stay: Stay, source: str) -> Iterator[PresenceInterval]:
        if stay.waiting:
            yield _interval(stay, source, (stay.start, stay.end), "webhook", counts=False)
        elif stay.is_proven:
            yield from self._proven(stay, source)
        else:
            yield from self._doubtful(stay, source)

    def _proven(self, stay: Stay, source: str) -> Iterator[PresenceInterval]:
        span = (stay.start, stay.end)
        alone = longer(without([span], self.reported), TOLERANCE)
        if alone:
            self.reasons.add(REPORT_LACKS)
        for each in alone:
            yield _interval(stay, source, each, "webhook")
        for each in without([span], alone):
            yield _interval(stay, source, each, "both", self._grade(each[0], "join"), self._grade(each[1], "leave"))

    def _doubtful(self, stay: Stay, source: str) -> Iterator[PresenceInterval]:
        """What no report shows of it stays in doubt, unless the start is known by that."""
        if stay.start_by == "report":
            return
        left = longer(without([(stay.start, stay.end)], union([*self.reported, *self.proven])), TOLERANCE)
        if left:
            self.reasons.add(UNCONFIRMED)
            self.open_flags |= {"stale"} if stay.stale else {"unconfirmed"}
        for each in left:
            yield _interval(stay, source, each, "estimated", counts=False)

    def _only_reported(self) -> Iterator[PresenceInterval]:
        borders = {at for span in self.proven for at in span}
        doubts = [(stay.start, stay.end) for stay, _ in self.seen.stays if not stay.is_proven and not stay.waiting]
        doubts += [(at, self.told[-1][1]) for at in self.seen.open_from if self.told and at < self.told[-1][1]]
        for start, end in without(self.reported, self.proven):
            rounding = end - start <= TOLERANCE
            if rounding and (start in borders or end in borders):
                continue
            if not rounding:
                known = without([(start, end)], union(doubts))
                self.reasons.add(WEBHOOKS_LACK if longer(known, TOLERANCE) else COMPLETED)
            yield from self._reported(start, end)

    def _reported(self, start: datetime, end: datetime) -> Iterator[PresenceInterval]:
        ran = [(span, each.role) for each in self.seen.roles for span in common([(start, end)], [each[:2]])]
        for span in without([(start, end)], union(span for span, _ in ran)):
            yield PresenceInterval(*span, "report", True, "report")
        for span, role in ran:
            yield PresenceInterval(*span, "report", True, "report", role=role)

    def _grade(self, at: datetime, edge: str) -> Evidence:
        told = (row.join_at if edge == "join" else row.leave_at for row in self.rows)
        return "both" if any(abs(each - at) <= TOLERANCE for each in told) else "webhook"


def _interval(
    stay: Stay,
    source: str,
    span: Span,
    evidence: Evidence,
    start_by: Evidence | None = None,
    end_by: Evidence | None = None,
    *,
    counts: bool = True,
) -> PresenceInterval:
    """A part of a stay; the edges that it shares with the stay keep their grade."""
    return PresenceInterval(
        from_at=span[0],
        to_at=span[1],
        evidence=evidence,
        counts=counts,
        source=WAITING_ROOM if stay.waiting else source,
        from_evidence=start_by or (stay.start_by if span[0] == stay.start else evidence),
        to_evidence=end_by or (stay.end_by if span[1] == stay.end else evidence),
        role=stay.role if counts else "",
    )
