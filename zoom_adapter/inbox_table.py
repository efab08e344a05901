"""How a group of deliveries gets into the table `zoom_inbox`: one INSERT … ON CONFLICT DO NOTHING.

Each call of a database driver lets the other threads run and then waits for its turn again, so a group is one call. It
goes over a connection that is kept, on which a statement is a transaction of its own, past the pool. SQLAlchemy would
build such a statement anew each time, and psycopg read through it for placeholders: its text is made here, once a size.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from sqlalchemy import Connection

from lti_tool.db import Database
from lti_tool.tables.evidence import zoom_inbox

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
