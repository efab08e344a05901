"""What staff do to a live session: add one, record its end, name its rooms, lock it and open it again."""

from datetime import datetime
from zoneinfo import ZoneInfo

from flask import Blueprint
from flask import request as http_request
from werkzeug.wrappers import Response

from lti_tool import publication
from lti_tool.errors import BadInput
from lti_tool.page import go, show
from lti_tool.request import connection, now
from lti_tool.session import access, viewer
from lti_tool.sessions import endings, live_sessions, locking, rooms

# A typing error in the year would make a class that no list and no calendar can show.
YEARS = range(2000, 2200)

blueprint = Blueprint("session_acts", __name__, url_prefix="/desk/sessions")


@blueprint.get("/add")
@access("staff")
def form() -> str:
    """The form for a new session."""
    programme = publication.current(connection()).programme
    modules = [each for each in programme.modules.values() if programme.is_published(each.id)]
    return show("desk/add_session.html", programme, modules=modules, kinds=live_sessions.KINDS)


@blueprint.post("/add")
@access("staff")
def add() -> Response:
    """Schedule a session by the rules of the programme published now."""
    session_id = live_sessions.add(
        connection(),
        publication.current(connection()),
        module_id=_given("module"),
        starts=_wall_time("starts"),
        zoom_meeting_id=_given("meeting"),
        zoom_kind=_given("kind"),
        join_url=_given("join_url"),
        actor=viewer().actor,
        now=now(),
    )
    return go(f"/desk/sessions/{session_id}", "session_added")


@blueprint.post("/<int:session_id>/end")
@access("staff")
def end(session_id: int) -> Response:
    """Record when the class was over; the form gives wall time in the session's zone."""
    zone = live_sessions.show(connection(), session_id).zone
    at = _wall_time("at").replace(tzinfo=ZoneInfo(zone))
    endings.end(connection(), session_id, at=at, reason=_given("reason"), actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}", "session_ended")


@blueprint.post("/<int:session_id>/lock")
@access("staff")
def lock(session_id: int) -> Response:
    """Make the attendance final."""
    locking.lock(connection(), session_id, actor=viewer().actor, reason=_given("reason"), now=now())
    return go(f"/desk/sessions/{session_id}", "session_locked")


@blueprint.post("/<int:session_id>/reopen")
@access("staff")
def reopen(session_id: int) -> Response:
    """Take a lock back."""
    locking.reopen(connection(), session_id, actor=viewer().actor, reason=_given("reason"), now=now())
    return go(f"/desk/sessions/{session_id}", "session_reopened")


@blueprint.post("/<int:session_id>/rooms")
@access("staff")
def name_rooms(session_id: int) -> Response:
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
