"""From stays to people: which connections are one person, and where that person was.

PURE. A registrant id is the person; an e-mail is one where no registrant id speaks; a phone leg belongs to the computer
it was bound to. A name is never looked at, equal or similar (ce.md T8). Who the person is to us is asked of `identify`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from lti_tool.sessions.attendance import WAITING_ROOM, PersonPresence, PresenceInterval
from zoom_adapter.connections import Connection, Instance
from zoom_adapter.segments import Stay, Stays, stays_of, union

# A dead connection is noticed after up to a minute and a half, while its owner is back on a new one (zoom.md §1, §4).
# Only a longer overlap means two devices at once.
RECONNECT_OVERLAP = timedelta(minutes=2)


class Identity(NamedTuple):
    """What Zoom knows of who somebody is; empty texts where it knows nothing or contradicts itself."""

    registrant_id: str
    email: str


Identify = Callable[[Identity], int | None]


@dataclass(frozen=True, slots=True)
class Leg:
    """Connections that are one appearance: one connection, or several that Zoom bound to each other. `media` says by
    which means anything of it counts: by phone (True), otherwise (False), both, or nothing."""

    keys: tuple[str, ...]
    identity: Identity
    names: frozenset[tuple[datetime, str]]
    stays: tuple[Stay, ...]
    flags: frozenset[str]
    media: frozenset[bool]

    @property
    def key(self) -> str:
        return self.keys[0]

    @property
    def own_keys(self) -> Iterator[str]:
        """What the person may be called who is known by this appearance alone."""
        if self.identity.registrant_id:
            yield f"registrant:{self.identity.registrant_id}"
        if self.identity.email:
            yield f"email:{self.identity.email}"
        yield from (f"connection:{key}" for key in self.keys)


def people(instances: Mapping[str, Instance], identify: Identify) -> tuple[PersonPresence, ...]:
    """Everybody who appeared in these instances, each once, in order of their keys.

    `identify` gives the trainee's id for an identity, or None; two identities of one trainee are one person.
    """
    found: dict[str, list[Leg]] = defaultdict(list)
    trainees: dict[str, int | None] = {}
    for instance in instances.values():
        for leg in _legs(instance):
            trainee_id = identify(leg.identity)
            key = _person_key(leg, trainee_id)
            found[key].append(leg)
            trainees[key] = trainee_id
    return tuple(_person(key, trainees[key], found[key]) for key in sorted(found))


def identities(instances: Mapping[str, Instance]) -> Iterator[Identity]:
    """Every identity that `people` will ask for."""
    for instance in instances.values():
        for keys in _bound(instance):
            yield _identity([instance.connections[key] for key in keys])


def _legs(instance: Instance) -> Iterator[Leg]:
    for keys in _bound(instance):
        connections = [instance.connections[key] for key in keys]
        stays = [stays_of(each, instance) for each in connections]
        identity = _identity(connections)
        if any(each.stays or each.flags for each in stays) or any(identity):
            yield Leg(
                keys=tuple(keys),
                identity=identity,
                names=frozenset(name for each in connections for name in each.names),
                stays=tuple(sorted(stay for each in stays for stay in each.stays)),
                flags=_flags(keys, connections, stays),
                media=frozenset(
                    connection.by_phone
                    for connection, each in zip(connections, stays, strict=True)
                    if any(stay.counts for stay in each.stays)
                ),
            )


def _bound(instance: Instance) -> Iterator[list[str]]:
    """The connections in groups that belong together, by their keys in order."""
    owners = _owners(instance)
    parents = {key: key for key in instance.connections}

    def root(key: str) -> str:
        while parents[key] != key:
            key = parents[key]
        return key

    for key, each in instance.connections.items():
        for other in each.bound_connections | {owners.get(user, key) for user in each.bound_users}:
            if other in parents:
                first, second = sorted((root(key), root(other)))
                parents[second] = first
    groups: dict[str, list[str]] = defaultdict(list)
    for key in sorted(instance.connections):
        groups[root(key)].append(key)
    yield from groups.values()


def _owners(instance: Instance) -> dict[str, str]:
    """The connection of each stay's `user_id`, where only one connection used it."""
    owners: dict[str, set[str]] = defaultdict(set)
    for key, connection in instance.connections.items():
        for user in connection.user_ids:
            owners[user].add(key)
    return {user: next(iter(keys)) for user, keys in owners.items() if len(keys) == 1}


def _identity(connections: Sequence[Connection]) -> Identity:
    """What several edges agree on. Two registrant ids on one appearance contradict each other, and then nobody's name
    is guessed from its e-mail either."""
    registrants = {each for connection in connections for each in connection.registrant_ids}
    emails = {each for connection in connections for each in connection.emails}
    if len(registrants) > 1:
        return Identity("", "")
    return Identity(_only(registrants), _only(emails))


def _only(values: set[str]) -> str:
    return next(iter(values)) if len(values) == 1 else ""


def _flags(keys: Sequence[str], connections: Sequence[Connection], stays: Sequence[Stays]) -> frozenset[str]:
    flags = {flag for each in stays for flag in each.flags}
    if any(each.by_phone for each in connections):
        flags.add("phone")
    if any(key.startswith("user:") for key in keys):
        flags.add("no_connection_id")
    if len({each for connection in connections for each in connection.registrant_ids}) > 1:
        flags.add("conflict")
    return frozenset(flags)


def _person_key(leg: Leg, trainee_id: int | None) -> str:
    if trainee_id is not None:
        return f"trainee:{trainee_id}"
    return next(leg.own_keys)


def _person(key: str, trainee_id: int | None, legs: Sequence[Leg]) -> PersonPresence:
    intervals = sorted((_interval(leg, stay) for leg in legs for stay in leg.stays), key=_order)
    flags = {flag for leg in legs for flag in leg.flags}
    if any(stay.estimated for leg in legs for stay in leg.stays):
        flags.add("estimated")
    if _is_concurrent(legs):
        flags.add("concurrent")
    if {by_phone for leg in legs for by_phone in leg.media} == {True}:
        flags.add("phone_only")
    names = max((name for leg in legs for name in leg.names), default=None)
    return PersonPresence(
        person_key=key,
        trainee_id=trainee_id,
        display_name=names[1] if names else None,
        email=min((leg.identity.email for leg in legs if leg.identity.email), default=None),
        registrant_id=min((leg.identity.registrant_id for leg in legs if leg.identity.registrant_id), default=None),
        intervals=tuple(intervals),
        flags=tuple(sorted(flags)),
        former_keys=tuple(sorted({each for leg in legs for each in leg.own_keys})),
    )


def _interval(leg: Leg, stay: Stay) -> PresenceInterval:
    source = WAITING_ROOM if stay.waiting else f"connection:{leg.key}"
    return PresenceInterval(stay.start, stay.end, "estimated" if stay.estimated else "webhook", stay.counts, source)


def _order(interval: PresenceInterval) -> tuple[datetime, datetime, str, str, bool]:
    return (interval.from_at, interval.to_at, interval.source, interval.evidence, interval.counts)


def _is_concurrent(legs: Sequence[Leg]) -> bool:
    """Whether two appearances of one person overlap for longer than a reconnect explains."""
    spans = sorted(span for leg in legs for span in union((s.start, s.end) for s in leg.stays if not s.waiting))
    latest_end: datetime | None = None
    for start, end in spans:
        if latest_end and min(latest_end, end) - start > RECONNECT_OVERLAP:
            return True
        latest_end = max(end, latest_end or end)
    return False
