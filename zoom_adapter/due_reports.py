"""Which reports are due: the plan applied to what is on record about each live session."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from sqlalchemy import Connection, func, select

from lti_tool.db import Database
from lti_tool.sessions.settlement import LAST_WORD
from lti_tool.tables.evidence import zoom_report_fetches
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tasks import enqueue
from zoom_adapter import instances, report_plan, reports
from zoom_adapter.instances import NO_UUID, Session
from zoom_adapter.report_plan import Standing

Candidates = Callable[[Connection, datetime], Sequence[Session]]
Due = Callable[[Connection, Session, datetime], Sequence[str]]

RECONCILABLE = ("scheduled", "provisional", "reconciled")
NO_INSTANCE = "zoom_no_instance"
HOPELESS = frozenset({"zoom_too_old"})
# So long after the last asking a plan has run out, unless nothing was running that could follow it.
GIVEN_UP = timedelta(days=7)


def over_at(session: Session) -> datetime:
    """When the class (a row of `live_sessions`) was over: as settled, else as staff say, else when Zoom's last word on
    its end should have come."""
    known: datetime = session.ended_at or session.ended_by_staff_at or session.ends_at + LAST_WORD
    return known


def due(connection: Connection, session: Session, now: datetime) -> list[str]:
    """The instances of which a report is due; [""] where it is due to find out which instances there are."""
    return [uuid for uuid, at in _plan(connection, session).items() if at is not None and at <= now]


def next_ask(connection: Connection, session: Session) -> datetime | None:
    """When Zoom is asked next about this live session; None when all is said, or nothing is to be hoped for."""
    return min((at for at in _plan(connection, session).values() if at is not None), default=None)


def candidates(connection: Connection, now: datetime) -> list[Session]:
    """Live sessions of which something may be due; the many whose plan has run out are left out."""
    last = (
        select(zoom_report_fetches.c.live_session_id, func.max(zoom_report_fetches.c.fetched_at).label("asked_at"))
        .group_by(zoom_report_fetches.c.live_session_id)
        .subquery()
    )
    query = (
        select(live_sessions, last.c.asked_at)
        .join_from(live_sessions, last, last.c.live_session_id == live_sessions.c.id, isouter=True)
        .where(live_sessions.c.state.in_(RECONCILABLE))
        .order_by(live_sessions.c.id)
    )
    return [row for row in connection.execute(query) if _may_be_due(row, now)]


def ask_for_tasks(database: Database, kind: str, candidates: Candidates, is_due: Due, now: datetime) -> None:
    """Enqueue one task of this kind for each of the live sessions of which something is due."""
    with database.read() as connection:
        found = [session.id for session in candidates(connection, now) if is_due(connection, session, now)]
    if found:
        with database.write() as connection:
            for session_id in found:
                enqueue(connection, kind, f"session:{session_id}", {"session_id": session_id}, now=now)


def reconcilable(connection: Connection, session_id: int) -> Session | None:
    """A live session that may still be reconciled."""
    query = select(live_sessions).where(live_sessions.c.id == session_id, live_sessions.c.state.in_(RECONCILABLE))
    return connection.execute(query).first()


def _plan(connection: Connection, session: Session) -> dict[str, datetime | None]:
    """When each instance is asked about next."""
    ended_at = over_at(session)
    latest = reports.last_answers(connection, session.id)
    asked = (each for each in reports.history(connection, session.id) if each.source in reports.ATTENDANCE)
    made = sorted(asked, key=attrgetter("meeting_uuid"))
    fetches = {uuid: list(some) for uuid, some in groupby(made, key=attrgetter("meeting_uuid"))}
    uuids = instances.of_class(connection, session) or [NO_UUID]
    standings = {uuid: _standing(fetches.get(uuid, ()), latest.get(uuid), ended_at) for uuid in uuids}
    return {uuid: report_plan.next_at(ended_at, standing) for uuid, standing in standings.items()}


def _standing(fetches: Sequence[reports.Fetch], latest: reports.Fetch | None, ended_at: datetime) -> Standing:
    """What was asked since the class was over."""
    since = [each for each in fetches if each.fetched_at >= ended_at]
    settled = latest is not None and latest.settled and latest.fetched_at >= ended_at
    return Standing(
        asked_at=sorted({each.fetched_at for each in since}),
        answered_at=latest.fetched_at if latest else None,
        settled=settled,
        hopeless=any(each.code in HOPELESS for each in since[-1:]) or _is_nowhere(since, ended_at),
    )


def _is_nowhere(since: Sequence[reports.Fetch], ended_at: datetime) -> bool:
    """A day after class Zoom still knew no instance of it."""
    last = since[-1] if since else None
    return last is not None and last.code == NO_INSTANCE and last.fetched_at >= ended_at + report_plan.CONFIRMATION


def _may_be_due(session: Session, now: datetime) -> bool:
    ended_at = over_at(session)
    if ended_at + report_plan.STEPS[0] > now:
        return False
    asked_at = session.asked_at
    return asked_at is None or asked_at < ended_at + report_plan.CONFIRMATION or now - asked_at < GIVEN_UP
