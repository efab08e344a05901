"""Finding, making and checking columns on platforms: on threads of its own, and never inside a transaction.

A column is looked for before it is made, so an answer that was lost makes no second one (lti.md AG-1). Line items are
never deleted, and never changed either.

Which units' columns are to be looked for, made or checked: the database's side of `line_item_search`.

A search is claimed by a conditional UPDATE with a lease, so that two workers make one column. It is due when a unit is
new, when its launch or the programme has changed, after a trouble, and once a week.
"""

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Text, and_, cast, func, or_, select, update

from lti_tool import audit
from lti_tool.db import Database, insert_ignoring
from lti_tool.errors import AddressRefused, GatehouseError, NotFound, OutboundError, PlatformRefused
from lti_tool.grades import line_items
from lti_tool.grades.delivery import LEASE, is_live
from lti_tool.grades.line_items import Meaning, Origin, Unit, choose_bound, choose_named, meanings, new_column
from lti_tool.lti.line_items import LineItem, NewLineItem, create_line_item, find_line_items, load_line_item
from lti_tool.lti.platform_api import PlatformApi
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.tables.courses import placements
from lti_tool.tables.platforms import registrations
from lti_tool.tables.programme import programme_versions
from lti_tool.tables.scores import line_item_searches as searches
from lti_tool.tables.scores import line_items as columns
from lti_tool.tasks import Clock, Crew, backoff

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


log = logging.getLogger(__name__)

SEARCHERS = 2
# How often the worker asks whether anything is due.
LOOKED_EVERY = timedelta(seconds=5)
GONE = "line_item_gone"
TAKEN_OVER = "column_taken_over"
FAILED = "line_item_search_failed"
PASSING = (401, 408, 425, 429)


class LeaseLostError(Exception):
    """Somebody else looks for these columns by now."""


class LineItemSearch:
    """Does due searches with a few threads. `search_due` is made to be called again and again by one thread; `after`
    is called when a unit has got a column that it had not."""

    def __init__(
        self, database: Database, api: PlatformApi, clock: Clock, after: Callable[[], object] = lambda: None
    ) -> None:
        self._database = database
        self._after = after
        self._api = api
        self._clock = clock
        self._looked_at: datetime | None = None
        self._crew = Crew("line_items", SEARCHERS, self._claim, self._search)

    def search_due(self) -> bool:
        """Start what is due as far as threads are free; False once all is quiet."""
        return self._crew.step()

    def search_all(self) -> None:
        """Search until nothing is due."""
        self._looked_at = None
        self._crew.run()

    def _claim(self, limit: int) -> Sequence[Search]:
        now = self._clock()
        if self._looked_at is not None and timedelta() <= now - self._looked_at < LOOKED_EVERY:
            return []
        claimed = claim(self._database, now, limit)
        if not claimed and not self._crew.is_busy:
            self._looked_at = now
        return claimed

    def _search(self, search: Search) -> None:
        ids = {"placement": search.unit.placement_id, "registration": search.unit.registration_id}
        try:
            code = self._find_all(search)
        except LeaseLostError:
            return
        except Exception as error:
            code = error.code if isinstance(error, GatehouseError) else FAILED
            log.warning("grade columns not found", extra={**ids, "code": code, "error": type(error).__name__})
            with self._database.write() as connection:
                fail(connection, search, code, passes=may_pass(error), now=self._clock())
            return
        with self._database.write() as connection:
            finish(connection, search, code, self._clock())

    def _find_all(self, search: Search) -> str:
        """Check the unit's columns and bring in those that are missing; what staff should know, "" for nothing."""
        unit, code = search.unit, ""
        programme, known = self._state(unit)
        if programme is None or unit.module_id not in programme.modules:
            return ""
        for column in known:
            code = self._check(unit, column) or code
        missing = self._missing(programme, unit)
        for meaning in missing:
            new = new_column(programme, unit, meaning)
            item, origin = self._find_or_make(search, new)
            with self._database.write() as connection:
                code = keep(connection, unit, meaning, item, origin, self._clock()) or code
        if missing:
            self._after()
        return self._lasting(unit) or code

    def _state(self, unit: Unit) -> tuple[Programme | None, Sequence[Row[Any]]]:
        with self._database.write() as connection:
            try:
                programme = versions.current(connection).programme
            except NotFound:
                return None, ()
            retire_unwanted(connection, programme, unit, self._clock())
            return programme, line_items.of_unit(connection, unit.placement_id)

    def _check(self, unit: Unit, column: Row[Any]) -> str:
        """Look at a column as the platform has it now."""
        try:
            item = load_line_item(self._api, unit.registration_id, column.url, offered=unit.scopes)
        except PlatformRefused as error:
            if error.code != GONE:
                raise
            item = None
        with self._database.write() as connection:
            return note(connection, unit, column, item, self._clock())

    def _missing(self, programme: Programme, unit: Unit) -> list[Meaning]:
        """What the unit has no column for; what was removed on the platform is not made again by itself."""
        if not unit.can_make:
            return []
        with self._database.read() as connection:
            ours = select(columns.c.meaning).where(columns.c.placement_id == unit.placement_id)
            there = connection.scalars(ours.where(columns.c.retired_at.is_(None))).all()
            gone = connection.scalars(ours.where(columns.c.retired_because == "gone")).all()
        return [each for each in meanings(programme, unit) if each not in there and each not in gone]

    def _lasting(self, unit: Unit) -> str:
        with self._database.read() as connection:
            gone = select(columns.c.id).where(
                columns.c.placement_id == unit.placement_id, columns.c.retired_because == "gone"
            )
            return GONE if connection.execute(gone).first() is not None else ""

    def _find_or_make(self, search: Search, new: NewLineItem) -> tuple[LineItem, Origin]:
        unit = search.unit
        found = self._find(unit, new)
        if found is not None:
            return found, "found"
        with self._database.write() as connection:
            if not renew(connection, search, self._clock()):
                raise LeaseLostError
        assert unit.line_items_url is not None
        made = create_line_item(self._api, unit.registration_id, unit.line_items_url, new)
        log.info("grade column made", extra={"placement": unit.placement_id, "registration": unit.registration_id})
        return made, "made"

    def _find(self, unit: Unit, new: NewLineItem) -> LineItem | None:
        """By the unit's link first, then by our own names (moodle.md §5.8)."""
        api, place, url, offered = self._api, unit.registration_id, unit.line_items_url, unit.scopes
        assert url is not None
        if new.resource_link_id is not None:
            bound = find_line_items(api, place, url, resource_link_id=new.resource_link_id, offered=offered)
            chosen = choose_bound(unit, new, bound)
            if chosen is not None or unit.profile.grade_needs_bound_line_item:
                return chosen
        named = find_line_items(api, place, url, resource_id=new.resource_id, tag=new.tag, offered=offered)
        return choose_named(unit, named)


