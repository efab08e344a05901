"""Which rosters there are, when each is read next, and who reads it now.

A course has a roster where one of its units was offered the service at its latest launch. It is read every few hours,
and again close to a live session of one of its modules. A reader takes a roster by a lease, so that no two read one
course at the same time.
"""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select, tuple_, update

from lti_tool.db import Database, insert_ignoring
from lti_tool.errors import NotFound
from lti_tool.lti import registration
from lti_tool.lti.registration import Registration
from lti_tool.tables.courses import placements, rosters
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.platforms import registrations

BEFORE_CLASS = timedelta(minutes=30)
FRESH_DURING_CLASS = timedelta(minutes=15)
# Longer than the largest roster takes; a reader that dies leaves it to another after this time.
LEASE = timedelta(minutes=15)
WHOLE_EVERY = timedelta(hours=24)
TOO_LARGE = "above_response_limit"


class CourseKey(NamedTuple):
    """One course of one registration; the context id is "" where launches carry none."""

    registration_id: int
    context_id: str


@dataclass(frozen=True, slots=True)
class DueRoster:
    """One roster in a reader's hands: where to ask, what is known from the last read, and the lease (`owner`, since
    `taken_at`)."""

    key: CourseKey
    owner: str
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
        """Whether what has changed is enough: after a good read, and at least once a day the whole is read."""
        if not self.differences_url or self.code or self.read_at is None:
            return False
        return timedelta() <= self.taken_at - self.read_at < WHOLE_EVERY


def plan(database: Database, now: datetime) -> bool:
    """Periodic job: begin the rosters of new courses, and bring forward those of courses with a class about now. Never
    asks to be run again at once."""
    with database.read() as connection:
        new, soon = list(_new(connection, now)), _wanted_for_class(connection, now)
    if new or soon:
        with database.write() as connection:
            for row in new:
                connection.execute(insert_ignoring(connection, rosters).values(row))
            _bring_forward(connection, soon, now)
    return False


def ask_now(connection: Connection, key: CourseKey, now: datetime) -> None:
    """Let a roster be read as soon as a reader is free. Raises NotFound `roster_unknown`."""
    if not _bring_forward(connection, [key], now):
        raise unknown()


def claim(database: Database, now: datetime) -> DueRoster | None:
    """Take the roster that has waited longest, for LEASE; None where none is due."""
    with database.read() as connection:
        if connection.execute(select(rosters.c.registration_id).where(_due(now)).limit(1)).first() is None:
            return None
    with database.write() as connection:
        row = connection.execute(select(rosters).where(_due(now)).order_by(rosters.c.next_at).limit(1)).first()
        if row is None:
            return None
        owner, key = uuid.uuid4().hex, CourseKey(row.registration_id, row.context_id)
        lease = {"lease_owner": owner, "leased_until": now + LEASE, "tried_at": now}
        taken = connection.execute(update(rosters).where(is_of(rosters, key), _due(now)).values(lease))
        return _due_roster(connection, row, key, owner, now) if taken.rowcount else None


def is_of(table: Any, key: CourseKey) -> ColumnElement[bool]:
    """The rows of this course in any table of courses."""
    return and_(table.c.registration_id == key.registration_id, table.c.context_id == key.context_id)


def is_placed_in(registration_id: Any, context_id: Any) -> ColumnElement[bool]:
    """Whether a placement stands in this course; a launch without a context stands in the course ""."""
    return and_(
        placements.c.registration_id == registration_id, func.coalesce(placements.c.context_id, "") == context_id
    )


def unknown() -> NotFound:
    return NotFound(
        "roster_unknown",
        "No roster of this course is kept.",
        "A course has one once somebody has opened a unit that offers the roster.",
    )


def is_offered() -> ColumnElement[bool]:
    """Whether a roster's platform is active and still offers it: no other is read."""
    active = select(registrations.c.id).where(registrations.c.status == "active")
    offered = select(placements.c.id).where(
        is_placed_in(rosters.c.registration_id, rosters.c.context_id), placements.c.memberships_url.is_not(None)
    )
    return and_(rosters.c.registration_id.in_(active), offered.exists())


def _due(now: datetime) -> ColumnElement[bool]:
    """Its time has come, nobody reads it, and it is offered."""
    is_free = or_(rosters.c.lease_owner.is_(None), rosters.c.leased_until < now)
    return and_(rosters.c.next_at <= now, is_free, is_offered())


def _new(connection: Connection, now: datetime) -> Iterator[dict[str, Any]]:
    """The rows of courses that offer a roster and have none yet."""
    context = func.coalesce(placements.c.context_id, "").label("context_id")
    known = and_(rosters.c.registration_id == placements.c.registration_id, rosters.c.context_id == context)
    query = (
        select(placements.c.registration_id, context, func.max(placements.c.memberships_url).label("memberships_url"))
        .outerjoin_from(placements, rosters, known)
        .where(placements.c.memberships_url.is_not(None), rosters.c.registration_id.is_(None))
        .group_by(placements.c.registration_id, context)
    )
    for row in connection.execute(query):
        yield {**row._mapping, "code": "", "next_at": now}


def _wanted_for_class(connection: Connection, now: datetime) -> list[CourseKey]:
    """The rosters older than a quarter of an hour of courses whose module is taught now or soon. One that is too large
    for its platform stays so: no class changes that."""
    query = (
        select(rosters.c.registration_id, rosters.c.context_id)
        .join_from(rosters, placements, is_placed_in(rosters.c.registration_id, rosters.c.context_id))
        .join(live_sessions, live_sessions.c.module_id == placements.c.module_id)
        .where(
            live_sessions.c.state != "cancelled",
            live_sessions.c.starts_at <= now + BEFORE_CLASS,
            live_sessions.c.ends_at >= now,
            rosters.c.next_at > now,
            rosters.c.code != TOO_LARGE,
            or_(rosters.c.tried_at.is_(None), rosters.c.tried_at <= now - FRESH_DURING_CLASS),
        )
        .distinct()
    )
    return [CourseKey(*row) for row in connection.execute(query)]


def _bring_forward(connection: Connection, keys: Iterable[CourseKey], now: datetime) -> int:
    wanted = list(keys)
    if not wanted:
        return 0
    these = tuple_(rosters.c.registration_id, rosters.c.context_id).in_(wanted)
    return connection.execute(update(rosters).where(these).values(next_at=now)).rowcount


def _due_roster(connection: Connection, row: Row[Any], key: CourseKey, owner: str, now: datetime) -> DueRoster:
    places = connection.execute(
        select(placements).where(is_placed_in(*key)).order_by(placements.c.updated_at.desc(), placements.c.id)
    ).all()
    offered = list(dict.fromkeys(each.memberships_url for each in places if each.memberships_url))
    url = _address(offered, row.memberships_url, failed=bool(row.code))
    links = [each.resource_link_id for each in places if each.memberships_url]
    return DueRoster(
        key=key,
        owner=owner,
        taken_at=now,
        registration=registration.load(connection, key.registration_id),
        memberships_url=url,
        resource_link_ids=tuple(dict.fromkeys(filter(None, [row.resource_link_id, *links]))),
        groups_url=next((each.groups_url for each in places if each.groups_url), None),
        differences_url=row.differences_url if url == row.memberships_url else None,
        members=row.members or 0,
        read_at=row.read_at,
        code=row.code,
    )


def _address(offered: list[str], last: str, *, failed: bool) -> str:
    """Open edX has an address for every unit, each switched on and off by itself: after a failure the next is asked."""
    if last not in offered:
        return offered[0]
    return offered[(offered.index(last) + failed) % len(offered)]
