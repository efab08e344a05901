"""The database: one engine, explicit read and write transactions, the same on SQLite and PostgreSQL.

On SQLite the tool is one process and its writers take turns through one lock: a second writer then waits in line
instead of failing with SQLITE_BUSY (docs/decisions/0003-one-process-with-sqlite.md). On PostgreSQL the lock is not
used.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import TimeoutError
from sqlalchemy.schema import Table

from lti_tool.tables.types import FieldCipher

Value = TypeVar("Value")

# Seconds a connection may wait for a lock or a server before it is an error (a webhook must be answered within 3 s).
BUSY_SECONDS = 2
LOCK_SECONDS = 10  # on PostgreSQL
# How long a PostgreSQL that does not even acknowledge is waited for, and how soon an idle connection asks whether it is
# still there.
SILENT_MILLISECONDS = 10_000
IDLE_SECONDS = 30
# Seconds a writer waits for its turn on SQLite.
TURN_SECONDS = 10
# Seconds a probe waits for its turn, and then for a lock: /readyz answers within 3 s.
PROBE_TURN_SECONDS = 1.5
PROBE_LOCK_SECONDS = 1
# The rights of the SQLite file and of its folder.
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


class Database:
    """The engine and its two kinds of transaction."""

    def __init__(self, url: str, cipher: FieldCipher, *, turn_seconds: float = TURN_SECONDS) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _make_engine(self.url, pool_size=24, max_overflow=8)
        # Encrypted columns find their keys here (tables.types.Encrypted).
        self.engine.dialect.field_cipher = cipher  # type: ignore[attr-defined]
        # PostgreSQL else shows each statement of a transaction what others have committed meanwhile.
        view = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        self._readers = self.engine.execution_options(**view)
        self._writers_turn = Lock()
        self._turn_seconds = turn_seconds

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction: one consistent view, nothing to commit."""
        with self._readers.connect() as connection, connection.begin():
            self._begin(connection, "BEGIN")
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction: committed when the block ends, rolled back when it raises. Never nest two. Raises
        SQLAlchemy's TimeoutError when other writers leave it no turn in time."""
        with self.turn(), self.engine.connect() as connection, connection.begin():
            self._begin(connection, "BEGIN IMMEDIATE")
            yield connection

    @contextmanager
    def probe(self) -> Iterator[Connection]:
        """A write transaction that shows whether writing works now: on a new connection, and with a short wait. Raises
        SQLAlchemy's errors when there is no connection, no turn or no lock in time."""
        with self.turn(PROBE_TURN_SECONDS), self._probes.connect() as connection, connection.begin():
            self._begin(connection, "BEGIN IMMEDIATE")
            yield connection

    @cached_property
    def _probes(self) -> Engine:
        """An engine without a pool."""
        return _make_engine(self.url, PROBE_LOCK_SECONDS, poolclass=NullPool)

    @contextmanager
    def rebuild(self) -> Iterator[Connection]:
        """A write transaction in which a table may take another's place, for migrations. SQLite follows no foreign keys
        meanwhile, so that what refers to the table stays; they are all looked at before the commit."""
        with self.turn(), self.engine.connect() as connection:
            self._follow_foreign_keys(connection, "OFF")
            try:
                with connection.begin():
                    self._begin(connection, "BEGIN IMMEDIATE")
                    yield connection
                    if self.is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                        raise RuntimeError("the migration left rows that refer to nothing")
            finally:
                self._follow_foreign_keys(connection, "ON")

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def turn(self, seconds: float | None = None) -> Iterator[None]:
        """The turn of one writer, for whoever writes on a connection of its own; on PostgreSQL there are no turns.
        Raises SQLAlchemy's TimeoutError when other writers leave none in time."""
        wait = self._turn_seconds if seconds is None else seconds
        if self.is_sqlite and not self._writers_turn.acquire(timeout=wait):
            raise TimeoutError("other writers leave no turn")
        try:
            yield
        finally:
            if self.is_sqlite:
                self._writers_turn.release()

    def _follow_foreign_keys(self, connection: Connection, switch: str) -> None:
        """SQLite takes this between transactions only, so it goes past SQLAlchemy, which would begin one."""
        if self.is_sqlite:
            cursor = connection.connection.cursor()
            cursor.execute(f"PRAGMA foreign_keys={switch}")
            cursor.close()

    def _begin(self, connection: Connection, statement: str) -> None:
        """SQLite's driver begins no transaction by itself. (An engine event would do it too, but one listener makes
        SQLAlchemy look for others at every statement.)"""
        if self.is_sqlite:
            connection.exec_driver_sql(statement)


