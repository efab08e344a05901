"""Locking: the last word on a live session's attendance, and how it is taken back.

A locked session is never settled again (ce.md T9): what comes later is shown to staff, who may reopen it with a reason.
Only what agrees with the conference system's report and waits for nobody is locked.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, Select, select, update

from lti_tool import audit
from lti_tool.errors import Conflict
from lti_tool.sessions import live_sessions
from lti_tool.sessions.by_hand import reviews
from lti_tool.sessions.by_hand.words import reason_given
from lti_tool.sessions.live_sessions import LiveSession
from lti_tool.sessions.settle_tasks import SETTLE, ask_for
from lti_tool.sessions.settlement import LAST_WORD
from lti_tool.tables.housekeeping import tasks
from lti_tool.tables.live_sessions import live_sessions as table
from lti_tool.tables.presence import attendance_corrections, attendance_requests


def lock(connection: Connection, session_id: int, *, actor: str, reason: str, now: datetime) -> None:
    """Make the attendance of a session final.

    Raises NotFound "session_unknown"; BadInput "reason_missing"; Conflict "session_locked", "session_not_reconciled",
    "session_lock_early" (Zoom's last word may still come), "session_has_open_cases".
    """
    why = reason_given(reason)
    session = _held(connection, session_id)
    _verify_lockable(connection, session, now)
    _set(connection, session_id, now, state="locked", locked_at=now)
    audit.record(connection, actor=actor, act="session_locked", subject=f"session:{session_id}", at=now, reason=why)


def reopen(connection: Connection, session_id: int, *, actor: str, reason: str, now: datetime) -> None:
    """Take a lock back, and ask for the settlement of everything that came since. The session is what it was before the
    lock until that settlement decides whether it is still reconciled.

    Raises NotFound "session_unknown"; BadInput "reason_missing"; Conflict "session_not_locked".
    """
    why = reason_given(reason)
    session = _held(connection, session_id)
    if session.state != "locked":
        raise Conflict("session_not_locked", f"Live session {session_id} is not locked, so there is nothing to reopen.")
    _set(connection, session_id, now, state="reconciled" if session.reconciled_at else "provisional", locked_at=None)
    details = {"locked_at": session.locked_at.isoformat() if session.locked_at else None}
    subject = f"session:{session_id}"
    audit.record(connection, actor=actor, act="session_reopened", subject=subject, at=now, reason=why, **details)
    ask_for(connection, session_id, now)


def lock_due(connection: Connection, now: datetime, days: int) -> list[int]:
    """Lock every session that may be locked and was over `days` days ago (0: none); their ids."""
    if not days:
        return []
    old = (table.c.state == "reconciled") & (table.c.ended_at <= now - timedelta(days=days))
    locked = []
    for session_id in connection.execute(select(table.c.id).where(old).order_by(table.c.id)).scalars().all():
        try:
            lock(connection, session_id, actor="system", reason=f"Its end was {days} days ago.", now=now)
        except Conflict:
            continue  # it waits for somebody, who finds it in the lists of the desk
        locked.append(session_id)
    return locked


def _held(connection: Connection, session_id: int) -> LiveSession:
    """The session, held against a settlement until the end of the transaction."""
    connection.execute(select(table.c.id).where(table.c.id == session_id).with_for_update())
    return live_sessions.show(connection, session_id)


def _verify_lockable(connection: Connection, session: LiveSession, now: datetime) -> None:
    if session.state == "locked":
        raise Conflict("session_locked", f"Live session {session.id} is locked already.")
    if session.state != "reconciled":
        raise Conflict(
            "session_not_reconciled",
            f"Live session {session.id} has not been reconciled with Zoom's report.",
            "`gatehouse zoom reports` shows what Zoom was asked and said.",
        )
    if session.ended_at is None or now < session.ended_at + LAST_WORD:
        raise Conflict(
            "session_lock_early",
            f"Zoom may still deliver something about live session {session.id}.",
            "Lock it 90 minutes after its end at the earliest.",
        )
    if waiting := _open_cases(connection, session.id):
        raise Conflict(
            "session_has_open_cases",
            f"Live session {session.id} waits for: {', '.join(waiting)}.",
            "Work these off first: a lock ends what staff and trainees can say.",
        )


def _open_cases(connection: Connection, session_id: int) -> list[str]:
    """What must be decided before a lock, in words."""
    requests, corrections = attendance_requests.c, attendance_corrections.c
    asked = select(requests.id).where(requests.live_session_id == session_id, requests.state == "open")
    proposed = select(corrections.id).where(
        corrections.live_session_id == session_id, corrections.confirmed_by.is_(None), corrections.undone_at.is_(None)
    )
    settling = select(tasks.c.id).where(tasks.c.kind == SETTLE, tasks.c.key == f"session:{session_id}")
    cases = {
        "days to be reviewed": any(row.live_session_id == session_id for row in reviews.due(connection)),
        "requests of trainees": _is_any(connection, asked),
        "corrections without a second person": _is_any(connection, proposed),
        "a settlement": _is_any(connection, settling),
    }
    return [name for name, waits in cases.items() if waits]


def _is_any(connection: Connection, query: Select[tuple[int]]) -> bool:
    return connection.execute(query.limit(1)).first() is not None


def _set(connection: Connection, session_id: int, now: datetime, **values: object) -> None:
    connection.execute(update(table).where(table.c.id == session_id).values(**values, updated_at=now))
