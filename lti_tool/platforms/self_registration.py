"""A platform registers itself (LTI Dynamic Registration 1.0) by a one-time invitation (lti.md DR-1).

The platform describes itself, we send our registration, it answers with a client id, and staff decide whether it may
launch. No transaction is open while the platform is called.

The invitation's link holds a random token, and the database its SHA-256. An attempt first takes the invitation, then
calls the platform, then uses the invitation up or releases it. Of two attempts at once one goes ahead, and a failed
attempt can be repeated.
"""

import json
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from lti_tool import audit
from lti_tool.context import AppContext
from lti_tool.errors import AccessDenied, PlatformRefused
from lti_tool.lti import dynamic_registration, registration
from lti_tool.lti.dynamic_registration import ENDPOINTS, Asked, Configuration
from lti_tool.signing import fingerprint
from lti_tool.tables.platforms import registration_invitations

REGISTER_PATH = "/lti/register"
LIFETIME = timedelta(hours=24)
MOST_HOURS = 14 * 24
# Also read by a person who pressed the button twice, instead of the answer to the first time.
USED = (
    "invitation_used",
    "This invitation has been used. Each one is good for one registration.",
    "If you have just pressed the button, your platform has the tool already: look there. If not, ask the people who "
    "run Gatehouse for a new invitation.",
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Invitation:
    """One invitation; `digest` names it and opens nothing."""

    digest: str
    expires_at: datetime
    used_at: datetime | None

    @property
    def actor(self) -> str:
        """The id that the audit log keeps."""
        return f"invitation:{self.digest[:12]}"


def invite(
    connection: Connection, public_url: str, *, actor: str, now: datetime, lifetime: timedelta = LIFETIME
) -> str:
    """Make an invitation that is good for one registration within `lifetime`. Returns its link, which is not stored."""
    token = secrets.token_urlsafe(32)
    invitation = Invitation(fingerprint(token), now + lifetime, None)
    row = {"token_digest": invitation.digest, "expires_at": invitation.expires_at}
    connection.execute(insert(registration_invitations).values(**row, invited_by=actor, created_at=now))
    audit.record(connection, actor=actor, act="platform_invited", subject=invitation.actor, at=now)
    return f"{public_url}{REGISTER_PATH}?invitation={token}"


def load(connection: Connection, token: str) -> Invitation:
    """The invitation of this token, in any state. Raises AccessDenied `invitation_unknown`."""
    columns = registration_invitations.c
    query = select(columns.token_digest, columns.expires_at, columns.used_at)
    row = connection.execute(query.where(columns.token_digest == fingerprint(token))).first()
    if row is None:
        raise AccessDenied(
            "invitation_unknown",
            "A platform registers here with an invitation, and we know no invitation with this address.",
            "Copy the whole link of the invitation, or ask for a new one.",
        )
    return Invitation(*row)


def verify(invitation: Invitation, now: datetime) -> None:
    """Raises AccessDenied `invitation_used` or `invitation_expired`."""
    if invitation.used_at is not None:
        raise AccessDenied(*USED)
    if invitation.expires_at <= now:
        message = "This invitation has expired."
        raise AccessDenied("invitation_expired", message, "Ask the people who run Gatehouse for a new one.")


@dataclass(frozen=True, slots=True)
class Registered:
    """A platform that has registered itself and needs an approval."""

    registration_id: int
    issuer: str
    has_deployment: bool


def register_platform(context: AppContext, invitation: Invitation, asked: Asked, now: datetime) -> Registered:
    """Register the platform that comes with this invitation; pending until staff approve it.

    If it fails before the platform has registered us, the invitation stays good for another attempt; after that it is
    used up. Raises AccessDenied as `verify`, OutboundError, BadInput as `dynamic_registration.read_configuration`,
    PlatformRefused `configuration_refused` or `registration_refused`, Conflict `platform_exists`.
    """
    columns = registration_invitations.c
    ours = columns.token_digest == invitation.digest
    change = update(registration_invitations)
    with context.database.write() as connection:
        free = change.where(ours, columns.used_at.is_(None), columns.expires_at > now)
        if not connection.execute(free.values(used_at=now)).rowcount:
            verify(invitation, now)
            raise AccessDenied(*USED)
    try:
        platform = _load_configuration(context, asked)
        body = _post_registration(context, platform, asked)
    except Exception:
        with context.database.write() as connection:
            connection.execute(change.where(ours, columns.registration_id.is_(None)).values(used_at=None))
        raise
    answer = dynamic_registration.read_answer(body)
    deployment_ids = [answer.deployment_id] if answer.deployment_id else []
    with context.database.write() as connection:
        registration_id = registration.add(
            connection,
            dynamic_registration.new_registration(platform, answer.client_id),
            deployment_ids,
            actor=invitation.actor,
            now=now,
            came_by="dynamic",
            status="pending",
        )
        connection.execute(change.where(ours).values(registration_id=registration_id))
    log.info("a platform has registered itself", extra={"registration": registration_id})
    return Registered(registration_id, platform.issuer, bool(deployment_ids))


def _load_configuration(context: AppContext, asked: Asked) -> Configuration:
    """The platform's description of itself. Every address in it may be called."""
    reply = context.http.request("GET", asked.configuration_url, headers={"Accept": "application/json"})
    if not reply.is_ok:
        raise PlatformRefused(
            "configuration_refused",
            f"The learning platform did not describe itself: it answered with the status {reply.status}. Begin the "
            "registration in the platform again.",
            answered=reply.status,
        )
    platform = dynamic_registration.read_configuration(reply.body, asked.configuration_url)
    for name in ENDPOINTS:
        context.http.check_url(getattr(platform, name))
    return platform


def _post_registration(context: AppContext, platform: Configuration, asked: Asked) -> bytes:
    """Ask the platform to register us, once: its token is good for one registration. Returns the body of its answer."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if asked.token:
        headers["Authorization"] = f"Bearer {asked.token}"
    document = json.dumps(dynamic_registration.registration_document(context.settings.public_url, platform)).encode()
    reply = context.http.request("POST", platform.registration_endpoint, headers=headers, data=document)
    if not reply.is_ok:
        raise PlatformRefused(
            "registration_refused",
            f"The learning platform refused the registration: it answered with the status {reply.status}. Begin the "
            "registration in the platform again; the invitation is still good.",
            answered=reply.status,
        )
    return reply.body
