"""The score deliveries for staff: what each platform should hold, what it holds, and what is in the way."""

from flask import Blueprint
from flask import request as http_request
from werkzeug.wrappers import Response

from lti_tool import publication
from lti_tool.grades import due_searches, ledger, plain_answers, regrades, score_states
from lti_tool.page import go, show
from lti_tool.request import connection, now
from lti_tool.session import access, viewer

blueprint = Blueprint("grades", __name__)

PLACE = "/desk/scores"
# More than anybody reads; the filter leads to the rest.
MOST_ROWS = 300


@blueprint.get(PLACE)
@access("staff")
def scores() -> str:
    """The ledger, those that need a person first; `?state=` shows one state only."""
    every = ledger.rows(connection())
    chosen = score_states.BY_ID.get(http_request.args.get("state", ""))
    rows = [row for row in every if chosen in (None, score_states.state_of(row))]
    rows.sort(key=lambda row: score_states.ORDER[score_states.state_of(row).id])
    return show(
        "desk/scores.html",
        publication.current(connection()).programme,
        rows=rows[:MOST_ROWS],
        count=len(rows),
        chosen=chosen,
        counts=score_states.count(every),
        troubles=due_searches.troubles(connection()),
        state_of=score_states.state_of,
        words=plain_answers,
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
    due_searches.look_again(connection(), placement_id, actor=viewer().actor, now=now())
    return go(PLACE, "columns_again")
