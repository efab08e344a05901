"""The participants of one instance: connections that belong together, what identifies the person, and their rooms.

PURE. A registrant id identifies a person; an e-mail does so only without a registrant id; a telephone belongs to the
computer it was bound to. A name never identifies anyone (ce.md T8). Breakout events only say where a participant was:
presence never rests on them (zoom.md §4). If a move left no event the room is unknown, and if a room event is missing,
the interval in the meeting bounds the time in the room.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple

from lti_tool.attendance.evidence import RoomInterval
from lti_tool.intervals import union, without
from zoom_adapter.connections import (
    ALWAYS,
    FOREVER,
    Connection,
    ConnectionHistory,
    ConnectionInterval,
    Instance,
    StaffRole,
    history_of,
    staff_roles_of,
)

UNKNOWN = ""
NOTHING_SETTLED: Mapping[str, int] = {}
room_order = attrgetter("from_at", "to_at", "room")


class Identity(NamedTuple):
    """What Zoom knows about a person; empty texts if it knows nothing or contradicts itself. `connections` are the keys
    of the connections, since staff may have matched one of them; `has_two`: Zoom sent more than one address."""

    registrant_id: str
    email: str
    connections: tuple[str, ...] = ()
    has_two: bool = False


class Recognition(NamedTuple):
    """The trainee of an identity, None if unmatched, and how they are known: `link`, `settled` (remembered from this
    session), `place` or `address`. `differs`: today's evidence alone would name another trainee."""

    trainee_id: int | None
    known_by: str = ""
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Participant:
    """One connection, or several that Zoom bound to each other, in one instance.

    `histories` are those of the connections; `marks` are flags of the participant as a whole. `media` says how the
    presence that counts came about: by telephone (True), otherwise (False), both or neither. `roles` are the staff
    roles while the connections lasted.
    """

    keys: tuple[str, ...]
    connections: tuple[Connection, ...]
    identity: Identity
    histories: tuple[ConnectionHistory, ...]
    rooms: tuple[RoomInterval, ...]
    marks: frozenset[str]
    media: frozenset[bool]
    roles: tuple[StaffRole, ...] = ()

    @property
    def intervals(self) -> tuple[ConnectionInterval, ...]:
        return tuple(sorted(each for history in self.histories for each in history.intervals))

    @property
    def open_from(self) -> tuple[datetime, ...]:
        return tuple(sorted(at for history in self.histories for at in history.open_from))

    @property
    def flags(self) -> frozenset[str]:
        return self.marks.union(*(history.flags for history in self.histories))

    @property
    def names(self) -> Iterator[tuple[datetime, str]]:
        return (name for each in self.connections for name in each.names)

    @property
    def person_keys(self) -> Iterator[str]:
        """The possible keys of a person known by this participant alone."""
        yield from keys_of(self.identity)
        yield from (f"connection:{key}" for key in self.keys)


def keys_of(identity: Identity) -> Iterator[str]:
    """The keys of a person by registrant id and e-mail, the more certain first."""
    if identity.registrant_id:
        yield f"registrant:{identity.registrant_id}"
    if identity.email:
        yield f"email:{identity.email}"


def participants_of(instance: Instance, settled: Mapping[str, int] = NOTHING_SETTLED) -> list[Participant]:
    """The participants of this instance, in order of their keys. `settled`: connections whose trainee is settled."""
    found = (_participant(keys, instance, is_split=is_split) for keys, is_split in _bound_keys(instance, settled))
    return [each for each in found if each.intervals or each.flags or any(each.identity[:2])]


def identities_of(instance: Instance) -> Iterator[Identity]:
    """The identities of `participants_of`, without computing any interval."""
    for keys, _ in _bound_keys(instance, NOTHING_SETTLED):
        yield _identity(keys, [instance.connections[key] for key in keys])


def with_emails(identities: Sequence[Identity]) -> list[Identity]:
    """The identities, completed with the one address that their registrant has anywhere among them, since not every row
    and event has it."""
    emails: dict[str, set[str]] = defaultdict(set)
    for each in identities:
        emails[each.registrant_id].update(filter(None, [each.email]))
    contested = {each.registrant_id for each in identities if each.has_two} | {""}
    return [
        each if each.email or each.registrant_id in contested else each._replace(email=only(emails[each.registrant_id]))
        for each in identities
    ]


def only(values: set[str]) -> str:
    """The value if there is exactly one, otherwise an empty text."""
    return next(iter(values)) if len(values) == 1 else ""


