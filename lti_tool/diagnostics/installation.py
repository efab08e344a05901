"""What an installation needs in order to work, checked one by one and told in plain sentences."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cryptography.fernet import InvalidToken
from sqlalchemy import Connection, Select, func, select
from sqlalchemy.exc import SQLAlchemyError

from lti_tool.attendance import locking
from lti_tool.context import House
from lti_tool.diagnostics.units import examine_units
from lti_tool.errors import NotFound
from lti_tool.migrations import head, present_revision
from lti_tool.programme import versions
from lti_tool.settings import Settings
from lti_tool.tables.operations import tasks
from lti_tool.tables.platforms import deployments, registrations, tool_keys
from lti_tool.tables.scores import scores
from lti_tool.tasks import QUEUE_AGE_LIMIT_SECONDS, queue_age_seconds

State = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: "wrong" keeps the tool from its work, "note" is worth knowing."""

    about: str
    state: State
    says: str
    next_step: str = ""


def check_up(house: House) -> list[Finding]:
    """Look at everything; later checks are left out where an earlier one shows that they cannot be made."""
    findings = list(_settings(house.settings))
    try:
        with house.database.read() as connection:
            findings.extend(_database(connection, house.clock()))
    except SQLAlchemyError as error:
        says = f"The database does not answer ({type(error).__name__})."
        findings.append(Finding("database", "wrong", says, "Check GATEHOUSE_DATABASE_URL and that the server runs."))
    return findings


def _settings(settings: Settings) -> Iterator[Finding]:
    if settings.public_url.startswith("https:"):
        yield Finding("public address", "ok", f"Browsers and platforms reach the tool at {settings.public_url}.")
    else:
        says = f"{settings.public_url} is not https: browsers will not keep the session inside an LMS."
        yield Finding("public address", "note", says, "Use https everywhere but on your own machine.")
    if settings.zoom_secret_tokens:
        yield Finding("zoom webhook", "ok", "Zoom's webhook secret is set.")
    else:
        says = "Zoom's webhook secret is not set: every delivery is refused and nobody's presence is seen."
        yield Finding("zoom webhook", "wrong", says, "Set GATEHOUSE_ZOOM_SECRET_TOKENS from the app's Feature page.")
    yield _zoom_account(settings)
    if settings.allow_private_addresses:
        says = "Calls to private addresses are allowed."
        yield Finding(
            "outbound calls", "note", says, "Remove GATEHOUSE_ALLOW_PRIVATE_ADDRESSES outside sandbox and tests."
        )


def _zoom_account(settings: Settings) -> Finding:
    given = [settings.zoom_account_id, settings.zoom_client_id, settings.zoom_client_secret]
    if all(given):
        return Finding("zoom account", "ok", "The credentials of the Server-to-Server OAuth app are set.")
    if any(given):
        says = "The credentials of the Server-to-Server OAuth app are incomplete."
        return Finding("zoom account", "wrong", says, "Set account id, client id and client secret, or none of them.")
    says = "No Server-to-Server OAuth app is set: presence rests on webhooks alone."
    return Finding("zoom account", "note", says, "Set GATEHOUSE_ZOOM_ACCOUNT_ID, …_CLIENT_ID and …_CLIENT_SECRET.")


def _database(connection: Connection, now: datetime) -> Iterator[Finding]:
    revision = present_revision(connection)
    if revision != head():
        says = f"The database is at revision {revision or 'none'}; this release expects {head()}."
        yield Finding("database", "wrong", says, "Run `gatehouse migrate`.")
        return
    yield Finding("database", "ok", f"The database answers and is at revision {revision}.")
    checks: tuple[Callable[[Connection], Finding], ...] = (
        _programme,
        _platforms,
        _keys,
        _parked_tasks,
        _parked_scores,
    )
    yield from (check(connection) for check in checks)
    yield _units(connection, now)
    yield _ends(connection, now)
    yield _queue(connection, now)


