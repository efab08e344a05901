"""People for staff: the list with the state of each module, the search in the bar, and accounts that may be one person.

A search is sent as a form, so that no name stands in an address.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, redirect
from flask import request as http_request
from marshmallow import fields, validate
from sqlalchemy import ColumnElement, Connection, Row, and_, case, exists, func, or_, select, true
from werkzeug.wrappers import Response

from lti_tool import people, rights
from lti_tool.attendance import live_sessions, person_joins
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.grades.outcomes import separate
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.rights import ANSWER_ACCOMMODATIONS, DECIDE_ACCESS, GRANT_ROLES, SEE_PEOPLE
from lti_tool.rosters.schedule import IS_STAFF, IS_TRAINEE
from lti_tool.tables.courses import enrolments
from lti_tool.tables.gates import completions, equivalency_requests
from lti_tool.tables.people import licences, role_grants, trainees
from lti_tool.tables.people import person_joins as joins_table
from lti_tool.tables.presence import accommodation_requests, attendance_requests
from lti_tool.text import clean, licence_words
from lti_tool.times import day_of
from lti_tool.web.course_scope import Course, module_ids, trainee_ids
from lti_tool.web.forms import MAX_ID, Form, field, read
from lti_tool.web.page import Part, asked_part, go, show, sql_part
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, only_course, require, viewer
from lti_tool.web.staff import matrix, overview

PEOPLE_ON_A_PAGE = 50
MOST_FOUND = 20
AWAY = timedelta(days=30)
# To find who is locked by one thing, the gates of everyone are decided: only when this filter is chosen, and not above
# this number of people, where it would take too long.
MOST_JUDGED = 5000
# The years in which a search looks for sessions.
YEARS = (2000, 2100)
QUEUE = "/desk/joins"
# By its word in the address.
FILTERS = {
    "": "Everyone",
    "one": "Locked by one thing",
    "licence": "No licence",
    "away": "Not opened in 30 days",
    "never": "Never opened",
    "request": "Request open",
    "staff": "Staff",
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def trainee_field() -> fields.Integer:
    """The id of one of the two."""
    wrong = "Choose two people."
    within = validate.Range(1, MAX_ID, error=wrong)
    return fields.Integer(required=True, validate=within, error_messages={"required": wrong, "invalid": wrong})


class PairForm(Form):
    """Two people, whether they are joined or kept apart, and why."""

    kept = trainee_field()
    joined = trainee_field()
    reason = fields.String(load_default="")


PAIR = PairForm()


@dataclass(frozen=True, slots=True)
class View:
    """What the reader asked for, as the address says it; anything odd counts as nothing."""

    which: str
    sort: str
    down: bool

    def query(self, **changed: str) -> str:
        """The address's query with these changes; what is usual is left out."""
        values = {"show": self.which, "sort": self.sort, "down": "1" if self.down else ""} | changed
        usual = {"sort": "name"}
        return urlencode({name: value for name, value in values.items() if value and value != usual.get(name)})


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found; `more` says of either list that it goes on."""

    people: Sequence[Row[Any]]
    sessions: Sequence[LiveSession]
    more_people: bool
    more_sessions: bool


blueprint = Blueprint("desk_people", __name__, url_prefix="/desk")


def _has(table: Any, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Asked of each person: for what most people have."""
    return exists().where(table.c.trainee_id == trainees.c.id, *conditions)


