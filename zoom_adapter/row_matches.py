"""Whose the rows of a report are: the appearance that they are of, or what they say themselves.

PURE. A row is of an appearance in the same instance by its registrant, or by its `user_id` and its times (zoom.md §6).
`user_id`s repeat between people, so what fits two appearances is of neither. A name is never read.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from zoom_adapter.connections import Edge
from zoom_adapter.legs import Identity, Leg, keys_of
from zoom_adapter.report_rows import ReportRow

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
