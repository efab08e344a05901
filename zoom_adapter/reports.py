"""Zoom's reports of who was there, as fetched: each content is kept once and whole, every asking is on record.

A report is settled after two equal answers in a row (zoom.md §6): it still grows in the first minutes after class.

When Zoom is asked for the report of an instance. PURE: all of it follows from the end of the class and from what was
asked so far, so there is no plan that a restart could lose, and an end that moves moves the plan.

At +5, +15, +30, +60 min, +2 h and +24 h after the end (zoom.md §6). Two equal answers in a row end the asking; one more
at +24 h confirms them, since the report is the lasting proof, may have grown meanwhile, and is not kept by Zoom for
long. Where there is no agreement by then, every hour for one more day; then staff must look.

The instances of a class: the meetings (by uuid) whose reports it must have.

A class is held in one meeting id, which serves for months. What belongs to it is found by time, never "the latest".

Which reports are due: the plan applied to what is on record about each live session.

What Zoom was asked for the reports of a class, and when it is asked next, for the page of the class.

Where Zoom will never say who was there: staff wait for its report no longer, and answer for it with a reason.

What the webhooks told stays what it is: nothing becomes more certain by it, and doubtful days still want a review.
"""

import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import groupby, takewhile
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Row, and_, case, func, insert, or_, select

from lti_tool import audit
from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_sessions import LiveSession, ask_for, verify_settleable
from lti_tool.attendance.progress import Asked, ReportProgress
from lti_tool.attendance.settlement import LAST_WORD
from lti_tool.db import Database, insert_ignoring
from lti_tool.errors import Conflict
from lti_tool.tables.live_sessions import live_sessions as live_sessions_table
from lti_tool.tables.zoom import zoom_inbox, zoom_report_fetches, zoom_reports
from lti_tool.tasks import enqueue
from lti_tool.text import reason_given

Source = Literal["report", "past", "polls"]

# Who was there: the participant report, and where that says nothing the list of past participants.
ATTENDANCE: tuple[Source, ...] = ("report", "past")
# Staff wait no longer for this report.
WAIVED = "report_waived"
Answer = Row[*tuple[Any, ...]]
FETCH = zoom_report_fetches.c
REPORT = zoom_reports.c


class StoredReport(NamedTuple):
    """What Zoom said last about one instance: the rows of all pages as they came. `settled`: it said the same the time
    before; `fetched_at`: when it said so last (aware UTC)."""

    meeting_uuid: str
    rows: list[dict[str, Any]]
    settled: bool
    source: str
    fetched_at: datetime


class Fetch(NamedTuple):
    """One asking for one report: what came (`rows` is how many), or the code of why nothing did."""

    meeting_uuid: str
    source: str
    report_id: int | None
    rows: int | None
    code: str | None
    settled: bool
    fetched_at: datetime


def keep(
    connection: Connection,
    session_id: int,
    meeting_uuid: str,
    source: Source,
    rows: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    apart: timedelta = timedelta(),
) -> bool:
    """Record an answer of Zoom: all rows of all pages. Returns whether the report is settled by it.

    It is settled when the answer before was the same and Zoom has said so for at least `apart`. An empty answer settles
    nothing as long as anything else speaks of people in that instance: it comes too early, or contradicts the rest.
    """
    body = canonical(rows)
    digest = sha256(body).hexdigest()
    said_since = _said_since(connection, session_id, meeting_uuid, source, digest)
    same = said_since is not None and now - said_since >= apart
    settled = same and (bool(rows) or not _speaks_of_people(connection, meeting_uuid))
    report_id = _store(connection, meeting_uuid, source, digest, body, len(rows), now)
    _record(connection, session_id, meeting_uuid, source, now, report_id=report_id, settled=settled)
    return settled


def keep_failure(
    connection: Connection, session_id: int, meeting_uuid: str, source: Source, code: str, now: datetime
) -> None:
    """Record that Zoom was asked and gave no report, with the code of the refusal. What it said before stays."""
    _record(connection, session_id, meeting_uuid, source, now, code=code, settled=False)


def waive(connection: Connection, session_id: int, meeting_uuid: str, now: datetime) -> None:
    """Record that staff wait no longer for the report of an instance. One that comes after all still counts."""
    _record(connection, session_id, meeting_uuid, "report", now, code=WAIVED, settled=True)


