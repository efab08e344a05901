"""A session at Zoom, for staff: who is registered there and who is not, why, and how the meeting is set."""

from dataclasses import dataclass

from flask import Blueprint
from werkzeug.wrappers import Response

from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.errors import Conflict
from lti_tool.programme import versions
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, house, now
from lti_tool.web.session import access, viewer
from zoom_adapter import meetings, places
from zoom_adapter.places import ListedPlace, Standing

blueprint = Blueprint("desk_places", __name__, url_prefix="/desk/sessions/<int:session_id>/zoom")


@dataclass(frozen=True, slots=True)
class Row:
    """One person's place and how it stands."""

    listed: ListedPlace
    standing: Standing


@blueprint.get("")
@access("staff")
def session_at_zoom(session_id: int) -> str:
    """The places of a session's meeting, those that need somebody first, and the settings of the meeting."""
    session = live_sessions.show(connection(), session_id)
    programme = versions.version(connection(), session.programme_version).programme
    rows = [_row(each) for each in places.listed(connection(), session.zoom_meeting_id)]
    return show(
        "staff/places.html",
        programme,
        session=session,
        registers=house().settings.has_zoom_api,
        by_gate=house().settings.zoom_registration == "gate",
        troubled=[each for each in rows if each.standing.kind in ("shut", "wait")],
        others=[each for each in rows if each.standing.kind not in ("shut", "wait")],
        strangers=places.strangers(connection(), session.zoom_meeting_id),
        checked=meetings.of_session(connection(), session, programme),
        says=places.reason,
    )


@blueprint.post("/places/<int:place_id>")
@access("staff")
def try_again(session_id: int, place_id: int) -> Response:
    """Let the worker look after this place now."""
    places.try_again(connection(), place_id, actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}/zoom", "place_again")


@blueprint.post("/settings")
@access("staff")
def look_again(session_id: int) -> Response:
    """Read the meeting's settings anew, after they were changed at Zoom."""
    session = _at_zoom(live_sessions.show(connection(), session_id))
    meetings.look_again(connection(), session.zoom_meeting_id, now())
    return go(f"/desk/sessions/{session_id}/zoom", "settings_again")


def _at_zoom(session: LiveSession) -> LiveSession:
    if session.state == "cancelled" or session.ends_at <= now() or not house().settings.has_zoom_api:
        raise Conflict(
            "settings_not_read",
            "The settings of this meeting are not read: the session is over or off, or Zoom's credentials are not set.",
            "Look at the meeting at Zoom itself.",
        )
    return session


def _row(listed: ListedPlace) -> Row:
    return Row(listed, places.standing(listed.place, listed.email))
