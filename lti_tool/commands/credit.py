"""`gatehouse credit`: the checklist of a person's credit claims, and the facts that staff record for them."""

from typing import Any

import click
from sqlalchemy import Connection, Row

from lti_tool import people
from lti_tool.attendance import live_sessions
from lti_tool.commands.console import json_option, open_context, print_json, trainee_option
from lti_tool.credit import claims
from lti_tool.errors import NotFound
from lti_tool.grades.outcomes import reconsider
from lti_tool.programme import versions

MARKS = {True: "met    ", False: "not met", None: "open   "}


@click.group()
def credit() -> None:
    """Continuing-education credit: one claim per person, live session and credit body."""


@credit.command()
@trainee_option
@click.option("--session", "session_id", type=int, default=None, help="Only this live session.")
@json_option
def show(trainee: str, session_id: int | None, as_json: bool) -> None:
    """Show a person's claims with every line of their checklists, as the trainee and staff see them."""
    with open_context() as context, context.database.read() as connection:
        trainee_id = people.find(connection, trainee)
        found = [_claim(connection, row) for row in claims.of_trainee(connection, trainee_id, session_id)]
    if as_json:
        print_json(found)
        return
    for claim in found:
        outcome = f"{claim['credits']} credits" if claim["credits"] is not None else "no credit"
        click.echo(f"live session {claim['session']}, {claim['body']}: {claim['state']}, {outcome}")
        for line in claim["checklist"]:
            click.echo(f"  {MARKS[line['satisfied']]}  {line['name']}: {line['staff']}")
    if not found:
        click.echo("(none)")


@credit.command()
@trainee_option
@click.option("--session", "session_id", type=int, required=True, help="The live session.")
@click.option("--body", "body_id", required=True, help="Id of the credit body in the programme, like apa.")
@click.option("--fact", type=click.Choice(claims.FACTS), required=True, help="What is settled.")
@click.option("--reason", required=True, help="How you know it, or why the fee is waived; kept in the audit log.")
def fact(trainee: str, session_id: int, body_id: str, fact: str, reason: str) -> None:
    """Record that a fee is paid or waived, or that an evaluation was handed in; the claim is decided again."""
    with open_context() as context, context.database.write() as connection:
        trainee_id = people.find(connection, trainee)
        session = live_sessions.show(connection, session_id)
        if body_id not in versions.version(connection, session.programme_version).programme.bodies:
            next_step = "See `gatehouse programme export`."
            raise NotFound("body_unknown", "The programme has no such credit body.", next_step)
        now = context.clock()
        claims.record_fact(
            connection,
            trainee_id=trainee_id,
            session_id=session_id,
            body_id=body_id,
            fact=fact,
            reason=reason,
            actor="cli",
            now=now,
        )
        reconsider(connection, trainee_id, session_id, now)
    click.echo(f"recorded: {fact}")


def _claim(connection: Connection, row: Row[Any]) -> dict[str, Any]:
    """A claim with the credits that were awarded for it."""
    awarded = claims.awards_in_force(connection, row.trainee_id, row.module_id)
    here = (row.live_session_id, row.body_id)
    return {
        "session": row.live_session_id,
        "module": row.module_id,
        "body": row.body_id,
        "state": row.state,
        "credits": next((each.credits for each in awarded if (each.live_session_id, each.body_id) == here), None),
        "checklist": row.checklist,
    }
