"""The front page of the desk, and the list of modules with their gates in words."""

from functools import partial

from flask import Blueprint

from lti_tool.attendance import evidence_gaps
from lti_tool.gates import wording
from lti_tool.programme import versions
from lti_tool.web.page import show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access
from lti_tool.web.staff import overview

blueprint = Blueprint("desk", __name__, url_prefix="/desk")


@blueprint.get("")
@access("staff")
def desk() -> str:
    """What needs attention, and since when."""
    return show(
        "staff/desk.html",
        versions.current(connection()).programme,
        waiting=overview.waiting(connection(), now()),
        gaps=evidence_gaps.on_record(connection()),
        parked=overview.parked_tasks(connection()),
    )


@blueprint.get("/programme")
@access("staff")
def modules() -> str:
    """Every module and retreat with its gate in words."""
    published = versions.current(connection())
    return show(
        "staff/modules.html",
        published.programme,
        version=published.version,
        in_words=partial(wording.gate_in_words, published.programme),
        coming=overview.next_sessions(connection(), now()),
    )
