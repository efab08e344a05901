"""JSON for the certification tests, under `/sandbox/`: messages that Open edX itself would never send, signed with the
package's own key, and what its services have been asked. Only for callers on this machine."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from functools import wraps
from typing import Any

import jwt
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_GET, require_POST
from lti_consumer.models import LtiDlContentItem

from sandbox.openedx import recording
from sandbox.openedx.models import Unit
from sandbox.openedx.registrations import configuration_of

View = Callable[..., HttpResponse]


def from_this_machine(view: View) -> View:
    """Answer callers on a loopback address alone."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **names: Any) -> HttpResponse:
        if not ipaddress.ip_address(request.META["REMOTE_ADDR"]).is_loopback:
            return JsonResponse({"error": "only for callers on this machine"}, status=403)
        return view(request, *args, **names)

    return guarded


@require_POST
@from_this_machine
def sign_json(request: HttpRequest, block_id: str) -> HttpResponse:
    """`{"header": …, "claims": …}` as a JWT, signed with the key that the package signs this unit's launches with."""
    message = json.loads(request.body)
    consumer = configuration_of(get_object_or_404(Unit, block_id=block_id)).get_lti_consumer()
    key = consumer.key_handler.key.key
    payload = json.dumps(message["claims"]).encode()
    return JsonResponse(
        {"id_token": jwt.PyJWS().encode(payload, key, algorithm="RS256", headers=message["header"] or None)}
    )


@require_GET
@from_this_machine
def requests_json(_request: HttpRequest) -> HttpResponse:
    """Every request of tools to the package's services, oldest first."""
    return JsonResponse(list(recording.requests), safe=False)


@require_GET
@from_this_machine
def content_json(_request: HttpRequest, block_id: str) -> HttpResponse:
    """The content items that the package keeps for a unit from its last deep linking response."""
    configuration = configuration_of(get_object_or_404(Unit, block_id=block_id))
    items = LtiDlContentItem.objects.filter(lti_configuration=configuration).order_by("id")
    return JsonResponse([{"type": item.content_type, **item.attributes} for item in items], safe=False)
