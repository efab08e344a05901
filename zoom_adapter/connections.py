"""What the deliveries say of each connection: a heap of edges, whatever order they came in.

PURE. A connection is one `participant_uuid` within one meeting instance; it lives on through breakout rooms. Edges are
kept by their time and stay (`user_id`), so a copy of a delivery changes nothing.

Who ran the meeting, and when: the roles of one connection over time.

PURE. Zoom says who scheduled the meeting and tells every change of a role; its report tells none (zoom.md §4).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from zoom_adapter.events import Notice

# What shows that somebody was somewhere at that time. Trying to enter, registering and changes of the meeting do not.
_OF_CONNECTIONS = frozenset(
    {"joined", "left", "waiting", "put_waiting", "waited", "room_joined", "room_left", "role", "bind"}
)
_OF_INSTANCES = frozenset({"started", "ended"})
_IN_ROOMS = frozenset({"room_joined", "room_left"})


# Two events of one moment may differ by that much.
SAME_MOMENT = timedelta(seconds=2)


class Edge(NamedTuple):
    """One side of a stay: when, and which stay of the connection (Zoom's `user_id`)."""

    at: datetime
    user_id: str


class RoomEdge(NamedTuple):
    """One side of a stay in a breakout room; `user_id` is the stay's in the meeting itself."""

    at: datetime
    user_id: str
    room: str


class RoleChange(NamedTuple):
    at: datetime
    old: str
    new: str


# Edge → whether every copy of it came outside the replay window.
Edges = dict[Edge, bool]


@dataclass(slots=True)
class Connection:
    """Everything said of one connection. Sets and dictionaries only: the order of arrival leaves no trace."""

    joins: Edges = field(default_factory=dict)
    lefts: Edges = field(default_factory=dict)
    put_waiting: set[datetime] = field(default_factory=set)
    put_from: Edges = field(default_factory=dict)  # which stay ended there, as far as Zoom says
    waits: set[datetime] = field(default_factory=set)
    admissions: set[datetime] = field(default_factory=set)
    room_joins: set[RoomEdge] = field(default_factory=set)
    room_lefts: set[RoomEdge] = field(default_factory=set)
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
    def exits(self) -> Edges:
        """The LEFTs, and the moves to the waiting room of stays that have no trusted LEFT as well: nobody knows whether
        Zoom sends both (zoom.md §4)."""
        if not self.put_from:
            return self.lefts
        moves: Edges = {}
        replaced: set[Edge] = set()
        for out, is_stale in self.put_from.items():
            own = [left for left in self.lefts if self._is_one_stay(left, out)]
            if all(self.lefts[left] for left in own) and not (own and is_stale) and not self._is_beside_a_left(out):
                moves[out] = is_stale
                replaced.update(own)
        return {left: is_stale for left, is_stale in self.lefts.items() if left not in replaced} | moves

    def _is_one_stay(self, left: Edge, out: Edge) -> bool:
        """Whether both end one stay: nobody came back in between, from outside or from the waiting room."""
        since, until = sorted((left.at, out.at))
        joins = (join.at for join in self.joins if join.user_id == out.user_id)
        back = any(since < at < until for at in (*joins, *self.admissions, *self.waits))
        return left.user_id == out.user_id and not back

    def _is_beside_a_left(self, out: Edge) -> bool:
        """Whether it names no stay that is known, while a trusted LEFT tells of that moment."""
        is_known = out.user_id in self.user_ids
        return not is_known and any(
            not is_stale and abs(left.at - out.at) <= SAME_MOMENT for left, is_stale in self.lefts.items()
        )

    @property
    def user_ids(self) -> set[str]:
        return {edge.user_id for edges in (self.joins, self.lefts) for edge in edges}

    @property
    def registrant_ids(self) -> set[str]:
        """A registrant id on any edge holds for all stays; breakout edges speak only where no other edge does."""
        return self.registrants or self.breakout_registrants


@dataclass(slots=True)
class Instance:
    """One meeting uuid: when it started, when it ended (with whether that notice was stale), and its connections."""

    started_at: datetime | None = None
    last_at: datetime | None = None
    ends: dict[datetime, bool] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)

    @property
    def ended_at(self) -> datetime | None:
        """The last end, since a webinar may also report that its practice session ended."""
        return max(self.ends, default=None)


