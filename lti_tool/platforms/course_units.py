"""What each unit of a course opens, and whether staff have looked at it.

A launch says by `custom` or by its address what its unit opens, so a course that is run again, with new resource link
ids, opens the same content; staff confirm once that it is right. A unit that names nothing can be given a module here.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Subquery, and_, func, select, update

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
    """One content behind one resource link. `content` is what its launches name ("" for nothing), `module_id` what it
    opens if that is a module; `shares_link` when other contents stand behind the same resource link, of which
    `has_grade` tells the one that the link's grade belongs to; `is_replaced` when the link opens something else now."""

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
        """Whether nobody has looked at it."""
        return self.confirmed_at is None and not self.is_replaced


@dataclass(frozen=True, slots=True)
class Course:
    """A course of one platform with its units. `copied_from` are the titles or ids of courses it was copied from."""

    registration_id: int
    client_id: str
    platform: str
    context_id: str | None
    title: str | None
    copied_from: tuple[str, ...]
    units: tuple[Unit, ...]

    @property
    def unconfirmed(self) -> int:
        """How many units nobody has looked at."""
        return sum(each.waits for each in self.units)


def courses(connection: Connection, now: datetime) -> list[Course]:
    """Every course that was launched from active platforms; those with unconfirmed units first."""
    origins, graded = _origins(connection), _graded(connection)
    query = (
        select(placements, registrations.c.issuer, registrations.c.client_id, is_replaced(now).label("is_replaced"))
        .join(registrations)
        .where(registrations.c.status == "active")
        .order_by(placements.c.registration_id, placements.c.context_id, placements.c.resource_link_id, placements.c.id)
    )
    rows = connection.execute(query).all()
    grouped = groupby(rows, key=lambda row: (row.registration_id, row.context_id))
    found = [_course(list(group), origins.get(key, ()), graded) for key, group in grouped]
    return sorted(found, key=lambda each: (not each.unconfirmed, (each.title or "").lower(), each.registration_id))


def unconfirmed(now: datetime) -> Subquery:
    """A row for each course with units that nobody has looked at, and `since` when the oldest of them is there."""
    course = (placements.c.registration_id, placements.c.context_id)
    waiting = and_(placements.c.confirmed_at.is_(None), ~is_replaced(now), registrations.c.status == "active")
    since = select(func.min(placements.c.updated_at).label("since")).join_from(placements, registrations)
    return since.where(waiting).group_by(*course).subquery()


def is_replaced(now: datetime) -> ColumnElement[bool]:
    """Placements whose link opens something else by now: nobody opened this content for two weeks, but another one of
    the link was opened since. No platform tells; one link may well have several contents (Open edX)."""
    other = placements.alias()
    of_link = (
        other.c.registration_id == placements.c.registration_id,
        other.c.deployment_id == placements.c.deployment_id,
        other.c.resource_link_id == placements.c.resource_link_id,
        other.c.launched_at > placements.c.launched_at,
    )
    return and_(placements.c.launched_at < now - REPLACED_AFTER, select(other.c.id).where(*of_link).exists())


def confirm(
    connection: Connection,
    registration_id: int,
    context_id: str | None,
    unit_ids: Collection[int],
    *,
    actor: str,
    now: datetime,
) -> int:
    """Staff have looked at these units of one course and found right what they open; how many that are new.

    Only what the page showed is confirmed: a unit that came meanwhile still waits.
    """
    here = _of_course(registration_id, context_id)
    wanted = here & placements.c.id.in_(unit_ids) & placements.c.confirmed_at.is_(None)
    confirmed = update(placements).where(wanted).values(confirmed_at=now, confirmed_by=actor)
    ids = sorted(connection.execute(confirmed.returning(placements.c.id)).scalars())
    if ids:
        subject = f"platform:{registration_id}"
        audit.record(connection, actor=actor, act="units_confirmed", subject=subject, at=now, placements=ids)
    return len(ids)


def assign(
    connection: Connection, programme: Programme, unit_id: int, module_id: str, *, actor: str, now: datetime
) -> None:
    """Let a unit that names no content open this module; who chooses it has thereby confirmed it.

    Raises NotFound `unit_unknown`, Conflict `unit_names_content`, BadInput `module_not_offered`.
    """
    _verify_assignable(connection, unit_id)
    if module_id not in programme.modules or not programme.is_published(module_id):
        raise BadInput("module_not_offered", "The programme offers no such module.", "Choose one from the list.")
    _release(connection, unit_id, module_id, now)
    _write(connection, unit_id, module_id=module_id, confirmed_at=now, confirmed_by=actor, updated_at=now)
    audit.record(connection, actor=actor, act="unit_assigned", subject=f"placement:{unit_id}", at=now, module=module_id)


