"""Settings for staff: every connection with platforms and Zoom on one line each, with its state and its page."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint
from sqlalchemy import Connection, Row, case, func, select

from lti_tool import rights, times
from lti_tool.attendance import evidence_gaps
from lti_tool.diagnostics.units import examine_units
from lti_tool.grades import scores
from lti_tool.mail import delivery
from lti_tool.platforms import course_units
from lti_tool.programme import versions
from lti_tool.rights import RUN_PLATFORMS, RUN_SESSIONS, SET_UP_UNITS, USE_DESK
from lti_tool.rosters import queries
from lti_tool.rosters.schedule import is_offered
from lti_tool.tables.courses import placements, rosters
from lti_tool.tables.operations import tasks
from lti_tool.tables.platforms import registrations
from lti_tool.web.page import asked_part, show, sql_part
from lti_tool.web.request import connection, context, now
from lti_tool.web.session import access, may_open, only_course
from zoom_adapter import health

ROWS_ON_A_PAGE = 50
# What background jobs do, by their kind.
JOBS: Mapping[str, str] = {
    "settle": "Calculate the attendance of a session",
    "reconcile": "Compare a session with Zoom's report",
    "recover": "Fetch messages that Zoom could not deliver",
}

blueprint = Blueprint("settings", __name__, url_prefix="/desk/settings")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of Settings: the state is `says`; `kind` is its sign (ok, wait, stop, info)."""

    address: str
    title: str
    about: str
    kind: str
    says: str


@blueprint.get("")
@access(USE_DESK)
def settings() -> str:
    """Every connection with its state, each leading to its page."""
    programme = versions.current(connection()).programme
    return show(
        "staff/settings.html", programme, lines=[each for each in lines(connection(), now()) if may_open(each.address)]
    )


@blueprint.get("/zoom")
@access(RUN_SESSIONS)
def zoom() -> str:
    """When Zoom last sent something, and what may keep attendance from being recorded."""
    return show(
        "staff/zoom.html",
        versions.current(connection()).programme,
        times=health.delivery_times(connection()),
        gaps=evidence_gaps.on_record(connection()),
        has_api=context().settings.has_zoom_api,
    )


@blueprint.get("/jobs")
@access(RUN_PLATFORMS)
def jobs() -> str:
    """The background jobs that failed, the oldest first, and how many wait."""
    failed = select(tasks).where(tasks.c.state == "parked").order_by(tasks.c.id)
    return show(
        "staff/jobs.html",
        versions.current(connection()).programme,
        part=sql_part(connection(), failed, ROWS_ON_A_PAGE, asked_part()),
        ready=_jobs(connection()).ready,
        words=JOBS,
    )


def lines(connection: Connection, now: datetime) -> Iterator[Line]:
    """The lines of the pages that the viewer may open, each in one statement or two, however much there is. Numbers of
    all courses together are for those who see all courses."""
    own = ("info", "Of your course")
    pages: tuple[tuple[str, str, str, Callable[[], tuple[str, str]]], ...] = (
        ("/desk/platforms", "Platforms", "Which learning platforms may open Gatehouse", lambda: _platforms(connection)),
        ("/desk/settings/roles", "Roles", "Who may do what on the desk", lambda: _roles(connection, now)),
        ("/desk/settings/log", "Log", "Every act, and every visit to a person’s page", lambda: ("info", "Only grows")),
        (
            "/desk/courses",
            "Courses",
            "Which module each unit of a course opens",
            lambda: own if only_course(SET_UP_UNITS) else _courses(connection, now),
        ),
        (
            "/desk/rosters",
            "Rosters",
            "Who is enrolled in each course",
            lambda: own if only_course() else _rosters(connection, now),
        ),
        ("/desk/scores", "Scores", "What was sent to the gradebooks", lambda: score_line(connection)),
        ("/desk/mail", "Mail", "Messages to people", lambda: _mail(connection)),
        ("/desk/settings/zoom", "Zoom", "Messages about who is in a class", lambda: _zoom(connection, now)),
        (
            "/desk/settings/jobs",
            "Background jobs",
            "What Gatehouse does by itself, such as calculating attendance",
            lambda: _of_jobs(connection),
        ),
        (
            "/desk/setup",
            "Set-up of course units",
            "What keeps a unit from working",
            lambda: own if only_course(SET_UP_UNITS) else _units(connection, now),
        ),
    )
    for address, title, about, state in pages:
        if may_open(address):
            yield Line(address, title, about, *state())


