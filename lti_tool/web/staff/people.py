"""One person for staff: what is open to them and why, the sessions they attended, and their requests."""

from functools import partial

from flask import Blueprint

from lti_tool import people
from lti_tool.attendance import live_sessions, queries
from lti_tool.gates import decide, equivalency, wording
from lti_tool.gates.decision import Decision
from lti_tool.programme import versions
from lti_tool.programme.versions import Published
from lti_tool.retreats.eligibility import eligibility
from lti_tool.web.page import address_of, show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, record_visit

blueprint = Blueprint("desk_people", __name__, url_prefix="/desk/people")


@blueprint.get("/<int:trainee_id>")
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
