"""The score deliveries for staff: what each platform should hold, what it holds, and what is in the way."""

from flask import Blueprint
from werkzeug.wrappers import Response

from lti_tool import publication
from lti_tool.grades import ledger
from lti_tool.grades.plain_answers import in_words
from lti_tool.page import go, show
from lti_tool.request import connection, now
from lti_tool.session import access

blueprint = Blueprint("grades", __name__)


@blueprint.get("/desk/scores")
@access("staff")
def scores() -> str:
    """The ledger: parked ones first, then those on their way, then those delivered."""
    programme = publication.current(connection()).programme
    order = ("parked", "waiting", "delivered")
    rows = sorted(ledger.rows(connection()), key=lambda row: order.index(row.status))
    return show("desk/scores.html", programme, rows=rows, in_words=in_words)


@blueprint.post("/desk/scores/again")
@access("staff")
def try_again() -> Response:
    """Put every parked score back in line."""
    ledger.try_parked_again(connection(), now())
    return go("/desk/scores", "score_again")
