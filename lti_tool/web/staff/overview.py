"""What the desk looks up across subjects. Reads only."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from lti_tool.attendance.live_sessions import NOT_CANCELLED
from lti_tool.audit import trainee_of
from lti_tool.programme.model import Programme
from lti_tool.retreats.applications import next_date
from lti_tool.rosters.schedule import is_offered
from lti_tool.tables.courses import rosters
from lti_tool.tables.credit import awards, claims
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.people import trainees
from lti_tool.times import day_of


@dataclass(frozen=True, slots=True)
class Credit:
    """The state of one claim; `credits` is None without an award."""

    body_id: str
    state: str
    credits: Any


def rosters_read_at(connection: Connection) -> datetime | None:
    """The oldest of the times at which the rosters in use were last read whole; None if none is in use."""
    read_at: datetime | None = connection.scalar(select(func.min(rosters.c.read_at)).where(is_offered()))
    return read_at


def credit_of_session(connection: Connection, session_id: int) -> dict[int, list[Credit]]:
    """Trainee id → the state of each claim of this session."""
    query = (
        select(claims.c.trainee_id, claims.c.body_id, claims.c.state, awards.c.credits)
        .outerjoin(
            awards,
            (awards.c.trainee_id == claims.c.trainee_id)
            & (awards.c.live_session_id == claims.c.live_session_id)
            & (awards.c.body_id == claims.c.body_id)
            & (awards.c.state == "awarded"),
        )
        .where(claims.c.live_session_id == session_id)
        .order_by(claims.c.body_id)
    )
    found: dict[int, list[Credit]] = {}
    for row in connection.execute(query):
        found.setdefault(row.trainee_id, []).append(Credit(row.body_id, row.state, row.credits))
    return found


def names(connection: Connection, trainee_ids: Collection[int]) -> dict[int, str]:
    """Trainee id → the name to show; "Person 7" where the platform sent none."""
    query = select(trainees.c.id, trainees.c.name).where(trainees.c.id.in_(trainee_ids))
    return {row.id: row.name or f"Person {row.id}" for row in connection.execute(query)}


def acting(connection: Connection, actors: Iterable[str | None]) -> dict[str, str]:
    """Actor ("staff:3", "cli") → the name to show."""
    ids = {actor: trainee_of(actor) for actor in actors if actor is not None}
    known = names(connection, {each for each in ids.values() if each is not None})
    fixed = {"cli": "An administrator", "system": "Gatehouse"}
    return {actor: fixed.get(actor) or known.get(number or 0, actor) for actor, number in ids.items()}


def next_sessions(connection: Connection, now: datetime, *only: ColumnElement[bool]) -> dict[str, datetime]:
    """Module id → when its next live session starts, of all or of `only` these."""
    query = (
        select(live_sessions.c.module_id, func.min(live_sessions.c.starts_at))
        .where(live_sessions.c.starts_at > now, *NOT_CANCELLED, *only)
        .group_by(live_sessions.c.module_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def starts(connection: Connection, programme: Programme, now: datetime) -> Mapping[str, date]:
    """Offering id → the day for which its gate is decided: of the live session that is on or comes next, and of a
    retreat's next date."""
    columns = (live_sessions.c.module_id, live_sessions.c.starts_at, live_sessions.c.zone)
    query = select(*columns).where(live_sessions.c.ends_at > now, *NOT_CANCELLED)
    found: dict[str, date] = {}
    for module_id, starts_at, zone in connection.execute(query.order_by(live_sessions.c.starts_at, live_sessions.c.id)):
        found.setdefault(module_id, day_of(starts_at, zone))
    dates = {each: next_date(retreat, day_of(now, programme.zone)) for each, retreat in programme.retreats.items()}
    return found | {each: place.starts_on for each, place in dates.items() if place}
