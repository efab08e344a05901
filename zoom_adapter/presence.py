"""From the inbox to presence: which live sessions a delivery touches, and who was present in one of them.

A class is the set of meeting instances (uuids) that overlap its window, never the meeting id alone: an id is used for
months, and a restart during class makes a second uuid (zoom.md §4). Everything here can be computed again from the
inbox at any time.

People who were in a class before the tool knew them: a launch, a roster or a link said later who they are.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, func, select, tuple_, update

from lti_tool.attendance import live_sessions as settle_tasks
from lti_tool.attendance.evidence import PersonPresence
from lti_tool.db import Database
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.zoom import zoom_inbox
from lti_tool.tasks import Handler
from zoom_adapter import hash_chain, reports
from zoom_adapter.bound_connections import Identity
from zoom_adapter.connections import Instance, gather
from zoom_adapter.events import NO_SECRET, Notice, read_notice
from zoom_adapter.participants import Everybody
from zoom_adapter.registrants import directory, record_registration
from zoom_adapter.report_rows import ReportRow, read_rows

SETTLE = settle_tasks.SETTLE
ask_for = settle_tasks.ask_for
BEFORE_START = timedelta(minutes=30)
AFTER_END = timedelta(minutes=120)
# About a fifth of a second, in which on SQLite no delivery is stored.
MOST_IN_ONE_TAKE = 1000
ENDS = ("meeting.ended", "webinar.ended")
UNSETTLED = ("scheduled", "provisional", "reconciled")

Span = tuple[datetime, datetime]


class Presence(NamedTuple):
    """Who was present in one live session. `ended_at` is None while the class has not ended as far as Zoom said;
    `flags`: `no_events`, `several_instances`, `running`. `reports_settled`: every instance has a report that Zoom gave
    twice in the same words."""

    people: tuple[PersonPresence, ...]
    ended_at: datetime | None
    flags: tuple[str, ...]
    reports_settled: bool = False


def take_inbox(database: Database, now: datetime) -> bool:
    """Read what is new in the inbox: seal it, keep who registered, and ask for the settlement of the live sessions
    touched.

    Mark, seals and tasks are one transaction, so a delivery is never taken without its consequence. Whether there may
    be more.
    """
    with database.read() as connection:
        if connection.execute(select(zoom_inbox.c.id).where(zoom_inbox.c.taken_at.is_(None)).limit(1)).first() is None:
            return False
    with database.write() as connection:
        rows = _take(connection, now)
        hash_chain.seal(connection, rows, now)
        for notice in _registrations(rows):
            record_registration(connection, notice, now)
        _ask_for_settlement(connection, rows, now)
    return bool(rows)


def _take(connection: Connection, now: datetime) -> Sequence[Row[Any]]:
    """The oldest untaken rows, marked, in order. Another reader's are left to it: the mark is a conditional UPDATE."""
    untaken = zoom_inbox.c.taken_at.is_(None)
    oldest = select(zoom_inbox.c.id).where(untaken).order_by(zoom_inbox.c.id).limit(MOST_IN_ONE_TAKE)
    marked = update(zoom_inbox).where(zoom_inbox.c.id.in_(oldest), untaken).values(taken_at=now)
    taken = connection.execute(marked.returning(*zoom_inbox.c))
    return sorted(taken, key=lambda row: row.id)


def _registrations(rows: Iterable[Row[Any]]) -> Iterator[Notice]:
    return (read_notice(row.body) for row in rows if ".registration_" in row.event)


