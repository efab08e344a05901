"""How a group of deliveries gets into the table `zoom_inbox`: one INSERT … ON CONFLICT DO NOTHING in one transaction.

Each call of a database driver lets the other threads run and then waits for its turn again, so a group is as few calls
as can be. SQLAlchemy would build such a statement anew each time: its text is made here, once for each size.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Protocol

from sqlalchemy import Connection, Dialect, select

from lti_tool.db import Database
from lti_tool.tables.evidence import zoom_inbox

Rows = Sequence[Mapping[str, Any]]

_COLUMNS = [column for column in zoom_inbox.c if column.name not in ("id", "taken_at")]
_LAST_KEYS = select(zoom_inbox.c.dedupe_key).order_by(zoom_inbox.c.id.desc())


class InboxTable(Protocol):
    """The table, for one thread."""

    def insert(self, rows: Rows) -> set[str]:
        """Insert these rows, no two with the same key; the keys that were new, once they are on disk."""

    def close(self) -> None:
        """Leave the database."""


def inbox_table(database: Database) -> InboxTable:
    return _OnSqlite(database) if database.is_sqlite else _OnPostgres(database)


class _OnSqlite:
    """In turn with the other writers of the process. Asked for the keys with the INSERT itself, SQLite would hand them
    out in as many calls; nearly always all are new."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statement = _Statement(database.engine.dialect, lambda _number: "?")

    def insert(self, rows: Rows) -> set[str]:
        with self._database.write() as connection:
            new = connection.exec_driver_sql(self._statement.text(len(rows)), self._statement.values(rows)).rowcount
            if new == len(rows):
                return {row["dedupe_key"] for row in rows}
            return set(connection.execute(_LAST_KEYS.limit(new)).scalars())

    def close(self) -> None:
        pass


class _OnPostgres:
    """On a connection that is kept, where each statement is a transaction of its own: BEGIN, COMMIT and a pool would be
    four more waits for a turn. Psycopg's raw cursor does not read through the statement for placeholders."""

    def __init__(self, database: Database) -> None:
        self._engine = database.engine
        self._statement = _Statement(database.engine.dialect, lambda number: f"${number}")
        self._driver: Any = database.engine.dialect.dbapi
        self._connection: Connection | None = None

    def insert(self, rows: Rows) -> set[str]:
        """A connection that the server has closed since the last time is made anew. Should the rows have been committed
        just before, they only seem to have been there."""
        if self._connection is not None:
            try:
                return self._insert(self._connection, rows)
            except self._driver.OperationalError:
                if not _is_gone(self._connection):
                    raise
                self.close()
        self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        return self._insert(self._connection, rows)

    def close(self) -> None:
        if self._connection is not None:
            if _is_gone(self._connection):
                self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _insert(self, connection: Connection, rows: Rows) -> set[str]:
        cursor = self._driver.RawCursor(connection.connection.driver_connection)
        text = f"{self._statement.text(len(rows))} RETURNING dedupe_key"
        return {key for (key,) in cursor.execute(text, self._statement.values(rows))}


def _is_gone(connection: Connection) -> bool:
    driver: Any = connection.connection.driver_connection
    return bool(driver.closed)


class _Statement:
    """INSERT … ON CONFLICT DO NOTHING for any number of rows; `placeholder` is given the number of a value."""

    def __init__(self, dialect: Dialect, placeholder: Callable[[int], str]) -> None:
        self._processors = [
            (column.name, column.type.dialect_impl(dialect).bind_processor(dialect)) for column in _COLUMNS
        ]
        self._placeholder = placeholder
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
        rows = (", ".join(self._placeholder(next(numbers)) for _ in _COLUMNS) for _ in range(size))
        columns, values = ", ".join(column.name for column in _COLUMNS), ", ".join(f"({row})" for row in rows)
        return " ".join(("INSERT INTO", zoom_inbox.name, "(", columns, ") VALUES", values, "ON CONFLICT DO NOTHING"))
