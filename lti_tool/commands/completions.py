"""`gatehouse completions`: who has taken which module, and completions from before this tool."""

from dataclasses import asdict
from typing import BinaryIO

import click

from lti_tool import people
from lti_tool.commands.console import Columns, json_option, listed, open_context, print_json, print_rows
from lti_tool.gates import completions as records
from lti_tool.gates.completion_import import MAX_BYTES, import_csv
from lti_tool.programme import versions

SHOWN = ("id", "trainee_id", "module_id", "completed_on", "origin", "evidence", "recorded_by", "recorded_at")
REPORT: Columns = {
    "digest": "digest",
    "committed": "committed",
    "counts": "counts",
    "rows": lambda report: [asdict(row) for row in report.rows],
}


@click.group()
def completions() -> None:
    """List completions and import those from before this tool."""


@completions.command("list")
@click.option("--trainee", help="Only this trainee's (id or e-mail), ended ones too.")
@click.option("--module", help="Only of this module.")
@json_option
def list_completions(trainee: str | None, module: str | None, as_json: bool) -> None:
    """List the completions in force."""
    with open_context() as context, context.database.read() as connection:
        if trainee is None:
            rows = records.in_force(connection, module)
        else:
            rows = records.of_trainee(connection, people.find(connection, trainee), ended=True)
    columns = SHOWN if trainee is None else (*SHOWN, "ended_at", "ended_reason")
    print_rows([row for row in rows if module in (None, row.module_id)], as_json, columns)


@completions.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--commit", metavar="DIGEST", help="Write what the preview of this very file showed.")
@json_option
def import_completions(file: BinaryIO, commit: str | None, as_json: bool) -> None:
    """Import past completions from a CSV file, as a spreadsheet saves it.

    Without --commit it only shows what would happen and prints the file's digest; with --commit DIGEST it happens, in
    one transaction. Importing a file twice changes nothing.

    Columns: person_key_type (email, platform_user, external_id), person_key, family_name, given_name, title_as_taken,
    catalogue (current, legacy), module, completed_on, date_precision (day, month, year), origin, evidence_ref, note.
    """
    content = file.read(MAX_BYTES + 1)
    with open_context() as context:
        begun = context.database.read() if commit is None else context.database.write()
        with begun as connection:
            programme = versions.current(connection).programme
            report = import_csv(connection, programme, content, commit=commit, actor="cli", now=context.clock())
    if as_json:
        print_json(listed(report, REPORT))
        return
    for row in report.rows:
        if row.outcome not in ("new", "same"):
            click.echo(f"line {row.line}, {row.column}: {row.outcome}: {row.detail}")
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in report.counts.items() if count) or "no rows")
    if report.committed:
        click.echo("Imported.")
    elif report.counts["new"]:
        click.echo(f"Nothing was written. To import: the same command with --commit {report.digest}")
