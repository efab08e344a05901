"""The events of each connection, whatever order the deliveries came in, and the intervals that they show.

PURE. A connection is one `participant_uuid` within one meeting instance; it lives on through breakout rooms. Events are
kept by time and `user_id`, so a copy of a delivery changes nothing. Roles come from webhooks alone, since Zoom's report
has none (zoom.md §4).

An interval is (meeting uuid, participant_uuid, user_id) with one join and one leave event; a breakout move ends one
interval and begins the next in the same second. Missing events are routine: an inferred time makes the interval
`estimated`; if nothing can be inferred, it doesn't count.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from lti_tool.attendance.evidence import Evidence
from lti_tool.intervals import common, union
from zoom_adapter.events import ZoomEvent

# The kinds that show where a participant was at that time. Trying to enter, registering and changes of the meeting
# don't.
_CONNECTION_KINDS = frozenset(
    {"joined", "left", "waiting", "put_waiting", "waited", "room_joined", "room_left", "role", "bind"}
)
_INSTANCE_KINDS = frozenset({"started", "ended"})
_ROOM_KINDS = frozenset({"room_joined", "room_left"})
# Two events of one moment may differ by this much.
SAME_MOMENT = timedelta(seconds=2)
# Zoom's role by its letters ("co-host", "Co-Host", "cohost") → ours. All other roles are attendees.
STAFF_ROLES = {"host": "host", "cohost": "co-host", "alternativehost": "host", "panelist": "panelist"}
# A connection may keep its id through a short drop (zoom.md §4), so the time between two leave events may be an
# absence. At most this much of it counts as an interval whose join event was lost.
JUST_BEFORE = timedelta(minutes=5)
ALWAYS = datetime.min.replace(tzinfo=UTC)
FOREVER = datetime.max.replace(tzinfo=UTC)


class ConnectionEvent(NamedTuple):
    """A join or leave event. `user_id` is Zoom's number of the interval: it changes with each breakout move."""

    at: datetime
    user_id: str


class RoomEvent(NamedTuple):
    """A join or leave event of a breakout room; `user_id` is that of the interval in the meeting itself."""

    at: datetime
    user_id: str
    room: str


class RoleChange(NamedTuple):
    at: datetime
    old: str
    new: str


class StaffRole(NamedTuple):
    """A staff role of a connection from `start` to `end`."""

    start: datetime
    end: datetime
    role: str


# Event → whether every copy of it came outside the replay window.
Events = dict[ConnectionEvent, bool]


@dataclass(slots=True)
class Connection:
    """All events of one connection. Only sets and dictionaries, so the order of arrival leaves no trace."""

    joins: Events = field(default_factory=dict)
    lefts: Events = field(default_factory=dict)
    put_waiting: Events = field(default_factory=dict)
    waits: set[datetime] = field(default_factory=set)
    admissions: set[datetime] = field(default_factory=set)
    room_joins: set[RoomEvent] = field(default_factory=set)
    room_lefts: set[RoomEvent] = field(default_factory=set)
    roles: set[RoleChange] = field(default_factory=set)
    registrants: set[str] = field(default_factory=set)
    breakout_registrants: set[str] = field(default_factory=set)
    emails: set[str] = field(default_factory=set)
    names: set[tuple[datetime, str]] = field(default_factory=set)
    bound_to: set[str] = field(default_factory=set)
    by_phone: bool = False
    is_host: bool = False
    from_log: bool = False

    @property
    def exits(self) -> Events:
        """The leave events, and each move to the waiting room without a trusted leave event of its interval: whether
        Zoom sends both is not known (zoom.md §4)."""
        if not self.put_waiting:
            return self.lefts
        moves: Events = {}
        replaced: set[ConnectionEvent] = set()
        for move, is_stale in self.put_waiting.items():
            own = [left for left in self.lefts if self._end_one_interval(left, move)]
            # A move of an unknown interval at the moment of a trusted leave event is that event.
            is_repeated = move.user_id not in self.user_ids and any(
                not stale and abs(left.at - move.at) <= SAME_MOMENT for left, stale in self.lefts.items()
            )
            if all(self.lefts[left] for left in own) and not (own and is_stale) and not is_repeated:
                moves[move] = is_stale
                replaced.update(own)
        return {left: is_stale for left, is_stale in self.lefts.items() if left not in replaced} | moves

    def _end_one_interval(self, left: ConnectionEvent, move: ConnectionEvent) -> bool:
        """Whether both events end the same interval: nothing shows a return between them."""
        since, until = sorted((left.at, move.at))
        joins = (join.at for join in self.joins if join.user_id == move.user_id)
        returned = any(since < at < until for at in (*joins, *self.admissions, *self.waits))
        return left.user_id == move.user_id and not returned

    @property
    def event_count(self) -> int:
        """How many events say where the participant was. Events are only ever added, so a new one changes the count."""
        waiting = len(self.waits) + len(self.put_waiting) + len(self.admissions)
        return len(self.joins) + len(self.lefts) + len(self.room_joins) + len(self.room_lefts) + waiting

    @property
    def waiting_starts(self) -> set[datetime]:
        """When it entered the waiting room or was put back there."""
        return self.waits | {move.at for move in self.put_waiting}

    @property
    def user_ids(self) -> set[str]:
        return {event.user_id for events in (self.joins, self.lefts) for event in events}

    @property
    def registrant_ids(self) -> set[str]:
        """A registrant id on any event holds for all intervals; breakout events count only if no other has one."""
        return self.registrants or self.breakout_registrants

    def add(self, event: ZoomEvent, at: datetime, user_id: str) -> None:
        """Add what this event says about times and rooms."""
        match event.kind:
            case "joined" | "left" | "put_waiting":
                events = {"joined": self.joins, "left": self.lefts, "put_waiting": self.put_waiting}[event.kind]
                edge = ConnectionEvent(at, user_id)
                events[edge] = events.get(edge, True) and event.stale
            case "waiting":
                self.waits.add(at)
            case "waited":
                self.admissions.add(at)
            case "room_joined":
                self.room_joins.add(RoomEvent(at, user_id, event.room))
            case "room_left":
                self.room_lefts.add(RoomEvent(at, user_id, event.room))
            case "role":
                self.roles.add(RoleChange(at, event.old_role, event.new_role))
            case "bind" if event.bind_participant_uuid or event.bind_user_id:
                self.bound_to.add(_key(event.bind_participant_uuid, event.bind_user_id))

    def identify(self, event: ZoomEvent, at: datetime) -> None:
        """Add what this event says about the person. The e-mail of a breakout event is ignored, since it can follow
        the room instead of the person (zoom.md §3.3)."""
        in_room = event.kind in _ROOM_KINDS
        if event.registrant_id:
            (self.breakout_registrants if in_room else self.registrants).add(event.registrant_id)
        if event.kind in ("joined", "left") and event.email:
            self.emails.add(event.email)
        if event.name and not in_room:
            self.names.add((at, event.name))
        self.by_phone = self.by_phone or bool(event.phone)
        self.is_host = self.is_host or event.is_host
        self.from_log = self.from_log or event.from_log


