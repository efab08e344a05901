"""From the edges of a connection to its stays: pair, bridge, close.

PURE, a function of the set of edges (zoom.md §4). A stay is (meeting uuid, participant_uuid, user_id) with one JOIN and
one LEFT; a breakout move ends one stay and begins the next in the same second, in either order of arrival. Missing
edges are routine: what can be inferred is `estimated`, what cannot does not count.

Arithmetic of spans of time: (start, end), half open.

PURE. Lists of spans are disjoint and in order of time unless something else is said.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from lti_tool.attendance.evidence import Evidence
from zoom_adapter.connections import Connection, Edge, Edges, Instance, RoleSpan, roles_of

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


# A connection may keep its id through a short drop (zoom.md §4), so the time between two LEFTs may be an absence. Only
# this little of it is taken for a stay whose JOIN was lost.
JUST_BEFORE = timedelta(minutes=5)


class Stay(NamedTuple):
    """Presence on one connection. The waiting room (`waiting`) earns nothing, like every stay with `counts` false.

    `start_by` and `end_by` grade the edges: a bridge may be estimated between two edges that Zoom told. `role` is set
    while the person ran the meeting.
    """

    start: datetime
    end: datetime
    start_by: Evidence = "webhook"
    end_by: Evidence = "webhook"
    estimated: bool = False
    counts: bool = True
    waiting: bool = False
    stale: bool = False
    role: str = ""

    @property
    def is_proven(self) -> bool:
        return self.counts and not self.estimated


@dataclass(frozen=True, slots=True)
class Stays:
    """The stays of one connection in order of time, and what was odd about them: `repeated`, `reversed`, `stale`,
    `unconfirmed` (a start nobody knows), `open` (no end is known yet; such a stay is not among the stays, only its
    beginning is among the `open_from`), `interrupted` (a short drop, or both edges of a stay were lost)."""

    stays: tuple[Stay, ...]
    flags: frozenset[str]
    open_from: tuple[datetime, ...] = ()


@dataclass(slots=True)
class _Pairing:
    """The edges of one connection as far as they have found each other."""

    pairs: list[tuple[Edge, Edge]] = field(default_factory=list)
    joins: list[Edge] = field(default_factory=list)
    lefts: list[Edge] = field(default_factory=list)
    open_from: list[datetime] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)


def stays_of(connection: Connection, instance: Instance) -> Stays:
    """The stays of one connection of this instance."""
    connection = replace(connection, lefts=connection.exits)
    pairing = _pair(connection)
    found = [_paired(start, end, connection, pairing.flags) for start, end in pairing.pairs]
    found += _bridged(connection, instance, pairing)
    if connection.put_waiting:
        found = [_until_waiting(stay, sorted(connection.put_waiting)) for stay in found]
    if roles := roles_of(connection):
        found = [part for stay in found for part in _in_roles(stay, roles)]
    found += _waiting(connection)
    stays = tuple(sorted(stay for stay in found if stay.start < stay.end))
    if _is_interrupted(stays):
        pairing.flags.add("interrupted")
    return Stays(stays, frozenset(pairing.flags), tuple(sorted(pairing.open_from)))


def _pair(connection: Connection) -> _Pairing:
    pairing = _Pairing()
    joins, lefts = _by_stay(connection.joins), _by_stay(connection.lefts)
    for user_id in sorted(joins.keys() | lefts.keys()):
        _pair_stay(joins[user_id], lefts[user_id], pairing)
    pairing.joins.sort()
    pairing.lefts.sort()
    return pairing


def _by_stay(edges: Edges) -> dict[str, list[Edge]]:
    stays: dict[str, list[Edge]] = defaultdict(list)
    for edge in sorted(edges):
        stays[edge.user_id].append(edge)
    return stays


def _pair_stay(joins: Sequence[Edge], lefts: Sequence[Edge], pairing: _Pairing) -> None:
    """Usually one JOIN and one LEFT. A repeated key pairs in order; where the numbers differ, each LEFT takes the last
    free JOIN before it."""
    if len(joins) > 1 or len(lefts) > 1:
        pairing.flags.add("repeated")
    if len(joins) == len(lefts):
        pairing.pairs += zip(joins, lefts, strict=True)
        return
    free = list(joins)
    for left in lefts:
        at = bisect_right(free, left.at, key=_time)
        if at:
            pairing.pairs.append((free.pop(at - 1), left))
        else:
            pairing.lefts.append(left)
    pairing.joins += free


def _paired(start: Edge, end: Edge, connection: Connection, flags: set[str]) -> Stay:
    if end.at < start.at:
        flags.add("reversed")
        return Stay(start.at, start.at)
    return _trusted(Stay(start.at, end.at), flags, stale=connection.joins[start] or connection.lefts[end])


def _bridged(connection: Connection, instance: Instance, pairing: _Pairing) -> Iterator[Stay]:
    """Half stays. The connection lived on while its `participant_uuid` did, so an edge that was lost lies between the
    edges that came."""
    lefts = list(pairing.lefts)
    joins = sorted(edge.at for edge in connection.joins)
    for join in pairing.joins:
        following = next(iter(joins[bisect_right(joins, join.at) :]), None)
        left = next((each for each in lefts if each.at > join.at), None)
        if left and (following is None or left.at <= following):
            lefts.remove(left)
            yield _bridge(join, left, connection, pairing.flags)
        elif following:
            stay = Stay(join.at, following, end_by="estimated", estimated=True)
            yield _trusted(stay, pairing.flags, stale=connection.joins[join])
        else:
            yield from _until_ended(join, connection, instance, pairing)
    for left in lefts:
        yield _without_start(left, connection, instance, pairing.flags)


def _bridge(join: Edge, left: Edge, connection: Connection, flags: set[str]) -> Stay:
    """From a JOIN to the LEFT of a later stay; across another LEFT nobody knows."""
    if any(join.at < each.at < left.at for each in connection.lefts):
        return _unconfirmed(join.at, left.at, flags)
    bridge = Stay(join.at, left.at, estimated=True)
    return _trusted(bridge, flags, stale=connection.joins[join] or connection.lefts[left])


def _until_ended(join: Edge, connection: Connection, instance: Instance, pairing: _Pairing) -> Iterator[Stay]:
    """Closed by the end of the meeting, never by our own clock."""
    stale = connection.joins[join]
    if instance.ended_at is not None:
        end = max(join.at, instance.ended_at)
        stay = Stay(join.at, end, end_by="estimated", estimated=True)
        yield _trusted(stay, pairing.flags, stale=stale or instance.ends[instance.ended_at])
    else:
        pairing.flags.add("open")
        pairing.open_from.append(join.at)


def _without_start(left: Edge, connection: Connection, instance: Instance, flags: set[str]) -> Stay:
    """Began at the LEFT just before it; with no such LEFT, or a waiting room in between, nobody knows when."""
    edges = sorted(edge.at for edges in (connection.joins, connection.lefts) for edge in edges)
    before = bisect_left(edges, left.at)
    unknown = edges[before - 1] if before else _before(left.at, instance)
    start = max((edge.at for edge in connection.lefts if left.at - JUST_BEFORE <= edge.at < left.at), default=None)
    outside = connection.put_waiting | connection.waits
    if start is None or any(start <= at < left.at for at in outside):
        return _unconfirmed(unknown, left.at, flags)
    stay = Stay(start, left.at, start_by="estimated", estimated=True)
    return _trusted(stay, flags, stale=connection.lefts[left])


def _before(left: datetime, instance: Instance) -> datetime:
    """Since when somebody may have been there of whom nothing came before this."""
    started = instance.started_at
    return started if started and started < left else left - JUST_BEFORE


def _unconfirmed(start: datetime, end: datetime, flags: set[str]) -> Stay:
    flags.add("unconfirmed")
    return Stay(start, end, start_by="estimated", estimated=True, counts=False)


def _trusted(stay: Stay, flags: set[str], *, stale: bool) -> Stay:
    """A stay with an edge outside the replay window counts only when something else agrees with it."""
    if not stale:
        return stay
    flags.add("stale")
    return stay._replace(counts=False, stale=True)


def _until_waiting(stay: Stay, put_waiting: Sequence[datetime]) -> Stay:
    """Whoever is put back in the waiting room is out until the next JOIN, whether or not a LEFT comes as well."""
    following = next(iter(put_waiting[bisect_right(put_waiting, stay.start) :]), stay.end)
    if following >= stay.end:
        return stay
    return stay._replace(end=following, end_by="webhook")


def _in_roles(stay: Stay, roles: Sequence[RoleSpan]) -> Iterator[Stay]:
    """The stay cut where the role changes."""
    borders = {each for span in roles for each in (span.start, span.end) if stay.start < each < stay.end}
    edges = [stay.start, *sorted(borders), stay.end]
    for number, start in enumerate(edges[:-1]):
        end = edges[number + 1]
        yield stay._replace(
            start=start,
            end=end,
            start_by="webhook" if start in borders else stay.start_by,
            end_by="webhook" if end in borders else stay.end_by,
            role=next((each.role for each in roles if each.start <= start < each.end), ""),
        )


def _waiting(connection: Connection) -> Iterator[Stay]:
    """Time in the waiting room: until admitted, else at the latest until the next JOIN, or until put back again;
    without any of them nobody knows."""
    starts = sorted(connection.put_waiting | connection.waits)
    ends = sorted(connection.admissions | {edge.at for edge in connection.joins})
    for start in starts:
        later = [*ends[bisect_left(ends, start) :][:1], *starts[bisect_right(starts, start) :][:1]]
        if later:
            end = min(later)
            end_by: Evidence = "webhook" if end in connection.admissions else "estimated"
            yield Stay(start, end, end_by=end_by, counts=False, waiting=True)


def _is_interrupted(stays: Sequence[Stay]) -> bool:
    """Whether the connection was away in between, and not in the waiting room: a few seconds may pass from there."""
    present = union((stay.start, stay.end) for stay in stays if not stay.waiting)
    waiting = [(stay.start, stay.end) for stay in stays if stay.waiting]
    away = [(before[1], after[0]) for before, after in pairwise(present)]
    return any(not common([gap], waiting) for gap in away)


def _time(edge: Edge) -> datetime:
    return edge.at