def latest(connection: Connection, session_id: int) -> dict[str, StoredReport]:
    """The report that holds of each instance of a live session, by uuid: what Zoom said twice in a row, and until it
    has, what it said last. It is the participant report, or the list of past participants where that is missing or
    empty. What has settled holds until Zoom says something else twice: one odd answer shakes nothing."""
    settled = {uuid: each for uuid, each in last_settled(connection, session_id).items() if each.report_id is not None}
    heads = {**last_answers(connection, session_id), **settled}
    ids = {head.report_id for head in heads.values()}
    bodies = {row.id: row.body for row in connection.execute(select(REPORT.id, REPORT.body).where(REPORT.id.in_(ids)))}
    return {uuid: _load(head, bodies[head.report_id]) for uuid, head in heads.items()}


def last_answers(connection: Connection, session_id: int) -> dict[str, Fetch]:
    """The asking that Zoom answered last about each instance, by uuid."""
    return _best(each for each in history(connection, session_id) if each.report_id is not None)


def last_settled(connection: Connection, session_id: int) -> dict[str, Fetch]:
    """The asking that settled each instance last, by uuid: an answer, or staff who wait no longer for one."""
    return _best(each for each in history(connection, session_id) if each.settled)


def history(connection: Connection, session_id: int) -> list[Fetch]:
    """Every asking for the reports of a live session, the oldest first."""
    names = ("meeting_uuid", "source", "report_id", "code", "settled", "fetched_at")
    query = (
        select(*(FETCH[name] for name in names), REPORT.row_count.label("rows"))
        .join_from(zoom_report_fetches, zoom_reports, isouter=True)
        .where(FETCH.live_session_id == session_id)
        .order_by(FETCH.id)
    )
    return [Fetch(**row._mapping) for row in connection.execute(query)]


