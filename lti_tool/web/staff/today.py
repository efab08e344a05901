"""The staff desk in the frame: what waits, the gates in words, requests to review.

What the desk's forms may hold.
"""

from functools import partial
from typing import Any

from flask import Blueprint
from flask import request as http_request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from werkzeug.wrappers import Response

from lti_tool import audit, people
from lti_tool.attendance import evidence_gaps, live_sessions, queries
from lti_tool.errors import BadInput
from lti_tool.gates import decide, equivalency
from lti_tool.gates import wording as gate_wording
from lti_tool.gates.decision import Decision
from lti_tool.gates.equivalency import APPROVAL_REASONS, DECLINE_REASONS
from lti_tool.grades import ags, wording
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.programme.versions import Published
from lti_tool.retreats.eligibility import eligibility
from lti_tool.web.page import address_of, go, show
from lti_tool.web.request import connection, now, writes
from lti_tool.web.session import access, viewer
from lti_tool.web.staff import overview, submission_review
from lti_tool.web.trainee.equivalency import MAX_TEXT, filled


class _ApprovalForm(Schema):
    class Meta:
        unknown = EXCLUDE

    reason_code = fields.String(load_default=APPROVAL_REASONS[0], validate=validate.OneOf(APPROVAL_REASONS))
    text = fields.String(load_default="", validate=validate.Length(max=MAX_TEXT))


class _DeclineForm(Schema):
    class Meta:
        unknown = EXCLUDE

    reason_code = fields.String(load_default=DECLINE_REASONS[0], validate=validate.OneOf(DECLINE_REASONS))
    text = fields.String(required=True, validate=filled("Tell the person why, and what to do instead.", MAX_TEXT))


class _QuestionForm(Schema):
    class Meta:
        unknown = EXCLUDE

    question = fields.String(required=True, validate=filled("Write the question.", MAX_TEXT))


APPROVAL = _ApprovalForm()
DECLINE = _DeclineForm()
QUESTION = _QuestionForm()

REASON_WORDS = {
    "equivalent_outside": "Equivalent training elsewhere",
    "equivalent_inside": "Equivalent inside the programme",
    "tested_out": "Tested out",
    "administrative": "Administrative",
    "not_equivalent": "Not equivalent",
    "provider_not_accepted": "Provider not accepted",
    "evidence_missing": "Evidence missing",
}

blueprint = Blueprint("desk", __name__, url_prefix="/desk")

QUEUE = "/desk/equivalencies"


@blueprint.get("")
@access("staff")
def desk() -> str:
    """What waits for a person, and since when."""
    waiting, parked = overview.waiting(connection(), now()), overview.parked_tasks(connection())
    gaps = evidence_gaps.on_record(connection())
    return show("staff/desk.html", _programme(), waiting=waiting, gaps=gaps, parked=parked)


@blueprint.get("/modules")
@access("staff")
def modules() -> str:
    """Every module and retreat with its gate in words."""
    published = versions.current(connection())
    in_words = partial(gate_wording.gate_in_words, published.programme)
    coming = overview.next_sessions(connection(), now())
    return show("staff/modules.html", published.programme, version=published.version, in_words=in_words, coming=coming)


@blueprint.get("/equivalencies")
@access("staff")
def requests() -> str:
    """The review queue, first come first."""
    return show(
        "staff/equivalencies.html",
        _programme(),
        queue=equivalency.queue(connection()),
        awaiting=overview.awaiting_answer(connection()),
        decided=overview.recently_decided(connection()),
        approval_reasons=equivalency.APPROVAL_REASONS,
        decline_reasons=equivalency.DECLINE_REASONS,
        reason_words=REASON_WORDS,
    )


@blueprint.post("/equivalencies/<int:request_id>/approve")
@access("staff")
def approve(request_id: int) -> Response:
    """Accept a request: what depends on it opens at the next question."""
    given = _load(APPROVAL)
    equivalency.approve(connection(), request_id, actor=viewer().actor, now=now(), **given)
    return go(QUEUE, "request_approved")


@blueprint.post("/equivalencies/<int:request_id>/decline")
@access("staff")
def decline(request_id: int) -> Response:
    """Refuse a request, with words for the learner."""
    given = _load(DECLINE)
    equivalency.decline(connection(), request_id, actor=viewer().actor, now=now(), **given)
    return go(QUEUE, "request_declined")


@blueprint.post("/equivalencies/<int:request_id>/ask")
@access("staff")
def ask(request_id: int) -> Response:
    """Put a question to the learner."""
    given = _load(QUESTION)
    equivalency.ask_more(connection(), request_id, actor=viewer().actor, now=now(), **given)
    return go(QUEUE, "question_sent")


@blueprint.get("/people/<int:trainee_id>")
@access("staff")
@writes
def person(trainee_id: int) -> str:
    """Why is this learner locked? Every decision with its tree; looking is itself noted (gates.md A7.7)."""
    published = versions.current(connection())
    who = people.trainee(connection(), trainee_id)
    offered = [each for each in published.programme.gates if published.programme.is_published(each)]
    asked = [_decision(published, trainee_id, each) for each in offered]
    audit.record(connection(), actor=viewer().actor, act="decisions_viewed", subject=f"trainee:{trainee_id}", at=now())
    return show(
        "staff/person.html",
        published.programme,
        version=published.version,
        person=who,
        decisions=asked,
        says=partial(gate_wording.staff_sentence, programme=published.programme),
        address=address_of,
        attended=queries.of_trainee(connection(), trainee_id),
        requests=equivalency.of_trainee(connection(), trainee_id),
    )


@blueprint.get("/review/<module_id>")
@access("staff")
def review_of_nobody(module_id: str) -> str:
    """From the gradebook to somebody whom no launch and no roster has named."""
    return show("staff/review.html", _programme(), module_id=module_id, person=None)


@blueprint.get("/review/<module_id>/<int:trainee_id>")
@access("staff")
@writes
def review_of_person(module_id: str, trainee_id: int) -> str:
    """From the gradebook to one person's attendance of one module, with credit and scores; looking is itself noted."""
    who = people.trainee(connection(), trainee_id)
    audit.record(
        connection(),
        actor=viewer().actor,
        act="attendance_reviewed",
        subject=f"trainee:{trainee_id}",
        at=now(),
        module=module_id,
    )
    return show(
        "staff/review.html",
        _programme(),
        module_id=module_id,
        person=who,
        name=who.name or f"Person {who.id}",
        has_launched=submission_review.has_launched(connection(), trainee_id),
        days=submission_review.days_of(connection(), trainee_id, module_id),
        scores=submission_review.scores_of(connection(), trainee_id, module_id),
        state_of=ags.state_of,
        words=wording,
    )


def _decision(published: Published, trainee_id: int, offering_id: str) -> Decision:
    """The decision as the person's own page has it: a retreat is judged for its next date."""
    if offering_id in published.programme.retreats:
        return eligibility(connection(), published, trainee_id, offering_id, now()).decision
    coming = live_sessions.upcoming(connection(), offering_id, now())
    start = coming[0].held_on if coming else None
    return decide.ask(connection(), published, trainee_id, offering_id, now(), offering_start=start)


def _programme() -> Programme:
    return versions.current(connection()).programme


def _load(form: Schema) -> dict[str, Any]:
    """The form's values. Raises BadInput `form_incomplete` with the first thing to mend; nothing is changed."""
    try:
        given: dict[str, Any] = form.load(http_request.form.to_dict())
    except ValidationError as error:
        first = next(iter(error.messages_dict.values()))
        raise BadInput("form_incomplete", str(first[0]), "Go back, complete the form and send it again.") from error
    return given