def may_pass(error: Exception) -> bool:
    """Whether a trouble may be gone in a moment, without anybody's doing."""
    if isinstance(error, PlatformRefused):
        return error.answered == 0 or error.answered >= 500 or error.answered in PASSING
    if isinstance(error, AddressRefused):
        return False
    return isinstance(error, OutboundError) or not isinstance(error, GatehouseError)


def note(connection: Connection, unit: Unit, column: Row[Any], item: LineItem | None, now: datetime) -> str:
    """Write down what a column is like (None: it is not there any more), and use it no longer where that is of no use;
    what staff should know of it, "" for nothing."""
    if item is None:
        if column.origin != "given":
            line_items.retire(connection, column, "gone", now)
        return GONE
    is_bound = is_bound_to(unit, item)
    seen = {"is_bound": is_bound, "maximum": item.maximum, "due_at": _due_at(item), "checked_at": now}
    connection.execute(update(columns).where(columns.c.id == column.id).values(seen))
    if is_bound is False and unit.profile.grade_needs_bound_line_item and unit.can_make:
        line_items.retire(connection, column, "not_bound", now)
    return ""


def keep(connection: Connection, unit: Unit, meaning: Meaning, item: LineItem, origin: Origin, now: datetime) -> str:
    """Record a column that was found or made. One that a newer unit of another module has stays with it; one that
    another unit of the same module has serves both."""
    held = line_items.holder(connection, unit.registration_id, item.url)
    if held is not None and held.placement_id != unit.placement_id:
        if held.module_id == unit.module_id:
            return ""
        if held.placement_id > unit.placement_id:
            return TAKEN_OVER
    if held is not None:
        same_unit = held.placement_id == unit.placement_id
        line_items.retire(connection, held, "meaning_changed" if same_unit else "taken_over", now)
    known = {"is_bound": is_bound_to(unit, item), "maximum": item.maximum, "due_at": _due_at(item), "checked_at": now}
    line_items.add(connection, unit, meaning, item.url, origin, now, **known)
    return ""


def retire_unwanted(connection: Connection, programme: Programme, unit: Unit, now: datetime) -> None:
    """Where a unit has one grade only, what it meant before has no column any more."""
    if unit.score != "ce" and not unit.profile.one_grade_per_link:
        return
    wanted = meanings(programme, unit)
    for column in line_items.of_unit(connection, unit.placement_id):
        if column.meaning not in wanted:
            line_items.retire(connection, column, "meaning_changed", now)


def is_bound_to(unit: Unit, item: LineItem) -> bool | None:
    """Whether an item is tied to the unit; None where the platform does not say and it does not matter."""
    if item.resource_link_id is None and not unit.profile.grade_needs_bound_line_item:
        return None
    return item.resource_link_id == unit.resource_link_id


def _due_at(item: LineItem) -> datetime | None:
    """endDateTime of the item, where it is an instant."""
    try:
        due_at = datetime.fromisoformat(str(item.document.get("endDateTime")))
    except ValueError:
        return None
    return due_at.astimezone(UTC) if due_at.tzinfo is not None else None
