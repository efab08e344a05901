"""Finding, making and checking columns on platforms: on threads of its own, and never inside a transaction.

A column is looked for before it is made, so an answer that was lost makes no second one (lti.md AG-1). Line items are
never deleted, and never changed either.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from lti_tool import publication
from lti_tool.db import Database
from lti_tool.errors import AddressRefused, GatehouseError, NotFound, OutboundError, PlatformRefused
from lti_tool.grades import due_searches, line_items
from lti_tool.grades.columns import (
    Meaning,
    Unit,
    choose_bound,
    choose_named,
    meanings,
    new_column,
)
from lti_tool.grades.crew import Crew
from lti_tool.grades.due_searches import Search
from lti_tool.grades.line_items import Origin
from lti_tool.lti.line_items import LineItem, NewLineItem, create_line_item, find_line_items, load_line_item
from lti_tool.lti.platform_api import PlatformApi
from lti_tool.programme.model import Programme
from lti_tool.tables.scores import line_items as columns
from lti_tool.tasks import Clock

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
        claimed = due_searches.claim(self._database, now, limit)
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
                due_searches.fail(connection, search, code, passes=may_pass(error), now=self._clock())
            return
        with self._database.write() as connection:
            due_searches.finish(connection, search, code, self._clock())

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
                programme = publication.current(connection).programme
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
            if not due_searches.renew(connection, search, self._clock()):
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
