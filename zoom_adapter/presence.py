"""From the inbox to presence: which live sessions a delivery affects, and who was present in one of them.

A session is the set of meeting instances (uuids) that overlap its window, never the meeting id alone: an id is used for
months, and a restart during the session makes a second uuid (zoom.md §4). Everything here can be computed again from
the inbox at any time, and `gatehouse zoom replay` does so. The inbox, reports, matches by staff, corrections and places
are the evidence itself, and never change in that.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, or_, select, text, tuple_, update

from lti_tool.attendance import matching, settled_identities
from lti_tool.attendance.evidence import PersonPresence
from lti_tool.attendance.live_sessions import request_settlement, request_settlement_when_over, show, verify_settleable
from lti_tool.attendance.settlement import After, preview, settle
from lti_tool.db import Database, chunks
from lti_tool.intervals import Interval
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import attendance_corrections, zoom_places
from lti_tool.tables.zoom import ENDED, registrants, zoom_inbox, zoom_report_fetches
from lti_tool.tasks import Clock
from zoom_adapter import hash_chain, reports
from zoom_adapter.bound_connections import Identity
from zoom_adapter.connections import Instance, gather
from zoom_adapter.events import NO_SECRET, ZoomEvent, read_event
from zoom_adapter.inbox import instance_bounds
from zoom_adapter.participants import Everybody
from zoom_adapter.registrants import directory_of, record_place, record_registrations, record_status
from zoom_adapter.report_matching import ReportRow, read_rows
from zoom_adapter.reports import Session

BEFORE_START = timedelta(minutes=30)
AFTER_END = timedelta(minutes=120)
# About a fifth of a second, in which on SQLite no delivery is stored.
MOST_IN_ONE_TAKE = 1000
UNSETTLED = ("scheduled", "provisional", "reconciled")
INSTANCE = (zoom_inbox.c.meeting_id, zoom_inbox.c.meeting_uuid)  # as in the index


class Presence(NamedTuple):
    """Who was present in one live session.

    `ended_at` is None while Zoom has not reported the end; `flags`: `no_events`, `several_instances`, `running`;
    `reports_settled`: Zoom gave the same report twice for every instance.
    """

    people: tuple[PersonPresence, ...]
    ended_at: datetime | None
    flags: tuple[str, ...]
    reports_settled: bool = False


def take_inbox(database: Database, now: datetime) -> bool:
    """Read what is new in the inbox: seal it, record registrations, and ask for the settlement of the live sessions
    affected. Returns whether there may be more.

    Mark, seals and tasks are one transaction, so no delivery is taken without its effects. The mark is a conditional
    UPDATE, so two readers never take the same row.
    """
    untaken = zoom_inbox.c.taken_at.is_(None)
    with database.read() as connection:
        if connection.execute(select(zoom_inbox.c.id).where(untaken).limit(1)).first() is None:
            return False
    oldest = select(zoom_inbox.c.id).where(untaken).order_by(zoom_inbox.c.id).limit(MOST_IN_ONE_TAKE)
    mark = update(zoom_inbox).where(zoom_inbox.c.id.in_(oldest), untaken).values(taken_at=now)
    with database.write() as connection:
        rows = sorted(connection.execute(mark.returning(*zoom_inbox.c)), key=lambda row: row.id)
        hash_chain.seal(connection, rows, now)
        registrations = (read_event(row.body) for row in rows if ".registration_" in row.event)
        record_registrations(connection, registrations, now)
        _request_settlements(connection, rows, now)
    return bool(rows)


def _request_settlements(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> None:
    """A session that has ended is settled now. Every session is settled once more after its scheduled end: Zoom may
    never report the end, or the meeting ended early and was not started again."""
    named = {(row.meeting_id, row.meeting_uuid) for row in rows if row.meeting_id and row.meeting_uuid}
    # By meeting id and uuid, from the first to the last event of the instance.
    intervals = {
        (meeting_id, uuid): bounds
        for meeting_id in sorted({meeting_id for meeting_id, _ in named})
        for uuid, bounds in instance_bounds(connection, meeting_id).items()
        if (meeting_id, uuid) in named
    }
    ends = select(zoom_inbox.c.meeting_uuid).where(tuple_(*INSTANCE).in_(intervals), text(ENDED))
    ended = set(connection.execute(ends).scalars())
    registered = {row.meeting_id for row in rows if ".registration_" in row.event}
    meeting_ids = {row.meeting_id for row in rows if row.meeting_id}
    affected = and_(live_sessions.c.zoom_meeting_id.in_(meeting_ids), live_sessions.c.state.in_(UNSETTLED))
    for session in connection.execute(select(live_sessions).where(affected).order_by(live_sessions.c.id)).all():
        opens, closes = window(session)
        uuids = [
            uuid
            for (meeting_id, uuid), (first, last) in intervals.items()
            if meeting_id == session.zoom_meeting_id and first <= closes and last >= opens
        ]
        late_registration = session.zoom_meeting_id in registered and session.state != "scheduled"
        if late_registration or ended.intersection(uuids):
            request_settlement(connection, session.id, now)
        if uuids:
            request_settlement_when_over(connection, session.id, session.ends_at, now)


def window(session: Session) -> Interval:
    """When an instance must have been running to belong to this live session."""
    return Interval(session.starts_at - BEFORE_START, session.ends_at + AFTER_END)


def load_presence(connection: Connection, session: Session) -> Presence:
    """Who was present in this live session, by the inbox and the settled reports.

    An end recorded by staff closes what Zoom left open. A report that Zoom didn't give twice alike after the session
    may still grow, and proves nothing.
    """
    instances = gather(_events(connection, session))
    by_staff = session.ended_by_staff_at
    for each in instances.values():
        if by_staff and not each.ends and each.started_at and each.started_at <= by_staff:
            each.ends[by_staff] = False
    ended_at = _ended_at(instances.values(), session.ends_at)
    since = reports.known_end(session, ended_at) or session.ends_at
    rows: dict[str, list[ReportRow]] = {
        uuid: read_rows(report.rows)[0]
        for uuid, report in reports.latest(connection, session.id).items()
        if report.settled and report.fetched_at >= since
    }
    are_settled = reports.has_settled_reports(connection, session, ended_at)
    if ended_at is None and are_settled:
        # All reports are there, so everyone has left. What began after the scheduled end is not part of the session.
        joined = (row for some in rows.values() for row in some if row.join_at < session.ends_at)
        ended_at = max((row.leave_at for row in joined), default=None)
    ended_at = ended_at or by_staff
    settled = settled_identities.load(connection, session.id)
    everybody = Everybody(instances, rows, settled.connection)
    known = directory_of(connection, session, everybody.identities(), settled)
    flags = {"no_events": not instances, "several_instances": len(instances) > 1, "running": ended_at is None}
    return Presence(
        people=everybody.people(known.recognise),
        ended_at=ended_at,
        flags=tuple(flag for flag, is_so in flags.items() if is_so),
        reports_settled=are_settled,
    )


def _events(connection: Connection, session: Session) -> Iterator[ZoomEvent]:
    """The events of all instances that overlap the session's window."""
    opens, closes = window(session)
    of_meeting, at = zoom_inbox.c.meeting_id == session.zoom_meeting_id, zoom_inbox.c.happened_at
    instances = instance_bounds(connection, session.zoom_meeting_id)
    uuids = [uuid for uuid, (first, last) in instances.items() if first <= closes and last >= opens]
    columns = (zoom_inbox.c.body, zoom_inbox.c.stale, zoom_inbox.c.secret_position, at)
    query = select(*columns).where(of_meeting, zoom_inbox.c.meeting_uuid.in_(uuids), at.is_not(None))
    for body, stale, secret_position, happened_at in connection.execution_options(yield_per=1000).execute(query):
        event = read_event(body, stale=stale)
        if event.at != happened_at:
            event = event._replace(at=happened_at)
        yield event._replace(from_log=True) if secret_position == NO_SECRET else event


