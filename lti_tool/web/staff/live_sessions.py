"""Live sessions for staff: the list, one session's attendance, one person's day, the export, and what staff change.

Staff add a session, record its end, name its breakout rooms, lock it and open it again. They ask everyone in it whether
they are there (presence checks), and see who is registered at Zoom, who is not and why, and the meeting's settings.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, Response
from flask import request as http_request
from werkzeug.wrappers import Response as AnyResponse

from lti_tool.attendance import live_sessions, locking, presence_checks, queries, timeline
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.locking import Progress, progress
from lti_tool.credit import claims
from lti_tool.errors import BadInput, Conflict
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.web.forms import field, sent
from lti_tool.web.page import asked_part, go, show
from lti_tool.web.request import connection, context, now, read_id, writes
from lti_tool.web.session import Limits, access, record_visit, viewer
from lti_tool.web.staff import attendance, overview
from lti_tool.web.staff.attendance import SORTS, SheetView
from zoom_adapter import meetings, places, reports

# A typing error in the year would make a session that no list and no calendar can show.
YEARS = range(2000, 2200)
# How long a presence check is open.
LENGTHS = {60: "1 minute", 120: "2 minutes", 300: "5 minutes"}

blueprint = Blueprint("desk_sessions", __name__, url_prefix="/desk/sessions")


@blueprint.get("")
@access("staff")
def sessions() -> str:
    """Every live session, the latest first."""
    every = list(reversed(live_sessions.list_sessions(connection())))
    programme = versions.current(connection()).programme
    return show("staff/sessions.html", programme, sessions=every, people=overview.people_by_session(connection()))


@blueprint.get("/<int:session_id>")
@access("staff")
def session(session_id: int) -> str:
    """One session's state, and everyone's minutes, evidence, notes, completion and credit.

    Anything odd in the query is ignored.
    """
    found = live_sessions.show(connection(), session_id)
    given = http_request.args
    view = SheetView(
        sort=given["sort"] if given.get("sort") in SORTS else "name",
        downwards=given.get("down") == "1",
        only="review" if given.get("only") == "review" else "",
        number=asked_part(),
    )
    return show(
        "staff/session.html",
        _programme_of(found),
        session=found,
        progress=_progress(found),
        reports=reports.report_progress(connection(), found, has_api=context().settings.has_zoom_api),
        sheet=attendance.sheet(connection(), found.id, view),
        view=view,
        strip_width=attendance.STRIP_WIDTH,
        rooms=live_sessions.rooms_entered(connection(), found.id),
        room_labels=live_sessions.labels(connection(), found.id),
    )


@blueprint.get("/<int:session_id>/people/<int:attendance_id>")
@access("staff")
def person(session_id: int, attendance_id: int) -> str:
    """One version of one person's day, beside all its versions. The visit is logged."""
    found = live_sessions.show(connection(), session_id)
    shown, every = queries.show(connection(), session_id, attendance_id)
    who = shown.trainee_id
    subject = f"trainee:{who}" if who else f"attendance:{attendance_id}"
    record_visit("attendance_reviewed", subject, session=session_id)
    programme = _programme_of(found)
    labels = live_sessions.labels(connection(), session_id)
    grace = programme.completion.grace_seconds if programme.completion else 0
    names = overview.names(connection(), {who} if who is not None else set())
    return show(
        "staff/day.html",
        programme,
        session=found,
        progress=_progress(found),
        shown=shown,
        versions=every,
        name=names.get(who or 0) or shown.name or "a person without a name",
        rows=timeline.stretches(shown.day, timeline.WHY_OF_ANOTHER, grace),
        whereabouts=timeline.whereabouts(shown.day),
        questions=shown.day.participation.questions,
        picture=timeline.draw(shown.day, found.zone, labels, grace),
        room_labels=labels,
        claims=[] if who is None else claims.of_session(connection(), programme, who, session_id),
    )


