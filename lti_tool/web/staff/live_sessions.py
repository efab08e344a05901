"""Live sessions for staff: the list, everybody's day of one session, one person's day with its history, the export.

What staff do to a live session: add one, record its end, name its rooms, lock it and open it again.
"""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from flask import Blueprint, Response
from flask import request as http_request
from sqlalchemy import Connection
from werkzeug.wrappers import Response as AnyResponse

from lti_tool import audit
from lti_tool.attendance import live_sessions, locking, queries, timeline
from lti_tool.attendance import live_sessions as rooms
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.progress import Progress, ReportProgress, progress
from lti_tool.credit import claims as shown_claims
from lti_tool.errors import BadInput
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, house, now, read_id, writes
from lti_tool.web.session import access, viewer
from lti_tool.web.staff import attendance, overview
from lti_tool.web.staff.attendance import SORTS, Wish

LookAtReports = Callable[[Connection, LiveSession], ReportProgress]


def blueprint(look_at_reports: LookAtReports) -> Blueprint:
    """The pages; `look_at_reports(connection, session)` tells what the conference system was asked."""
    pages = Blueprint("desk_sessions", __name__, url_prefix="/desk/sessions")

    @access("staff")
    def session(session_id: int) -> str:
        """How far the session is, and everybody's minutes, evidence, notes, completion and credit."""
        found = live_sessions.show(connection(), session_id)
        return _sheet(found, look_at_reports(connection(), found))

    pages.add_url_rule("", view_func=sessions)
    pages.add_url_rule("/<int:session_id>", view_func=session)
    pages.add_url_rule("/<int:session_id>/people/<int:attendance_id>", view_func=person)
    pages.add_url_rule("/<int:session_id>/attendance.csv", view_func=export)
    return pages


@access("staff")
def sessions() -> str:
    """Every live session, the latest first."""
    every = list(reversed(live_sessions.list_sessions(connection())))
    programme = versions.current(connection()).programme
    return show("staff/sessions.html", programme, sessions=every, people=overview.people_by_session(connection()))


def _sheet(found: LiveSession, reports: ReportProgress) -> str:
    wish = _wish()
    return show(
        "staff/session.html",
        _programme_of(found),
        session=found,
        progress=_progress(found),
        reports=reports,
        sheet=attendance.sheet(connection(), found.id, wish),
        wish=wish,
        strip_width=attendance.STRIP_WIDTH,
        rooms=rooms.seen(connection(), found.id),
        room_labels=rooms.labels(connection(), found.id),
    )


@writes
@access("staff")
def person(session_id: int, attendance_id: int) -> str:
    """One person's day as one version of it says, beside all its versions; looking is itself noted."""
    found = live_sessions.show(connection(), session_id)
    shown, every = queries.show(connection(), session_id, attendance_id)
    subject = f"trainee:{shown.trainee_id}" if shown.trainee_id else f"attendance:{attendance_id}"
    audit.record(
        connection(), actor=viewer().actor, act="attendance_reviewed", subject=subject, at=now(), session=session_id
    )
    programme = _programme_of(found)
    labels = rooms.labels(connection(), session_id)
    grace = programme.completion.grace_seconds if programme.completion else 0
    return show(
        "staff/day.html",
        programme,
        session=found,
        progress=_progress(found),
        shown=shown,
        versions=every,
        name=_name(shown.trainee_id, shown.display_name),
        rows=timeline.stretches(shown.day, timeline.WHY_OF_ANOTHER, grace),
        whereabouts=timeline.whereabouts(shown.day),
        questions=shown.day.participation.questions,
        picture=timeline.draw(shown.day, found.zone, labels, grace),
        room_labels=labels,
        claims=_claims(programme, shown.trainee_id, session_id),
    )


