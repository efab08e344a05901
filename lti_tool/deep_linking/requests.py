"""Deep linking requests that wait for a choice: each is answered once, by the session of the teacher who was sent."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from lti_tool.db import Database
from lti_tool.errors import Conflict, NotFound, RefusedLaunch
from lti_tool.lti.claims import DeepLinkingSettings, Launch
from lti_tool.tables.visits import deep_link_requests

# How long a teacher may take to choose; the platform's own page that waits for the answer lives no longer.
LIFETIME = timedelta(hours=1)
# Expired requests are kept a little longer, so that who comes late is told why.
KEPT_AFTER = timedelta(days=1)
START_AGAIN = "Go back to your course's settings on the learning platform and open the choice of content again."


@dataclass(frozen=True, slots=True)
class DeepLinkRequest:
    """One open request: of which platform and deployment, and what it takes back."""

    id: int
    registration_id: int
    deployment_id: str
    settings: DeepLinkingSettings


def begin(connection: Connection, launched: Launch, trainee_id: int, now: datetime) -> int:
    """Keep a verified LtiDeepLinkingRequest until the teacher has chosen; the request's id, for `/deep-linking/<id>`.

    Raises RefusedLaunch `deep_linking_incomplete` when the message carries no settings.
    """
    settings = launched.deep_linking
    if settings is None:
        raise RefusedLaunch(
            "deep_linking_incomplete",
            "The learning platform asked what to link, but did not say where the answer goes.",
            "Tell the people who run the course: the platform's message has no deep linking settings.",
        )
    row = {
        "registration_id": launched.registration_id,
        "deployment_id": launched.deployment_id,
        "context_id": launched.context_id,
        "trainee_id": trainee_id,
        "return_url": settings.return_url,
        "accept_types": list(settings.accept_types),
        "accept_multiple": settings.accept_multiple,
        "accept_line_item": settings.accept_line_item,
        "data": settings.data,
        "created_at": now,
        "expires_at": now + LIFETIME,
    }
    return int(connection.execute(insert(deep_link_requests).returning(deep_link_requests.c.id), row).scalar_one())


def load(
    connection: Connection,
    request_id: int,
    *,
    trainee_id: int,
    registration_id: int,
    context_id: str | None,
    now: datetime,
) -> DeepLinkRequest:
    """The request, for the teacher who was sent, in a session of the course and platform that asked.

    Raises NotFound `deep_link_missing` (no such request, or not this visitor's), Conflict `deep_link_expired` or
    `deep_link_answered`.
    """
    row = connection.execute(
        select(deep_link_requests).where(
            deep_link_requests.c.id == request_id,
            deep_link_requests.c.trainee_id == trainee_id,
            deep_link_requests.c.registration_id == registration_id,
            deep_link_requests.c.context_id.is_not_distinct_from(context_id),
        )
    ).first()
    if row is None:
        raise NotFound("deep_link_missing", "There is no choice of content for you here.", START_AGAIN)
    if row.answered_at is not None:
        raise _answered()
    if row.expires_at <= now:
        raise Conflict("deep_link_expired", "This choice was left open for too long.", START_AGAIN)
    return _request(row)


def answer(connection: Connection, request: DeepLinkRequest, now: datetime) -> None:
    """Mark a request as answered: of two answers at once one gets through. Raises Conflict `deep_link_answered`.

    Where the answer went is forgotten: Moodle's address carries the key of the teacher's own session.
    """
    answered = {"answered_at": now, "return_url": "", "data": None}
    open_still = (deep_link_requests.c.id == request.id) & deep_link_requests.c.answered_at.is_(None)
    if connection.execute(update(deep_link_requests).where(open_still).values(answered)).rowcount != 1:
        raise _answered()


def forget_requests(database: Database, now: datetime) -> bool:
    """Periodic job: drop requests that expired a day ago, with the addresses in them. Never more to do."""
    over = deep_link_requests.c.expires_at < now - KEPT_AFTER
    with database.read() as connection:
        if connection.execute(select(deep_link_requests.c.id).where(over).limit(1)).first() is None:
            return False
    with database.write() as connection:
        connection.execute(delete(deep_link_requests).where(over))
    return False


def _answered() -> Conflict:
    return Conflict("deep_link_answered", "This choice has been sent already; nothing was sent again.", START_AGAIN)


def _request(row: Row[Any]) -> DeepLinkRequest:
    settings = DeepLinkingSettings(
        return_url=row.return_url,
        accept_types=tuple(row.accept_types),
        accept_multiple=row.accept_multiple,
        accept_line_item=row.accept_line_item,
        data=row.data,
        title=None,
        text=None,
    )
    return DeepLinkRequest(row.id, row.registration_id, row.deployment_id, settings)
