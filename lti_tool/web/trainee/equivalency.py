"""Training taken elsewhere: the trainee's own requests, the form, and the answers."""

from typing import Any

from flask import Blueprint
from marshmallow import ValidationError, fields, validate
from sqlalchemy import Row
from werkzeug.wrappers import Response

from lti_tool.attendance import live_sessions
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.gates import equivalency
from lti_tool.gates.wording import name_of
from lti_tool.programme import versions
from lti_tool.web.forms import MAX_TITLE, Form, Problems, optional_text, required_text, sent
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, viewer

Page = str | Response | tuple[str, int]

# While a request is in one of these states, no other one can be sent for the same offering.
CURRENT_STATES = ("draft", "submitted", "more_info", "approved")
CONFIRM_TRUTH = "Confirm that what you say is true."


class RequestForm(Form):
    """A request: where, what and when, what proves it, and a statement."""

    provider = fields.String(required=True, error_messages={"required": "Choose where you trained."})
    provider_name = optional_text("Name of the provider", MAX_TITLE, default=None)
    course_title = required_text("Give the title of the course.", "Title of the course", MAX_TITLE)
    completed_on = fields.Date(
        required=True,
        error_messages={"required": "Give the day on which it ended.", "invalid": "Give the day as year-month-day."},
    )
    evidence_note = required_text(
        "Say what shows that you took it, for example a certificate and who issued it.", "What shows that you took it"
    )
    statement = fields.String(
        required=True,
        validate=validate.Equal("yes", error=CONFIRM_TRUTH),
        error_messages={"required": CONFIRM_TRUTH},
    )
    full_review = fields.String(load_default=None)


class AnswerForm(Form):
    """An answer to a reviewer's question."""

    answer = required_text("Write your answer.", "Your answer")


REQUEST, ANSWER = RequestForm(), AnswerForm()

blueprint = Blueprint("gates", __name__, url_prefix="/equivalency")


@blueprint.get("")
@access("trainee")
def requests() -> Page:
    """Every request of this person, and the offerings that can be requested."""
    programme = versions.current(connection()).programme
    targets = {each.target: name_of(programme, each.target) for each in programme.equivalencies.values()}
    own = equivalency.of_trainee(connection(), viewer().trainee_id)
    busy = {each.target for each in own if each.state in CURRENT_STATES}
    return show("trainee/equivalencies.html", programme, requests=own, targets=targets, busy=busy)


@blueprint.get("/<target>")
@access("trainee")
def request_form(target: str) -> Page:
    """The form, or the state of the current request."""
    return _form(target, {}, {})


@blueprint.post("/<target>")
@access("trainee")
def send_request(target: str) -> Page:
    """Send a request. For a provider that is not accepted, the reason is shown first (gates.md A3.2)."""
    given = sent()
    try:
        values = REQUEST.load(given)
        equivalency.submit(
            connection(),
            versions.current(connection()).programme,
            trainee_id=viewer().trainee_id,
            target=target,
            provider_id=values["provider"],
            provider_name=values["provider_name"],
            course_title=values["course_title"],
            completed_on=values["completed_on"],
            evidence_note=values["evidence_note"],
            as_full_review=bool(values["full_review"]),
            actor=viewer().actor,
            now=now(),
        )
    except ValidationError as error:
        return _form(target, given, error.messages_dict), 422
    except (BadInput, Conflict) as refusal:
        return _form(target, given, {"form": [refusal.message]}, refusal.code), refusal.status
    return go(f"/equivalency/{target}", "request_sent")


@blueprint.post("/requests/<int:request_id>/answer")
@access("trainee")
def send_answer(request_id: int) -> Page:
    """Answer a reviewer's question."""
    own = _own_request(request_id)
    try:
        answer = ANSWER.load(sent())["answer"]
    except ValidationError as error:
        return _form(own.target, {}, error.messages_dict), 422
    equivalency.answer(connection(), request_id, text=answer, actor=viewer().actor, now=now())
    return go(f"/equivalency/{own.target}", "answer_sent")


@blueprint.post("/requests/<int:request_id>/withdraw")
@access("trainee")
def withdraw_request(request_id: int) -> Page:
    """Withdraw a request."""
    own = _own_request(request_id)
    equivalency.withdraw(connection(), request_id, actor=viewer().actor, now=now())
    return go(f"/equivalency/{own.target}", "request_withdrawn")


def _form(target: str, given: dict[str, str], problems: Problems, refused: str = "") -> str:
    programme = versions.current(connection()).programme
    own = [each for each in equivalency.of_trainee(connection(), viewer().trainee_id) if each.target == target]
    return show(
        "trainee/equivalency.html",
        programme,
        target=target,
        name=name_of(programme, target),
        offered=equivalency.offered(programme, target),
        request_now=own[0] if own and own[0].state in CURRENT_STATES else None,
        earlier=[each for each in own if each.state not in CURRENT_STATES],
        given=given,
        problems=problems,
        refused=refused,
        sessions=live_sessions.upcoming(connection(), target, now()),
    )


def _own_request(request_id: int) -> Row[Any]:
    """A request of the viewer. Raises NotFound `equivalency_unknown`, also for a request of another person."""
    found = equivalency.load(connection(), request_id)
    if found.trainee_id != viewer().trainee_id:
        raise NotFound("equivalency_unknown", "There is no such request.")
    return found