@blueprint.get("/<int:session_id>/attendance.csv")
@access("staff")
@writes
def export(session_id: int) -> Response:
    """The attendance as a CSV file. The download is logged."""
    actor = viewer().actor
    file = attendance.export(connection(), session_id, purpose="desk", actor=actor, now=now())
    response = Response(file.body, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{file.filename}"'
    return response


@blueprint.get("/add")
@access("staff")
def add_form() -> str:
    """The form for a new session."""
    programme = versions.current(connection()).programme
    modules = [each for each in programme.modules.values() if programme.is_published(each.id)]
    return show("staff/add_session.html", programme, modules=modules, kinds=live_sessions.KINDS)


@blueprint.post("/add")
@access("staff")
def add() -> AnyResponse:
    """Schedule a session by the rules of the programme published now."""
    session_id = live_sessions.add(
        connection(),
        versions.current(connection()),
        module_id=field("module"),
        starts=_wall_time("starts"),
        zoom_meeting_id=field("meeting"),
        zoom_kind=field("kind"),
        join_url=field("join_url"),
        actor=viewer().actor,
        now=now(),
    )
    return go(f"/desk/sessions/{session_id}", "session_added")


@blueprint.post("/<int:session_id>/end")
@access("staff")
def end(session_id: int) -> AnyResponse:
    """Record when the session ended; the form gives wall time in the session's zone."""
    zone = live_sessions.show(connection(), session_id).zone
    at = _wall_time("at").replace(tzinfo=ZoneInfo(zone))
    locking.end(connection(), session_id, at=at, reason=field("reason"), actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}", "session_ended")


@blueprint.post("/<int:session_id>/lock")
@access("staff")
def lock(session_id: int) -> AnyResponse:
    """Make the attendance final."""
    locking.lock(connection(), session_id, actor=viewer().actor, reason=field("reason"), now=now())
    return go(f"/desk/sessions/{session_id}", "session_locked")


@blueprint.post("/<int:session_id>/reopen")
@access("staff")
def reopen(session_id: int) -> AnyResponse:
    """Undo a lock."""
    locking.reopen(connection(), session_id, actor=viewer().actor, reason=field("reason"), now=now())
    return go(f"/desk/sessions/{session_id}", "session_reopened")


@blueprint.post("/<int:session_id>/rooms")
@access("staff", Limits(max_fields=1000))
def name_rooms(session_id: int) -> AnyResponse:
    """Name the breakout rooms; the form gives each room before its label."""
    given = sent("room", "label")
    labels = dict(zip(given["room"], given["label"], strict=False))
    live_sessions.name_rooms(connection(), session_id, labels, actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}", "rooms_named")


@blueprint.get("/<int:session_id>/checks")
@access("staff")
def checks(session_id: int) -> str:
    """The checks of one session, and the form that asks."""
    return _checks_page("staff/presence_checks.html", session_id)


@blueprint.get("/<int:session_id>/checks/now")
@access("staff")
def checks_now(session_id: int) -> str:
    """The part that changes, for the page's script."""
    return _checks_page("staff/presence_checks_now.html", session_id)


@blueprint.post("/<int:session_id>/checks")
@access("staff")
def ask_whether_there(session_id: int) -> AnyResponse:
    """Ask everyone in the session whether they are there."""
    open_for = timedelta(seconds=http_request.form.get("seconds", 120, read_id))
    presence_checks.ask(connection(), session_id, open_for=open_for, actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}/checks", "presence_asked")


def _checks_page(template: str, session_id: int) -> str:
    session = live_sessions.show(connection(), session_id)
    asked = presence_checks.of_session(connection(), session_id)
    is_cancelled = session.state == "cancelled"
    return show(
        template,
        _programme_of(session),
        session=session,
        asked=asked,
        open_ids=[each.check.id for each in asked if not is_cancelled and each.check.is_open(now())],
        lengths=LENGTHS,
        running=not is_cancelled and session.starts_at <= now() < session.ends_at,
    )


@blueprint.get("/<int:session_id>/zoom")
@access("staff")
def session_at_zoom(session_id: int) -> str:
    """The registrations of the session's meeting, those with a problem first, and the settings of the meeting."""
    session = live_sessions.show(connection(), session_id)
    programme = _programme_of(session)
    listed = places.listed(connection(), session.zoom_meeting_id)
    rows = [(each, places.standing(each.place, each.email)) for each in listed]
    troubled = [row for row in rows if row[1].kind in ("stop", "wait")]
    return show(
        "staff/places.html",
        programme,
        session=session,
        registers=context().settings.has_zoom_api,
        by_gate=context().settings.zoom_registration == "gate",
        troubled=troubled,
        others=[row for row in rows if row not in troubled],
        strangers=places.strangers(connection(), session.zoom_meeting_id),
        checked=meetings.of_session(connection(), session, programme),
        says=places.reason,
    )


@blueprint.post("/<int:session_id>/zoom/places/<int:place_id>")
@access("staff")
def try_place_again(session_id: int, place_id: int) -> AnyResponse:
    """Ask the worker to try this registration again now."""
    places.try_again(connection(), place_id, actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}/zoom", "place_again")


@blueprint.post("/<int:session_id>/zoom/settings")
@access("staff")
def read_settings_again(session_id: int) -> AnyResponse:
    """Read the meeting's settings again, after they were changed at Zoom. Raises Conflict `settings_not_read`."""
    session = live_sessions.show(connection(), session_id)
    if session.state == "cancelled" or session.ends_at <= now() or not context().settings.has_zoom_api:
        raise Conflict(
            "settings_not_read",
            "Gatehouse does not read this meeting's settings: the session is over or cancelled, or Zoom's credentials "
            "are not set.",
            "Check the meeting at Zoom itself.",
        )
    meetings.reread_settings(connection(), session.zoom_meeting_id, now())
    return go(f"/desk/sessions/{session_id}/zoom", "settings_again")


def _programme_of(session: LiveSession) -> Programme:
    return versions.version(connection(), session.programme_version).programme


def _progress(session: LiveSession) -> Progress:
    settings = context().settings
    return progress(session, now(), has_reports=settings.has_zoom_api, lock_days=settings.lock_days)


def _wall_time(name: str) -> datetime:
    """A date and time without an offset, in a plausible year. Raises BadInput "wall_time_wrong"."""
    text = field(name)
    wrong = BadInput(
        "wall_time_wrong",
        "This is not a date with a time.",
        "Go back and give both, for example 2026-12-01T09:00.",
    )
    try:
        wall = datetime.fromisoformat(text)
    except ValueError as error:
        raise wrong from error
    if wall.tzinfo is not None or "T" not in text or wall.year not in YEARS:
        raise wrong
    return wall
