"""Presence checks on the desk: ask everyone in the session, and see how many answered."""

from datetime import timedelta

from flask import Blueprint
from flask import request as http_request
from werkzeug.wrappers import Response

from lti_tool.attendance import live_sessions, presence_checks
from lti_tool.programme import versions
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, now, read_id
from lti_tool.web.session import access, viewer

LENGTHS = {60: "1 minute", 120: "2 minutes", 300: "5 minutes"}

blueprint = Blueprint("desk_checks", __name__, url_prefix="/desk/sessions/<int:session_id>/checks")


@blueprint.get("")
@access("staff")
def whole_page(session_id: int) -> str:
    """The checks of one session, and the form that asks."""
    return _page("staff/presence_checks.html", session_id)


@blueprint.get("/now")
@access("staff")
def changing_part(session_id: int) -> str:
    """The part that changes, for the page's script."""
    return _page("staff/presence_checks_now.html", session_id)


@blueprint.post("")
@access("staff")
def ask(session_id: int) -> Response:
    """Ask everyone in the session whether they are there."""
    open_for = timedelta(seconds=http_request.form.get("seconds", 120, read_id))
    presence_checks.ask(connection(), session_id, open_for=open_for, actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}/checks", "presence_asked")


def _page(template: str, session_id: int) -> str:
    session = live_sessions.show(connection(), session_id)
    asked = presence_checks.of_session(connection(), session_id)
    is_cancelled = session.state == "cancelled"
    return show(
        template,
        versions.version(connection(), session.programme_version).programme,
        session=session,
        asked=asked,
        open_ids=[each.check.id for each in asked if not is_cancelled and each.check.is_open(now())],
        lengths=LENGTHS,
        running=not is_cancelled and session.starts_at <= now() < session.ends_at,
    )
