"""Equivalency requests for staff: the queue, one request, and approving, declining or asking a question."""

from flask import Blueprint
from marshmallow import fields, validate
from sqlalchemy import select
from werkzeug.wrappers import Response

from lti_tool import people
from lti_tool.gates import completions, equivalency
from lti_tool.gates.equivalency import APPROVAL_REASONS, DECLINE_REASONS
from lti_tool.programme import versions
from lti_tool.tables.gates import equivalency_requests
from lti_tool.tables.people import trainees
from lti_tool.web.forms import Form, optional_text, read, required_text
from lti_tool.web.page import asked_part, back, go, part, show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, record_visit, viewer
from lti_tool.web.staff import overview

QUEUE = "/desk/equivalencies"
MAX_DECIDED = 20
ON_A_PAGE = 25
REASON_WORDS = {
    "equivalent_outside": "Equivalent training elsewhere",
    "equivalent_inside": "Equivalent inside the programme",
    "tested_out": "Tested out",
    "administrative": "Administrative",
    "not_equivalent": "Not equivalent",
    "provider_not_accepted": "Provider not accepted",
    "evidence_missing": "Evidence missing",
}


class ApprovalForm(Form):
    """The reason for an approval."""

    reason_code = fields.String(load_default=APPROVAL_REASONS[0], validate=validate.OneOf(APPROVAL_REASONS))
    text = optional_text("Your text")


class DeclineForm(Form):
    """The reason for a refusal, and the text that the trainee reads."""

    reason_code = fields.String(load_default=DECLINE_REASONS[0], validate=validate.OneOf(DECLINE_REASONS))
    text = required_text("Tell the person why, and what to do instead.", "Your text")


class QuestionForm(Form):
    """A question to the trainee."""

    question = required_text("Write the question.", "Your question")


APPROVAL, DECLINE, QUESTION = ApprovalForm(), DeclineForm(), QuestionForm()

blueprint = Blueprint("desk_equivalency", __name__, url_prefix=QUEUE)


@blueprint.get("")
@access("staff")
def requests() -> str:
    """Requests to review, the oldest first; those waiting for an answer; the latest decisions."""
    named = select(equivalency_requests, trainees.c.name).join(trainees)
    asked, decided_at = equivalency_requests.c.state == "more_info", equivalency_requests.c.decided_at
    latest = named.where(decided_at.is_not(None)).order_by(decided_at.desc(), equivalency_requests.c.id.desc())
    queue = part(equivalency.queue(connection()), ON_A_PAGE, asked_part())
    return show(
        "staff/equivalencies.html",
        versions.current(connection()).programme,
        queue=queue,
        awaiting=connection().execute(named.where(asked).order_by(equivalency_requests.c.updated_at)).all(),
        decided=connection().execute(latest.limit(MAX_DECIDED)).all(),
    )


@blueprint.get("/<int:request_id>")
@access("staff")
def request(request_id: int) -> str:
    """One request with everything it rests on, and the forms that decide it. The visit is logged."""
    found = equivalency.load(connection(), request_id)
    programme = versions.current(connection()).programme
    rule = next((each for each in programme.equivalencies.values() if each.target == found.target), None)
    record_visit("equivalency_viewed", f"equivalency:{request_id}")
    earlier = [each for each in equivalency.of_trainee(connection(), found.trainee_id) if each.id != request_id]
    return show(
        "staff/equivalency.html",
        programme,
        each=found,
        person=people.trainee(connection(), found.trainee_id),
        provider=rule.provider(found.provider_id) if rule else None,
        needs=rule.needs if rule else None,
        earlier=earlier,
        completed=completions.of_trainee(connection(), found.trainee_id),
        acting=overview.acting(connection(), [found.decided_by]),
        own=viewer().trainee_id == found.trainee_id,
        approval_reasons=APPROVAL_REASONS,
        decline_reasons=DECLINE_REASONS,
        reason_words=REASON_WORDS,
    )


@blueprint.post("/<int:request_id>/approve")
@access("staff")
def approve(request_id: int) -> Response:
    """Accept a request. Gates that depend on it open the next time they are evaluated."""
    equivalency.approve(connection(), request_id, actor=viewer().actor, now=now(), **read(APPROVAL))
    return go(back(QUEUE), "request_approved")


@blueprint.post("/<int:request_id>/decline")
@access("staff")
def decline(request_id: int) -> Response:
    """Refuse a request, with a text for the trainee."""
    equivalency.decline(connection(), request_id, actor=viewer().actor, now=now(), **read(DECLINE))
    return go(back(QUEUE), "request_declined")


@blueprint.post("/<int:request_id>/ask")
@access("staff")
def ask(request_id: int) -> Response:
    """Ask the trainee a question."""
    equivalency.ask_more(connection(), request_id, actor=viewer().actor, now=now(), **read(QUESTION))
    return go(back(QUEUE), "question_sent")
