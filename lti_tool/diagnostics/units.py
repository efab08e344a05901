"""The units of every course as the set-up doctor sees them: what launches, services and the ledger recorded."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from sqlalchemy import Connection, Row, and_, func, select

from lti_tool.diagnostics.unit_findings import Column, Finding, Unit, examine
from lti_tool.errors import NotFound
from lti_tool.lti.service_log import subject_digest
from lti_tool.platforms import course_units
from lti_tool.programme import versions
from lti_tool.tables.courses import placements, rosters
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.people import trainees
from lti_tool.tables.platforms import registrations, service_answers
from lti_tool.tables.scores import line_items

# A change of a unit's passport there changes its client id (openedx.md §1). On other platforms several registrations
# may well launch what looks like one unit.
ONE_CLIENT_PER_UNIT = ("openedx",)

_Place = tuple[str, str, str | None, str]
_Answers = Mapping[tuple[str, str], str]
_Offerings = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Examined:
    """A unit with its course, and the doctor's findings; `title` is None where the platform names none."""

    unit: Unit
    registration_id: int
    issuer: str
    context_id: str | None
    course: str
    link_id: str
    title: str | None
    launched_at: datetime
    findings: Sequence[Finding]

    @property
    def is_hindered(self) -> bool:
        return any(each.state == "wrong" for each in self.findings)


def examine_units(connection: Connection, now: datetime) -> list[Examined]:
    """Every unit of the active platforms that was ever launched and not replaced since, course by course."""
    same_course = and_(
        rosters.c.registration_id == placements.c.registration_id,
        rosters.c.context_id == func.coalesce(placements.c.context_id, ""),
    )
    query = (
        select(
            placements,
            registrations.c.issuer,
            registrations.c.profile,
            rosters.c.code.label("roster_code"),
            trainees.c.name.label("refused_name"),
        )
        .join_from(placements, registrations)
        .outerjoin(rosters, same_course)
        .outerjoin(trainees, trainees.c.id == placements.c.refused_trainee_id)
        .where(registrations.c.status == "active", ~course_units.is_replaced(now))
        .order_by(placements.c.context_title, placements.c.context_id, placements.c.id)
    )
    rows = connection.execute(query).all()
    known = _load_known(connection, rows)
    examined = []
    for row in rows:
        unit = _unit(row, known)
        each = Examined(
            unit=unit,
            registration_id=row.registration_id,
            issuer=row.issuer,
            context_id=row.context_id,
            course=row.context_title or row.context_id or "No course",
            link_id=row.resource_link_id,
            title=row.resource_link_title,
            launched_at=row.launched_at,
            findings=tuple(examine(unit)),
        )
        examined.append(each)
    return examined


@dataclass(frozen=True, slots=True)
class _Known:
    """What is read once for all units.

    `columns`: placement → its gradebook columns. `holders`: (registration, column's address) → the placement it belongs
    to. `answers`: registration → (service, digest of the subject) → the code of the latest answer, if it was a failure.
    `ends`: module → the end of its last session. `newest`: unit → the registration that launched it last. `offerings`:
    kind → the ids that the published programme has; empty before the first is published.
    """

    places: Mapping[int, Row[Any]]
    columns: Mapping[int, Sequence[Row[Any]]]
    holders: Mapping[tuple[int, str], int]
    answers: Mapping[int, _Answers]
    ends: Mapping[str, datetime]
    newest: Mapping[_Place, int]
    offerings: _Offerings


