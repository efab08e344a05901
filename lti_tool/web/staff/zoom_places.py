"""One session at Zoom, for staff: who is registered there, who is not and why, and the meeting's settings."""

from flask import Blueprint
from werkzeug.wrappers import Response

from lti_tool.attendance import live_sessions
from lti_tool.errors import Conflict
from lti_tool.programme import versions
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, context, now
from lti_tool.web.session import access, viewer
from zoom_adapter import meetings, places

blueprint = Blueprint("desk_places", __name__, url_prefix="/desk/sessions/<int:session_id>/zoom")


@blueprint.get("")
@access("staff")
def session_at_zoom(session_id: int) -> str:
    """The registrations of the session's meeting, those with a problem first, and the settings of the meeting."""
    session = live_sessions.show(connection(), session_id)
    programme = versions.version(connection(), session.programme_version).programme
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


@blueprint.post("/places/<int:place_id>")
@access("staff")
def try_again(session_id: int, place_id: int) -> Response:
    """Ask the worker to try this registration again now."""
    places.try_again(connection(), place_id, actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}/zoom", "place_again")


@blueprint.post("/settings")
@access("staff")
def read_settings_again(session_id: int) -> Response:
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
