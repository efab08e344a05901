"""The columns of platforms' gradebooks that the tool writes: what each means, and which unit writes it.

A module has two: how much of it a person attended, and the credit they earned (ce.md G1).

A launch may name the one column of its unit (declarative): that column then belongs to the content behind the link. Of
several contents behind one link, the newest keeps the column: an older one that is opened again does not take it back.
Columns that the tool finds or makes itself (`line_item_search`) are recorded here too. Nothing is ever deleted on a
platform: a column that is not used any more is retired here, with the reason.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, case, or_, select, update

from lti_tool.db import insert_ignoring
from lti_tool.errors import NotFound
from lti_tool.grades.ags import RETIRED, SCORE_SCOPE
from lti_tool.leases import RELEASED
from lti_tool.lti.line_items import LINE_ITEM_SCOPE, LONGEST_LABEL, LineItem, NewLineItem
from lti_tool.lti.quirks import PROFILES, Profile
from lti_tool.programme import versions
from lti_tool.programme.catalogue import Module
from lti_tool.programme.model import Programme
from lti_tool.tables.courses import placements
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import line_items, scores

Meaning = Literal["completion", "ce"]
Reason = Literal["taken_over", "moved", "meaning_changed", "not_bound", "gone"]
Origin = Literal["given", "found", "made"]

TAGS: dict[Meaning, str] = {"completion": "gatehouse-completion", "ce": "gatehouse-ce"}
LABELS: dict[Meaning, str] = {"completion": "attendance", "ce": "CE credit"}
COMPLETION_MAXIMUM = 100


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of a course that shows a module, with its grade services; `score` is the meaning that its link names."""

    placement_id: int
    registration_id: int
    profile: Profile
    module_id: str
    resource_link_id: str
    score: Meaning | Literal["both"] | None
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


def own_maximum(profile: Profile, meaning: Meaning, credits: Decimal | None) -> int | float:
    """The maximum of a column that the tool makes: for credit the most credits, as they are or, where the platform
    takes whole numbers only, in tenths or hundredths (ce.md G5)."""
    if meaning != "ce" or not credits:
        return COMPLETION_MAXIMUM
    return whole_maximum(credits) if profile.whole_number_maximum else float(credits)


def meanings(programme: Programme, unit: Unit) -> tuple[Meaning, ...]:
    """What the unit's columns mean, its own first: what its link says, else the programme's choice. A second column,
    for credit, is made only where the link (`score=both`) or the programme (`ce_column`) asks for it, the unit may have
    two, and the module earns credit."""
    named = None if unit.score == "both" else unit.score
    if unit.profile.one_grade_per_link or not unit.can_make:
        return (named or programme.scores.single_line_item,)
    if named == "ce":
        return ("ce",)
    is_asked_for = unit.score == "both" or programme.scores.ce_column
    earns_credit = largest_credit(programme.modules.get(unit.module_id)) is not None
    return ("completion", "ce") if is_asked_for and earns_credit else ("completion",)


def has_credit_column_elsewhere(connection: Connection, unit: Unit) -> bool:
    """Whether the unit's course has a column for the module's credit already, made under another registration."""
    here, issuer = placements.alias(), registrations.alias()
    course = (
        select(here.c.context_id, here.c.module_id, issuer.c.issuer)
        .join(issuer, issuer.c.id == here.c.registration_id)
        .where(here.c.id == unit.placement_id)
        .subquery()
    )
    query = (
        select(line_items.c.id)
        .join(placements, placements.c.id == line_items.c.placement_id)
        .join(registrations, registrations.c.id == placements.c.registration_id)
        .join(
            course,
            and_(
                course.c.context_id == placements.c.context_id,
                course.c.module_id == placements.c.module_id,
                course.c.issuer == registrations.c.issuer,
            ),
        )
        .where(
            line_items.c.meaning == "ce",
            registrations.c.status == "active",
            placements.c.registration_id != unit.registration_id,
            usable(),
        )
    )
    return connection.execute(query.limit(1)).first() is not None


def largest_credit(module: Module | None) -> Decimal | None:
    """The most credits of one body that a module offers; None where it offers none."""
    offered = [] if module is None else [credits for credits in module.credits.values() if credits]
    return max(offered, default=None)


def resource_id(module_id: str, meaning: Meaning) -> str:
    """The name of our column on any platform, also after a course was copied: "F1:completion"."""
    return f"{module_id}:{meaning}"


