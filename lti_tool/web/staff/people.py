"""The people of the training for staff, and one person: what is open to them and why, their sessions and requests.

A search is sent as a form, so that no name stands in an address.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from flask import Blueprint
from sqlalchemy import Row

from lti_tool import people
from lti_tool.attendance import live_sessions, queries
from lti_tool.gates import decide, equivalency, wording
from lti_tool.gates.decision import Decision
from lti_tool.programme import versions
from lti_tool.programme.versions import Published
from lti_tool.retreats.eligibility import eligibility
from lti_tool.web.forms import field
from lti_tool.web.page import address_of, show
from lti_tool.web.paging import asked_part
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, record_visit

blueprint = Blueprint("desk_people", __name__, url_prefix="/desk")
MOST_FOUND = 50


@blueprint.get("/people")
@access("staff")
def all_people() -> str:
    """The people of the training, by name."""
    return _listed(None, people.by_name(connection(), MOST_FOUND, asked_part()))


@blueprint.post("/search")
@access("staff")
def search() -> str:
    """The people whose name or address holds what was typed into the bar."""
    wanted = field("q")
    return _listed(wanted, people.search(connection(), wanted, MOST_FOUND))


def _listed(wanted: str | None, found: Sequence[Row[Any]]) -> str:
    total = people.count(connection())
    page = {"wanted": wanted, "found": found, "total": total, "most": MOST_FOUND, "number": asked_part()}
    return show("staff/people.html", versions.current(connection()).programme, **page)


@blueprint.get("/people/<int:trainee_id>")
@access("staff")
def person(trainee_id: int) -> str:
    """Every decision about one person with its tree. The visit is logged (gates.md A7.7)."""
    published = versions.current(connection())
    who = people.trainee(connection(), trainee_id)
    offered = [each for each in published.programme.gates if published.programme.is_published(each)]
    decisions = [_decision_as_shown(published, trainee_id, each) for each in offered]
    record_visit("decisions_viewed", f"trainee:{trainee_id}")
    return show(
        "staff/person.html",
        published.programme,
        version=published.version,
        person=who,
        decisions=decisions,
        says=partial(wording.staff_sentence, programme=published.programme),
        address=address_of,
        attended=queries.of_trainee(connection(), trainee_id),
        requests=equivalency.of_trainee(connection(), trainee_id),
    )


def _decision_as_shown(published: Published, trainee_id: int, offering_id: str) -> Decision:
    """The decision that the person's own page shows: a retreat is judged for its next date."""
    if offering_id in published.programme.retreats:
        return eligibility(connection(), published, trainee_id, offering_id, now()).decision
    upcoming = live_sessions.upcoming(connection(), offering_id, now())
    start = upcoming[0].held_on if upcoming else None
    return decide.ask(connection(), published, trainee_id, offering_id, now(), offering_start=start)
