"""Rosters as staff read them: the courses with how fresh their roster is, and the people of one course."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Subquery, and_, case, func, select

from lti_tool.rosters.due import CourseKey, is_of, is_offered, is_placed_in, unknown
from lti_tool.rosters.records import READ_FAILED, SHRANK
from lti_tool.tables.courses import enrolments, placements, roster_members, rosters
from lti_tool.tables.people import trainees
from lti_tool.tables.platforms import registrations

# What keeps a roster from being read, in words for the people who run the course.
TROUBLES = {
    "above_response_limit": "This course is larger than the platform's limit; people are known from launches only.",
    "roster_refused": "The platform does not let the tool read this roster. Is Names and Roles still on for the unit?",
    "roster_unreadable": "The platform's answer is not a roster as the standard describes it.",
    "next_link_foreign": "The platform continued its roster on a foreign host, where no access token is sent.",
    "roster_too_slow": "The platform told its roster so slowly that it was not waited for.",
    SHRANK: "The platform suddenly lists less than half of the people. It is read once more before that is believed.",
    READ_FAILED: "Something went wrong here while it was read. The log of the server says more.",
    "token_refused": "The platform gave no access token. Often it cannot read this tool's key set.",
    "scope_refused": "The platform does not allow this service to the tool.",
    "service_foreign": "The roster is not on one of the platform's own hosts, so no access token is sent there.",
    "no_answer": "The platform did not answer in time. It is asked again soon.",
}
ANY_TROUBLE = "The platform's roster could not be read."
NOT_OFFERED = "The units of this course no longer offer a roster. People are known from launches only."


@dataclass(frozen=True, slots=True)
class CourseRoster:
    """The roster of one course and how it stands. `members`: how many belong to the course now, None before the first
    read; `read_at`: when what is shown was true, None likewise."""

    key: CourseKey
    title: str
    issuer: str
    client_id: str
    members: int | None
    read_at: datetime | None
    code: str
    is_offered: bool
    is_due: bool

    @property
    def trouble(self) -> str:
        """What is in the way, in words; empty when nothing is."""
        if not self.is_offered:
            return NOT_OFFERED
        return TROUBLES.get(self.code, ANY_TROUBLE) if self.code else ""


@dataclass(frozen=True, slots=True)
class ListedMember:
    """One person of a roster. `role` is the latest launch's, the roster's before there is one (lti.md RO-6)."""

    trainee_id: int
    user_id: str
    name: str | None
    email: str | None
    role: str
    groups: Sequence[str]
    last_launch_at: datetime | None
    first_seen_at: datetime
    left_at: datetime | None

    @property
    def shown_name(self) -> str:
        return self.name or f"Person {self.trainee_id}"


def courses(connection: Connection, now: datetime) -> list[CourseRoster]:
    """Every course with a roster, by title."""
    found = _courses(connection, now)
    return sorted(found, key=lambda each: (each.title.casefold(), each.key))


def course(connection: Connection, key: CourseKey, now: datetime) -> CourseRoster:
    """One course. Raises NotFound `roster_unknown`."""
    found = _courses(connection, now, is_of(rosters, key))
    if not found:
        raise unknown()
    return found[0]


def unreadable() -> Subquery:
    """The offered rosters that cannot be read; `since`: when each was last read whole, or tried where it never was. One
    that shrank is not among them: it is read once more and then believed."""
    since = func.coalesce(rosters.c.read_at, rosters.c.tried_at).label("since")
    return select(since).where(rosters.c.code.not_in(("", SHRANK)), is_offered()).subquery()


def members(connection: Connection, key: CourseKey, *, with_left: bool = True) -> list[ListedMember]:
    """The people of a roster by name, those who left behind the others."""
    launched = enrolments.c.last_launch_at.is_not(None)
    here = and_(is_of(enrolments, key), enrolments.c.trainee_id == roster_members.c.trainee_id)
    names = ("trainee_id", "user_id", "groups", "first_seen_at", "left_at")
    query = (
        select(
            *(roster_members.c[name] for name in names),
            case((launched, enrolments.c.role), else_=roster_members.c.role).label("role"),
            enrolments.c.last_launch_at,
            trainees.c.name,
            trainees.c.email,
        )
        .join_from(roster_members, trainees)
        .outerjoin(enrolments, here)
        .where(is_of(roster_members, key))
    )
    rows = connection.execute(query if with_left else query.where(roster_members.c.left_at.is_(None)))
    found = [ListedMember(**row._mapping) for row in rows]
    return sorted(found, key=lambda each: (each.left_at is not None, each.shown_name.casefold(), each.user_id))


def _courses(connection: Connection, now: datetime, *conditions: ColumnElement[bool]) -> list[CourseRoster]:
    query = (
        select(
            rosters,
            registrations.c.issuer,
            registrations.c.client_id,
            func.max(placements.c.context_title).label("title"),
            func.count(placements.c.memberships_url).label("offers"),
        )
        .join_from(rosters, registrations)
        .outerjoin(placements, is_placed_in(rosters.c.registration_id, rosters.c.context_id))
        .where(*conditions)
        .group_by(*rosters.c, registrations.c.issuer, registrations.c.client_id)
    )
    return [_course(row, now) for row in connection.execute(query)]


def _course(row: Any, now: datetime) -> CourseRoster:
    """While a read runs or after one that failed, what is shown is as old as the last whole read."""
    is_last_try_good = not row.code and row.lease_owner is None
    return CourseRoster(
        key=CourseKey(row.registration_id, row.context_id),
        title=row.title or row.context_id or "No course",
        issuer=row.issuer,
        client_id=row.client_id,
        members=row.members,
        read_at=row.tried_at if is_last_try_good and row.read_at else row.read_at,
        code=row.code,
        is_offered=row.offers > 0,
        is_due=row.lease_owner is not None or row.next_at <= now,
    )
