"""The appearances in one instance: each connection, with those that Zoom bound to it, and what names its owner.

PURE. A registrant id is the person; an e-mail is one where no registrant id speaks; a phone leg belongs to the computer
it was bound to. A name is never looked at, equal or similar (ce.md T8).

In which breakout room somebody was.

PURE. Breakout events only say where: presence never rests on them (zoom.md §4). Where a move went unseen the room is
unknown, and where one side of a room stay is missing, the stay in the meeting that it belongs to is taken instead.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from lti_tool.attendance.evidence import RoomStay
from zoom_adapter.connections import ALWAYS, FOREVER, Connection, Instance, RoleSpan, roles_of
from zoom_adapter.report_rows import ReportRow
from zoom_adapter.segments import Stay, Stays, common, stays_of, union, without

UNKNOWN = ""


def rooms_of(connection: Connection, stays: Sequence[Stay]) -> list[RoomStay]:
    """The breakout rooms of one connection with these stays, in order of time."""
    known = [stay for stay in _known(connection, stays) if stay.from_at < stay.to_at]
    labelled = union((stay.from_at, stay.to_at) for stay in known)
    bridged = union((stay.start, stay.end) for stay in stays if _is_bridge(stay))
    known += [RoomStay(start, end, UNKNOWN) for start, end in without(bridged, labelled)]
    return sorted(known, key=_order)


def with_rows(rooms: Iterable[RoomStay], rows: Iterable[ReportRow]) -> tuple[RoomStay, ...]:
    """These rooms, and those of the report where no event named one. Zoom calls a room otherwise in its report."""
    found = set(rooms)
    for row in rows:
        named = union((each.from_at, each.to_at) for each in found if each.room)
        if row.room and not common([(row.join_at, row.leave_at)], named):
            found = {each for each in found if each.room or not _overlaps(each, row)}
            found.add(RoomStay(row.join_at, row.leave_at, row.room))
    return tuple(sorted(found, key=_order))


def _known(connection: Connection, stays: Sequence[Stay]) -> Iterator[RoomStay]:
    lefts = sorted(connection.room_lefts)
    for join in sorted(connection.room_joins):
        left = next((each for each in lefts if each.room == join.room and each.at >= join.at), None)
        following = min((each.at for each in connection.room_joins if each.at > join.at), default=None)
        if left and (following is None or left.at <= following):
            lefts.remove(left)
            yield RoomStay(join.at, left.at, join.room)
        else:
            yield RoomStay(join.at, _end_of_stay(join.at, stays), join.room)
    for left in lefts:
        yield RoomStay(_start_of_stay(left.at, stays), left.at, left.room)


def _end_of_stay(at: datetime, stays: Iterable[Stay]) -> datetime:
    """Whoever entered a room left it with the stay in the meeting at the latest."""
    around = (stay for stay in stays if stay.start <= at < stay.end and not stay.waiting)
    return max(((stay.start, stay.end) for stay in around), default=(at, at))[1]


def _start_of_stay(at: datetime, stays: Iterable[Stay]) -> datetime:
    around = (stay.start for stay in stays if stay.start < at <= stay.end and not stay.waiting)
    return max(around, default=at)


def _is_bridge(stay: Stay) -> bool:
    """Zoom told both ends, and not what was between them."""
    return stay.estimated and stay.counts and stay.start_by == stay.end_by == "webhook"


def _overlaps(stay: RoomStay, row: ReportRow) -> bool:
    return stay.from_at < row.leave_at and row.join_at < stay.to_at


def _order(stay: RoomStay) -> tuple[datetime, datetime, str]:
    return stay.from_at, stay.to_at, stay.room


class Identity(NamedTuple):
    """What Zoom knows of who somebody is; empty texts where it knows nothing or contradicts itself. `connections` are
    the connections it speaks of, for staff may have said whose they are; `has_two`: more than one address was told."""

    registrant_id: str
    email: str
    connections: tuple[str, ...] = ()
    has_two: bool = False


@dataclass(frozen=True, slots=True)
class Leg:
    """Connections that are one appearance: one connection, or several that Zoom bound to each other. `told` are the
    stays of each of the connections, `marks` what is odd beside them. `media` says by which means anything of it
    counts: by phone (True), otherwise (False), both, or nothing. `roles` are those in which it ran the meeting, while
    it lasted."""

    keys: tuple[str, ...]
    connections: tuple[Connection, ...]
    identity: Identity
    told: tuple[Stays, ...]
    rooms: tuple[RoomStay, ...]
    marks: frozenset[str]
    media: frozenset[bool]
    roles: tuple[RoleSpan, ...] = ()

    @property
    def key(self) -> str:
        return self.keys[0]

    @property
    def stays(self) -> tuple[Stay, ...]:
        return tuple(sorted(stay for each in self.told for stay in each.stays))

    @property
    def open_from(self) -> tuple[datetime, ...]:
        return tuple(sorted(at for each in self.told for at in each.open_from))

    @property
    def flags(self) -> frozenset[str]:
        return self.marks.union(*(each.flags for each in self.told))

    @property
    def names(self) -> Iterator[tuple[datetime, str]]:
        return (name for each in self.connections for name in each.names)

    @property
    def own_keys(self) -> Iterator[str]:
        """What the person may be called who is known by this appearance alone."""
        yield from keys_of(self.identity)
        yield from (f"connection:{key}" for key in self.keys)


def keys_of(identity: Identity) -> Iterator[str]:
    """What somebody is called by registrant id or e-mail, the surer name first."""
    if identity.registrant_id:
        yield f"registrant:{identity.registrant_id}"
    if identity.email:
        yield f"email:{identity.email}"


def legs_of(instance: Instance) -> list[Leg]:
    """Everybody's appearances in this instance, in order of their keys."""
    found = [
        _leg(keys, instance, is_torn=len(parts) > 1)
        for parts in (_parts(group, instance) for group in _bound(instance))
        for keys in parts
    ]
    return [leg for leg in found if leg.stays or leg.flags or leg.identity.registrant_id or leg.identity.email]


