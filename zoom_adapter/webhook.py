"""`POST /zoom/webhook`: verify, keep, answer. Nothing else happens in the request.

What Zoom does with an answer decides which one is given: it sends again after 5xx and after nothing else, so 401 is
only for what is not Zoom's, and whatever was answered 2xx is on disk (zoom.md §1).
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from lti_tool.errors import RefusedWebhook
from zoom_adapter.events import URL_VALIDATION, Notice, read_notice
from zoom_adapter.inbox import DUPLICATE, Delivery, Inbox, InboxUnavailable, Refusals
from zoom_adapter.signature import challenge_answer, freshness, matching_secret, secret_mark

log = logging.getLogger(__name__)

# Zoom's largest documented body is below 4 KiB. A body above this is nobody's event, and it is refused before it is
# read, since no signature can be checked without reading it all.
LARGEST_BODY = 1024 * 1024
# Timestamp and signature are the proof: with the secret, anybody can compute again that Zoom signed these bytes. The
# others find the delivery in Zoom's own log.
PROOF = ("x-zm-request-timestamp", "x-zm-signature")
KEPT_HEADERS = (*PROOF, "x-zm-request-id", "x-zm-trackingid", "traceparent", "content-type")


def blueprint(secrets: Sequence[str], inbox: Inbox, clock: Callable[[], datetime], refusals: Refusals) -> Blueprint:
    """The webhook for these secret tokens (current first, then previous). What is turned away, and what was there
    already, is counted in `refusals`."""
    pages = Blueprint("zoom", __name__)

    def receive() -> tuple[Response, int]:
        try:
            delivery = _verified(secrets, clock())
            outcome = inbox.append(delivery)
        except (RefusedWebhook, InboxUnavailable) as error:
            refusals.count(error.code, clock())
            raise
        if outcome == "duplicate":
            refusals.count(DUPLICATE, clock())
        notice = delivery.notice
        log.debug("zoom delivery", extra={"outcome": outcome, "stale": notice.stale, "known": bool(notice.kind)})
        if notice.event == URL_VALIDATION:
            return jsonify(challenge_answer(secrets[delivery.secret_position], notice.plain_token)), 200
        return Response(status=204), 204

    # Every view says who may use it; here the signature is the only door.
    receive.access = "public"  # type: ignore[attr-defined]
    pages.add_url_rule("/zoom/webhook", "webhook", receive, methods=["POST"])
    return pages


def _verified(secrets: Sequence[str], now: datetime) -> Delivery:
    """The delivery, if one of the secrets signed it.

    Raises RefusedWebhook: with 503 while no secret is set (Zoom then tries again), with 413 for a body that is too
    large, with 401 for everything that Zoom did not sign.
    """
    if not secrets:
        raise RefusedWebhook(
            "zoom_not_configured", "No Zoom secret token is set.", "Set GATEHOUSE_ZOOM_SECRET_TOKENS.", status=503
        )
    timestamp = request.headers.get("x-zm-request-timestamp")
    signature = request.headers.get("x-zm-signature")
    # A server may hand a header that is not ASCII on as an empty text: it was sent, and it is wrong.
    if timestamp is None or signature is None:
        raise RefusedWebhook("zoom_signature_missing", "The request carries no Zoom signature.", _SIGN)
    body = _raw_body()
    position = matching_secret(secrets, timestamp, body, signature)
    if position is None:
        raise _wrong_signature(body)
    notice = _read(body, timestamp, now)
    return Delivery(notice, body, _kept_headers(), position, now, secret_mark(secrets[position]))


_SIGN = "Sign the raw body with the webhook's secret token as Zoom documents it."


def _wrong_signature(body: bytes) -> RefusedWebhook:
    """A challenge is told apart: after six that Zoom does not see answered, it stops sending."""
    log.warning("zoom delivery with a wrong signature")
    if URL_VALIDATION.encode() in body:
        return RefusedWebhook("zoom_challenge_wrong", "The signature does not match this challenge.", _SIGN)
    return RefusedWebhook("zoom_signature_wrong", "The signature does not match this body.", _SIGN)


def _raw_body() -> bytes:
    """The bytes as they came, before anything reads them as JSON."""
    request.max_content_length = LARGEST_BODY
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge as error:
        raise RefusedWebhook(
            "zoom_body_too_large", "The body is larger than any event.", "Send one event a request.", status=413
        ) from error
    except ClientDisconnected as error:
        raise RefusedWebhook(
            "zoom_body_truncated", "The body ended too early.", "Send it again.", status=503
        ) from error


def _read(body: bytes, timestamp: str, now: datetime) -> Notice:
    notice = read_notice(body, stale=freshness(timestamp, now) != "fresh")
    if not notice.event:
        log.warning("zoom delivery cannot be read; kept as it came")
    return notice


def _kept_headers() -> dict[str, str]:
    return {name: request.headers[name][:200] for name in KEPT_HEADERS if name in request.headers}
