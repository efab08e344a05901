"""Requests for accommodations: answered, and closed once they are no longer needed. Who reads one is logged."""

from collections.abc import Iterable
from typing import Any

from flask import Blueprint
from sqlalchemy import Row
from werkzeug.wrappers import Response

from lti_tool.attendance import accommodations
from lti_tool.errors import BadInput, Conflict
from lti_tool.programme import versions
from lti_tool.rights import ANSWER_ACCOMMODATIONS
from lti_tool.web.forms import Problems, field
from lti_tool.web.page import Part, asked_part, back, go, show, sql_part
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, record_visit, viewer
from lti_tool.web.staff import overview

Page = str | Response | tuple[str, int]
ROWS_ON_A_PAGE = 25
HERE = "/desk/accommodations"

blueprint = Blueprint("desk_accommodations", __name__, url_prefix=HERE)


@blueprint.get("")
@access(ANSWER_ACCOMMODATIONS)
def requests() -> Page:
    """The requests that wait for an answer and those answered and not closed, the first asked first."""
    part = _part()
    record_reading(part.rows)
    return _page(part, {}, {})


@blueprint.post("/<int:request_id>/answer")
@access(ANSWER_ACCOMMODATIONS)
def answer(request_id: int) -> Page:
    """Answer a request. The trainee reads the answer."""
    text, place = field("answer"), f"answer-{request_id}"
    try:
        with connection().begin_nested():
            accommodations.answer(connection(), request_id, text=text, actor=viewer().actor, now=now())
    except (BadInput, Conflict) as refusal:
        problem = [f"{refusal.message} {refusal.next_step}".strip()]
        return _page(
            _part(), {place: text}, {place if isinstance(refusal, BadInput) else "form": problem}
        ), refusal.status
    return go(back(HERE), "accommodation_answered")


@blueprint.post("/<int:request_id>/close")
@access(ANSWER_ACCOMMODATIONS)
def close(request_id: int) -> Response:
    """Close an answered request."""
    accommodations.close(connection(), request_id, actor=viewer().actor, now=now())
    return go(HERE, "accommodation_closed")


def record_reading(shown: Iterable[Row[Any]]) -> None:
    """Record of each of these requests that the viewer reads it."""
    for each in shown:
        record_visit("accommodation_request_viewed", f"accommodation_request:{each.id}")


def _part() -> Part[Row[Any]]:
    return sql_part(connection(), accommodations.listed(accommodations.IN_FORCE), ROWS_ON_A_PAGE, asked_part())


def _page(part: Part[Row[Any]], given: dict[str, str], problems: Problems) -> str:
    return show(
        "staff/accommodations.html",
        versions.current(connection()).programme,
        part=part,
        waiting=[each for each in part.rows if each.state == "open"],
        answered=[each for each in part.rows if each.state == "answered"],
        acting=overview.acting(connection(), {each.answered_by for each in part.rows}),
        me=viewer(),
        given=given,
        problems=problems,
    )