def _among(table: Any, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """The same, read once for all people: for what few people have."""
    return trainees.c.id.in_(select(table.c.trainee_id).where(*conditions))


IS_JOINED = trainees.c.id.in_(select(joins_table.c.joined_id).where(joins_table.c.undone_at.is_(None)))
# Who only teaches, or holds a role and is enrolled in nothing, is no trainee.
ONLY_TEACHES = or_(
    _among(enrolments, ~IS_TRAINEE, IS_STAFF), _among(role_grants, role_grants.c.ended_at.is_(None))
) & ~_has(enrolments, enrolments.c.role != "staff")
OPENED_AT = (
    select(func.max(enrolments.c.last_launch_at))
    .where(enrolments.c.trainee_id == trainees.c.id)
    .correlate(trainees)
    .scalar_subquery()
)


def _valid_on(today: date) -> tuple[ColumnElement[bool], ...]:
    """Which licences are in force."""
    return licences.c.ended_at.is_(None), licences.c.expires_on >= today


def _filters(programme: Programme, now: datetime, course: Course | None) -> dict[str, ColumnElement[bool]]:
    """The condition of each filter but `one`, which no statement can ask; of one course, its people only."""
    today = day_of(now, programme.zone)
    is_ours = true() if course is None else trainees.c.id.in_(trainee_ids(course))
    is_trainee = and_(is_ours, ~IS_JOINED, ~ONLY_TEACHES)
    asked = equivalency_requests.c.state.in_(("submitted", "more_info"))
    requests = [attendance_requests]
    if viewer().may(ANSWER_ACCOMMODATIONS):
        requests.append(accommodation_requests)
    return {
        "": is_trainee,
        "licence": is_trainee & ~_among(licences, *_valid_on(today)),
        "away": is_trainee
        & ~_among(enrolments, enrolments.c.last_launch_at > now - AWAY)
        & or_(trainees.c.created_at <= now - AWAY, _has(enrolments, enrolments.c.last_launch_at.is_not(None))),
        "never": is_trainee & ~_has(enrolments, enrolments.c.last_launch_at.is_not(None)),
        "request": is_trainee
        & or_(
            _among(equivalency_requests, asked),
            *(_among(table, table.c.state == "open") for table in requests),
        ),
        "staff": and_(is_ours, ~IS_JOINED, ONLY_TEACHES),
    }


@blueprint.get("/people")
@access(SEE_PEOPLE)
def all_people() -> str:
    """The people of the training and the state of each module for them; filter, order and part stand in the address."""
    given = http_request.args
    which = given.get("show", "")
    view = View(
        which=which if which in FILTERS else "",
        sort="opened" if given.get("sort") == "opened" else "name",
        down=given.get("down") == "1",
    )
    published = versions.current(connection())
    programme = published.programme
    course = only_course()
    groups, columns = matrix.columns(programme, _modules_of(connection(), course))
    starts = overview.starts(connection(), programme, now())
    conditions = _filters(programme, now(), course)
    numbers = _count(connection(), conditions)
    filters = {each: says for each, says in FILTERS.items() if each != "one" or numbers[""] <= MOST_JUDGED}
    if course is not None:  # licences and requests are for those who see all of a person
        filters = {each: says for each, says in filters.items() if each not in ("licence", "request")}
        view = replace(view, which=view.which if view.which in filters else "")
    if view.which == "one" and view.which in filters:
        everyone = connection().scalars(select(trainees.c.id).where(conditions[""])).all()
        single = matrix.locked_by_one_thing(connection(), published, everyone, columns, starts, now())
        conditions["one"], numbers["one"] = trainees.c.id.in_(single), len(single)
    chosen = conditions.get(view.which, conditions[""])
    part = _listed(connection(), chosen, view, numbers.get(view.which, numbers[""]))
    ids = [row.id for row in part.rows]
    return show(
        "staff/people.html",
        programme,
        view=view,
        filters=[
            (each, says, numbers.get(each))
            for each, says in filters.items()
            if numbers.get(each) != 0 or each in ("", view.which)
        ],
        part=part,
        groups=groups,
        columns=columns,
        cells=matrix.cells(connection(), published, ids, columns, starts, now()) if ids else {},
        licences=None if course else _licence_types(connection(), ids, day_of(now(), programme.zone)),
        completed=_completed(connection(), chosen),
        version=published.version,
    )


def _modules_of(connection: Connection, course: Course | None) -> Collection[str] | None:
    return None if course is None else set(connection.scalars(module_ids(course)))


def _count(connection: Connection, conditions: dict[str, ColumnElement[bool]]) -> dict[str, int]:
    counted = (func.count(case((condition, 1))) for condition in conditions.values())
    return dict(zip(conditions, connection.execute(select(*counted).select_from(trainees)).one(), strict=True))


def _listed(connection: Connection, chosen: ColumnElement[bool], view: View, total: int) -> Part[Row[Any]]:
    name = func.lower(func.coalesce(trainees.c.name, trainees.c.email, ""))
    by = name if view.sort == "name" else func.coalesce(OPENED_AT, trainees.c.created_at)
    order = (by.desc(), trainees.c.id.desc()) if view.down else (by, trainees.c.id)
    query = select(trainees.c.id, trainees.c.name, OPENED_AT.label("opened_at")).where(chosen).order_by(*order)
    return sql_part(connection, query, PEOPLE_ON_A_PAGE, asked_part(), total=total)


def _licence_types(connection: Connection, ids: Sequence[int], today: date) -> dict[int, str]:
    """By person, the types of the licences in force on this day."""
    in_force = (licences.c.trainee_id.in_(ids), *_valid_on(today))
    found: dict[int, str] = {}
    query = select(licences.c.trainee_id, licences.c.type).where(*in_force).order_by(licences.c.id)
    for row in connection.execute(query):
        held = found.get(row.trainee_id)
        kind = licence_words(row.type)
        kind = kind[:1].upper() + kind[1:]
        found[row.trainee_id] = f"{held}, {kind}" if held else kind
    return found


def _completed(connection: Connection, chosen: ColumnElement[bool]) -> dict[str, int]:
    """Module id → how many of the chosen people have completed it."""
    query = select(completions.c.module_id, func.count()).join_from(completions, trainees)
    grouped = query.where(completions.c.ended_at.is_(None), chosen).group_by(completions.c.module_id)
    return {row[0]: row[1] for row in connection.execute(grouped)}


@blueprint.post("/search")
@access(SEE_PEOPLE, reads=True)
def search() -> str | Response:
    """People by a part of the name or address, or by a whole licence number; sessions by the module's title or
    the date. A single hit is opened."""
    wanted = clean(field("q"))
    programme = versions.current(connection()).programme
    found = _find(connection(), programme, wanted)
    if len(found.people) + len(found.sessions) == 1:
        where = [f"/desk/people/{each.id}" for each in found.people]
        return redirect((where + [f"/desk/sessions/{each.id}" for each in found.sessions])[0], 303)
    return show("staff/search.html", programme, wanted=wanted, found=found, most=MOST_FOUND)


def _find(connection: Connection, programme: Programme, wanted: str) -> Found:
    day = read_day(wanted, day_of(now(), programme.zone))
    titled = [each.id for each in programme.modules.values() if wanted.casefold() in each.label.casefold()]
    sessions: list[LiveSession] = []
    if day:
        first_at = datetime.combine(day, time.min, ZoneInfo(programme.zone))
        sessions = [
            each
            for each in live_sessions.held_between(connection, first_at, first_at + timedelta(days=1))
            if each.held_on == day
        ]
    elif len(wanted) > 1 and titled:
        sessions = live_sessions.latest_of(connection, titled, MOST_FOUND + 1)
    course = only_course()
    if course is not None:
        who = people.search(connection, wanted, MOST_FOUND + 1, trainees.c.id.in_(trainee_ids(course)))
        ours = _modules_of(connection, course) or ()
        sessions = [each for each in sessions if each.module_id in ours]
    else:
        who = people.search(connection, wanted, MOST_FOUND + 1) or people.with_licence_number(connection, wanted)
    return Found(who[:MOST_FOUND], sessions[:MOST_FOUND], len(who) > MOST_FOUND, len(sessions) > MOST_FOUND)


def read_day(text: str, today: date) -> date | None:
    """The day in "2026-12-15", "15 Dec 2026", "Dec 15" or "15 December", of this year where none is named."""
    words = re.findall(r"[a-z]+|[0-9]+", text.lower())
    month = next((MONTHS.index(word[:3]) + 1 for word in words if word[:3] in MONTHS), None)
    numbers = [int(word) for word in words if word.isdigit() and len(word) <= 4]
    try:
        if not month:
            return _held_on(date.fromisoformat(text))
        years = [each for each in numbers if each > 31] or [today.year]
        (day,), (year,) = [each for each in numbers if each <= 31], years
        return _held_on(date(year, month, day)) if len(words) <= 3 else None
    except ValueError:
        return None


def _held_on(day: date) -> date | None:
    """The day, if a session can be held on it: the first and last days of the calendar have no hours in some zones."""
    return day if YEARS[0] <= day.year <= YEARS[1] else None


@blueprint.get("/joins")
@access(DECIDE_ACCESS)
def queue() -> str:
    """The people who share an address, the joins, and the people kept apart."""
    rows, apart = person_joins.listed(connection()), person_joins.kept_apart(connection())
    pairs = [(each.kept_id, each.joined_id) for each in rows] + [(each.one_id, each.other_id) for each in apart]
    actors = {actor for each in rows for actor in (each.made_by, each.undone_by)} | {each.made_by for each in apart}
    return show(
        "staff/joins.html",
        versions.current(connection()).programme,
        suggested=person_joins.suggestions(connection()),
        in_force=[each for each in rows if each.undone_at is None],
        undone=[each for each in rows if each.undone_at is not None],
        apart=apart,
        names=overview.names(connection(), {each for pair in pairs for each in pair}),
        acting=overview.acting(connection(), actors),
    )


@blueprint.get("/joins/<int:kept>/<int:joined>")
@access(DECIDE_ACCESS)
def pair(kept: int, joined: int) -> str:
    """Two people side by side, and the form that joins them."""
    both = [person_joins.known(connection(), each) for each in (kept, joined)]
    return show("staff/join.html", versions.current(connection()).programme, both=both)


@blueprint.post("/joins")
@access(DECIDE_ACCESS)
def join() -> Response:
    """Join two people. Who holds a role is joined only by those who grant roles: the other account gets it too."""
    given = read(PAIR)
    if any(rights.roles_of(connection(), given[each], now()) for each in ("kept", "joined")):
        require(GRANT_ROLES)
    person_joins.join(
        connection(),
        kept_id=given["kept"],
        joined_id=given["joined"],
        reason=given["reason"],
        actor=viewer().actor,
        now=now(),
    )
    return go(QUEUE, "people_joined")


@blueprint.post("/joins/apart")
@access(DECIDE_ACCESS)
def keep_apart() -> Response:
    """Say that two people who share an address are two people."""
    given = read(PAIR)
    both = given["kept"], given["joined"]
    person_joins.keep_apart(connection(), *both, reason=given["reason"], actor=viewer().actor, now=now())
    return go(QUEUE, "people_kept_apart")


@blueprint.post("/joins/<int:join_id>/undo")
@access(DECIDE_ACCESS)
def undo(join_id: int) -> Response:
    """Separate two joined people. A role goes back to the account that had it, so who grants roles decides about it."""
    both = person_joins.show(connection(), join_id)
    if any(rights.roles_of(connection(), each, now()) for each in (both.kept_id, both.joined_id)):
        require(GRANT_ROLES)
    separate(connection(), join_id, reason=field("reason"), actor=viewer().actor, now=now())
    return go(QUEUE, "people_separated")
