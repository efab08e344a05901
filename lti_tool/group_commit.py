"""Group commits: rows that many requests append to one table, written by one thread, many in one commit.

A commit waits for the disk, and on SQLite writers take turns. So a request hands over its row and waits; the thread
takes all waiting rows, inserts them in one statement, and wakes their requests after the commit. A burst costs one
commit per group instead of one per request, and each request is answered after its row is on disk.
"""

import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from queue import SimpleQueue
from typing import Any

from sqlalchemy import Connection, Table

from lti_tool.db import Database
from lti_tool.errors import GatehouseError

log = logging.getLogger(__name__)

MOST_IN_ONE_COMMIT = 256
# While rows come faster than commits, a short wait makes fewer and larger groups. A lone row never waits.
GATHER_SECONDS = 0.002
MOST_WAITING = 10_000

Row = Mapping[str, Any]


class NotStored(GatehouseError):
    """A row could not be made durable in time."""

    status = 503


class GroupInsert:
    """Inserts groups of rows into one table; for the one thread that writes.

    Each call of a database driver lets other threads run and then waits for its turn, so a group is one call: INSERT …
    ON CONFLICT DO NOTHING, on a kept connection past the pool, where a statement is a transaction of its own.
    SQLAlchemy would build such a statement anew each time, and psycopg would search it for placeholders; here its text
    is made once for each size of group (docs/decisions/0013).
    """

    def __init__(self, database: Database, table: Table, key: str | None, without: Collection[str]) -> None:
        dialect: Any = database.engine.dialect
        self._database = database
        self._dbapi = dialect.dbapi
        self.broken_rule: type[Exception] = dialect.dbapi.IntegrityError
        self._table = table
        self._key = key
        self._processors = [
            (column.name, column.type.dialect_impl(dialect).bind_processor(dialect))
            for column in table.c
            if column.name not in without
        ]
        # The keys of the rows inserted last: the last N rows up to the last id.
        self._last_keys = " ".join(
            ("SELECT", key or "", "FROM", table.name, "WHERE rowid <= ? ORDER BY rowid DESC LIMIT ?")
        )
        self._statements: dict[int, str] = {}
        self._connection: Connection | None = None

    def insert(self, rows: Sequence[Row]) -> set[str]:
        """Insert these rows in one transaction; returns the keys that were new, once they are on disk. Without a key
        all rows are new, and nothing is returned.

        The rows go in the order of their keys: two processes may have the same keys in different orders, and on
        PostgreSQL each would wait for a key that the other has just written. A connection that the server has closed is
        replaced and the group repeated; if the server had committed it just before, its rows only seem to be
        duplicates.
        """
        if self._key is None:
            ordered, keys = rows, []
        else:
            unique = {row[self._key]: row for row in reversed(rows)}
            keys = sorted(unique)
            ordered = [unique[key] for key in keys]
        values = tuple(
            process(row[name]) if process else row[name] for row in ordered for name, process in self._processors
        )
        with self._database.turn():
            if self._connection is not None:
                try:
                    return self._execute(self._connection, len(ordered), keys, values)
                except self._dbapi.OperationalError:
                    if not _is_closed(self._connection):
                        raise
                    self.close()
                    # The pool's idle connections are closed too.
                    self._database.engine.dispose()
            self._connection = self._database.engine.connect()
            if not self._database.is_sqlite:  # SQLite's driver begins no transaction by itself.
                self._connection = self._connection.execution_options(isolation_level="AUTOCOMMIT")
            return self._execute(self._connection, len(ordered), keys, values)

    def close(self) -> None:
        """Release the connection."""
        if self._connection is not None:
            if _is_closed(self._connection):
                self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _execute(self, connection: Connection, size: int, keys: list[str], values: tuple[Any, ...]) -> set[str]:
        """SQLite would return each key in a call of its own, so it is asked for them only if some were there before."""
        driver: Any = connection.connection.driver_connection
        statement = self._statements.get(size) or self._statements.setdefault(size, self._text(size))
        cursor = driver if self._database.is_sqlite else self._dbapi.RawCursor(driver)
        inserted = cursor.execute(statement, values)
        if self._key is None or inserted.rowcount == size:
            return set(keys)
        if not self._database.is_sqlite:
            return {key for (key,) in inserted}
        return {key for (key,) in driver.execute(self._last_keys, (inserted.lastrowid, inserted.rowcount)).fetchall()}

    def _text(self, size: int) -> str:
        """The statement for this many rows, with the database's own placeholders."""
        mark, ending = ("?", "") if self._database.is_sqlite else ("$", f" RETURNING {self._key}" if self._key else "")
        conflict = "ON CONFLICT DO NOTHING" if self._key else ""
        numbers = count(1)
        names = [name for name, _ in self._processors]
        rows = ("(" + ", ".join(f"{mark}{next(numbers)}" for _ in names) + ")" for _ in range(size))
        columns, values = ", ".join(names), ", ".join(rows)
        parts = ("INSERT INTO", self._table.name, "(", columns, ") VALUES", values, conflict)
        return " ".join(parts) + ending


