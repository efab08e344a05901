"""`gatehouse migrate`: bring the database to this release's schema."""

import click

from lti_tool.commands.console import json_option, open_context, print_fields
from lti_tool.migrations import migrate as to_head
from lti_tool.migrations import present_revision


@click.command()
@json_option
def migrate(as_json: bool) -> None:
    """Bring the database to this release's schema, in one transaction.

    Safe to repeat, and from several machines at once. A database of a newer release is left unchanged, with an error.
    """
    with open_context() as context:
        with context.database.read() as connection:
            before = present_revision(connection)
        print_fields({"before": before, "revision": to_head(context.database)}, as_json)