def _programme(connection: Connection) -> Finding:
    try:
        published = versions.current(connection)
    except NotFound:
        says = "No programme is published: there are no modules."
        return Finding("programme", "wrong", says, "Run `gatehouse programme publish FILE`.")
    return Finding("programme", "ok", f"Version {published.version} of the programme is published.")


def _platforms(connection: Connection) -> Finding:
    active = registrations.c.status == "active"
    count = _count(connection, select(func.count()).select_from(registrations).where(active))
    if not count:
        says = "No platform is registered: nobody can launch the tool."
        return Finding("platforms", "wrong", says, "Run `gatehouse platform add --help`.")
    known = select(deployments.c.registration_id)
    without = select(registrations.c.client_id).where(active, registrations.c.id.not_in(known))
    clients = connection.execute(without).scalars().all()
    if clients:
        says = f"Without a deployment id, launches are refused: {', '.join(clients)}."
        return Finding("platforms", "wrong", says, "Run `gatehouse platform add` again with --deployment-id.")
    return Finding("platforms", "ok", f"Registered and active platforms: {count}.")


def _units(connection: Connection, now: datetime) -> Finding:
    """What the set-up doctor says of the courses' units, in one line; /desk/setup says it in full."""
    examined = examine_units(connection, now)
    hindered = [each for each in examined if each.is_hindered]
    if not hindered:
        return Finding("units", "ok", f"Units of courses that were launched: {len(examined)}; none is hindered.")
    codes = sorted({finding.code for each in hindered for finding in each.findings if finding.state == "wrong"})
    says = f"Units of courses with something to mend: {len(hindered)} of {len(examined)} ({', '.join(codes)})."
    return Finding("units", "wrong", says, "The desk's page Set-up says where; or `gatehouse doctor --units`.")


def _keys(connection: Connection) -> Finding:
    try:
        pems = connection.execute(select(tool_keys.c.private_pem)).scalars().all()
    except InvalidToken:
        says = "The tool's keys cannot be decrypted with GATEHOUSE_FIELD_KEYS."
        return Finding("keys", "wrong", says, "Add the field key they were encrypted with at the end of the list.")
    if not pems:
        return Finding("keys", "note", "The tool has no key yet: its first use makes one.")
    return Finding("keys", "ok", f"Keys of the tool: {len(pems)}.")


def _queue(connection: Connection, now: datetime) -> Finding:
    age = queue_age_seconds(connection, now)
    if age < QUEUE_AGE_LIMIT_SECONDS:
        return Finding("queue", "ok", f"The oldest due task has waited for {age:.0f} seconds.")
    says = f"The oldest due task has waited for {age / 60:.0f} minutes: no worker is at work."
    return Finding("queue", "wrong", says, "Run `gatehouse serve` or `gatehouse worker`.")


def _ends(connection: Connection, now: datetime) -> Finding:
    late = locking.missing(connection, now)
    if not late:
        return Finding("sessions", "ok", "Every live session of the past has its end.")
    says = f"Nobody has said that these live sessions are over: {', '.join(str(each.id) for each in late)}."
    return Finding("sessions", "note", says, "Run `gatehouse session end --help`, or cancel what did not take place.")


def _parked_tasks(connection: Connection) -> Finding:
    rows = connection.execute(select(tasks.c.kind, tasks.c.last_error).where(tasks.c.state == "parked")).all()
    if not rows:
        return Finding("tasks", "ok", "No task was given up.")
    kinds = ", ".join(sorted({f"{row.kind} ({row.last_error})" for row in rows}))
    return Finding("tasks", "wrong", f"Given up after many attempts: {len(rows)} ({kinds}).", "See the desk.")


def _parked_scores(connection: Connection) -> Finding:
    count = _count(connection, select(func.count()).select_from(scores).where(scores.c.status == "parked"))
    if not count:
        return Finding("scores", "ok", "No score was refused by a platform for good.")
    return Finding("scores", "wrong", f"Scores no platform takes: {count}.", "Run `gatehouse grades ledger`.")


def _count(connection: Connection, query: Select[int]) -> int:
    return connection.execute(query).scalar_one()
