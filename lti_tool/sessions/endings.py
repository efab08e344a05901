"""The end of a class where Zoom's message was lost: staff say when it was over, and why they know.

Zoom's own end is believed first, whenever it comes. What staff say closes the stays that Zoom left open, as an
estimate.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, select, update

from lti_tool import audit
from lti_tool.errors import BadInput, Conflict
from lti_tool.sessions import live_sessions
from lti_tool.sessions.live_sessions import LiveSession
from lti_tool.sessions.settle_tasks import ask_for
from lti_tool.sessions.settlement import LAST_WORD as LAST_WORD
from lti_tool.sessions.settlement import verify_settleable
from lti_tool.tables.live_sessions import live_sessions as table


def end(connection: Connection, session_id: int, *, at: datetime, reason: str, actor: str, now: datetime) -> None:
    """Record that the class was over at this instant, and ask for its settlement. May be corrected by another one.

    Raises NotFound "session_unknown"; BadInput "reason_missing", "session_end_wrong"; Conflict "session_ended",
    "session_locked", "session_cancelled".
    """
    session = live_sessions.show(connection, session_id)
    verify_settleable(session)
    _verify(session, at, reason, now)
    changed = {"ended_by_staff_at": at, "ended_at": None, "updated_at": now}
    connection.execute(update(table).where(table.c.id == session_id).values(changed))
    subject = f"session:{session_id}"
    audit.record(
        connection, actor=actor, act="session_ended", subject=subject, at=now, ended_at=at.isoformat(), reason=reason
    )
    ask_for(connection, session_id, now)


def _verify(session: LiveSession, at: datetime, reason: str, now: datetime) -> None:
    if not reason.strip():
        raise BadInput("reason_missing", "An end needs a reason.", "Say how you know when the class was over.")
    if session.ended_at not in (None, session.ended_by_staff_at):
        raise Conflict("session_ended", f"Zoom has said when live session {session.id} was over.")
    if not session.starts_at < at <= now:
        raise BadInput(
            "session_end_wrong",
            "The end lies before the start of the class, or in the future.",
            "Give the moment at which the class was over, with its offset.",
        )


def is_missing(now: datetime) -> ColumnElement[bool]:
    """Live sessions (rows of the table) of which nobody has said that they are over, though they must be."""
    is_open = table.c.ended_at.is_(None) & table.c.ended_by_staff_at.is_(None)
    return is_open & (table.c.state != "cancelled") & (table.c.ends_at < now - LAST_WORD)


def missing(connection: Connection, now: datetime) -> list[LiveSession]:
    """These sessions, in order of time."""
    ids = set(connection.execute(select(table.c.id).where(is_missing(now))).scalars())
    return [each for each in live_sessions.list_sessions(connection) if each.id in ids]
