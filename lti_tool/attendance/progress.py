"""How far a live session's attendance is, in words: what holds now, what happens next, and when.

Provisional, then reconciled with the conference system's report, then locked (ce.md T9); every page that shows
minutes says which.

What the conference system was asked for reports of a live session, and when it is asked next: plain values.

PURE.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.settlement import LAST_WORD


@dataclass(frozen=True, slots=True)
class Progress:
    """`kind` and `word` are the sign, `says` is what holds now, `next_says` what happens next; `next_at` (aware UTC) is
    when it happens at the earliest, None where nothing is due or nobody knows."""

    kind: str
    word: str
    says: str
    next_says: str
    next_at: datetime | None = None


def progress(session: LiveSession, now: datetime, *, has_reports: bool, lock_days: int) -> Progress:
    """Where the session stands. `has_reports`: the tool may ask Zoom for reports; `lock_days`: how long after its end a
    reconciled session is locked by itself, 0 for never."""
    if session.state == "cancelled":
        return Progress("shut", "Cancelled", "This session does not take place.", "")
    if session.state == "locked":
        says = "These numbers are final. They change only if the training team opens the session again, with a reason."
        return Progress("open", "Locked", says, "Locked since", session.locked_at)
    if session.state == "reconciled":
        return _reconciled(session, lock_days)
    if session.state == "provisional":
        return _provisional(session, now, has_reports)
    return _scheduled(session, now)


def _scheduled(session: LiveSession, now: datetime) -> Progress:
    if now < session.starts_at:
        return Progress("note", "Scheduled", "The session has not begun.", "It begins.", session.starts_at)
    if now < session.ends_at:
        says = "The session is running. What is shown are running values; nothing rests on them."
        return Progress("note", "Live now", says, "The session ends.", session.ends_at)
    overdue = session.ends_at + LAST_WORD
    says = "By the schedule the session is over, but Zoom has not said so yet."
    if now < overdue:
        return Progress("wait", "Over", says, "Zoom's message about the end is waited for until", overdue)
    return Progress("wait", "Over", says, "The training team records when it ended.")


def _provisional(session: LiveSession, now: datetime, has_reports: bool) -> Progress:
    says = "These numbers rest on Zoom's live messages."
    if not has_reports:
        return Progress("wait", "Provisional", says, "Zoom's report cannot be fetched here, so the numbers stay so.")
    final_at = (session.ended_at or session.ends_at) + LAST_WORD
    if now < final_at:
        following = "They are compared with Zoom's report and become final at the earliest on"
        return Progress("wait", "Provisional", says, following, final_at)
    return Progress("wait", "Provisional", says, "They become final when Zoom's report says the same twice in a row.")


def _reconciled(session: LiveSession, lock_days: int) -> Progress:
    says = "These numbers have been compared with Zoom's report."
    if not lock_days or session.ended_at is None:
        return Progress("open", "Reconciled", says, "The training team locks the session when nothing is open.")
    locked_at = session.ended_at + timedelta(days=lock_days)
    return Progress("open", "Reconciled", says, "Corrections are possible until the session is locked:", locked_at)


@dataclass(frozen=True, slots=True)
class Asked:
    """One asking about one instance of the class (`instance`, the system's id of it, empty where none was known). It
    gave so many `rows`, or none and the `code` of why; `settled`: it said the same the time before."""

    instance: str
    rows: int | None
    code: str | None
    settled: bool
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class ReportProgress:
    """Every asking, the latest first; `next_at` is None when nobody asks again."""

    asked: tuple[Asked, ...] = ()
    next_at: datetime | None = None
