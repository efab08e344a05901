"""The live board of a class, kept up to date with what is new in the inbox.

A busy day has 50,000 deliveries, and several people look every few seconds. So each process remembers what it has read
of a class and reads only what came since; what the viewers see is computed once for all of them.

Who is in the meeting right now, as far as the deliveries tell.

PURE, a function of the edges so far. A connection whose LEFT was lost counts as here until the
meeting ends: a board may err, attendance never rests on it.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select

from lti_tool.attendance.live_board import NO_END, LiveBoard, LivePerson, Where
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.tables.zoom import zoom_inbox
from zoom_adapter.bound_connections import Identity, identities_of, keys_of, with_emails
from zoom_adapter.connections import Connection as ZoomConnection
from zoom_adapter.connections import Instance, gather
from zoom_adapter.events import Notice, read_notice
from zoom_adapter.participants import Identify
from zoom_adapter.presence import AFTER_END, BEFORE_START
from zoom_adapter.registrants import Directory, directory
from zoom_adapter.segments import Span, stays_of, union

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
    found: dict[str, tuple[int | None, list[tuple[ZoomConnection, Appearance]]]] = {}
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


def _remembered(memo: Memo, where: tuple[str, str], connection: ZoomConnection, instance: Instance) -> Appearance:
    """Edges are only ever added, so their numbers tell whether there is anything new."""
    mark = (*_sizes(connection), instance.ended_at)
    known = memo.get(where)
    if known is None or known[0] != mark:
        known = memo[where] = mark, appearance(connection, instance)
    return known[1]


def _sizes(connection: ZoomConnection) -> Iterator[int]:
    for edges in (connection.joins, connection.lefts, connection.waits, connection.put_waiting, connection.admissions):
        yield len(edges)
    yield len(connection.room_joins)
    yield len(connection.room_lefts)


def appearance(connection: ZoomConnection, instance: Instance) -> Appearance:
    """Where one connection was, and where it is."""
    told = stays_of(connection, instance)
    here_since = max(told.open_from, default=None)
    return Appearance(
        spans=tuple(union((stay.start, stay.end) for stay in told.stays if stay.counts)),
        here_since=here_since,
        waiting_since=None if here_since or instance.ended_at else _waiting_since(connection),
        room=_room(connection, here_since) if here_since else "",
    )


def _waiting_since(connection: ZoomConnection) -> datetime | None:
    """The waiting room that nobody has left yet, neither into the meeting nor away."""
    waits = max(connection.waits | connection.put_waiting, default=None)
    later = {*connection.admissions, *(edge.at for edges in (connection.joins, connection.lefts) for edge in edges)}
    return waits if waits and all(at < waits for at in later) else None


def _room(connection: ZoomConnection, here_since: datetime) -> str:
    """The room of the stay that goes on: one that was entered with it and has not been left."""
    last = max(connection.room_joins, default=None)
    if last is None or last.at < here_since - ROOM_SKEW:
        return ""
    return "" if any(each.room == last.room and each.at >= last.at for each in connection.room_lefts) else last.room


def _person(key: str, trainee_id: int | None, held: Iterable[tuple[ZoomConnection, Appearance]]) -> LivePerson | None:
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


# A board this old is computed anew for the next who looks.
FRESH = timedelta(seconds=2)
# Who somebody is may change without a delivery: a launch, a roster, a link made by staff.
KNOWN_FOR = timedelta(seconds=15)
# An instance that began this long before the class is read from its beginning.
LONGEST_BEFORE = timedelta(hours=12)
# On PostgreSQL a row may become visible after one with a higher id, so the last few are looked at again.
LOOKED_AT_AGAIN = 500
MOST_WATCHED = 8

Delivery = Row[*tuple[Any, ...]]


@dataclass(slots=True)
class _Watched:
    """What is remembered of one class."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    instances: dict[str, Instance] = field(default_factory=dict)
    read_ids: set[int] = field(default_factory=set)
    last_id: int = 0
    last_event_at: datetime | None = None
    memo: Memo = field(default_factory=dict)
    known: Directory | None = None
    known_at: datetime | None = None
    known_identities: set[Identity] = field(default_factory=set)
    board: LiveBoard | None = None

    def is_known(self, now: datetime) -> bool:
        """Whether who is who was asked within the last seconds."""
        return self.known_at is not None and timedelta() <= now - self.known_at < KNOWN_FOR


