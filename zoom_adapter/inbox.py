"""The inbox: it makes Zoom's deliveries durable before Zoom gets an answer, and counts the refused ones.

One thread writes. It takes all waiting deliveries, writes them in one transaction, and wakes their requests after the
commit: a burst costs one commit per group instead of one per delivery. Refusals are counted in memory and written every
few seconds, since anyone can cause one: a flood of refused requests must not become a flood of writes.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count
from queue import SimpleQueue
from typing import Any, Literal

from sqlalchemy import Connection, func, select

from lti_tool.db import Database, upsert
from lti_tool.errors import GatehouseError
from lti_tool.intervals import Interval
from lti_tool.tables.zoom import zoom_inbox, zoom_refusals
from zoom_adapter.events import ZoomEvent, content_key

log = logging.getLogger(__name__)

# Zoom waits three seconds for an answer; the rest is for the network.
APPEND_SECONDS = 2.0
MOST_IN_ONE_COMMIT = 256
# While deliveries come faster than commits, a short wait makes fewer and larger groups. A lone delivery never waits.
GATHER_SECONDS = 0.002
MOST_WAITING = 10_000
# Our clock is no evidence of presence (zoom.md §4), but an event further ahead of it than this has not happened.
FURTHEST_AHEAD = timedelta(days=1)
FLUSH_SECONDS = 5.0
# Counted apart: after six challenges without a good answer Zoom stops sending.
CHALLENGE_WRONG = "zoom_challenge_wrong"
# Counted, though not refused: Zoom got a 2xx, because the delivery was stored before.
DUPLICATE = "duplicate"

Stored = Literal["stored", "duplicate"]

_COLUMNS = [column for column in zoom_inbox.c if column.name not in ("id", "taken_at")]
# The keys of the rows inserted last: the last N rows up to the last id.
_LAST_KEYS = "SELECT dedupe_key FROM zoom_inbox WHERE id <= ? ORDER BY id DESC LIMIT ?"


class InboxUnavailable(GatehouseError):
    """The delivery could not be made durable in time. Zoom sends again after a 503, and after nothing below 500."""

    status = 503


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery with a valid signature, or one event from Zoom's own log.

    `headers` are those that prove it or help to find it at Zoom. `secret_position` is 0 for the current secret and 1
    for the previous one; `secret_mark` is its fingerprint, None if the event was read from the log.
    """

    event: ZoomEvent
    body: bytes
    headers: Mapping[str, str]
    secret_position: int
    received_at: datetime
    secret_mark: str | None = None

    def row(self) -> dict[str, Any]:
        """The values of its row in `zoom_inbox`."""
        at = self.event.at
        return {
            "dedupe_key": content_key(self.event, self.body),
            "event": self.event.event_type[:96],
            "meeting_id": self.event.meeting_id[:32] or None,
            "meeting_uuid": self.event.meeting_uuid[:128] or None,
            "happened_at": at if at and at <= self.received_at + FURTHEST_AHEAD else None,
            "body": self.body,
            "headers": dict(self.headers),
            "secret_position": self.secret_position,
            "secret_mark": self.secret_mark,
            "stale": self.event.stale,
            "received_at": self.received_at,
        }