def _ask_for_settlement(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> None:
    """A class that has ended is settled now. Every class is looked at once more after its scheduled end: perhaps nobody
    ever says that the meeting ended, or it ended early and was not started again."""
    spans = _spans(connection, rows)
    ended = _ended_uuids(connection, spans)
    registered = {row.meeting_id for row in rows if ".registration_" in row.event}
    for session in _sessions_of(connection, {row.meeting_id for row in rows if row.meeting_id}):
        touched = [uuid for (meeting, uuid), span in spans.items() if _is_part(session, meeting, span)]
        late_registration = session.zoom_meeting_id in registered and session.state != "scheduled"
        if late_registration or ended.intersection(touched):
            ask_for(connection, session.id, now)
        if touched:
            settle_tasks.ask_when_over(connection, session.id, session.ends_at, now)


def _spans(connection: Connection, rows: Iterable[Row[Any]]) -> dict[tuple[str, str], Span]:
    """First and last edge of the instances that these rows belong to, by meeting id and uuid."""
    at = zoom_inbox.c.happened_at
    columns = (zoom_inbox.c.meeting_id, zoom_inbox.c.meeting_uuid)
    meant = {(row.meeting_id, row.meeting_uuid) for row in rows if row.meeting_id and row.meeting_uuid}
    of_these = and_(tuple_(*columns).in_(meant), at.is_not(None))  # a registration is no edge
    query = select(*columns, func.min(at), func.max(at)).where(of_these).group_by(*columns)
    return {(meeting_id, uuid): (first, last) for meeting_id, uuid, first, last in connection.execute(query)}


def _ended_uuids(connection: Connection, instances: Collection[tuple[str, str]]) -> set[str]:
    """Those of these instances (meeting id and uuid, as the index has them) of which Zoom told the end."""
    columns = (zoom_inbox.c.meeting_id, zoom_inbox.c.meeting_uuid)
    query = select(zoom_inbox.c.meeting_uuid).where(tuple_(*columns).in_(instances), zoom_inbox.c.event.in_(ENDS))
    return set(connection.execute(query).scalars())


def _sessions_of(connection: Connection, meeting_ids: set[str]) -> Sequence[Row[Any]]:
    of_these = and_(live_sessions.c.zoom_meeting_id.in_(meeting_ids), live_sessions.c.state.in_(UNSETTLED))
    return connection.execute(select(live_sessions).where(of_these).order_by(live_sessions.c.id)).all()


def window(session: Row[Any]) -> Span:
    """When an instance must have been running to belong to this live session."""
    return session.starts_at - BEFORE_START, session.ends_at + AFTER_END


def _is_part(session: Row[Any], meeting_id: str, span: Span) -> bool:
    opens, closes = window(session)
    return bool(session.zoom_meeting_id == meeting_id and span[0] <= closes and span[1] >= opens)


def load_presence(connection: Connection, session: Row[Any]) -> Presence:
    """Who was present in this live session (a row of `live_sessions`), by all that the inbox and the settled reports
    hold now."""
    instances = gather(_notices(connection, session))
    _end_by_staff(instances.values(), session.ended_by_staff_at)
    ended_at = _ended_at(instances.values(), session.ends_at)
    told = _settled_rows(connection, session, ended_at)
    are_settled = reports.has_settled_reports(connection, session, ended_at)
    if ended_at is None and are_settled:
        ended_at = _ended_by_report(told, session.ends_at)
    ended_at = ended_at or session.ended_by_staff_at
    everybody = Everybody(instances, told)
    known = directory(connection, session.zoom_meeting_id, everybody.identities())
    flags = {"no_events": not instances, "several_instances": len(instances) > 1, "running": ended_at is None}
    return Presence(
        people=everybody.people(known.identify),
        ended_at=ended_at,
        flags=tuple(flag for flag, is_so in flags.items() if is_so),
        reports_settled=are_settled,
    )


def _settled_rows(connection: Connection, session: Row[Any], ended_at: datetime | None) -> dict[str, list[ReportRow]]:
    """The rows of the instances whose report Zoom gave twice alike after class; others still grow and prove nothing."""
    since = reports.known_end(session, ended_at) or session.ends_at
    known = reports.latest(connection, session.id)
    return {uuid: read_rows(each.rows)[0] for uuid, each in known.items() if each.settled and each.fetched_at >= since}


def _ended_by_report(told: Mapping[str, Sequence[ReportRow]], ends_at: datetime) -> datetime | None:
    """When the last one left, where no event told of the end: the reports are all there, so nobody is inside any more.
    What began after the scheduled end is no part of the class."""
    return max((row.leave_at for rows in told.values() for row in rows if row.join_at < ends_at), default=None)


def _notices(connection: Connection, session: Row[Any]) -> Iterator[Notice]:
    opens, closes = window(session)
    of_meeting = zoom_inbox.c.meeting_id == session.zoom_meeting_id
    uuids = (
        select(zoom_inbox.c.meeting_uuid)
        .where(of_meeting, zoom_inbox.c.happened_at.is_not(None))
        .group_by(zoom_inbox.c.meeting_uuid)
        .having(and_(func.min(zoom_inbox.c.happened_at) <= closes, func.max(zoom_inbox.c.happened_at) >= opens))
    )
    columns = (zoom_inbox.c.body, zoom_inbox.c.stale, zoom_inbox.c.secret_position, zoom_inbox.c.happened_at)
    query = select(*columns).where(of_meeting, zoom_inbox.c.meeting_uuid.in_(uuids))
    for body, stale, secret_position, at in connection.execution_options(yield_per=1000).execute(query):
        notice = read_notice(body, stale=stale)
        if notice.at != at:
            notice = notice._replace(at=at)
        yield notice._replace(from_log=True) if secret_position == NO_SECRET else notice


def _end_by_staff(instances: Iterable[Instance], at: datetime | None) -> None:
    """What Zoom left open is closed by what staff said."""
    for each in instances:
        if at and not each.ends and each.started_at and each.started_at <= at:
            each.ends[at] = False


def _ended_at(instances: Collection[Instance], ends_at: datetime) -> datetime | None:
    """The last end of the class; None while it runs: an instance has not ended that saw people after that end.

    What began after the scheduled end is another class or a stray click: it keeps none open, and its end is taken only
    where no other is known (an id holds one meeting at a time, so the former one is over too).
    """
    own = [each for each in instances if each.started_at and each.started_at < ends_at]
    ends = [each.ended_at for each in own if each.ended_at] or [each.ended_at for each in instances if each.ended_at]
    last = max(ends, default=None)
    if last is None or last >= ends_at:
        return last
    runs = any(each.last_at and each.last_at > last for each in own if each.connections and not each.ended_at)
    return None if runs else last


def settle_task(
    database: Database,
    settle: Callable[..., object],
    after: Callable[..., None],
    clock: Callable[[], datetime],
) -> Handler:
    """The handler of a `settle` task: load the presence, hand it to `settle(database, session_id, people, ended_at,
    now, after, reports_settled=…)`. A live session that is cancelled or locked is left as it is."""

    def run(payload: Mapping[str, Any]) -> None:
        with database.read() as connection:
            session = connection.execute(
                select(live_sessions).where(live_sessions.c.id == payload["session_id"])
            ).first()
            if session is None or session.state not in UNSETTLED:
                return
            present = load_presence(connection, session)
        settle(
            database,
            session.id,
            present.people,
            # What staff said of the end may have been corrected by now.
            None if present.ended_at == session.ended_by_staff_at else present.ended_at,
            clock(),
            after,
            reports_settled=present.reports_settled,
        )

    return run


def match_late(database: Database, now: datetime) -> bool:
    """Ask for the settlement of every live session with an unmatched person who can be matched by now. A periodic job;
    what it found is work for the queue, so it never asks to be run again at once."""
    with database.read() as connection:
        found = _matchable(connection)
    if found:
        with database.write() as connection:
            for session_id in found:
                ask_for(connection, session_id, now)
    return False


def _matchable(connection: Connection) -> list[int]:
    unmatched: dict[str, list[Row[*tuple[Any, ...]]]] = defaultdict(list)
    for row in _unmatched(connection):
        unmatched[row.zoom_meeting_id].append(row)
    found = set()
    for meeting_id, rows in unmatched.items():
        asked = {row.id: _identity(row) for row in rows}
        known = directory(connection, meeting_id, set(asked.values()))
        found |= {row.live_session_id for row in rows if known.identify(asked[row.id]) is not None}
    return sorted(found)


def _identity(row: Row[Any]) -> Identity:
    """As settlement will ask for it. Of a person known by one appearance alone, the key names a connection of it."""
    kind, _, key = row.person_key.partition(":")
    return Identity(row.registrant_id or "", row.email or "", (key,) if kind == "connection" else ())


def _unmatched(connection: Connection) -> Iterable[Row[*tuple[Any, ...]]]:
    columns = (
        attendances.c.id,
        attendances.c.live_session_id,
        attendances.c.person_key,
        attendances.c.registrant_id,
        attendances.c.email,
        attendances.c.flags,
        live_sessions.c.zoom_meeting_id,
    )
    nobody = attendances.c.is_current & attendances.c.trainee_id.is_(None)
    query = select(*columns).join(live_sessions, live_sessions.c.id == attendances.c.live_session_id)
    rows = connection.execute(query.where(nobody, live_sessions.c.state.in_(UNSETTLED)))
    return [row for row in rows if "evidence_withdrawn" not in row.flags]
