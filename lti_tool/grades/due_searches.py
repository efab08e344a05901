"""Which units' columns are to be looked for, made or checked: the database's side of `line_item_search`.

A search is claimed by a conditional UPDATE with a lease, so that two workers make one column. It is due when a unit is
new, when its launch or the programme has changed, after a trouble, and once a week.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Text, and_, cast, func, or_, select, update

from lti_tool import audit
from lti_tool.db import Database, insert_ignoring
from lti_tool.grades import line_items
from lti_tool.grades.columns import Unit
from lti_tool.grades.due_scores import LEASE, is_live
from lti_tool.tables.courses import placements
from lti_tool.tables.platforms import registrations
from lti_tool.tables.programme import programme_versions
from lti_tool.tables.scores import line_item_searches as searches
from lti_tool.tasks import backoff

CHECKED_EVERY = timedelta(days=7)
# A platform that refuses is asked again at this pace: somebody may have changed a setting there.
REFUSED_FOR = timedelta(days=1)
LONGEST_BACKOFF = 12


@dataclass(frozen=True, slots=True)
class Search:
    """One claimed search, and the lease under which it is recorded."""

    unit: Unit
    owner: str
    attempts: int


def claim(database: Database, now: datetime, limit: int) -> list[Search]:
    """Lease up to `limit` searches whose time has come."""
    with database.read() as connection:
        due = connection.execute(_due(now).limit(limit)).all()
    if not due:
        return []
    with database.write() as connection:
        claimed = (_lease(connection, row.id, row.tried_at, now) for row in due)
        return [each for each in claimed if each is not None]


def renew(connection: Connection, search: Search, now: datetime) -> bool:
    """A whole lease from now on; False when it was lost."""
    return bool(connection.execute(_update(search).values(leased_until=now + LEASE)).rowcount)


def finish(connection: Connection, search: Search, code: str, now: datetime) -> None:
    """Everything there was to do is done; `code` says what staff should know all the same."""
    values = {"attempts": 0, "code": code, "next_at": now + CHECKED_EVERY, "tried_at": now}
    connection.execute(_update(search).values(values | {"lease_owner": None, "leased_until": None}))


def fail(connection: Connection, search: Search, code: str, *, passes: bool, now: datetime) -> None:
    """It could not be done: try again after a growing pause when the trouble may pass by itself, else in a day."""
    pause = backoff(min(search.attempts, LONGEST_BACKOFF)) if passes else REFUSED_FOR
    values = {"code": code, "next_at": now + pause, "tried_at": now}
    connection.execute(_update(search).values(values | {"lease_owner": None, "leased_until": None}))


def troubles(connection: Connection) -> Sequence[Row[Any]]:
    """The units whose columns something stands in the way of, with the code of it."""
    query = (
        select(searches.c.placement_id, searches.c.code, searches.c.tried_at, placements)
        .join(placements, placements.c.id == searches.c.placement_id)
        .where(searches.c.code != "", _active())
        .order_by(searches.c.placement_id)
    )
    return connection.execute(query).all()


def look_again(connection: Connection, placement_id: int, *, actor: str, now: datetime) -> None:
    """Staff ask for another search at once; a column that somebody removed on the platform is made anew then."""
    line_items.allow_anew(connection, placement_id)
    connection.execute(update(searches).where(searches.c.placement_id == placement_id).values(next_at=now, attempts=0))
    audit.record(connection, actor=actor, act="columns_looked_for", subject=f"placement:{placement_id}", at=now)


def _due(now: datetime) -> Any:
    """Units with grade services that allow to read or make columns, and whose search is due."""
    far_ahead = searches.c.next_at > now + 2 * CHECKED_EVERY  # planned while our clock was
    newest = select(func.max(programme_versions.c.published_at)).scalar_subquery()
    changed = or_(_since_tried(placements.c.updated_at, now), _since_tried(newest, now))
    return (
        select(placements.c.id, searches.c.tried_at)
        .outerjoin(searches, searches.c.placement_id == placements.c.id)
        .where(
            placements.c.module_id.is_not(None),
            _active(),
            or_(placements.c.line_items_url.is_not(None), placements.c.line_item_url.is_not(None)),
            cast(placements.c.ags_scopes, Text).contains("/scope/lineitem"),
            or_(searches.c.placement_id.is_(None), searches.c.next_at <= now, far_ahead, changed),
            _is_free(now),
        )
        .order_by(placements.c.id)
    )


def _since_tried(at: Any, now: datetime) -> ColumnElement[bool]:
    """Between the last search and now. What lies ahead because a clock was set back waits for its time: it would be due
    again after every search."""
    return and_(at > searches.c.tried_at, at <= now)


def _active() -> ColumnElement[bool]:
    active = select(registrations.c.id).where(registrations.c.status == "active")
    return placements.c.registration_id.in_(active)


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(searches.c.lease_owner.is_(None), ~is_live(searches.c.leased_until, now))


def _lease(connection: Connection, placement_id: int, tried_at: datetime | None, now: datetime) -> Search | None:
    """Take one, unless somebody else did meanwhile, or has another unit of the course in hand: both may look for the
    same column. The column that the launch named is settled before."""
    row = {"placement_id": placement_id, "next_at": now, "attempts": 0, "code": ""}
    connection.execute(insert_ignoring(connection, searches), row)
    unit = next(iter(line_items.units(connection, placements.c.id == placement_id)), None)
    if unit is None:
        return None
    # On PostgreSQL two workers take turns here; SQLite has one writer anyway.
    ours = select(registrations.c.id).where(registrations.c.id == unit.registration_id)
    connection.execute(ours.with_for_update(key_share=True))
    line_items.connect(connection, now, unit.module_id)
    owner = uuid.uuid4().hex
    same = and_(searches.c.placement_id == placement_id, searches.c.tried_at.is_not_distinct_from(tried_at))
    leased = connection.execute(
        update(searches)
        .where(same, _is_free(now), ~_course_in_hand(unit, now))
        .values(lease_owner=owner, leased_until=now + LEASE, attempts=searches.c.attempts + 1)
        .returning(searches.c.attempts)
    ).first()
    return None if leased is None else Search(unit, owner, leased.attempts)


def _course_in_hand(unit: Unit, now: datetime) -> ColumnElement[bool]:
    other = searches.alias()
    return (
        select(other.c.placement_id)
        .join(placements, placements.c.id == other.c.placement_id)
        .where(
            placements.c.registration_id == unit.registration_id,
            placements.c.line_items_url == unit.line_items_url,
            other.c.lease_owner.is_not(None),
            is_live(other.c.leased_until, now),
        )
        .exists()
    )


def _update(search: Search) -> Any:
    ours = and_(searches.c.placement_id == search.unit.placement_id, searches.c.lease_owner == search.owner)
    return update(searches).where(ours)
