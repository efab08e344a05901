"""Retreats for a trainee: what is offered, who may apply, the list of conditions, and the application.

The list of conditions is shown before the form, and no answer to it is stored (retreats.md H1). "One of these applies,
or I am not sure" is a plain link to the contact page. The form has a date and one statement, and nothing about health.
"""

from typing import Any

from flask import Blueprint, redirect
from marshmallow import ValidationError, fields
from werkzeug.wrappers import Response

from lti_tool.errors import BadInput, NotFound
from lti_tool.gates import decide
from lti_tool.programme import versions
from lti_tool.programme.versions import Published
from lti_tool.retreats import applications
from lti_tool.retreats.applications import (
    Eligibility,
    eligibility,
    eligibility_for_all,
    retreat_of,
    shown_dates,
    verify_offered,
)
from lti_tool.tables.gates import decisions
from lti_tool.times import day_of
from lti_tool.web.forms import Form, Problems, sent
from lti_tool.web.page import go, show
from lti_tool.web.request import append, connection, now
from lti_tool.web.session import access, viewer
from lti_tool.web.trainee import modules

# An application in one of these states waits for nothing.
OVER = ("declined", "withdrawn", "attended", "no_show")
Page = str | Response | tuple[str, int]


class ApplicationForm(Form):
    """An application: a date, and the version of the list that the statement is about."""

    starts_on = fields.Date(
        required=True, error_messages={"required": "Choose a date.", "invalid": "Choose one of the dates."}
    )
    statement = fields.String(load_default=None)


APPLICATION = ApplicationForm()

blueprint = Blueprint("retreats", __name__, url_prefix="/retreats")


@blueprint.get("")
@access("trainee")
def list_retreats() -> Page:
    """Every retreat with the viewer's eligibility, and the viewer's applications."""
    published = versions.current(connection())
    own = applications.of_trainee(connection(), viewer().trainee_id)
    return show(
        "trainee/retreats.html",
        published.programme,
        asked=eligibility_for_all(connection(), published, viewer().trainee_id, now()),
        applications=own,
        under_way={each.retreat_id for each in own if each.state not in OVER},
        today=day_of(now(), published.programme.zone),
    )


@blueprint.get("/<retreat_id>")
@access("trainee")
def retreat(retreat_id: str) -> Page:
    """One retreat: its dates and requirements, in the same words as the page of a locked module."""
    published = versions.current(connection())
    asked = _eligibility(published, retreat_id)
    if not viewer().teaches:
        append(decisions, decide.decision_row(asked.decision, "retreat"))
    return show("trainee/retreat.html", published.programme, **_values(published, asked))


@blueprint.get("/<retreat_id>/apply")
@access("trainee")
def application(retreat_id: str) -> Page:
    """The list of conditions, then the form. Goes back to the retreat while the viewer may not apply."""
    published = versions.current(connection())
    values = _values(published, _eligibility(published, retreat_id))
    if not values["dates_to_come"]:
        return redirect(f"/retreats/{retreat_id}", 303)
    return show("trainee/retreat_application.html", published.programme, given={}, problems={}, **values)


@blueprint.post("/<retreat_id>/apply")
@access("trainee")
def send_application(retreat_id: str) -> Page:
    """Apply. The gate is evaluated again for the chosen date; the statement must be about the current list."""
    published = versions.current(connection())
    given = sent()
    retreat_of(published.programme, retreat_id)
    verify_offered(published.programme, retreat_id)

    def form_again(problems: Problems) -> Page:
        """The form with what is wrong. The statement is never kept ticked."""
        values = _values(published, _eligibility(published, retreat_id))
        kept = {"starts_on": given.get("starts_on", "")}
        page = show("trainee/retreat_application.html", published.programme, given=kept, problems=problems, **values)
        return page, 422

    try:
        values = APPLICATION.load(given)
        applications.apply(
            connection(),
            published,
            trainee_id=viewer().trainee_id,
            retreat_id=retreat_id,
            starts_on=values["starts_on"],
            statement_version=values["statement"],
            actor=viewer().actor,
            now=now(),
        )
    except ValidationError as error:
        return form_again(error.messages_dict)
    except BadInput as refusal:
        return form_again({"statement": [refusal.message]})
    return go(f"/retreats/{retreat_id}", "application_sent")


@blueprint.post("/applications/<int:application_id>/withdraw")
@access("trainee")
def withdraw_application(application_id: int) -> Page:
    """Withdraw an application."""
    own = applications.load(connection(), application_id)
    if own.trainee_id != viewer().trainee_id:
        raise NotFound("application_unknown", "There is no such application.")
    applications.withdraw(connection(), application_id, actor=viewer().actor, now=now())
    return go(f"/retreats/{own.retreat_id}", "application_withdrawn")


def _eligibility(published: Published, retreat_id: str) -> Eligibility:
    return eligibility(connection(), published, viewer().trainee_id, retreat_id, now())


def _values(published: Published, asked: Eligibility) -> dict[str, Any]:
    """What the pages of one retreat show; `dates_to_come` are those for which the viewer may apply now."""
    programme, retreat = published.programme, asked.retreat
    today = day_of(now(), programme.zone)
    own = [each for each in applications.of_trainee(connection(), viewer().trainee_id) if each.retreat_id == retreat.id]
    taken = {each.starts_on for each in own}
    dates = shown_dates(retreat)
    to_come = [each for each in dates if today <= each.starts_on and each.starts_on not in taken]
    return {
        **modules.locked_page(connection(), published, asked.decision, now()),
        "asked": asked,
        "retreat": retreat,
        "today": today,
        "dates": dates,
        "dates_to_come": to_come if asked.may_apply else [],
        "applications": own,
        "under_way": [each for each in own if each.state not in OVER],
        "conditions": programme.contraindications,
        "teachers": [each for each in programme.teachers.values() if retreat.id in each.teaches],
    }
