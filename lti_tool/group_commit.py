"""Group commits: what many requests write, written by one thread, many in one commit.

A commit waits for the disk, and on SQLite writers take turns. So a request hands over its item and waits; the thread
takes all waiting items, writes them in one transaction, and wakes their requests after the commit. A burst costs one
commit per group instead of one per request, and each request is answered after its item is on disk.

Most items are rows of one table (`GroupInsert`); a launch writes to several (platforms/launch_records.py).
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Table

from lti_tool.db import Database
from lti_tool.errors import GatehouseError

log = logging.getLogger(__name__)

MOST_IN_ONE_COMMIT = 256
# While items come faster than commits, a short wait makes fewer and larger groups. A lone item never waits.
GATHER_SECONDS = 0.002
MOST_WAITING = 10_000

Row = Mapping[str, Any]
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class NotStored(GatehouseError):
    """An item could not be made durable in time."""

    status = 503


class GroupInsert:
    """Inserts groups of rows into one table; for the one thread that writes.

    Each call of a database driver lets other threads run and then waits for its turn, so a group is one call: INSERT …
    ON CONFLICT DO NOTHING, on a kept connection past the pool, where a statement is a transaction of its own.
    SQLAlchemy would build such a statement anew each time, and psycopg would search it for placeholders; here its text
    is made once for each size of group (docs/decisions/0013).

    `key` is the column that tells a new row from one that is there (None: all are new); `without` are columns that the
    database fills.
    """

    def __init__(self, database: Database, table: Table, *, key: str | None, without: Collection[str]) -> None:
        dialect: Any = database.engine.dialect
        self._database = database
        self._dbapi = dialect.dbapi
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

    def insert(self, rows: Sequence[Row]) -> list[bool]:
        """Insert these rows in one transaction; returns for each whether its key was new, once they are on disk. Of
        several with one key only the first can be new.

        The rows go in the order of their keys: two processes may have the same keys in different orders, and on
        PostgreSQL each would wait for a key that the other has just written. A connection that the server has closed is
        replaced and the group repeated; if the server had committed it just before, its rows only seem to be
        duplicates.
        """
        if self._key is None:
            self._insert(rows, [])
            return [True] * len(rows)
        unique = {row[self._key]: row for row in reversed(rows)}
        keys = sorted(unique)
        new = self._insert([unique[key] for key in keys], keys)
        return [row[self._key] in new and unique[row[self._key]] is row for row in rows]

    def is_fault_of_row(self, error: Exception) -> bool:
        """Whether a row broke a rule of the table, so that the others of its group may be inserted without it."""
        return isinstance(error, self._dbapi.IntegrityError)

    def close(self) -> None:
        """Release the connection."""
        if self._connection is not None:
            if _is_closed(self._connection):
                self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _insert(self, ordered: Sequence[Row], keys: list[str]) -> set[str]:
        """Insert these rows, on the kept connection or a new one; returns the keys that were new."""
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
class _Waiting(Generic[Item, Outcome]):
    """A request that waits for its item. `done` is released once the outcome is known; `outcome` stays None if the item
    could not be stored; `given_up` is set when the request waits no more."""

    item: Item
    done: threading.Lock
    outcome: Outcome | None = None
    given_up: bool = False


class GroupWriter(Generic[Item, Outcome]):
    """Writes items in groups. May be used by any number of threads.

    `write` writes a group in one transaction and returns the outcome of each item, in their order, once all are on
    disk. It runs in one thread. If it raises an error that is the fault of an item, each item is written alone, so that
    only this one fails.
    """

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[Item]], Sequence[Outcome]],
        is_fault_of_item: Callable[[Exception], bool],
        release: Callable[[], object] = lambda: None,
    ) -> None:
        self._name = name
        self._write = write
        self._is_fault_of_item = is_fault_of_item
        self._release = release
        self._waiting: SimpleQueue[_Waiting[Item, Outcome] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._is_busy = False

    def submit(self, item: Item, timeout: float = -1) -> Outcome:
        """Return the outcome once the item is on disk.

        Raises NotStored after `timeout` seconds (-1: never), or at once if the database refuses.
        """
        waiting: _Waiting[Item, Outcome] = _Waiting(item, threading.Lock())
        waiting.done.acquire()
        with self._lock:
            if self._closed or self._waiting.qsize() > MOST_WAITING:
                raise _not_stored()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"write-{self._name}", daemon=True)
                self._thread.start()
            self._waiting.put(waiting)
        waiting.given_up = not waiting.done.acquire(timeout=timeout)
        if waiting.outcome is None:
            raise _not_stored()
        return waiting.outcome

    def close(self) -> None:
        """Write all waiting items, then stop. Later ones are refused."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread:
            self._waiting.put(None)
            thread.join()
        self._release()

    def _run(self) -> None:
        """Write group after group, until the writer is closed and everything is written."""
        while (group := self._next_group()) is not None:
            # A request that has given up was answered with 503; what it sent may be sent again.
            self._write_group([waiting for waiting in group if not waiting.given_up])

    def _next_group(self) -> list[_Waiting[Item, Outcome]] | None:
        """Wait for an item and take those queued behind it; None once the writer is closed and nothing waits."""
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

    def _write_group(self, group: Sequence[_Waiting[Item, Outcome]]) -> None:
        """Write the group and wake its requests, whatever happens. An item that is at fault fails alone."""
        try:
            outcomes = self._write([waiting.item for waiting in group]) if group else ()
        except Exception as error:
            if len(group) > 1 and self._is_fault_of_item(error):
                for waiting in group:
                    self._write_group([waiting])
                return
            ids = {"writer": self._name, "error": type(error).__name__, "count": len(group)}
            log.error("items could not be stored", extra=ids)
        else:
            for waiting, outcome in zip(group, outcomes, strict=True):
                waiting.outcome = outcome
        for waiting in group:
            waiting.done.release()


def group_inserter(
    database: Database, table: Table, *, key: str | None, without: Collection[str] = ()
) -> GroupWriter[Row, bool]:
    """Appends rows to one table; the outcome is whether the row's key was new. Parameters as `GroupInsert` takes."""
    rows = GroupInsert(database, table, key=key, without=without)
    return GroupWriter(table.name, rows.insert, rows.is_fault_of_row, rows.close)


def _not_stored() -> NotStored:
    return NotStored("not_stored", "This could not be stored just now.", "Wait a moment, then try again.")
