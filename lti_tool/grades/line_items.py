"""Who writes which column of a platform's gradebook.

A launch may name the one column of its unit (declarative): that column then belongs to the content behind the link. Of
several contents that were put behind one link the newest has it, once and for all: an older one that is opened again
does not take it back. Columns that the tool finds or makes itself (`line_item_search`) are recorded here too. Nothing
is ever deleted on a platform: a column that is not used any more is retired here, with the reason.

What a column of a gradebook means, and what ours are called on a platform.

A module has two: how much of it somebody attended, and the credit they earned (ce.md G1). Nothing is asked here.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, case, or_, select, update

from lti_tool.db import insert_ignoring
from lti_tool.errors import NotFound
from lti_tool.grades.ags import RETIRED, SCORE_SCOPE
from lti_tool.lti.line_items import LINE_ITEM_SCOPE, LineItem, NewLineItem
from lti_tool.lti.quirks import PROFILES, Profile, names_where
from lti_tool.programme import versions
from lti_tool.programme.catalogue import Module
from lti_tool.programme.model import Programme
from lti_tool.tables.courses import placements
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import line_items, scores

Meaning = Literal["completion", "ce"]

TAGS: dict[Meaning, str] = {"completion": "gatehouse-completion", "ce": "gatehouse-ce"}
LABELS: dict[Meaning, str] = {"completion": "attendance", "ce": "CE credit"}
COMPLETION_MAXIMUM = 100
LONGEST_LABEL = 100


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of a course that shows a module, as columns see it: `score` is the meaning that its link names."""

    placement_id: int
    registration_id: int
    profile: Profile
    module_id: str
    resource_link_id: str
    score: Meaning | None
    line_item_url: str | None
    line_items_url: str | None
    scopes: Collection[str]

    @property
    def can_make(self) -> bool:
        """Whether the tool may make columns in this course."""
        return self.line_items_url is not None and LINE_ITEM_SCOPE in self.scopes

    @property
    def trusts_given(self) -> bool:
        """Whether the one line item of the launch is the unit's own: where the tool makes them, Open edX names the
        first of several, whichever unit it belongs to (xblock-lti-consumer#707)."""
        return not (self.profile.grade_needs_bound_line_item and self.can_make)


def whole_maximum(credits: Decimal) -> int:
    """Credits as the whole number that Open edX asks for: 6.5 becomes 65, 3.75 becomes 375 (ce.md G5)."""
    tens = max(1, -int(credits.normalize().as_tuple().exponent))
    return int(credits.scaleb(tens))


def meanings(programme: Programme, unit: Unit) -> tuple[Meaning, ...]:
    """What the unit's columns mean, its own first. Where there is but one: what its link says, else the programme's
    choice. Elsewhere both, as far as the module earns credit, but for a link that is there for the credit alone."""
    if unit.profile.one_grade_per_link or not unit.can_make:
        return (unit.score or programme.scores.single_line_item,)
    if unit.score == "ce":
        return ("ce",)
    return ("completion", "ce") if largest_credit(programme.modules.get(unit.module_id)) else ("completion",)


def largest_credit(module: Module | None) -> Decimal | None:
    """The most credits of one body that a module offers; None where it offers none."""
    offered = [] if module is None else [credits for credits in module.credits.values() if credits]
    return max(offered, default=None)


def resource_id(module_id: str, meaning: Meaning) -> str:
    """By what a column of ours is known on any platform, also after a course was copied: "F1:completion"."""
    return f"{module_id}:{meaning}"


def new_column(programme: Programme, unit: Unit, meaning: Meaning) -> NewLineItem:
    """The line item to be made. Only the unit's own column is tied to its link: with two, a platform would no longer
    name one of them at a launch (lti.md AG-1)."""
    module = programme.modules[unit.module_id]
    credits = largest_credit(module)
    is_own = meaning == meanings(programme, unit)[0]
    ending = f" – {LABELS[meaning]}"
    return NewLineItem(
        label=module.label[: LONGEST_LABEL - len(ending)].rstrip() + ending,
        maximum=whole_maximum(credits) if meaning == "ce" and credits else COMPLETION_MAXIMUM,
        resource_id=resource_id(unit.module_id, meaning),
        tag=TAGS[meaning],
        resource_link_id=unit.resource_link_id if is_own else None,
    )


