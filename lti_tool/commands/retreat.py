"""`gatehouse retreat`: who may apply, who applied, who was present."""

from datetime import date, datetime
from typing import Any

import click

from lti_tool import people
from lti_tool.commands.console import (
    DAY,
    INSTANT,
    Columns,
    json_option,
    open_context,
    print_fields,
    print_json,
    print_rows,
    trainee_option,
)
from lti_tool.commands.gate import explained
from lti_tool.gates.wording import gate_in_words, heading, learner_sentence
from lti_tool.programme import versions
from lti_tool.retreats import applications, attendance
from lti_tool.retreats.applications import eligibility as ask_eligibility
from lti_tool.retreats.applications import is_offered, shown_dates

retreat_option = click.option("--retreat", required=True, help="The retreat's id, such as RT_EXP.")


@click.group()
def retreat() -> None:
    """Retreats: eligibility, applications and the roster."""


@retreat.command("list")
@json_option
def list_retreats(as_json: bool) -> None:
    """List the retreats, whether they can be applied for, their dates and what they ask for."""
    with open_context() as context, context.database.read() as connection:
        programme = versions.current(connection).programme
    columns: Columns = {
        "id": "id",
        "title": "title",
        "offered": lambda each: is_offered(programme, each.id),
        "dates": lambda each: [place.starts_on.isoformat() for place in shown_dates(each)],
        "gate": lambda each: gate_in_words(programme, each.id),
    }
    print_rows(programme.retreats.values(), as_json, columns)


@retreat.command("applications")
@click.option("--retreat", help="Only of this retreat.")
@json_option
def list_applications(retreat: str | None, as_json: bool) -> None:
    """List the applications in the order of submission."""
    with open_context() as context, context.database.read() as connection:
        rows = applications.list_applications(connection, retreat)
    columns = ("id", "trainee_id", "name", "retreat_id", "starts_on", "state", "statement_version", "submitted_at")
    print_rows(rows, as_json, columns)


@retreat.command("roster")
@click.option("--retreat", help="Only of this retreat.")
@json_option
def list_roster(retreat: str | None, as_json: bool) -> None:
    """List who was present and who was not."""
    with open_context() as context, context.database.read() as connection:
        rows = attendance.entries(connection, retreat)
    columns = ("id", "trainee_id", "name", "retreat_id", "starts_on", "outcome", "origin", "recorded_by", "recorded_at")
    print_rows(rows, as_json, columns)


@retreat.command()
@trainee_option
@retreat_option
@click.option("--starts-on", type=DAY, help="First day of the date in question.  [default: the next date]")
@click.option("--at", type=INSTANT, help="The moment to decide for.  [default: now]")
@json_option
def eligibility(trainee: str, retreat: str, starts_on: date | None, at: datetime | None, as_json: bool) -> None:
    """Say whether a trainee may apply for a retreat, and what is missing. Nothing is written."""
    with open_context() as context, context.database.read() as connection:
        published = versions.current(connection)
        trainee_id, moment = people.find(connection, trainee), at or context.clock()
        asked = ask_eligibility(connection, published, trainee_id, retreat, moment, starts_on=starts_on)
    start = asked.place.starts_on.isoformat() if asked.place else None
    if as_json:
        about = {"retreat": retreat, "starts_on": start, "offered": asked.is_offered, "may_apply": asked.may_apply}
        print_json(about | explained(asked.decision, published.programme))
        return
    click.echo(heading(asked.decision, published.programme))
    click.echo(f"date: {start or 'none announced'}; may apply: {'yes' if asked.may_apply else 'no'}")
    for node in asked.decision.unmet():
        click.echo(f"  {node.status}: {learner_sentence(node, published.programme)}")


@retreat.command()
@trainee_option
@retreat_option
@click.option("--starts-on", type=DAY, required=True, help="First day of the date in question.")
@click.option("--no-show", is_flag=True, help="The person was not there.")
@click.option("--reason", default="", help="Why an `attended` is reversed.")
@click.option("--confirmed-by", metavar="ACTOR", help="The second person, such as staff:3, for reversing one.")
@json_option
def attended(
    trainee: str,
    retreat: str,
    starts_on: date,
    no_show: bool,
    reason: str,
    confirmed_by: str | None,
    as_json: bool,
) -> None:
    """Record from the roster that a trainee was present at a retreat, or with --no-show that they were not."""
    with open_context() as context, context.database.write() as connection:
        programme = versions.current(connection).programme
        about: dict[str, Any] = {
            "trainee_id": people.find(connection, trainee),
            "retreat_id": retreat,
            "starts_on": starts_on,
            "actor": "cli",
            "now": context.clock(),
        }
        if no_show:
            entry = attendance.mark_no_show(connection, programme, reason=reason, confirmed_by=confirmed_by, **about)
        else:
            entry = attendance.mark_attended(connection, programme, **about)
    print_fields({"roster_entry": entry, "outcome": "no_show" if no_show else "attended"}, as_json)
