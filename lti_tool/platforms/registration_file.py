"""What a file of registrations does: each row adds, changes, repeats or is refused. All is written, or nothing.

A file of registrations, YAML or JSON: a list with one registration in each row. Read as data and nothing else.

Size, depth and aliases are capped by the reader of programmes. A row that cannot be taken says why; nothing is guessed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection

from lti_tool.errors import AddressRefused, BadInput
from lti_tool.http import Http
from lti_tool.lti import registration
from lti_tool.lti.registration import ADDRESSES, NewRegistration, Registration, origins_of
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
    """One row of a file: its number and line (from 1), and the registration it describes, or why it cannot be taken."""

    number: int
    line: int
    new: NewRegistration | None = None
    deployment_ids: tuple[str, ...] = ()
    service_origins: tuple[str, ...] = ()
    refused: str = ""


def read_platform_file(content: bytes) -> list[Entry]:
    """The rows of a file in order; one whose issuer and client id an earlier row has is refused.

    Raises BadInput `platform_file_unreadable`: no YAML or JSON, too large, too deep, or no list of registrations.
    """
    source = load_yaml(content)
    if source.problems:
        problem = source.problems[0]
        raise _unreadable(f"Line {problem.line}: {problem.message}" if problem.line else problem.message)
    if not isinstance(source.value, list) or not 0 < len(source.value) <= MOST_ROWS:
        raise _unreadable(f"The file must be a list of 1 to {MOST_ROWS} registrations.")
    entries = [_entry(number, source.line_of(f"[{number - 1}]"), row) for number, row in enumerate(source.value, 1)]
    return list(_without_repeated(entries))


def _entry(number: int, line: int, row: Any) -> Entry:
    try:
        return _read(number, line, _row(row))
    except BadInput as error:
        return Entry(number, line, refused=error.message)


def _read(number: int, line: int, row: Mapping[str, Any]) -> Entry:
    more: dict[str, Any] = {OPTIONAL[name]: _plain(name, row[name]) for name in OPTIONAL if row.get(name) is not None}
    more |= {name: _text(name, row[name]) for name in NEEDED}
    new = NewRegistration(**more)
    deployment_ids, addresses = (tuple(_text(name, each) for each in _list(name, row)) for name in LISTS)
    verify_registration(new, deployment_ids)
    return Entry(number, line, new, deployment_ids, tuple(origins_of(addresses)))


def _row(row: Any) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise _unfit("A registration is a group of names and values.")
    unknown = sorted(row.keys() - {*NEEDED, *OPTIONAL, *LISTS})
    if unknown:
        raise _unfit(f"There is no value called {unknown[0]!r}.")
    missing = [name for name in NEEDED if row.get(name) is None]
    if missing:
        raise _unfit(f"{missing[0]} is missing.")
    return row


def _plain(name: str, value: Any) -> str | bool:
    if name != "old_roles":
        return _text(name, value)
    if not isinstance(value, bool):
        raise _unfit("old_roles is true or false.")
    return value


def _text(name: str, value: Any) -> str:
    """A number may have lost its zeros while it was read, so only text counts."""
    if not isinstance(value, str):
        raise _unfit(f"{name} must be text: put it in quotes.")
    return value


def _list(name: str, row: Mapping[str, Any]) -> list[Any]:
    value = row.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _unfit(f"{name} is a list.")
    return value


def _without_repeated(entries: list[Entry]) -> Iterator[Entry]:
    seen: dict[tuple[str, str], int] = {}
    for entry in entries:
        key = (entry.new.issuer, entry.new.client_id) if entry.new else ("", "")
        first = seen.setdefault(key, entry.number)
        if entry.new is None or first == entry.number:
            yield entry
        else:
            yield Entry(entry.number, entry.line, refused=f"Row {first} names the same issuer and client id.")


def _unfit(message: str) -> BadInput:
    return BadInput("platform_row_wrong", message, "Mend the row.")


def _unreadable(message: str) -> BadInput:
    return BadInput("platform_file_unreadable", message, "docs/commands.md shows the form under `platform import`.")


Outcome = Literal["new", "changed", "same", "refused"]


@dataclass(frozen=True, slots=True)
class Planned:
    """What one row would do. `changes` has the new values of a platform that is registered already."""

    entry: Entry
    outcome: Outcome
    detail: str = ""
    platform: int | None = None
    changes: tuple[tuple[str, Any], ...] = ()


def plan(connection: Connection, http: Http, entries: Sequence[Entry]) -> list[Planned]:
    """What the rows of a file would do, in order. Nothing is written, and no address is called."""
    return [_plan(connection, http, entry) for entry in entries]


def carry_out(connection: Connection, planned: Sequence[Planned], *, actor: str, now: datetime) -> None:
    """Write a whole plan, in the transaction it was made in. Raises BadInput `platform_rows_refused` when one of its
    rows is refused: then nothing is to be written."""
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


def verify(planned: Sequence[Planned]) -> None:
    """Raises BadInput `platform_rows_refused` when a row is refused."""
    refused = sum(each.outcome == "refused" for each in planned)
    if refused:
        message = f"{refused} of {len(planned)} rows cannot be taken. Nothing was written."
        raise BadInput("platform_rows_refused", message, "Mend these rows and import the file again.")


def _plan(connection: Connection, http: Http, entry: Entry) -> Planned:
    if entry.new is None:
        return Planned(entry, "refused", entry.refused)
    try:
        for url in (*(getattr(entry.new, name) for name in ADDRESSES), *entry.service_origins):
            http.check_url(url)
    except AddressRefused as error:
        return Planned(entry, "refused", error.message)
    known = registration.find_any(connection, entry.new.issuer, entry.new.client_id)
    return Planned(entry, "new") if known is None else _beside(entry, known)


def _beside(entry: Entry, known: Registration) -> Planned:
    """A row about a platform that is registered: deployments are added, never taken away."""
    assert entry.new is not None
    wanted: dict[str, Any] = asdict(entry.new) | {"service_origins": list(entry.service_origins)}
    present = asdict(registration.given(known)) | {"service_origins": sorted(known.service_origins)}
    changes = tuple((name, value) for name, value in wanted.items() if present[name] != value)
    more = set(entry.deployment_ids) - known.deployment_ids
    if not changes and not more:
        return Planned(entry, "same", platform=known.id)
    detail = ", ".join([*(name for name, _ in changes), *(["deployment_ids"] if more else [])])
    return Planned(entry, "changed", detail, known.id, changes)
