"""Whether the database can be worked with now: it takes a write, its tables are there, and the disk has room.

/readyz and `gatehouse doctor` ask the same questions here.
"""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError, TimeoutError

from lti_tool.context import AppContext
from lti_tool.db import Database, upsert
from lti_tool.migrations import head, present_revision
from lti_tool.tables import metadata
from lti_tool.tables.operations import readiness
from lti_tool.tasks import QUEUE_AGE_LIMIT_SECONDS, queue_age_seconds

MEGABYTE = 2**20
# An answer is given again for so long, so that questions from outside cost at most one write a second.
KEPT_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the database cannot be worked with: a stable code, what is wrong, what to do, and which check found it."""

    code: str
    says: str
    next_step: str
    check: Literal["database", "disk", "migrations", "tables", "queue"] = "database"


AWAY = Trouble(
    "database_away",
    "The database does not answer.",
    "Check GATEHOUSE_DATABASE_URL or GATEHOUSE_DATA, and that the server runs.",
)
DISK_FULL = Trouble(
    "disk_full", "The disk of the database is full.", "Make room; nothing has to be restarted.", check="disk"
)
DISK_LOW = Trouble(
    "disk_low",
    "The disk of the database has less free room than GATEHOUSE_LEAST_FREE_MEGABYTES.",
    "Make room; nothing has to be restarted.",
    check="disk",
)
DISK_FAILING = Trouble(
    "disk_failing",
    "The disk of the database fails to read or to write.",
    "Look at the system's log, and at quotas and limits on the size of files.",
)
DAMAGED = Trouble(
    "database_damaged",
    "The database file is damaged.",
    "Stop the tool, keep the file and those beside it, and restore the last backup with `gatehouse restore`.",
)
LOCKED = Trouble(
    "database_locked",
    "Another process or a long transaction holds the database: writing does not get its turn.",
    "End the other process: with SQLite, one `gatehouse serve` is all that may write.",
)
READ_ONLY = Trouble(
    "database_read_only",
    "The database cannot be written: its file, its folder or the server is read-only.",
    "Give the user who runs the tool the file and its folder, or point the tool at the primary server.",
)
NO_CONNECTIONS = Trouble(
    "connections_exhausted",
    "The database server has no connection left.",
    "Raise the server's or the user's connection limit, or run fewer processes.",
)
TABLE_MISSING = Trouble(
    "table_missing",
    "The database lacks tables of this release's schema.",
    "Restore the last backup with `gatehouse restore`; a table that was removed cannot be made again.",
    check="tables",
)
SCHEMA_WRONG = Trouble(
    "schema_wrong",
    "The database is not at this release's revision of the schema.",
    "Run `gatehouse migrate`.",
    check="migrations",
)
QUEUE_STANDS = Trouble(
    "queue_stands",
    "No worker takes up the tasks that are due.",
    "Run `gatehouse serve` or `gatehouse worker`.",
    check="queue",
)

# SQLite's primary result codes, and PostgreSQL's SQLSTATEs.
BY_SQLITE_CODE = {5: LOCKED, 6: LOCKED, 8: READ_ONLY, 10: DISK_FAILING, 11: DAMAGED, 13: DISK_FULL, 26: DAMAGED}
SQLITE_IO_ERROR = 10
SQLITE_CANNOT_OPEN = 14
BY_SQLSTATE = {"53100": DISK_FULL, "53300": NO_CONNECTIONS, "25006": READ_ONLY, "55P03": LOCKED, "42P01": TABLE_MISSING}
# A refused connection has no SQLSTATE in psycopg, only the server's words.
NO_CONNECTION_WORDS = ("too many connections", "too many clients", "remaining connection slots")


@dataclass(slots=True)
class State:
    """What was found. `trouble`: why it does not work, None if it does; `free_bytes`: beside a SQLite file."""

    revision: str | None = None
    missing: Sequence[str] = ()
    queue_age_seconds: float | None = None
    free_bytes: int | None = None
    has_room: bool = True
    trouble: Trouble | None = None


def examine(context: AppContext) -> State:
    """Look at the database as it is now, and write one row. Answers within 3 seconds."""
    state = State()
    folder = sqlite_folder(context.database)
    if folder is not None:
        with suppress(OSError):
            state.free_bytes = shutil.disk_usage(folder).free
        least = context.settings.least_free_megabytes * MEGABYTE
        state.has_room = state.free_bytes is None or state.free_bytes >= least
    try:
        _look_and_write(context.database, state, context.clock())
    except SQLAlchemyError as error:
        state.trouble = _trouble(error, folder, state.free_bytes)
    if state.trouble is None and not state.has_room:
        state.trouble = DISK_LOW
    return state


def _look_and_write(database: Database, state: State, now: datetime) -> None:
    """Fill in what is seen until something fails. The row is committed: SQLite meets a full disk only then."""
    with database.probe() as connection:
        state.revision = present_revision(connection)
        if state.revision != head():
            state.trouble = SCHEMA_WRONG
            return
        state.missing = sorted(set(metadata.tables) - set(inspect(connection).get_table_names()))
        if state.missing:
            state.trouble = TABLE_MISSING
            return
        state.queue_age_seconds = queue_age_seconds(connection, now)
        if state.queue_age_seconds >= QUEUE_AGE_LIMIT_SECONDS:
            state.trouble = QUEUE_STANDS
        row = {"id": 1, "written_at": now}
        connection.execute(
            upsert(connection, readiness).values(row).on_conflict_do_update(index_elements=["id"], set_=row)
        )


def sqlite_folder(database: Database) -> Path | None:
    """The folder of the SQLite file; None on PostgreSQL."""
    return Path(database.url.database).parent if database.is_sqlite and database.url.database else None


def _trouble(error: SQLAlchemyError, folder: Path | None, free_bytes: int | None) -> Trouble:
    if isinstance(error, TimeoutError):
        return LOCKED
    cause: Any = getattr(error, "orig", None)
    if folder is None:
        if any(words in str(cause) for words in NO_CONNECTION_WORDS):
            return NO_CONNECTIONS
        return BY_SQLSTATE.get(getattr(cause, "sqlstate", None) or "", AWAY)
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code == SQLITE_CANNOT_OPEN and folder.is_dir() and not os.access(folder, os.W_OK, effective_ids=True):
        return READ_ONLY
    if code == SQLITE_IO_ERROR and free_bytes is not None and free_bytes < MEGABYTE:
        return DISK_FULL  # The file -shm cannot be made.
    return BY_SQLITE_CODE.get(code, AWAY)


class Readiness:
    """The state for whoever asks often: looked at anew when the last answer is older than KEPT_SECONDS."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._lock = Lock()
        self._last: tuple[datetime, State] | None = None

    def state(self) -> State:
        with self._lock:
            if self._last is None or abs((self._context.clock() - self._last[0]).total_seconds()) >= KEPT_SECONDS:
                state = examine(self._context)
                # Its age counts from its end: who waited for it takes it too.
                self._last = self._context.clock(), state
            return self._last[1]
