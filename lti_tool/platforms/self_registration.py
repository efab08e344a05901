"""A platform registers itself (LTI Dynamic Registration 1.0): it describes itself, we introduce ourselves, it gives us
a client id, and staff decide whether it may launch.

No transaction is open while the platform is asked.

Invitations: one-time links by which a learning platform may register itself (lti.md DR-1).

The link holds a random token, the database its SHA-256. A registration first takes the invitation, then talks to the
platform, then either uses it up or gives it back: of two at once one goes ahead, and what failed can be tried again.
"""

import json
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from lti_tool import audit
from lti_tool.context import House
from lti_tool.errors import AccessDenied, PlatformRefused
from lti_tool.lti import dynamic_registration, registration
from lti_tool.lti.dynamic_registration import ENDPOINTS, Answer, Asked, Configuration
from lti_tool.signing import fingerprint
from lti_tool.tables.platforms import registration_invitations

REGISTER_PATH = "/lti/register"
LIFETIME = timedelta(hours=24)
MOST_HOURS = 14 * 24


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
    """Make an invitation, good for a registration within `lifetime`; its link, which is kept nowhere."""
    token = secrets.token_urlsafe(32)
    invitation = Invitation(fingerprint(token), now + lifetime, None)
    row = {"token_digest": invitation.digest, "expires_at": invitation.expires_at}
    connection.execute(insert(registration_invitations).values(**row, invited_by=actor, created_at=now))
    audit.record(connection, actor=actor, act="platform_invited", subject=invitation.actor, at=now)
    return f"{public_url}{REGISTER_PATH}?invitation={token}"


def load(connection: Connection, token: str) -> Invitation:
    """The invitation of this token, in whatever state. Raises AccessDenied `invitation_unknown`."""
    columns = registration_invitations.c
    query = select(columns.token_digest, columns.expires_at, columns.used_at)
    row = connection.execute(query.where(columns.token_digest == fingerprint(token))).first()
    if row is None:
        message = "A platform registers here by an invitation, and this address holds none that we made."
        raise AccessDenied(
            "invitation_unknown", message, "Copy the whole link of the invitation, or ask for a new one."
        )
    return Invitation(row.token_digest, row.expires_at, row.used_at)


def verify(invitation: Invitation, now: datetime) -> None:
    """Raises AccessDenied `invitation_used` or `invitation_expired`."""
    if invitation.used_at is not None:
        raise _used()
    if invitation.expires_at <= now:
        message = "The time of this invitation is over."
        raise AccessDenied("invitation_expired", message, "Ask the people who run Gatehouse for a new one.")


def take(connection: Connection, invitation: Invitation, now: datetime) -> None:
    """Take the invitation for one attempt: of several at once one goes ahead. Raises as `verify` does."""
    columns = registration_invitations.c
    free = (columns.token_digest == invitation.digest) & columns.used_at.is_(None) & (columns.expires_at > now)
    if not connection.execute(update(registration_invitations).where(free).values(used_at=now)).rowcount:
        verify(invitation, now)
        raise _used()


def give_back(connection: Connection, invitation: Invitation) -> None:
    """The attempt failed before the platform registered anything: the invitation may be tried again."""
    ours = registration_invitations.c.token_digest == invitation.digest
    unused = registration_invitations.c.registration_id.is_(None)
    connection.execute(update(registration_invitations).where(ours & unused).values(used_at=None))


def use_up(connection: Connection, invitation: Invitation, registration_id: int) -> None:
    """The attempt registered a platform."""
    ours = registration_invitations.c.token_digest == invitation.digest
    connection.execute(update(registration_invitations).where(ours).values(registration_id=registration_id))


def _used() -> AccessDenied:
    """Whoever pressed the button twice reads this instead of the answer to the first time."""
    message = "This invitation has been used: each one is good for one registration."
    next_step = (
        "If you have just pressed the button, your platform has the tool already: look there. If not, ask "
        "the people who run Gatehouse for a new invitation."
    )
    return AccessDenied("invitation_used", message, next_step)


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
        take(connection, invitation, now)
    try:
        platform = _describe(house, asked)
        body = _introduce(house, platform, asked)
    except Exception:
        with house.database.write() as connection:
            give_back(connection, invitation)
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
        use_up(connection, invitation, registration_id)
    log.info("a platform has registered itself", extra={"registration": registration_id})
    return Registered(registration_id, platform.issuer, bool(deployment_ids))
