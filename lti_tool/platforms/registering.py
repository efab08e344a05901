"""A platform registers itself (LTI Dynamic Registration 1.0): it describes itself, we introduce ourselves, it gives us
a client id, and staff decide whether it may launch.

No transaction is open while the platform is asked.
"""

import json
import logging
from dataclasses import dataclass
from datetime import datetime

from lti_tool.errors import PlatformRefused
from lti_tool.house import House
from lti_tool.lti import dynamic_registration, registration
from lti_tool.lti.dynamic_registration import ENDPOINTS, Answer, Asked, Configuration
from lti_tool.platforms import invitations
from lti_tool.platforms.invitations import Invitation

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Registered:
    """A platform that has registered and waits for staff."""

    registration_id: int
    issuer: str
    has_deployment: bool


def register_platform(house: House, invitation: Invitation, asked: Asked, now: datetime) -> Registered:
    """Register the platform that asks with this invitation; pending until staff approve it.

    Whatever is refused before the platform has registered us leaves the invitation good for another attempt; after
    that it is used up. Raises AccessDenied as `invitations.take`, OutboundError, BadInput as
    `dynamic_registration.read_configuration`, PlatformRefused `registration_refused`, Conflict `platform_exists`.
    """
    with house.database.write() as connection:
        invitations.take(connection, invitation, now)
    try:
        platform = _describe(house, asked)
        body = _introduce(house, platform, asked)
    except Exception:
        with house.database.write() as connection:
            invitations.give_back(connection, invitation)
        raise
    return _keep(house, invitation, platform, dynamic_registration.read_answer(body), now)


def _describe(house: House, asked: Asked) -> Configuration:
    """The platform's description of itself; every address in it is one that may be called."""
    reply = house.http.request("GET", asked.configuration_url, headers={"Accept": "application/json"})
    if not reply.is_ok:
        raise PlatformRefused(
            "configuration_refused",
            f"The learning platform did not describe itself: it answered with the status {reply.status}. Begin the "
            "registration in the platform again.",
            answered=reply.status,
        )
    platform = dynamic_registration.read_configuration(reply.body, asked.configuration_url)
    for name in ENDPOINTS:
        house.http.check_url(getattr(platform, name))
    return platform


def _introduce(house: House, platform: Configuration, asked: Asked) -> bytes:
    """Ask the platform to register us, once: its token is good for one registration. The body of its answer."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if asked.token:
        headers["Authorization"] = f"Bearer {asked.token}"
    document = dynamic_registration.registration_document(house.settings.public_url, platform)
    reply = house.http.request(
        "POST", platform.registration_endpoint, headers=headers, data=json.dumps(document).encode()
    )
    if not reply.is_ok:
        raise PlatformRefused(
            "registration_refused",
            f"The learning platform did not take the registration: it answered with the status {reply.status}. Begin "
            "the registration in the platform again; the invitation is still good.",
            answered=reply.status,
        )
    return reply.body


def _keep(house: House, invitation: Invitation, platform: Configuration, answer: Answer, now: datetime) -> Registered:
    deployment_ids = [answer.deployment_id] if answer.deployment_id else []
    with house.database.write() as connection:
        registration_id = registration.add(
            connection,
            dynamic_registration.new_registration(platform, answer.client_id),
            deployment_ids,
            actor=invitation.actor,
            now=now,
            came_by="dynamic",
            status="pending",
        )
        invitations.use_up(connection, invitation, registration_id)
    log.info("a platform has registered itself", extra={"registration": registration_id})
    return Registered(registration_id, platform.issuer, bool(deployment_ids))
