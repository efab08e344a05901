"""How far a live session's attendance is settled, in words: what holds now, what happens next, and when.

Attendance is provisional, then reconciled with the conference system's report, then locked (ce.md T9). Every page
that shows minutes says which.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.settlement import LAST_WORD


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
        return Progress("stop", "Cancelled", "This session does not take place.", "")
    if session.state == "locked":
        says = "These numbers are final. They change only if the training team reopens the session, with a reason."
        return Progress("ok", "Locked", says, "Locked since", session.locked_at)
    if session.state == "reconciled":
        says = "These numbers have been compared with Zoom's report."
        if not lock_days or session.ended_at is None:
            return Progress("ok", "Reconciled", says, "The training team locks the session when no case is open.")
        locked_at = session.ended_at + timedelta(days=lock_days)
        return Progress("ok", "Reconciled", says, "Corrections are possible until the session is locked:", locked_at)
    if session.state == "provisional":
        says = "These numbers rest on Zoom's live messages."
        final_at = (session.ended_at or session.ends_at) + LAST_WORD
        if not has_reports:
            follows = "Zoom's report cannot be fetched here, so the numbers stay provisional."
            return Progress("wait", "Provisional", says, follows)
        if now < final_at:
            follows = "They are compared with Zoom's report and become final at the earliest on"
            return Progress("wait", "Provisional", says, follows, final_at)
        follows = "They become final when Zoom gives the same report twice in a row."
        return Progress("wait", "Provisional", says, follows)
    if now < session.starts_at:
        return Progress("info", "Scheduled", "The session has not begun.", "Starts at", session.starts_at)
    if now < session.ends_at:
        says = "Numbers may change until the session ends."
        return Progress("info", "Live now", says, "Ends at", session.ends_at)
    overdue = session.ends_at + LAST_WORD
    says = "The scheduled end is past, but Zoom has not reported the end yet."
    if now < overdue:
        return Progress("wait", "Over", says, "Zoom's message about the end can arrive until", overdue)
    return Progress("wait", "Over", says, "The training team records when it ended.")


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