class Boards:
    """The boards of this process. May be used by any number of threads."""

    def __init__(self) -> None:
        self._watched: OrderedDict[int, _Watched] = OrderedDict()
        self._lock = threading.Lock()

    def look(self, connection: Connection, session: LiveSession, now: datetime) -> LiveBoard:
        """The board of a live session as of `now`, or as it was up to two seconds before."""
        watched = self._watch(session.id)
        with watched.lock:
            board = watched.board
            if board is None or not timedelta() <= now - board.at < FRESH:
                has_news = _read_news(connection, watched, session)
                if board is None or has_news or not watched.is_known(now):
                    board = _board(connection, watched, session, now)
                board = watched.board = replace(board, at=now)
            return board

    def _watch(self, session_id: int) -> _Watched:
        """What is remembered of the session; whichever was not looked at for longest is forgotten."""
        with self._lock:
            watched = self._watched.setdefault(session_id, _Watched())
            self._watched.move_to_end(session_id)
            while len(self._watched) > MOST_WATCHED:
                self._watched.popitem(last=False)
            return watched


def _read_news(connection: Connection, watched: _Watched, session: LiveSession) -> bool:
    """Add what came in since the last look; whether there was anything."""
    read_before = len(watched.read_ids)
    gather(_news(watched, _rows(connection, watched, session)), watched.instances)
    has_news = len(watched.read_ids) > read_before
    oldest = watched.last_id - LOOKED_AT_AGAIN
    watched.read_ids = {each for each in watched.read_ids if each > oldest}
    return has_news


def _news(watched: _Watched, rows: Iterable[Delivery]) -> Iterator[Notice]:
    for row in rows:
        if row.id not in watched.read_ids:
            watched.read_ids.add(row.id)
            watched.last_id = max(watched.last_id, row.id)
            watched.last_event_at = max(row.received_at, watched.last_event_at or row.received_at)
            yield read_notice(row.body, stale=row.stale)


def _rows(connection: Connection, watched: _Watched, session: LiveSession) -> Iterable[Delivery]:
    happened, meeting_id = zoom_inbox.c.happened_at, zoom_inbox.c.meeting_id
    opens, closes = session.starts_at - LONGEST_BEFORE, session.ends_at + AFTER_END
    columns = ("id", "body", "stale", "received_at")
    query = select(*(zoom_inbox.c[name] for name in columns)).where(
        # News are few and the last rows of the table; an index by meeting would go through the whole day each time.
        (func.coalesce(meeting_id, "") if watched.last_id else meeting_id) == session.zoom_meeting_id,
        zoom_inbox.c.id > watched.last_id - LOOKED_AT_AGAIN,
        happened.between(opens, closes),
    )
    return connection.execution_options(yield_per=1000).execute(query)


def _board(connection: Connection, watched: _Watched, session: LiveSession, now: datetime) -> LiveBoard:
    opens, closes = session.starts_at - BEFORE_START, session.ends_at + AFTER_END
    instances = {uuid: each for uuid, each in watched.instances.items() if _is_part(each, opens, closes)}
    asked = {identity for each in instances.values() for identity in identities_of(each)}
    known = _directory(connection, watched, session.zoom_meeting_id, asked, now)
    ends = [each.ended_at for each in instances.values()]
    return LiveBoard(
        at=now,
        people=people_now(instances, known.identify, watched.memo),
        last_event_at=watched.last_event_at,
        ended_at=max((end for end in ends if end), default=None) if all(ends) else None,
    )


def _is_part(instance: Instance, opens: datetime, closes: datetime) -> bool:
    started, last = instance.started_at, instance.last_at
    return bool(started and last and started <= closes and last >= opens)


def _directory(
    connection: Connection, watched: _Watched, meeting_id: str, asked: set[Identity], now: datetime
) -> Directory:
    """Who is who, asked again for somebody new and every few seconds."""
    if watched.known is None or not watched.is_known(now) or not asked <= watched.known_identities:
        watched.known = directory(connection, meeting_id, asked)
        watched.known_at, watched.known_identities = now, asked
    return watched.known
