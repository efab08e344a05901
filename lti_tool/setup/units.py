"""The units of every course as the set-up doctor looks at them: what launches, services and the ledger left behind."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from lti_tool.setup.findings import Column, Finding, Unit, examine
from lti_tool.tables.courses import placements
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.platforms import registrations, service_answers
from lti_tool.tables.scores import line_items


@dataclass(frozen=True, slots=True)
class Examined:
    """A unit with its place among courses, and what the doctor says of it."""

    unit: Unit
    registration_id: int
    issuer: str
    context_id: str | None
    course: str
    title: str
    launched_at: datetime
    findings: Sequence[Finding]

    @property
    def is_hindered(self) -> bool:
        return any(each.state == "wrong" for each in self.findings)


def examine_units(connection: Connection) -> list[Examined]:
    """Every unit of the active platforms that was ever launched, course by course."""
    query = (
        select(placements, registrations.c.issuer, registrations.c.profile)
        .join(registrations)
        .where(registrations.c.status == "active")
        .order_by(placements.c.context_title, placements.c.context_id, placements.c.id)
    )
    rows = connection.execute(query).all()
    known = _Known(
        columns=_columns(connection),
        answers=_answers(connection),
        ends=_last_ends(connection),
        newest=_newest_clients(rows),
    )
    return [_examined(row, known) for row in rows]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is read once for all units."""

    columns: Mapping[int, Sequence[Row[Any]]]
    answers: Mapping[int, Mapping[str, str]]
    ends: Mapping[str, datetime]
    newest: Mapping[tuple[str, str, str], int]


def _examined(row: Row[Any], known: _Known) -> Examined:
    unit = _unit(row, known)
    return Examined(
        unit=unit,
        registration_id=row.registration_id,
        issuer=row.issuer,
        context_id=row.context_id,
        course=row.context_title or row.context_id or "No course",
        title=row.resource_link_title or _short(row.resource_link_id),
        launched_at=row.updated_at,
        findings=tuple(examine(unit)),
    )


def _unit(row: Row[Any], known: _Known) -> Unit:
    columns = [each for each in known.columns.get(row.id, ()) if each.retired_at is None]
    taken = [each for each in known.columns.get(row.id, ()) if each.retired_because == "taken_over"]
    return Unit(
        placement_id=row.id,
        profile=row.profile,
        content=row.content,
        module_id=row.module_id,
        ags_scopes=tuple(row.ags_scopes),
        has_line_item=row.line_item_url is not None,
        has_line_items=row.line_items_url is not None,
        has_roster=row.memberships_url is not None,
        shares_name=row.shares_name,
        shares_email=row.shares_email,
        columns=tuple(Column(each.meaning, each.is_bound, each.due_at) for each in columns),
        answers=known.answers.get(row.registration_id, {}),
        score_due_by=known.ends.get(row.module_id or ""),
        newer_client=known.newest[_place(row)] != row.registration_id,
        holds_another_modules_grade=bool(taken) and not columns,
    )


def _columns(connection: Connection) -> Mapping[int, Sequence[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(select(line_items).order_by(line_items.c.id)):
        found[row.placement_id].append(row)
    return found


def _answers(connection: Connection) -> Mapping[int, Mapping[str, str]]:
    """Registration → service → our code of the failure, "" where the latest answer was well."""
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for row in connection.execute(select(service_answers).order_by(service_answers.c.answered_at)):
        found[row.registration_id][row.service] = row.code
    return found


def _last_ends(connection: Connection) -> Mapping[str, datetime]:
    """Module → when its last session ends."""
    query = (
        select(live_sessions.c.module_id, func.max(live_sessions.c.ends_at))
        .where(live_sessions.c.state != "cancelled")
        .group_by(live_sessions.c.module_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _newest_clients(rows: Collection[Row[Any]]) -> Mapping[tuple[str, str, str], int]:
    """Unit → the registration that launched it last: Open edX gives a unit a new client id when its passport changes
    (openedx.md §1)."""
    return {_place(row): row.registration_id for row in sorted(rows, key=lambda row: row.updated_at)}


def _place(row: Row[Any]) -> tuple[str, str, str]:
    return row.issuer, row.deployment_id, row.resource_link_id


def _short(resource_link_id: str) -> str:
    """The end of a long id, which is where they differ: `…block@module1`."""
    return resource_link_id if len(resource_link_id) <= 40 else f"…{resource_link_id[-36:]}"
