"""Turns the events of a connection into intervals of presence: pair, bridge, close.

PURE, a function of the set of events (zoom.md §4). An interval is (meeting uuid, participant_uuid, user_id) with one
join and one leave event; a breakout move ends one interval and begins the next in the same second, in either order of
arrival. Missing events are routine: an inferred time makes the interval `estimated`; if nothing can be inferred, it
doesn't count.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from lti_tool.attendance.evidence import Evidence
from lti_tool.intervals import common, union
from zoom_adapter.connections import Connection, ConnectionEvent, Instance, StaffRole, staff_roles_of

# A connection may keep its id through a short drop (zoom.md §4), so the time between two leave events may be an
# absence. At most this much of it counts as an interval whose join event was lost.
JUST_BEFORE = timedelta(minutes=5)


class ConnectionInterval(NamedTuple):
    """Presence on one connection. Time in the waiting room (`waiting`) earns nothing, like all with `counts` false.

    `start_by` and `end_by` grade the ends: an interval may be estimated between two ends that Zoom reported. `role` is
    set while the person ran the meeting.
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
    def bounds(self) -> tuple[datetime, datetime]:
        return self[:2]

    @property
    def is_proven(self) -> bool:
        return self.counts and not self.estimated


@dataclass(frozen=True, slots=True)
class ConnectionHistory:
    """The intervals of one connection in order of time, and what is odd about them.

    Flags: `repeated`, `reversed`, `stale`, `unconfirmed` (an unknown start), `open` (no end is known yet; `open_from`
    has the start, and the interval is not among the intervals), `interrupted` (a short drop, or an interval without any
    event).
    """

    intervals: tuple[ConnectionInterval, ...]
    flags: frozenset[str]
    open_from: tuple[datetime, ...] = ()


def history_of(connection: Connection, instance: Instance) -> ConnectionHistory:
    """The intervals of one connection of this instance."""
    pairing = _Pairing(connection, instance)
    found = pairing.paired() + list(pairing.bridged())
    if connection.put_waiting:
        moves = sorted(move.at for move in connection.put_waiting)
        # A participant put back in the waiting room is out until the next join event, with or without a leave event.
        ends = [next((at for at in moves if at > each.start), each.end) for each in found]
        found = [
            each if end >= each.end else each._replace(end=end, end_by="webhook")
            for each, end in zip(found, ends, strict=True)
        ]
    if roles := staff_roles_of(connection):
        found = [part for each in found for part in _split_by_role(each, roles)]
    waiting = list(_in_waiting_room(connection))
    intervals = tuple(sorted(each for each in (*found, *waiting) if each.start < each.end))
    present = union(each.bounds for each in intervals if not each.waiting)
    # A few seconds may pass between the waiting room and the meeting: such a gap is no interruption.
    if any(
        not common([(before.end, after.start)], [each.bounds for each in waiting])
        for before, after in pairwise(present)
    ):
        pairing.flags.add("interrupted")
    return ConnectionHistory(intervals, frozenset(pairing.flags), tuple(sorted(pairing.open_from)))


