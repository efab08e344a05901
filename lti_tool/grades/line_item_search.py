"""Finding, making and checking columns on platforms, on threads of its own and never inside a transaction.

A column is looked for before it is made, so an answer that was lost makes no second one (lti.md AG-1). Line items are
never deleted and never changed.

A worker leases a search before it starts, so that two workers make one column. A search is due when a unit is new, when
its launch or the programme has changed, after a failure, and once a week.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Text, and_, cast, func, or_, select, update

from lti_tool import audit
from lti_tool.db import Database, insert_ignoring
from lti_tool.errors import AddressRefused, GatehouseError, NotFound, OutboundError, PlatformRefused
from lti_tool.grades import line_items
from lti_tool.grades.line_items import Meaning, Origin, Unit, choose_bound, choose_named, meanings, new_column_of
from lti_tool.leases import Lease, LeaseLostError, claim_rows, is_held
from lti_tool.lti.line_items import LineItem, NewLineItem, create_line_item, find_line_items, load_line_item
from lti_tool.lti.platform_api import LONGEST_CALL, PlatformApi
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.tables.courses import placements
from lti_tool.tables.platforms import registrations
from lti_tool.tables.programme import programme_versions
from lti_tool.tables.scores import line_item_searches as searches
from lti_tool.tables.scores import line_items as columns
from lti_tool.tasks import Clock, JobPool, backoff, next_try

log = logging.getLogger(__name__)

SEARCHERS = 2
# How often the worker asks whether any search is due.
SEARCHED_EVERY = timedelta(seconds=5)
CHECKED_EVERY = timedelta(days=7)
# A platform that refuses is asked again after a day: a setting there may have changed.
REFUSED_FOR = timedelta(days=1)
LONGEST_BACKOFF = 12
GONE = "line_item_gone"
TAKEN_OVER = "column_taken_over"
FAILED = "line_item_search_failed"
PASSING = (401, 408, 425, 429)


@dataclass(frozen=True, slots=True)
class Search:
    """One claimed search, and the lease under which its result is recorded."""

    unit: Unit
    lease: Lease


class LineItemSearch:
    """Does due searches with a few threads. One thread calls `search_due` again and again; `after` is called when a
    unit has got a column."""

    def __init__(
        self, database: Database, api: PlatformApi, clock: Clock, after: Callable[[], object] = lambda: None
    ) -> None:
        self._database = database
        self._after = after
        self._api = api
        self._clock = clock
        self._idle_since: datetime | None = None
        self._pool = JobPool("line_items", SEARCHERS, self._claim, self.search)

    def search_due(self) -> bool:
        """Start what is due as far as threads are free; False once all is quiet."""
        return self._pool.step()

    def search_all(self) -> None:
        """Search until nothing is due."""
        self._idle_since = None
        self._pool.run()

    def _claim(self, limit: int) -> Sequence[Search]:
        now = self._clock()
        if self._idle_since is not None and timedelta() <= now - self._idle_since < SEARCHED_EVERY:
            return []
        claimed = claim(self._database, now, limit)
        if not claimed and not self._pool.is_busy:
            self._idle_since = now
        return claimed

    def search(self, search: Search) -> None:
        """Bring one unit's columns in line and record the result."""
        now = self._clock
        try:
            values = {"code": self._find_all(search), "next_at": now() + CHECKED_EVERY, "attempts": 0}
        except LeaseLostError:
            return
        except Exception as error:
            code = error.code if isinstance(error, GatehouseError) else FAILED
            pause = backoff(min(search.lease.attempts, LONGEST_BACKOFF)) if may_pass(error) else REFUSED_FOR
            values = {"code": code, "next_at": next_try(now(), pause, error), "attempts": search.lease.attempts}
            ids = {"placement": search.unit.placement_id, "registration": search.unit.registration_id}
            log.warning("grade columns not found", extra={**ids, "code": code, "error": type(error).__name__})
        with self._database.write() as connection:
            search.lease.finish(connection, {**values, "tried_at": now()})

    def _find_all(self, search: Search) -> str:
        """Check the unit's columns and bring in those that are missing; the code of what staff should know, or ""."""
        unit, code = search.unit, ""
        with self._database.write() as connection:
            try:
                programme = versions.current(connection).programme
            except NotFound:
                return ""
            retire_unwanted(connection, programme, unit, self._clock())
            known = line_items.of_unit(connection, unit.placement_id)
        if unit.module_id not in programme.modules:
            return ""
        for column in known:
            code = self._check(unit, column) or code
        with self._database.read() as connection:
            of_unit = select(columns.c.meaning, columns.c.retired_because).where(
                columns.c.placement_id == unit.placement_id,
                or_(columns.c.retired_at.is_(None), columns.c.retired_because == "gone"),
            )
            on_record = {row.meaning: row.retired_because for row in connection.execute(of_unit)}
            has_credit = line_items.has_credit_column_elsewhere(connection, unit)
        # A column that was removed on the platform is made again only when staff ask for it.
        wanted = meanings(programme, unit) if unit.can_make else ()
        missing = [each for each in wanted if each not in on_record and not (each == "ce" and has_credit)]
        for meaning in missing:
            item, origin = self._find_or_make(search, new_column_of(unit, programme, meaning))
            with self._database.write() as connection:
                code = keep(connection, unit, meaning, item, origin, self._clock()) or code
        if missing:
            self._after()
        return GONE if "gone" in on_record.values() else code

    def _check(self, unit: Unit, column: Row[Any]) -> str:
        """Compare a column with what the platform has now."""
        try:
            item = load_line_item(self._api, unit.registration_id, column.url, offered=unit.scopes)
        except PlatformRefused as error:
            if error.code != GONE:
                raise
            item = None
        with self._database.write() as connection:
            return note(connection, unit, column, item, self._clock())

    def _find_or_make(self, search: Search, new: NewLineItem) -> tuple[LineItem, Origin]:
        """By the unit's link first, then by our own names (moodle.md §5.8); made where neither finds one."""
        api, unit, offered = self._api, search.unit, search.unit.scopes
        place, url = unit.registration_id, unit.line_items_url
        assert url is not None
        found = None
        if new.resource_link_id is not None:
            bound = find_line_items(api, place, url, resource_link_id=new.resource_link_id, offered=offered)
            found = choose_bound(unit, new, bound)
        if found is None and (new.resource_link_id is None or not unit.profile.grade_needs_bound_line_item):
            named = find_line_items(api, place, url, resource_id=new.resource_id, tag=new.tag, offered=offered)
            found = choose_named(unit, named)
        if found is not None:
            return found, "found"
        with self._database.write() as connection:
            search.lease.renew(connection, self._clock())
        made = create_line_item(api, place, url, new)
        log.info("grade column made", extra={"placement": unit.placement_id, "registration": place})
        return made, "made"