def new_column(module: Module, profile: Profile, meaning: Meaning) -> NewLineItem:
    """The column of a module as the tool makes it on such a platform, tied to no link. Where its maximum is not the
    number of credits, the label says what it stands for."""
    credits = largest_credit(module)
    ending = f" – {LABELS[meaning]}"
    maximum = own_maximum(profile, meaning, credits)
    if meaning == "ce" and credits and maximum != float(credits):
        ending += f" ({maximum} = {credits.normalize():f} credits)"
    return NewLineItem(
        label=module.label[: LONGEST_LABEL - len(ending)].rstrip() + ending,
        maximum=maximum,
        resource_id=resource_id(module.id, meaning),
        tag=TAGS[meaning],
    )


def new_column_of(unit: Unit, programme: Programme, meaning: Meaning) -> NewLineItem:
    """The line item to make. Only the unit's own column is tied to its link: with two, a platform no longer names one
    of them at a launch (lti.md AG-1)."""
    is_own = meaning == meanings(programme, unit)[0]
    column = new_column(programme.modules[unit.module_id], unit.profile, meaning)
    return replace(column, resource_link_id=unit.resource_link_id if is_own else None)


def is_own(unit: Unit, meaning: Meaning, item: LineItem) -> bool:
    """Whether a line item that a launch named is the unit's: not tied to another link, and not named by another tool or
    for another purpose (lti.md AG-1). Where a unit has one grade, all its contents share the item."""
    if item.resource_link_id not in (None, unit.resource_link_id):
        return False
    if _name_of(item) == (resource_id(unit.module_id, meaning), TAGS[meaning]):
        return True
    if item.tag in TAGS.values():
        return unit.profile.one_grade_per_link
    return item.resource_link_id is not None or not (item.resource_id or item.tag)


def choose_bound(unit: Unit, new: NewLineItem, bound: Iterable[LineItem]) -> LineItem | None:
    """The line item to use of those tied to the unit's link; None when there is none for this module.

    The one with our name comes first, then one without a name (the platform made it for the unit). Where the unit has a
    single grade, any will do: all of them write it.
    """
    ordered = sorted(bound, key=lambda item: (_name_of(item) != _name_of(new), bool(item.resource_id), item.url))
    if unit.profile.one_grade_per_link:
        return next(iter(ordered), None)
    return next((item for item in ordered if _name_of(item) == _name_of(new) or not item.resource_id), None)


def choose_named(unit: Unit, named: Iterable[LineItem]) -> LineItem | None:
    """The line item to use of those with our name: not one that is tied to another unit."""
    free = [item for item in named if item.resource_link_id in (None, unit.resource_link_id)]
    return min(free, key=lambda item: item.url, default=None)


def _name_of(item: LineItem | NewLineItem) -> tuple[str | None, str | None]:
    return item.resource_id, item.tag


def connect(connection: Connection, now: datetime, module_id: str | None = None) -> int:
    """Bring the columns that launches name in line with the units that name them, all or those of one module; returns
    how many now belong to another unit. In most calls nothing has changed, and nothing is written."""
    try:
        programme = versions.current(connection).programme
    except NotFound:  # none was published yet
        return 0
    of_module = placements.alias()
    names_the_same = (
        of_module.c.registration_id == placements.c.registration_id,
        of_module.c.line_item_url == placements.c.line_item_url,
        of_module.c.module_id == module_id,
    )
    concerned = () if module_id is None else (select(of_module.c.id).where(*names_the_same).exists(),)
    # Of all units that may write to a named column, the newest.
    owners = {
        (unit.registration_id, unit.line_item_url): unit
        for unit in units(connection, placements.c.line_item_url.is_not(None), *concerned)
        if SCORE_SCOPE in unit.scopes
    }
    if not owners:
        return 0
    ours = or_(
        line_items.c.placement_id.in_([unit.placement_id for unit in owners.values()]),
        line_items.c.url.in_([unit.line_item_url for unit in owners.values()]),
    )
    in_use = list(connection.execute(select(line_items).where(line_items.c.retired_at.is_(None), ours)))
    foreign = select(line_items.c.placement_id, line_items.c.url).where(
        line_items.c.retired_because == "not_bound", ours
    )
    for placement_id, url in connection.execute(foreign):
        owners = {key: unit for key, unit in owners.items() if (unit.placement_id, key[1]) != (placement_id, url)}
    return sum(_give(connection, programme, unit, in_use, now) for unit in owners.values())


