"""Whether Zoom's deliveries come in, are kept as they came, and are worked off.

Gaps in Zoom's evidence, looked for by the worker and by `gatehouse zoom health`: of the webhook as a whole.

What is asked here often is asked of indexes only: the inbox may hold millions of bodies.

Gaps in the evidence of single live sessions: while they run, after they are over, and in what they came to.

What staff must look at about reports: no agreement, a refusal they can mend, news of a locked class.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, String, and_, case, cast, func, or_, select, text

from lti_tool.attendance import evidence_gaps, locking
from lti_tool.attendance import live_sessions as settle_tasks
from lti_tool.attendance.evidence_gaps import Gap, in_order, of_session
from lti_tool.db import Database
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.operations import tasks
from lti_tool.tables.presence import attendance_reviews
from lti_tool.tables.zoom import NOTABLE, UNTAKEN, zoom_gaps, zoom_inbox, zoom_log_reads, zoom_report_fetches
from zoom_adapter import hash_chain, inbox, reports
from zoom_adapter.events import URL_VALIDATION
from zoom_adapter.inbox import CHALLENGE_WRONG
from zoom_adapter.presence import SETTLE
from zoom_adapter.reports import BEFORE_START, CONFIRMATION, ENDS, Session

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
        if now >= reports.over_at(session) + CONFIRMATION and not reports.has_settled_reports(connection, session)
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
    since = reports.over_at(session) + CONFIRMATION
    return Attention("reports_unsettled", session.id, since, len(made), {"codes": codes})


def _codes(made: Iterable[reports.Fetch]) -> list[str]:
    """Why the last asking about each instance gave nothing."""
    last = {each.meeting_uuid: each.code for each in made}
    return sorted({code for code in last.values() if code})


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
    missing = select(sessions.id, sessions.ends_at).where(locking.is_missing(now)).order_by(sessions.id)
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
    refused = reports_refused(connection, now)
    for each in (*refused, *reports_unsettled(connection, now), *locked_evidence(connection, now)):
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


# Zoom asks for a new proof every 72 hours and gives up after six failures (zoom.md §2).
CHALLENGE_EVERY = timedelta(hours=72)
CHALLENGE_OVERDUE = timedelta(hours=80)
UNREAD = timedelta(minutes=5)
NEAR = timedelta(hours=24)
# Zoom's last retry comes after 85 minutes.
RETRIES = timedelta(hours=2)
REMEMBERED = timedelta(days=7)


class Heard(NamedTuple):
    """When deliveries came (aware UTC): the first, the last, the last challenge."""

    first_at: datetime | None
    last_at: datetime | None
    challenge_at: datetime | None


def look(database: Database, quiet: timedelta, now: datetime) -> bool:
    """A periodic job: bring the records of the gaps in line with what is so. `quiet` is for how long nothing may come
    from Zoom during a session. Never asks to be run again at once."""
    with database.read() as connection:
        found = present(connection, quiet, now)
        nothing = not found and connection.execute(select(zoom_gaps.c.code).limit(1)).first() is None
    if not nothing:
        with database.write() as connection:
            evidence_gaps.record(connection, found, now)
    return False


def present(connection: Connection, quiet: timedelta, now: datetime) -> list[Gap]:
    """Every gap there is now: what loses presence first."""
    return in_order([*_of_webhook(connection, now), *of_sessions(connection, quiet, now)])


def heard(connection: Connection) -> Heard:
    """When deliveries came; what was read from Zoom's own log says nothing of the webhook."""
    delivered = zoom_inbox.c.secret_position >= 0
    received, number = zoom_inbox.c.received_at, zoom_inbox.c.id
    challenges = select(func.max(received)).where(text(NOTABLE), zoom_inbox.c.event == URL_VALIDATION)
    return Heard(
        connection.scalar(select(received).where(delivered).order_by(number).limit(1)),
        connection.scalar(select(received).where(delivered).order_by(number.desc()).limit(1)),
        connection.scalar(challenges),
    )


def _of_webhook(connection: Connection, now: datetime) -> Iterator[Gap]:
    known = heard(connection)
    yield from _never_heard(connection, known, now)
    yield from _challenge(known, now)
    yield from _refused(connection, known, now)
    yield from _unread(connection, now)
    yield from _odd(connection, now)
    yield from _log_unreadable(connection)


def _never_heard(connection: Connection, known: Heard, now: datetime) -> Iterator[Gap]:
    near = (live_sessions.c.starts_at < now + NEAR, live_sessions.c.ends_at > now - NEAR)
    if known.first_at is None:
        query = select(live_sessions.c.id).where(*near, live_sessions.c.state != "cancelled").limit(1)
        if connection.execute(query).first() is not None:
            yield Gap("never_heard")


