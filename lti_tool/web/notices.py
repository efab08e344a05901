"""The address to which platforms send their notices: a machine's, without a session and without a cookie."""

from flask import Blueprint, Response, make_response
from flask import request as http_request

from lti_tool.lti.notices import load_notices
from lti_tool.lti.registration import Registration
from lti_tool.platforms import course_copies
from lti_tool.web.request import connection, house, now
from lti_tool.web.session import access

blueprint = Blueprint("notices", __name__)


@blueprint.post(course_copies.NOTICES_PATH)
@access("public")
def take() -> Response:
    """Notices, each signed by its platform: verified outside of any transaction, then recorded in one or not at all."""
    notices = load_notices(http_request.get_data(), _platform, house().key_sets, now())
    course_copies.take(connection(), notices, now())
    return make_response("", 200)


def _platform(issuer: str, client_id: str) -> Registration:
    """The active registration of this issuer and client id. Raises what `registration.find` does."""
    return house().registrations.find(issuer, client_id, now())
