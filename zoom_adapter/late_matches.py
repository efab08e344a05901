"""People who were in a class before the tool knew them: a launch, a roster or a link said later who they are."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from lti_tool.db import Database
from lti_tool.tables.live_sessions import attendances, live_sessions
from zoom_adapter.persons import Identity
from zoom_adapter.presence import UNSETTLED, ask_for
from zoom_adapter.registrants import directory


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