class InboxTable:
    """Inserts groups of rows into `zoom_inbox`; for the one thread that writes.

    Each call of a database driver lets other threads run and then waits for its turn, so a group is one call: INSERT …
    ON CONFLICT DO NOTHING, on a kept connection past the pool, where a statement is a transaction of its own.
    SQLAlchemy would build such a statement anew each time, and psycopg would search it for placeholders; here its text
    is made once for each size of group (docs/decisions/0013).
    """

    def __init__(self, database: Database) -> None:
        dialect = database.engine.dialect
        self._database = database
        self._dbapi: Any = dialect.dbapi
        self._processors = [
            (column.name, column.type.dialect_impl(dialect).bind_processor(dialect)) for column in _COLUMNS
        ]
        self._statements: dict[int, str] = {}
        self._connection: Connection | None = None

    def insert(self, rows: Sequence[Mapping[str, Any]]) -> set[str]:
        """Insert these rows in one transaction; returns the keys that were new, once they are on disk.

        The rows go in the order of their keys: overlapping subscriptions give two processes the same events in
        different orders, and on PostgreSQL each would wait for a key that the other has just written. A connection that
        the server has closed is replaced and the group repeated; if the server had committed it just before, its rows
        only seem to be duplicates.
        """
        unique = {row["dedupe_key"]: row for row in reversed(rows)}
        keys = sorted(unique)
        values = tuple(
            process(row[name]) if process else row[name]
            for row in map(unique.__getitem__, keys)
            for name, process in self._processors
        )
        with self._database.turn():
            if self._connection is not None:
                try:
                    return self._execute(self._connection, keys, values)
                except self._dbapi.OperationalError:
                    if not _is_closed(self._connection):
                        raise
                    self.close()
                    # The pool's idle connections are closed too.
                    self._database.engine.dispose()
            self._connection = self._database.engine.connect()
            if not self._database.is_sqlite:  # SQLite's driver begins no transaction by itself.
                self._connection = self._connection.execution_options(isolation_level="AUTOCOMMIT")
            return self._execute(self._connection, keys, values)

    def close(self) -> None:
        """Release the connection."""
        if self._connection is not None:
            if _is_closed(self._connection):
                self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _execute(self, connection: Connection, keys: list[str], values: tuple[Any, ...]) -> set[str]:
        """SQLite would return each key in a call of its own, so it is asked for them only if some were there before."""
        driver: Any = connection.connection.driver_connection
        statement = self._statements.get(len(keys)) or self._statements.setdefault(len(keys), self._text(len(keys)))
        if not self._database.is_sqlite:
            return {key for (key,) in self._dbapi.RawCursor(driver).execute(statement, values)}
        inserted = driver.execute(statement, values)
        if inserted.rowcount == len(keys):
            return set(keys)
        return {key for (key,) in driver.execute(_LAST_KEYS, (inserted.lastrowid, inserted.rowcount)).fetchall()}

    def _text(self, size: int) -> str:
        """The statement for this many rows, with the database's own placeholders."""
        mark, ending = ("?", "") if self._database.is_sqlite else ("$", " RETURNING dedupe_key")
        numbers = count(1)
        rows = ("(" + ", ".join(f"{mark}{next(numbers)}" for _ in _COLUMNS) + ")" for _ in range(size))
        columns, values = ", ".join(column.name for column in _COLUMNS), ", ".join(rows)
        parts = ("INSERT INTO", zoom_inbox.name, "(", columns, ") VALUES", values, "ON CONFLICT DO NOTHING")
        return " ".join(parts) + ending


def _is_closed(connection: Connection) -> bool:
    """Whether the server has closed it; SQLite has no server."""
    return bool(getattr(connection.connection.driver_connection, "closed", False))


@dataclass(slots=True)
class _Waiting:
    """A request that waits for its row. `done` is released once the outcome is known, `outcome` stays None if the row
    could not be stored, `given_up` is set when the request waits no more."""

    row: dict[str, Any]
    done: threading.Lock
    outcome: Stored | None = None
    given_up: bool = False


class Inbox:
    """Appends deliveries to the table `zoom_inbox`. May be used by any number of threads."""

    def __init__(self, database: Database) -> None:
        self._table = InboxTable(database)
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._writer: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._is_busy = False

    def append(self, delivery: Delivery, timeout: float = APPEND_SECONDS) -> Stored:
        """Return once the delivery is on disk: "stored", or "duplicate" if its content was there before.

        Raises InboxUnavailable after `timeout` seconds, or at once if the database refuses.
        """
        waiting = _Waiting(delivery.row(), threading.Lock())
        waiting.done.acquire()
        with self._lock:
            if self._closed or self._waiting.qsize() > MOST_WAITING:
                raise _unavailable()
            if self._writer is None:
                self._writer = threading.Thread(target=self._write, name="zoom-inbox", daemon=True)
                self._writer.start()
            self._waiting.put(waiting)
        waiting.given_up = not waiting.done.acquire(timeout=timeout)
        if waiting.outcome is None:
            raise _unavailable()
        return waiting.outcome

    def close(self) -> None:
        """Write all waiting deliveries, then stop. Later ones are refused."""
        with self._lock:
            self._closed = True
            writer = self._writer
        if writer:
            self._waiting.put(None)
            writer.join()
        self._table.close()

    def _next_group(self) -> list[_Waiting] | None:
        """Wait for a delivery and take those queued behind it; None once the inbox is closed and empty."""
        first = self._waiting.get()
        if first is None:
            return None
        if self._is_busy:
            time.sleep(GATHER_SECONDS)
        group = [first]
        while len(group) < MOST_IN_ONE_COMMIT and not self._waiting.empty():
            waiting = self._waiting.get()
            if waiting is None:
                self._waiting.put(None)
                break
            group.append(waiting)
        self._is_busy = len(group) > 1
        return group

    def _write(self) -> None:
        """Write group after group until the inbox is closed, and wake the requests of each, whatever happens."""
        while (queued := self._next_group()) is not None:
            # A request that has given up was answered with 503, and Zoom sends it again.
            group = [waiting for waiting in queued if not waiting.given_up]
            try:
                new = self._table.insert([waiting.row for waiting in group]) if group else set()
            except Exception as error:
                log.error("deliveries could not be stored", extra={"error": type(error).__name__, "count": len(group)})
            else:
                for waiting in group:
                    key = waiting.row["dedupe_key"]
                    waiting.outcome = "stored" if key in new else "duplicate"
                    new.discard(key)
            for waiting in group:
                waiting.done.release()


