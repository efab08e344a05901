"""The appearances in one instance: each connection, with those that Zoom bound to it, and what names its owner.

PURE. A registrant id is the person; an e-mail is one where no registrant id speaks; a phone leg belongs to the computer
it was bound to. A name is never looked at, equal or similar (ce.md T8).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from lti_tool.sessions.evidence import RoomStay
from zoom_adapter.breakouts import rooms_of
from zoom_adapter.connections import Connection, Instance
from zoom_adapter.roles import ALWAYS, FOREVER, RoleSpan, roles_of
from zoom_adapter.segments import Stay, Stays, stays_of


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