def claim(database: Database, now: datetime, limit: int) -> list[Search]:
    """Lease up to `limit` searches whose time has come."""
    with database.read() as connection:
        due = connection.execute(_due(now).limit(limit)).all()
    if not due:
        return []
    with database.write() as connection:
        claimed = (_claim(connection, row.id, row.tried_at, now) for row in due)
        return [each for each in claimed if each is not None]


def _due(now: datetime) -> Select[Any]:
    """Units whose grade services let the tool read or make columns, and whose search is due."""
    far_ahead = searches.c.next_at > now + 2 * CHECKED_EVERY  # planned while our clock was
    newest = select(func.max(programme_versions.c.published_at)).scalar_subquery()
    # A change that lies ahead because a clock was set back waits for its time: else it would be due after every search.
    changed = [and_(at > searches.c.tried_at, at <= now) for at in (placements.c.updated_at, newest)]
    return (
        select(placements.c.id, searches.c.tried_at)
        .outerjoin(searches, searches.c.placement_id == placements.c.id)
        .where(
            placements.c.module_id.is_not(None),
            _is_active(),
            or_(placements.c.line_items_url.is_not(None), placements.c.line_item_url.is_not(None)),
            cast(placements.c.ags_scopes, Text).contains("/scope/lineitem"),
            or_(searches.c.placement_id.is_(None), searches.c.next_at <= now, far_ahead, *changed),
            ~is_held(searches, now),
        )
        .order_by(placements.c.id)
    )


