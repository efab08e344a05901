"""Rosters for staff: the courses, the people of one course, and which learners are missing from a live session.

Nothing is decided by these lists: a roster may leave people out, and a trainee may arrive later (lti.md NR-7).
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    String,
    Subquery,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    select,
)

from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.queries import IS_WITHDRAWN
from lti_tool.rosters.reading import READ_FAILED, SHRANK
from lti_tool.rosters.schedule import CourseKey, is_of, is_offered, is_placed_in, unknown
from lti_tool.tables.courses import enrolments, placements, roster_members, rosters
from lti_tool.tables.gates import completions
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.people import trainees
from lti_tool.tables.platforms import registrations

# Why a roster could not be read, in words for the people who run the course.
TROUBLES = {
    "above_response_limit": "This course is larger than the platform's limit; people are known from launches only.",
    "roster_refused": "The platform does not let Gatehouse read this roster. Is Names and Roles still on for the unit?",
    "roster_unreadable": "The platform's answer is not a valid roster.",
    "next_link_foreign": "The next page of the roster is on another host. Gatehouse sends no access token there.",
    "roster_too_slow": "The platform took too long to send its roster.",
    SHRANK: "The platform suddenly lists fewer than half of the people. Gatehouse reads it once more to be sure.",
    READ_FAILED: "Gatehouse failed to read this roster. The server's log has details.",
    "token_refused": "The platform issued no access token. Often it cannot read Gatehouse's key set.",
    "scope_refused": "The platform does not grant Gatehouse this service.",
    "service_foreign": "The roster is not on one of the platform's hosts. Gatehouse sends no access token there.",
    "no_answer": "The platform did not answer in time. Gatehouse tries again soon.",
}
MAX_SESSIONS = 20
ANY_TROUBLE = "The platform's roster could not be read."
NOT_OFFERED = "The units of this course no longer offer a roster. People are known from launches only."


@dataclass(frozen=True, slots=True)
class CourseRoster:
    """The roster of one course. `members` is how many people belong to it, `read_at` the time for which that is true;
    both are None before the first read. `skipped` is how many entries the platform listed without saying who they are.
    """

    key: CourseKey
    title: str
    issuer: str
    client_id: str
    members: int | None
    read_at: datetime | None
    code: str
    is_offered: bool
    is_due: bool
    skipped: int

    @property
    def trouble(self) -> str:
        """Why the roster cannot be read, in words; empty if it can."""
        if not self.is_offered:
            return NOT_OFFERED
        return TROUBLES.get(self.code, ANY_TROUBLE) if self.code else ""


@dataclass(frozen=True, slots=True)
class ListedMember:
    """One person of a roster. `role` is that of the latest launch, or the roster's if there was none (lti.md RO-6)."""

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
    """The offered rosters that cannot be read. `since` is the last complete read, or the last try if there was none. A
    roster that shrank is left out: it is read once more and then accepted."""
    since = func.coalesce(rosters.c.read_at, rosters.c.tried_at).label("since")
    return select(since).where(rosters.c.code.not_in(("", SHRANK)), is_offered()).subquery()


def members(connection: Connection, key: CourseKey) -> list[ListedMember]:
    """The people of a roster by name, those who have left at the end."""
    return as_members(connection.execute(listed(key)))


def listed(key: CourseKey, *conditions: Callable[[Subquery], ColumnElement[bool]]) -> Select[Any]:
    """The query of the people of a roster who meet these conditions, in the same order."""
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
    found = query.subquery()
    shown_name = func.coalesce(found.c.name, literal("Person ") + cast(found.c.trainee_id, String))
    order = found.c.left_at.is_not(None), func.lower(shown_name), found.c.user_id
    return select(found).where(*(each(found) for each in conditions)).order_by(*order)


def as_members(rows: Iterable[Row[Any]]) -> list[ListedMember]:
    """The rows of such a query."""
    return [ListedMember(**row._mapping) for row in rows]


def is_learner(found: Subquery) -> ColumnElement[bool]:
    """Whether this is a learner in the course now (docs/roles.md)."""
    return (found.c.role == "trainee") & found.c.left_at.is_(None)


def is_no_staff(found: Subquery) -> ColumnElement[bool]:
    """Whether this is anyone but staff."""
    return found.c.role != "staff"


def count_learners(connection: Connection, key: CourseKey) -> int:
    """How many learners a course has now."""
    query = listed(key, is_learner).order_by(None).subquery()
    return int(connection.execute(select(func.count()).select_from(query)).scalar_one())


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
    return [
        CourseRoster(
            key=CourseKey(row.registration_id, row.context_id),
            title=row.title or row.context_id or "No course",
            issuer=row.issuer,
            client_id=row.client_id,
            members=row.members,
            # While a read runs, or after one that failed, the list is as old as the last complete read.
            read_at=row.tried_at if row.read_at and not row.code and row.lease_owner is None else row.read_at,
            code=row.code,
            is_offered=row.offers > 0,
            is_due=row.lease_owner is not None or row.next_at <= now,
            skipped=row.skipped,
        )
        for row in connection.execute(query)
    ]


