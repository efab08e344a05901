"""The set-up doctor for staff: what keeps each unit of a course from working, and where to fix it."""

from functools import partial
from itertools import groupby

from flask import Blueprint

from lti_tool.diagnostics.unit_findings import BY_HAND
from lti_tool.diagnostics.units import Examined, examine_units
from lti_tool.programme import versions
from lti_tool.rights import SET_UP_UNITS
from lti_tool.web.page import show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, is_ours
from lti_tool.web.staff.courses import opens

blueprint = Blueprint("setup", __name__, url_prefix="/desk")


@blueprint.get("/setup")
@access(SET_UP_UNITS)
def setup() -> str:
    """Every unit with its findings, course by course, the most urgent first."""
    examined = sorted(
        (
            each
            for each in examine_units(connection(), now())
            if is_ours(each.registration_id, each.context_id, SET_UP_UNITS)
        ),
        key=_course,
    )
    programme = versions.current(connection()).programme
    courses = [
        (course, sorted(units, key=lambda each: (not each.is_hindered, not each.findings, each.title or "")))
        for course, units in groupby(examined, key=_course)
    ]
    return show(
        "staff/diagnostics.html",
        programme,
        courses=courses,
        opens=partial(opens, programme),
        by_hand={profile: BY_HAND[profile] for profile in sorted({each.unit.profile for each in examined})},
    )


def _course(examined: Examined) -> tuple[str, str, str]:
    return examined.course, examined.issuer, examined.context_id or ""
