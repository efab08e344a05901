"""How final a live session's attendance is, and the acts of staff that change it: lock, reopen, record a lost end.

Attendance is provisional, then reconciled with the conference system's report, then locked (ce.md T9). Every page that
shows minutes says which. A locked session is not settled again: later evidence is shown to staff, who may reopen the
session with a reason. Only a session that agrees with the conference system's report and has no open cases is locked.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, exists, select, update

from lti_tool import audit
from lti_tool.attendance import live_sessions, reviews
from lti_tool.attendance.live_sessions import SETTLE, LiveSession, request_settlement, verify_settleable
from lti_tool.attendance.settlement import LAST_WORD
from lti_tool.errors import BadInput, Conflict
from lti_tool.languages import N_
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
    session = live_sessions.hold(connection, session_id)
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
    if cases := open_cases(connection, session.id):
        raise Conflict(
            "session_has_open_cases",
            f"Live session {session.id} has open cases: {', '.join(cases)}.",
            "Close these first: after a lock, staff and trainees can change nothing.",
        )
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


def open_cases(connection: Connection, session_id: int) -> list[str]:
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


@dataclass(frozen=True, slots=True)
class Progress:
    """`kind` and `word` are the sign, `says` is what holds now, `next_says` what happens next; `next_at` (aware UTC) is
    when it happens at the earliest, None where nothing is due or the moment is unknown."""

    kind: str
    word: str
    says: str
    next_says: str
    next_at: datetime | None = None


def progress(session: LiveSession, now: datetime, *, has_reports: bool, lock_days: int) -> Progress:
    """How far the session is. `has_reports`: the tool may ask Zoom for reports; `lock_days`: how long after its end a
    reconciled session is locked automatically, 0 for never."""
    if session.state == "cancelled":
        return Progress("stop", N_("Cancelled"), N_("This session does not take place."), "")
    if session.state == "locked":
        says = N_("These numbers are final. They change only if the training team reopens the session, with a reason.")
        return Progress("ok", N_("Locked"), says, N_("Locked since"), session.locked_at)
    if session.state == "reconciled":
        says = N_("These numbers have been checked against Zoom's report.")
        if not lock_days or session.ended_at is None:
            return Progress("ok", N_("Confirmed"), says, N_("The session is locked when no case is open."))
        locked_at = session.ended_at + timedelta(days=lock_days)
        return Progress(
            "ok", N_("Confirmed"), says, N_("Corrections are possible until the session is locked:"), locked_at
        )
    if session.state == "provisional":
        says = N_("These numbers rest on Zoom's live messages.")
        final_at = (session.ended_at or session.ends_at) + LAST_WORD
        if not has_reports:
            follows = N_("Zoom's report cannot be fetched here, so the numbers stay provisional.")
            return Progress("wait", N_("Provisional"), says, follows)
        if now < final_at:
            follows = N_("They are checked against Zoom's report at the earliest on")
            return Progress("wait", N_("Provisional"), says, follows, final_at)
        follows = N_("They are confirmed when Zoom gives the same report twice in a row.")
        return Progress("wait", N_("Provisional"), says, follows)
    if now < session.starts_at:
        return Progress("info", N_("Scheduled"), N_("The session has not begun."), N_("Starts at"), session.starts_at)
    if now < session.ends_at:
        says = N_("Numbers may change until the session ends.")
        return Progress("info", N_("Live"), says, N_("Ends at"), session.ends_at)
    overdue = session.ends_at + LAST_WORD
    says = N_("The scheduled end is past, but Zoom has not reported the end yet.")
    if now < overdue:
        return Progress("wait", N_("Over"), says, N_("Zoom's message about the end can arrive until"), overdue)
    return Progress("wait", N_("Over"), says, N_("The training team records when it ended."))


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for the report of one instance of the session (`instance` is Zoom's id of it, empty where none was
    known). It returned so many `rows`, or none and the `code` of the reason; `settled`: the request before returned the
    same."""

    instance: str
    rows: int | None
    code: str | None
    settled: bool
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class ReportProgress:
    """All requests for reports, the latest first; `next_at` is None when no further one is planned."""

    asked: tuple[Asked, ...] = ()
    next_at: datetime | None = None
