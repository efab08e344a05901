"""`gatehouse materials`: the files of modules, for automation."""

from pathlib import Path

import click

from lti_tool.commands.console import Columns, json_option, open_context, print_fields, print_rows
from lti_tool.errors import NotFound
from lti_tool.materials import kinds, records, storage
from lti_tool.materials.records import SHOWN_FROM, Content
from lti_tool.programme import versions

SHOWN: Columns = {
    "id": "id",
    "title": "title",
    "kind": lambda row: row.kind_id or "link",
    "bytes": "bytes",
    "url": "url",
    "version": "version",
    "shown_from": "shown_from",
    "visible": "is_visible",
    "recorded_by": "recorded_by",
    "recorded_at": "recorded_at",
}
module_option = click.option("--module", "module_id", required=True, metavar="ID", help="The module, such as F1.")


@click.group()
def materials() -> None:
    """List the materials of a module, and add files to them."""


@materials.command("list")
@module_option
@json_option
def list_materials(module_id: str, as_json: bool) -> None:
    """List them in their order."""
    with open_context() as context, context.database.read() as connection:
        rows = records.load_all(connection, records.of_module(module_id))
    print_rows(rows, as_json, SHOWN)


@materials.command()
@module_option
@click.option("--title", default="", help="What trainees read; without it, the name of the file.")
@click.option("--shown-from", type=click.Choice(list(SHOWN_FROM)), default="gate", show_default=True,
              help="When trainees see it.")  # fmt: skip
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def add(module_id: str, title: str, shown_from: str, file: Path, as_json: bool) -> None:
    """Add a file at the end of a module's list."""
    name = kinds.name_of(file.name)
    with open_context() as context:
        database, now = context.database, context.clock()
        with database.read() as connection:
            if module_id not in versions.current(connection).programme.modules:
                raise NotFound("module_unknown", "The programme has no such module.", "Check the id.")
        with file.open("rb") as opened:
            kind = kinds.verify_file(opened, name)
            file_id = storage.keep(database, opened, kind, now, context.settings.least_free_megabytes)
        content = Content(file_id=file_id, file_name=kinds.download_name(name, kind))
        title = title or kinds.title_of(name)
        with database.write() as connection:
            material_id = records.add(
                connection, module_id, content, title=title, shown_from=shown_from, actor="cli", now=now
            )
            row = records.load(connection, module_id, material_id)
    print_fields(row, as_json, SHOWN)
