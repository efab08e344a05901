"""What the desk counts and looks up across subjects. Reads only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select, true

from lti_tool.attendance import corrections, locking, matching, person_joins, reviews
from lti_tool.audit import trainee_of
from lti_tool.platforms import course_units
from lti_tool.rosters import queries
from lti_tool.tables.credit import awards, claims
from lti_tool.tables.gates import equivalency_requests
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.operations import tasks
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import attendance_corrections, attendance_requests
from lti_tool.tables.scores import scores
from lti_tool.tables.zoom import zoom_gaps


@dataclass(frozen=True, slots=True)
class Waiting:
    """One line of the desk: how many need attention, since when the oldest does, and where."""

    says: str
    where: str
    count: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Credit:
    """The state of one claim; `credits` is None without an award."""

    body_id: str
    state: str
    credits: Any


def waiting(connection: Connection, now: datetime) -> list[Waiting]:
    """What needs attention, in the order in which staff should look at it."""
    parked, on_their_way = scores.c.status == "parked", scores.c.status == "waiting"
    regraded = (scores.c.seen == "differs") & scores.c.status.in_(("delivered", "parked"))
    units, rosters = course_units.unconfirmed(now), queries.unreadable()
    proposed_at, ends_at = attendance_corrections.c.proposed_at, live_sessions.c.ends_at

    def counted(says: str, where: str, since: Any, which: ColumnElement[bool]) -> Waiting:
        count, oldest = connection.execute(select(func.count(), func.min(since)).where(which)).one()
        return Waiting(says, where, count, oldest)

    def listed(says: str, where: str, since: list[datetime]) -> Waiting:
        return Waiting(says, where, len(since), min(since, default=None))

    submitted, asked = equivalency_requests.c.state == "submitted", attendance_requests.c.state == "open"
    shared = [each.since for each in person_joins.suggestions(connection)]
    due = [row.settled_at for row in reviews.due(connection)]
    return [
        counted("Requests to review", "/desk/equivalencies", equivalency_requests.c.submitted_at, submitted),
        listed("Unmatched people in sessions", "/desk/unmatched", matching.waiting_since(connection)),
        listed("Addresses that two people share", "/desk/joins", shared),
        listed("Attendance to review", "/desk/reviews", due),
        counted("Requests about attendance", "/desk/attendance-requests", attendance_requests.c.created_at, asked),
        counted("Corrections waiting for a second person", "/desk/corrections", proposed_at, corrections.WAITING),
        counted("Possible gaps in attendance data", "/desk/settings/zoom", zoom_gaps.c.since, true()),
        counted("Sessions still marked as running", "/desk/sessions", ends_at, locking.is_missing(now)),
        counted("Courses with unconfirmed units", "/desk/courses", units.c.since, true()),
        counted("Rosters that cannot be read", "/desk/rosters", rosters.c.since, true()),
        counted("Scores a platform refused", "/desk/scores", scores.c.desired_at, parked & ~regraded),
        counted("Grades changed on a platform", "/desk/scores?state=regraded", scores.c.seen_at, regraded),
        counted("Scores on their way", "/desk/scores", scores.c.desired_at, on_their_way),
        counted("Background jobs that failed", "/desk/settings/jobs", tasks.c.created_at, tasks.c.state == "parked"),
    ]


def parked_tasks(connection: Connection) -> list[Row[Any]]:
    """The background jobs that failed too often, the oldest first."""
    return list(connection.execute(select(tasks).where(tasks.c.state == "parked").order_by(tasks.c.id)))


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


def names(connection: Connection, trainee_ids: set[int]) -> dict[int, str]:
    """Trainee id → the name to show; "Person 7" where the platform sent none."""
    query = select(trainees.c.id, trainees.c.name).where(trainees.c.id.in_(trainee_ids))
    return {row.id: row.name or f"Person {row.id}" for row in connection.execute(query)}


def acting(connection: Connection, actors: Iterable[str | None]) -> dict[str, str]:
    """Actor ("staff:3", "cli") → the name to show."""
    ids = {actor: trainee_of(actor) for actor in actors if actor is not None}
    known = names(connection, {each for each in ids.values() if each is not None})
    fixed = {"cli": "the command line", "system": "Gatehouse itself"}
    return {actor: fixed.get(actor) or known.get(number or 0, actor) for actor, number in ids.items()}


def next_sessions(connection: Connection, now: datetime) -> dict[str, datetime]:
    """Module id → when its next live session starts."""
    query = (
        select(live_sessions.c.module_id, func.min(live_sessions.c.starts_at))
        .where(live_sessions.c.starts_at > now, live_sessions.c.state != "cancelled")
        .group_by(live_sessions.c.module_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}