def _claim(connection: Connection, placement_id: int, tried_at: datetime | None, now: datetime) -> Search | None:
    """Lease one search, unless another worker searched meanwhile, or holds a search for another unit of the course
    under any registration: both may look for the same column. The column that the launch named is settled first."""
    row = {"placement_id": placement_id, "next_at": now, "attempts": 0, "code": ""}
    connection.execute(insert_ignoring(connection, searches), row)
    unit = next(iter(line_items.units(connection, placements.c.id == placement_id)), None)
    if unit is None:
        return None
    # On PostgreSQL two workers take turns here; SQLite has one writer anyway.
    issuer = select(registrations.c.issuer).where(registrations.c.id == unit.registration_id).scalar_subquery()
    of_platform = select(registrations.c.id).where(registrations.c.issuer == issuer)
    connection.execute(of_platform.order_by(registrations.c.id).with_for_update(key_share=True))
    line_items.connect(connection, now, unit.module_id)
    other, mine = searches.alias(), placements.alias()
    context = select(mine.c.context_id).where(mine.c.id == placement_id).scalar_subquery()
    course_is_held = (
        select(other.c.placement_id)
        .join(placements, placements.c.id == other.c.placement_id)
        .where(
            placements.c.registration_id.in_(of_platform),
            or_(placements.c.line_items_url == unit.line_items_url, placements.c.context_id == context),
            is_held(other, now),
        )
        .exists()
    )
    is_unchanged = searches.c.tried_at.is_not_distinct_from(tried_at)
    this = searches.c.placement_id == placement_id
    lease = claim_rows(connection, searches, this, LONGEST_CALL, now, is_unchanged, ~course_is_held)
    return None if lease is None else Search(unit, lease)


def _is_active() -> ColumnElement[bool]:
    active = select(registrations.c.id).where(registrations.c.status == "active")
    return placements.c.registration_id.in_(active)


def troubles(connection: Connection) -> Sequence[Row[Any]]:
    """The units whose columns are not as they should be, with the code of the reason."""
    query = (
        select(searches.c.placement_id, searches.c.code, searches.c.tried_at, placements)
        .join(placements, placements.c.id == searches.c.placement_id)
        .where(searches.c.code != "", _is_active())
        .order_by(searches.c.placement_id)
    )
    return connection.execute(query).all()


def search_again(connection: Connection, placement_id: int, *, actor: str, now: datetime) -> None:
    """Search again now, as staff ask; a column that was removed on the platform is made anew."""
    line_items.allow_anew(connection, placement_id)
    connection.execute(update(searches).where(searches.c.placement_id == placement_id).values(next_at=now, attempts=0))
    audit.record(connection, actor=actor, act="columns_looked_for", subject=f"placement:{placement_id}", at=now)


def may_pass(error: Exception) -> bool:
    """Whether an error may pass by itself."""
    if isinstance(error, PlatformRefused):
        return error.answered == 0 or error.answered >= 500 or error.answered in PASSING
    if isinstance(error, AddressRefused):
        return False
    return isinstance(error, OutboundError) or not isinstance(error, GatehouseError)


def note(connection: Connection, unit: Unit, column: Row[Any], item: LineItem | None, now: datetime) -> str:
    """Record how the platform has a column (None: it was removed), and retire one that cannot be used; the code of what
    staff should know, or ""."""
    if item is None:
        if column.origin != "given":
            line_items.retire(connection, column, "gone", now)
        return GONE
    is_bound = is_bound_to(unit, item, column.meaning)
    found = {"is_bound": is_bound, "maximum": item.maximum, "due_at": _due_at(item), "checked_at": now}
    connection.execute(update(columns).where(columns.c.id == column.id).values(found))
    if is_bound is False and unit.can_make:
        line_items.retire(connection, column, "not_bound", now)
    return ""


def keep(connection: Connection, unit: Unit, meaning: Meaning, item: LineItem, origin: Origin, now: datetime) -> str:
    """Record a column that was found or made. A column of a newer unit of another module stays with that unit; a column
    of another unit of the same module serves both."""
    held = line_items.holder(connection, unit.registration_id, item.url)
    if held is not None and held.placement_id != unit.placement_id:
        if held.module_id == unit.module_id:
            return ""
        if held.placement_id > unit.placement_id:
            return TAKEN_OVER
    if held is not None:
        same_unit = held.placement_id == unit.placement_id
        line_items.retire(connection, held, "meaning_changed" if same_unit else "taken_over", now)
    is_bound = is_bound_to(unit, item, meaning)
    known = {"is_bound": is_bound, "maximum": item.maximum, "due_at": _due_at(item), "checked_at": now}
    line_items.add(connection, unit, meaning, item.url, origin, now, **known)
    return ""


def retire_unwanted(connection: Connection, programme: Programme, unit: Unit, now: datetime) -> None:
    """Where a unit has one grade only, retire the column of what it meant before."""
    if unit.score != "ce" and not unit.profile.one_grade_per_link:
        return
    wanted = meanings(programme, unit)
    for column in line_items.of_unit(connection, unit.placement_id):
        if column.meaning not in wanted:
            line_items.retire(connection, column, "meaning_changed", now)


def is_bound_to(unit: Unit, item: LineItem, meaning: Meaning) -> bool | None:
    """Whether an item is the unit's own; None where the platform does not say and it does not matter."""
    if not line_items.is_own(unit, meaning, item):
        return False
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
