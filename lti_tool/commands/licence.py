"""`gatehouse licence`: the professional licences that credit and retreats ask for."""

from typing import Any

import click

from lti_tool import people
from lti_tool.commands.console import DAY, Columns, json_option, open_context, print_fields, print_rows, trainee_option
from lti_tool.credit import licences
from lti_tool.programme import versions

SHOWN: Columns = {
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
    print_fields(row, as_json, SHOWN)


@licence.command("list")
@trainee_option
@click.option("--ended", is_flag=True, help="Also those no longer in force.")
@json_option
def list_licences(trainee: str, ended: bool, as_json: bool) -> None:
    """List a trainee's licences, newest first."""
    with open_context() as context, context.database.read() as connection:
        rows = licences.of_trainee(connection, people.find(connection, trainee), ended=ended)
    print_rows(rows, as_json, SHOWN)


@licence.command()
@click.argument("licence_id", type=int)
@click.option("--reason", required=True, help="Why it is no longer in force.")
@json_option
def end(licence_id: int, reason: str, as_json: bool) -> None:
    """Take a licence out of force. It stays on record."""
    with open_context() as context, context.database.write() as connection:
        licences.end_licence(connection, licence_id, reason=reason, actor="cli", now=context.clock())
    print_fields({"id": licence_id, "state": "ended"}, as_json)
