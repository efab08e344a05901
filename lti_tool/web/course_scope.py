"""What belongs to one course: the modules that its units open, their sessions, and the people enrolled in it.

Teachers who hold no programme role see and do nothing beyond it (roles.md RL4).
"""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select

from lti_tool.tables.browser_sessions import deep_link_requests
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.live_sessions import attendances, live_sessions

# Registration and context id; None or "" where launches carry no context.
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


def _is_of(table: Any, course: Course) -> ColumnElement[bool]:
    registration_id, context_id = course
    return and_(table.c.registration_id == registration_id, func.coalesce(table.c.context_id, "") == (context_id or ""))


def _session(course: Course, value: int) -> Select[Any]:
    is_of = live_sessions.c.module_id.in_(module_ids(course))
    return select(live_sessions.c.id).where(live_sessions.c.id == value, is_of)


def _unit(course: Course, value: int) -> Select[Any]:
    return select(placements.c.id).where(placements.c.id == value, _is_of(placements, course))


def _attendance(course: Course, value: int) -> Select[Any]:
    of_session = select(attendances.c.id).join_from(attendances, live_sessions)
    return of_session.where(attendances.c.id == value, live_sessions.c.module_id.in_(module_ids(course)))


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
