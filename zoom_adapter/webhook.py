"""The endpoint `POST /zoom/webhook`: it verifies a delivery, stores it and answers.

Nothing else happens in the request. Zoom sends again after 5xx only. So 401 is for what Zoom didn't sign, and what was
answered with 2xx is on disk (zoom.md §1).
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from lti_tool.errors import RefusedWebhook
from zoom_adapter.events import URL_VALIDATION, read_event
from zoom_adapter.inbox import DUPLICATE, Delivery, Inbox, InboxUnavailable, Refusals
from zoom_adapter.signature import challenge_answer, freshness, matching_secret, secret_mark

log = logging.getLogger(__name__)

# Zoom's largest documented body is below 4 KiB. A larger body than this is refused before it is read, since checking a
# signature means reading all of it.
LARGEST_BODY = 1024 * 1024
# Timestamp and signature prove with the secret that Zoom signed these bytes. The other headers help to find the
# delivery in Zoom's own log.
KEPT_HEADERS = (
    "x-zm-request-timestamp",
    "x-zm-signature",
    "x-zm-request-id",
    "x-zm-trackingid",
    "traceparent",
    "content-type",
)
# Zoom waits three seconds for an answer, counted from its request; the rest is for the network.
ANSWER_SECONDS = 2.5
# When the request's head had arrived, by `time.monotonic`; the server says so in the WSGI environment.
ARRIVED_AT = "gatehouse.arrived_at"
_SIGN = "Sign the raw body with the webhook's secret token as Zoom documents it."


def blueprint(secrets: Sequence[str], inbox: Inbox, clock: Callable[[], datetime], refusals: Refusals) -> Blueprint:
    """The webhook for these secret tokens (current first, then previous). `refusals` counts what is refused and what
    was stored before."""
    pages = Blueprint("zoom", __name__)

    def receive() -> tuple[Response, int]:
        # The time since the request arrived counts: it may have waited for its body and for a thread.
        now = time.monotonic()
        left = ANSWER_SECONDS - (now - request.environ.get(ARRIVED_AT, now))
        try:
            delivery = _verified(secrets, clock())
            outcome = inbox.append(delivery, timeout=max(left, 0.0))
        except (RefusedWebhook, InboxUnavailable) as error:
            refusals.count(error.code, clock())
            raise
        if outcome == "duplicate":
            refusals.count(DUPLICATE, clock())
        event = delivery.event
        log.debug("zoom delivery", extra={"outcome": outcome, "stale": event.stale, "known": bool(event.kind)})
        if event.event_type == URL_VALIDATION:
            return jsonify(challenge_answer(secrets[delivery.secret_position], event.plain_token)), 200
        return Response(status=204), 204

    # Every view declares who may use it; here the signature alone protects the view.
    receive.access = "public"  # type: ignore[attr-defined]
    pages.add_url_rule("/zoom/webhook", "webhook", receive, methods=["POST"])
    return pages


def _verified(secrets: Sequence[str], now: datetime) -> Delivery:
    """The delivery, if one of the secrets signed it.

    Raises RefusedWebhook: with 503 while no secret is set (Zoom then tries again), with 413 for a body that is too
    large, with 401 for everything that Zoom did not sign. A refused challenge has a code of its own: after six
    challenges without a good answer Zoom stops sending.
    """
    if not secrets:
        raise RefusedWebhook(
            "zoom_not_configured", "No Zoom secret token is set.", "Set GATEHOUSE_ZOOM_SECRET_TOKENS.", status=503
        )
    timestamp = request.headers.get("x-zm-request-timestamp")
    signature = request.headers.get("x-zm-signature")
    # A server may pass on a non-ASCII header as an empty text: that signature is wrong, not missing.
    if timestamp is None or signature is None:
        raise RefusedWebhook("zoom_signature_missing", "The request carries no Zoom signature.", _SIGN)
    body = _raw_body()
    position = matching_secret(secrets, timestamp, body, signature)
    if position is None:
        log.warning("zoom delivery with a wrong signature")
        if URL_VALIDATION.encode() in body:
            raise RefusedWebhook("zoom_challenge_wrong", "The signature does not match this challenge.", _SIGN)
        raise RefusedWebhook("zoom_signature_wrong", "The signature does not match this body.", _SIGN)
    event = read_event(body, stale=freshness(timestamp, now) != "fresh")
    if not event.event_type:
        log.warning("zoom delivery cannot be read; kept as it came")
    headers = {name: request.headers[name][:200] for name in KEPT_HEADERS if name in request.headers}
    return Delivery(event, body, headers, position, now, secret_mark(secrets[position]))


def _raw_body() -> bytes:
    """The bytes as they came, before anything parses them."""
    request.max_content_length = LARGEST_BODY
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge as error:
        raise RefusedWebhook(
            "zoom_body_too_large", "The body is larger than any event.", "Send one event per request.", status=413
        ) from error
    except ClientDisconnected as error:
        raise RefusedWebhook(
            "zoom_body_truncated", "The body ended too early.", "Send it again.", status=503
        ) from error
