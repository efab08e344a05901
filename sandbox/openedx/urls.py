"""Addresses: the package's own under `/api/`, as in the LMS; ours around them."""

from __future__ import annotations

from pathlib import Path

import django.contrib.admin
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import include, path
from django.views.static import serve

from sandbox.openedx import api, certification, pages

STATIC = Path(__file__).with_name("static")
# The LMS gives blocks a page with jQuery; Django carries a copy.
JQUERY = Path(django.contrib.admin.__file__).parent / "static" / "admin" / "js" / "vendor" / "jquery"
files = transaction.non_atomic_requests(serve)

urlpatterns = [
    path("", pages.people),
    path("courses", pages.courses),
    path("unit/<slug:block_id>", pages.unit),
    path("xblock/<slug:block_id>", pages.student_view),
    path("studio/<slug:block_id>", pages.studio),
    path("studio/<slug:block_id>/xblock", pages.author_view),
    path("gradebook", pages.grades),
    path("progress", pages.progress),
    path("healthz", api.healthz),
    path("sandbox/registrations.json", api.registrations_json),
    path("sandbox/grades.json", api.grades_json),
    path("sandbox/state.json", api.state_json),
    path("sandbox/sign-in", api.sign_in),
    path("sandbox/units/<slug:block_id>", api.change_unit),
    path("sandbox/units/<slug:block_id>/delete-column", api.delete_column),
    path("sandbox/units/<slug:block_id>/sign.json", certification.sign_json),
    path("sandbox/units/<slug:block_id>/content.json", certification.content_json),
    path("sandbox/requests.json", certification.requests_json),
    path("static/jquery/<path:path>", files, {"document_root": JQUERY}),
    path("favicon.ico", files, {"document_root": STATIC, "path": "icon.svg"}),  # the package's own pages name none
    path("static/<path:path>", files, {"document_root": STATIC}),
    path("api/", include("lti_consumer.plugin.urls", namespace="lti_consumer")),
]


def _refusal(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _problem(request, "Not for you", str(exception), 403)


def _missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    known = exception.args and isinstance(exception.args[0], str)
    return _problem(request, "Not found", exception.args[0] if known else "There is no such page here.", 404)


def _problem(request: HttpRequest, title: str, text: str, status: int) -> HttpResponse:
    return render(request, "sandbox/problem.html", {"title": title, "text": text}, status=status)


handler403 = _refusal
handler404 = _missing
