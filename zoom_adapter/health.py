"""Whether Zoom's deliveries come in and are worked off."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from lti_tool.tables.evidence import zoom_inbox
from lti_tool.tables.housekeeping import tasks
from zoom_adapter.presence import SETTLE
from zoom_adapter.schemas import URL_VALIDATION

# Zoom asks for a new proof every 72 hours and gives up after six failures (zoom.md §2).
CHALLENGE_EVERY = timedelta(hours=80)


def look(connection: Connection, now: datetime) -> dict[str, Any]:
    """The state of the inbox: counts, instants (aware UTC or None), and `challenge_overdue` when Zoom sends events but
    has not asked for 80 hours whether the address is ours."""
    received = zoom_inbox.c.received_at
    is_challenge = zoom_inbox.c.event == URL_VALIDATION
    last_event = connection.scalar(select(func.max(received)).where(~is_challenge))
    last_challenge = connection.scalar(select(func.max(received)).where(is_challenge))
    asked = last_challenge or connection.scalar(select(func.min(received)))
    return {
        "last_event_at": last_event,
        "last_challenge_at": last_challenge,
        "challenge_overdue": asked is not None and now - asked > CHALLENGE_EVERY,
        "deliveries": _count(connection),
        "untaken": _count(connection, zoom_inbox.c.taken_at.is_(None)),
        "stale": _count(connection, zoom_inbox.c.stale),
        "unreadable": _count(connection, zoom_inbox.c.event == ""),
        "by_previous_secret": _count(connection, zoom_inbox.c.secret_position > 0),
        "settlements_waiting": _tasks(connection, "ready"),
        "settlements_parked": _tasks(connection, "parked"),
    }


def _count(connection: Connection, *conditions: ColumnElement[bool]) -> int:
    return connection.scalar(select(func.count()).select_from(zoom_inbox).where(*conditions)) or 0


def _tasks(connection: Connection, state: str) -> int:
    return connection.scalar(select(func.count()).where(tasks.c.kind == SETTLE, tasks.c.state == state)) or 0
