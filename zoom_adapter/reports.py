"""Zoom's attendance reports: which are due, every answer that Zoom gave, and which answer counts.

A report still grows in the first minutes after class, so it is settled once Zoom has given two equal answers in a row
(zoom.md §6). Zoom is asked 5, 15, 30 and 60 minutes, 2 hours and 24 hours after the end. The last of these confirms a
settled report; without agreement, Zoom is asked every hour for one more day, and then staff must look. The plan follows
from the end of the class and the requests on record, so a restart loses nothing.

A class is held in one Zoom meeting id, which serves for months. The instances (uuids) that belong to it are found by
time, never as "the latest".
"""

import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import takewhile
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Row, func, insert, select, text

from lti_tool import audit
from lti_tool.attendance.live_sessions import LiveSession, request_settlement, show, verify_settleable
from lti_tool.attendance.locking import Asked, ReportProgress
from lti_tool.attendance.settlement import LAST_WORD
from lti_tool.db import Database, insert_ignoring
from lti_tool.errors import Conflict
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.zoom import ENDED, zoom_inbox, zoom_report_fetches, zoom_reports
from lti_tool.tasks import enqueue
from lti_tool.text import reason_given
from zoom_adapter.inbox import instance_bounds

Source = Literal["report", "past", "polls"]
Session = Row[*tuple[Any, ...]] | LiveSession
Candidates = Callable[[Connection, datetime], Sequence[Session]]
Due = Callable[[Connection, Session, datetime], Sequence[str]]

# The sources of attendance: the participant report, and the list of past participants where the report is empty.
ATTENDANCE: tuple[Source, ...] = ("report", "past")
RECONCILABLE = ("scheduled", "provisional", "reconciled")
ENDS = ("meeting.ended", "webinar.ended")
BEFORE_START = timedelta(minutes=30)

# How long after the end of class Zoom is asked; the last step confirms what has settled.
ASK_AFTER = tuple(timedelta(minutes=each) for each in (5, 15, 30, 60, 120, 24 * 60))
CONFIRMATION = ASK_AFTER[-1]
HOURLY = timedelta(hours=1)
MAX_HOURLY_REQUESTS = 24
# Two answers closer together than this prove nothing: two workers may ask at once, or a person may ask twice. It is
# counted from the first answer to the second question.
MIN_BETWEEN_ANSWERS = timedelta(minutes=5)
# This long after the last request the plan has run out, unless no worker was running.
PLAN_EXPIRES_AFTER = timedelta(days=7)

# The uuid under which a request is recorded while no instance of the class is known.
NO_UUID = ""
# Codes of requests without an answer.
NO_INSTANCE = "zoom_no_instance"
WAIVED = "report_waived"
NEVER_AVAILABLE = frozenset({"zoom_too_old"})

FETCH = zoom_report_fetches.c
REPORT = zoom_reports.c


class StoredReport(NamedTuple):
    """The report of one instance: the rows of all pages as Zoom gave them.

    `settled`: the answer before was the same. `fetched_at`: when Zoom last gave this answer (aware UTC).
    """

    meeting_uuid: str
    rows: list[dict[str, Any]]
    settled: bool
    source: str
    fetched_at: datetime


class Fetch(NamedTuple):
    """One request for one report: how many rows came, or the code that says why none did."""

    meeting_uuid: str
    source: str
    report_id: int | None
    rows: int | None
    code: str | None
    settled: bool
    fetched_at: datetime


class RequestsSinceEnd(NamedTuple):
    """The requests about one instance since the end of class, in order, and the last answer.

    `settled`: the last answer agrees with the one before. `is_unavailable`: Zoom will never have the report.
    """

    asked_at: Sequence[datetime] = ()
    answered_at: datetime | None = None
    settled: bool = False
    is_unavailable: bool = False


def next_at(ended_at: datetime, requests: RequestsSinceEnd) -> datetime | None:
    """When to ask next about an instance of a class that ended at `ended_at`; None if there is nothing more to ask."""
    confirmation = ended_at + CONFIRMATION
    is_confirmed = requests.settled and requests.answered_at is not None and requests.answered_at >= confirmation
    if requests.is_unavailable or is_confirmed:
        return None
    steps = [confirmation] if requests.settled else [ended_at + step for step in ASK_AFTER]
    if not requests.asked_at:
        return steps[0]
    last = max(requests.asked_at)
    if following := next((step for step in steps if step > last), None):
        return following
    hourly = sum(each >= confirmation for each in requests.asked_at)
    return last + HOURLY if hourly <= MAX_HOURLY_REQUESTS else None


def min_apart(ended_at: datetime, now: datetime) -> timedelta:
    """How far apart two equal answers must be to settle a report; a day after class it no longer grows."""
    return MIN_BETWEEN_ANSWERS if now < ended_at + CONFIRMATION else timedelta()


