"""Gathers the events of each connection and the staff roles it had, whatever order the deliveries came in.

PURE. A connection is one `participant_uuid` within one meeting instance; it lives on through breakout rooms. Events are
kept by time and `user_id`, so a copy of a delivery changes nothing. Roles come from webhooks alone, since Zoom's report
has none (zoom.md §4).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

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
