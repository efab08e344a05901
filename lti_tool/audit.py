"""The audit log: who did what to what, when and why. It only grows."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert

from lti_tool.tables.housekeeping import audit_log


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
    row = {"at": at, "actor": actor, "act": act, "subject": subject, "reason": reason, "details": details}
    connection.execute(insert(audit_log), row)
