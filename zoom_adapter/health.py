"""Whether Zoom's deliveries come in, are kept as they came, and are worked off."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from lti_tool.tables.evidence import zoom_inbox
from lti_tool.tables.housekeeping import tasks
from zoom_adapter import gaps, refusals, seals
from zoom_adapter.presence import SETTLE
from zoom_adapter.schemas import URL_VALIDATION


def look(connection: Connection, now: datetime) -> dict[str, Any]:
    """The state of the inbox: counts, instants (aware UTC or None), `challenge_overdue` when Zoom sends events but has
    not asked for 80 hours whether the address is ours, `sealed` with the end of the chain of seals, and what was turned
    away since midnight UTC, by code."""
    known = gaps.heard(connection)
    asked = known.challenge_at or known.first_at
    end = seals.head(connection)
    return {
        "last_event_at": _last_event_at(connection),
        "last_challenge_at": known.challenge_at,
        "challenge_overdue": asked is not None and now - asked > gaps.CHALLENGE_OVERDUE,
        **_counts(connection),
        "sealed": end.position,
        "last_seal": end.seal or None,
        "refused_today": {code: count for code, (count, _) in refusals.since(connection, now.date()).items()},
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
