"""The live board of a session: who is in the meeting now, kept up to date with new deliveries in the inbox.

A busy day has 50,000 deliveries, and several viewers ask every few seconds. So each process remembers what it has read
of a session, reads only newer deliveries, and computes the board once for all viewers. A connection whose leave event
was lost counts as present until the meeting ends: a board may be wrong, attendance never depends on it.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from lti_tool.attendance import settled_identities
from lti_tool.attendance.live_board import NO_END, LiveBoard, LivePerson, Where
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.intervals import Interval, union
from lti_tool.tables.zoom import zoom_inbox
from zoom_adapter.bound_connections import Identity, identities_of, keys_of, with_emails
from zoom_adapter.connections import FOREVER, Instance, gather, history_of, staff_roles_of
from zoom_adapter.connections import Connection as ZoomConnection
from zoom_adapter.events import ZoomEvent, read_event
from zoom_adapter.participants import Identify
from zoom_adapter.presence import AFTER_END, BEFORE_START
from zoom_adapter.registrants import Directory, directory_of

# A room event may come a few seconds before the meeting's event that belongs to it.
ROOM_SKEW = timedelta(seconds=5)
# An older board is computed anew.
FRESH = timedelta(seconds=2)
# The identity of a person may change without a delivery: by a launch, a roster, or a match made by staff.
KNOWN_FOR = timedelta(seconds=15)
# An instance that began this long before the session is read from its beginning.
LONGEST_BEFORE = timedelta(hours=12)
# On PostgreSQL a row may become visible after one with a higher id, so the last rows are read again.
READ_AGAIN = 500
MOST_REMEMBERED = 8


class ConnectionState(NamedTuple):
    """When one connection was in the meeting; since when it is there now (None: it isn't) and in which breakout room;
    since when it is in the waiting room."""

    intervals: tuple[Interval, ...]
    here_since: datetime | None
    waiting_since: datetime | None
    room: str


# (uuid, connection) → the state, and a mark that changes with every new event.
Memo = dict[tuple[str, str], tuple[Any, ConnectionState]]


def people_now(instances: Mapping[str, Instance], identify: Identify, memo: Memo) -> tuple[LivePerson, ...]:
    """All people who came so far, each once. `memo` keeps states that needn't be computed again; it may begin empty."""
    found: dict[str, tuple[int | None, list[tuple[ZoomConnection, ConnectionState]]]] = {}
    pairs = [(instance, uuid, each) for uuid, instance in instances.items() for each in identities_of(instance)]
    known = with_emails([identity for _, _, identity in pairs])
    for (instance, uuid, _), identity in zip(pairs, known, strict=True):
        trainee_id = identify(identity)
        fallback = next(keys_of(identity), f"connection:{identity.connections[0]}")
        key = fallback if trainee_id is None else f"trainee:{trainee_id}"
        states = found.setdefault(key, (trainee_id, []))[1]
        for each in identity.connections:
            connection = instance.connections[each]
            mark = connection.event_count, instance.ended_at
            remembered = memo.get((uuid, each))
            if remembered is None or remembered[0] != mark:
                remembered = memo[uuid, each] = mark, _state_of(connection, instance)
            states.append((connection, remembered[1]))
    people = (_person(key, trainee_id, states) for key, (trainee_id, states) in found.items())
    return tuple(each for each in people if each is not None)


def _state_of(connection: ZoomConnection, instance: Instance) -> ConnectionState:
    history = history_of(connection, instance)
    here_since = max(history.open_from, default=None)
    waiting_since = max(connection.waiting_starts, default=None)
    others = (*connection.admissions, *(each.at for events in (connection.joins, connection.lefts) for each in events))
    if here_since or instance.ended_at or (waiting_since and any(at >= waiting_since for at in others)):
        waiting_since = None
    # The last room, if it was entered during this interval and has not been left.
    room = max(connection.room_joins, default=None)
    is_in_room = (
        room is not None
        and here_since is not None
        and room.at >= here_since - ROOM_SKEW
        and not any(left.room == room.room and left.at >= room.at for left in connection.room_lefts)
    )
    return ConnectionState(
        intervals=tuple(union(each.bounds for each in history.intervals if each.counts)),
        here_since=here_since,
        waiting_since=waiting_since,
        room=room.room if room and is_in_room else "",
    )


def _person(
    key: str, trainee_id: int | None, connections: Sequence[tuple[ZoomConnection, ConnectionState]]
) -> LivePerson | None:
    """One person from all connections; None for a person who only tried to enter."""
    states = [state for _, state in connections]
    present = ((state.here_since, NO_END) for state in states if state.here_since)
    intervals = union([*present, *(each for state in states for each in state.intervals)])
    waiting_since = min((state.waiting_since for state in states if state.waiting_since), default=None)
    where: Where
    if any(state.here_since for state in states):
        where, since = "here", intervals[-1].start
    elif waiting_since:
        where, since = "waiting", waiting_since
    elif intervals:
        where, since = "gone", intervals[-1].end
    else:
        return None
    return LivePerson(
        key=key,
        trainee_id=trainee_id,
        name=max((name for connection, _ in connections for name in connection.names), default=(None, ""))[1],
        where=where,
        since=since,
        room=max((state.room for state in states if state.here_since), default=""),
        by_phone=all(connection.by_phone for connection, _ in connections),
        runs_it=any(role.end == FOREVER for connection, _ in connections for role in staff_roles_of(connection)),
        intervals=tuple(intervals),
    )


@dataclass(slots=True)
class _Remembered:
    """What is remembered of one session. Only the holder of `lock` may use it."""

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

    def has_recent_directory(self, now: datetime) -> bool:
        return self.known_at is not None and timedelta() <= now - self.known_at < KNOWN_FOR

    def read_deliveries(self, connection: Connection, session: LiveSession) -> bool:
        """Add the deliveries since the last call; returns whether there were any."""
        read_before = len(self.read_ids)
        gather(self._new_events(connection, session), self.instances)
        has_new = len(self.read_ids) > read_before
        self.read_ids = {each for each in self.read_ids if each > self.last_id - READ_AGAIN}
        return has_new

    def _new_events(self, connection: Connection, session: LiveSession) -> Iterable[ZoomEvent]:
        meeting_id = zoom_inbox.c.meeting_id
        opens, closes = session.starts_at - LONGEST_BEFORE, session.ends_at + AFTER_END
        query = select(zoom_inbox.c.id, zoom_inbox.c.body, zoom_inbox.c.stale, zoom_inbox.c.received_at).where(
            # New rows are few and the last of the table. The function keeps the database from using the index by
            # meeting, which would lead it through the whole day each time.
            (func.coalesce(meeting_id, "") if self.last_id else meeting_id) == session.zoom_meeting_id,
            zoom_inbox.c.id > self.last_id - READ_AGAIN,
            zoom_inbox.c.happened_at.between(opens, closes),
        )
        for row in connection.execution_options(yield_per=1000).execute(query):
            if row.id not in self.read_ids:
                self.read_ids.add(row.id)
                self.last_id = max(self.last_id, row.id)
                self.last_event_at = max(row.received_at, self.last_event_at or row.received_at)
                yield read_event(row.body, stale=row.stale)

    def compute_board(self, connection: Connection, session: LiveSession, now: datetime) -> LiveBoard:
        """The board of all instances that overlap the session. Identities are looked up again for a new one and every
        few seconds."""
        opens, closes = session.starts_at - BEFORE_START, session.ends_at + AFTER_END
        instances = {
            uuid: each
            for uuid, each in self.instances.items()
            if each.started_at and each.last_at and each.started_at <= closes and each.last_at >= opens
        }
        identities = {identity for each in instances.values() for identity in identities_of(each)}
        known = self.known
        if known is None or not self.has_recent_directory(now) or not identities <= self.known_identities:
            settled = settled_identities.load(connection, session.id)
            known = self.known = directory_of(connection, session, identities, settled)
            self.known_at, self.known_identities = now, identities
        ends = [each.ended_at for each in instances.values()]
        return LiveBoard(
            at=now,
            people=people_now(instances, known.identify, self.memo),
            last_event_at=self.last_event_at,
            ended_at=max((end for end in ends if end), default=None) if all(ends) else None,
        )


class Boards:
    """The boards of this process. May be used by any number of threads."""

    def __init__(self) -> None:
        self._remembered: OrderedDict[int, _Remembered] = OrderedDict()
        self._lock = threading.Lock()

    def board_of(self, connection: Connection, session: LiveSession, now: datetime) -> LiveBoard:
        """The board of a live session as of `now`, or as it was up to two seconds before. The session that was not
        asked for longest is forgotten."""
        with self._lock:
            remembered = self._remembered.setdefault(session.id, _Remembered())
            self._remembered.move_to_end(session.id)
            while len(self._remembered) > MOST_REMEMBERED:
                self._remembered.popitem(last=False)
        with remembered.lock:
            board = remembered.board
            if board is None or not timedelta() <= now - board.at < FRESH:
                has_new = remembered.read_deliveries(connection, session)
                if board is None or has_new or not remembered.has_recent_directory(now):
                    board = remembered.compute_board(connection, session, now)
                board = remembered.board = replace(board, at=now)
            return board