def _load_known(connection: Connection, rows: Sequence[Row[Any]]) -> _Known:
    columns: dict[int, list[Row[Any]]] = defaultdict(list)
    holders = {}
    for column in connection.execute(select(line_items).order_by(line_items.c.id)):
        columns[column.placement_id].append(column)
        if column.retired_at is None:
            holders[column.registration_id, column.url] = column.placement_id
    answers: dict[int, dict[tuple[str, str], str]] = defaultdict(dict)
    for answer in connection.execute(select(service_answers).order_by(service_answers.c.answered_at)):
        # The latest token request counts for all subjects: key, clock and address are the same for them.
        subject = "" if answer.service == "token" else answer.subject
        answers[answer.registration_id][answer.service, subject] = answer.code
    offerings: dict[str, tuple[str, ...]] = {}
    with suppress(NotFound):  # none was published yet
        programme = versions.current(connection).programme
        offerings = {"module": tuple(programme.modules), "retreat": tuple(programme.retreats)}
    last_end = select(live_sessions.c.module_id, func.max(live_sessions.c.ends_at))
    held = last_end.where(live_sessions.c.state != "cancelled").group_by(live_sessions.c.module_id)
    return _Known(
        places={row.id: row for row in rows},
        columns=columns,
        holders=holders,
        answers={id: {key: code for key, code in of_one.items() if code} for id, of_one in answers.items()},
        ends={row[0]: row[1] for row in connection.execute(held)},
        newest={_place(row): row.registration_id for row in sorted(rows, key=lambda row: row.launched_at)},
        offerings=offerings,
    )


def _unit(row: Row[Any], known: _Known) -> Unit:
    columns = [each for each in known.columns.get(row.id, ()) if each.retired_at is None]
    past = {each.retired_because for each in known.columns.get(row.id, ())}
    addresses = {row.line_item_url, row.line_items_url, *(each.url for each in columns)}
    subjects = {subject_digest(each) for each in addresses if each}
    # Service → the codes of its failures: at the unit's own addresses, and in asking for a token.
    failures: dict[str, set[str]] = defaultdict(set)
    for (service, subject), code in known.answers.get(row.registration_id, {}).items():
        if service == "token" or (service in ("line_items", "scores") and subject in subjects):
            failures[service].add(code)
    if row.roster_code and row.memberships_url:
        failures["roster"] = {row.roster_code}
    holder = known.places.get(known.holders.get((row.registration_id, row.line_item_url), 0))
    if holder is None:
        is_held_by_another = "taken_over" in past
    else:
        is_held_by_another = holder.module_id != row.module_id and _place(holder) == _place(row)
    unknown, parameters = _unknown(row, known.offerings)
    return Unit(
        placement_id=row.id,
        profile=row.profile,
        content=row.content,
        module_id=row.module_id,
        ags_scopes=tuple(row.ags_scopes),
        has_unreadable_grades=bool(row.is_ags_unreadable),
        has_line_item=row.line_item_url is not None,
        has_line_items=row.line_items_url is not None,
        has_roster=row.memberships_url is not None,
        shares_name=row.shares_name,
        shares_email=row.shares_email,
        columns=tuple(Column(each.meaning, each.is_bound, each.due_at) for each in columns),
        column_gone=not columns and "gone" in past,
        answers=failures,
        score_due_by=known.ends.get(row.module_id or ""),
        newer_client=row.profile in ONE_CLIENT_PER_UNIT and known.newest[_place(row)] != row.registration_id,
        holds_another_modules_grade=not columns and is_held_by_another,
        unknown=unknown,
        to_type=parameters,
        refused_person=row.refused_name or (f"person {row.refused_trainee_id}" if row.refused_trainee_id else ""),
    )


def _unknown(row: Row[Any], offerings: _Offerings) -> tuple[str, str]:
    """The id of the unit's module or retreat if the programme does not have it, and the custom parameters of those that
    it may mean: the similar ones, else all. Empty if the programme has it."""
    kind, _, name = row.content.partition(":") if row.content else ("module", "", row.module_id or "")
    if not name or kind not in offerings or name in offerings[kind]:
        return "", ""
    likely = [each for each in offerings[kind] if each.casefold() == name.strip().casefold()]
    likely = likely or get_close_matches(name, offerings[kind]) or list(offerings[kind])
    return name, " or ".join(f"{kind}_id={each}" for each in likely)


def _place(row: Row[Any]) -> _Place:
    """The key of a resource link. It includes the course, because one issuer may serve many schools (Canvas)."""
    return row.issuer, row.deployment_id, row.context_id, row.resource_link_id
