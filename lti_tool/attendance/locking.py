"""Locking makes a live session's attendance final, reopening takes the lock back; staff record an end that Zoom lost.

A locked session is not settled again (ce.md T9): later evidence is shown to staff, who may reopen the session with a
reason. Only a session that agrees with the conference system's report and has no open cases is locked.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, exists, select, update

from lti_tool import audit
from lti_tool.attendance import live_sessions, reviews
from lti_tool.attendance.live_sessions import SETTLE, LiveSession, request_settlement, verify_settleable
from lti_tool.attendance.settlement import LAST_WORD
from lti_tool.errors import BadInput, Conflict
from lti_tool.tables.live_sessions import live_sessions as table
from lti_tool.tables.operations import tasks
from lti_tool.tables.presence import attendance_corrections, attendance_requests
from lti_tool.text import reason_given


def lock(connection: Connection, session_id: int, *, actor: str, reason: str, now: datetime) -> None:
    """Make the attendance of a session final.

    Raises NotFound "session_unknown"; BadInput "reason_missing"; Conflict "session_locked", "session_not_reconciled",
    "session_lock_early" (Zoom may still deliver something), "session_has_open_cases".
    """
    why = reason_given(reason)
    _verify_lockable(connection, live_sessions.hold(connection, session_id), now)
    _set(connection, session_id, now, state="locked", locked_at=now)
    audit.record(connection, actor=actor, act="session_locked", subject=f"session:{session_id}", at=now, reason=why)


def reopen(connection: Connection, session_id: int, *, actor: str, reason: str, now: datetime) -> None:
    """Take a lock back, and request the settlement of everything that came since. The session returns to its state
    before the lock until that settlement decides whether it is still reconciled.

    Raises NotFound "session_unknown"; BadInput "reason_missing"; Conflict "session_not_locked".
    """
    why = reason_given(reason)
    session = live_sessions.hold(connection, session_id)
    if session.state != "locked":
        raise Conflict("session_not_locked", f"Live session {session_id} is not locked, so there is nothing to reopen.")
    _set(connection, session_id, now, state="reconciled" if session.reconciled_at else "provisional", locked_at=None)
    details = {"locked_at": session.locked_at.isoformat() if session.locked_at else None}
    subject = f"session:{session_id}"
    audit.record(connection, actor=actor, act="session_reopened", subject=subject, at=now, reason=why, **details)
    request_settlement(connection, session_id, now)


def lock_due(connection: Connection, now: datetime, days: int) -> list[int]:
    """Lock every lockable session that ended at least `days` days ago (0: none); returns their ids."""
    if not days:
        return []
    old = (table.c.state == "reconciled") & (table.c.ended_at <= now - timedelta(days=days))
    locked = []
    for session_id in connection.scalars(select(table.c.id).where(old).order_by(table.c.id)).all():
        try:
            lock(connection, session_id, actor="system", reason=f"Its end was {days} days ago.", now=now)
        except Conflict:
            continue  # a case is open, which the desk lists
        locked.append(session_id)
    return locked


def _verify_lockable(connection: Connection, session: LiveSession, now: datetime) -> None:
    if session.state == "locked":
        raise Conflict("session_locked", f"Live session {session.id} is locked already.")
    if session.state != "reconciled":
        raise Conflict(
            "session_not_reconciled",
            f"Live session {session.id} has not been reconciled with Zoom's report.",
            "`gatehouse zoom reports` shows what Zoom was asked and answered.",
        )
    if session.ended_at is None or now < session.ended_at + LAST_WORD:
        raise Conflict(
            "session_lock_early",
            f"Zoom may still deliver something about live session {session.id}.",
            "Lock it 90 minutes after its end at the earliest.",
        )
    if cases := _open_cases(connection, session.id):
        raise Conflict(
            "session_has_open_cases",
            f"Live session {session.id} has open cases: {', '.join(cases)}.",
            "Close these first: after a lock, staff and trainees can change nothing.",
        )


def _open_cases(connection: Connection, session_id: int) -> list[str]:
    """What must be decided before a lock, in words."""
    requests, corrections = attendance_requests.c, attendance_corrections.c
    cases: dict[str, ColumnElement[bool]] = {
        "requests of trainees": (requests.live_session_id == session_id) & (requests.state == "open"),
        "corrections without a second person": (corrections.live_session_id == session_id)
        & corrections.confirmed_by.is_(None)
        & corrections.undone_at.is_(None),
        "a settlement": (tasks.c.kind == SETTLE) & (tasks.c.key == f"session:{session_id}"),
    }
    to_review = any(row.live_session_id == session_id for row in reviews.due(connection))
    return [
        *(["days to be reviewed"] if to_review else []),
        *(name for name, is_open in cases.items() if connection.scalar(select(exists().where(is_open)))),
    ]


def _set(connection: Connection, session_id: int, now: datetime, **values: object) -> None:
    connection.execute(update(table).where(table.c.id == session_id).values(**values, updated_at=now))


def end(connection: Connection, session_id: int, *, at: datetime, reason: str, actor: str, now: datetime) -> None:
    """Record when the session ended, where Zoom's message was lost, and request its settlement.

    It closes the connections that Zoom left open, as an estimate. Another recorded end replaces it, and an end that
    Zoom reports outranks it whenever it comes.

    Raises NotFound "session_unknown"; BadInput "reason_missing", "session_end_wrong"; Conflict "session_ended",
    "session_locked", "session_cancelled".
    """
    session = live_sessions.show(connection, session_id)
    verify_settleable(session)
    why = reason_given(reason, "Say how you know when the session ended.")
    if session.ended_at not in (None, session.ended_by_staff_at):
        raise Conflict("session_ended", f"Zoom has reported when live session {session.id} ended.")
    if not session.starts_at < at <= now:
        raise BadInput(
            "session_end_wrong",
            "The end lies before the start of the session, or in the future.",
            "Give the moment at which the session ended, with its offset.",
        )
    _set(connection, session_id, now, ended_by_staff_at=at, ended_at=None)
    subject = f"session:{session_id}"
    audit.record(
        connection, actor=actor, act="session_ended", subject=subject, at=now, ended_at=at.isoformat(), reason=why
    )
    request_settlement(connection, session_id, now)


def is_missing(now: datetime) -> ColumnElement[bool]:
    """Live sessions (rows of the table) that must be over and have no end, from Zoom or from staff."""
    is_open = table.c.ended_at.is_(None) & table.c.ended_by_staff_at.is_(None)
    return is_open & (table.c.state != "cancelled") & (table.c.ends_at < now - LAST_WORD)


def missing(connection: Connection, now: datetime) -> list[LiveSession]:
    """These sessions, in order of time."""
    ids = set(connection.scalars(select(table.c.id).where(is_missing(now))))
    return [each for each in live_sessions.list_sessions(connection) if each.id in ids]