def usable() -> ColumnElement[bool]:
    """Columns in use that are the unit's own, as far as they were looked at, for a query over line items."""
    return and_(line_items.c.retired_at.is_(None), line_items.c.is_bound.is_distinct_from(False))


def in_use() -> ColumnElement[bool]:
    """Whether a score's column is still in use for it, for a query over scores."""
    its = (line_items.c.placement_id == scores.c.placement_id, line_items.c.meaning == scores.c.meaning)
    here = (line_items.c.url == scores.c.line_item_url, line_items.c.retired_at.is_(None))
    return select(line_items.c.id).where(*its, *here).exists()


def release(connection: Connection, placement_id: int, now: datetime) -> None:
    """Give up the columns of a unit that shows another module from now on; they are found anew for that module."""
    for column in of_unit(connection, placement_id):
        retire(connection, column, "taken_over", now)
    allow_anew(connection, placement_id)


def allow_anew(connection: Connection, placement_id: int) -> None:
    """Let columns that were removed on the platform be made again."""
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
    return [
        Unit(
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
        for row in connection.execute(query)
    ]


def of_unit(connection: Connection, placement_id: int) -> Sequence[Row[Any]]:
    """The columns of a unit that are in use."""
    ours = and_(line_items.c.placement_id == placement_id, line_items.c.retired_at.is_(None))
    return connection.execute(select(line_items).where(ours).order_by(line_items.c.id)).all()


def holder(connection: Connection, registration_id: int, url: str) -> Row[Any] | None:
    """The column in use at this address, with the module of its unit."""
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
    """Record that the unit writes this column; False when another unit has it."""
    credits = None
    if meaning == "ce":
        credits = largest_credit(versions.current(connection).programme.modules.get(unit.module_id))
    row = {
        "registration_id": unit.registration_id,
        "placement_id": unit.placement_id,
        "meaning": meaning,
        "url": url,
        "origin": origin,
        "made_at": now,
        "credits": float(credits) if credits else None,
        **known,
    }
    return bool(connection.execute(insert_ignoring(connection, line_items), row).rowcount)


def retire(connection: Connection, column: Row[Any], because: Reason, now: datetime) -> bool:
    """Stop using a column; False when it was retired already. What it shows is not compared with ours any more.

    Unless the column only has another address, its waiting scores are parked for staff and its delivered scores note
    the reason. Both start anew if the column comes back, except those that staff chose to keep.
    """
    ours = and_(line_items.c.id == column.id, line_items.c.retired_at.is_(None))
    done = connection.execute(update(line_items).where(ours).values(retired_at=now, retired_because=because)).rowcount
    its = and_(
        scores.c.placement_id == column.placement_id,
        scores.c.meaning == column.meaning,
        scores.c.line_item_url == column.url,
    )
    connection.execute(update(scores).where(its).values(results_due_at=None))
    if because != "moved":
        # A worker that holds one loses the lease, and records nothing.
        ended = {"last_answer": RETIRED + because, **RELEASED}
        status = case((scores.c.status == "waiting", "parked"), else_=scores.c.status)
        connection.execute(update(scores).where(its, scores.c.status != "kept").values(status=status, **ended))
    return bool(done)


def _give(connection: Connection, programme: Programme, unit: Unit, in_use: list[Row[Any]], now: datetime) -> int:
    """Give the unit the column that its launch named, and take it from the unit that had it."""
    meaning, url = meanings(programme, unit)[0], unit.line_item_url
    if url is None or not unit.trusts_given:
        return 0
    here = [each for each in in_use if (each.registration_id, each.url) == (unit.registration_id, url)]
    # This unit may have it already. Another one keeps it if it is newer and its latest launch named no column (lti.md
    # AG-1: it has two by now), or if the tool found or made the column for it.
    if any(
        each.meaning == meaning
        if each.placement_id == unit.placement_id
        else each.placement_id > unit.placement_id or each.origin != "given"
        for each in here
    ):
        return 0
    for each in here:
        retire(connection, each, "meaning_changed" if each.placement_id == unit.placement_id else "taken_over", now)
        in_use.remove(each)
    for each in [each for each in in_use if (each.placement_id, each.meaning) == (unit.placement_id, meaning)]:
        retire(connection, each, "moved", now)
        in_use.remove(each)
    return add(connection, unit, meaning, url, "given", now)