def over_at(session: Session) -> datetime:
    """When the class ended: as settled, else as staff entered it, else when Zoom's last message about it is due."""
    known: datetime = session.ended_at or session.ended_by_staff_at or session.ends_at + LAST_WORD
    return known


def due(connection: Connection, session: Session, now: datetime) -> list[str]:
    """The instances whose report is due; [""] if Zoom must first be asked which instances there are."""
    return [uuid for uuid, at in _plan(connection, session).items() if at is not None and at <= now]


def next_ask(connection: Connection, session: Session) -> datetime | None:
    """When Zoom is asked next about this live session; None if it is not asked again."""
    return min((at for at in _plan(connection, session).values() if at is not None), default=None)


def candidates(connection: Connection, now: datetime) -> list[Session]:
    """Live sessions with reports that may be due; sessions whose plan has run out are left out."""
    last = (
        select(FETCH.live_session_id, func.max(FETCH.fetched_at).label("asked_at"))
        .group_by(FETCH.live_session_id)
        .subquery()
    )
    query = (
        select(live_sessions, last.c.asked_at)
        .join_from(live_sessions, last, last.c.live_session_id == live_sessions.c.id, isouter=True)
        .where(live_sessions.c.state.in_(RECONCILABLE))
        .order_by(live_sessions.c.id)
    )

    def may_be_due(session: Row[Any]) -> bool:
        ended_at, asked_at = over_at(session), session.asked_at
        is_open = asked_at is None or asked_at < ended_at + CONFIRMATION or now - asked_at < PLAN_EXPIRES_AFTER
        return is_open and ended_at + ASK_AFTER[0] <= now

    return [row for row in connection.execute(query) if may_be_due(row)]


def request_tasks(database: Database, kind: str, candidates: Candidates, is_due: Due, now: datetime) -> None:
    """Enqueue one task of this kind for each live session for which something is due, unless a worker is about it."""
    with database.read() as connection:
        found = [session.id for session in candidates(connection, now) if is_due(connection, session, now)]
    if found:
        with database.write() as connection:
            for session_id in found:
                payload = {"session_id": session_id}
                enqueue(connection, kind, f"session:{session_id}", payload, now=now, unless_in_hand=True)


def reconcilable(connection: Connection, session_id: int) -> Session | None:
    """The live session, if it may still be reconciled."""
    mine = (live_sessions.c.id == session_id, live_sessions.c.state.in_(RECONCILABLE))
    return connection.execute(select(live_sessions).where(*mine)).first()


def keep(
    connection: Connection,
    session_id: int,
    meeting_uuid: str,
    source: Source,
    rows: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    asked_at: datetime | None = None,
    apart: timedelta = timedelta(),
) -> bool:
    """Record Zoom's answer, all rows of all pages; return whether it settles the report.

    It does if Zoom had given the same answer, and no other, for at least `apart` when it was asked (`asked_at`; the
    answer came at `now`). Questions that overlap prove no more than one. An empty answer settles nothing while other
    evidence shows people in that instance: it came too early, or contradicts that evidence.
    """
    body = f"[{','.join(sorted(json.dumps(dict(row), sort_keys=True) for row in rows))}]".encode()
    digest = sha256(body).hexdigest()
    unchanged_since = _unchanged_since(connection, session_id, meeting_uuid, source, digest)
    is_same = unchanged_since is not None and (asked_at or now) - unchanged_since >= apart
    settled = is_same and (bool(rows) or not _has_people(connection, meeting_uuid))
    report_id = _store(connection, meeting_uuid, source, digest, body, len(rows), now)
    _record(connection, session_id, meeting_uuid, source, now, report_id=report_id, settled=settled)
    return settled


def keep_failure(
    connection: Connection, session_id: int, meeting_uuid: str, source: Source, code: str, now: datetime
) -> None:
    """Record that Zoom gave no report, with the code of its refusal. Earlier answers stay."""
    _record(connection, session_id, meeting_uuid, source, now, code=code, settled=False)


def latest(connection: Connection, session_id: int) -> dict[str, StoredReport]:
    """The report that counts for each instance of a live session, by uuid.

    This is the last settled answer, or the last answer if none has settled: one odd answer later changes nothing. It
    comes from the list of past participants where the participant report is missing or empty.
    """
    made = history(connection, session_id)
    settled = {uuid: each for uuid, each in _last_settled(made).items() if each.report_id is not None}
    heads = {**_last_answers(made), **settled}
    ids = {head.report_id for head in heads.values()}
    bodies = {row.id: row.body for row in connection.execute(select(REPORT.id, REPORT.body).where(REPORT.id.in_(ids)))}
    return {
        uuid: StoredReport(
            head.meeting_uuid,
            json.loads(zlib.decompress(bodies[head.report_id])),
            head.settled,
            head.source,
            head.fetched_at,
        )
        for uuid, head in heads.items()
    }


