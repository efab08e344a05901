"""What a file of registrations does: each row adds, changes, repeats or is refused. All is written, or nothing."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection

from lti_tool.errors import AddressRefused, BadInput
from lti_tool.http import Http
from lti_tool.lti import registration
from lti_tool.lti.registration import ADDRESSES, Registration
from lti_tool.platforms.platform_file import Entry

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
