"""Training taken elsewhere: the trainee's own requests, the form, and what became of it.

What the forms about training elsewhere may hold. Built once; unknown fields (the CSRF token) are left out.
"""

from collections.abc import Callable
from typing import Any

from flask import Blueprint
from flask import request as http_request
from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate
from sqlalchemy import Row
from werkzeug.wrappers import Response

from lti_tool.attendance import live_sessions
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.gates import equivalency
from lti_tool.gates.condition_checks import short_name
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, viewer

MAX_TITLE = 255
MAX_TEXT = 4000


def filled(says: str, most: int) -> Callable[[str], None]:
    """A text that is not only spaces and not longer than `most` characters."""

    def check(text: str) -> None:
        if not text.strip():
            raise ValidationError(says)
        if len(text) > most:
            raise ValidationError(f"Please use at most {most} characters.")

    return check


class _Form(Schema):
    class Meta:
        unknown = EXCLUDE

    @pre_load
    def leave_out_empty(self, data: Any, **_: Any) -> dict[str, Any]:
        """A browser sends every field; one left empty is one not given."""
        return {name: value for name, value in data.items() if str(value).strip()}


def _needed(says: str, most: int) -> fields.String:
    return fields.String(required=True, validate=filled(says, most), error_messages={"required": says})


class _RequestForm(_Form):
    provider = fields.String(required=True, error_messages={"required": "Choose where you trained."})
    provider_name = fields.String(load_default=None, validate=validate.Length(max=MAX_TITLE))
    course_title = _needed("Give the title of the course.", MAX_TITLE)
    completed_on = fields.Date(
        required=True,
        error_messages={"required": "Give the day on which it ended.", "invalid": "Give the day as year-month-day."},
    )
    evidence_note = _needed("Say what shows that you took it, for example a certificate and who issued it.", MAX_TEXT)
    statement = fields.String(
        required=True,
        validate=validate.Equal("yes", error="Confirm that what you say is true."),
        error_messages={"required": "Confirm that what you say is true."},
    )
    full_review = fields.String(load_default=None)


class _AnswerForm(_Form):
    answer = _needed("Write your answer.", MAX_TEXT)


REQUEST = _RequestForm()
ANSWER = _AnswerForm()

blueprint = Blueprint("gates", __name__)

Page = str | Response | tuple[str, int]
OPEN_STATES = ("draft", "submitted", "more_info")


@blueprint.get("/equivalency")
@access("trainee")
def requests() -> Page:
    """Every request of this person, and what may be asked for."""
    programme = versions.current(connection()).programme
    targets = {each.target: short_name(programme, each.target) for each in programme.equivalencies.values()}
    own = equivalency.of_trainee(connection(), viewer().trainee_id)
    busy = {each.target for each in own if each.state in (*OPEN_STATES, "approved")}
    return show("trainee/equivalencies.html", programme, requests=own, targets=targets, busy=busy)


@blueprint.get("/equivalency/<target>")
@access("trainee")
def request_form(target: str) -> Page:
    """The form, or the state of the request that is open or approved."""
    return _form(target, {}, {})


@blueprint.post("/equivalency/<target>")
@access("trainee")
def send_request(target: str) -> Page:
    """Send a request. One for a provider that is not accepted first shows the reason (gates.md A3.2)."""
    given = http_request.form.to_dict()
    programme = versions.current(connection()).programme
    try:
        _submit(programme, target, REQUEST.load(given))
    except ValidationError as error:
        return _form(target, given, error.messages_dict), 422
    except (BadInput, Conflict) as refusal:
        return _form(target, given, {"form": [refusal.message]}, refusal.code), refusal.status
    return go(f"/equivalency/{target}", "request_sent")


@blueprint.post("/equivalency/requests/<int:request_id>/answer")
@access("trainee")
def send_answer(request_id: int) -> Page:
    """Answer a reviewer's question."""
    own = _own(request_id)
    try:
        answer = ANSWER.load(http_request.form.to_dict())["answer"]
    except ValidationError as error:
        return _form(own.target, {}, error.messages_dict), 422
    equivalency.answer(connection(), request_id, text=answer, actor=viewer().actor, now=now())
    return go(f"/equivalency/{own.target}", "answer_sent")


@blueprint.post("/equivalency/requests/<int:request_id>/withdraw")
@access("trainee")
def withdraw_request(request_id: int) -> Page:
    """Take a request back."""
    own = _own(request_id)
    equivalency.withdraw(connection(), request_id, actor=viewer().actor, now=now())
    return go(f"/equivalency/{own.target}", "request_withdrawn")


def _submit(programme: Programme, target: str, given: dict[str, Any]) -> None:
    equivalency.submit(
        connection(),
        programme,
        trainee_id=viewer().trainee_id,
        target=target,
        provider_id=given["provider"],
        provider_name=given["provider_name"],
        course_title=given["course_title"],
        completed_on=given["completed_on"],
        evidence_note=given["evidence_note"],
        as_full_review=bool(given["full_review"]),
        actor=viewer().actor,
        now=now(),
    )


def _form(target: str, given: dict[str, str], problems: dict[str, list[str]], refused: str = "") -> str:
    programme = versions.current(connection()).programme
    own = [each for each in equivalency.of_trainee(connection(), viewer().trainee_id) if each.target == target]
    latest = own[0] if own else None
    return show(
        "trainee/equivalency.html",
        programme,
        target=target,
        name=short_name(programme, target),
        offered=equivalency.offered(programme, target),
        request_now=latest if latest and latest.state in (*OPEN_STATES, "approved") else None,
        earlier=[each for each in own if each.state not in (*OPEN_STATES, "approved")],
        given=given,
        problems=problems,
        refused=refused,
        sessions=live_sessions.upcoming(connection(), target, now()),
    )


def _own(request_id: int) -> Row[Any]:
    """A request of this very person; anybody else's does not exist for them."""
    found = equivalency.load(connection(), request_id)
    if found.trainee_id != viewer().trainee_id:
        raise NotFound("equivalency_unknown", "There is no such request.")
    return found
