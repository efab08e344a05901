"""What an installation needs in order to work, checked item by item, in plain sentences."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from cryptography.fernet import InvalidToken
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from lti_tool.attendance import locking
from lti_tool.context import AppContext
from lti_tool.db import PRIVATE_FILE, PRIVATE_FOLDER, Database
from lti_tool.diagnostics.database import MEGABYTE, examine, sqlite_folder
from lti_tool.diagnostics.database import State as DatabaseState
from lti_tool.diagnostics.units import examine_units
from lti_tool.errors import NotFound
from lti_tool.migrations import head
from lti_tool.programme import versions
from lti_tool.settings import Settings
from lti_tool.tables.operations import tasks
from lti_tool.tables.platforms import deployments, registrations, tool_keys
from lti_tool.tables.scores import scores
from lti_tool.tasks import QUEUE_AGE_LIMIT_SECONDS, queue_age_seconds

State = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: "wrong" keeps the tool from working, "note" is worth knowing."""

    about: str
    state: State
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


def _check_database(state: DatabaseState) -> Iterator[Finding]:
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
