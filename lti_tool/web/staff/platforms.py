"""Platforms in the browser: the page on which a platform registers itself, and the desk's list of all platforms."""

from flask import Blueprint, render_template
from flask import request as http_request
from werkzeug.wrappers import Response

from lti_tool.errors import BadInput
from lti_tool.lti import registration
from lti_tool.lti.dynamic_registration import Asked, read_asked
from lti_tool.platforms import self_registration
from lti_tool.platforms.registered import by_issuer, tool_addresses
from lti_tool.platforms.self_registration import REGISTER_PATH, Invitation
from lti_tool.programme import versions
from lti_tool.rights import RUN_PLATFORMS
from lti_tool.web import headers
from lti_tool.web.forms import field
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, context, now
from lti_tool.web.session import access, viewer

DESK_PATH = "/desk/platforms"

blueprint = Blueprint("platforms", __name__)


@blueprint.get(REGISTER_PATH)
@access("public")
def offer() -> str:
    """Which platform asks, what will be exchanged, and a button. Opening an invitation changes nothing."""
    asked = read_asked(http_request.args)
    _load_invitation(asked)
    if not asked.configuration_url:
        link = f"{context().settings.public_url}{REGISTER_PATH}?invitation={asked.invitation}"
        return render_template("staff/platform_invitation.html", link=link)
    context().http.check_url(asked.configuration_url)
    host = registration.origin(asked.configuration_url)
    return render_template("staff/platform_offer.html", asked=asked, host=host)


@blueprint.post(REGISTER_PATH)
@access("public")
def register() -> str:
    """Register the platform. There is no session: the invitation in the form proves that we sent it."""
    asked = read_asked(http_request.form)
    invitation = _load_invitation(asked)
    if not asked.configuration_url:
        message = "The learning platform did not say where it describes itself."
        raise BadInput("registration_address_missing", message, "Begin the registration in the platform again.")
    registered = self_registration.register_platform(context(), invitation, asked, now())
    return render_template("staff/platform_registered.html", registered=registered)


def _load_invitation(asked: Asked) -> Invitation:
    """The invitation, unused and in time. Any invitation of ours, even an old one, lets the platform that it came from
    frame the answer. Raises AccessDenied as `self_registration.load` and `verify` do."""
    with context().database.read() as reading:
        invitation = self_registration.load(reading, asked.invitation)
    headers.allow(framed_by=[asked.configuration_url])
    self_registration.verify(invitation, now())
    return invitation


@blueprint.get(DESK_PATH)
@access(RUN_PLATFORMS)
def platforms() -> str:
    """Every registration, those that need an approval first, and the tool's own addresses."""
    programme = versions.current(connection()).programme
    addresses = tool_addresses(context().settings.public_url)
    return show("staff/platforms.html", programme, issuers=by_issuer(connection()), addresses=addresses)


@blueprint.post(f"{DESK_PATH}/invite")
@access(RUN_PLATFORMS)
def invite() -> str:
    """A one-time link by which a platform registers itself, shown in this answer only."""
    programme = versions.current(connection()).programme
    link = self_registration.invite(connection(), context().settings.public_url, actor=viewer().actor, now=now())
    return show("staff/platform_invited.html", programme, link=link, lifetime=self_registration.LIFETIME)


@blueprint.post(f"{DESK_PATH}/<int:registration_id>/approve")
@access(RUN_PLATFORMS)
def approve(registration_id: int) -> Response:
    """Let a self-registered platform launch, with the deployment id if it named none."""
    given = field("deployment_id")
    registration.approve(connection(), registration_id, [given] if given else [], actor=viewer().actor, now=now())
    return go(DESK_PATH, "platform_approved")


@blueprint.get(f"{DESK_PATH}/<int:registration_id>/disable")
@access(RUN_PLATFORMS)
def confirm_disable(registration_id: int) -> str:
    """What happens when this platform is switched off, and a button."""
    programme = versions.current(connection()).programme
    platform, own = registration.load(connection(), registration_id), viewer().registration_id == registration_id
    return show("staff/platform_disable.html", programme, platform=platform, own=own)


@blueprint.post(f"{DESK_PATH}/<int:registration_id>/disable")
@access(RUN_PLATFORMS)
def disable(registration_id: int) -> Response:
    """Refuse its launches and end its browser sessions. Nothing is deleted."""
    registration.set_status(connection(), registration_id, "disabled", actor=viewer().actor, now=now())
    return go(DESK_PATH, "platform_disabled")


@blueprint.post(f"{DESK_PATH}/<int:registration_id>/enable")
@access(RUN_PLATFORMS)
def enable(registration_id: int) -> Response:
    """Let a disabled platform launch again."""
    registration.set_status(connection(), registration_id, "active", actor=viewer().actor, now=now())
    return go(DESK_PATH, "platform_enabled")