@dataclass(slots=True)
class Instance:
    """One meeting uuid: when it started, when it ended (and whether that event was stale), and its connections."""

    started_at: datetime | None = None
    last_at: datetime | None = None
    ends: dict[datetime, bool] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)

    @property
    def ended_at(self) -> datetime | None:
        """The last end, since a webinar may also report the end of its practice session."""
        return max(self.ends, default=None)


def gather(events: Iterable[ZoomEvent], into: dict[str, Instance] | None = None) -> dict[str, Instance]:
    """The instances by uuid; the events are added to `into`, the instances of earlier ones. Events without a uuid or
    a time are left out."""
    instances: dict[str, Instance] = {} if into is None else into
    for event in events:
        kind, at = event.kind, event.at
        if not (at and event.meeting_uuid and (kind in _CONNECTION_KINDS or kind in _INSTANCE_KINDS)):
            continue
        instance = instances.setdefault(event.meeting_uuid, Instance())
        first = min(event.instance_start or at, at)
        instance.started_at = min(instance.started_at or first, first)
        instance.last_at = max(instance.last_at or at, at)
        if kind == "ended":
            instance.ends[at] = instance.ends.get(at, True) and event.stale
        elif kind != "started":
            # The `user_id` of a breakout event has another format; its parent's is that in the meeting
            # (zoom.md §3.3).
            user_id = (event.parent_user_id if kind in _ROOM_KINDS else "") or event.user_id
            key = _key(event.participant_uuid, user_id)
            connection = instance.connections.setdefault(key, Connection())
            connection.add(event, at, user_id)
            connection.identify(event, at)
    return instances


def _key(participant_uuid: str, user_id: str) -> str:
    """The key of a connection. A `user_id` repeats between people, so it is used only for a connection without a
    `participant_uuid` (zoom.md §3)."""
    return participant_uuid or f"user:{user_id}"


def staff_roles_of(connection: Connection) -> list[StaffRole]:
    """When this connection ran the meeting, in order of time."""
    changes = sorted(connection.roles)
    first = "host" if connection.is_host else _letters(changes[0].old) if changes else ""
    roles = [(ALWAYS, first), *((each.at, _letters(each.new)) for each in changes), (FOREVER, "")]
    return [
        StaffRole(start, end, STAFF_ROLES[role]) for (start, role), (end, _) in pairwise(roles) if role in STAFF_ROLES
    ]


def _letters(role: str) -> str:
    return "".join(filter(str.isalpha, role)).lower()


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
