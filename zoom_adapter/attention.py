"""What staff must look at about reports: no agreement, a refusal they can mend, news of a locked class."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select

from lti_tool.tables.evidence import zoom_inbox, zoom_report_fetches
from lti_tool.tables.live_sessions import live_sessions
from zoom_adapter import due_reports, instances, reports
from zoom_adapter.instances import Session
from zoom_adapter.report_plan import CONFIRMATION

FETCH = zoom_report_fetches.c
# Longer than this nothing is asked about a class whose reports agree.
FRESH = timedelta(days=7)
# So long after a class people are told what came too late. Zoom's log, the last source of it, reaches back seven days.
TOLD_FOR = timedelta(days=30)
# Refusals that stay until somebody changes the app, the plan or the schedule.
FOR_STAFF = frozenset({"zoom_scope_missing", "zoom_not_permitted", "zoom_token_refused", "zoom_request_invalid"})


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing about one live session. `code`: `reports_unsettled` (a day after class Zoom has not said the same twice
    about every part of it), `reports_refused` (Zoom refuses, and staff can mend it), `locked_evidence` (something came
    about a locked session). `details` holds ids, codes and numbers only."""

    code: str
    session_id: int
    since: datetime
    count: int
    details: dict[str, Any]


def reports_unsettled(connection: Connection, now: datetime) -> list[Attention]:
    """Sessions of the day before and earlier that stay provisional because their reports do not settle, and those of
    which Zoom says something else since they did."""
    return [
        _unsettled(connection, session)
        for session in _asked_about(connection, now)
        if now >= due_reports.over_at(session) + CONFIRMATION and not instances.has_settled_reports(connection, session)
    ]


def reports_refused(connection: Connection, now: datetime) -> list[Attention]:
    """Sessions whose last asking was refused for a reason that only staff can mend."""
    found = []
    for session in _asked_about(connection, now):
        last = reports.history(connection, session.id)[-1]
        if last.code in FOR_STAFF:
            found.append(Attention("reports_refused", session.id, last.fetched_at, 1, {"code": last.code}))
    return found


def locked_evidence(connection: Connection, now: datetime) -> list[Attention]:
    """Locked sessions of the last month of which Zoom told something after the lock: it counts only if somebody reopens
    them."""
    at, taken_at, locked_at = zoom_inbox.c.received_at, zoom_inbox.c.taken_at, live_sessions.c.locked_at
    of_session = and_(
        zoom_inbox.c.meeting_id == live_sessions.c.zoom_meeting_id,
        or_(at > locked_at, taken_at > locked_at),  # what nobody had read before the lock came too late as well
        zoom_inbox.c.happened_at.is_not(None),
        zoom_inbox.c.happened_at < live_sessions.c.ends_at,
        zoom_inbox.c.happened_at >= live_sessions.c.starts_at,
    )
    query = (
        select(live_sessions.c.id, func.min(at).label("since"), func.count().label("deliveries"))
        .join_from(live_sessions, zoom_inbox, of_session)
        .where(live_sessions.c.state == "locked", live_sessions.c.ends_at > now - TOLD_FOR)
        .group_by(live_sessions.c.id)
        .order_by(live_sessions.c.id)
    )
    rows = connection.execute(query)
    return [Attention("locked_evidence", row.id, row.since, row.deliveries, {}) for row in rows]


def _asked_about(connection: Connection, now: datetime) -> Sequence[Session]:
    """Sessions of which Zoom was asked for a report: the provisional ones, and the reconciled ones of the last days."""
    asked = select(FETCH.id).where(FETCH.live_session_id == live_sessions.c.id).exists()
    is_fresh = (live_sessions.c.state == "reconciled") & (live_sessions.c.ended_at > now - FRESH)
    matters = live_sessions.c.state.in_(("scheduled", "provisional")) | is_fresh
    return connection.execute(select(live_sessions).where(matters, asked).order_by(live_sessions.c.id)).all()


def _unsettled(connection: Connection, session: Session) -> Attention:
    made = reports.history(connection, session.id)
    codes = _codes(made)
    since = due_reports.over_at(session) + CONFIRMATION
    return Attention("reports_unsettled", session.id, since, len(made), {"codes": codes})


def _codes(made: Iterable[reports.Fetch]) -> list[str]:
    """Why the last asking about each instance gave nothing."""
    last = {each.meeting_uuid: each.code for each in made}
    return sorted({code for code in last.values() if code})
