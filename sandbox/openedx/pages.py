"""The pages around a unit, in the manner of Open edX's learning pages and Studio."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from itertools import groupby
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET

from sandbox.openedx import gradebook
from sandbox.openedx.access import check_course_access, has_studio_write_access
from sandbox.openedx.courseware import render_unit
from sandbox.openedx.models import Course, Unit
from sandbox.openedx.registrations import registration_of
from sandbox.openedx.shell import ROLE_NAMES

Page = Callable[..., HttpResponse]


def signed_in(page: Page) -> Page:
    """Send strangers to the people page first."""

    @wraps(page)
    def guarded(request: HttpRequest, *args: Any, **names: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect(f"/?next={request.path}")
        return page(request, *args, **names)

    return guarded


@require_GET
def people(request: HttpRequest) -> HttpResponse:
    """Choose whom to be."""
    everybody = User.objects.select_related("profile").order_by("id")
    cards = [(person, ROLE_NAMES[person.profile.role]) for person in everybody]
    by_username = {person.username: (person, role) for person, role in cards}
    return render(
        request,
        "sandbox/people.html",
        {
            "guide": [(*by_username[row["username"]], row["unit"], row["sees"]) for row in settings.SANDBOX_GUIDE],
            "learners": [card for card in cards if card[0].profile.role == "learner"],
            "team": [card for card in cards if card[0].profile.role != "learner"],
            "next": request.GET.get("next", ""),
        },
    )


@require_GET
@signed_in
def courses(request: HttpRequest) -> HttpResponse:
    """The courses the person may open, each with its outline."""
    mine = [
        course for course in Course.objects.order_by("position") if check_course_access(course, request.user, "load")
    ]
    return render(
        request,
        "sandbox/courses.html",
        {
            "outlines": [
                (course, _sections(course), has_studio_write_access(request.user, course.key)) for course in mine
            ],
        },
    )


@require_GET
@signed_in
def unit(request: HttpRequest, block_id: str) -> HttpResponse:
    """The courseware page: navigation of ours around the frame that holds the genuine student view."""
    here = _unit_for(request, block_id)
    line = list(here.course.units.all())
    place = line.index(here)
    return render(
        request,
        "sandbox/unit.html",
        {
            "unit": here,
            "course": here.course,
            "sections": _sections(here.course),
            "previous": line[place - 1] if place else None,
            "following": line[place + 1] if place + 1 < len(line) else None,
            "grade": gradebook.cells_of(here.course).get((request.user.id, here.id)),
            "may_edit": has_studio_write_access(request.user, here.course.key),
        },
    )


@require_GET
@xframe_options_sameorigin
@signed_in
def student_view(request: HttpRequest, block_id: str) -> HttpResponse:
    """Only the block, as the LMS renders it for the frame of the courseware page."""
    here = _unit_for(request, block_id)
    return render(request, "sandbox/xblock.html", {"fragment": render_unit(here, request.user, "student_view")})


@require_GET
@signed_in
def studio(request: HttpRequest, block_id: str) -> HttpResponse:
    """What course staff see of a unit in Studio: the package's own view for authors, the values to register."""
    here = _unit_for_staff(request, block_id)
    return render(
        request,
        "sandbox/studio.html",
        {
            "unit": here,
            "course": here.course,
            "registration": registration_of(here),
            "settings": sorted(here.settings.items()),
        },
    )


@require_GET
@xframe_options_sameorigin
@signed_in
def author_view(request: HttpRequest, block_id: str) -> HttpResponse:
    """Only the block, as Studio previews it; deep linking starts here."""
    here = _unit_for_staff(request, block_id)
    return render(request, "sandbox/xblock.html", {"fragment": render_unit(here, request.user, "author_view")})


@require_GET
def grades(request: HttpRequest) -> HttpResponse:
    """Everybody's published grades; open to all, so that it can stand beside a learner's window."""
    books = [
        (course, gradebook.scored_units(course), gradebook.table_of(course))
        for course in Course.objects.order_by("position")
    ]
    return render(request, "sandbox/gradebook.html", {"books": books})


@require_GET
@signed_in
def progress(request: HttpRequest) -> HttpResponse:
    """The signed-in person's own grades."""
    mine = [
        course for course in Course.objects.order_by("position") if check_course_access(course, request.user, "load")
    ]
    return render(request, "sandbox/progress.html", {"books": [_own_grades(course, request.user) for course in mine]})


def _own_grades(course: Course, user: User) -> tuple[Course, list[tuple[Unit, gradebook.Cell | None]]]:
    cells = gradebook.cells_of(course)
    return course, [(unit, cells.get((user.id, unit.id))) for unit in gradebook.scored_units(course)]


def _sections(course: Course) -> list[tuple[str, list[Unit]]]:
    return [(name, list(units)) for name, units in groupby(course.units.all(), key=lambda unit: unit.section)]


def _unit_for(request: HttpRequest, block_id: str) -> Unit:
    found = Unit.objects.select_related("course").filter(block_id=block_id).first()
    if found is None:
        raise Http404("There is no such unit.")
    if not check_course_access(found.course, request.user, "load"):
        raise PermissionDenied("You are not enrolled in this course.")
    return found


def _unit_for_staff(request: HttpRequest, block_id: str) -> Unit:
    found = _unit_for(request, block_id)
    if not has_studio_write_access(request.user, found.course.key):
        raise PermissionDenied("Studio is for the course team.")
    return found