def _ended_at(instances: Collection[Instance], ends_at: datetime) -> datetime | None:
    """The last end of the session's instances; None while one of them runs, that is, has no end and events after that.

    An instance that began after the scheduled end is another session or a stray click: it keeps none open, and its end
    is used only if no other is known (an id holds one meeting at a time, so the one before is over too).
    """
    own = [each for each in instances if each.started_at and each.started_at < ends_at]
    ends = [each.ended_at for each in own if each.ended_at] or [each.ended_at for each in instances if each.ended_at]
    last = max(ends, default=None)
    if last is None or last >= ends_at:
        return last
    runs = any(each.last_at and each.last_at > last for each in own if each.connections and not each.ended_at)
    return None if runs else last


def settle_presence(database: Database, session_id: int, after: After, clock: Clock) -> None:
    """Settle a live session by the presence that the inbox and the reports show now. Raises as `settlement.settle`
    does."""
    with database.read() as connection:
        session = show(connection, session_id)
        verify_settleable(session)
        decisions = matching.decisions(connection)
        present = load_presence(connection, session)
    settle(
        database,
        session_id,
        present.people,
        # Staff may have corrected their end by now.
        None if present.ended_at == session.ended_by_staff_at else present.ended_at,
        clock(),
        after,
        reports_settled=present.reports_settled,
        decisions=decisions,
    )


def match_late(database: Database, now: datetime) -> bool:
    """Ask for the settlement of every live session with an unmatched person who can be matched now, because of a later
    launch, roster or match by staff. A periodic job; its results are tasks, so it never asks to be run again at once.
    """
    with database.read() as connection:
        found = _matchable_sessions(connection)
    if found:
        with database.write() as connection:
            for session_id in found:
                request_settlement(connection, session_id, now)
    return False


