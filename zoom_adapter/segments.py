"""From the edges of a connection to its stays: pair, bridge, close.

PURE, a function of the set of edges (zoom.md §4). A stay is (meeting uuid, participant_uuid, user_id) with one JOIN and
one LEFT; a breakout move ends one stay and begins the next in the same second, in either order of arrival. Missing
edges are routine: what can be inferred is `estimated`, what cannot does not count.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from zoom_adapter.connections import Connection, Edge, Edges, Instance

# A connection may keep its id through a short drop (zoom.md §4), so the time between two LEFTs may be an absence. Only
# this little of it is taken for a stay whose JOIN was lost.
JUST_BEFORE = timedelta(minutes=5)


class Stay(NamedTuple):
    """Presence on one connection. The waiting room (`waiting`) earns nothing, like every stay with `counts` false."""

    start: datetime
    end: datetime
    estimated: bool = False
    counts: bool = True
    waiting: bool = False


@dataclass(frozen=True, slots=True)
class Stays:
    """The stays of one connection in order of time, and what was odd about them: `repeated`, `reversed`, `stale`,
    `unconfirmed` (a start nobody knows), `open` (no end is known yet; such a stay is not among the stays)."""

    stays: tuple[Stay, ...]
    flags: frozenset[str]


@dataclass(slots=True)
class _Pairing:
    """The edges of one connection as far as they have found each other."""

    pairs: list[tuple[Edge, Edge]] = field(default_factory=list)
    joins: list[Edge] = field(default_factory=list)
    lefts: list[Edge] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)


def stays_of(connection: Connection, instance: Instance) -> Stays:
    """The stays of one connection of this instance."""
    pairing = _pair(connection)
    found = [_paired(start, end, connection, pairing.flags) for start, end in pairing.pairs]
    found += _bridged(connection, instance, pairing)
    found = [_until_waiting(stay, sorted(connection.put_waiting)) for stay in found]
    found += _waiting(connection)
    return Stays(tuple(sorted(stay for stay in found if stay.start < stay.end)), frozenset(pairing.flags))


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
    stale = connection.joins[start] or connection.lefts[end]
    if stale:
        flags.add("stale")
    return Stay(start.at, end.at, counts=not stale)


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
            yield _estimate(join.at, following, connection.joins[join], pairing.flags)
        else:
            yield from _until_ended(join, connection.joins[join], instance, pairing.flags)
    for left in lefts:
        yield _without_start(left, connection, instance, pairing.flags)


def _bridge(join: Edge, left: Edge, connection: Connection, flags: set[str]) -> Stay:
    """From a JOIN to the LEFT of a later stay; across another LEFT nobody knows."""
    if any(join.at < each.at < left.at for each in connection.lefts):
        return _unconfirmed(join.at, left.at, flags)
    return _estimate(join.at, left.at, connection.joins[join] or connection.lefts[left], flags)


def _until_ended(join: Edge, stale: bool, instance: Instance, flags: set[str]) -> Iterator[Stay]:
    """Closed by the end of the meeting, never by our own clock."""
    ended_at = instance.ended_at
    if ended_at is None:
        flags.add("open")
    else:
        yield _estimate(join.at, max(join.at, ended_at), stale or instance.ends[ended_at], flags)


def _without_start(left: Edge, connection: Connection, instance: Instance, flags: set[str]) -> Stay:
    """Began at the LEFT just before it; with no such LEFT, or a waiting room in between, nobody knows when."""
    edges = sorted(edge.at for edges in (connection.joins, connection.lefts) for edge in edges)
    before = bisect_left(edges, left.at)
    unknown = edges[before - 1] if before else min(instance.started_at or left.at, left.at)
    start = max((edge.at for edge in connection.lefts if left.at - JUST_BEFORE <= edge.at < left.at), default=None)
    outside = connection.put_waiting | connection.waits
    if start is None or any(start <= at < left.at for at in outside):
        return _unconfirmed(unknown, left.at, flags)
    return _estimate(start, left.at, connection.lefts[left], flags)


def _unconfirmed(start: datetime, end: datetime, flags: set[str]) -> Stay:
    flags.add("unconfirmed")
    return Stay(start, end, estimated=True, counts=False)


def _estimate(start: datetime, end: datetime, stale: bool, flags: set[str]) -> Stay:
    if stale:
        flags.add("stale")
    return Stay(start, end, estimated=True, counts=not stale)


def _until_waiting(stay: Stay, put_waiting: Sequence[datetime]) -> Stay:
    """Whoever is put back in the waiting room is out until the next JOIN, whether or not a LEFT comes as well."""
    following = next(iter(put_waiting[bisect_right(put_waiting, stay.start) :]), stay.end)
    return stay._replace(end=min(stay.end, following))


def _waiting(connection: Connection) -> Iterator[Stay]:
    """Time in the waiting room: until admitted, else until the next JOIN; without either nobody knows."""
    ends = sorted(connection.admissions | {edge.at for edge in connection.joins})
    for start in sorted(connection.put_waiting | connection.waits):
        for end in ends[bisect_left(ends, start) :][:1]:
            yield Stay(start, end, counts=False, waiting=True)


def _time(edge: Edge) -> datetime:
    return edge.at


def union(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Disjoint spans in order; touching ones become one."""
    joined: list[tuple[datetime, datetime]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
