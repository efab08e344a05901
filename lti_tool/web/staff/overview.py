"""What the desk counts and looks up across subjects; reads only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, func, select, true

from lti_tool.attendance import corrections, locking, matching, reviews
from lti_tool.audit import trainee_of
from lti_tool.platforms import course_units
from lti_tool.rosters import queries
from lti_tool.tables.credit import awards, claims
from lti_tool.tables.gates import equivalency_requests as requests
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.operations import tasks
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import attendance_corrections as by_hand
from lti_tool.tables.presence import attendance_requests as asked
from lti_tool.tables.scores import scores
from lti_tool.tables.zoom import zoom_gaps


@dataclass(frozen=True, slots=True)
class Waiting:
    """One line of the desk: how many wait for a person, since when the oldest does, and where to look."""

    says: str
    where: str
    count: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Credit:
    """What one claim came to; `credits` is None without an award."""

    body_id: str
    state: str
    credits: Any


def waiting(connection: Connection, now: datetime) -> list[Waiting]:
    """What waits, in the order in which people should look at it."""
    parked, on_their_way = scores.c.status == "parked", scores.c.status == "waiting"
    regraded = (scores.c.seen == "differs") & scores.c.status.in_(("delivered", "parked"))
    unseen, unread = course_units.unconfirmed(now), queries.unreadable()
    lines: tuple[tuple[str, str, Any, ColumnElement[bool]], ...] = (
        ("Requests to review", "/desk/equivalencies", requests.c.submitted_at, _is("submitted")),
        ("Requests about attendance", "/desk/attendance-requests", asked.c.created_at, asked.c.state == "open"),
        ("Corrections waiting for a second person", "/desk/corrections", by_hand.c.proposed_at, corrections.WAITING),
        ("Gaps in Zoom's evidence", "/desk#evidence", zoom_gaps.c.since, true()),
        ("Sessions nobody has said are over", "/desk/sessions", live_sessions.c.ends_at, locking.is_missing(now)),
        ("Courses whose units nobody has confirmed", "/desk/courses", unseen.c.since, true()),
        ("Rosters that cannot be read", "/desk/rosters", unread.c.since, true()),
        ("Scores a platform refused", "/desk/scores", scores.c.desired_at, parked & ~regraded),
        ("Grades somebody changed on a platform", "/desk/scores?state=regraded", scores.c.seen_at, regraded),
        ("Scores on their way", "/desk/scores", scores.c.desired_at, on_their_way),
        ("Tasks that failed too often", "/desk#tasks", tasks.c.created_at, tasks.c.state == "parked"),
    )
    counted = [_waiting(connection, *line) for line in lines]
    return [counted[0], *_people_waiting(connection), *counted[1:]]


def _people_waiting(connection: Connection) -> list[Waiting]:
    """People seen in sessions of whom somebody has to say something."""
    nobodies = matching.waiting_since(connection)
    doubtful = [row.settled_at for row in reviews.due(connection)]
    return [
        Waiting(says, where, len(since), min(since, default=None))
        for says, where, since in (
            ("People in sessions nobody has matched", "/desk/unmatched", nobodies),
            ("Days to look at", "/desk/reviews", doubtful),
        )
    ]


def parked_tasks(connection: Connection) -> list[Row[Any]]:
    """The tasks that failed too often, the oldest first."""
    return list(connection.execute(select(tasks).where(tasks.c.state == "parked").order_by(tasks.c.id)))


def awaiting_answer(connection: Connection) -> list[Row[Any]]:
    """Requests that wait for the learner's answer, with the learner's name."""
    query = select(requests, trainees.c.name).join(trainees).where(_is("more_info"))
    return list(connection.execute(query.order_by(requests.c.updated_at)))


def recently_decided(connection: Connection, limit: int = 20) -> list[Row[Any]]:
    """The latest approvals and refusals, with the learner's name."""
    query = select(requests, trainees.c.name).join(trainees).where(requests.c.decided_at.is_not(None))
    return list(connection.execute(query.order_by(requests.c.decided_at.desc(), requests.c.id.desc()).limit(limit)))


def people_by_session(connection: Connection) -> dict[int, tuple[int, int]]:
    """Session id → how many known people are on record, and how many of them completed."""
    completed = func.count(case((attendances.c.completed, 1)))
    known = attendances.c.is_current & attendances.c.trainee_id.is_not(None)
    query = select(attendances.c.live_session_id, func.count(), completed).where(known)
    grouped = connection.execute(query.group_by(attendances.c.live_session_id))
    return {session_id: (people, done) for session_id, people, done in grouped}


def credit_of_session(connection: Connection, session_id: int) -> dict[int, list[Credit]]:
    """Trainee id → what the claims of this session came to."""
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
    """Actor ("staff:3", "cli") → whom to name as the one who acted."""
    ids = {actor: trainee_of(actor) for actor in actors if actor is not None}
    known = names(connection, {each for each in ids.values() if each is not None})
    said = {"cli": "the command line", "system": "Gatehouse itself"}
    return {actor: said.get(actor) or known.get(number or 0, actor) for actor, number in ids.items()}


def next_sessions(connection: Connection, now: datetime) -> dict[str, datetime]:
    """Module id → when its next live session starts."""
    query = (
        select(live_sessions.c.module_id, func.min(live_sessions.c.starts_at))
        .where(live_sessions.c.starts_at > now, live_sessions.c.state != "cancelled")
        .group_by(live_sessions.c.module_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _is(state: str) -> ColumnElement[bool]:
    return requests.c.state == state


def _waiting(connection: Connection, says: str, where: str, since: Any, which: ColumnElement[bool]) -> Waiting:
    count, oldest = connection.execute(select(func.count(), func.min(since)).where(which)).one()
    return Waiting(says, where, count, oldest)
