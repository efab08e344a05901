"""Gaps in the evidence of single live sessions: while they run, after they are over, and in what they came to."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, String, and_, case, cast, func, or_, select

from lti_tool.sessions import endings, settle_tasks
from lti_tool.sessions.evidence_gaps import Gap, of_session
from lti_tool.tables.evidence import zoom_inbox, zoom_report_fetches
from lti_tool.tables.housekeeping import tasks
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.presence import attendance_reviews
from zoom_adapter import attention
from zoom_adapter.instances import BEFORE_START, ENDS

STARTS = ("meeting.started", "webinar.started")
START_GRACE = timedelta(minutes=10)
AFTER_END = timedelta(minutes=120)
# People may be told to have left a moment after the meeting has ended.
AFTERMATH = timedelta(minutes=1)
# So far back Zoom's log of deliveries reaches, and so far back people can be asked what happened.
LOG_REACH = timedelta(days=7)
REVIEWED_FOR = timedelta(days=30)

HALF_KNOWN = ("estimated", "unconfirmed", "open")
ONE_SIDED = ("report_only", "report_missing")

INBOX = zoom_inbox.c
FETCH = zoom_report_fetches.c


class Edge(NamedTuple):
    """An instance, and when something happened in it."""

    meeting_uuid: str | None
    at: datetime


def of_sessions(connection: Connection, quiet: timedelta, now: datetime) -> Iterator[Gap]:
    """Every gap in the evidence of a live session."""
    for session in _running(connection, now):
        yield from _while_running(connection, session, quiet, now)
    yield from _after_the_end(connection, now)
    yield from _in_results(connection, now)
    yield from _in_reports(connection, now)
    yield from _parked(connection)


def _running(connection: Connection, now: datetime) -> Sequence[Row[Any]]:
    runs = (live_sessions.c.starts_at <= now - START_GRACE, live_sessions.c.ends_at > now)
    query = select(live_sessions).where(*runs, live_sessions.c.state != "cancelled")
    return connection.execute(query.order_by(live_sessions.c.id)).all()


def _while_running(connection: Connection, session: Row[Any], quiet: timedelta, now: datetime) -> Iterator[Gap]:
    last = _last_edge(connection, session, now)
    if last is None or not _was_told(connection, session, last, STARTS):
        yield of_session("not_started", session.id, session.starts_at + START_GRACE)
    if last is not None and now - last.at > quiet and not _was_told(connection, session, last, ENDS, AFTERMATH):
        yield of_session("quiet", session.id, last.at, details={"minutes": (now - last.at) // timedelta(minutes=1)})


def _last_edge(connection: Connection, session: Row[Any], now: datetime) -> Edge | None:
    """The last thing that happened in the meeting of this session up to now: what bears a time in the future would hide
    every silence."""
    opens = session.starts_at - BEFORE_START
    here = (INBOX.meeting_id == session.zoom_meeting_id, INBOX.happened_at.between(opens, now))
    query = select(INBOX.meeting_uuid, INBOX.happened_at).where(*here).order_by(INBOX.happened_at.desc())
    last = connection.execute(query.limit(1)).first()
    return None if last is None else Edge(*last)


def _was_told(
    connection: Connection, session: Row[Any], edge: Edge, events: Sequence[str], within: timedelta | None = None
) -> bool:
    """Whether one of these events came of the instance of this edge; no longer before it than `within`, if given."""
    here = [INBOX.meeting_id == session.zoom_meeting_id, INBOX.meeting_uuid == edge.meeting_uuid]
    if within is not None:
        here.append(INBOX.happened_at >= edge.at - within)
    query = select(INBOX.id).where(*here, INBOX.event.in_(events)).limit(1)
    return connection.execute(query).first() is not None


def _after_the_end(connection: Connection, now: datetime) -> Iterator[Gap]:
    sessions = live_sessions.c
    recent = (sessions.ends_at <= now, sessions.ends_at > now - LOG_REACH, sessions.state != "cancelled")
    for session in connection.execute(select(live_sessions).where(*recent).order_by(sessions.id)).all():
        if not _was_heard_of(connection, session):
            yield of_session("no_deliveries", session.id, session.ends_at)
    missing = select(sessions.id, sessions.ends_at).where(endings.is_missing(now)).order_by(sessions.id)
    for session_id, ends_at in connection.execute(missing).all():
        yield of_session("end_missing", session_id, ends_at)


def _was_heard_of(connection: Connection, session: Row[Any]) -> bool:
    opens, closes = session.starts_at - BEFORE_START, session.ends_at + AFTER_END
    here = (INBOX.meeting_id == session.zoom_meeting_id, INBOX.happened_at.between(opens, closes))
    return connection.execute(select(INBOX.id).where(*here).limit(1)).first() is not None


def _in_results(connection: Connection, now: datetime) -> Iterator[Gap]:
    """Days that rest on half an edge, or on one of two witnesses only, and that nobody has looked at yet."""
    flags = HALF_KNOWN + ONE_SIDED
    sums = [func.sum(case((_has(flag), 1), else_=0)).label(flag) for flag in flags]
    totals = [func.sum(case((or_(*map(_has, some)), 1), else_=0)) for some in (HALF_KNOWN, ONE_SIDED)]
    recent = (live_sessions.c.state.in_(("provisional", "reconciled")), live_sessions.c.ends_at > now - REVIEWED_FOR)
    query = (
        select(live_sessions.c.id, totals[0].label("half"), totals[1].label("one_sided"), *sums)
        .join_from(live_sessions, attendances)
        .where(*recent, attendances.c.is_current, ~_is_reviewed())
        .group_by(live_sessions.c.id)
        .order_by(live_sessions.c.id)
    )
    for row in connection.execute(query).all():
        numbers = row._mapping
        for code, total, some in (("edges_missing", row.half, HALF_KNOWN), ("people_differ", row.one_sided, ONE_SIDED)):
            if total:
                yield of_session(code, row.id, None, int(total), {flag: int(numbers[flag]) for flag in some})


def _has(flag: str) -> ColumnElement[bool]:
    return cast(attendances.c.flags, String).contains(f'"{flag}"')


def _is_reviewed() -> ColumnElement[bool]:
    """Whether staff looked at exactly this evidence and let it stand."""
    reviews = attendance_reviews.c
    same = and_(
        reviews.live_session_id == attendances.c.live_session_id,
        reviews.person_key == attendances.c.person_key,
        reviews.input_digest == attendances.c.input_digest,
    )
    return select(reviews.id).where(same).exists()


def _in_reports(connection: Connection, now: datetime) -> Iterator[Gap]:
    refused = attention.reports_refused(connection, now)
    for each in (*refused, *attention.reports_unsettled(connection, now), *attention.locked_evidence(connection, now)):
        yield of_session(each.code, each.session_id, each.since, each.count, each.details)
    mendable = {each.session_id for each in refused}
    last = select(func.max(FETCH.id)).group_by(FETCH.live_session_id)
    query = (
        select(FETCH.live_session_id, FETCH.code, FETCH.fetched_at)
        .join_from(zoom_report_fetches, live_sessions)
        .where(FETCH.id.in_(last), FETCH.code.is_not(None), live_sessions.c.state.in_(("scheduled", "provisional")))
        .order_by(FETCH.live_session_id)
    )
    for session_id, code, fetched_at in connection.execute(query).all():
        if session_id not in mendable:
            yield of_session("report_failing", session_id, fetched_at, details={"code": code})


def _parked(connection: Connection) -> Iterator[Gap]:
    query = select(tasks.c.payload, tasks.c.last_error, tasks.c.run_at)
    parked = query.where(tasks.c.kind == settle_tasks.SETTLE, tasks.c.state == "parked").order_by(tasks.c.id)
    seen = {}
    for payload, error, run_at in connection.execute(parked).all():
        seen[payload["session_id"]] = of_session(
            "settlement_parked", payload["session_id"], run_at, details={"code": error}
        )
    yield from seen.values()