def last_answers(connection: Connection, session_id: int) -> dict[str, Fetch]:
    """The last request about each instance that Zoom answered, by uuid."""
    return _last_answers(history(connection, session_id))


def history(connection: Connection, session_id: int) -> list[Fetch]:
    """Every request for the reports of a live session, oldest first."""
    names = ("meeting_uuid", "source", "report_id", "code", "settled", "fetched_at")
    query = (
        select(*(FETCH[name] for name in names), REPORT.row_count.label("rows"))
        .join_from(zoom_report_fetches, zoom_reports, isouter=True)
        .where(FETCH.live_session_id == session_id)
        .order_by(FETCH.id)
    )
    return [Fetch(**row._mapping) for row in connection.execute(query)]


def of_class(connection: Connection, session: Session) -> list[str]:
    """The uuids of the instances that overlap the scheduled class, from the inbox and from earlier requests.

    An instance that ended before the class or began after it (the host's test, a click on the link in the evening) is
    no part of it, even inside the wider window in which presence is looked for.
    """
    instances = instance_bounds(connection, session.zoom_meeting_id)
    opens = session.starts_at - BEFORE_START
    delivered = {uuid for uuid, (first, last) in instances.items() if first < session.ends_at and last >= opens}
    ended = (
        select(zoom_inbox.c.meeting_uuid)
        .where(zoom_inbox.c.meeting_id == session.zoom_meeting_id, text(ENDED))
        .group_by(zoom_inbox.c.meeting_uuid)
        .having(func.max(zoom_inbox.c.happened_at) <= session.starts_at)
    )
    over_before = set(connection.scalars(ended))
    asked = select(FETCH.meeting_uuid).where(FETCH.live_session_id == session.id, FETCH.source.in_(ATTENDANCE))
    found = {*(delivered - over_before), *connection.scalars(asked)}
    return sorted(found - {NO_UUID})


def unlisted(listed: Sequence[tuple[str, datetime]], session: Session, known: Sequence[str]) -> list[str]:
    """Of the instances (uuid, start) that Zoom lists for the meeting id, those of this class that are not `known`."""
    opens = session.starts_at - BEFORE_START
    return [uuid for uuid, started_at in listed if opens <= started_at < session.ends_at and uuid not in known]


def known_end(session: Session, ended_at: datetime | None = None) -> datetime | None:
    """The latest end of the class that is known: the one on record, or `ended_at`, which has just become known."""
    return max((at for at in (session.ended_at, ended_at) if at is not None), default=None)


def has_settled_reports(connection: Connection, session: Session, ended_at: datetime | None = None) -> bool:
    """Whether every instance has a settled report that was fetched after the class ended, or staff waived it.

    If no instance is known, only a waiver settles the class. `ended_at` is an end that has just become known.
    """
    return not unsettled(connection, session, ended_at)


def unsettled(connection: Connection, session: Session, ended_at: datetime | None = None) -> list[str]:
    """The instances without a settled report; [""] if no instance is known.

    Answers that agreed before the end that is known now don't cover the whole class.
    """
    settled, since = _last_settled(history(connection, session.id)), known_end(session, ended_at)
    held = {uuid for uuid, each in settled.items() if since is None or each.fetched_at >= since}
    return [uuid for uuid in of_class(connection, session) or [NO_UUID] if uuid not in held]


def report_progress(connection: Connection, session: LiveSession, *, has_api: bool) -> ReportProgress:
    """What Zoom was asked for the reports of a class, and when it is asked next. `has_api`: Zoom can be asked."""
    row = reconcilable(connection, session.id) if has_api and session.state != "scheduled" else None
    return ReportProgress(
        asked=tuple(
            Asked(each.meeting_uuid, each.rows, each.code, each.settled, each.fetched_at)
            for each in reversed(history(connection, session.id))
            if each.source in ATTENDANCE
        ),
        next_at=None if row is None else next_ask(connection, row),
    )


def waive_report(connection: Connection, session_id: int, *, actor: str, reason: str, now: datetime) -> int:
    """Settle a live session without the reports that Zoom does not give; return how many are waived.

    The webhook evidence gets no stronger by it: doubtful attendance still needs a review, and a report that comes later
    still counts. Raises NotFound "session_unknown"; BadInput "reason_missing"; Conflict "session_locked",
    "session_cancelled", "report_awaited" (within a day after class it may still come), "reports_settled" (none is
    missing).
    """
    why = reason_given(reason)
    verify_settleable(show(connection, session_id))
    session = reconcilable(connection, session_id)
    if session is None or now < over_at(session) + CONFIRMATION:
        raise Conflict(
            "report_awaited",
            f"Zoom's report of live session {session_id} may still come.",
            "Gatehouse keeps asking Zoom for it. You can go on without it from a day after class.",
        )
    missing = unsettled(connection, session)
    if not missing:
        raise Conflict("reports_settled", f"Live session {session_id} already has every report.")
    for uuid in missing:
        _record(connection, session_id, uuid, "report", now, code=WAIVED, settled=True)
    subject = f"session:{session_id}"
    audit.record(connection, actor=actor, act="reports_waived", subject=subject, at=now, reason=why, count=len(missing))
    request_settlement(connection, session_id, now)
    return len(missing)