def choose_bound(unit: Unit, new: NewLineItem, bound: Iterable[LineItem]) -> LineItem | None:
    """Of the line items tied to the unit's link the one to use; None when there is none for this module.

    The one of our own name comes first, then one that nobody named (the platform made it for the unit). Where the unit
    has a single grade, any will do: all of them write it.
    """
    ordered = sorted(bound, key=lambda item: (_name_of(item) != _name_of(new), bool(item.resource_id), item.url))
    if unit.profile.one_grade_per_link:
        return next(iter(ordered), None)
    return next((item for item in ordered if _name_of(item) == _name_of(new) or not item.resource_id), None)


def choose_named(unit: Unit, named: Iterable[LineItem]) -> LineItem | None:
    """Of the line items that carry our name the one to use: not one that is tied to another unit."""
    free = [item for item in named if item.resource_link_id in (None, unit.resource_link_id)]
    return min(free, key=lambda item: item.url, default=None)


def _name_of(item: LineItem | NewLineItem) -> tuple[str | None, str | None]:
    return item.resource_id, item.tag


Reason = Literal["taken_over", "moved", "meaning_changed", "not_bound", "gone"]
Origin = Literal["given", "found", "made"]


def connect(connection: Connection, now: datetime, module_id: str | None = None) -> int:
    """Bring the columns that launches name in line with the units that name them, all or those of one module; how many
    changed hands. In most calls nothing has changed, and nothing is written."""
    programme = _programme(connection)
    if programme is None:
        return 0
    owners = _owners(connection, module_id)
    held = _held(connection, owners)
    return sum(_give(connection, programme, unit, held, now) for unit in owners)


def usable() -> ColumnElement[bool]:
    """Columns in use that reach the gradebook, for a query over line items and registrations: on Open edX one that is
    tied to another unit is taken, and nothing appears."""
    needs_bound = registrations.c.profile.in_(names_where("grade_needs_bound_line_item"))
    return and_(line_items.c.retired_at.is_(None), or_(~needs_bound, line_items.c.is_bound.is_distinct_from(False)))


def in_use() -> ColumnElement[bool]:
    """Whether the column of a score is still its own, for a query over scores."""
    its = (line_items.c.placement_id == scores.c.placement_id, line_items.c.meaning == scores.c.meaning)
    here = (line_items.c.url == scores.c.line_item_url, line_items.c.retired_at.is_(None))
    return select(line_items.c.id).where(*its, *here).exists()


def release(connection: Connection, placement_id: int, now: datetime) -> None:
    """The unit shows another module from now on: its columns are found anew, with that module's scores."""
    for column in of_unit(connection, placement_id):
        retire(connection, column, "taken_over", now)
    allow_anew(connection, placement_id)


def allow_anew(connection: Connection, placement_id: int) -> None:
    """What was removed on the platform may be made again."""
    gone = and_(line_items.c.placement_id == placement_id, line_items.c.retired_because == "gone")
    connection.execute(update(line_items).where(gone).values(retired_because="replaced"))


def units(connection: Connection, *conditions: ColumnElement[bool]) -> list[Unit]:
    """The units that show a module, the oldest first."""
    query = (
        select(placements, registrations.c.profile)
        .join(registrations, registrations.c.id == placements.c.registration_id)
        .where(placements.c.module_id.is_not(None), *conditions)
        .order_by(placements.c.id)
    )
    return [_unit(row) for row in connection.execute(query)]


def of_unit(connection: Connection, placement_id: int) -> Sequence[Row[Any]]:
    """The columns of a unit that are in use."""
    ours = and_(line_items.c.placement_id == placement_id, line_items.c.retired_at.is_(None))
    return connection.execute(select(line_items).where(ours).order_by(line_items.c.id)).all()


def holder(connection: Connection, registration_id: int, url: str) -> Row[Any] | None:
    """The column in use at this address, with the module of the unit that has it."""
    query = (
        select(line_items, placements.c.module_id)
        .join(placements, placements.c.id == line_items.c.placement_id)
        .where(
            line_items.c.registration_id == registration_id,
            line_items.c.url == url,
            line_items.c.retired_at.is_(None),
        )
    )
    return connection.execute(query).first()