def _is_closed(connection: Connection) -> bool:
    """Whether the server has closed it; SQLite has no server."""
    return bool(getattr(connection.connection.driver_connection, "closed", False))


@dataclass(slots=True)
class _Waiting:
    """A request that waits for its row. `done` is released once the outcome is known; `is_new` stays None if the row
    could not be stored; `given_up` is set when the request waits no more."""

    row: Row
    done: threading.Lock
    is_new: bool | None = None
    given_up: bool = False


class GroupWriter:
    """Appends rows to one table. May be used by any number of threads.

    `key` is the column that tells a new row from one that is there (None: all are new); `without` are columns that the
    database fills.
    """

    def __init__(self, database: Database, table: Table, *, key: str | None, without: Collection[str] = ()) -> None:
        self._rows = GroupInsert(database, table, key, without)
        self._table, self._key = table.name, key
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._is_busy = False

    def append(self, row: Row, timeout: float = -1) -> bool:
        """Return once the row is on disk: True, or False if its key was there before.

        Raises NotStored after `timeout` seconds (-1: never), or at once if the database refuses.
        """
        waiting = _Waiting(row, threading.Lock())
        waiting.done.acquire()
        with self._lock:
            if self._closed or self._waiting.qsize() > MOST_WAITING:
                raise _not_stored()
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name=f"append-{self._table}", daemon=True)
                self._thread.start()
            self._waiting.put(waiting)
        waiting.given_up = not waiting.done.acquire(timeout=timeout)
        if waiting.is_new is None:
            raise _not_stored()
        return waiting.is_new

    def close(self) -> None:
        """Write all waiting rows, then stop. Later ones are refused."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread:
            self._waiting.put(None)
            thread.join()
        self._rows.close()

    def _write(self) -> None:
        """Write group after group, until the writer is closed and everything is written."""
        while (group := self._next_group()) is not None:
            # A request that has given up was answered with 503; what it sent may be sent again.
            self._write_group([waiting for waiting in group if not waiting.given_up])

    def _next_group(self) -> list[_Waiting] | None:
        """Wait for a row and take those queued behind it; None once the writer is closed and nothing waits."""
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
        """Write the group and wake its requests, whatever happens. A row that breaks a rule of the table fails
        alone."""
        try:
            new = self._rows.insert([waiting.row for waiting in group]) if group else set()
        except self._rows.broken_rule:
            if len(group) > 1:
                for waiting in group:
                    self._write_group([waiting])
                return
            log.error("a row breaks a rule of its table", extra={"table": self._table})
        except Exception as error:
            ids = {"table": self._table, "error": type(error).__name__, "count": len(group)}
            log.error("rows could not be stored", extra=ids)
        else:
            for waiting in group:
                key = self._key and waiting.row[self._key]
                waiting.is_new = key is None or key in new
                new.discard(key or "")
        for waiting in group:
            waiting.done.release()


def _not_stored() -> NotStored:
    return NotStored("not_stored", "This could not be stored just now.", "Wait a moment, then try again.")
