"""Settings for staff, and the set-up doctor: what keeps each unit of a course from working, and where to fix it."""

from itertools import groupby

from flask import Blueprint

from lti_tool.diagnostics.unit_findings import BY_HAND
from lti_tool.diagnostics.units import Examined, examine_units
from lti_tool.programme import versions
from lti_tool.web.page import show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access

blueprint = Blueprint("setup", __name__, url_prefix="/desk")
# Address, title, and what is done there.
PLACES = (
    ("/desk/setup", "Set-up of course units", "What keeps a unit from working, and how to put it right"),
    ("/desk/courses", "Courses", "Which module each unit of a course opens"),
    ("/desk/rosters", "Rosters", "Who is enrolled in each course, and when the list was read"),
    ("/desk/scores", "Scores", "What was sent to the gradebooks, and what a platform refused"),
    ("/desk/mail", "Mail", "Which messages could not be delivered, and why"),
    ("/desk/platforms", "Platforms", "Which learning platforms may launch Gatehouse"),
)


@blueprint.get("/settings")
@access("staff")
def settings() -> str:
    """The places at which Gatehouse meets platforms and courses."""
    return show("staff/settings.html", versions.current(connection()).programme, places=PLACES)


@blueprint.get("/setup")
@access("staff")
def setup() -> str:
    """Every unit with its findings, course by course, the most urgent first."""
    examined = sorted(examine_units(connection(), now()), key=_course)
    courses = [
        (course, sorted(units, key=lambda each: (not each.is_hindered, not each.findings, each.title)))
        for course, units in groupby(examined, key=_course)
    ]
    return show(
        "staff/diagnostics.html",
        versions.current(connection()).programme,
        courses=courses,
        by_hand={profile: BY_HAND[profile] for profile in sorted({each.unit.profile for each in examined})},
    )


def _course(examined: Examined) -> tuple[str, str, str]:
    return examined.course, examined.issuer, examined.context_id or ""
