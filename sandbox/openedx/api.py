"""JSON for scripts under `/sandbox/`: no LMS has these, and no tool may rely on them."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST
from lti_consumer.api import config_id_for_block
from lti_consumer.models import LtiAgsLineItem
from xblock.fields import Scope

from sandbox.openedx import gradebook
from sandbox.openedx.courseware import load_block
from sandbox.openedx.models import Course, ExternalId, PublishedGrade, Unit
from sandbox.openedx.registrations import configuration_of, registration_of, registrations

BACKEND = "django.contrib.auth.backends.ModelBackend"


@require_GET
def healthz(_request: HttpRequest) -> HttpResponse:
    """Up, with its database."""
    return JsonResponse({"status": "ok", "units": Unit.objects.count()})


@require_GET
def registrations_json(_request: HttpRequest) -> HttpResponse:
    """What to register in the tool, one entry for each client id."""
    return JsonResponse(registrations(), safe=False)


@require_GET
def grades_json(_request: HttpRequest) -> HttpResponse:
    """The gradebook now, every publication so far, and the package's results."""
    current = sorted(gradebook.current_grades().values(), key=lambda row: row.id)
    history = list(PublishedGrade.objects.select_related("user", "unit"))
    return JsonResponse(
        {
            "published": gradebook.published(current),
            "history": gradebook.published(history),
            "lti_results": gradebook.lti_results(),
        }
    )


@require_GET
def state_json(_request: HttpRequest) -> HttpResponse:
    """People, courses and units."""
    return JsonResponse(
        {
            "people": [_person(user) for user in User.objects.select_related("profile").order_by("id")],
            "courses": list(Course.objects.order_by("position").values("key", "title", "organisation")),
            "units": [_unit(unit) for unit in Unit.objects.select_related("course")],
        }
    )


@require_POST
def sign_in(request: HttpRequest) -> HttpResponse:
    """Become somebody: form field `username`, optionally `next`. JSON for those who accept it, else a redirect."""
    user = get_object_or_404(User, username=request.POST.get("username", ""))
    login(request, user, backend=BACKEND)
    if "application/json" in request.headers.get("Accept", ""):
        return JsonResponse(_person(user))
    return redirect(_safe_next(request))


@require_POST
def change_unit(request: HttpRequest, block_id: str) -> HttpResponse:
    """What Studio's editor does when saved: `{"has_score": false}` changes that setting, null takes it back."""
    unit = get_object_or_404(Unit, block_id=block_id)
    try:
        changes = json.loads(request.body)
    except ValueError:
        return JsonResponse({"error": "the body is not JSON"}, status=400)
    complaint = _complaint(unit, changes)
    if complaint:
        return JsonResponse({"error": complaint}, status=400)
    unit.settings = {name: value for name, value in (unit.settings | changes).items() if value is not None}
    unit.save()
    config_id_for_block(load_block(unit))
    return JsonResponse(_unit(unit))


@require_POST
def delete_column(_request: HttpRequest, block_id: str) -> HttpResponse:
    """Delete the unit's line item, as an administrator of the site can. The next launch of the unit makes another."""
    unit = get_object_or_404(Unit, block_id=block_id)
    LtiAgsLineItem.objects.filter(lti_configuration=configuration_of(unit)).delete()
    return JsonResponse(_unit(unit))


def _complaint(unit: Unit, changes: object) -> str | None:
    """Why these changes cannot be taken, or nothing."""
    if not isinstance(changes, dict):
        return "the body should be an object of settings"
    fields = {name: field for name, field in load_block(unit).fields.items() if field.scope == Scope.settings}
    for name, value in changes.items():
        if name not in fields:
            return f"the block has no setting {name!r}; it has {', '.join(sorted(fields))}"
        try:
            fields[name].from_json(value)
        except (TypeError, ValueError) as refusal:
            return f"{name}: {refusal}"
    return None


def _safe_next(request: HttpRequest) -> str:
    wanted = request.POST.get("next", "")
    return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) else "/courses"


def _person(user: User) -> dict[str, Any]:
    return {
        "username": user.username,
        "name": user.profile.name,
        "email": user.email,
        "lti_user_id": str(ExternalId.of(user, "lti").external_user_id),
        "role": user.profile.role,
        "courses": list(user.enrolments.order_by("course__position").values_list("course__key", flat=True)),
        "note": user.profile.note,
    }


def _unit(unit: Unit) -> dict[str, Any]:
    return {
        "unit": unit.block_id,
        "title": unit.title,
        "usage_key": unit.usage_key,
        "course": unit.course.key,
        "section": unit.section,
        "page": f"/unit/{unit.block_id}",
        "scored": unit.is_scored,
        "client_id": registration_of(unit)["client_id"],
        "settings": unit.settings,
    }
