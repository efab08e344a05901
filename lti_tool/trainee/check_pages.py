"""The presence check in the frame: "Are you there?", answered by one tap."""

from flask import Blueprint
from werkzeug.wrappers import Response

from lti_tool import publication
from lti_tool.page import go, show
from lti_tool.request import connection, now
from lti_tool.session import access, viewer
from lti_tool.sessions import live_sessions
from lti_tool.sessions.asking import checks

blueprint = Blueprint("checks", __name__, url_prefix="/presence")


@blueprint.get("")
@access("trainee")
def page() -> str:
    """The page to keep open during class; the part that changes is fetched again by its script."""
    return show("checks/page.html", publication.current(connection()).programme, **_questions())


@blueprint.get("/now")
@access("trainee")
def now_open() -> str:
    """Only the part that changes."""
    return show("checks/now.html", publication.current(connection()).programme, **_questions())


@blueprint.post("/<int:check_id>")
@access("trainee")
def answer(check_id: int) -> Response:
    """The tap."""
    checks.answer(connection(), check_id, viewer().trainee_id, now())
    return go("/presence", "presence_answered")


def _questions() -> dict[str, object]:
    asked = checks.open_for(connection(), viewer().trainee_id, now())
    return {"asked": [(each, live_sessions.show(connection(), each.check.session_id)) for each in asked]}