def _matchable_sessions(connection: Connection) -> list[int]:
    """Asks for each unmatched person as settlement will. The key of a person known by one connection names it."""
    unmatched = attendances.c.is_current & attendances.c.trainee_id.is_(None)
    columns = ("live_session_id", "person_key", "registrant_id", "email", "flags")
    query = select(*(attendances.c[name] for name in columns)).join(live_sessions)
    asked: dict[int, set[Identity]] = defaultdict(set)
    for row in connection.execute(query.where(unmatched, live_sessions.c.state.in_(UNSETTLED))):
        if "evidence_withdrawn" not in row.flags:
            kind, _, key = row.person_key.partition(":")
            identity = Identity(row.registrant_id or "", row.email or "", (key,) if kind == "connection" else ())
            asked[row.live_session_id].add(identity)
    found = []
    for session_id, identities in sorted(asked.items()):
        settled = settled_identities.load(connection, session_id)
        known = directory_of(connection, show(connection, session_id), identities, settled)
        if any(known.identify(identity) is not None for identity in identities):
            found.append(session_id)
    return found


# Small transactions, so a delivery that comes in the meantime hardly waits.
IN_ONE_COMMIT = 100

Key = tuple[str, str]


def registration_deliveries(connection: Connection) -> Sequence[int]:
    """The ids of the deliveries about registrations, in the order in which they came."""
    is_registration = zoom_inbox.c.event.like("%.registration!_%", escape="!")
    return connection.execute(select(zoom_inbox.c.id).where(is_registration).order_by(zoom_inbox.c.id)).scalars().all()


def rebuild_registrants(
    database: Database,
    ids: Sequence[int],
    now: datetime,
    *,
    dry_run: bool = False,
    progress: Callable[[int], object] = lambda _more: None,
) -> int:
    """Read these deliveries anew, and the places that the tool reserved; returns how many registrants change. With
    `dry_run` nothing is changed."""
    changed: set[Key] = set()
    # Places first: what Zoom reports about a registration overrides what we knew when we made it.
    for some in ([], *chunks(ids, IN_ONE_COMMIT)):
        with database.write() as connection, connection.begin_nested() as savepoint:
            changed |= _reread(connection, some, now) if some else _restore_places(connection, now)
            if dry_run:
                savepoint.rollback()
        progress(len(some))
    return len(changed)


def sessions_with_evidence(connection: Connection) -> Sequence[int]:
    """The ids of the live sessions that have any evidence and may still be settled."""
    session = live_sessions.c
    evidence = (
        select(zoom_inbox.c.id).where(zoom_inbox.c.meeting_id == session.zoom_meeting_id),
        select(zoom_report_fetches.c.id).where(zoom_report_fetches.c.live_session_id == session.id),
        select(attendance_corrections.c.id).where(attendance_corrections.c.live_session_id == session.id),
    )
    has_evidence = or_(*(each.exists() for each in evidence))
    query = select(session.id).where(session.state.in_(UNSETTLED), has_evidence).order_by(session.id)
    return connection.execute(query).scalars().all()


def would_change(database: Database, session_id: int, now: datetime) -> list[str]:
    """The keys of the people whose attendance a settlement of this session would change. Nothing is changed.

    Raises the errors of `settlement.settle`.
    """
    with database.read() as connection:
        present = load_presence(connection, show(connection, session_id))
    return preview(database, session_id, present.people, present.ended_at, now, reports_settled=present.reports_settled)


def _reread(connection: Connection, ids: Collection[int], now: datetime) -> set[Key]:
    """Record the registrations in these deliveries again; returns the registrants that changed."""
    bodies = select(zoom_inbox.c.body).where(zoom_inbox.c.id.in_(ids)).order_by(zoom_inbox.c.id)
    events = [read_event(body) for body in connection.execute(bodies).scalars()]
    keys = {(each.meeting_id[:32], each.registrant_id[:128]) for each in events}
    before = _recorded(connection, keys)
    record_registrations(connection, events, now)
    after = _recorded(connection, keys)
    return {key for key in keys if before.get(key) != after.get(key)}


def _recorded(connection: Connection, keys: Collection[Key]) -> dict[Key, Any]:
    """All that is recorded about these registrants, except the time of recording."""
    columns = [column for column in registrants.c if column.name != "recorded_at"]
    query = select(*columns).where(tuple_(registrants.c.meeting_id, registrants.c.registrant_id).in_(keys))
    return {(row.meeting_id, row.registrant_id): tuple(row) for row in connection.execute(query)}


def _restore_places(connection: Connection, now: datetime) -> set[Key]:
    """Record the registrations that the tool made itself, if they are not recorded any more."""
    same = and_(
        registrants.c.meeting_id == zoom_places.c.meeting_id, registrants.c.registrant_id == zoom_places.c.registrant_id
    )
    query = (
        select(zoom_places, trainees.c.email, trainees.c.name)
        .join_from(zoom_places, trainees)
        .where(zoom_places.c.registrant_id.is_not(None), ~select(registrants.c.meeting_id).where(same).exists())
        .order_by(zoom_places.c.id)
    )
    restored = set()
    for row in connection.execute(query).all():
        key = (row.meeting_id, row.registrant_id)
        record_place(connection, *key, row.trainee_id, email=row.email or "", name=row.name, now=now)
        if row.state == "cancelled":
            record_status(connection, row.meeting_id, [row.registrant_id], "cancelled")
        restored.add(key)
    return restored
