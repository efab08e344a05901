"""Platforms in the browser: one that registers itself, framed by itself, and the desk's page on all of them."""

from flask import Blueprint, render_template
from flask import request as http_request
from werkzeug.wrappers import Response

from lti_tool.errors import BadInput
from lti_tool.lti import registration
from lti_tool.lti.dynamic_registration import Asked, read_asked
from lti_tool.platforms import self_registration
from lti_tool.platforms.registered import by_issuer, tool_addresses
from lti_tool.platforms.self_registration import REGISTER_PATH, Invitation, register_platform
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.web import headers
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, house, now
from lti_tool.web.session import access, viewer

blueprint = Blueprint("platforms", __name__)

DESK_PATH = "/desk/platforms"


@blueprint.get(REGISTER_PATH)
@access("public")
def offer() -> str:
    """Who asks and what will be exchanged, with a button: opening an invitation changes nothing."""
    asked = read_asked(http_request.args)
    _invited(asked)
    if not asked.configuration_url:
        return render_template(
            "staff/platform_invitation.html", link=f"{house().settings.public_url}{_own_link(asked)}"
        )
    house().http.check_url(asked.configuration_url)
    host = registration.origin(asked.configuration_url)
    return render_template("staff/platform_offer.html", asked=asked, host=host)


@blueprint.post(REGISTER_PATH)
@access("public")
def register() -> str:
    """Register the platform. There is no session: the invitation in the form is the proof that it was sent by us."""
    asked = read_asked(http_request.form)
    invitation = _invited(asked)
    if not asked.configuration_url:
        message = "The learning platform did not say where it describes itself."
        raise BadInput("registration_address_missing", message, "Begin the registration in the platform again.")
    registered = register_platform(house(), invitation, asked, now())
    return render_template("staff/platform_registered.html", registered=registered)


@blueprint.get(DESK_PATH)
@access("staff")
def platforms() -> str:
    """Every registration, those that wait for an approval first, and the tool's own addresses."""
    addresses = tool_addresses(house().settings.public_url)
    return show("staff/platforms.html", _programme(), issuers=by_issuer(connection()), addresses=addresses)


@blueprint.post(f"{DESK_PATH}/invite")
@access("staff")
def invite() -> str:
    """A one-time link by which a platform registers itself; shown in this answer only."""
    link = self_registration.invite(connection(), house().settings.public_url, actor=viewer().actor, now=now())
    return show("staff/platform_invited.html", _programme(), link=link, lifetime=self_registration.LIFETIME)


@blueprint.post(f"{DESK_PATH}/<int:registration_id>/approve")
@access("staff")
def approve(registration_id: int) -> Response:
    """Let a platform that registered itself launch, with the deployment id it did not name."""
    given = http_request.form.get("deployment_id", "").strip()
    deployment_ids = [given] if given else []
    registration.approve(connection(), registration_id, deployment_ids, actor=viewer().actor, now=now())
    return go(DESK_PATH, "platform_approved")


@blueprint.get(f"{DESK_PATH}/<int:registration_id>/disable")
@access("staff")
def confirm_disable(registration_id: int) -> str:
    """What happens when this platform is switched off, and a button."""
    found = registration.load(connection(), registration_id)
    own = viewer().registration_id == registration_id
    return show("staff/platform_disable.html", _programme(), platform=found, own=own)


@blueprint.post(f"{DESK_PATH}/<int:registration_id>/disable")
@access("staff")
def disable(registration_id: int) -> Response:
    """Refuse its launches and end its sessions; nothing is deleted."""
    registration.set_status(connection(), registration_id, "disabled", actor=viewer().actor, now=now())
    return go(DESK_PATH, "platform_disabled")


@blueprint.post(f"{DESK_PATH}/<int:registration_id>/enable")
@access("staff")
def enable(registration_id: int) -> Response:
    """Let a disabled platform launch again."""
    registration.set_status(connection(), registration_id, "active", actor=viewer().actor, now=now())
    return go(DESK_PATH, "platform_enabled")


def _invited(asked: Asked) -> Invitation:
    """The invitation, unused and in time. Whoever holds one of ours, even an old one, may see our answer in a frame of
    the platform it came from; nobody else may. Raises AccessDenied as `invitations.load` and `invitations.verify`."""
    with house().database.read() as reading:
        invitation = self_registration.load(reading, asked.invitation)
    headers.allow(framed_by=[asked.configuration_url])
    self_registration.verify(invitation, now())
    return invitation


def _own_link(asked: Asked) -> str:
    return f"{REGISTER_PATH}?invitation={asked.invitation}"


def _programme() -> Programme:
    return versions.current(connection()).programme
