"""Who is in the meeting right now, as far as the deliveries tell.

PURE, a function of the edges so far. A connection whose LEFT was lost counts as here until the
meeting ends: a board may err, attendance never rests on it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from lti_tool.sessions.live_board import NO_END, LivePerson, Where
from zoom_adapter.connections import Connection, Instance
from zoom_adapter.legs import Identity, identities_of, keys_of, with_emails
from zoom_adapter.persons import Identify
from zoom_adapter.segments import stays_of
from zoom_adapter.spans import Span, union

# The event of a room may come a few seconds before the edge in the meeting that it belongs to.
ROOM_SKEW = timedelta(seconds=5)


class Appearance(NamedTuple):
    """One connection: when it was in the meeting, since when it is now (None: it is not) and in which breakout room,
    since when it waits."""

    spans: tuple[Span, ...]
    here_since: datetime | None
    waiting_since: datetime | None
    room: str


# What was computed of a connection, by (uuid, connection), with the mark of the edges it was computed from.
Memo = dict[tuple[str, str], tuple[Any, Appearance]]


def people_now(instances: Mapping[str, Instance], identify: Identify, memo: Memo) -> tuple[LivePerson, ...]:
    """Everybody who came so far, each once. `memo` keeps what need not be computed again; it may begin empty."""
    found: dict[str, tuple[int | None, list[tuple[Connection, Appearance]]]] = {}
    told = [(uuid, identity) for uuid, instance in instances.items() for identity in identities_of(instance)]
    known = with_emails([identity for _, identity in told])
    for (uuid, _), identity in zip(told, known, strict=True):
        trainee_id = identify(identity)
        held = found.setdefault(_key(identity, trainee_id), (trainee_id, []))[1]
        for key in identity.connections:
            connection = instances[uuid].connections[key]
            held.append((connection, _remembered(memo, (uuid, key), connection, instances[uuid])))
    every = (_person(key, trainee_id, held) for key, (trainee_id, held) in found.items())
    return tuple(each for each in every if each is not None)


def _key(identity: Identity, trainee_id: int | None) -> str:
    if trainee_id is not None:
        return f"trainee:{trainee_id}"
    return next(keys_of(identity), f"connection:{identity.connections[0]}")


def _remembered(memo: Memo, where: tuple[str, str], connection: Connection, instance: Instance) -> Appearance:
    """Edges are only ever added, so their numbers tell whether there is anything new."""
    mark = (*_sizes(connection), instance.ended_at)
    known = memo.get(where)
    if known is None or known[0] != mark:
        known = memo[where] = mark, appearance(connection, instance)
    return known[1]


def _sizes(connection: Connection) -> Iterator[int]:
    for edges in (connection.joins, connection.lefts, connection.waits, connection.put_waiting, connection.admissions):
        yield len(edges)
    yield len(connection.room_joins)
    yield len(connection.room_lefts)


def appearance(connection: Connection, instance: Instance) -> Appearance:
    """Where one connection was, and where it is."""
    told = stays_of(connection, instance)
    here_since = max(told.open_from, default=None)
    return Appearance(
        spans=tuple(union((stay.start, stay.end) for stay in told.stays if stay.counts)),
        here_since=here_since,
        waiting_since=None if here_since or instance.ended_at else _waiting_since(connection),
        room=_room(connection, here_since) if here_since else "",
    )


def _waiting_since(connection: Connection) -> datetime | None:
    """The waiting room that nobody has left yet, neither into the meeting nor away."""
    waits = max(connection.waits | connection.put_waiting, default=None)
    later = {*connection.admissions, *(edge.at for edges in (connection.joins, connection.lefts) for edge in edges)}
    return waits if waits and all(at < waits for at in later) else None


def _room(connection: Connection, here_since: datetime) -> str:
    """The room of the stay that goes on: one that was entered with it and has not been left."""
    last = max(connection.room_joins, default=None)
    if last is None or last.at < here_since - ROOM_SKEW:
        return ""
    return "" if any(each.room == last.room and each.at >= last.at for each in connection.room_lefts) else last.room


def _person(key: str, trainee_id: int | None, held: Iterable[tuple[Connection, Appearance]]) -> LivePerson | None:
    """One person from all connections; None for somebody who only tried."""
    connections, seen = zip(*held, strict=True)
    spans = _spans(seen)
    found = _where(seen, spans)
    if found is None:
        return None
    names = max((name for each in connections for name in each.names), default=(None, ""))
    return LivePerson(
        key=key,
        trainee_id=trainee_id,
        name=names[1],
        where=found[0],
        since=found[1],
        room=max((each.room for each in seen if each.here_since), default=""),
        by_phone=all(each.by_phone for each in connections),
        spans=tuple(spans),
    )


def _spans(seen: Iterable[Appearance]) -> list[Span]:
    """When the person was in the meeting; what goes on has no end yet."""
    open_spans = ((each.here_since, NO_END) for each in seen if each.here_since)
    return union([*open_spans, *(span for each in seen for span in each.spans)])


def _where(seen: Iterable[Appearance], spans: Sequence[Span]) -> tuple[Where, datetime] | None:
    """In the meeting, at its door, or gone; and since when."""
    waiting = min((each.waiting_since for each in seen if each.waiting_since), default=None)
    if any(each.here_since for each in seen):
        return "here", spans[-1][0]
    if waiting:
        return "waiting", waiting
    return ("gone", spans[-1][1]) if spans else None
