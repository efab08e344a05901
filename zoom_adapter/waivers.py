"""Where Zoom will never say who was there: staff wait for its report no longer, and answer for it with a reason.

What the webhooks told stays what it is: nothing becomes more certain by it, and doubtful days still want a review.
"""

from datetime import datetime

from sqlalchemy import Connection

from lti_tool import audit
from lti_tool.errors import Conflict
from lti_tool.sessions import live_sessions
from lti_tool.sessions.by_hand.words import reason_given
from lti_tool.sessions.settle_tasks import ask_for
from lti_tool.sessions.settlement import verify_settleable
from zoom_adapter import instances, reports
from zoom_adapter.due_reports import over_at, reconcilable
from zoom_adapter.report_plan import CONFIRMATION


def waive(connection: Connection, session_id: int, *, actor: str, reason: str, now: datetime) -> int:
    """Go on without the reports that Zoom does not give of a live session, and ask for its settlement; how many.

    Raises NotFound "session_unknown"; BadInput "reason_missing"; Conflict "session_locked", "session_cancelled",
    "report_awaited" (within a day after class it may still come), "reports_settled" (none is missing).
    """
    why = reason_given(reason)
    verify_settleable(live_sessions.show(connection, session_id))
    session = reconcilable(connection, session_id)
    if session is None or now < over_at(session) + CONFIRMATION:
        raise Conflict(
            "report_awaited",
            f"Zoom's report of live session {session_id} may still come.",
            "Wait until a day after class: it is asked for by itself until then.",
        )
    missing = instances.unsettled(connection, session)
    if not missing:
        raise Conflict("reports_settled", f"Every report of live session {session_id} is there.")
    for uuid in missing:
        reports.waive(connection, session_id, uuid, now)
    subject = f"session:{session_id}"
    audit.record(connection, actor=actor, act="reports_waived", subject=subject, at=now, reason=why, count=len(missing))
    ask_for(connection, session_id, now)
    return len(missing)
