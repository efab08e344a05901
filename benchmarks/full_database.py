"""A database after years of training: trainees with their courses, scores, completions, attendance and requests, and
two hundred live sessions, of which half are over. People are added in one statement for each table."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    String,
    Table,
    case,
    cast,
    func,
    insert,
    literal,
    select,
    true,
    update,
)

from benchmarks.platform import Platform
from lti_tool.attendance import agenda, live_sessions
from lti_tool.attendance.evidence import PresenceInterval
from lti_tool.attendance.minutes import attend
from lti_tool.db import Database
from lti_tool.grades.ags import SCORE_SCOPE
from lti_tool.programme import versions
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.gates import completions, equivalency_requests
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.live_sessions import live_sessions as sessions
from lti_tool.tables.people import identities, trainee_addresses, trainees
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import scores
from lti_tool.tables.types import UtcDateTime

SESSIONS = 200
SCORED_MODULES = ("F1", "F2", "F3", "F4", "F5", "FP", "ADV1", "ADV2", "ADV3", "ST_CF")
COMPLETED_MODULES = ("F1", "F3", "F4")
DAYS_EACH = 2
COURSE = "course-1"
FILLED = "filled-"
# One in so many trainees has an open request, a decided one, a refused score; and so many are unmatched.
ONE_IN = 100
LONG_AGO = timedelta(days=400)


def lay_out(database: Database, now: datetime) -> None:
    """Schedule the sessions, settle those that are over, and place a unit with a gradebook column for every module."""
    with database.write() as connection:
        published = versions.current(connection)
        modules = list(published.programme.modules)
        for number in range(SESSIONS):
            day = now.date() + timedelta(days=number - SESSIONS // 2)
            live_sessions.add(
                connection,
                published,
                module_id=modules[number % len(modules)],
                starts=datetime.combine(day, time(9)),
                zoom_meeting_id=str(86_000_000_000 + number),
                actor="cli",
                now=now - LONG_AGO,
            )
        over = {"state": "reconciled", "ended_at": sessions.c.ends_at, "reconciled_at": now}
        connection.execute(update(sessions).where(sessions.c.ends_at < now - timedelta(days=1)).values(over))
        connection.execute(insert(placements), [_unit(connection, module, now) for module in SCORED_MODULES])


def _unit(connection: Connection, module: str, now: datetime) -> dict[str, Any]:
    url = f"{Platform.issuer}/lineitems/{module}"
    return {
        "registration_id": connection.scalar(select(registrations.c.id)),
        "deployment_id": Platform.deployment_id,
        "resource_link_id": f"{FILLED}{module}",
        "content": f"module:{module}",
        "context_id": COURSE,
        "context_title": "The course",
        "module_id": module,
        "line_item_url": url,
        "ags_scopes": [SCORE_SCOPE],
        "updated_at": now,
        "launched_at": now,
    }


def add_people(database: Database, first: int, end: int, now: datetime) -> None:
    """Add the trainees with these numbers, as the platform names them, and everything recorded about them."""
    at = literal(now - LONG_AGO, UtcDateTime)
    number = cast(_numbers(first, end), String)
    email, sub = "trainee-" + number + "@example.org", "user-" + number
    with database.write() as connection:
        before = connection.scalar(select(func.coalesce(func.max(trainees.c.id), 0)))
        is_new, is_numbered = trainees.c.id > before, trainees.c.email == email
        new = {"trainee_id": trainees.c.id}
        _fill(
            connection,
            trainees,
            {"name": "Trainee " + number, "email": email, "created_at": at},
        )
        _fill(connection, identities, {"issuer": literal(Platform.issuer), "sub": sub, **new}, is_numbered)
        _fill(connection, trainee_addresses, {"email": trainees.c.email, "since_at": at, **new}, is_new)
        enrolled = {
            "registration_id": select(registrations.c.id).scalar_subquery(),
            "context_id": literal(COURSE),
            "user_id": sub,
            "role": literal("trainee"),
            "last_launch_at": at,
        }
        _fill(connection, enrolments, new | enrolled, is_numbered)
        imported = {
            "completed_on": literal(date(2026, 1, 15)),
            "origin": literal("imported"),
            "recorded_by": literal("cli"),
            "recorded_at": at,
        }
        for module in COMPLETED_MODULES:
            _fill(connection, completions, new | imported | {"module_id": literal(module)}, is_new)
        _add_scores(connection, is_new, at)
        _add_days(connection, is_new, at)
        _add_requests(connection, is_new, at)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("analyze")


def _add_scores(connection: Connection, is_new: ColumnElement[bool], at: ColumnElement[Any]) -> None:
    """A delivered score of every person for every unit; one person in a hundred is refused."""
    is_refused = trainees.c.id % ONE_IN == 0
    one, version = literal(1.0), literal(1)
    score = {
        "trainee_id": trainees.c.id,
        "user_id": "user-" + cast(trainees.c.id, String),
        "meaning": literal("completion"),
        "desired_version": version,
        "desired_given": one,
        "desired_maximum": one,
        "desired_comment": literal(""),
        "desired_at": at,
        "delivered_version": case((is_refused, 0), else_=1),
        "delivered_given": case((is_refused, None), else_=1.0),
        "delivered_maximum": case((is_refused, None), else_=1.0),
        "seen": case((is_refused, "unread"), else_="same"),
        "status": case((is_refused, "parked"), else_="delivered"),
        "attempts": version,
        "last_answer": case((is_refused, "404"), else_="200"),
        "next_attempt_at": at,
    }
    for unit in connection.execute(select(placements).where(placements.c.resource_link_id.startswith(FILLED))).all():
        column = {"placement_id": literal(unit.id), "line_item_url": literal(unit.line_item_url)}
        _fill(connection, scores, score | column, is_new)


def _add_days(connection: Connection, is_new: ColumnElement[bool], at: ColumnElement[Any]) -> None:
    """Whole days of every person in some of the sessions that are over; and the unmatched, who are no trainees."""
    over = connection.execute(select(sessions).where(sessions.c.state == "reconciled").order_by(sessions.c.id)).all()
    segments = agenda.from_json(over[0].segments)
    presence = PresenceInterval(segments[0].starts_at, segments[-1].ends_at, "webhook", counts=True, source="filled")
    whole_day = attend([presence], segments, Decimal("0.8"))
    person = cast(trainees.c.id, String)
    for number in range(DAYS_EACH):
        session_id = over[0].id + (trainees.c.id * 7 + number) % len(over)
        day = {
            "live_session_id": session_id,
            "version": literal(1),
            "is_current": true(),
            "input_digest": literal("0" * 64),
            "seconds_present": literal(whole_day.seconds_present),
            "seconds_instructional": literal(whole_day.seconds_instructional),
            "seconds_required": literal(whole_day.seconds_required),
            "completed": true(),
            "day": literal(whole_day.to_json(), JSON),
            "flags": literal([], JSON),
            "settled_at": at,
        }
        known = {"person_key": "trainee:" + person, "trainee_id": trainees.c.id}
        _fill(connection, attendances, day | known, is_new)
        unmatched = {"person_key": "connection:" + person, "display_name": "Guest " + person}
        if number == 0:
            _fill(connection, attendances, day | unmatched, is_new, trainees.c.id % ONE_IN == 0)


def _add_requests(connection: Connection, is_new: ColumnElement[bool], at: ColumnElement[Any]) -> None:
    """Equivalency requests: one trainee in a hundred has an open one, another a decided one."""
    asked = {
        "trainee_id": trainees.c.id,
        "target": literal("F2"),
        "provider_id": literal("other"),
        "provider_name": literal("Another institute"),
        "course_title": literal("An introduction"),
        "evidence_note": literal("A certificate."),
        "submitted_at": at,
        "created_at": at,
        "updated_at": at,
    }
    approved = {"state": literal("approved"), "decided_by": literal("staff"), "decided_at": at}
    _fill(
        connection, equivalency_requests, asked | {"state": literal("submitted")}, is_new, trainees.c.id % ONE_IN == 1
    )
    _fill(connection, equivalency_requests, asked | approved, is_new, trainees.c.id % ONE_IN == 2)


def _numbers(first: int, end: int) -> ColumnElement[int]:
    """A column of the numbers from `first` on, before `end`."""
    counted = select(literal(first).label("number")).cte("counted", recursive=True)
    following = select(counted.c.number + 1).where(counted.c.number + 1 < end)
    return counted.union_all(following).c.number


def _fill(connection: Connection, table: Table, values: Mapping[str, Any], *where: ColumnElement[bool]) -> None:
    """INSERT … SELECT: one row for every row that the conditions leave of what the values name."""
    connection.execute(insert(table).from_select(list(values), select(*values.values()).where(*where)))
