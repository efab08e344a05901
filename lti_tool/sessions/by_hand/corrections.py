"""Presence that people vouch for, or take away, once a second person has confirmed it (ce.md T11).

What is taken away wins over everything; what is added is of the grade "manual" and shown as such wherever it appears.
How a correction comes about is in `correcting`.
"""

from collections import defaultdict
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, select

from lti_tool.errors import NotFound
from lti_tool.sessions.evidence import PresenceInterval
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import attendance_corrections as corrections

State = Literal["waiting", "in_force", "undone"]

WAITING = corrections.c.confirmed_at.is_(None) & corrections.c.undone_at.is_(None)


def in_force(connection: Connection, session_id: int) -> dict[int, tuple[PresenceInterval, ...]]:
    """The confirmed corrections of a session by trainee id, in order of time. `counts` false: taken away."""
    found: dict[int, list[PresenceInterval]] = defaultdict(list)
    query = select(corrections).where(
        corrections.c.live_session_id == session_id,
        corrections.c.confirmed_at.is_not(None),
        corrections.c.undone_at.is_(None),
    )
    for row in connection.execute(query.order_by(corrections.c.from_at, corrections.c.id)):
        found[row.trainee_id].append(interval_of(row))
    return {trainee_id: tuple(intervals) for trainee_id, intervals in found.items()}


def interval_of(row: Row[Any]) -> PresenceInterval:
    """What a correction says about presence, once it is in force."""
    return PresenceInterval(row.from_at, row.to_at, "manual", row.counts, f"correction:{row.id}")


def show(connection: Connection, correction_id: int) -> Row[Any]:
    """One correction. Raises NotFound "correction_unknown"."""
    row = connection.execute(select(corrections).where(corrections.c.id == correction_id)).first()
    if row is None:
        raise NotFound("correction_unknown", "There is no such correction.", "Choose one from the list of corrections.")
    return row


def state_of(row: Row[Any]) -> State:
    if row.undone_at is not None:
        return "undone"
    return "waiting" if row.confirmed_at is None else "in_force"


def waiting(connection: Connection) -> list[Row[Any]]:
    """What waits for a second person, first proposed first."""
    return _listed(connection, WAITING, corrections.c.proposed_at)


def decided(connection: Connection, limit: int = 50) -> list[Row[Any]]:
    """What was confirmed, turned down or taken back, the latest first."""
    return _listed(connection, ~WAITING, corrections.c.id.desc(), limit)


def of_person(connection: Connection, session_id: int, trainee_id: int) -> list[Row[Any]]:
    """Every correction of one person's day, the latest first."""
    theirs = (corrections.c.live_session_id == session_id) & (corrections.c.trainee_id == trainee_id)
    return _listed(connection, theirs, corrections.c.id.desc())


def _listed(connection: Connection, which: ColumnElement[bool], order: Any, limit: int | None = None) -> list[Row[Any]]:
    """Corrections with the person's name and what pages say of the session."""
    session = live_sessions.c
    columns = (
        trainees.c.name,
        session.module_id,
        session.starts_at,
        session.zone,
        session.state.label("session_state"),
    )
    query = select(corrections, *columns).join_from(corrections, trainees).join(live_sessions)
    return list(connection.execute(query.where(which).order_by(order, corrections.c.id).limit(limit)))
