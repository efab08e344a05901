"""The database: one engine, explicit read and write transactions, the same on SQLite and PostgreSQL.

On SQLite the tool is one process and its writers take turns through one lock: a second writer then waits in line
instead of failing with SQLITE_BUSY (DESIGN §5). On PostgreSQL the lock is not used.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import Connection, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.schema import Table

from lti_tool.tables.types import FieldCipher

# Seconds a connection may wait for a lock or a server before it is an error (a webhook must be answered within 3 s).
BUSY_SECONDS = 2


class Database:
    """The engine and its two kinds of transaction."""

    def __init__(self, url: str, cipher: FieldCipher) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        # Without preserve_rowcount an INSERT on PostgreSQL reports -1 rows, and insert_ignoring could not be asked.
        options = {"preserve_rowcount": True}
        self.engine = create_engine(
            self.url, connect_args=_connect_args(self.url), pool_size=24, max_overflow=8, execution_options=options
        )
        # Encrypted columns find their keys here (tables.types.Encrypted).
        self.engine.dialect.field_cipher = cipher  # type: ignore[attr-defined]
        self._writers_turn = Lock()
        if self.is_sqlite:
            _prepare_sqlite(self.engine)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction: one consistent view, nothing to commit."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction: committed when the block ends, rolled back when it raises. Never nest two."""
        turn: AbstractContextManager[Any] = self._writers_turn if self.is_sqlite else nullcontext()
        with turn, self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        self.engine.dispose()


def insert_ignoring(connection: Connection, table: Table) -> Any:
    """INSERT … ON CONFLICT DO NOTHING in the connection's dialect; a rowcount of 0 means that the row was there."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table).on_conflict_do_nothing()


def upsert(connection: Connection, table: Table) -> Any:
    """An INSERT of the connection's dialect on which `.on_conflict_do_update(...)` can be called."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


def _connect_args(url: URL) -> dict[str, Any]:
    if url.get_backend_name() == "sqlite":
        if url.database and url.database != ":memory:":
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        # Transactions are opened by our own BEGIN below, not guessed by the driver.
        return {"timeout": BUSY_SECONDS, "isolation_level": None, "check_same_thread": False}
    return {"connect_timeout": BUSY_SECONDS, "options": "-c timezone=utc -c lock_timeout=10s"}


def _prepare_sqlite(engine: Any) -> None:
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)


def _set_pragmas(raw: Any, _record: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        raw.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def is_answering(database: Database) -> bool:
    """Whether the database answers a trivial question; used by /readyz."""
    with database.read() as connection:
        return bool(connection.execute(text("SELECT 1")).scalar() == 1)
