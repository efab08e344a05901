"""Scores for staff: what each platform should show, what it shows, and what failed."""

from urllib.parse import urlencode

from flask import Blueprint
from flask import request as http_request
from werkzeug.wrappers import Response

from lti_tool.grades import ags, line_item_search, wording
from lti_tool.grades import scores as ledger
from lti_tool.programme import versions
from lti_tool.rights import RUN_PLATFORMS
from lti_tool.tables.scores import scores as table
from lti_tool.web.page import asked_part, go, show, sql_part
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, viewer

PLACE = "/desk/scores"
BY_ID = {state.id: state for state in ags.STATES}
ROWS_ON_A_PAGE = 50

blueprint = Blueprint("grades", __name__, url_prefix=PLACE)


@blueprint.get("")
@access(RUN_PLATFORMS)
def scores() -> str:
    """The scores, those that need a person first; `?state=` shows one state only."""
    chosen = BY_ID.get(http_request.args.get("state", ""))
    query = ledger.ledger(chosen).order_by(table.c.state, table.c.id)
    counts = ledger.counts(connection())
    total = sum(many for state, many in counts if chosen in (None, state))
    return show(
        "staff/scores.html",
        versions.current(connection()).programme,
        part=sql_part(connection(), query, ROWS_ON_A_PAGE, asked_part(), total=total),
        chosen=chosen,
        counts=counts,
        troubles=line_item_search.troubles(connection()),
        state_of=ags.state_of,
        words=wording,
        address=_address,
    )


def _address(state: str = "", page: int = 1) -> str:
    """The address of one part of the scores in one state."""
    given = {"state": state, "page": page if page > 1 else ""}
    return f"{PLACE}?{urlencode({name: value for name, value in given.items() if value})}".rstrip("?")


@blueprint.post("/again")
@access(RUN_PLATFORMS)
def try_all_again() -> Response:
    """Queue every refused score again."""
    ledger.try_parked_again(connection(), now())
    return go(PLACE, "score_again")


@blueprint.post("/<int:score_id>/again")
@access(RUN_PLATFORMS)
def try_again(score_id: int) -> Response:
    """Queue one score again: a refused one, or one that the gradebook does not show."""
    ledger.try_again(connection(), score_id, now())
    return go(PLACE, "score_again")


@blueprint.post("/<int:score_id>/send")
@access(RUN_PLATFORMS)
def send_ours(score_id: int) -> Response:
    """Overwrite a grade that was entered on the platform."""
    ledger.send_ours(connection(), score_id, actor=viewer().actor, now=now())
    return go(PLACE, "regrade_sent")


@blueprint.post("/<int:score_id>/keep")
@access(RUN_PLATFORMS)
def keep_theirs(score_id: int) -> Response:
    """Keep a grade that was entered on the platform."""
    ledger.keep_theirs(connection(), score_id, actor=viewer().actor, now=now())
    return go(PLACE, "regrade_kept")


@blueprint.post("/columns/<int:placement_id>/again")
@access(RUN_PLATFORMS)
def find_columns_again(placement_id: int) -> Response:
    """Look for a unit's grade columns at once, and make a new one if it was removed on the platform."""
    line_item_search.search_again(connection(), placement_id, actor=viewer().actor, now=now())
    return go(PLACE, "columns_again")