def _unavailable() -> InboxUnavailable:
    return InboxUnavailable(
        "zoom_inbox_unavailable", "The delivery could not be stored.", "Send it again later; nothing was lost."
    )


@dataclass(slots=True)
class _Count:
    number: int
    last_at: datetime


class Refusals:
    """Counts refusals by day (UTC) and code. May be used by any number of threads; `close` writes the rest."""

    def __init__(self, database: Database, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._database = database
        self._flush_seconds = flush_seconds
        self._counts: dict[tuple[date, str], _Count] = {}
        self._timer: threading.Timer | None = None
        self._closed = False
        self._lock = threading.Lock()

    def count(self, code: str, now: datetime) -> None:
        """Count one more of this code. Never waits for the database and never raises."""
        self._add({(now.date(), code): _Count(1, now)})

    def flush(self) -> None:
        """Write the counts. Counts that cannot be written are kept for the next time."""
        with self._lock:
            counts, self._counts, self._timer = self._counts, {}, None
        if not counts:
            return
        rows = [
            {"day": day, "code": code, "count": each.number, "last_at": each.last_at}
            for (day, code), each in sorted(counts.items())
        ]
        try:
            with self._database.write() as connection:
                new = upsert(connection, zoom_refusals).values(rows)
                more = {"count": zoom_refusals.c.count + new.excluded.count, "last_at": new.excluded.last_at}
                connection.execute(new.on_conflict_do_update(index_elements=["day", "code"], set_=more))
        except Exception as error:
            log.error("refusals could not be counted", extra={"error": type(error).__name__, "count": len(counts)})
            self._add(counts)

    def close(self) -> None:
        """Write the counts, and start no more timers."""
        with self._lock:
            self._closed, timer = True, self._timer
        if timer:
            timer.cancel()
        self.flush()

    def _add(self, more: Mapping[tuple[date, str], _Count]) -> None:
        """Add these counts, and start the timer that writes them."""
        with self._lock:
            for key, each in more.items():
                known = self._counts.setdefault(key, _Count(0, each.last_at))
                known.number += each.number
                known.last_at = max(known.last_at, each.last_at)
            if self._timer is None and not self._closed:
                self._timer = threading.Timer(self._flush_seconds, self.flush)
                self._timer.daemon = True
                self._timer.start()


def instance_bounds(connection: Connection, meeting_id: str) -> dict[str, Interval]:
    """From the first to the last event of each instance of a meeting id, by uuid; registrations have no time.

    An id has the instances of many months, and each of them a day's events. So this goes in steps through the index:
    from uuid to uuid, and to both ends of each.
    """
    uuid, at = zoom_inbox.c.meeting_uuid, zoom_inbox.c.happened_at
    of_meeting = zoom_inbox.c.meeting_id == meeting_id
    first = select(func.min(uuid).label("uuid")).where(of_meeting)
    step = first.cte(recursive=True)
    following = first.where(uuid > step.c.uuid).scalar_subquery()
    found = step.union_all(select(following).where(step.c.uuid.is_not(None)))
    ends = (select(end(at)).where(of_meeting, uuid == found.c.uuid).scalar_subquery() for end in (func.min, func.max))
    rows = connection.execute(select(found.c.uuid, *ends).where(found.c.uuid.is_not(None)))
    return {uuid: Interval(first_at, last_at) for uuid, first_at, last_at in rows if first_at is not None}


def since(connection: Connection, day: date) -> dict[str, tuple[int, datetime]]:
    """Code → how often since the beginning of this day (UTC), and when last; only counts already written."""
    table = zoom_refusals
    query = select(table.c.code, func.sum(table.c.count), func.max(table.c.last_at)).where(table.c.day >= day)
    return {code: (int(count), last) for code, count, last in connection.execute(query.group_by(table.c.code))}
