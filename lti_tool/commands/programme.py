"""`gatehouse programme`: check, compare, publish and export the programme document."""

from pathlib import Path
from typing import Any

import click

from lti_tool.commands.console import (
    json_option,
    listed,
    open_context,
    print_fields,
    print_json,
    print_rows,
    read_document,
)
from lti_tool.gates import publication
from lti_tool.programme import versions
from lti_tool.programme.versions import Change, canonical
from lti_tool.programme.versions import diff as changes_between
from lti_tool.tasks import now_utc

PROBLEM = ("severity", "code", "message", "file", "line", "path")

document_argument = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.group()
def programme() -> None:
    """The programme: modules, gates, agendas, credit and retreats, written in one YAML document.

    The document is edited in a text editor, checked, and published. A published version never changes; publishing again
    makes a new one. How to write it is explained in docs/programme.md, and config/ holds complete examples.
    """


@programme.command()
@document_argument
@json_option
def check(file: Path, as_json: bool) -> None:
    """Say what is wrong or doubtful in FILE, with line and place; nothing is changed.

    Needs no settings and no database. Errors keep a document from being published, warnings do not. Exit status 1 when
    there is an error, 0 otherwise.
    """
    checked = publication.check_document(read_document(file), str(file), now_utc())
    errors, warnings = len(checked.errors), len(checked.warnings)
    if as_json:
        about = {"file": str(file), "publishable": not errors, "errors": errors, "warnings": warnings}
        print_json(about | {"problems": [listed(each, PROBLEM) for each in checked.problems]})
    else:
        for each in checked.problems:
            click.echo(str(each))
        click.echo(f"{checked.source_name}: {errors} errors, {warnings} warnings")
    if errors:
        raise SystemExit(1)


@programme.command()
@document_argument
@json_option
def diff(file: Path, as_json: bool) -> None:
    """Show what would change if FILE were published: its meaning against the version in force, not its layout."""
    wanted = publication.publishable(publication.check_document(read_document(file), str(file), now_utc()))
    with open_context() as context, context.database.read() as connection:
        published = versions.current(connection)
    changes = changes_between(published.programme, wanted)
    if as_json:
        print_rows(changes, as_json, ("path", "before", "after"))
    else:
        click.echo("\n".join(map(_in_short, changes)) or f"FILE means the same as version {published.version}.")


@programme.command()
@document_argument
@json_option
def publish(file: Path, as_json: bool) -> None:
    """Publish FILE as the new version in force.

    Live sessions that are already scheduled keep the version they were scheduled under. A document that means the same
    as the version in force adds nothing. Refused while `programme check` finds an error.
    """
    with open_context() as context, context.database.write() as connection:
        version = publication.publish(connection, read_document(file), file.name, actor="cli", now=context.clock())
    print_fields({"version": version}, as_json)


@programme.command()
@click.option("--version", type=click.IntRange(min=1), help="Number of the version; without it the one in force.")
@json_option
def export(version: int | None, as_json: bool) -> None:
    """Print a published document, exactly as it was published. With --json, what it says as plain values."""
    with open_context() as context, context.database.read() as connection:
        published = versions.current(connection) if version is None else versions.version(connection, version)
        text = versions.document_of(connection, published.version)
    if as_json:
        print_json({"version": published.version, "programme": canonical(published.programme)})
    else:
        click.echo(text, nl=False)


def _in_short(change: Change) -> str:
    if change.before is None:
        return f"+ {change.path}: {_short(change.after)}"
    if change.after is None:
        return f"- {change.path}: {_short(change.before)}"
    return f"~ {change.path}: {_short(change.before)} → {_short(change.after)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 160 else f"{text[:159]}…"
