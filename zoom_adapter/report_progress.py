"""What Zoom was asked for the reports of a class, and when it is asked next, for the page of the class."""

from sqlalchemy import Connection

from lti_tool.sessions.live_sessions import LiveSession
from lti_tool.sessions.report_progress import Asked, ReportProgress
from zoom_adapter import due_reports, reports


def look(connection: Connection, session: LiveSession, *, has_api: bool) -> ReportProgress:
    """`has_api`: Zoom may be asked at all."""
    held = due_reports.reconcilable(connection, session.id) if has_api and session.state != "scheduled" else None
    history = reversed(reports.history(connection, session.id))
    return ReportProgress(
        asked=tuple(
            Asked(each.meeting_uuid, each.rows, each.code, each.settled, each.fetched_at)
            for each in history
            if each.source in reports.ATTENDANCE
        ),
        next_at=None if held is None else due_reports.next_ask(connection, held),
    )
