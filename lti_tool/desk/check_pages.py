"""Presence checks on the desk: ask, and see who answered."""

from datetime import timedelta

from flask import Blueprint
from flask import request as http_request
from werkzeug.wrappers import Response

from lti_tool import publication
from lti_tool.page import go, show
from lti_tool.request import connection, now
from lti_tool.session import access, viewer
from lti_tool.sessions import live_sessions
from lti_tool.sessions.asking import checks
from lti_tool.url_parts import read_id

blueprint = Blueprint("desk_checks", __name__, url_prefix="/desk/sessions/<int:session_id>/checks")

LENGTHS = {60: "1 minute", 120: "2 minutes", 300: "5 minutes"}


@blueprint.get("")
@access("staff")
def page(session_id: int) -> str:
    """The checks of one session, and the form that asks."""
    return _page("checks/desk.html", session_id)


@blueprint.get("/now")
@access("staff")
def part(session_id: int) -> str:
    """Only the part that changes, for the page's script."""
    return _page("checks/desk_now.html", session_id)


@blueprint.post("")
@access("staff")
def ask(session_id: int) -> Response:
    """Put the question to everybody in class."""
    seconds = http_request.form.get("seconds", 120, read_id)
    checks.ask(connection(), session_id, open_for=timedelta(seconds=seconds), actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}/checks", "presence_asked")


def _page(template: str, session_id: int) -> str:
    session = live_sessions.show(connection(), session_id)
    asked = checks.of_session(connection(), session_id)
    called_off = session.state == "cancelled"
    return show(
        template,
        publication.version(connection(), session.programme_version).programme,
        session=session,
        asked=asked,
        open_ids=[each.check.id for each in asked if not called_off and each.check.is_open(now())],
        lengths=LENGTHS,
        running=not called_off and session.starts_at <= now() < session.ends_at,
    )