class _Pairing:
    """The events of one connection, paired by `user_id` where both came."""

    def __init__(self, connection: Connection, instance: Instance) -> None:
        self.connection = connection
        self.lefts = connection.exits
        self.instance = instance
        self.open_from: list[datetime] = []
        self.flags: set[str] = set()
        self.pairs: list[tuple[ConnectionEvent, ConnectionEvent]] = []
        self.lone_joins: list[ConnectionEvent] = []
        self.lone_lefts: list[ConnectionEvent] = []
        by_user: dict[str, tuple[list[ConnectionEvent], list[ConnectionEvent]]] = defaultdict(lambda: ([], []))
        for join in sorted(connection.joins):
            by_user[join.user_id][0].append(join)
        for left in sorted(self.lefts):
            by_user[left.user_id][1].append(left)
        for joins, lefts in by_user.values():
            self._pair(joins, lefts)

    def _pair(self, joins: list[ConnectionEvent], lefts: list[ConnectionEvent]) -> None:
        """Usually one join and one leave event. Equal numbers are paired in order; otherwise each leave event takes the
        last free join event before it."""
        if len(joins) > 1 or len(lefts) > 1:
            self.flags.add("repeated")
        if len(joins) == len(lefts):
            self.pairs += zip(joins, lefts, strict=True)
            return
        for left in lefts:
            before = bisect_right(joins, left.at, key=attrgetter("at"))
            if before:
                self.pairs.append((joins.pop(before - 1), left))
            else:
                self.lone_lefts.append(left)
        self.lone_joins += joins

    def paired(self) -> list[ConnectionInterval]:
        """The intervals with both events."""
        found = []
        for join, left in self.pairs:
            if left.at < join.at:
                self.flags.add("reversed")
            else:
                stale = self.connection.joins[join] or self.lefts[left]
                found.append(self._trusted(ConnectionInterval(join.at, left.at), stale=stale))
        return found

    def bridged(self) -> Iterator[ConnectionInterval]:
        """The intervals with one event. The connection lived on while its `participant_uuid` did, so a lost event lies
        between the events that came. Only the end of the meeting closes an interval, never our own clock."""
        lefts, ended_at = sorted(self.lone_lefts), self.instance.ended_at
        joins = sorted(join.at for join in self.connection.joins)
        for join in sorted(self.lone_joins):
            stale = self.connection.joins[join]
            following = next(iter(joins[bisect_right(joins, join.at) :]), None)
            left = next((each for each in lefts if each.at > join.at), None)
            if left and (following is None or left.at <= following):
                lefts.remove(left)
                if any(join.at < each.at < left.at for each in self.lefts):
                    yield self._unconfirmed(join.at, left.at)
                else:
                    bridge = ConnectionInterval(join.at, left.at, estimated=True)
                    yield self._trusted(bridge, stale=stale or self.lefts[left])
            elif following:
                until_next = ConnectionInterval(join.at, following, end_by="estimated", estimated=True)
                yield self._trusted(until_next, stale=stale)
            elif ended_at is not None:
                until_end = ConnectionInterval(join.at, max(join.at, ended_at), end_by="estimated", estimated=True)
                yield self._trusted(until_end, stale=stale or self.instance.ends[ended_at])
            else:
                self.flags.add("open")
                self.open_from.append(join.at)
        for left in lefts:
            yield self._without_start(left)

    def _without_start(self, left: ConnectionEvent) -> ConnectionInterval:
        """It began at the leave event just before. Without such an event, or with a waiting room in between, its start
        is unknown: somewhere after the last event before it."""
        start = max((each.at for each in self.lefts if left.at - JUST_BEFORE <= each.at < left.at), default=None)
        if start is None or any(start <= at < left.at for at in self.connection.waiting_starts):
            started = self.instance.started_at
            earliest = started if started and started < left.at else left.at - JUST_BEFORE
            events = (each.at for events in (self.connection.joins, self.lefts) for each in events)
            return self._unconfirmed(max((at for at in events if at < left.at), default=earliest), left.at)
        return self._trusted(
            ConnectionInterval(start, left.at, start_by="estimated", estimated=True), stale=self.lefts[left]
        )

    def _unconfirmed(self, start: datetime, end: datetime) -> ConnectionInterval:
        self.flags.add("unconfirmed")
        return ConnectionInterval(start, end, start_by="estimated", estimated=True, counts=False)

    def _trusted(self, interval: ConnectionInterval, *, stale: bool) -> ConnectionInterval:
        """An interval with an event outside the replay window counts only if something else agrees with it."""
        if not stale:
            return interval
        self.flags.add("stale")
        return interval._replace(counts=False, stale=True)


def _split_by_role(interval: ConnectionInterval, roles: Sequence[StaffRole]) -> Iterator[ConnectionInterval]:
    """The interval split where the role changes."""
    changes = {at for each in roles for at in (each.start, each.end) if interval.start < at < interval.end}
    for start, end in pairwise([interval.start, *sorted(changes), interval.end]):
        yield interval._replace(
            start=start,
            end=end,
            start_by="webhook" if start in changes else interval.start_by,
            end_by="webhook" if end in changes else interval.end_by,
            role=next((each.role for each in roles if each.start <= start < each.end), ""),
        )


def _in_waiting_room(connection: Connection) -> Iterator[ConnectionInterval]:
    """From entering until admitted, otherwise until the next join event or until put back again. Without any of these
    the end is unknown, and nothing is returned."""
    starts = sorted(connection.waiting_starts)
    ends = sorted(connection.admissions | {join.at for join in connection.joins})
    for start in starts:
        later = [*ends[bisect_left(ends, start) :][:1], *starts[bisect_right(starts, start) :][:1]]
        if later:
            end = min(later)
            end_by: Evidence = "webhook" if end in connection.admissions else "estimated"
            yield ConnectionInterval(start, end, end_by=end_by, counts=False, waiting=True)