def identities_of(instance: Instance) -> Iterator[Identity]:
    """Who appears in this instance, as `legs_of` has it, without a look at anybody's stays."""
    for group in _bound(instance):
        for keys in _parts(group, instance):
            yield _identity(keys, [instance.connections[key] for key in keys])


def with_emails(identities: Sequence[Identity]) -> list[Identity]:
    """Each with the one address that its registrant has in any of them. Not every row and not every edge tells it."""
    emails: dict[str, set[str]] = defaultdict(set)
    for each in identities:
        emails[each.registrant_id].update(filter(None, [each.email]))
    contested = {each.registrant_id for each in identities if each.has_two} | {""}
    return [
        each
        if each.email or each.registrant_id in contested
        else each._replace(email=_only(emails[each.registrant_id]))
        for each in identities
    ]


def _parts(group: Sequence[str], instance: Instance) -> list[list[str]]:
    """The group as one; what Zoom bound to two registrants, one after the other, is torn: nobody loses their own
    connection by it, and the one between them is nobody's."""
    registrants = {each for key in group for each in instance.connections[key].registrant_ids}
    return [[key] for key in group] if len(registrants) > 1 else [list(group)]


def _leg(keys: Sequence[str], instance: Instance, *, is_torn: bool) -> Leg:
    connections = tuple(instance.connections[key] for key in keys)
    stays = [stays_of(each, instance) for each in connections]
    both = list(zip(connections, stays, strict=True))
    return Leg(
        keys=tuple(keys),
        connections=connections,
        identity=_identity(keys, connections),
        told=tuple(stays),
        rooms=tuple(room for connection, each in both for room in rooms_of(connection, each.stays)),
        marks=_marks(keys, connections) | ({"conflict"} if is_torn else set()),
        media=frozenset(connection.by_phone for connection, each in both if any(stay.counts for stay in each.stays)),
        roles=tuple(role for connection, each in both for role in _roles(connection, each)),
    )


def _roles(connection: Connection, told: Stays) -> Iterator[RoleSpan]:
    """The staff roles of a connection until the last that is known of it; without an end they may go on."""
    ends = (*(stay.end for stay in told.stays), *(left.at for left in connection.exits))
    last = FOREVER if told.open_from else max(ends, default=ALWAYS)
    return (each._replace(end=min(each.end, last)) for each in roles_of(connection) if each.start < last)


def _bound(instance: Instance) -> Iterator[list[str]]:
    """The connections in groups that belong together, by their keys in order."""
    parents = {key: key for key in instance.connections}

    def root(key: str) -> str:
        while parents[key] != key:
            key = parents[key]
        return key

    for key, each in instance.connections.items():
        for other in each.bound_to:
            if other in parents:
                first, second = sorted((root(key), root(other)))
                parents[second] = first
    groups: dict[str, list[str]] = defaultdict(list)
    for key in sorted(instance.connections):
        groups[root(key)].append(key)
    yield from groups.values()


def _identity(keys: Sequence[str], connections: Sequence[Connection]) -> Identity:
    """What several edges agree on. Two registrant ids on one appearance contradict each other, and then nobody's name
    is guessed from its e-mail either."""
    registrants = {each for connection in connections for each in connection.registrant_ids}
    emails = {each for connection in connections for each in connection.emails}
    if len(registrants) > 1:
        return Identity("", "", tuple(keys))
    return Identity(_only(registrants), _only(emails), tuple(keys), has_two=len(emails) > 1)


def _only(values: set[str]) -> str:
    return next(iter(values)) if len(values) == 1 else ""


def _marks(keys: Sequence[str], connections: Sequence[Connection]) -> frozenset[str]:
    marks = set()
    if any(each.by_phone for each in connections):
        marks.add("phone")
    if any(each.from_log for each in connections):
        marks.add("webhook_log")
    if any(key.startswith("user:") for key in keys):
        marks.add("no_connection_id")
    if len({each for connection in connections for each in connection.registrant_ids}) > 1:
        marks.add("conflict")
    return frozenset(marks)
