"""Which rosters there are, when each is read next, and which reader holds its lease.

A course has a roster if the platform offered the service to one of its units at the latest launch. It is read every few
hours, and again close to a live session of one of its modules. A lease keeps two readers from reading one course at the
same time.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, func, literal_column, or_, select, tuple_, update

from lti_tool.db import Database, insert_ignoring
from lti_tool.errors import NotFound
from lti_tool.leases import Lease, claim_rows, is_held
from lti_tool.lti import registration
from lti_tool.lti.registration import Registration
from lti_tool.tables.courses import enrolments, placements, rosters
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.platforms import registrations

BEFORE_SESSION = timedelta(minutes=30)
MAX_AGE_DURING_SESSION = timedelta(minutes=15)
# Longer than the largest roster takes. If a reader dies, another takes over after this time.
LEASE = timedelta(minutes=15)
# A reading is given up before its lease ends: otherwise another reader would begin beside it.
LONGEST_READING = timedelta(minutes=10)
WHOLE_EVERY = timedelta(hours=24)
TOO_LARGE = "above_response_limit"


class CourseKey(NamedTuple):
    """One course of one registration; the context id is "" where launches carry none."""

    registration_id: int
    context_id: str


@dataclass(frozen=True, slots=True)
class DueRoster:
    """One leased roster: where to ask, what the last read found, and the lease, which began at `taken_at`."""

    key: CourseKey
    lease: Lease
    taken_at: datetime
    registration: Registration
    memberships_url: str
    resource_link_ids: tuple[str, ...]
    groups_url: str | None
    differences_url: str | None
    members: int
    read_at: datetime | None
    code: str

    @property
    def may_ask_differences(self) -> bool:
        """Whether the differences are enough: after a good read, and if the whole was read within a day."""
        if not self.differences_url or self.code or self.read_at is None:
            return False
        return timedelta() <= self.taken_at - self.read_at < WHOLE_EVERY


def plan(database: Database, now: datetime) -> bool:
    """Periodic job: add the rosters of new courses, and bring forward those of courses with a live session about now.
    Always False: it never has to run again at once."""
    context = func.coalesce(placements.c.context_id, "").label("context_id")
    known = and_(rosters.c.registration_id == placements.c.registration_id, rosters.c.context_id == context)
    without_roster = (
        select(placements.c.registration_id, context, func.max(placements.c.memberships_url).label("memberships_url"))
        .outerjoin_from(placements, rosters, known)
        .where(placements.c.memberships_url.is_not(None), rosters.c.registration_id.is_(None))
        .group_by(placements.c.registration_id, context)
    )
    with database.read() as connection:
        new = connection.execute(without_roster).all()
        soon = _needed_for_session(connection, now)
    if new or soon:
        with database.write() as connection:
            for row in new:
                values = {**row._mapping, "code": "", "next_at": now}
                connection.execute(insert_ignoring(connection, rosters).values(values))
            _bring_forward(connection, soon, now)
    return False


def ask_now(connection: Connection, key: CourseKey, now: datetime) -> None:
    """Have a roster read as soon as a reader is free. Raises NotFound `roster_unknown`."""
    if not _bring_forward(connection, [key], now):
        raise unknown()


def unread(connection: Connection, keys: Collection[CourseKey], since: datetime) -> list[CourseKey]:
    """The courses among these that are offered and that no reader has read since, or reads at the moment."""
    these = tuple_(rosters.c.registration_id, rosters.c.context_id).in_(keys)
    is_unread = or_(rosters.c.tried_at.is_(None), rosters.c.tried_at < since, rosters.c.lease_owner.is_not(None))
    query = select(rosters.c.registration_id, rosters.c.context_id).where(these, is_unread, is_offered())
    return [CourseKey(*row) for row in connection.execute(query)]


def claim(database: Database, now: datetime) -> DueRoster | None:
    """Lease the roster that has been due the longest; None if none is due."""
    with database.read() as connection:
        if connection.execute(select(rosters.c.registration_id).where(_due(now)).limit(1)).first() is None:
            return None
    with database.write() as connection:
        row = connection.execute(select(rosters).where(_due(now)).order_by(rosters.c.next_at).limit(1)).first()
        if row is None:
            return None
        key = CourseKey(row.registration_id, row.context_id)
        lease = claim_rows(connection, rosters, is_of(rosters, key), LEASE, now, _due(now), values={"tried_at": now})
        return _due_roster(connection, row, key, lease, now) if lease else None


def is_of(table: Any, key: CourseKey) -> ColumnElement[bool]:
    """Matches the rows of this course in any table of courses."""
    return and_(table.c.registration_id == key.registration_id, table.c.context_id == key.context_id)


# Matches the enrolments of staff; few, with an index (tables/courses.py).
IS_STAFF = enrolments.c.role == literal_column("'staff'")
IS_TRAINEE = enrolments.c.role == literal_column("'trainee'")


def is_placed_in(registration_id: Any, context_id: Any) -> ColumnElement[bool]:
    """Matches the placements in this course; a launch without a context belongs to the course ""."""
    return and_(
        placements.c.registration_id == registration_id, func.coalesce(placements.c.context_id, "") == context_id
    )


def unknown() -> NotFound:
    return NotFound(
        "roster_unknown",
        "This course has no roster.",
        "It gets one when a unit that offers the roster is opened.",
    )


def is_offered() -> ColumnElement[bool]:
    """Matches the rosters that an active platform still offers; no others are read."""
    active = select(registrations.c.id).where(registrations.c.status == "active")
    offered = select(placements.c.id).where(
        is_placed_in(rosters.c.registration_id, rosters.c.context_id), placements.c.memberships_url.is_not(None)
    )
    return and_(rosters.c.registration_id.in_(active), offered.exists())


def _due(now: datetime) -> ColumnElement[bool]:
    """Matches the rosters that are due, not leased, and offered."""
    return and_(rosters.c.next_at <= now, ~is_held(rosters, now), is_offered())


def _needed_for_session(connection: Connection, now: datetime) -> list[CourseKey]:
    """The outdated rosters of courses whose module is taught now or soon, except those too large for their platform."""
    query = (
        select(rosters.c.registration_id, rosters.c.context_id)
        .join_from(rosters, placements, is_placed_in(rosters.c.registration_id, rosters.c.context_id))
        .join(live_sessions, live_sessions.c.module_id == placements.c.module_id)
        .where(
            live_sessions.c.state != "cancelled",
            live_sessions.c.starts_at <= now + BEFORE_SESSION,
            live_sessions.c.ends_at >= now,
            rosters.c.next_at > now,
            rosters.c.code != TOO_LARGE,
            or_(rosters.c.tried_at.is_(None), rosters.c.tried_at <= now - MAX_AGE_DURING_SESSION),
        )
        .distinct()
    )
    return [CourseKey(*row) for row in connection.execute(query)]


def _bring_forward(connection: Connection, keys: Collection[CourseKey], now: datetime) -> int:
    if not keys:
        return 0
    these = tuple_(rosters.c.registration_id, rosters.c.context_id).in_(keys)
    return connection.execute(update(rosters).where(these).values(next_at=now)).rowcount


def _due_roster(connection: Connection, row: Row[Any], key: CourseKey, lease: Lease, now: datetime) -> DueRoster:
    """The roster with the address to ask: Open edX has one for every unit, each switched on and off by itself, so after
    a failure the next one is asked."""
    places = connection.execute(
        select(placements).where(is_placed_in(*key)).order_by(placements.c.updated_at.desc(), placements.c.id)
    ).all()
    offered = list(dict.fromkeys(each.memberships_url for each in places if each.memberships_url))
    last = row.memberships_url
    url = offered[(offered.index(last) + bool(row.code)) % len(offered)] if last in offered else offered[0]
    links = [each.resource_link_id for each in places if each.memberships_url]
    return DueRoster(
        key=key,
        lease=lease,
        taken_at=now,
        registration=registration.load(connection, key.registration_id),
        memberships_url=url,
        resource_link_ids=tuple(dict.fromkeys(filter(None, [row.resource_link_id, *links]))),
        groups_url=next((each.groups_url for each in places if each.groups_url), None),
        differences_url=row.differences_url if url == last else None,
        members=row.members or 0,
        read_at=row.read_at,
        code=row.code,
    )
