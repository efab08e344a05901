"""Whether Zoom's evidence is complete: gaps of the webhook and of single live sessions, and the state of the inbox.

The worker records the gaps for staff, and `gatehouse zoom health` prints them. The inbox may hold millions of bodies,
so what is read often is read from indexes only.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, String, and_, case, cast, func, or_, select, text

from lti_tool.attendance import evidence_gaps, locking
from lti_tool.attendance.evidence_gaps import Gap, in_order, of_session
from lti_tool.attendance.live_sessions import SETTLE
from lti_tool.attendance.reviews import REVIEWED
from lti_tool.db import Database
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.operations import tasks
from lti_tool.tables.zoom import NOTABLE, UNTAKEN, zoom_gaps, zoom_inbox, zoom_log_reads, zoom_report_fetches
from zoom_adapter import hash_chain, inbox, reports
from zoom_adapter.events import URL_VALIDATION
from zoom_adapter.inbox import CHALLENGE_WRONG
from zoom_adapter.reports import BEFORE_START, CONFIRMATION, ENDS, Session

STARTS = ("meeting.started", "webinar.started")
START_GRACE = timedelta(minutes=10)
AFTER_END = timedelta(minutes=120)
# A participant may be reported as leaving shortly after the meeting has ended.
END_GRACE = timedelta(minutes=1)

# Zoom asks for a new proof every 72 hours and gives up after six failures (zoom.md §2).
CHALLENGE_EVERY = timedelta(hours=72)
CHALLENGE_OVERDUE = timedelta(hours=80)
# Zoom's last retry comes after 85 minutes.
RETRIES = timedelta(hours=2)
MAX_TIME_UNREAD = timedelta(minutes=5)
# A session is near, or a stale delivery recent, within this time.
NEAR = timedelta(hours=24)
# How far back Zoom's own log of deliveries reaches.
LOG_REACH = timedelta(days=7)
# How long gaps are shown: refused and unreadable deliveries, report problems of a reconciled session, doubtful
# attendance, and evidence about a locked session.
REFUSALS_SHOWN_FOR = timedelta(days=7)
REPORTS_SHOWN_FOR = timedelta(days=7)
RESULTS_SHOWN_FOR = timedelta(days=30)
LOCKED_SHOWN_FOR = timedelta(days=30)

# Attendance flags: a join or a leave is uncertain; only the webhooks or only the report know the person.
UNCERTAIN = ("estimated", "unconfirmed", "open")
ONE_SIDED = ("report_only", "report_missing")
# Refusals that stay until staff change the app, the plan or the schedule.
FOR_STAFF = frozenset({"zoom_scope_missing", "zoom_not_permitted", "zoom_token_refused", "zoom_request_invalid"})

FETCH = zoom_report_fetches.c
INBOX = zoom_inbox.c
SESSION = live_sessions.c


class DeliveryTimes(NamedTuple):
    """When deliveries came (aware UTC): the first, the last, the last challenge."""

    first_at: datetime | None
    last_at: datetime | None
    challenge_at: datetime | None

    def is_challenge_late(self, now: datetime, limit: timedelta) -> bool:
        """Whether Zoom sends events but has not sent a challenge for longer than `limit`."""
        asked = self.challenge_at or self.first_at
        return asked is not None and now - asked > limit


def record_gaps(database: Database, quiet: timedelta, now: datetime) -> bool:
    """Periodic job: update the recorded gaps. Always returns False: there is nothing more to do at once.

    `quiet` is how long Zoom may send nothing during a session.
    """
    with database.read() as connection:
        found = current_gaps(connection, quiet, now)
        has_news = bool(found) or connection.execute(select(zoom_gaps.c.code).limit(1)).first() is not None
    if has_news:
        with database.write() as connection:
            evidence_gaps.record(connection, found, now)
    return False


def current_gaps(connection: Connection, quiet: timedelta, now: datetime) -> list[Gap]:
    """Every gap there is now; those that lose presence come first."""
    return in_order(
        [
            *_of_webhook(connection, now),
            *_while_running(connection, quiet, now),
            *_after_the_end(connection, now),
            *_in_results(connection, now),
            *_in_reports(connection, now),
        ]
    )


def check_health(connection: Connection, now: datetime) -> dict[str, Any]:
    """The state of the inbox: counts, instants (aware UTC or None), and what was refused since midnight UTC, by code.

    `challenge_overdue`: Zoom sends events but has sent no challenge for 80 hours. `sealed` and `last_seal`: the end of
    the hash chain.
    """
    known = delivery_times(connection)
    end = hash_chain.head(connection)
    delivered = (INBOX.event != URL_VALIDATION, INBOX.secret_position >= 0)
    last_event = select(INBOX.received_at).where(*delivered).order_by(INBOX.id.desc()).limit(1)
    settlements = select(tasks.c.state, func.count()).where(tasks.c.kind == SETTLE).group_by(tasks.c.state)
    by_state: dict[str, int] = dict(connection.execute(settlements).all())
    return {
        "last_event_at": connection.scalar(last_event),
        "last_challenge_at": known.challenge_at,
        "challenge_overdue": known.is_challenge_late(now, CHALLENGE_OVERDUE),
        **_counts(connection),
        "sealed": end.position,
        "last_seal": end.seal or None,
        "refused_today": {code: count for code, (count, _) in inbox.since(connection, now.date()).items()},
        "settlements_waiting": by_state.get("ready", 0),
        "settlements_parked": by_state.get("parked", 0),
    }


def delivery_times(connection: Connection) -> DeliveryTimes:
    """When deliveries came; events read from Zoom's own log don't count, as they prove nothing about the webhook."""
    delivered = select(INBOX.received_at).where(INBOX.secret_position >= 0).limit(1)
    challenges = select(func.max(INBOX.received_at)).where(text(NOTABLE), INBOX.event == URL_VALIDATION)
    return DeliveryTimes(
        connection.scalar(delivered.order_by(INBOX.id)),
        connection.scalar(delivered.order_by(INBOX.id.desc())),
        connection.scalar(challenges),
    )


def reports_unsettled(connection: Connection, now: datetime) -> list[Gap]:
    """Sessions whose reports have not settled a day after class, or have changed since they settled."""
    found = []
    for session in _asked_about(connection, now):
        since = reports.over_at(session) + CONFIRMATION
        if now >= since and not reports.has_settled_reports(connection, session):
            made = reports.history(connection, session.id)
            last_codes = {each.meeting_uuid: each.code for each in made}.values()
            codes = sorted({code for code in last_codes if code})
            found.append(of_session("reports_unsettled", session.id, since, len(made), {"codes": codes}))
    return found


def reports_refused(connection: Connection, now: datetime) -> list[Gap]:
    """Sessions whose last request was refused for a reason that only staff can remove."""
    found = []
    for session in _asked_about(connection, now):
        last = reports.history(connection, session.id)[-1]
        if last.code in FOR_STAFF:
            found.append(of_session("reports_refused", session.id, last.fetched_at, details={"code": last.code}))
    return found


def locked_evidence(connection: Connection, now: datetime) -> list[Gap]:
    """Locked sessions of the last month about which Zoom sent evidence after the lock.

    It counts only if staff reopen the session.
    """
    of_class = and_(
        INBOX.meeting_id == SESSION.zoom_meeting_id,
        # A delivery that was unread when the session was locked came too late as well.
        or_(INBOX.received_at > SESSION.locked_at, INBOX.taken_at > SESSION.locked_at),
        INBOX.happened_at.is_not(None),
        INBOX.happened_at < SESSION.ends_at,
        INBOX.happened_at >= SESSION.starts_at,
    )
    query = (
        select(SESSION.id, func.min(INBOX.received_at).label("since"), func.count().label("deliveries"))
        .join_from(live_sessions, zoom_inbox, of_class)
        .where(SESSION.state == "locked", SESSION.ends_at > now - LOCKED_SHOWN_FOR)
        .group_by(SESSION.id)
        .order_by(SESSION.id)
    )
    rows = connection.execute(query)
    return [of_session("locked_evidence", row.id, row.since, row.deliveries) for row in rows]


def _asked_about(connection: Connection, now: datetime) -> Sequence[Session]:
    """Sessions for whose report Zoom was asked: the provisional ones, and those reconciled in the last days."""
    asked = select(FETCH.id).where(FETCH.live_session_id == SESSION.id).exists()
    is_recent = (SESSION.state == "reconciled") & (SESSION.ended_at > now - REPORTS_SHOWN_FOR)
    matters = SESSION.state.in_(("scheduled", "provisional")) | is_recent
    return connection.execute(select(live_sessions).where(matters, asked).order_by(SESSION.id)).all()


def _of_webhook(connection: Connection, now: datetime) -> Iterator[Gap]:
    known = delivery_times(connection)
    if known.first_at is None:
        near = (SESSION.starts_at < now + NEAR, SESSION.ends_at > now - NEAR, SESSION.state != "cancelled")
        if connection.execute(select(SESSION.id).where(*near).limit(1)).first() is not None:
            yield Gap("never_heard")
    if asked := known.challenge_at or known.first_at:
        if known.is_challenge_late(now, CHALLENGE_OVERDUE):
            yield Gap("challenge_overdue", since=asked + CHALLENGE_OVERDUE)
        elif known.is_challenge_late(now, CHALLENGE_EVERY):
            yield Gap("challenge_late", since=asked + CHALLENGE_EVERY)
    yield from _refused(connection, known, now)
    yield from _unread_or_unusable(connection, now)
    query = select(zoom_log_reads.c.code, zoom_log_reads.c.read_at).order_by(zoom_log_reads.c.id.desc()).limit(1)
    last = connection.execute(query).first()
    if last is not None and last.code is not None:
        yield Gap("log_unreadable", since=last.read_at, details={"code": last.code})


def _refused(connection: Connection, known: DeliveryTimes, now: datetime) -> Iterator[Gap]:
    """Refused deliveries, unless a later success shows that the cause is gone."""
    counted = inbox.since(connection, (now - REFUSALS_SHOWN_FOR).date())
    fixed_by = {
        "zoom_not_configured": ("not_configured", known.last_at),
        "zoom_signature_wrong": ("signatures_wrong", known.last_at),
        CHALLENGE_WRONG: ("challenge_refused", known.challenge_at),
        "zoom_inbox_unavailable": ("storing_failed", now - RETRIES),
    }
    for refusal, (code, fixed_at) in fixed_by.items():
        count, last_at = counted.get(refusal, (0, now))
        if count and (fixed_at is None or last_at > fixed_at):
            yield Gap(code, count=count, details={"last_at": last_at.isoformat()})


def _unread_or_unusable(connection: Connection, now: datetime) -> Iterator[Gap]:
    """Deliveries that wait too long; signed ones that are unreadable or stale, for a while since nothing fixes them."""
    untaken = text(UNTAKEN)
    oldest = connection.scalar(select(INBOX.received_at).where(untaken).order_by(INBOX.id).limit(1))
    if oldest is not None and now - oldest > MAX_TIME_UNREAD:
        count = connection.scalar(select(func.count()).select_from(zoom_inbox).where(untaken)) or 0
        yield Gap("deliveries_unread", since=oldest, count=count)
    kinds = (
        ("deliveries_unreadable", INBOX.event == "", REFUSALS_SHOWN_FOR),
        ("deliveries_stale", INBOX.stale, NEAR),
    )
    for code, is_so, shown_for in kinds:
        is_recent = INBOX.received_at > now - shown_for
        query = select(func.count(), func.min(INBOX.received_at)).where(text(NOTABLE), is_recent, is_so)
        count, first_at = connection.execute(query).one()
        if count:
            yield Gap(code, since=first_at, count=count)


def _while_running(connection: Connection, quiet: timedelta, now: datetime) -> Iterator[Gap]:
    runs = (SESSION.starts_at <= now - START_GRACE, SESSION.ends_at > now, SESSION.state != "cancelled")
    for session in connection.execute(select(live_sessions).where(*runs).order_by(SESSION.id)).all():
        in_meeting = INBOX.meeting_id == session.zoom_meeting_id
        # An event with a time in the future would hide every silence.
        until_now = INBOX.happened_at.between(session.starts_at - BEFORE_START, now)
        query = select(INBOX.meeting_uuid, INBOX.happened_at.label("at")).where(in_meeting, until_now)
        last = connection.execute(query.order_by(INBOX.happened_at.desc()).limit(1)).first()
        if last is None:
            yield of_session("not_started", session.id, session.starts_at + START_GRACE)
            continue
        of_instance = select(INBOX.id).where(in_meeting, INBOX.meeting_uuid == last.meeting_uuid).limit(1)
        if connection.execute(of_instance.where(INBOX.event.in_(STARTS))).first() is None:
            yield of_session("not_started", session.id, session.starts_at + START_GRACE)
        has_ended = of_instance.where(INBOX.event.in_(ENDS), INBOX.happened_at >= last.at - END_GRACE)
        if now - last.at > quiet and connection.execute(has_ended).first() is None:
            minutes = (now - last.at) // timedelta(minutes=1)
            yield of_session("quiet", session.id, last.at, details={"minutes": minutes})


def _after_the_end(connection: Connection, now: datetime) -> Iterator[Gap]:
    recent = (SESSION.ends_at <= now, SESSION.ends_at > now - LOG_REACH, SESSION.state != "cancelled")
    for session in connection.execute(select(live_sessions).where(*recent).order_by(SESSION.id)).all():
        during = INBOX.happened_at.between(session.starts_at - BEFORE_START, session.ends_at + AFTER_END)
        query = select(INBOX.id).where(INBOX.meeting_id == session.zoom_meeting_id, during).limit(1)
        if connection.execute(query).first() is None:
            yield of_session("no_deliveries", session.id, session.ends_at)
    missing = select(SESSION.id, SESSION.ends_at).where(locking.is_missing(now)).order_by(SESSION.id)
    for session_id, ends_at in connection.execute(missing).all():
        yield of_session("end_missing", session_id, ends_at)
    parked = (tasks.c.kind == SETTLE, tasks.c.state == "parked")
    settlements = select(tasks.c.payload, tasks.c.last_error, tasks.c.run_at).where(*parked).order_by(tasks.c.id)
    failed = {payload["session_id"]: (error, run_at) for payload, error, run_at in connection.execute(settlements)}
    for session_id, (error, run_at) in failed.items():
        yield of_session("settlement_parked", session_id, run_at, details={"code": error})


def _in_results(connection: Connection, now: datetime) -> Iterator[Gap]:
    """Attendance with an uncertain join or leave, or known from one source only, that staff have not reviewed."""
    sums = [func.sum(case((_has(flag), 1), else_=0)).label(flag) for flag in UNCERTAIN + ONE_SIDED]
    totals = [func.sum(case((or_(*map(_has, some)), 1), else_=0)) for some in (UNCERTAIN, ONE_SIDED)]
    recent = (SESSION.state.in_(("provisional", "reconciled")), SESSION.ends_at > now - RESULTS_SHOWN_FOR)
    query = (
        select(SESSION.id, totals[0].label("uncertain"), totals[1].label("one_sided"), *sums)
        .join_from(live_sessions, attendances)
        .where(*recent, attendances.c.is_current, ~REVIEWED)
        .group_by(SESSION.id)
        .order_by(SESSION.id)
    )
    for row in connection.execute(query).all():
        numbers = row._mapping
        kinds = (("edges_missing", row.uncertain, UNCERTAIN), ("people_differ", row.one_sided, ONE_SIDED))
        for code, total, flags in kinds:
            if total:
                yield of_session(code, row.id, None, int(total), {flag: int(numbers[flag]) for flag in flags})


def _has(flag: str) -> ColumnElement[bool]:
    return cast(attendances.c.flags, String).contains(f'"{flag}"')


def _in_reports(connection: Connection, now: datetime) -> Iterator[Gap]:
    refused = reports_refused(connection, now)
    yield from (*refused, *reports_unsettled(connection, now), *locked_evidence(connection, now))
    last = select(func.max(FETCH.id)).group_by(FETCH.live_session_id)
    query = (
        select(FETCH.live_session_id, FETCH.code, FETCH.fetched_at)
        .join_from(zoom_report_fetches, live_sessions)
        .where(FETCH.id.in_(last), FETCH.code.is_not(None), SESSION.state.in_(("scheduled", "provisional")))
        .order_by(FETCH.live_session_id)
    )
    for_staff = {each.session_id for each in refused}
    for session_id, code, fetched_at in connection.execute(query).all():
        if session_id not in for_staff:
            yield of_session("report_failing", session_id, fetched_at, details={"code": code})


def _counts(connection: Connection) -> dict[str, int]:
    """How many deliveries there are, and of each kind, in one pass over the inbox, which may be long."""
    kinds = {
        "untaken": INBOX.taken_at.is_(None),
        "stale": INBOX.stale,
        "unreadable": INBOX.event == "",
        "by_previous_secret": INBOX.secret_position > 0,
    }
    columns = (func.count().filter(is_so).label(kind) for kind, is_so in kinds.items())
    query = select(func.count().label("deliveries"), *columns).select_from(zoom_inbox)
    return dict(connection.execute(query).one()._mapping)
