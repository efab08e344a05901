"""What an installation needs in order to work: its database, which /readyz asks about too, and everything else."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from cryptography.fernet import InvalidToken
from sqlalchemy import Connection, func, inspect, select
from sqlalchemy.exc import SQLAlchemyError, TimeoutError

from lti_tool.attendance import locking
from lti_tool.context import AppContext
from lti_tool.db import PRIVATE_FILE, PRIVATE_FOLDER, Database, upsert
from lti_tool.diagnostics.units import examine_units
from lti_tool.errors import NotFound
from lti_tool.migrations import head, present_revision
from lti_tool.programme import versions
from lti_tool.settings import Settings
from lti_tool.tables import metadata
from lti_tool.tables.operations import readiness, tasks
from lti_tool.tables.platforms import deployments, registrations, tool_keys
from lti_tool.tables.scores import scores
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


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: "wrong" keeps the tool from working, "note" is worth knowing."""

    about: str
    state: Literal["ok", "note", "wrong"]
    says: str
    next_step: str = ""


def check_up(context: AppContext) -> list[Finding]:
    """Check everything. Without a database at this release's revision, the checks that need it are left out."""
    state = examine(context)
    findings = [*_check_settings(context.settings), *_check_rights(context.database), *_check_database(state)]
    if state.revision != head() or state.missing:
        return findings
    try:
        with context.database.read() as connection:
            findings.extend(_check_configuration(connection))
            findings.extend(_check_work(connection, context.clock()))
    except SQLAlchemyError as error:
        says = f"The database stopped answering during the checks ({type(error).__name__})."
        findings.append(Finding("database", "wrong", says, "Run `gatehouse doctor` again."))
    return findings


def _check_database(state: State) -> Iterator[Finding]:
    """Whether the database takes a write, has its tables, and room on its disk. The queue is checked later."""
    trouble = state.trouble
    if trouble is None or trouble.check == "queue":
        says = f"The database answers, takes a write and is at revision {state.revision}."
        yield Finding("database", "ok", says)
    elif trouble.check == "migrations":
        says = f"The database is at revision {state.revision or 'none'}; this release expects {head()}."
        yield Finding("database", "wrong", says, trouble.next_step)
    elif trouble.check != "disk":
        missing = f" Missing: {', '.join(state.missing)}." if state.missing else ""
        yield Finding("database", "wrong", f"{trouble.says}{missing} ({trouble.code})", trouble.next_step)
    if trouble is not None and trouble.check == "disk":
        yield Finding("disk", "wrong", f"{trouble.says} ({trouble.code})", trouble.next_step)
    elif state.free_bytes is not None:
        yield Finding("disk", "ok", f"The disk of the database has {state.free_bytes // MEGABYTE} megabytes free.")


def _check_rights(database: Database) -> Iterator[Finding]:
    """The SQLite file and its folder are for their owner only."""
    folder = sqlite_folder(database)
    if folder is None:
        return
    file = Path(database.url.database or "")
    wanted = ((folder, PRIVATE_FOLDER), (file, PRIVATE_FILE))
    open_to_others = [(path, mode) for path, mode in wanted if path.exists() and path.stat().st_mode & 0o077]
    if open_to_others:
        says = "Other users of this machine may read or list people's records."
        next_step = "Run " + " and ".join(f"`chmod {mode:o} {path}`" for path, mode in open_to_others) + "."
        yield Finding("file rights", "wrong", says, next_step)
    else:
        yield Finding("file rights", "ok", "Only their owner may open the database file and its folder.")


def _check_settings(settings: Settings) -> Iterator[Finding]:
    if settings.public_url.startswith("https:"):
        yield Finding("public address", "ok", f"Browsers and platforms reach the tool at {settings.public_url}.")
    else:
        says = f"{settings.public_url} is not https: browsers will not keep the session inside an LMS."
        yield Finding("public address", "note", says, "Use https everywhere except on your own machine.")
    if settings.zoom_secret_tokens:
        yield Finding("zoom webhook", "ok", "Zoom's webhook secret is set.")
    else:
        says = "Zoom's webhook secret is not set: every delivery is refused and no attendance is recorded."
        yield Finding("zoom webhook", "wrong", says, "Set GATEHOUSE_ZOOM_SECRET_TOKENS from the app's Feature page.")
    given = [settings.zoom_account_id, settings.zoom_client_id, settings.zoom_client_secret]
    if all(given):
        yield Finding("zoom account", "ok", "The credentials of the Server-to-Server OAuth app are set.")
    elif any(given):
        says = "The credentials of the Server-to-Server OAuth app are incomplete."
        yield Finding("zoom account", "wrong", says, "Set account id, client id and client secret, or none of them.")
    else:
        says = "No Server-to-Server OAuth app is set: attendance is recorded from webhooks alone."
        next_step = "Set GATEHOUSE_ZOOM_ACCOUNT_ID, …_CLIENT_ID and …_CLIENT_SECRET."
        yield Finding("zoom account", "note", says, next_step)
    if settings.allow_private_addresses:
        next_step = "Remove GATEHOUSE_ALLOW_PRIVATE_ADDRESSES outside sandbox and tests."
        yield Finding("outbound calls", "note", "Calls to private addresses are allowed.", next_step)


