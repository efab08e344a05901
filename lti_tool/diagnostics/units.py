"""The units of every course as the set-up doctor looks at them: what launches, services and the ledger left behind."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select

from lti_tool.diagnostics.unit_findings import Column, Finding, Unit, examine
from lti_tool.lti.service_log import subject_digest
from lti_tool.platforms import course_units
from lti_tool.tables.courses import placements, rosters
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.platforms import registrations, service_answers
from lti_tool.tables.scores import line_items

# Whoever changes a unit's passport there gives it another client id (openedx.md §1). Elsewhere several registrations
# may well launch what looks like one unit.
ONE_CLIENT_A_UNIT = ("openedx",)
LONGEST_TITLE = 32

_Place = tuple[str, str, str | None, str]


@dataclass(frozen=True, slots=True)
class Examined:
    """A unit with its place among courses, and what the doctor says of it."""

    unit: Unit
    registration_id: int
    issuer: str
    context_id: str | None
    course: str
    link_id: str
    title: str
    launched_at: datetime
    findings: Sequence[Finding]

    @property
    def is_hindered(self) -> bool:
        return any(each.state == "wrong" for each in self.findings)


def examine_units(connection: Connection, now: datetime) -> list[Examined]:
    """Every unit of the active platforms that was ever launched and not changed since, course by course."""
    query = (
        select(placements, registrations.c.issuer, registrations.c.profile, rosters.c.code.label("roster_code"))
        .join_from(placements, registrations)
        .outerjoin(rosters, _is_roster_of_place())
        .where(registrations.c.status == "active", ~course_units.is_replaced(now))
        .order_by(placements.c.context_title, placements.c.context_id, placements.c.id)
    )
    rows = connection.execute(query).all()
    columns = connection.execute(select(line_items).order_by(line_items.c.id)).all()
    known = _Known(
        columns=_by_place(columns),
        holders={(each.registration_id, each.url): each.placement_id for each in columns if each.retired_at is None},
        places={row.id: row for row in rows},
        answers=_answers(connection),
        ends=_last_ends(connection),
        newest=_newest_clients(rows),
    )
    return [_examined(row, known) for row in rows]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is read once for all units."""

    columns: Mapping[int, Sequence[Row[Any]]]
    holders: Mapping[tuple[int, str], int]
    places: Mapping[int, Row[Any]]
    answers: Mapping[int, Mapping[tuple[str, str], str]]
    ends: Mapping[str, datetime]
    newest: Mapping[_Place, int]


def _examined(row: Row[Any], known: _Known) -> Examined:
    unit = _unit(row, known)
    return Examined(
        unit=unit,
        registration_id=row.registration_id,
        issuer=row.issuer,
        context_id=row.context_id,
        course=row.context_title or row.context_id or "No course",
        link_id=row.resource_link_id,
        title=row.resource_link_title or _short(row.resource_link_id),
        launched_at=row.launched_at,
        findings=tuple(examine(unit)),
    )


def _unit(row: Row[Any], known: _Known) -> Unit:
    columns = [each for each in known.columns.get(row.id, ()) if each.retired_at is None]
    past = {each.retired_because for each in known.columns.get(row.id, ())}
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
        column_gone=not columns and "gone" in past,
        answers=_answers_to(row, columns, known),
        score_due_by=known.ends.get(row.module_id or ""),
        newer_client=row.profile in ONE_CLIENT_A_UNIT and known.newest[_place(row)] != row.registration_id,
        holds_another_modules_grade=not columns and _is_held_by_another(row, past, known),
    )


def _is_held_by_another(row: Row[Any], past: Collection[str | None], known: _Known) -> bool:
    """Whether the column of this link belongs to another content behind it."""
    holder = known.places.get(known.holders.get((row.registration_id, row.line_item_url), 0))
    if holder is None:
        return "taken_over" in past
    return holder.module_id != row.module_id and _place(holder) == _place(row)


def _answers_to(row: Row[Any], columns: Collection[Row[Any]], known: _Known) -> Mapping[str, Collection[str]]:
    """Service → our codes of what went wrong for this unit: in what it was asked at the unit's own addresses, in
    reading its course's roster, and in asking for a token."""
    found: dict[str, set[str]] = defaultdict(set)
    asked = {row.line_item_url, row.line_items_url, *(each.url for each in columns)}
    subjects = {subject_digest(each) for each in asked if each}
    for (service, subject), code in known.answers.get(row.registration_id, {}).items():
        if service == "token" or (service in ("line_items", "scores") and subject in subjects):
            found[service].add(code)
    if row.roster_code and row.memberships_url:
        found["roster"].add(row.roster_code)
    return found


def _is_roster_of_place() -> ColumnElement[bool]:
    in_course = rosters.c.context_id == func.coalesce(placements.c.context_id, "")
    return and_(rosters.c.registration_id == placements.c.registration_id, in_course)


def _by_place(columns: Iterable[Row[Any]]) -> Mapping[int, Sequence[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in columns:
        found[row.placement_id].append(row)
    return found


def _answers(connection: Connection) -> Mapping[int, Mapping[tuple[str, str], str]]:
    """Registration → (service, digest of what it was asked about) → our code of the failure, where the latest answer
    was one. Of tokens the latest counts, whatever they were for: key, clock and address are the same for all."""
    found: dict[int, dict[tuple[str, str], str]] = defaultdict(dict)
    for row in connection.execute(select(service_answers).order_by(service_answers.c.answered_at)):
        subject = "" if row.service == "token" else row.subject
        found[row.registration_id][row.service, subject] = row.code
    return {each: {key: code for key, code in answers.items() if code} for each, answers in found.items()}


def _last_ends(connection: Connection) -> Mapping[str, datetime]:
    """Module → when its last session ends."""
    query = (
        select(live_sessions.c.module_id, func.max(live_sessions.c.ends_at))
        .where(live_sessions.c.state != "cancelled")
        .group_by(live_sessions.c.module_id)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _newest_clients(rows: Collection[Row[Any]]) -> Mapping[_Place, int]:
    """Unit → the registration that launched it last."""
    return {_place(row): row.registration_id for row in sorted(rows, key=lambda row: row.launched_at)}


def _place(row: Row[Any]) -> _Place:
    """A link is known within its course: one issuer may stand for many schools (Canvas)."""
    return row.issuer, row.deployment_id, row.context_id, row.resource_link_id


def _short(resource_link_id: str) -> str:
    """Of Open edX's long keys the last part, which is the one that people gave; of others the end."""
    if len(resource_link_id) <= LONGEST_TITLE:
        return resource_link_id
    return resource_link_id.rpartition("@")[2][-LONGEST_TITLE:] or resource_link_id[-LONGEST_TITLE:]
