"""The address to which platforms send their notices. No session, no cookie."""

from flask import Blueprint, Response, make_response
from flask import request as http_request

from lti_tool.lti.notices import load_notices
from lti_tool.lti.registration import Registration
from lti_tool.platforms import course_copies
from lti_tool.web.request import connection, context, now
from lti_tool.web.session import Limits, access

blueprint = Blueprint("notices", __name__)


@blueprint.post(course_copies.NOTICES_PATH)
@access("public", Limits(max_bytes=2 * 1024 * 1024))
def take() -> Response:
    """Verify the notices, each signed by its platform, outside of any transaction. Then record all of them or none."""

    def find(issuer: str, client_id: str) -> Registration:
        return context().registrations.find(issuer, client_id, now())

    notices = load_notices(http_request.get_data(), find, context().key_sets, now())
    course_copies.take(connection(), notices, now())
    return make_response("", 200)