def unassign(connection: Connection, unit_id: int, *, actor: str, now: datetime) -> None:
    """Take a choice of staff back: the unit opens the dashboard again. Raises as `assign` does."""
    _verify_assignable(connection, unit_id)
    _release(connection, unit_id, None, now)
    _write(connection, unit_id, module_id=None, confirmed_at=None, confirmed_by=None, updated_at=now)
    audit.record(connection, actor=actor, act="unit_unassigned", subject=f"placement:{unit_id}", at=now)


def _verify_assignable(connection: Connection, unit_id: int) -> None:
    content = connection.execute(select(placements.c.content).where(placements.c.id == unit_id)).scalar()
    if content is None:
        raise NotFound("unit_unknown", "There is no such unit.", "Choose one from the list of courses.")
    if content:
        raise Conflict(
            "unit_names_content",
            "This unit says itself what it opens.",
            "Change its custom parameter on the learning platform.",
        )


def _release(connection: Connection, unit_id: int, module_id: str | None, now: datetime) -> None:
    """What the unit showed so far is not written to its grade columns any more."""
    shown = connection.execute(select(placements.c.module_id).where(placements.c.id == unit_id)).scalar()
    if shown != module_id:
        release(connection, unit_id, now)


def _write(connection: Connection, unit_id: int, **values: Any) -> None:
    connection.execute(update(placements).where(placements.c.id == unit_id).values(values))


def _of_course(registration_id: int, context_id: str | None) -> ColumnElement[bool]:
    return (placements.c.registration_id == registration_id) & placements.c.context_id.is_not_distinct_from(context_id)


def _course(rows: list[Row[Any]], origins: tuple[str, ...], graded: set[int]) -> Course:
    newest = max(rows, key=lambda row: row.updated_at)
    return Course(
        registration_id=newest.registration_id,
        client_id=newest.client_id,
        platform=newest.issuer,
        context_id=newest.context_id,
        title=newest.context_title,
        copied_from=origins,
        units=tuple(_units(rows, graded)),
    )


def _units(rows: list[Row[Any]], graded: set[int]) -> Iterator[Unit]:
    """The units of one course, in order; the contents of one link stand together."""
    for _, behind in groupby(rows, key=lambda row: (row.deployment_id, row.resource_link_id)):
        contents = list(behind)
        for row in contents:
            yield Unit(
                id=row.id,
                link_id=row.resource_link_id,
                title=row.resource_link_title,
                content=row.content,
                module_id=row.module_id,
                launched_at=row.launched_at,
                confirmed_at=row.confirmed_at,
                confirmed_by=row.confirmed_by,
                shares_link=sum(each.module_id is not None and not each.is_replaced for each in contents) > 1,
                has_grade=row.id in graded,
                is_replaced=row.is_replaced,
            )


def _origins(connection: Connection) -> dict[tuple[int, str | None], tuple[str, ...]]:
    """(registration, course) → what it was copied from: titles where we have launches of the origin, else ids."""
    origin = (
        select(
            placements.c.registration_id, placements.c.context_id, func.max(placements.c.context_title).label("title")
        )
        .group_by(placements.c.registration_id, placements.c.context_id)
        .subquery()
    )
    same = (origin.c.registration_id == course_copies.c.registration_id) & (
        origin.c.context_id == course_copies.c.origin_context_id
    )
    query = select(course_copies, origin.c.title).outerjoin(origin, same).order_by(course_copies.c.noticed_at)
    found: dict[tuple[int, str | None], tuple[str, ...]] = {}
    for row in connection.execute(query):
        key = (row.registration_id, row.context_id)
        found[key] = (*found.get(key, ()), row.title or row.origin_context_id)
    return found


def _graded(connection: Connection) -> set[int]:
    """The placements that a column of a gradebook belongs to."""
    in_use = line_items.c.retired_at.is_(None)
    return set(connection.execute(select(line_items.c.placement_id).where(in_use)).scalars())
