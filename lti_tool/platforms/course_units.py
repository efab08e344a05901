"""What each unit of a course opens, and whether staff have confirmed it.

A launch says by `custom` or by its address what its unit opens. So a course that is run again, with new resource link
ids, opens the same content, and staff confirm it once. A unit that names nothing can be given a module here.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Subquery, and_, func, or_, select, update

from lti_tool import audit
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.grades.line_items import release
from lti_tool.programme.model import Programme
from lti_tool.tables.courses import course_copies, placements
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import line_items

REPLACED_AFTER = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Unit:
    """One content of one resource link.

    `content` is what its launches name ("" for nothing), `module_id` what it opens if that is a module. `shares_link`
    is set if the same resource link has other contents; `has_grade` marks the one that the link's grade belongs to.
    `is_replaced` is set if the link opens something else now.
    """

    id: int
    link_id: str
    title: str | None
    content: str
    module_id: str | None
    launched_at: datetime
    confirmed_at: datetime | None
    confirmed_by: str | None
    shares_link: bool
    has_grade: bool
    is_replaced: bool

    @property
    def is_assignable(self) -> bool:
        return not self.content

    @property
    def waits(self) -> bool:
        """Whether staff still have to confirm it."""
        return self.confirmed_at is None and not self.is_replaced


@dataclass(frozen=True, slots=True)
class Course:
    """A course of one platform with its units. `copied_from` holds titles or ids of the courses it was copied from."""

    registration_id: int
    client_id: str
    platform: str
    context_id: str | None
    title: str | None
    copied_from: tuple[str, ...]
    units: tuple[Unit, ...]

    @property
    def unconfirmed(self) -> int:
        """How many units staff still have to confirm."""
        return sum(each.waits for each in self.units)


def courses(connection: Connection, now: datetime) -> list[Course]:
    """Every course that was launched from an active platform; those with unconfirmed units first."""
    origins = _origins(connection)
    in_use = select(line_items.c.placement_id).where(line_items.c.retired_at.is_(None))
    graded = set(connection.execute(in_use).scalars())
    query = (
        select(placements, registrations.c.issuer, registrations.c.client_id, is_replaced(now).label("is_replaced"))
        .join(registrations)
        # What the programme does not have opens nothing; the set-up doctor lists it.
        .where(registrations.c.status == "active", placements.c.refused_trainee_id.is_(None))
        .order_by(placements.c.registration_id, placements.c.context_id, placements.c.resource_link_id, placements.c.id)
    )
    found = []
    rows = connection.execute(query).all()
    for key, group in groupby(rows, key=lambda row: (row.registration_id, row.context_id)):
        of_course = list(group)
        newest = max(of_course, key=lambda row: row.updated_at)
        links = groupby(of_course, key=lambda row: (row.deployment_id, row.resource_link_id))
        course = Course(
            registration_id=newest.registration_id,
            client_id=newest.client_id,
            platform=newest.issuer,
            context_id=newest.context_id,
            title=newest.context_title,
            copied_from=origins.get(key, ()),
            units=tuple(unit for _, contents in links for unit in _units_of_link(list(contents), graded)),
        )
        found.append(course)
    return sorted(found, key=lambda each: (not each.unconfirmed, (each.title or "").lower(), each.registration_id))


def _units_of_link(contents: list[Row[Any]], graded: set[int]) -> list[Unit]:
    modules = sum(each.module_id is not None and not each.is_replaced for each in contents)
    return [
        Unit(
            id=row.id,
            link_id=row.resource_link_id,
            title=row.resource_link_title,
            content=row.content,
            module_id=row.module_id,
            launched_at=row.launched_at,
            confirmed_at=row.confirmed_at,
            confirmed_by=row.confirmed_by,
            shares_link=modules > 1,
            has_grade=row.id in graded,
            is_replaced=row.is_replaced,
        )
        for row in contents
    ]


def _origins(connection: Connection) -> dict[tuple[int, str | None], tuple[str, ...]]:
    """(registration, course) → what it was copied from: titles of courses that were launched, ids of others."""
    course = placements.c.registration_id, placements.c.context_id
    title = func.max(placements.c.context_title).label("title")
    origin = select(*course, title).group_by(*course).subquery()
    same = and_(
        origin.c.registration_id == course_copies.c.registration_id,
        origin.c.context_id == course_copies.c.origin_context_id,
    )
    query = select(course_copies, origin.c.title).outerjoin(origin, same).order_by(course_copies.c.noticed_at)
    found: dict[tuple[int, str | None], tuple[str, ...]] = {}
    for row in connection.execute(query):
        key = (row.registration_id, row.context_id)
        found[key] = (*found.get(key, ()), row.title or row.origin_context_id)
    return found


def unconfirmed(now: datetime) -> Subquery:
    """A row for each course with unconfirmed units; `since` says when the oldest of them came."""
    course = (placements.c.registration_id, placements.c.context_id)
    waiting = and_(placements.c.confirmed_at.is_(None), ~is_replaced(now), registrations.c.status == "active")
    since = select(func.min(placements.c.updated_at).label("since")).join_from(placements, registrations)
    return since.where(waiting).group_by(*course).subquery()


def is_replaced(now: datetime) -> ColumnElement[bool]:
    """Placements whose link opens something else by now: this content was not opened for two weeks, or never opened
    because the programme does not have it, while another content of the link was. No platform reports this, and a link
    may well have several contents (Open edX)."""
    other = placements.alias()
    of_link = (
        other.c.registration_id == placements.c.registration_id,
        other.c.deployment_id == placements.c.deployment_id,
        other.c.resource_link_id == placements.c.resource_link_id,
        other.c.launched_at > placements.c.launched_at,
    )
    is_over = or_(placements.c.launched_at < now - REPLACED_AFTER, placements.c.refused_trainee_id.is_not(None))
    return and_(is_over, select(other.c.id).where(*of_link).exists())


def confirm(
    connection: Connection,
    registration_id: int,
    context_id: str | None,
    unit_ids: Collection[int],
    *,
    actor: str,
    now: datetime,
) -> int:
    """Confirm what these units of one course open. Returns how many were not confirmed before.

    Only the units that the page showed are confirmed. A unit added since then stays unconfirmed.
    """
    wanted = (
        placements.c.registration_id == registration_id,
        placements.c.context_id.is_not_distinct_from(context_id),
        placements.c.id.in_(unit_ids),
        placements.c.confirmed_at.is_(None),
    )
    confirmed = update(placements).where(*wanted).values(confirmed_at=now, confirmed_by=actor)
    ids = sorted(connection.execute(confirmed.returning(placements.c.id)).scalars())
    if ids:
        subject = f"platform:{registration_id}"
        audit.record(connection, actor=actor, act="units_confirmed", subject=subject, at=now, placements=ids)
    return len(ids)


def assign(
    connection: Connection, programme: Programme, unit_id: int, module_id: str, *, actor: str, now: datetime
) -> None:
    """Let a unit that names no content open this module. The choice also confirms the unit.

    Raises NotFound `unit_unknown`, Conflict `unit_names_content`, BadInput `module_not_offered`.
    """
    _verify_assignable(connection, unit_id)
    if module_id not in programme.modules or not programme.is_published(module_id):
        raise BadInput("module_not_offered", "The programme offers no such module.", "Choose one from the list.")
    _open_module(connection, unit_id, module_id, confirmed_at=now, confirmed_by=actor, now=now)
    audit.record(connection, actor=actor, act="unit_assigned", subject=f"placement:{unit_id}", at=now, module=module_id)


def unassign(connection: Connection, unit_id: int, *, actor: str, now: datetime) -> None:
    """Undo `assign`: the unit opens the dashboard again. Raises as `assign` does."""
    _verify_assignable(connection, unit_id)
    _open_module(connection, unit_id, None, confirmed_at=None, confirmed_by=None, now=now)
    audit.record(connection, actor=actor, act="unit_unassigned", subject=f"placement:{unit_id}", at=now)


def _verify_assignable(connection: Connection, unit_id: int) -> None:
    content = connection.execute(select(placements.c.content).where(placements.c.id == unit_id)).scalar()
    if content is None:
        raise NotFound("unit_unknown", "There is no such unit.", "Choose one from the list of courses.")
    if content:
        raise Conflict(
            "unit_names_content",
            "This unit itself says what it opens.",
            "Change its custom parameter on the learning platform.",
        )


def _open_module(
    connection: Connection,
    unit_id: int,
    module_id: str | None,
    *,
    confirmed_at: datetime | None,
    confirmed_by: str | None,
    now: datetime,
) -> None:
    """Change what a unit opens. The scores of its former module are no longer written to its grade columns."""
    unit = placements.c.id == unit_id
    if connection.execute(select(placements.c.module_id).where(unit)).scalar() != module_id:
        release(connection, unit_id, now)
    values = {"module_id": module_id, "confirmed_at": confirmed_at, "confirmed_by": confirmed_by, "updated_at": now}
    connection.execute(update(placements).where(unit).values(values))
