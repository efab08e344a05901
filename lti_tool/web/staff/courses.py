"""What each unit of a course opens. Staff confirm it once."""

from functools import partial

from flask import Blueprint
from marshmallow import fields, validate
from werkzeug.wrappers import Response

from lti_tool.audit import trainee_of
from lti_tool.diagnostics import unit_findings
from lti_tool.platforms import course_units
from lti_tool.platforms.course_units import Unit
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.rights import SET_UP_UNITS, missing
from lti_tool.web.forms import MAX_ID, Form, read
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, is_ours, viewer
from lti_tool.web.staff import overview

COURSES = "/desk/courses"
MAX_ID_LENGTH = 255
MAX_UNITS = 1000
FORM_WRONG = ("course_form_wrong", "The form is not complete.", "Open the list of courses again and send it there.")
# What a unit names, if it is neither a module nor a retreat.
PAGE_WORDS = {
    "": "Home (the unit names nothing)",
    "page:dashboard": "Home",
    "page:retreats": "All retreats",
    "page:calendar": "The calendar",
    "page:desk": "The desk",
}


class ConfirmForm(Form):
    """The units of one course that the page showed."""

    platform = fields.Integer(required=True, validate=validate.Range(1, MAX_ID))
    course = fields.String(load_default="", validate=validate.Length(max=MAX_ID_LENGTH))
    unit = fields.List(
        fields.Integer(validate=validate.Range(1, MAX_ID)),
        required=True,
        validate=validate.Length(min=1, max=MAX_UNITS),
    )


class AssignForm(Form):
    """The module that a unit opens."""

    module = fields.String(required=True, validate=validate.Length(1, MAX_ID_LENGTH))


CONFIRM, ASSIGN = ConfirmForm(), AssignForm()

blueprint = Blueprint("courses", __name__, url_prefix=COURSES)


@blueprint.get("")
@access(SET_UP_UNITS)
def courses() -> str:
    """Every course with its units; first those with unconfirmed units."""
    programme = versions.current(connection()).programme
    found = [
        each
        for each in course_units.courses(connection(), now())
        if is_ours(each.registration_id, each.context_id, SET_UP_UNITS)
    ]
    confirmers = {trainee_of(unit.confirmed_by or "") for course in found for unit in course.units}

    return show(
        "staff/courses.html",
        programme,
        courses=found,
        opens=partial(opens, programme),
        modules=[module for module in programme.modules.values() if programme.is_published(module.id)],
        names=overview.names(connection(), {each for each in confirmers if each is not None}),
        trainee_of=trainee_of,
    )


def opens(programme: Programme, unit: Unit | unit_findings.Unit) -> str:
    """What a unit opens, in words. An id that the programme no longer has is shown as it is."""
    if unit.module_id is not None:
        return programme.offering_title(unit.module_id)
    if unit.content.startswith("retreat:"):
        return programme.offering_title(unit.content.removeprefix("retreat:"))
    return PAGE_WORDS.get(unit.content, unit.content)


@blueprint.post("/confirm")
@access(SET_UP_UNITS)
def confirm() -> Response:
    """Confirm the units of one course that the page showed."""
    given = read(CONFIRM, "unit", refusal=FORM_WRONG)
    course = given["course"] or None
    if not is_ours(given["platform"], course, SET_UP_UNITS):
        raise missing(SET_UP_UNITS)
    course_units.confirm(connection(), given["platform"], course, given["unit"], actor=viewer().actor, now=now())
    return go(COURSES, "course_confirmed")


@blueprint.post("/units/<int:unit_id>/assign")
@access(SET_UP_UNITS)
def assign(unit_id: int) -> Response:
    """Choose the module for a unit that names nothing itself."""
    programme = versions.current(connection()).programme
    module_id = read(ASSIGN, refusal=FORM_WRONG)["module"]
    course_units.assign(connection(), programme, unit_id, module_id, actor=viewer().actor, now=now())
    return go(COURSES, "unit_assigned")


@blueprint.post("/units/<int:unit_id>/unassign")
@access(SET_UP_UNITS)
def unassign(unit_id: int) -> Response:
    """Undo that choice."""
    course_units.unassign(connection(), unit_id, actor=viewer().actor, now=now())
    return go(COURSES, "unit_unassigned")