def insert_ignoring(connection: Connection, table: Table) -> Any:
    """INSERT … ON CONFLICT DO NOTHING in the connection's dialect; a rowcount of 0 means that the row was there."""
    return _insert_ignoring(connection.dialect.name, table)


def upsert(connection: Connection, table: Table) -> Any:
    """An INSERT of the connection's dialect on which `.on_conflict_do_update(...)` can be called."""
    return _insert(connection.dialect.name, table)


@cache
def _insert_ignoring(dialect: str, table: Table) -> Any:
    """Built once for each table: to build a statement anew costs more than to run it."""
    return _insert(dialect, table).on_conflict_do_nothing()


def _insert(dialect: str, table: Table) -> Any:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def _make_engine(url: URL, lock_seconds: int | None = None, **pool: Any) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    # PostgreSQL's own placeholders, so that the driver need not look for others (_raw_cursors).
    style: dict[str, Any] = {} if is_sqlite else {"paramstyle": "numeric_dollar"}
    # Else an INSERT on PostgreSQL reports -1 rows, and insert_ignoring could not be asked.
    options = {"preserve_rowcount": True}
    engine = create_engine(
        url, connect_args=_connect_args(url, lock_seconds), execution_options=options, **style, **pool
    )
    if is_sqlite:
        event.listen(engine, "do_connect", _make_private)
    event.listen(engine, "connect", _set_pragmas if is_sqlite else _raw_cursors(engine.dialect.dbapi))
    return engine


def _connect_args(url: URL, lock_seconds: int | None = None) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        # Transactions are opened by our own BEGIN above, not guessed by the driver.
        return {"timeout": lock_seconds or BUSY_SECONDS, "isolation_level": None, "check_same_thread": False}
    # The second: what went over a connection that is kept and answers nothing has failed then, not after minutes.
    waits = {"connect_timeout": BUSY_SECONDS, "tcp_user_timeout": SILENT_MILLISECONDS, "keepalives_idle": IDLE_SECONDS}
    return {**waits, "options": f"-c timezone=utc -c lock_timeout={lock_seconds or LOCK_SECONDS}s"}


def _make_private(_dialect: Any, _record: Any, arguments: list[str], _given: Any) -> None:
    """Make a SQLite file that is not there yet for its owner only, and its folder too: it holds people's records.
    SQLite gives the files beside it (-wal, -shm) the same rights. What the system refuses, SQLite reports."""
    path = Path(arguments[0])
    if str(path) == ":memory:":
        return
    with suppress(OSError):
        if not path.exists():
            path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, PRIVATE_FILE))


def _set_pragmas(raw: Any, _record: Any) -> None:
    # Without recursive_triggers a REPLACE drops a row and asks no trigger (tables.types).
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON"):
        raw.execute(f"PRAGMA {pragma}").close()


def _raw_cursors(psycopg: Any) -> Callable[[Any, Any], None]:
    """Psycopg's usual cursors read through each statement for placeholders: for the INSERT of a group of people that
    took longer than PostgreSQL needed to run it. (Nothing here imports psycopg: on SQLite it would only take room.)"""

    def set_cursors(raw: Any, _record: Any) -> None:
        raw.cursor_factory, raw.server_cursor_factory = psycopg.RawCursor, psycopg.RawServerCursor

    return set_cursors


def chunks(values: Sequence[Value], size: int) -> Iterator[Sequence[Value]]:
    """The values in portions of at most `size`: a statement takes only so many, and a long transaction stops others."""
    return (values[start : start + size] for start in range(0, len(values), size))
