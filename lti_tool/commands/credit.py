"""`gatehouse credit` and `licence`: claims of CE credit, what staff record for them, and the licences they ask for."""

from typing import Any

import click
from sqlalchemy import Connection, Row

from lti_tool import people
from lti_tool.attendance import live_sessions
from lti_tool.commands.console import (
    DAY,
    Columns,
    json_option,
    open_context,
    print_fields,
    print_json,
    print_rows,
    trainee_option,
)
from lti_tool.credit import claims, licences
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


LICENCE: Columns = {
    "id": "id",
    "trainee_id": "trainee_id",
    "type": "type",
    "jurisdiction": "jurisdiction",
    "number": lambda row: licences.masked(row.number),
    "name_on_licence": "name_on_licence",
    "issued_on": "issued_on",
    "expires_on": "expires_on",
    "status": "status",
    "verified": "verified",
    "recorded_by": "recorded_by",
    "recorded_at": "recorded_at",
    "ended_at": "ended_at",
}


@click.group()
def licence() -> None:
    """Record, list and end licences. Numbers are stored encrypted and shown masked."""


@licence.command()
@trainee_option
@click.option("--type", "type_", required=True, help="The kind of licence, such as LMFT or psychologist.")
@click.option("--jurisdiction", required=True, help="The state that issued it, such as CA.")
@click.option("--number", required=True, help="The licence number.")
@click.option("--name", "name_on_licence", required=True, help="The name as it stands on the licence.")
@click.option("--issued", "issued_on", type=DAY, required=True, help="First day of validity.")
@click.option("--expires", "expires_on", type=DAY, required=True, help="Last day of validity.")
@click.option("--status", type=click.Choice(licences.STATUSES), default="active", show_default=True,
              help="What the board says.")  # fmt: skip
@click.option("--verified", is_flag=True, help="Staff have looked it up at the board.")
@click.option("--replaces", type=int, metavar="ID", help="The licence record that this one corrects; it is ended.")
@json_option
def add(trainee: str, type_: str, as_json: bool, **given: Any) -> None:
    """Record a licence, or a correction of one with --replaces."""
    with open_context() as context, context.database.write() as connection:
        kind = licences.known_type(versions.current(connection).programme, type_)
        trainee_id = people.find(connection, trainee)
        licences.record_licence(connection, trainee_id, type=kind, actor="cli", now=context.clock(), **given)
        row = licences.of_trainee(connection, trainee_id)[0]
    print_fields(row, as_json, LICENCE)


@licence.command("list")
@trainee_option
@click.option("--ended", is_flag=True, help="Also those no longer in force.")
@json_option
def list_licences(trainee: str, ended: bool, as_json: bool) -> None:
    """List a trainee's licences, newest first."""
    with open_context() as context, context.database.read() as connection:
        rows = licences.of_trainee(connection, people.find(connection, trainee), ended=ended)
    print_rows(rows, as_json, LICENCE)


@licence.command()
@click.argument("licence_id", type=int)
@click.option("--reason", required=True, help="Why it is no longer in force.")
@json_option
def end(licence_id: int, reason: str, as_json: bool) -> None:
    """Take a licence out of force. It stays on record."""
    with open_context() as context, context.database.write() as connection:
        licences.end_licence(connection, licence_id, reason=reason, actor="cli", now=context.clock())
    print_fields({"id": licence_id, "state": "ended"}, as_json)
