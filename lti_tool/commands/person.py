"""`gatehouse person`: accounts that are one person, as staff say."""

import click

from lti_tool import people
from lti_tool.attendance import person_joins
from lti_tool.commands.console import json_option, listed, open_context, print_fields, print_rows
from lti_tool.grades import outcomes

SHOWN = ("id", "kept_id", "joined_id", "reason", "made_by", "made_at", "undone_by", "undone_reason", "undone_at")


@click.group()
def person() -> None:
    """Say that two trainees are one person, and take it back.

    Gatehouse never joins people by itself. An address that two trainees share is only a suggestion.
    """


@person.command("list")
@click.option("--suggested", is_flag=True, help="The trainees who share an address, instead of the joins.")
@json_option
def list_joins(suggested: bool, as_json: bool) -> None:
    """List the joins, those in force first; or the trainees who may be one person."""
    with open_context() as context, context.database.read() as connection:
        if suggested:
            rows = [
                {"email": each.email, "trainees": [row.id for row in each.people], "since": each.since}
                for each in person_joins.suggestions(connection)
            ]
            print_rows(rows, as_json)
        else:
            print_rows(person_joins.listed(connection), as_json, SHOWN)


@person.command()
@click.argument("kept")
@click.argument("joined")
@click.option("--reason", required=True, help="How you know that they are one person.")
@json_option
def join(kept: str, joined: str, reason: str, as_json: bool) -> None:
    """Join the trainee JOINED to the trainee KEPT (ids, or addresses that one trainee has). Everything that JOINED has
    earned belongs to KEPT from now on."""
    with open_context() as context, context.database.write() as connection:
        made = person_joins.join(
            connection,
            kept_id=people.find(connection, kept),
            joined_id=people.find(connection, joined),
            reason=reason,
            actor="cli",
            now=context.clock(),
        )
        row = listed(person_joins.show(connection, made), SHOWN)
    print_fields(row, as_json)


@person.command()
@click.argument("join_id", type=int)
@click.option("--reason", required=True, help="Why it is wrong.")
@json_option
def separate(join_id: int, reason: str, as_json: bool) -> None:
    """Undo a join. Each trainee has again what was theirs before."""
    with open_context() as context, context.database.write() as connection:
        outcomes.separate(connection, join_id, reason=reason, actor="cli", now=context.clock())
        row = listed(person_joins.show(connection, join_id), SHOWN)
    print_fields(row, as_json)
