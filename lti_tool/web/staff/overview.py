"""What the desk counts and looks up across subjects: one function for each number. Reads only."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, and_, case, cast, exists, func, or_, select

from lti_tool.attendance.evidence import EVIDENCE_WITHDRAWN, STAFF_ROLE
from lti_tool.attendance.live_sessions import NOT_CANCELLED, LiveSession
from lti_tool.audit import trainee_of
from lti_tool.programme.model import Programme
from lti_tool.retreats.applications import next_date
from lti_tool.rosters.queries import count_enrolled
from lti_tool.rosters.schedule import is_offered, is_placed_in
from lti_tool.tables.courses import enrolments, placements, rosters
from lti_tool.tables.credit import awards, claims
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.people import trainees
from lti_tool.tables.scores import scores
from lti_tool.times import day_of


@dataclass(frozen=True, slots=True)
class Credit:
    """The state of one claim; `credits` is None without an award."""

    body_id: str
    state: str
    credits: Any


@dataclass(frozen=True, slots=True)
class Funnel:
    """What became of a session's learners. `enrolled` is None without a roster; `sent` of `scores` are delivered."""

    enrolled: int | None
    attended: int
    completed: int
    credited: int
    graded: int
    sent: int
    scores: int

    @property
    def steps(self) -> list[tuple[str, int]]:
        """Each step in words with its number of people."""
        first = [] if self.enrolled is None else [("Enrolled", self.enrolled)]
        names = ("attended", "completed", "credited", "graded")
        return first + [(name.capitalize(), getattr(self, name)) for name in names]

    @property
    def most(self) -> int:
        return max(1, *(number for _, number in self.steps))


def _enrolled_as(is_staff: bool) -> ColumnElement[bool]:
    here = is_placed_in(enrolments.c.registration_id, enrolments.c.context_id)
    role = enrolments.c.role == "staff" if is_staff else enrolments.c.role != "staff"
    of_module = select(placements.c.id).where(here, placements.c.module_id == live_sessions.c.module_id)
    return exists().where(enrolments.c.trainee_id == attendances.c.trainee_id, role, of_module.exists())


def _has_flag(flag: str) -> ColumnElement[bool]:
    return cast(attendances.c.flags, String).contains(f'"{flag}"', autoescape=True)


# The rows of `attendances`, joined with their session, of known people who attended. Staff of the course, those who
# only ran the session, and those whose evidence names another person now are no attendees.
ATTENDED = and_(
    attendances.c.is_current,
    attendances.c.trainee_id.is_not(None),
    (attendances.c.seconds_present > 0) | ~(_has_flag(STAFF_ROLE) | _has_flag(EVIDENCE_WITHDRAWN)),
    or_(~_enrolled_as(is_staff=True), _enrolled_as(is_staff=False)),
)


def people_by_session(connection: Connection) -> dict[int, tuple[int, int]]:
    """Session id → how many people attended, and how many of them completed."""
    completed = func.count(case((attendances.c.completed, 1)))
    query = select(attendances.c.live_session_id, func.count(), completed).join_from(attendances, live_sessions)
    grouped = connection.execute(query.where(ATTENDED).group_by(attendances.c.live_session_id))
    return {session_id: (people, done) for session_id, people, done in grouped}


def funnel(connection: Connection, session: LiveSession) -> Funnel:
    """How many learners of a session were enrolled, attended, completed, got credit, and have a grade on a platform."""
    came = (
        select(attendances.c.trainee_id, attendances.c.completed)
        .join_from(attendances, live_sessions)
        .where(ATTENDED, live_sessions.c.id == session.id)
        .subquery()
    )
    among = select(came.c.trainee_id)
    attended, completed = connection.execute(
        select(func.count(came.c.trainee_id.distinct()), func.count(case((came.c.completed, came.c.trainee_id))))
    ).one()
    in_force = (awards.c.live_session_id == session.id, awards.c.state == "awarded", awards.c.trainee_id.in_(among))
    credited = connection.execute(select(func.count(awards.c.trainee_id.distinct())).where(*in_force)).scalar_one()
    is_sent = scores.c.status.in_(("delivered", "kept"))
    of_module = (placements.c.module_id == session.module_id, scores.c.trainee_id.in_(among))
    graded, sent, every = connection.execute(
        select(
            func.count(case((is_sent, scores.c.trainee_id)).distinct()), func.count(case((is_sent, 1))), func.count()
        )
        .join_from(scores, placements)
        .where(*of_module)
    ).one()
    enrolled = count_enrolled(connection, [session.module_id]).get(session.module_id)
    return Funnel(enrolled, attended, completed, credited, graded, sent, every)


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
    fixed = {"cli": "the command line", "system": "Gatehouse itself"}
    return {actor: fixed.get(actor) or known.get(number or 0, actor) for actor, number in ids.items()}


def next_sessions(connection: Connection, now: datetime) -> dict[str, datetime]:
    """Module id → when its next live session starts."""
    query = (
        select(live_sessions.c.module_id, func.min(live_sessions.c.starts_at))
        .where(live_sessions.c.starts_at > now, *NOT_CANCELLED)
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
