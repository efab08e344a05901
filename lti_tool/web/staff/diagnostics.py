"""The set-up doctor for staff: course by course, what keeps a unit from working and where to mend it."""

from itertools import groupby

from flask import Blueprint

from lti_tool.diagnostics.unit_findings import BY_HAND
from lti_tool.diagnostics.units import Examined, examine_units
from lti_tool.programme import versions
from lti_tool.web.page import show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access

blueprint = Blueprint("setup", __name__, url_prefix="/desk/setup")


@blueprint.get("")
@access("staff")
def setup() -> str:
    """Every unit with what the doctor says, those that need somebody first within their course."""
    examined = sorted(examine_units(connection(), now()), key=_course)
    courses = [(key, sorted(units, key=_urgency)) for key, units in groupby(examined, key=_course)]
    profiles = sorted({each.unit.profile for each in examined})
    return show(
        "staff/diagnostics.html",
        versions.current(connection()).programme,
        courses=courses,
        by_hand={profile: BY_HAND[profile] for profile in profiles},
    )


def _course(examined: Examined) -> tuple[str, str, str]:
    return examined.course, examined.issuer, examined.context_id or ""


def _urgency(examined: Examined) -> tuple[bool, bool, str]:
    return not examined.is_hindered, not examined.findings, examined.title
