"""People for staff: what is open to one person and why, and accounts that may be one person, with the joins so far."""

from functools import partial

from flask import Blueprint
from marshmallow import fields, validate
from werkzeug.wrappers import Response

from lti_tool import people
from lti_tool.attendance import live_sessions, person_joins, queries
from lti_tool.gates import decide, equivalency, wording
from lti_tool.gates.decision import Decision
from lti_tool.grades.outcomes import separate
from lti_tool.programme import versions
from lti_tool.programme.versions import Published
from lti_tool.retreats.applications import eligibility
from lti_tool.web.forms import MAX_ID, Form, field, read
from lti_tool.web.page import address_of, go, show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, record_visit, viewer
from lti_tool.web.staff import overview

QUEUE = "/desk/joins"


def trainee_field() -> fields.Integer:
    """The id of one of the two."""
    wrong = "Choose two people."
    within = validate.Range(1, MAX_ID, error=wrong)
    return fields.Integer(required=True, validate=within, error_messages={"required": wrong, "invalid": wrong})


class PairForm(Form):
    """Two people, whether they are joined or kept apart, and why."""

    kept = trainee_field()
    joined = trainee_field()
    reason = fields.String(load_default="")


PAIR = PairForm()

blueprint = Blueprint("desk_people", __name__, url_prefix="/desk")


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


@blueprint.get("/joins")
@access("staff")
def queue() -> str:
    """The people who share an address, the joins, and the people kept apart."""
    rows, apart = person_joins.listed(connection()), person_joins.kept_apart(connection())
    pairs = [(each.kept_id, each.joined_id) for each in rows] + [(each.one_id, each.other_id) for each in apart]
    actors = {actor for each in rows for actor in (each.made_by, each.undone_by)} | {each.made_by for each in apart}
    return show(
        "staff/joins.html",
        versions.current(connection()).programme,
        suggested=person_joins.suggestions(connection()),
        in_force=[each for each in rows if each.undone_at is None],
        undone=[each for each in rows if each.undone_at is not None],
        apart=apart,
        names=overview.names(connection(), {each for pair in pairs for each in pair}),
        acting=overview.acting(connection(), actors),
    )


@blueprint.get("/joins/<int:kept>/<int:joined>")
@access("staff")
def pair(kept: int, joined: int) -> str:
    """Two people side by side, and the form that joins them."""
    both = [person_joins.known(connection(), each) for each in (kept, joined)]
    return show("staff/join.html", versions.current(connection()).programme, both=both)


@blueprint.post("/joins")
@access("staff")
def join() -> Response:
    """Join two people."""
    given = read(PAIR)
    person_joins.join(
        connection(),
        kept_id=given["kept"],
        joined_id=given["joined"],
        reason=given["reason"],
        actor=viewer().actor,
        now=now(),
    )
    return go(QUEUE, "people_joined")


@blueprint.post("/joins/apart")
@access("staff")
def keep_apart() -> Response:
    """Say that two people who share an address are two people."""
    given = read(PAIR)
    both = given["kept"], given["joined"]
    person_joins.keep_apart(connection(), *both, reason=given["reason"], actor=viewer().actor, now=now())
    return go(QUEUE, "people_kept_apart")


@blueprint.post("/joins/<int:join_id>/undo")
@access("staff")
def undo(join_id: int) -> Response:
    """Separate two joined people."""
    separate(connection(), join_id, reason=field("reason"), actor=viewer().actor, now=now())
    return go(QUEUE, "people_separated")
