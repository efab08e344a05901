"""The inbox: what Zoom delivered, durable before Zoom is told so.

One thread writes. It takes everything that waits, writes it in one transaction, and wakes the requests once that is
committed: a burst costs one commit a group, not one a delivery.

How a group of deliveries gets into the table `zoom_inbox`: one INSERT … ON CONFLICT DO NOTHING.

Each call of a database driver lets the other threads run and then waits for its turn again, so a group is one call. It
goes over a connection that is kept, on which a statement is a transaction of its own, past the pool. SQLAlchemy would
build such a statement anew each time, and psycopg read through it for placeholders: its text is made here, once a size.

How often the webhook turned something away: counted in memory, written every few seconds.

Nobody knows who sends what is refused, so one request must never cost one write: whoever floods the webhook makes the
tool write once in `FLUSH_SECONDS`, whatever the flood.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count
from queue import SimpleQueue
from typing import Any, Literal

from sqlalchemy import Connection, func, select

from lti_tool.db import Database, upsert
from lti_tool.errors import GatehouseError
from lti_tool.tables.zoom import zoom_inbox, zoom_refusals
from zoom_adapter.events import Notice, content_key

Rows = Sequence[Mapping[str, Any]]

_COLUMNS = [column for column in zoom_inbox.c if column.name not in ("id", "taken_at")]
# Of the rows up to one that was just inserted the last few: they were inserted with it.
_LAST_KEYS = "SELECT dedupe_key FROM zoom_inbox WHERE id <= ? ORDER BY id DESC LIMIT ?"


class InboxTable:
    """The table as the one thread sees it that writes into it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._dbapi: Any = database.engine.dialect.dbapi
        self._statement = _Statement(database)
        self._insert = self._on_sqlite if database.is_sqlite else self._on_postgres
        self._connection: Connection | None = None

    def insert(self, rows: Rows) -> set[str]:
        """Insert these rows, no two with the same key, in one transaction; the keys that were new, once they are on
        disk. A connection that the server has closed since the last time is made anew: had it committed the rows just
        before, they only seem to have been there."""
        with self._database.turn():
            if self._connection is not None:
                try:
                    return self._insert(_driver(self._connection), rows)
                except self._dbapi.OperationalError:
                    if not _is_gone(self._connection):
                        raise
                    self.close()
                    # What idles in the pool is gone with it.
                    self._database.engine.dispose()
            self._connection = self._connect()
            return self._insert(_driver(self._connection), rows)

    def close(self) -> None:
        """Leave the database."""
        if self._connection is not None:
            if _is_gone(self._connection):
                self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _connect(self) -> Connection:
        """SQLite's driver begins no transaction by itself in any case."""
        connection = self._database.engine.connect()
        return connection if self._database.is_sqlite else connection.execution_options(isolation_level="AUTOCOMMIT")

    def _on_sqlite(self, driver: Any, rows: Rows) -> set[str]:
        """Asked for the keys with the INSERT, SQLite hands them out one call each; nearly always all are new."""
        inserted = driver.execute(self._statement.text(len(rows)), self._statement.values(rows))
        if inserted.rowcount == len(rows):
            return {row["dedupe_key"] for row in rows}
        return {key for (key,) in driver.execute(_LAST_KEYS, (inserted.lastrowid, inserted.rowcount)).fetchall()}

    def _on_postgres(self, driver: Any, rows: Rows) -> set[str]:
        text = f"{self._statement.text(len(rows))} RETURNING dedupe_key"
        return {key for (key,) in self._dbapi.RawCursor(driver).execute(text, self._statement.values(rows))}


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _is_gone(connection: Connection) -> bool:
    """Whether the server has closed it; SQLite has none."""
    return bool(getattr(_driver(connection), "closed", False))


