"""The numbers of live sessions, each counted in one place for every page: enrolled, attended, completed, credited and
graded people. Who teaches or assists never counts."""

from collections.abc import Collection, Set
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, or_, select

from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.rosters.schedule import IS_TRAINEE, is_placed_in
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.credit import awards
from lti_tool.tables.gates import completions
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.scores import scores
from zoom_adapter import admission


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many people one session has.

    `enrolled` are in a course that shows its module now. `attended` were in the class and are matched to a trainee,
    `completed` are those of them who completed it.
    """

    enrolled: int = 0
    attended: int = 0
    completed: int = 0


@dataclass(frozen=True, slots=True)
class Funnel(Numbers):
    """The same, with those of the attendees who got credit from some body, and those of the completed whose score a
    gradebook has accepted, or where a grade entered there is kept."""

    credited: int = 0
    graded: int = 0

    @property
    def steps(self) -> list[tuple[str, int]]:
        names = ("enrolled", "attended", "completed", "credited")
        return [*((name.capitalize(), getattr(self, name)) for name in names), ("Completed and graded", self.graded)]

    @property
    def widest(self) -> int:
        return max(1, *(count for _, count in self.steps))


@dataclass(frozen=True, slots=True)
class Needing:
    """The enrolled people of one session, apart: `excused` have completed its module already, `locked` have a shut
    gate, and `expected` are all others. `admitted` have an open gate, be they enrolled or not."""

    expected: Set[int]
    excused: Set[int]
    locked: Set[int]
    admitted: Set[int]


def needing(connection: Connection, session: LiveSession, now: datetime, others: Collection[int] = ()) -> Needing:
    """The enrolled people as of `now`. Gates, those of `others` too, are evaluated as for joining: by the programme in
    force."""
    enrolled = admission.enrolled(connection, [session])
    in_force = (completions.c.module_id == session.module_id, completions.c.ended_at.is_(None))
    excused = enrolled & set(connection.scalars(select(completions.c.trainee_id).where(*in_force)))
    due = enrolled - excused
    admitted = admission.admits(connection, due | set(others), [session], now)
    return Needing(due & admitted, excused, due - admitted, admitted)


def of_sessions(connection: Connection, sessions: Collection[LiveSession]) -> dict[int, Numbers]:
    """Session id → its numbers, in two statements for any number of sessions."""
    enrolled = admission.enrolled_in(connection, {each.module_id for each in sessions})
    completed = func.count(case((attendances.c.completed, 1)))
    query = (
        select(attendances.c.live_session_id, func.count().label("attended"), completed.label("completed"))
        .join_from(attendances, live_sessions)
        .where(attendances.c.live_session_id.in_({each.id for each in sessions}), has_attended())
        .group_by(attendances.c.live_session_id)
    )
    counted = {row.live_session_id: (row.attended, row.completed) for row in connection.execute(query)}
    return {each.id: Numbers(enrolled.get(each.module_id, 0), *counted.get(each.id, (0, 0))) for each in sessions}


def funnel(connection: Connection, session: LiveSession) -> Funnel:
    """The numbers of one session, from enrolled to graded."""
    numbers = of_sessions(connection, [session])[session.id]
    here = attendances.c.live_session_id == session.id
    attendees = select(attendances.c.trainee_id).join_from(attendances, live_sessions).where(here, has_attended())
    in_force = (awards.c.live_session_id == session.id, awards.c.state == "awarded", awards.c.trainee_id.in_(attendees))
    credited = connection.scalar(select(func.count(awards.c.trainee_id.distinct())).where(*in_force)) or 0
    is_sent = scores.c.status.in_(("delivered", "kept"))
    of_module = (placements.c.module_id == session.module_id, is_sent)
    completed = scores.c.trainee_id.in_(attendees.where(attendances.c.completed))
    people = select(func.count(scores.c.trainee_id.distinct())).join_from(scores, placements)
    graded = connection.scalar(people.where(*of_module, completed)) or 0
    return Funnel(numbers.enrolled, numbers.attended, numbers.completed, credited, graded)


def has_attended() -> ColumnElement[bool]:
    """Current attendances, joined with their sessions, of matched people who were in the class and neither teach
    nor assist in it."""

    def enrolled_as(role: ColumnElement[bool]) -> ColumnElement[bool]:
        of_course = is_placed_in(enrolments.c.registration_id, enrolments.c.context_id)
        shows = placements.c.module_id == live_sessions.c.module_id
        mine = enrolments.c.trainee_id == attendances.c.trainee_id
        courses = select(placements.c.id).where(of_course, shows).correlate(enrolments, live_sessions)
        return exists(select(enrolments.c.trainee_id).where(mine, role, courses.exists()))

    helps_somewhere = attendances.c.trainee_id.in_(select(enrolments.c.trainee_id).where(~IS_TRAINEE))
    return and_(
        attendances.c.is_current,
        attendances.c.trainee_id.is_not(None),
        attendances.c.seconds_present > 0,
        or_(~helps_somewhere, ~enrolled_as(~IS_TRAINEE), enrolled_as(IS_TRAINEE)),
    )


def teachers(connection: Connection, session: LiveSession) -> set[int]:
    """Those who teach or assist, and are no trainees, in the courses that show the session's module."""
    staff = admission.enrolled(connection, [session], ~IS_TRAINEE)
    return staff - admission.enrolled(connection, [session], among=staff)