@writes
@access("staff")
def export(session_id: int) -> Response:
    """The sheet as a file for a spreadsheet; taking it is noted."""
    actor = viewer().actor
    file = attendance.export(connection(), session_id, purpose="desk", actor=actor, now=now())
    response = Response(file.body, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{file.filename}"'
    return response


def _wish() -> Wish:
    """How the address wants the sheet; anything odd in it asks for what is usual."""
    given = http_request.args
    sort = given.get("sort", "name")
    return Wish(
        sort=sort if sort in SORTS else "name",
        downwards=given.get("down") == "1",
        only="review" if given.get("only") == "review" else "",
        number=_number(given.get("page", "1")),
    )


def _number(text: str) -> int:
    try:
        return max(read_id(text), 1)
    except ValueError:
        return 1


def _programme_of(found: LiveSession) -> Programme:
    return versions.version(connection(), found.programme_version).programme


def _progress(found: LiveSession) -> Progress:
    settings = house().settings
    return progress(found, now(), has_reports=settings.has_zoom_api, lock_days=settings.lock_days)


def _name(trainee_id: int | None, display_name: str | None) -> str:
    known = overview.names(connection(), {trainee_id} if trainee_id is not None else set())
    return known.get(trainee_id or 0) or display_name or "Somebody without a name"


def _claims(programme: Programme, trainee_id: int | None, session_id: int) -> list[shown_claims.ShownClaim]:
    return [] if trainee_id is None else shown_claims.of_session(connection(), programme, trainee_id, session_id)


# A typing error in the year would make a class that no list and no calendar can show.
YEARS = range(2000, 2200)

acts_blueprint = Blueprint("session_acts", __name__, url_prefix="/desk/sessions")


@acts_blueprint.get("/add")
@access("staff")
def form() -> str:
    """The form for a new session."""
    programme = versions.current(connection()).programme
    modules = [each for each in programme.modules.values() if programme.is_published(each.id)]
    return show("staff/add_session.html", programme, modules=modules, kinds=live_sessions.KINDS)


@acts_blueprint.post("/add")
@access("staff")
def add() -> AnyResponse:
    """Schedule a session by the rules of the programme published now."""
    session_id = live_sessions.add(
        connection(),
        versions.current(connection()),
        module_id=_given("module"),
        starts=_wall_time("starts"),
        zoom_meeting_id=_given("meeting"),
        zoom_kind=_given("kind"),
        join_url=_given("join_url"),
        actor=viewer().actor,
        now=now(),
    )
    return go(f"/desk/sessions/{session_id}", "session_added")


@acts_blueprint.post("/<int:session_id>/end")
@access("staff")
def end(session_id: int) -> AnyResponse:
    """Record when the class was over; the form gives wall time in the session's zone."""
    zone = live_sessions.show(connection(), session_id).zone
    at = _wall_time("at").replace(tzinfo=ZoneInfo(zone))
    locking.end(connection(), session_id, at=at, reason=_given("reason"), actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}", "session_ended")


@acts_blueprint.post("/<int:session_id>/lock")
@access("staff")
def lock(session_id: int) -> AnyResponse:
    """Make the attendance final."""
    locking.lock(connection(), session_id, actor=viewer().actor, reason=_given("reason"), now=now())
    return go(f"/desk/sessions/{session_id}", "session_locked")


@acts_blueprint.post("/<int:session_id>/reopen")
@access("staff")
def reopen(session_id: int) -> AnyResponse:
    """Take a lock back."""
    locking.reopen(connection(), session_id, actor=viewer().actor, reason=_given("reason"), now=now())
    return go(f"/desk/sessions/{session_id}", "session_reopened")


@acts_blueprint.post("/<int:session_id>/rooms")
@access("staff")
def name_rooms(session_id: int) -> AnyResponse:
    """Keep what the breakout rooms are called; the form names each room before its label."""
    given = http_request.form
    named = dict(zip(given.getlist("room"), given.getlist("label"), strict=False))
    rooms.name(connection(), session_id, named, actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}", "rooms_named")


def _given(name: str) -> str:
    return http_request.form.get(name, "")


def _wall_time(name: str) -> datetime:
    """A date and time without an offset, in years that a class may lie in. Raises BadInput "wall_time_wrong"."""
    text = _given(name).strip()
    try:
        wall = datetime.fromisoformat(text)
    except ValueError as error:
        raise _wrong_time() from error
    if wall.tzinfo is not None or "T" not in text or wall.year not in YEARS:
        raise _wrong_time()
    return wall


def _wrong_time() -> BadInput:
    message = "This is not a date with a time."
    return BadInput("wall_time_wrong", message, "Go back and give both, like 2026-12-01T09:00.")
