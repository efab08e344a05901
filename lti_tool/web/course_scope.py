"""What belongs to one course: the modules that its units open, their sessions, and the people enrolled in it.

Teachers who hold no programme role see and do nothing beyond it (roles.md RL4).
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from lti_tool.tables.browser_sessions import deep_link_requests
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.platforms import registrations

# The registration of a launch and its context id; None where launches carry no context.
Course = tuple[int, str | None]


def holds(connection: Connection, course: Course, named: Mapping[str, Any]) -> bool:
    """Whether everything that an address names belongs to the course. What it names by none of the names of `_QUERIES`
    belongs to no course."""
    return all(name in _QUERIES and connection.scalar(_QUERIES[name](course, value)) for name, value in named.items())


def module_ids(course: Course) -> Select[Any]:
    """The ids of the modules that the course's units open."""
    return select(placements.c.module_id).where(_is_of(placements, course), placements.c.module_id.is_not(None))


def trainee_ids(course: Course) -> Select[Any]:
    """The ids of the people enrolled in the course."""
    return select(enrolments.c.trainee_id).where(_is_of(enrolments, course))


def registration_ids(course: Course) -> Select[Any]:
    """The registrations under which the course is launched: the one of this launch. Open edX has one client id for each
    unit of a course (openedx.md §1), so there it is every one of the site; elsewhere one issuer may serve many
    schools."""
    registration_id, context_id = course
    is_own = registrations.c.id == registration_id
    if context_id is None:
        return select(registrations.c.id).where(is_own)
    issuer = select(registrations.c.issuer).where(is_own).scalar_subquery()
    is_same_site = and_(registrations.c.issuer == issuer, registrations.c.profile == "openedx")
    return select(registrations.c.id).where(or_(is_own, is_same_site))


def _is_of(table: Any, course: Course) -> ColumnElement[bool]:
    here = func.coalesce(table.c.context_id, "") == (course[1] or "")
    return and_(here, table.c.registration_id.in_(registration_ids(course)))


def _session(course: Course, value: int) -> Select[Any]:
    is_of = live_sessions.c.module_id.in_(module_ids(course))
    return select(live_sessions.c.id).where(live_sessions.c.id == value, is_of)


def _unit(course: Course, value: int) -> Select[Any]:
    return select(placements.c.id).where(placements.c.id == value, _is_of(placements, course))


def _attendance(course: Course, value: int) -> Select[Any]:
    of_people = attendances.c.trainee_id.in_(trainee_ids(course))
    return select(attendances.c.id).where(attendances.c.id == value, of_people)


def _deep_link(course: Course, value: int) -> Select[Any]:
    asked = deep_link_requests
    return select(asked.c.id).where(asked.c.id == value, _is_of(asked, course))


_QUERIES: Mapping[str, Callable[[Course, Any], Select[Any]]] = {
    "session_id": _session,
    "attendance_id": _attendance,
    "trainee_id": lambda course, value: trainee_ids(course).where(enrolments.c.trainee_id == value).limit(1),
    "module_id": lambda course, value: module_ids(course).where(placements.c.module_id == value).limit(1),
    "unit_id": _unit,
    "deep_link_id": _deep_link,
}
