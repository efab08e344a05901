"""Computes all data derived from the evidence again: the registrants and the attendance.

Inbox, reports, matches by staff, corrections and places are the evidence itself; they never change here.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, or_, select, tuple_

from lti_tool.attendance.live_sessions import show
from lti_tool.attendance.settlement import preview
from lti_tool.db import Database, chunks
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import attendance_corrections, zoom_places
from lti_tool.tables.zoom import registrants, zoom_inbox, zoom_report_fetches
from zoom_adapter.events import read_event
from zoom_adapter.presence import UNSETTLED, load_presence
from zoom_adapter.registrants import record_place, record_registrations, record_status

# Small transactions, so a delivery that comes in the meantime hardly waits.
IN_ONE_COMMIT = 100

Key = tuple[str, str]


def registrations(connection: Connection) -> Sequence[int]:
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


def sessions(connection: Connection) -> Sequence[int]:
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
