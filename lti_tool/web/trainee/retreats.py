"""Retreats for a trainee: what there is, who may apply, the list of conditions, one statement.

What the list says is shown before anything is asked, and no answer to it exists anywhere (retreats.md H1). The other
choice, "one of these applies, or I am not sure", is a plain link to the contact page.

What the application to a retreat may hold: a date and one statement. There is no field for anything about health.
"""

from typing import Any

from flask import Blueprint, redirect
from flask import request as http_request
from marshmallow import EXCLUDE, Schema, ValidationError, fields
from werkzeug.wrappers import Response

from lti_tool.errors import BadInput, NotFound
from lti_tool.gates import decide
from lti_tool.programme import versions
from lti_tool.programme.versions import Published
from lti_tool.retreats import applications
from lti_tool.retreats.eligibility import Eligibility, eligibility, retreat_of, shown_dates, verify_offered
from lti_tool.times import day_of
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, now, writes
from lti_tool.web.session import access, viewer
from lti_tool.web.trainee import modules


class _ApplicationForm(Schema):
    class Meta:
        unknown = EXCLUDE

    starts_on = fields.Date(
        required=True, error_messages={"required": "Choose a date.", "invalid": "Choose one of the dates."}
    )
    statement = fields.String(load_default=None)


APPLICATION = _ApplicationForm()

blueprint = Blueprint("retreats", __name__)

Page = str | Response | tuple[str, int]


@blueprint.get("/retreats")
@access("trainee")
def list_retreats() -> Page:
    """Every retreat of the programme and how the viewer stands to it, and the viewer's applications."""
    published = versions.current(connection())
    asked = [_asked(published, retreat_id) for retreat_id in published.programme.retreats]
    own = applications.of_trainee(connection(), viewer().trainee_id)
    today = day_of(now(), published.programme.zone)
    return show("trainee/retreats.html", published.programme, asked=asked, applications=own, today=today)


@blueprint.get("/retreats/<retreat_id>")
@access("trainee")
@writes
def retreat(retreat_id: str) -> Page:
    """One retreat: its dates and what it takes, told the same way as on the page of a locked module."""
    published = versions.current(connection())
    asked = _asked(published, retreat_id)
    if not viewer().is_staff:
        decide.record(connection(), asked.decision, "retreat")
    return show("trainee/retreat.html", published.programme, **_values(published, asked))


@blueprint.get("/retreats/<retreat_id>/apply")
@access("trainee")
def application(retreat_id: str) -> Page:
    """The list of conditions, then the form; back to the retreat while the viewer may not apply."""
    published = versions.current(connection())
    values = _values(published, _asked(published, retreat_id))
    if not values["dates_to_come"]:
        return redirect(f"/retreats/{retreat_id}", 303)
    return show("trainee/retreat_application.html", published.programme, given={}, problems={}, **values)


@blueprint.post("/retreats/<retreat_id>/apply")
@access("trainee")
def send_application(retreat_id: str) -> Page:
    """Submit. The gate is asked again for the chosen date, and the statement must be about the list in force."""
    published = versions.current(connection())
    given = http_request.form.to_dict()
    retreat_of(published.programme, retreat_id)
    verify_offered(published.programme, retreat_id)
    try:
        _apply(published, retreat_id, APPLICATION.load(given))
    except ValidationError as error:
        return _again(published, retreat_id, given, error.messages_dict)
    except BadInput as refusal:
        return _again(published, retreat_id, given, {"statement": [refusal.message]})
    return go(f"/retreats/{retreat_id}", "application_sent")


@blueprint.post("/retreats/applications/<int:application_id>/withdraw")
@access("trainee")
def withdraw_application(application_id: int) -> Page:
    """Take an application back."""
    own = applications.load(connection(), application_id)
    if own.trainee_id != viewer().trainee_id:
        raise NotFound("application_unknown", "There is no such application.")
    applications.withdraw(connection(), application_id, actor=viewer().actor, now=now())
    return go(f"/retreats/{own.retreat_id}", "application_withdrawn")


def _asked(published: Published, retreat_id: str) -> Eligibility:
    return eligibility(connection(), published, viewer().trainee_id, retreat_id, now())


def _apply(published: Published, retreat_id: str, given: dict[str, Any]) -> None:
    applications.apply(
        connection(),
        published,
        trainee_id=viewer().trainee_id,
        retreat_id=retreat_id,
        starts_on=given["starts_on"],
        statement_version=given["statement"],
        actor=viewer().actor,
        now=now(),
    )


def _again(published: Published, retreat_id: str, given: dict[str, str], problems: dict[str, list[str]]) -> Page:
    """The form once more; the statement is never kept ticked."""
    values = _values(published, _asked(published, retreat_id))
    kept = {"starts_on": given.get("starts_on", "")}
    return show("trainee/retreat_application.html", published.programme, given=kept, problems=problems, **values), 422


def _values(published: Published, asked: Eligibility) -> dict[str, Any]:
    """What the pages of one retreat show; `dates_to_come` are those the viewer may apply for now."""
    programme = published.programme
    today = day_of(now(), programme.zone)
    own = [
        each
        for each in applications.of_trainee(connection(), viewer().trainee_id)
        if each.retreat_id == asked.retreat.id
    ]
    taken = {each.starts_on for each in own}
    dates = shown_dates(asked.retreat)
    to_come = [each for each in dates if today <= each.starts_on and each.starts_on not in taken]
    return {
        **modules.locked_page(connection(), published, asked.decision, now()),
        "asked": asked,
        "retreat": asked.retreat,
        "today": today,
        "dates": dates,
        "dates_to_come": to_come if asked.may_apply else [],
        "applications": own,
        "conditions": programme.contraindications,
    }