def gather(notices: Iterable[Notice], into: dict[str, Instance] | None = None) -> dict[str, Instance]:
    """The instances by uuid; `into` are those of earlier notices, which are added to. What says neither where nor when
    it happened is left out."""
    instances: dict[str, Instance] = {} if into is None else into
    for notice in notices:
        known = notice.kind in _OF_CONNECTIONS or notice.kind in _OF_INSTANCES
        if known and notice.meeting_uuid and notice.at:
            _add(instances.setdefault(notice.meeting_uuid, Instance()), notice, notice.at)
    return instances


def _add(instance: Instance, notice: Notice, at: datetime) -> None:
    first = min(notice.instance_start or at, at)
    instance.started_at = min(instance.started_at or first, first)
    instance.last_at = max(instance.last_at or at, at)
    if notice.kind == "ended":
        instance.ends[at] = instance.ends.get(at, True) and notice.stale
    elif notice.kind != "started":
        # In breakout events the `user_id` is of another kind; the parent's is the stay in the meeting (zoom.md §3.3).
        user_id = (notice.parent_user_id if notice.kind in _IN_ROOMS else "") or notice.user_id
        key = _key(notice.participant_uuid, user_id)
        _add_edge(instance.connections.setdefault(key, Connection()), notice, at, user_id)


def _key(participant_uuid: str, user_id: str) -> str:
    """What a connection is known by. A `user_id` repeats between people, so it never stands for a connection that has
    an id (zoom.md §3)."""
    return participant_uuid or f"user:{user_id}"


def _add_edge(connection: Connection, notice: Notice, at: datetime, user_id: str) -> None:
    match notice.kind:
        case "joined" | "left":
            edges = connection.joins if notice.kind == "joined" else connection.lefts
            edge = Edge(at, user_id)
            edges[edge] = edges.get(edge, True) and notice.stale
        case "put_waiting":
            connection.put_waiting.add(at)
            out = Edge(at, user_id)
            connection.put_from[out] = connection.put_from.get(out, True) and notice.stale
        case "waiting":
            connection.waits.add(at)
        case "waited":
            connection.admissions.add(at)
        case "room_joined":
            connection.room_joins.add(RoomEdge(at, user_id, notice.room))
        case "room_left":
            connection.room_lefts.add(RoomEdge(at, user_id, notice.room))
        case "role":
            connection.roles.add(RoleChange(at, notice.old_role, notice.new_role))
        case "bind":
            if notice.bind_participant_uuid or notice.bind_user_id:
                connection.bound_to.add(_key(notice.bind_participant_uuid, notice.bind_user_id))
    _identify(connection, notice, at)


def _identify(connection: Connection, notice: Notice, at: datetime) -> None:
    """In breakout events the e-mail can follow the room instead of the person (zoom.md §3.3): it is not read there."""
    in_room = notice.kind in _IN_ROOMS
    if notice.registrant_id:
        (connection.breakout_registrants if in_room else connection.registrants).add(notice.registrant_id)
    if notice.kind in ("joined", "left") and notice.email:
        connection.emails.add(notice.email)
    if notice.name and not in_room:
        connection.names.add((at, notice.name))
    connection.by_phone = connection.by_phone or bool(notice.phone)
    connection.is_host = connection.is_host or notice.is_host
    connection.from_log = connection.from_log or notice.from_log


# By the letters of what Zoom says ("co-host", "Co-Host", "cohost"). Everybody else only attends.
STAFF_ROLES = {"host": "host", "cohost": "co-host", "alternativehost": "host", "panelist": "panelist"}

ALWAYS = datetime.min.replace(tzinfo=UTC)
FOREVER = datetime.max.replace(tzinfo=UTC)


class RoleSpan(NamedTuple):
    """A staff role from `start` to `end`."""

    start: datetime
    end: datetime
    role: str


def roles_of(connection: Connection) -> list[RoleSpan]:
    """The times in which somebody on this connection ran the meeting, in order."""
    return [RoleSpan(start, end, STAFF_ROLES[role]) for start, end, role in _history(connection) if role in STAFF_ROLES]


def _history(connection: Connection) -> Iterator[tuple[datetime, datetime, str]]:
    changes = sorted(connection.roles)
    before = "host" if connection.is_host else _letters(changes[0].old) if changes else ""
    roles = [(ALWAYS, before), *((each.at, _letters(each.new)) for each in changes), (FOREVER, "")]
    for (start, role), (end, _) in pairwise(roles):
        yield start, end, role


def _letters(role: str) -> str:
    return "".join(filter(str.isalpha, role)).lower()
