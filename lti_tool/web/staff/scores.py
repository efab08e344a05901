"""The score deliveries for staff: what each platform should hold, what it holds, and what is in the way."""

from flask import Blueprint
from flask import request as http_request
from werkzeug.wrappers import Response

from lti_tool.grades import ags, line_item_search, wording
from lti_tool.grades import scores as ledger
from lti_tool.grades import scores as regrades
from lti_tool.programme import versions
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, viewer

blueprint = Blueprint("grades", __name__)

PLACE = "/desk/scores"
# More than anybody reads; the filter leads to the rest.
MOST_ROWS = 300


@blueprint.get(PLACE)
@access("staff")
def scores() -> str:
    """The ledger, those that need a person first; `?state=` shows one state only."""
    every = ledger.rows(connection())
    chosen = ags.BY_ID.get(http_request.args.get("state", ""))
    rows = [row for row in every if chosen in (None, ags.state_of(row))]
    rows.sort(key=lambda row: ags.ORDER[ags.state_of(row).id])
    return show(
        "staff/scores.html",
        versions.current(connection()).programme,
        rows=rows[:MOST_ROWS],
        count=len(rows),
        chosen=chosen,
        counts=ags.count(every),
        troubles=line_item_search.troubles(connection()),
        state_of=ags.state_of,
        words=wording,
    )


@blueprint.post(f"{PLACE}/again")
@access("staff")
def try_all_again() -> Response:
    """Put every refused score back in line."""
    regrades.try_parked_again(connection(), now())
    return go(PLACE, "score_again")


@blueprint.post(f"{PLACE}/<int:score_id>/again")
@access("staff")
def try_again(score_id: int) -> Response:
    """Put one score back in line: a refused one, or one that the gradebook does not show."""
    regrades.try_again(connection(), score_id, now())
    return go(PLACE, "score_again")


@blueprint.post(f"{PLACE}/<int:score_id>/send")
@access("staff")
def send_ours(score_id: int) -> Response:
    """Overwrite a grade that somebody else entered."""
    regrades.send_ours(connection(), score_id, actor=viewer().actor, now=now())
    return go(PLACE, "regrade_sent")


@blueprint.post(f"{PLACE}/<int:score_id>/keep")
@access("staff")
def keep_theirs(score_id: int) -> Response:
    """Let a grade that somebody else entered stand."""
    regrades.keep_theirs(connection(), score_id, actor=viewer().actor, now=now())
    return go(PLACE, "regrade_kept")


@blueprint.post(f"{PLACE}/columns/<int:placement_id>/again")
@access("staff")
def look_for_columns_again(placement_id: int) -> Response:
    """Look for a unit's grade columns at once, and make one anew that was removed on the platform."""
    line_item_search.look_again(connection(), placement_id, actor=viewer().actor, now=now())
    return go(PLACE, "columns_again")