def _platforms(connection: Connection) -> tuple[str, str]:
    query = select(registrations.c.status, func.count()).group_by(registrations.c.status)
    count = {row[0]: row[1] for row in connection.execute(query)}
    pending = count.get("pending", 0)
    said = [f"{count.get('active', 0)} active"]
    said += [f"{pending} to approve"] if pending else []
    said += [f"{count['disabled']} switched off"] if count.get("disabled") else []
    return "wait" if pending or not count.get("active") else "ok", " · ".join(said)


def _roles(connection: Connection, now: datetime) -> tuple[str, str]:
    holders = {each.trainee_id for each in rights.grants(connection) if rights.is_in_force(each, now)}
    waiting = len(rights.candidates(connection, now))
    said = f"{len(holders)} {'person' if len(holders) == 1 else 'people'} with a role"
    return ("wait", f"{said} · {waiting} used the desk without one") if waiting else ("ok", said)


def _courses(connection: Connection, now: datetime) -> tuple[str, str]:
    known = (
        select(placements.c.registration_id, placements.c.context_id).distinct().join_from(placements, registrations)
    )
    of_active = known.where(registrations.c.status == "active").subquery()
    count = connection.scalar(select(func.count()).select_from(of_active)) or 0
    unconfirmed = connection.scalar(select(func.count()).select_from(course_units.unconfirmed(now))) or 0
    said = f"{count} {'course' if count == 1 else 'courses'}"
    return ("wait", f"{said} · {unconfirmed} unconfirmed") if unconfirmed else ("ok" if count else "info", said)


def _rosters(connection: Connection, now: datetime) -> tuple[str, str]:
    query = select(func.count(), func.max(rosters.c.read_at)).where(is_offered())
    count, read_at = connection.execute(query).one()
    unreadable = connection.scalar(select(func.count()).select_from(queries.unreadable())) or 0
    if unreadable:
        return "stop", f"{unreadable} of {count} cannot be read"
    if read_at is None:
        return "info", "No roster is offered yet" if not count else "Not read yet"
    return "ok", f"Read {times.ago(read_at, now)}"


def score_line(connection: Connection) -> tuple[str, str]:
    """The sign and the words for all scores that are due."""
    count = {state.id: number for state, number in scores.counts(connection)}
    total = sum(count.values())
    if not total:
        return "info", "No score is due yet"
    delivered = total - count.get("waiting", 0) - count.get("refused", 0)
    said = f"{delivered} of {total} delivered"
    for state, words in (("refused", "refused"), ("regraded", "to decide")):
        if count.get(state):
            return "stop", f"{said} · {count[state]} {words}"
    return "wait" if count.get("waiting") else "ok", said


def _zoom(connection: Connection, now: datetime) -> tuple[str, str]:
    last_at = health.delivery_times(connection).last_at
    said = "No message yet" if last_at is None else f"Last message {times.ago_exactly(last_at, now)}"
    wrong = sum(each.words.is_wrong for each in evidence_gaps.on_record(connection))
    if wrong:
        return "stop", f"{said} · {wrong} possible {'gap' if wrong == 1 else 'gaps'}"
    return "info" if last_at is None else "ok", said


def _units(connection: Connection, now: datetime) -> tuple[str, str]:
    examined = examine_units(connection, now)
    hindered = sum(each.is_hindered for each in examined)
    if hindered:
        return "stop", f"{hindered} {'unit' if hindered == 1 else 'units'} to fix"
    return ("ok", "OK") if examined else ("info", "Nothing launched yet")


def _mail(connection: Connection) -> tuple[str, str]:
    counts = delivery.counts(connection)
    undelivered = sum(counts.get(state, 0) for state in delivery.REFUSED)
    if undelivered:
        return "stop", f"{undelivered} not delivered"
    if context().settings.smtp_url is None:
        return "info", "Not set up"
    return "ok", f"{counts.get('sent', 0)} sent"


def _of_jobs(connection: Connection) -> tuple[str, str]:
    count = _jobs(connection)
    return ("stop", f"{count.parked} failed") if count.parked else ("ok", "All done" if not count.ready else "Working")


def _jobs(connection: Connection) -> Row[int, int]:
    parked, ready = (func.count(case((tasks.c.state == state, 1))).label(state) for state in ("parked", "ready"))
    return connection.execute(select(parked, ready)).one()
