"""Asking for the settlement of a live session: one task, in the transaction of whoever knows that there is news."""

from datetime import datetime, timedelta

from sqlalchemy import Connection

from lti_tool.tasks import enqueue

SETTLE = "settle"
# A class is looked at this long after its scheduled end, whatever Zoom said by then.
WITHOUT_END = timedelta(minutes=10)


def ask_for(connection: Connection, session_id: int, now: datetime) -> None:
    """Ask for the settlement of one live session now."""
    enqueue(connection, SETTLE, f"session:{session_id}", {"session_id": session_id}, now=now)


def ask_when_over(connection: Connection, session_id: int, ends_at: datetime, now: datetime) -> None:
    """Ask for it once the scheduled end is past; at once where it is past already."""
    over_at = ends_at + WITHOUT_END
    if now >= over_at:
        ask_for(connection, session_id, now)
    else:
        enqueue(connection, SETTLE, f"session:{session_id}:over", {"session_id": session_id}, now=now, run_at=over_at)


def ask_at(connection: Connection, session_id: int, at: datetime, now: datetime) -> None:
    """Ask for it at a later moment, where that is still to come."""
    if now < at:
        key = f"session:{session_id}:{at:%Y%m%dT%H%M%S}"
        enqueue(connection, SETTLE, key, {"session_id": session_id}, now=now, run_at=at)