def _participant(keys: Sequence[str], instance: Instance, *, is_split: bool) -> Participant:
    connections = tuple(instance.connections[key] for key in keys)
    histories = tuple(history_of(each, instance) for each in connections)
    rooms: list[RoomInterval] = []
    roles: list[StaffRole] = []
    for connection, history in zip(connections, histories, strict=True):
        rooms += rooms_of(connection, history.intervals)
        if staff_roles := staff_roles_of(connection):
            ends = (*(each.end for each in history.intervals), *(left.at for left in connection.exits))
            last = FOREVER if history.open_from else max(ends, default=ALWAYS)
            roles += [each._replace(end=min(each.end, last)) for each in staff_roles if each.start < last]
    marks = {
        "phone": any(each.by_phone for each in connections),
        "webhook_log": any(each.from_log for each in connections),
        "no_connection_id": any(key.startswith("user:") for key in keys),
        "conflict": is_split or len({id_ for each in connections for id_ in each.registrant_ids}) > 1,
    }
    return Participant(
        keys=tuple(keys),
        connections=connections,
        identity=_identity(keys, connections),
        histories=histories,
        rooms=tuple(rooms),
        marks=frozenset(mark for mark, is_so in marks.items() if is_so),
        media=frozenset(
            connection.by_phone
            for connection, history in zip(connections, histories, strict=True)
            if any(each.counts for each in history.intervals)
        ),
        roles=tuple(roles),
    )


def _bound_keys(instance: Instance, settled: Mapping[str, int]) -> Iterator[tuple[list[str], bool]]:
    """The keys of connections that belong together, in order, and whether their group was split.

    A group that Zoom bound to two registrants, one after the other, is split into its connections: each registrant
    keeps their own, and the one between them has no owner. So is a group of connections that were settled for two
    trainees.
    """
    parents = {key: key for key in instance.connections}

    def root(key: str) -> str:
        while parents[key] != key:
            key = parents[key]
        return key

    for key, connection in instance.connections.items():
        for other in connection.bound_to:
            if other in parents:
                first, second = sorted((root(key), root(other)))
                parents[second] = first
    groups: dict[str, list[str]] = defaultdict(list)
    for key in sorted(instance.connections):
        groups[root(key)].append(key)
    for group in groups.values():
        registrants = {id_ for key in group for id_ in instance.connections[key].registrant_ids}
        if len(group) > 1 and (len(registrants) > 1 or len({settled[key] for key in group if key in settled}) > 1):
            yield from (([key], True) for key in group)
        else:
            yield group, False


def _identity(keys: Sequence[str], connections: Sequence[Connection]) -> Identity:
    """What the events agree on. Two registrant ids contradict each other, and then the e-mail is no proof either."""
    registrants = {each for connection in connections for each in connection.registrant_ids}
    emails = {each for connection in connections for each in connection.emails}
    if len(registrants) > 1:
        return Identity("", "", tuple(keys))
    return Identity(only(registrants), only(emails), tuple(keys), has_two=len(emails) > 1)


def rooms_of(connection: Connection, intervals: Sequence[ConnectionInterval]) -> list[RoomInterval]:
    """The breakout rooms of one connection with these intervals, in order of time."""
    present = [each for each in intervals if not each.waiting]
    lefts = sorted(connection.room_lefts)
    known = []
    for join in sorted(connection.room_joins):
        left = next((each for each in lefts if each.room == join.room and each.at >= join.at), None)
        following = min((each.at for each in connection.room_joins if each.at > join.at), default=None)
        if left and (following is None or left.at <= following):
            lefts.remove(left)
            known.append(RoomInterval(join.at, left.at, join.room))
        else:
            around = (each.bounds for each in present if each.start <= join.at < each.end)
            known.append(RoomInterval(join.at, max(around, default=(join.at, join.at))[1], join.room))
    for left in lefts:
        start = max((each.start for each in present if each.start < left.at <= each.end), default=left.at)
        known.append(RoomInterval(start, left.at, left.room))
    known = [each for each in known if each.from_at < each.to_at]
    # Zoom reported both ends of a bridge, but not what was between them.
    bridges = (
        each.bounds
        for each in intervals
        if each.estimated and each.counts and each.start_by == each.end_by == "webhook"
    )
    unknown = without(union(bridges), union((each.from_at, each.to_at) for each in known))
    return sorted([*known, *(RoomInterval(*each, UNKNOWN) for each in unknown)], key=room_order)
