""" "This does not look right", from the trainee's own day: ask the training team to look, or take it back."""

from flask import Blueprint
from flask import request as http_request
from werkzeug.wrappers import Response

from lti_tool import publication
from lti_tool.errors import NotFound
from lti_tool.page import go
from lti_tool.request import connection, now
from lti_tool.session import access, viewer
from lti_tool.sessions import days, live_sessions
from lti_tool.sessions.by_hand import requests

blueprint = Blueprint("day_requests", __name__, url_prefix="/sessions")


@blueprint.post("/<int:session_id>/requests")
@access("trainee")
def ask(session_id: int) -> Response:
    """Ask about one's own day."""
    _verify_visible(session_id)
    text = http_request.form.get("text", "")
    requests.open_request(connection(), session_id=session_id, trainee_id=viewer().trainee_id, text=text, now=now())
    return go(f"/sessions/{session_id}", "question_about_day")


@blueprint.post("/requests/<int:request_id>/withdraw")
@access("trainee")
def withdraw(request_id: int) -> Response:
    """Take one's own request back."""
    own = requests.withdraw(connection(), request_id, trainee_id=viewer().trainee_id, now=now())
    return go(f"/sessions/{own.live_session_id}", "question_withdrawn")


def _verify_visible(session_id: int) -> None:
    """A session that has no page for this person cannot be asked about either."""
    session = live_sessions.show(connection(), session_id)
    is_shown = viewer().is_staff or publication.current(connection()).programme.is_published(session.module_id)
    if not is_shown and days.of_trainee_in(connection(), viewer().trainee_id, session_id) is None:
        raise NotFound("session_unknown", "There is no such live session.", "Choose one from the list of sessions.")
