"""What tools ask of the package's services, kept for scripts: which request came with which token, and its answer."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import urlsafe_b64decode
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse

SERVICES = re.compile(r"/api/lti_consumer/v1/(token/|lti/\d+/(memberships|lti-ags))")
MOST_REQUESTS = 1000

requests: deque[dict[str, Any]] = deque(maxlen=MOST_REQUESTS)


class RecordingMiddleware:
    """Keep every request to a service with the answer it got. Access tokens are kept as digests with their scopes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not SERVICES.match(request.path):
            return self.get_response(request)
        body = request.body  # before the view takes it off the wire
        response = self.get_response(request)
        requests.append(_told(request, body, response))
        return response


def _told(request: HttpRequest, body: bytes, response: HttpResponse) -> dict[str, Any]:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    is_token_request = "/token/" in request.path
    return {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "method": request.method,
        "path": request.get_full_path(),
        "status": response.status_code,
        "accept": request.headers.get("Accept", ""),
        "content_type": request.headers.get("Content-Type", ""),
        "scheme": scheme,
        "token": "sha256:" + hashlib.sha256(token.encode()).hexdigest()[:16] if token else "",
        "scopes": _json(response.content).get("scope", "").split() if is_token_request else _scopes(token),
        "body": None if is_token_request else _json(body) or None,
    }


def _scopes(token: str) -> list[str]:
    """The scopes that an access token names; whether it holds is the package's own question."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["scopes"]).split()
    except (IndexError, KeyError, ValueError):
        return []


def _json(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
