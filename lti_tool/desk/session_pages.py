"""Live sessions for staff: the list, everybody's day of one session, one person's day with its history, the export."""

from collections.abc import Callable

from flask import Blueprint, Response
from flask import request as http_request
from sqlalchemy import Connection

from lti_tool import audit, publication
from lti_tool.desk import overview, session_sheet
from lti_tool.desk.session_sheet import SORTS, Wish
from lti_tool.grades import shown_claims
from lti_tool.page import show
from lti_tool.programme.model import Programme
from lti_tool.request import connection, house, now, writes
from lti_tool.session import access, viewer
from lti_tool.sessions import day_picture, day_versions, day_words, live_sessions, rooms
from lti_tool.sessions.asking import participation
from lti_tool.sessions.live_sessions import LiveSession
from lti_tool.sessions.progress import Progress, progress
from lti_tool.sessions.report_progress import ReportProgress
from lti_tool.url_parts import read_id

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
    programme = publication.current(connection()).programme
    return show("desk/sessions.html", programme, sessions=every, people=overview.people_by_session(connection()))


def _sheet(found: LiveSession, reports: ReportProgress) -> str:
    wish = _wish()
    return show(
        "desk/session.html",
        _programme_of(found),
        session=found,
        progress=_progress(found),
        reports=reports,
        sheet=session_sheet.sheet(connection(), found.id, wish),
        wish=wish,
        strip_width=session_sheet.STRIP_WIDTH,
        rooms=rooms.seen(connection(), found.id),
        room_labels=rooms.labels(connection(), found.id),
    )


@writes
@access("staff")
def person(session_id: int, attendance_id: int) -> str:
    """One person's day as one version of it says, beside all its versions; looking is itself noted."""
    found = live_sessions.show(connection(), session_id)
    shown, every = day_versions.show(connection(), session_id, attendance_id)
    subject = f"trainee:{shown.trainee_id}" if shown.trainee_id else f"attendance:{attendance_id}"
    audit.record(
        connection(), actor=viewer().actor, act="attendance_reviewed", subject=subject, at=now(), session=session_id
    )
    programme = _programme_of(found)
    labels = rooms.labels(connection(), session_id)
    grace = programme.completion.grace_seconds if programme.completion else 0
    return show(
        "desk/day.html",
        programme,
        session=found,
        progress=_progress(found),
        shown=shown,
        versions=every,
        name=_name(shown.trainee_id, shown.display_name),
        rows=day_picture.stretches(shown.day, day_words.WHY_OF_ANOTHER, grace),
        whereabouts=day_picture.whereabouts(shown.day),
        questions=participation.questions_of(shown.day),
        picture=day_picture.draw(shown.day, found.zone, labels, grace),
        room_labels=labels,
        claims=_claims(programme, shown.trainee_id, session_id),
    )


@writes
@access("staff")
def export(session_id: int) -> Response:
    """The sheet as a file for a spreadsheet; taking it is noted."""
    actor = viewer().actor
    file = session_sheet.export(connection(), session_id, purpose="desk", actor=actor, now=now())
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
    return publication.version(connection(), found.programme_version).programme


def _progress(found: LiveSession) -> Progress:
    settings = house().settings
    return progress(found, now(), has_reports=settings.has_zoom_api, lock_days=settings.lock_days)


def _name(trainee_id: int | None, display_name: str | None) -> str:
    known = overview.names(connection(), {trainee_id} if trainee_id is not None else set())
    return known.get(trainee_id or 0) or display_name or "Somebody without a name"


def _claims(programme: Programme, trainee_id: int | None, session_id: int) -> list[shown_claims.ShownClaim]:
    return [] if trainee_id is None else shown_claims.of_session(connection(), programme, trainee_id, session_id)