def add(
    connection: Connection, unit: Unit, meaning: Meaning, url: str, origin: Origin, now: datetime, **known: Any
) -> bool:
    """Record that the unit writes this column; False when somebody else has it or was faster."""
    row = {
        "registration_id": unit.registration_id,
        "placement_id": unit.placement_id,
        "meaning": meaning,
        "url": url,
        "origin": origin,
        "made_at": now,
        **known,
    }
    return bool(connection.execute(insert_ignoring(connection, line_items), row).rowcount)


def retire(connection: Connection, column: Row[Any], because: Reason, now: datetime) -> bool:
    """Use a column no longer; False when it was retired already. What it shows is not compared with ours any more.

    Unless the column only has another address, what waited or travels waits for staff, and what was delivered bears the
    reason: both begin anew if the column comes back, but for what staff chose to keep.
    """
    ours = and_(line_items.c.id == column.id, line_items.c.retired_at.is_(None))
    done = connection.execute(update(line_items).where(ours).values(retired_at=now, retired_because=because)).rowcount
    its = and_(
        scores.c.placement_id == column.placement_id,
        scores.c.meaning == column.meaning,
        scores.c.line_item_url == column.url,
    )
    connection.execute(update(scores).where(its).values(look_at=None))
    if because != "moved":
        # Whoever has one in hand loses it, and records nothing.
        ended = {"last_answer": RETIRED + because, "lease_owner": None, "leased_until": None}
        status = case((scores.c.status == "waiting", "parked"), else_=scores.c.status)
        connection.execute(update(scores).where(its, scores.c.status != "kept").values(status=status, **ended))
    return bool(done)


def _give(connection: Connection, programme: Programme, unit: Unit, held: list[Row[Any]], now: datetime) -> int:
    """Give the unit the column that its launch named, and take it from whoever had it."""
    meaning, url = meanings(programme, unit)[0], unit.line_item_url
    if url is None or not unit.trusts_given:
        return 0
    here = [each for each in held if (each.registration_id, each.url) == (unit.registration_id, url)]
    if any(_keeps(each, unit, meaning) for each in here):
        return 0
    for each in here:
        retire(connection, each, "meaning_changed" if each.placement_id == unit.placement_id else "taken_over", now)
        held.remove(each)
    for each in [each for each in held if (each.placement_id, each.meaning) == (unit.placement_id, meaning)]:
        retire(connection, each, "moved", now)
        held.remove(each)
    return add(connection, unit, meaning, url, "given", now)


def _keeps(column: Row[Any], unit: Unit, meaning: Meaning) -> bool:
    """Whether who has this column keeps it: this unit itself, a newer one whose latest launch named none (lti.md AG-1:
    it has two by now), or one for whose module the tool made it."""
    if column.placement_id == unit.placement_id:
        return bool(column.meaning == meaning)
    return bool(column.placement_id > unit.placement_id or column.origin != "given")


def _owners(connection: Connection, module_id: str | None) -> list[Unit]:
    """The units to which the named columns belong: of all that may write to one the newest."""
    of_module = placements.alias()
    same = and_(
        of_module.c.registration_id == placements.c.registration_id,
        of_module.c.line_item_url == placements.c.line_item_url,
        of_module.c.module_id == module_id,
    )
    concerned = [] if module_id is None else [select(of_module.c.id).where(same).exists()]
    named = units(connection, placements.c.line_item_url.is_not(None), *concerned)
    newest = {(unit.registration_id, unit.line_item_url): unit for unit in named if SCORE_SCOPE in unit.scopes}
    return list(newest.values())


def _held(connection: Connection, owners: Collection[Unit]) -> list[Row[Any]]:
    """The columns in use of these units, and those in use at the addresses that they name."""
    if not owners:
        return []
    ours = or_(
        line_items.c.placement_id.in_([unit.placement_id for unit in owners]),
        line_items.c.url.in_([unit.line_item_url for unit in owners]),
    )
    return list(connection.execute(select(line_items).where(line_items.c.retired_at.is_(None), ours)))


def _unit(row: Row[Any]) -> Unit:
    return Unit(
        placement_id=row.id,
        registration_id=row.registration_id,
        profile=PROFILES[row.profile],
        module_id=row.module_id,
        resource_link_id=row.resource_link_id,
        score=row.score_meaning,
        line_item_url=row.line_item_url,
        line_items_url=row.line_items_url,
        scopes=tuple(row.ags_scopes),
    )


def _programme(connection: Connection) -> Programme | None:
    """The programme in force, None before the first."""
    try:
        return versions.current(connection).programme
    except NotFound:
        return None