def _plan(connection: Connection, session: Session) -> dict[str, datetime | None]:
    """When Zoom is asked next about each instance."""
    ended_at = over_at(session)
    made = [each for each in history(connection, session.id) if each.source in ATTENDANCE]
    answers = _last_answers(made)
    plan = {}
    for uuid in of_class(connection, session) or [NO_UUID]:
        since = [each for each in made if each.meeting_uuid == uuid and each.fetched_at >= ended_at]
        last, answer = since[-1] if since else None, answers.get(uuid)
        # A day after class Zoom knew no instance of it.
        has_no_instance = last is not None and last.code == NO_INSTANCE and last.fetched_at >= ended_at + CONFIRMATION
        requests = RequestsSinceEnd(
            asked_at=sorted({each.fetched_at for each in since}),
            answered_at=answer.fetched_at if answer else None,
            settled=answer is not None and answer.settled and answer.fetched_at >= ended_at,
            is_unavailable=has_no_instance or (last is not None and last.code in NEVER_AVAILABLE),
        )
        plan[uuid] = next_at(ended_at, requests)
    return plan


def _last_answers(made: Iterable[Fetch]) -> dict[str, Fetch]:
    return _by_instance(each for each in made if each.report_id is not None)


def _last_settled(made: Iterable[Fetch]) -> dict[str, Fetch]:
    """The last request that settled each instance, by uuid: an answer, or a waiver by staff."""
    return _by_instance(each for each in made if each.settled)


def _by_instance(made: Iterable[Fetch]) -> dict[str, Fetch]:
    """The last of these requests for each instance; a report with rows wins, then the participant report."""
    last = {(each.meeting_uuid, each.source): each for each in made if each.source in ATTENDANCE}
    ranked = sorted(last.values(), key=lambda each: (bool(each.rows), each.source == "report"))
    return {each.meeting_uuid: each for each in ranked}


def _unchanged_since(
    connection: Connection, session_id: int, meeting_uuid: str, source: str, digest: str
) -> datetime | None:
    """Since when Zoom has given this answer and no other; None if its last answer differs."""
    query = (
        select(REPORT.digest, FETCH.fetched_at)
        .join_from(zoom_report_fetches, zoom_reports)
        .where(FETCH.live_session_id == session_id, FETCH.meeting_uuid == meeting_uuid, FETCH.source == source)
        .order_by(FETCH.id.desc())
    )
    same = takewhile(lambda answer: answer.digest == digest, connection.execute(query))
    return min((answer.fetched_at for answer in same), default=None)


def _has_people(connection: Connection, meeting_uuid: str) -> bool:
    """Whether a webhook or an earlier report showed a participant in this instance."""
    events = [f"{kind}.participant_{change}" for kind in ("meeting", "webinar") for change in ("joined", "left")]
    webhooks = select(zoom_inbox.c.id).where(zoom_inbox.c.meeting_uuid == meeting_uuid, zoom_inbox.c.event.in_(events))
    filled = select(REPORT.id).where(REPORT.meeting_uuid == meeting_uuid, REPORT.row_count > 0)
    return any(connection.execute(query.limit(1)).first() is not None for query in (webhooks, filled))


def _store(
    connection: Connection, meeting_uuid: str, source: str, digest: str, body: bytes, count: int, now: datetime
) -> int:
    """The id of this content, which is written only if it is new."""
    same = (REPORT.meeting_uuid == meeting_uuid, REPORT.source == source, REPORT.digest == digest)
    known: int | None = connection.scalar(select(REPORT.id).where(*same))
    if known is None:
        row = {"meeting_uuid": meeting_uuid, "source": source, "digest": digest, "row_count": count}
        packed = {"body": zlib.compress(body), "first_fetched_at": now}
        connection.execute(insert_ignoring(connection, zoom_reports), row | packed)
        known = connection.scalar(select(REPORT.id).where(*same))
    assert known is not None
    return known


def _record(
    connection: Connection, session_id: int, meeting_uuid: str, source: str, now: datetime, **answer: Any
) -> None:
    row = {"live_session_id": session_id, "meeting_uuid": meeting_uuid, "source": source, "fetched_at": now}
    connection.execute(insert(zoom_report_fetches), row | answer)