@dataclass(frozen=True, slots=True)
class Attendees:
    """Who has attended a session so far: how many people are unmatched, and when attendance was settled (None: not
    yet)."""

    unmatched: int
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class CourseAttendance:
    """One course at one live session: how many learners it lists, and the queries of those who have not attended:
    `missing`, `done` if they have already completed the module and need not come, or `locked` if their gate is shut."""

    roster: CourseRoster
    listed: int
    missing: Select[Any]
    done: Select[Any]
    locked: Select[Any]


def attendees_of(connection: Connection, session_id: int) -> Attendees:
    """Everyone in this session's evidence, as last settled."""
    unmatched = func.count(case((attendances.c.trainee_id.is_(None), 1)))
    query = select(unmatched, func.max(attendances.c.settled_at)).where(_counts(session_id))
    return Attendees(*connection.execute(query).one())


def _counts(*session_ids: int) -> ColumnElement[bool]:
    """Which rows of `attendances` say that someone attended one of these sessions."""
    return attendances.c.is_current & attendances.c.live_session_id.in_(session_ids) & ~IS_WITHDRAWN


def of_session(
    connection: Connection, session: LiveSession, locked: Collection[int], now: datetime
) -> list[CourseAttendance]:
    """The session's courses that have a roster, by title. `locked` are the people whose gate is shut."""

    def is_absent(found: Subquery) -> ColumnElement[bool]:
        return is_learner(found) & ~exists().where(attendances.c.trainee_id == found.c.trainee_id, _counts(session.id))

    def is_locked(found: Subquery) -> ColumnElement[bool]:
        return found.c.trainee_id.in_(locked)

    def is_done(found: Subquery) -> ColumnElement[bool]:
        this = (completions.c.module_id == session.module_id, completions.c.ended_at.is_(None))
        return exists().where(completions.c.trainee_id == found.c.trainee_id, *this)

    placed = is_placed_in(rosters.c.registration_id, rosters.c.context_id) & (
        placements.c.module_id == session.module_id
    )
    query = select(rosters.c.registration_id, rosters.c.context_id).join_from(rosters, placements, placed).distinct()
    found = [
        CourseAttendance(
            roster=course(connection, key, now),
            listed=count_learners(connection, key),
            missing=listed(key, is_absent, lambda each: ~is_done(each) & ~is_locked(each)),
            done=listed(key, is_absent, is_done),
            locked=listed(key, is_absent, lambda each: ~is_done(each) & is_locked(each)),
        )
        for key in [CourseKey(*row) for row in connection.execute(query)]
    ]
    return sorted(found, key=lambda each: (each.roster.title.casefold(), each.roster.key))


def has_roster(connection: Connection, module_id: str) -> bool:
    """Whether a course with this module lists its people."""
    placed = is_placed_in(rosters.c.registration_id, rosters.c.context_id) & (placements.c.module_id == module_id)
    query = select(rosters.c.context_id).join_from(rosters, placements, placed)
    return connection.execute(query.limit(1)).first() is not None


def sessions_of(connection: Connection, key: CourseKey, now: datetime) -> list[LiveSession]:
    """The live sessions of this course's modules that have begun, the latest first."""
    modules = select(placements.c.module_id).where(is_placed_in(*key), placements.c.module_id.is_not(None)).distinct()
    found = [
        session
        for module_id in connection.scalars(modules)
        for session in live_sessions.list_sessions(connection, module_id=module_id)
        if session.starts_at <= now and session.state != "cancelled"
    ]
    return sorted(found, key=lambda each: (each.starts_at, each.id), reverse=True)[:MAX_SESSIONS]


def count_present(connection: Connection, key: CourseKey, sessions: Collection[LiveSession]) -> dict[int, int]:
    """Session id → how many of the course's learners attended it."""
    learners = listed(key, is_learner).order_by(None).subquery()
    query = (
        select(attendances.c.live_session_id, func.count(attendances.c.trainee_id.distinct()))
        .join_from(attendances, learners, learners.c.trainee_id == attendances.c.trainee_id)
        .where(_counts(*(each.id for each in sessions)))
        .group_by(attendances.c.live_session_id)
    )
    found = {row[0]: row[1] for row in connection.execute(query)}
    return {each.id: found.get(each.id, 0) for each in sessions}
