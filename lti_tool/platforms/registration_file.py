"""A file of registrations (YAML or JSON): what each row would do, and carrying it out, completely or not at all.

The file is a list with one registration per row, read as data only. The reader of programmes limits its size, depth and
aliases. A row adds a platform, changes one, repeats one, or is refused with a reason. Nothing is guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection

from lti_tool.errors import AddressRefused, BadInput
from lti_tool.http import Http
from lti_tool.lti import registration
from lti_tool.lti.registration import ADDRESSES, NewRegistration, origins_of
from lti_tool.lti.registration import verify as verify_registration
from lti_tool.programme.yaml_source import MAX_BYTES, load_yaml

MOST_ROWS = 500
NEEDED = ("issuer", "client_id", "auth_login_url", "token_url", "key_set_url")
# Name in the file → name of the value.
OPTIONAL = {"audience": "token_audience", "profile": "profile", "old_roles": "old_roles"}
LISTS = ("deployment_ids", "service_origins")

__all__ = ["MAX_BYTES", "Entry", "read_platform_file"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: its number and line (from 1), and the registration it describes, or why it is refused."""

    number: int
    line: int
    new: NewRegistration | None = None
    deployment_ids: tuple[str, ...] = ()
    service_origins: tuple[str, ...] = ()
    refused: str = ""


def read_platform_file(content: bytes) -> list[Entry]:
    """The rows of a file in order. A row that repeats the issuer and client id of an earlier one is refused.

    Raises BadInput `platform_file_unreadable`: no YAML or JSON, too large, too deep, or no list of registrations.
    """
    source = load_yaml(content)
    problem = ""
    if source.problems:
        first = source.problems[0]
        problem = f"Line {first.line}: {first.message}" if first.line else first.message
    elif not isinstance(source.value, list) or not 0 < len(source.value) <= MOST_ROWS:
        problem = f"The file must be a list of 1 to {MOST_ROWS} registrations."
    if problem:
        next_step = "docs/commands.md shows the form under `platform import`."
        raise BadInput("platform_file_unreadable", problem, next_step)
    entries: list[Entry] = []
    firsts: dict[tuple[str, str], int] = {}
    for number, row in enumerate(source.value, 1):
        line = source.line_of(f"[{number - 1}]")
        try:
            entry = _read_row(number, line, row)
        except BadInput as error:
            entry = Entry(number, line, refused=error.message)
        if entry.new is not None:
            first_row = firsts.setdefault((entry.new.issuer, entry.new.client_id), number)
            if first_row != number:
                entry = Entry(number, line, refused=f"Row {first_row} names the same issuer and client id.")
        entries.append(entry)
    return entries


def _read_row(number: int, line: int, row: Any) -> Entry:
    if not isinstance(row, dict):
        raise _row_wrong("A registration is a group of names and values.")
    if unknown := sorted(row.keys() - {*NEEDED, *OPTIONAL, *LISTS}):
        raise _row_wrong(f"There is no value called {unknown[0]!r}.")
    if missing := [name for name in NEEDED if row.get(name) is None]:
        raise _row_wrong(f"{missing[0]} is missing.")
    values: dict[str, Any] = {name: _text(name, row[name]) for name in NEEDED}
    for name in OPTIONAL:
        value = row.get(name)
        if name == "old_roles" and value is not None and not isinstance(value, bool):
            raise _row_wrong("old_roles is true or false.")
        if value is not None:
            values[OPTIONAL[name]] = value if name == "old_roles" else _text(name, value)
    new = NewRegistration(**values)
    deployment_ids, addresses = (_texts(name, row) for name in LISTS)
    verify_registration(new, deployment_ids)
    return Entry(number, line, new, deployment_ids, tuple(origins_of(addresses)))


def _text(name: str, value: Any) -> str:
    """Only text is accepted: a number may have lost its leading zeros while it was read."""
    if not isinstance(value, str):
        raise _row_wrong(f"{name} must be text: put it in quotes.")
    return value


def _texts(name: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    value = row.get(name)
    if value is not None and not isinstance(value, list):
        raise _row_wrong(f"{name} is a list.")
    return tuple(_text(name, each) for each in value or ())


def _row_wrong(message: str) -> BadInput:
    return BadInput("platform_row_wrong", message, "Fix the row.")


Outcome = Literal["new", "changed", "same", "refused"]


@dataclass(frozen=True, slots=True)
class Planned:
    """What one row would do. `changes` holds the new values of a platform that is already registered."""

    entry: Entry
    outcome: Outcome
    detail: str = ""
    platform: int | None = None
    changes: tuple[tuple[str, Any], ...] = ()


def plan(connection: Connection, http: Http, entries: Sequence[Entry]) -> list[Planned]:
    """What the rows of a file would do, in order. Nothing is written, and no address is called."""
    return [_plan_row(connection, http, entry) for entry in entries]


def _plan_row(connection: Connection, http: Http, entry: Entry) -> Planned:
    if entry.new is None:
        return Planned(entry, "refused", entry.refused)
    try:
        for url in (*(getattr(entry.new, name) for name in ADDRESSES), *entry.service_origins):
            http.check_url(url)
    except AddressRefused as error:
        return Planned(entry, "refused", error.message)
    known = registration.find_any(connection, entry.new.issuer, entry.new.client_id)
    if known is None:
        return Planned(entry, "new")
    wanted: dict[str, Any] = asdict(entry.new) | {"service_origins": list(entry.service_origins)}
    present = asdict(registration.given(known)) | {"service_origins": sorted(known.service_origins)}
    changes = tuple((name, value) for name, value in wanted.items() if present[name] != value)
    # Deployments are added, never removed.
    has_more = not known.deployment_ids.issuperset(entry.deployment_ids)
    if not changes and not has_more:
        return Planned(entry, "same", platform=known.id)
    detail = ", ".join([*(name for name, _ in changes), *(["deployment_ids"] if has_more else [])])
    return Planned(entry, "changed", detail, known.id, changes)


def verify(planned: Sequence[Planned]) -> None:
    """Raises BadInput `platform_rows_refused` if a row is refused."""
    refused = sum(each.outcome == "refused" for each in planned)
    if refused:
        message = f"{refused} of {len(planned)} rows are refused. Nothing was written."
        raise BadInput("platform_rows_refused", message, "Fix these rows and import the file again.")


def carry_out(connection: Connection, planned: Sequence[Planned], *, actor: str, now: datetime) -> None:
    """Write a whole plan, in the transaction it was made in. Raises as `verify` does; then write nothing."""
    verify(planned)
    for each in planned:
        new, entry = each.entry.new, each.entry
        if each.outcome == "changed" and each.platform is not None:
            registration.change(
                connection, each.platform, dict(each.changes), entry.deployment_ids, actor=actor, now=now
            )
        elif each.outcome == "new" and new is not None:
            registration.add(
                connection,
                new,
                entry.deployment_ids,
                actor=actor,
                now=now,
                came_by="file",
                service_origins=entry.service_origins,
            )
