"""Deep linking 2.0: requests that wait for a teacher's choice, and the signed answer to the platform (lti.md §6).

A request is answered once, in the session of the teacher whom the platform sent.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import jwt
from sqlalchemy import Connection, delete, insert, select, update

from lti_tool.db import Database
from lti_tool.errors import AddressRefused, BadInput, Conflict, NotFound, RefusedLaunch
from lti_tool.lti.claims import DL, LTI, DeepLinkingSettings, Launch
from lti_tool.lti.keys import ToolKey
from lti_tool.lti.line_items import LONGEST_LABEL, LONGEST_TAG, NewLineItem
from lti_tool.lti.registration import Registration, origin
from lti_tool.tables.browser_sessions import deep_link_requests

ItemType = Literal["ltiResourceLink", "link"]
# What we offer, the better first: a plain link carries no custom parameters and starts no launch.
OFFERED: tuple[ItemType, ...] = ("ltiResourceLink", "link")
RESPONSE = "LtiDeepLinkingResponse"
VERSION = "1.3.0"
RESPONSE_LIFE = timedelta(minutes=5)
# Moodle allows no skew: a response issued a second in its future is refused.
ISSUED_AGO = timedelta(seconds=5)
# What Open edX keeps of a title (openedx.md §5, §8).
LONGEST_TITLE = 255
# How long a teacher may take to choose; the platform's own page that waits for the answer lives no longer.
LIFETIME = timedelta(hours=1)
# Expired requests are kept a little longer, so that a teacher who comes late learns why.
KEPT_AFTER = timedelta(days=1)
START_AGAIN = "Go back to your course's settings on the learning platform and open the choice of content again."


@dataclass(frozen=True, slots=True)
class ContentItem:
    """One thing that was picked. `url` is absolute and https, and becomes the later target link (lti.md DL-6)."""

    type: ItemType
    url: str
    title: str
    text: str = ""
    custom: Mapping[str, str] = field(default_factory=dict)
    score: NewLineItem | None = None


def offered_type(settings: DeepLinkingSettings) -> ItemType | None:
    """The best type of item that both sides know; None when the platform takes none of ours (lti.md DL-8)."""
    return next((each for each in OFFERED if each in settings.accept_types), None)


def verify_return_url(registration: Registration, url: str, check_url: Callable[[str], None]) -> str:
    """The origin that the signed answer may be sent to: one of the platform's own.

    `check_url` is `Http.check_url`. Raises RefusedLaunch `return_url_refused` (not https, or no address that may be
    called) or `return_url_foreign` (not on one of the platform's hosts).
    """
    try:
        check_url(url)
    except AddressRefused as refusal:
        raise RefusedLaunch(
            "return_url_refused",
            "The learning platform gave an address for the answer that we may not send anything to.",
            "Tell the people who run the platform: the deep linking return URL must be an https address.",
        ) from refusal
    found = origin(url)
    if found is None or found not in registration.hosts:
        raise RefusedLaunch(
            "return_url_foreign",
            "The address for the answer is not on one of the learning platform's own hosts, so nothing is sent there.",
            "Tell the people who run Gatehouse: the platform's registration lacks the host of its deep linking "
            "return URL.",
        )
    return found


def sign_response(
    key: ToolKey,
    registration: Registration,
    deployment_id: str,
    settings: DeepLinkingSettings,
    items: Sequence[ContentItem],
    message: str,
    now: datetime,
) -> str:
    """The response as a JWT for the form field `JWT` (lti.md DL-3 to DL-5); no items is the answer of who cancels.

    `message` is shown to the person by the platform. Raises BadInput `deep_link_type_refused` or
    `deep_link_one_only` when the platform did not ask for such items.
    """
    if any(each.type not in settings.accept_types for each in items):
        raise BadInput(
            "deep_link_type_refused",
            "The learning platform does not take what was picked in this place.",
            "Go back and start from another place in the course.",
        )
    if len(items) > 1 and not settings.accept_multiple:
        raise BadInput("deep_link_one_only", "The learning platform takes one link here.", "Go back and pick just one.")
    claims: dict[str, Any] = {
        "iss": registration.client_id,
        "aud": registration.issuer,
        "iat": int((now - ISSUED_AGO).timestamp()),
        "exp": int((now + RESPONSE_LIFE).timestamp()),
        "nonce": secrets.token_urlsafe(24),
        LTI + "message_type": RESPONSE,
        LTI + "version": VERSION,
        LTI + "deployment_id": deployment_id,
        DL + "content_items": [item_claim(each, settings) for each in items],
        DL + "msg": message,
    }
    if settings.data is not None:
        claims[DL + "data"] = settings.data
    return jwt.encode(claims, key.private_key, algorithm="RS256", headers={"kid": key.kid})


def item_claim(item: ContentItem, settings: DeepLinkingSettings) -> dict[str, Any]:
    """One content item as the platform reads it. Nothing in it is empty or null: platforms differ in what they make of
    an empty `custom`, so it is left out."""
    claim: dict[str, Any] = {"type": item.type, "url": item.url, "title": item.title[:LONGEST_TITLE]}
    if item.text:
        claim["text"] = item.text
    if item.type == "ltiResourceLink":
        if custom := {name: value for name, value in item.custom.items() if value}:
            claim["custom"] = custom
        if item.score is not None and settings.accept_line_item is not False:
            # lti.md AG-6: `resourceId` and `tag` are texts, whatever they name.
            claim["lineItem"] = {
                "label": item.score.label[:LONGEST_LABEL],
                "scoreMaximum": item.score.maximum,
                "resourceId": item.score.resource_id,
                "tag": item.score.tag[:LONGEST_TAG],
            }
    return claim


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


def answer(connection: Connection, request: DeepLinkRequest, now: datetime) -> None:
    """Mark a request as answered; of two answers at once, one succeeds. Raises Conflict `deep_link_answered`.

    The return address is deleted: Moodle's contains the key of the teacher's own session.
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
