"""The desk's page of courses: what each unit opens, confirmed by staff once.

What the forms about courses may hold.
"""

from typing import Any

from flask import Blueprint
from flask import request as http_request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from werkzeug.wrappers import Response

from lti_tool.audit import trainee_of
from lti_tool.errors import BadInput
from lti_tool.platforms import course_units
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, viewer
from lti_tool.web.staff import overview

LONGEST_ID = 255
MOST_UNITS = 1000
# 18 digits are below the largest id of either database.
LARGEST_ID = 10**18 - 1


class _ConfirmForm(Schema):
    class Meta:
        unknown = EXCLUDE

    platform = fields.Integer(required=True, validate=validate.Range(1, LARGEST_ID))
    course = fields.String(load_default="", validate=validate.Length(max=LONGEST_ID))
    unit = fields.List(
        fields.Integer(validate=validate.Range(1, LARGEST_ID)),
        required=True,
        validate=validate.Length(min=1, max=MOST_UNITS),
    )


class _AssignForm(Schema):
    class Meta:
        unknown = EXCLUDE

    module = fields.String(required=True, validate=validate.Length(1, LONGEST_ID))


CONFIRM = _ConfirmForm()
ASSIGN = _AssignForm()

blueprint = Blueprint("courses", __name__)

COURSES = "/desk/courses"


@blueprint.get(COURSES)
@access("staff")
def courses() -> str:
    """Every course with its units; first those that nobody has looked at."""
    programme = versions.current(connection()).programme
    found = course_units.courses(connection(), now())
    return show(
        "staff/courses.html",
        programme,
        courses=found,
        opens=lambda unit: _opens(programme, unit),
        modules=[module for module in programme.modules.values() if programme.is_published(module.id)],
        names=overview.names(connection(), _people(found)),
        trainee_of=trainee_of,
    )


@blueprint.post(f"{COURSES}/confirm")
@access("staff")
def confirm() -> Response:
    """Confirm every unit of one course that the page showed."""
    given = _load(CONFIRM, unit=http_request.form.getlist("unit"))
    course = given["course"] or None
    course_units.confirm(connection(), given["platform"], course, given["unit"], actor=viewer().actor, now=now())
    return go(COURSES, "course_confirmed")


@blueprint.post(f"{COURSES}/units/<int:unit_id>/assign")
@access("staff")
def assign(unit_id: int) -> Response:
    """Choose the module that a unit opens which names none itself."""
    programme = versions.current(connection()).programme
    module_id = _load(ASSIGN)["module"]
    course_units.assign(connection(), programme, unit_id, module_id, actor=viewer().actor, now=now())
    return go(COURSES, "unit_assigned")


@blueprint.post(f"{COURSES}/units/<int:unit_id>/unassign")
@access("staff")
def unassign(unit_id: int) -> Response:
    """Take such a choice back."""
    course_units.unassign(connection(), unit_id, actor=viewer().actor, now=now())
    return go(COURSES, "unit_unassigned")


PAGE_WORDS = {
    "": "The dashboard (the unit names nothing)",
    "page:dashboard": "The dashboard",
    "page:retreats": "All retreats",
    "page:calendar": "The calendar",
    "page:desk": "The desk",
}


def _opens(programme: Programme, unit: course_units.Unit) -> str:
    """What a unit opens, in words; an id that the programme no longer has is shown as it is."""
    if unit.module_id is not None:
        return programme.offering_title(unit.module_id)
    if unit.content.startswith("retreat:"):
        return programme.offering_title(unit.content.removeprefix("retreat:"))
    return PAGE_WORDS.get(unit.content, unit.content)


def _people(found: list[course_units.Course]) -> set[int]:
    """The ids of those who confirmed something."""
    confirmers = {trainee_of(unit.confirmed_by or "") for course in found for unit in course.units}
    return {each for each in confirmers if each is not None}


def _load(form: Schema, **more: Any) -> dict[str, Any]:
    """The form's values. Raises BadInput `course_form_wrong`; nothing is changed."""
    try:
        given: dict[str, Any] = form.load(http_request.form.to_dict() | more)
    except ValidationError as error:
        raise BadInput(
            "course_form_wrong", "The form is not complete.", "Open the list of courses again and send it from there."
        ) from error
    return given
