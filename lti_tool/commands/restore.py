"""`gatehouse restore`: a backup in the place of the database."""

from pathlib import Path

import click

from lti_tool.backup.backups import restore as put_back
from lti_tool.commands.backup import MANIFEST
from lti_tool.commands.console import json_option, listed, open_context, print_fields, progress


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
