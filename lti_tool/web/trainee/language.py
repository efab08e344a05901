"""The language of a trainee's pages and messages, chosen at the foot of any page."""

import re

from flask import Blueprint, redirect
from flask import request as http_request
from werkzeug.wrappers import Response

from lti_tool import people
from lti_tool.languages import LANGUAGES
from lti_tool.web.forms import field
from lti_tool.web.request import connection
from lti_tool.web.session import access, viewer

OWN_PAGE = re.compile(r"/(?!/)[\w/.~-]*", re.ASCII)

blueprint = Blueprint("language", __name__)


@blueprint.post("/language")
@access("trainee")
def choose() -> Response:
    """Keep the language that the viewer chose, and go back to the page. A language without a catalogue changes
    nothing."""
    wanted, to = field("language"), http_request.form.get("to", "")
    if wanted in LANGUAGES:
        people.choose_language(connection(), viewer().trainee_id, wanted)
    return redirect(to if OWN_PAGE.fullmatch(to) else "/", 303)
