"""Equivalency requests for staff: the queue, one request, and approving, declining or asking a question."""

from flask import Blueprint
from marshmallow import fields, validate
from sqlalchemy import select
from werkzeug.wrappers import Response

from lti_tool import people
from lti_tool.gates import completions, equivalency
from lti_tool.gates.equivalency import APPROVAL_REASONS, DECLINE_REASONS
from lti_tool.programme import versions
from lti_tool.rights import DECIDE_ACCESS
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


class RevocationForm(Form):
    """Why an approval is revoked. The trainee reads it."""

    reason = required_text("Say why the approval is revoked.", "The reason")


class ConfirmationForm(Form):
    """Which proposal is confirmed: the one that the page showed."""

    proposed_at = fields.AwareDateTime(load_default=None)


APPROVAL, DECLINE, QUESTION = ApprovalForm(), DeclineForm(), QuestionForm()
REVOCATION, CONFIRMATION = RevocationForm(), ConfirmationForm()

blueprint = Blueprint("desk_equivalency", __name__, url_prefix=QUEUE)


@blueprint.get("")
@access(DECIDE_ACCESS)
def requests() -> str:
    """Requests to review, the oldest first; those waiting for an answer or a second person; the latest decisions."""
    named = select(equivalency_requests, trainees.c.name).join(trainees)
    asked, decided_at = equivalency_requests.c.state == "more_info", equivalency_requests.c.decided_at
    latest = named.where(decided_at.is_not(None)).order_by(decided_at.desc(), equivalency_requests.c.id.desc())
    queue = part(equivalency.queue(connection()), ON_A_PAGE, asked_part())
    return show(
        "staff/equivalencies.html",
        versions.current(connection()).programme,
        queue=queue,
        awaiting=connection().execute(named.where(asked).order_by(equivalency_requests.c.updated_at)).all(),
        to_be_revoked=connection().execute(named.where(equivalency.IS_TO_BE_REVOKED)).all(),
        decided=connection().execute(latest.limit(MAX_DECIDED)).all(),
    )


@blueprint.get("/<int:request_id>")
@access(DECIDE_ACCESS)
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
@access(DECIDE_ACCESS)
def approve(request_id: int) -> Response:
    """Accept a request. Gates that depend on it open the next time they are evaluated."""
    equivalency.approve(connection(), request_id, actor=viewer().actor, now=now(), **read(APPROVAL))
    return go(back(QUEUE), "request_approved")


@blueprint.post("/<int:request_id>/decline")
@access(DECIDE_ACCESS)
def decline(request_id: int) -> Response:
    """Refuse a request, with a text for the trainee."""
    equivalency.decline(connection(), request_id, actor=viewer().actor, now=now(), **read(DECLINE))
    return go(back(QUEUE), "request_declined")


@blueprint.post("/<int:request_id>/ask")
@access(DECIDE_ACCESS)
def ask(request_id: int) -> Response:
    """Ask the trainee a question."""
    equivalency.ask_more(connection(), request_id, actor=viewer().actor, now=now(), **read(QUESTION))
    return go(back(QUEUE), "question_sent")


@blueprint.get("/<int:request_id>/revoke")
@access(DECIDE_ACCESS)
def revocation(request_id: int) -> str:
    """What revoking an approval would change, and the form that proposes or confirms it."""
    published = versions.current(connection())
    request = equivalency.load(connection(), request_id)
    return show(
        "staff/revoke.html",
        published.programme,
        approval=request,
        person=people.trainee(connection(), request.trainee_id),
        shut=equivalency.shut_by_revoking(connection(), published, request, now()),
        acting=overview.acting(connection(), {request.revocation_by}),
        is_mine=request.revocation_by == viewer().actor,
    )


@blueprint.post("/<int:request_id>/revoke")
@access(DECIDE_ACCESS)
def propose_revocation(request_id: int) -> Response:
    """Propose to revoke an approval; a second person confirms it."""
    equivalency.propose_revocation(connection(), request_id, actor=viewer().actor, now=now(), **read(REVOCATION))
    return go(QUEUE, "revocation_proposed")


@blueprint.post("/<int:request_id>/revoke/confirm")
@access(DECIDE_ACCESS)
def confirm_revocation(request_id: int) -> Response:
    """Revoke an approval as another member of staff proposed."""
    equivalency.confirm_revocation(connection(), request_id, actor=viewer().actor, now=now(), **read(CONFIRMATION))
    return go(QUEUE, "request_revoked")


@blueprint.post("/<int:request_id>/revoke/drop")
@access(DECIDE_ACCESS)
def drop_revocation(request_id: int) -> Response:
    """Keep an approval whose revocation is proposed."""
    equivalency.drop_revocation(connection(), request_id, actor=viewer().actor, now=now())
    return go(QUEUE, "revocation_dropped")
