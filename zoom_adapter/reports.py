"""Zoom's reports of who was there, as fetched: each content is kept once and whole, every asking is on record.

A report is settled after two equal answers in a row (zoom.md §6): it still grows in the first minutes after class.
"""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import takewhile
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, Row, insert, select

from lti_tool.db import insert_ignoring
from lti_tool.tables.evidence import zoom_inbox, zoom_report_fetches, zoom_reports

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
