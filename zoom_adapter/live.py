"""The live board of a class, kept up to date with what is new in the inbox.

A busy day has 50,000 deliveries, and several people look every few seconds. So each process remembers what it has read
of a class and reads only what came since; what the viewers see is computed once for all of them.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select

from lti_tool.sessions.live_board import LiveBoard
from lti_tool.sessions.live_sessions import LiveSession
from lti_tool.tables.evidence import zoom_inbox
from zoom_adapter.appearances import Memo, people_now
from zoom_adapter.connections import Instance, gather
from zoom_adapter.legs import Identity, identities_of
from zoom_adapter.presence import AFTER_END, BEFORE_START
from zoom_adapter.registrants import Directory, directory
from zoom_adapter.schemas import Notice, read_notice

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