def canonical(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The rows as JSON in an order of their own: the same rows in any order are the same bytes."""
    return f"[{','.join(sorted(json.dumps(dict(row), sort_keys=True) for row in rows))}]".encode()


def _said_since(
    connection: Connection, session_id: int, meeting_uuid: str, source: str, digest: str
) -> datetime | None:
    """Since when Zoom has said nothing but this, None where its last answer was another one."""
    query = (
        select(REPORT.digest, FETCH.fetched_at)
        .join_from(zoom_report_fetches, zoom_reports)
        .where(FETCH.live_session_id == session_id, FETCH.meeting_uuid == meeting_uuid, FETCH.source == source)
        .order_by(FETCH.id.desc())
    )
    same = takewhile(lambda answer: answer.digest == digest, connection.execute(query))
    return min((answer.fetched_at for answer in same), default=None)


def _speaks_of_people(connection: Connection, meeting_uuid: str) -> bool:
    """Whether a webhook or an earlier report showed anybody in this instance."""
    edges = (f"{kind}.participant_{edge}" for kind in ("meeting", "webinar") for edge in ("joined", "left"))
    seen = select(zoom_inbox.c.id).where(zoom_inbox.c.meeting_uuid == meeting_uuid, zoom_inbox.c.event.in_(edges))
    told = select(REPORT.id).where(REPORT.meeting_uuid == meeting_uuid, REPORT.row_count > 0)
    return any(connection.execute(query.limit(1)).first() is not None for query in (seen, told))


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


def _best(fetches: Iterable[Fetch]) -> dict[str, Fetch]:
    """Of these askings, given in order of time, the last one of each source, and of those the one that says most."""
    last = {(each.meeting_uuid, each.source): each for each in fetches if each.source in ATTENDANCE}
    return {each.meeting_uuid: each for each in sorted(last.values(), key=_rank)}


def _rank(fetch: Fetch) -> tuple[bool, bool]:
    """A report with rows before one without, the participant report before the other."""
    return bool(fetch.rows), fetch.source == "report"


def _load(head: Fetch, body: bytes) -> StoredReport:
    rows = json.loads(zlib.decompress(body))
    return StoredReport(head.meeting_uuid, rows, head.settled, head.source, head.fetched_at)


STEPS = tuple(timedelta(minutes=each) for each in (5, 15, 30, 60, 120, 24 * 60))
CONFIRMATION = STEPS[-1]
AGAIN = timedelta(hours=1)
MOST_AGAIN = 24
# Answers closer together than this are one answer: two workers at once, somebody who asks twice.
APART = timedelta(minutes=5)


class Standing(NamedTuple):
    """What was asked about one instance since the class was over: when, in order; `answered_at` is the last answer,
    `settled` whether it agrees with the one before; `hopeless`: Zoom will never have it."""

    asked_at: Sequence[datetime] = ()
    answered_at: datetime | None = None
    settled: bool = False
    hopeless: bool = False


def next_at(ended_at: datetime, standing: Standing) -> datetime | None:
    """When to ask next about an instance of a class that was over at `ended_at`; None when there is no more to ask."""
    confirmation = ended_at + CONFIRMATION
    if standing.hopeless or _is_confirmed(standing, confirmation):
        return None
    steps = [confirmation] if standing.settled else [ended_at + step for step in STEPS]
    if not standing.asked_at:
        return steps[0]
    last = max(standing.asked_at)
    following = next((step for step in steps if step > last), None)
    return following or _hour_after(last, [each for each in standing.asked_at if each >= confirmation])


def apart(ended_at: datetime, now: datetime) -> timedelta:
    """How far apart two equal answers must lie to prove that the report has stopped growing; a day later it has."""
    return APART if now < ended_at + CONFIRMATION else timedelta()


def _is_confirmed(standing: Standing, confirmation: datetime) -> bool:
    return standing.settled and standing.answered_at is not None and standing.answered_at >= confirmation


def _hour_after(last: datetime, in_vain: Sequence[datetime]) -> datetime | None:
    return last + AGAIN if len(in_vain) <= MOST_AGAIN else None


BEFORE_START = timedelta(minutes=30)
# Of a meeting id of which neither the inbox nor Zoom knows an instance of this class, Zoom is asked under this name.
NO_UUID = ""
ENDS = ("meeting.ended", "webinar.ended")

Session = Row[*tuple[Any, ...]]


def of_class(connection: Connection, session: Session) -> list[str]:
    """The uuids of the instances that overlap the scheduled class (a row of `live_sessions`), as far as the inbox knows
    or a report was asked for.

    What was over before the class or began after it (a test by the host, a click on the link in the evening) has no
    part in it, though it may lie inside the wider window in which presence is looked for.
    """
    at, uuid = zoom_inbox.c.happened_at, zoom_inbox.c.meeting_uuid
    ended_at = func.max(case((zoom_inbox.c.event.in_(ENDS), at)))
    over_before = and_(ended_at.is_not(None), ended_at <= session.starts_at)
    delivered = (
        select(uuid)
        .where(zoom_inbox.c.meeting_id == session.zoom_meeting_id, at.is_not(None), uuid.is_not(None))
        .group_by(uuid)
        .having(and_(func.min(at) < session.ends_at, func.max(at) >= session.starts_at - BEFORE_START))
        .having(or_(ended_at.is_(None), ~over_before))
    )
    fetches = zoom_report_fetches.c
    asked = select(fetches.meeting_uuid).where(
        fetches.live_session_id == session.id, fetches.source.in_(ATTENDANCE), fetches.meeting_uuid != ""
    )
    found = {*connection.execute(delivered).scalars(), *connection.execute(asked).scalars()}
    return sorted(each for each in found if each)


def has_settled_reports(connection: Connection, session: Session, ended_at: datetime | None = None) -> bool:
    """Whether every instance of the class has a settled report that was fetched after the class was over, or staff wait
    for it no longer. Without any known instance only they can say so. `ended_at` is an end that is news."""
    return not unsettled(connection, session, ended_at)


def known_end(session: Session, ended_at: datetime | None = None) -> datetime | None:
    """When the class was over as far as anybody has said: on record, or by this news."""
    return max((at for at in (session.ended_at, ended_at) if at is not None), default=None)


def without_agreement(connection: Connection, session: Session) -> list[str]:
    """The instances of the class of which Zoom has not said the same twice, or said something else since."""
    uuids = of_class(connection, session)
    settled, told = last_settled(connection, session.id), last_answers(connection, session.id)
    shaken = [uuid for uuid in uuids if uuid in settled and uuid in told and not told[uuid].settled]
    return sorted({*unsettled(connection, session), *shaken})


def unsettled(connection: Connection, session: Session, ended_at: datetime | None = None) -> list[str]:
    """The instances of the class without a settled report; [""] where no instance is known. What agreed before the end
    that is known now is no report of the whole class."""
    settled, since = last_settled(connection, session.id), known_end(session, ended_at)
    held = {uuid for uuid, each in settled.items() if since is None or each.fetched_at >= since}
    return [uuid for uuid in of_class(connection, session) or [NO_UUID] if uuid not in held]


def unheard_of(told: Sequence[tuple[str, datetime]], session: Session, known: Sequence[str]) -> list[str]:
    """Of the instances (uuid, start) that Zoom lists for the meeting id, those of this class that nobody told us of."""
    opens = session.starts_at - BEFORE_START
    return [uuid for uuid, started_at in told if opens <= started_at < session.ends_at and uuid not in known]


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
        select(live_sessions_table, last.c.asked_at)
        .join_from(live_sessions_table, last, last.c.live_session_id == live_sessions_table.c.id, isouter=True)
        .where(live_sessions_table.c.state.in_(RECONCILABLE))
        .order_by(live_sessions_table.c.id)
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
    query = select(live_sessions_table).where(
        live_sessions_table.c.id == session_id, live_sessions_table.c.state.in_(RECONCILABLE)
    )
    return connection.execute(query).first()


def _plan(connection: Connection, session: Session) -> dict[str, datetime | None]:
    """When each instance is asked about next."""
    ended_at = over_at(session)
    latest = last_answers(connection, session.id)
    asked = (each for each in history(connection, session.id) if each.source in ATTENDANCE)
    made = sorted(asked, key=attrgetter("meeting_uuid"))
    fetches = {uuid: list(some) for uuid, some in groupby(made, key=attrgetter("meeting_uuid"))}
    uuids = of_class(connection, session) or [NO_UUID]
    standings = {uuid: _standing(fetches.get(uuid, ()), latest.get(uuid), ended_at) for uuid in uuids}
    return {uuid: next_at(ended_at, standing) for uuid, standing in standings.items()}


def _standing(fetches: Sequence[Fetch], latest: Fetch | None, ended_at: datetime) -> Standing:
    """What was asked since the class was over."""
    since = [each for each in fetches if each.fetched_at >= ended_at]
    settled = latest is not None and latest.settled and latest.fetched_at >= ended_at
    return Standing(
        asked_at=sorted({each.fetched_at for each in since}),
        answered_at=latest.fetched_at if latest else None,
        settled=settled,
        hopeless=any(each.code in HOPELESS for each in since[-1:]) or _is_nowhere(since, ended_at),
    )


def _is_nowhere(since: Sequence[Fetch], ended_at: datetime) -> bool:
    """A day after class Zoom still knew no instance of it."""
    last = since[-1] if since else None
    return last is not None and last.code == NO_INSTANCE and last.fetched_at >= ended_at + CONFIRMATION


def _may_be_due(session: Session, now: datetime) -> bool:
    ended_at = over_at(session)
    if ended_at + STEPS[0] > now:
        return False
    asked_at = session.asked_at
    return asked_at is None or asked_at < ended_at + CONFIRMATION or now - asked_at < GIVEN_UP


def look(connection: Connection, session: LiveSession, *, has_api: bool) -> ReportProgress:
    """`has_api`: Zoom may be asked at all."""
    held = reconcilable(connection, session.id) if has_api and session.state != "scheduled" else None
    newest_first = reversed(history(connection, session.id))
    return ReportProgress(
        asked=tuple(
            Asked(each.meeting_uuid, each.rows, each.code, each.settled, each.fetched_at)
            for each in newest_first
            if each.source in ATTENDANCE
        ),
        next_at=None if held is None else next_ask(connection, held),
    )


def waive_report(connection: Connection, session_id: int, *, actor: str, reason: str, now: datetime) -> int:
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
    missing = unsettled(connection, session)
    if not missing:
        raise Conflict("reports_settled", f"Every report of live session {session_id} is there.")
    for uuid in missing:
        waive(connection, session_id, uuid, now)
    subject = f"session:{session_id}"
    audit.record(connection, actor=actor, act="reports_waived", subject=subject, at=now, reason=why, count=len(missing))
    ask_for(connection, session_id, now)
    return len(missing)