def _check_configuration(connection: Connection) -> Iterator[Finding]:
    """The programme, the platforms and the tool's keys."""
    try:
        version = versions.current(connection).version
        yield Finding("programme", "ok", f"Version {version} of the programme is published.")
    except NotFound:
        says = "No programme is published: there are no modules."
        yield Finding("programme", "wrong", says, "Run `gatehouse programme publish FILE`.")
    active = registrations.c.status == "active"
    count = connection.execute(select(func.count()).select_from(registrations).where(active)).scalar_one()
    without = registrations.c.id.not_in(select(deployments.c.registration_id))
    clients = connection.execute(select(registrations.c.client_id).where(active, without)).scalars().all()
    if not count:
        says = "No platform is registered: the tool cannot be launched."
        yield Finding("platforms", "wrong", says, "Run `gatehouse platform add --help`.")
    elif clients:
        says = f"Launches are refused, because no deployment id is registered: {', '.join(clients)}."
        yield Finding("platforms", "wrong", says, "Run `gatehouse platform add` again with --deployment-id.")
    else:
        yield Finding("platforms", "ok", f"Registered and active platforms: {count}.")
    try:
        keys = len(connection.execute(select(tool_keys.c.private_pem)).scalars().all())
    except InvalidToken:
        says = "The tool's keys cannot be decrypted with GATEHOUSE_FIELD_KEYS."
        next_step = "Add the field key they were encrypted with at the end of the list."
        yield Finding("keys", "wrong", says, next_step)
        return
    if keys:
        yield Finding("keys", "ok", f"Keys of the tool: {keys}.")
    else:
        yield Finding("keys", "note", "The tool has no key yet. It makes one on first use.")


def _check_work(connection: Connection, now: datetime) -> Iterator[Finding]:
    """Background jobs, scores, units, sessions and the queue."""
    failed = connection.execute(select(tasks.c.kind, tasks.c.last_error).where(tasks.c.state == "parked")).all()
    if failed:
        kinds = ", ".join(sorted({f"{row.kind} ({row.last_error})" for row in failed}))
        yield Finding("tasks", "wrong", f"Background jobs that failed: {len(failed)} ({kinds}).", "See the desk.")
    else:
        yield Finding("tasks", "ok", "No background job has failed.")
    parked = select(func.count()).select_from(scores).where(scores.c.status == "parked")
    if refused := connection.execute(parked).scalar_one():
        yield Finding("scores", "wrong", f"Scores a platform refused: {refused}.", "Run `gatehouse grades ledger`.")
    else:
        yield Finding("scores", "ok", "No score was refused by a platform.")
    examined = examine_units(connection, now)
    hindered = [each for each in examined if each.is_hindered]
    if hindered:
        codes = sorted({finding.code for each in hindered for finding in each.findings if finding.state == "wrong"})
        says = f"Units of courses with a problem: {len(hindered)} of {len(examined)} ({', '.join(codes)})."
        yield Finding(
            "units",
            "wrong",
            says,
            "See Settings › Set-up of course units on the desk, or run `gatehouse doctor --units`.",
        )
    else:
        yield Finding("units", "ok", f"Units of courses that were launched: {len(examined)}, none with a problem.")
    if running := locking.missing(connection, now):
        says = f"Live sessions still marked as running: {', '.join(str(each.id) for each in running)}."
        next_step = "Run `gatehouse session end --help`, or cancel sessions that did not take place."
        yield Finding("sessions", "note", says, next_step)
    else:
        yield Finding("sessions", "ok", "Every past live session has an end.")
    age = queue_age_seconds(connection, now)
    if age < QUEUE_AGE_LIMIT_SECONDS:
        yield Finding("queue", "ok", f"The oldest due task has waited for {age:.0f} seconds.")
    else:
        says = f"The oldest due task has waited for {age / 60:.0f} minutes: no worker is running."
        yield Finding("queue", "wrong", says, "Run `gatehouse serve` or `gatehouse worker`.")
