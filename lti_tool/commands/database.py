"""`gatehouse backup`, `restore` and `migrate`: the database in one file, that file put back, and its schema."""

from pathlib import Path

import click

from lti_tool.backup.archive import Manifest
from lti_tool.backup.backups import create
from lti_tool.backup.backups import restore as put_back
from lti_tool.commands.console import Columns, json_option, listed, open_context, print_fields, progress
from lti_tool.migrations import migrate as to_head
from lti_tool.migrations import present_revision

MANIFEST: Columns = {
    "created_at": "created_at",
    "release": "release",
    "revision": "revision",
    "database": "engine",
    "tables": lambda each: len(each.contents.counts),
    "rows": lambda each: sum(each.contents.counts.values()),
    "deliveries_sealed": lambda each: each.contents.chain_position,
    "last_seal": lambda each: last_seal(each),
    "chain_breaks": lambda each: each.contents.chain_breaks,
}


def last_seal(manifest: Manifest) -> str | None:
    """The end of the hash chain as `gatehouse zoom verify --noted` takes it."""
    contents = manifest.contents
    return f"{contents.chain_position}:{contents.chain_seal}" if contents.chain_position else None


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
def backup(file: Path, as_json: bool) -> None:
    """Write the whole database to FILE, while the server goes on working.

    FILE is for its owner only, and is there once it is whole. It holds the database at one instant, and what it must
    contain: the rows of each table and the end of the hash chain. It does not hold GATEHOUSE_FIELD_KEYS, without which
    encrypted columns cannot be read: keep them elsewhere. `gatehouse restore` puts it back.
    """
    with open_context() as context:
        manifest = create(context, file, progress)
    print_fields(listed(manifest, MANIFEST), as_json)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="There is a database: put the backup in its place, and keep it aside.")
@json_option
def restore(file: Path, replace: bool, as_json: bool) -> None:
    """Put the backup FILE in the place of the database. Stop the server first.

    Everything is verified before: the parts of the file, the rows of each table, and each seal of the hash chain. If
    anything differs, nothing is changed. The former database is kept: a SQLite file under another name, PostgreSQL's
    tables in another schema.
    """
    with open_context() as context:
        manifest, former = put_back(context, file, replace=replace, progress=progress)
    print_fields({**listed(manifest, MANIFEST), "former": former}, as_json)
    if not as_json:
        contents = manifest.contents
        rows = sum(contents.counts.values())
        click.echo(
            f"Verified: the SHA-256 of each part, {rows} rows in {len(contents.counts)} tables, and"
            f" {contents.chain_position} seals of the hash chain."
        )
        if contents.chain_breaks:
            breaks = contents.chain_breaks
            click.echo(f"The chain's {breaks} breaks are older than the backup: `gatehouse zoom verify` lists them.")


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