class _Statement:
    """INSERT … ON CONFLICT DO NOTHING for any number of rows, with the placeholders of the database itself."""

    def __init__(self, database: Database) -> None:
        dialect = database.engine.dialect
        self._mark = "?" if database.is_sqlite else "$"
        self._processors = [
            (column.name, column.type.dialect_impl(dialect).bind_processor(dialect)) for column in _COLUMNS
        ]
        self._texts: dict[int, str] = {}

    def text(self, size: int) -> str:
        if size not in self._texts:
            self._texts[size] = self._of_size(size)
        return self._texts[size]

    def values(self, rows: Rows) -> tuple[Any, ...]:
        return tuple(self._values(rows))

    def _values(self, rows: Rows) -> Iterator[Any]:
        for row in rows:
            for name, process in self._processors:
                yield process(row[name]) if process else row[name]

    def _of_size(self, size: int) -> str:
        numbers = count(1)
        rows = (", ".join(f"{self._mark}{next(numbers)}" for _ in _COLUMNS) for _ in range(size))
        columns, values = ", ".join(column.name for column in _COLUMNS), ", ".join(f"({row})" for row in rows)
        return " ".join(("INSERT INTO", zoom_inbox.name, "(", columns, ") VALUES", values, "ON CONFLICT DO NOTHING"))


log = logging.getLogger(__name__)

# Zoom waits three seconds for an answer; what is left is for the way there and back.
APPEND_SECONDS = 2.0
MOST_IN_ONE_COMMIT = 256
# While deliveries come faster than commits, a moment's wait makes fewer and larger groups; a lone one never waits.
GATHER_SECONDS = 0.002
MOST_WAITING = 10_000
# Our clock makes no presence (zoom.md §4), but what lies further ahead of it than this has not happened.
FURTHEST_AHEAD = timedelta(days=1)

Stored = Literal["stored", "duplicate"]


class InboxUnavailable(GatehouseError):
    """The delivery could not be made durable in time. Zoom retries after a 503, and after nothing below 500."""

    status = 503


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery with a valid signature. `body` is kept as it came; `headers` are those that prove it or help to find
    it at Zoom; `secret_position` is 0 for the current secret and 1 for the previous one, and `secret_mark` its
    fingerprint (None: nobody signed it; it was read from Zoom's own log of deliveries)."""

    notice: Notice
    body: bytes
    headers: Mapping[str, str]
    secret_position: int
    received_at: datetime
    secret_mark: str | None = None


@dataclass(slots=True)
class _Waiting:
    """A request that waits for its row: `done` is released once the row's fate is known, `outcome` is None when it
    could not be stored, `given_up` is set when nobody waits any more."""

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
        """Return once the delivery is on disk: "stored", or "duplicate" if its content is there already.

        Raises InboxUnavailable after `timeout` seconds, or at once when the database refuses.
        """
        waiting = _Waiting(_row(delivery), threading.Lock())
        waiting.done.acquire()
        self._enqueue(waiting)
        waiting.given_up = not waiting.done.acquire(timeout=timeout)
        if waiting.outcome is None:
            raise _unavailable()
        return waiting.outcome

    def close(self) -> None:
        """Write what waits, then stop. What comes later is refused."""
        with self._lock:
            self._closed = True
            writer = self._writer
        if writer:
            self._waiting.put(None)
            writer.join()
        self._table.close()

    def _enqueue(self, waiting: _Waiting) -> None:
        with self._lock:
            if self._closed or self._waiting.qsize() > MOST_WAITING:
                raise _unavailable()
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_forever, name="zoom-inbox", daemon=True)
                self._writer.start()
            self._waiting.put(waiting)

    def _write_forever(self) -> None:
        while (group := self._next_group()) is not None:
            # A request that has given up was answered 503 and comes again.
            current = [waiting for waiting in group if not waiting.given_up]
            if current:
                self._write_group(current)

    def _next_group(self) -> list[_Waiting] | None:
        """Wait for a delivery and take what waits behind it; None once the inbox is closed and empty."""
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

    def _write_group(self, group: Sequence[_Waiting]) -> None:
        """Whatever happens, nobody is left waiting."""
        try:
            new = self._insert([waiting.row for waiting in group])
        except Exception as error:
            log.error("deliveries could not be stored", extra={"error": type(error).__name__, "count": len(group)})
        else:
            for waiting in group:
                key = waiting.row["dedupe_key"]
                waiting.outcome = "stored" if key in new else "duplicate"
                new.discard(key)
        for waiting in group:
            waiting.done.release()

    def _insert(self, rows: Sequence[dict[str, Any]]) -> set[str]:
        """Insert in one transaction; the keys that were new. In the order of the keys: overlapping subscriptions give
        two processes the same events in different orders, and on PostgreSQL each would wait for a key that the other
        has just written."""
        unique = {row["dedupe_key"]: row for row in reversed(rows)}
        return self._table.insert([unique[key] for key in sorted(unique)])