def _challenge(known: Heard, now: datetime) -> Iterator[Gap]:
    asked = known.challenge_at or known.first_at
    if asked is not None and now - asked > CHALLENGE_OVERDUE:
        yield Gap("challenge_overdue", since=asked + CHALLENGE_OVERDUE)
    elif asked is not None and now - asked > CHALLENGE_EVERY:
        yield Gap("challenge_late", since=asked + CHALLENGE_EVERY)


def _refused(connection: Connection, known: Heard, now: datetime) -> Iterator[Gap]:
    """What was turned away, as far as nothing that came later shows that it is mended."""
    counted = inbox.since(connection, (now - REMEMBERED).date())
    mended_by = {
        "zoom_not_configured": ("not_configured", known.last_at),
        "zoom_signature_wrong": ("signatures_wrong", known.last_at),
        CHALLENGE_WRONG: ("challenge_refused", known.challenge_at),
        "zoom_inbox_unavailable": ("storing_failed", now - RETRIES),
    }
    for refusal, (code, mended_at) in mended_by.items():
        count, last_at = counted.get(refusal, (0, now))
        if count and (mended_at is None or last_at > mended_at):
            yield Gap(code, count=count, details={"last_at": last_at.isoformat()})


def _unread(connection: Connection, now: datetime) -> Iterator[Gap]:
    untaken = text(UNTAKEN)
    oldest = connection.scalar(select(zoom_inbox.c.received_at).where(untaken).order_by(zoom_inbox.c.id).limit(1))
    if oldest is not None and now - oldest > UNREAD:
        count = connection.scalar(select(func.count()).select_from(zoom_inbox).where(untaken)) or 0
        yield Gap("deliveries_unread", since=oldest, count=count)


def _odd(connection: Connection, now: datetime) -> Iterator[Gap]:
    """What Zoom signed and nobody can read, or signed at an odd time; forgotten after a while, since nothing mends
    it."""
    received = zoom_inbox.c.received_at
    kinds = (
        ("deliveries_unreadable", zoom_inbox.c.event == "", REMEMBERED),
        ("deliveries_stale", zoom_inbox.c.stale, NEAR),
    )
    for code, is_so, span in kinds:
        query = select(func.count(), func.min(received)).where(text(NOTABLE), received > now - span, is_so)
        count, first_at = connection.execute(query).one()
        if count:
            yield Gap(code, since=first_at, count=count)


def _log_unreadable(connection: Connection) -> Iterator[Gap]:
    query = select(zoom_log_reads.c.code, zoom_log_reads.c.read_at).order_by(zoom_log_reads.c.id.desc()).limit(1)
    last = connection.execute(query).first()
    if last is not None and last.code is not None:
        yield Gap("log_unreadable", since=last.read_at, details={"code": last.code})


def check_health(connection: Connection, now: datetime) -> dict[str, Any]:
    """The state of the inbox: counts, instants (aware UTC or None), `challenge_overdue` when Zoom sends events but has
    not asked for 80 hours whether the address is ours, `sealed` with the end of the chain of seals, and what was turned
    away since midnight UTC, by code."""
    known = heard(connection)
    asked = known.challenge_at or known.first_at
    end = hash_chain.head(connection)
    return {
        "last_event_at": _last_event_at(connection),
        "last_challenge_at": known.challenge_at,
        "challenge_overdue": asked is not None and now - asked > CHALLENGE_OVERDUE,
        **_counts(connection),
        "sealed": end.position,
        "last_seal": end.seal or None,
        "refused_today": {code: count for code, (count, _) in inbox.since(connection, now.date()).items()},
        "settlements_waiting": _tasks(connection, "ready"),
        "settlements_parked": _tasks(connection, "parked"),
    }


def _last_event_at(connection: Connection) -> datetime | None:
    """Of what was delivered; what was read from Zoom's own log says nothing of the webhook."""
    delivered = (zoom_inbox.c.event != URL_VALIDATION, zoom_inbox.c.secret_position >= 0)
    last = select(zoom_inbox.c.received_at).where(*delivered)
    at: datetime | None = connection.scalar(last.order_by(zoom_inbox.c.id.desc()).limit(1))
    return at


def _counts(connection: Connection) -> dict[str, int]:
    """How many deliveries there are, and how many of each kind: one way through the inbox, which may be long."""
    kinds = {
        "untaken": zoom_inbox.c.taken_at.is_(None),
        "stale": zoom_inbox.c.stale,
        "unreadable": zoom_inbox.c.event == "",
        "by_previous_secret": zoom_inbox.c.secret_position > 0,
    }
    columns = (func.count().filter(is_so).label(kind) for kind, is_so in kinds.items())
    query = select(func.count().label("deliveries"), *columns).select_from(zoom_inbox)
    return dict(connection.execute(query).one()._mapping)


def _tasks(connection: Connection, state: str) -> int:
    return connection.scalar(select(func.count()).where(tasks.c.kind == SETTLE, tasks.c.state == state)) or 0
