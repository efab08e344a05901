"""The audit log: who did what to what, when and why. It only grows.

An actor is "trainee:7", "staff:3" (a trainee id with a staff role), "cli" or "system".
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from lti_tool.tables.operations import audit_log


def record(
    connection: Connection,
    *,
    actor: str,
    act: str,
    subject: str,
    at: datetime,
    reason: str | None = None,
    **details: Any,
) -> None:
    """Write one act in the caller's transaction.

    `actor` and `subject` are ids such as "trainee:7", "staff:3", "system" or "session:12"; `details` holds plain JSON
    values. Neither may hold a name, an address or a health word.
    """
    record_all(connection, [(subject, details)], actor=actor, act=act, at=at, reason=reason)


def record_all(
    connection: Connection,
    subjects: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    actor: str,
    act: str,
    at: datetime,
    reason: str | None = None,
) -> None:
    """Write one act that was done to several, each (subject, details), as `record` does it to one."""
    rows = [row(actor, act, subject, at, reason, details) for subject, details in subjects]
    if rows:
        connection.execute(insert(audit_log), rows)


def row(
    actor: str, act: str, subject: str, at: datetime, reason: str | None, details: Mapping[str, Any]
) -> dict[str, Any]:
    """The row of one act, for those who append it themselves."""
    return {"at": at, "actor": actor, "act": act, "subject": subject, "reason": reason, "details": dict(details)}


def trainee_of(actor: str) -> int | None:
    """The trainee id behind an actor; None for the command line and the system."""
    _, _, number = actor.partition(":")
    return int(number) if number.isascii() and number.isdigit() else None