def _row(delivery: Delivery) -> dict[str, Any]:
    notice = delivery.notice
    return {
        "dedupe_key": content_key(notice, delivery.body),
        "event": notice.event[:96],
        "meeting_id": notice.meeting_id[:32] or None,
        "meeting_uuid": notice.meeting_uuid[:128] or None,
        "happened_at": notice.at if notice.at and notice.at <= delivery.received_at + FURTHEST_AHEAD else None,
        "body": delivery.body,
        "headers": dict(delivery.headers),
        "secret_position": delivery.secret_position,
        "secret_mark": delivery.secret_mark,
        "stale": notice.stale,
        "received_at": delivery.received_at,
    }


def _unavailable() -> InboxUnavailable:
    return InboxUnavailable(
        "zoom_inbox_unavailable",
        "The delivery could not be stored.",
        "Send it again later; nothing was lost.",
    )


FLUSH_SECONDS = 5.0
# A challenge with a wrong signature; after six that Zoom does not see answered it stops sending.
CHALLENGE_WRONG = "zoom_challenge_wrong"
# Not a refusal: Zoom was told 2xx, because the delivery was there already.
DUPLICATE = "duplicate"


@dataclass(slots=True)
class _Count:
    number: int
    last_at: datetime


class Refusals:
    """Counts by day (UTC) and code. May be used by any number of threads; `close` writes what has not been written."""

    def __init__(self, database: Database, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._database = database
        self._flush_seconds = flush_seconds
        self._counts: dict[tuple[date, str], _Count] = {}
        self._timer: threading.Timer | None = None
        self._closed = False
        self._lock = threading.Lock()

    def count(self, code: str, now: datetime) -> None:
        """One more of this code. Never waits for the database and never raises."""
        self._add({(now.date(), code): _Count(1, now)})

    def flush(self) -> None:
        """Write what was counted. What cannot be written is kept for the next time."""
        with self._lock:
            counts, self._counts, self._timer = self._counts, {}, None
        try:
            if counts:
                self._write(counts)
        except Exception as error:
            log.error("refusals could not be counted", extra={"error": type(error).__name__, "count": len(counts)})
            self._add(counts)

    def close(self) -> None:
        """Write what waits, and start no more timers."""
        with self._lock:
            self._closed, timer = True, self._timer
        if timer:
            timer.cancel()
        self.flush()

    def _add(self, more: Mapping[tuple[date, str], _Count]) -> None:
        """Count these too, and see to it that they are written."""
        with self._lock:
            for key, each in more.items():
                known = self._counts.setdefault(key, _Count(0, each.last_at))
                known.number += each.number
                known.last_at = max(known.last_at, each.last_at)
            if self._timer is None and not self._closed:
                self._timer = threading.Timer(self._flush_seconds, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def _write(self, counts: Mapping[tuple[date, str], _Count]) -> None:
        rows = [
            {"day": day, "code": code, "count": each.number, "last_at": each.last_at}
            for (day, code), each in sorted(counts.items())
        ]
        with self._database.write() as connection:
            new = upsert(connection, zoom_refusals).values(rows)
            more = {"count": zoom_refusals.c.count + new.excluded.count, "last_at": new.excluded.last_at}
            connection.execute(new.on_conflict_do_update(index_elements=["day", "code"], set_=more))


def since(connection: Connection, day: date) -> dict[str, tuple[int, datetime]]:
    """Code → how often since the beginning of this day (UTC), and when last; only what was written so far."""
    table = zoom_refusals
    query = select(table.c.code, func.sum(table.c.count), func.max(table.c.last_at)).where(table.c.day >= day)
    return {code: (int(count), last) for code, count, last in connection.execute(query.group_by(table.c.code))}
