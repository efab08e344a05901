"""Make a backup of the database that the settings name, and put one in its place."""

import os
import sqlite3
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from lti_tool.backup import postgresql, sqlite
from lti_tool.backup.archive import FORMAT, ArchiveWriter, Manifest, Progress, open_archive
from lti_tool.context import AppContext
from lti_tool.errors import BadInput, Conflict, GatehouseError
from lti_tool.migrations import refuse_other_revision


def create(context: AppContext, target: Path, progress: Progress) -> Manifest:
    """Write a backup to `target`, which appears once it is whole. The server may go on working meanwhile.

    Raises Conflict "backup_exists", "database_not_migrated", "database_damaged"; NotFound "database_missing"; BadInput
    "backup_not_written".
    """
    if target.exists():
        raise Conflict(
            "backup_exists", f"There is a file {target} already.", "Give another name, such as one with a date."
        )
    if context.database.is_sqlite:
        sqlite.refuse_missing(context.database)
    try:
        with TemporaryDirectory(dir=target.parent, prefix=".gatehouse-backup-") as scratch:
            manifest = _write(context, Path(scratch), progress)
            (Path(scratch) / "backup").rename(target)
        return manifest
    except (OSError, sqlite3.OperationalError) as error:
        raise _not_written(target.parent, error) from error


def _write(context: AppContext, scratch: Path, progress: Progress) -> Manifest:
    columns: dict[str, list[str]] = {}
    sequences: dict[str, int] = {}
    with ArchiveWriter(scratch / "backup") as writer, context.database.read() as connection:
        revision = refuse_other_revision(connection)
        created_at = context.clock()
        if context.database.is_sqlite:
            contents = sqlite.dump(connection, writer, scratch, context.settings.cipher, progress)
        else:
            contents, columns, sequences = postgresql.dump(connection, writer, progress)
        manifest = Manifest(
            format=FORMAT,
            engine=engine_of(context),
            created_at=created_at.isoformat(timespec="seconds"),
            release=version("gatehouse-lti"),
            revision=revision,
            contents=contents,
            parts=writer.parts,
            columns=columns,
            sequences=sequences,
        )
        writer.finish(manifest)
    return manifest


def restore(context: AppContext, source: Path, *, replace: bool, progress: Progress) -> tuple[Manifest, str | None]:
    """Check a backup and put it in the place of the database; returns its manifest and where the former database is
    kept.

    Either everything has been verified and swapped in, or nothing has changed. Raises what `open_archive`,
    `sqlite.load` and `postgresql.load` do, and BadInput "backup_not_written".
    """
    stamp = f"{context.clock():%Y%m%dt%H%M%S}"
    with open_archive(source, engine_of(context)) as archive:
        if not context.database.is_sqlite:
            former = postgresql.load(archive, context.database, stamp, replace=replace, progress=progress)
            return archive.manifest, former
        try:
            former = sqlite.load(
                archive, context.database, context.settings.cipher, stamp, replace=replace, progress=progress
            )
        except OSError as error:
            raise _not_written(sqlite.path_of(context.database).parent, error) from error
        return archive.manifest, former


def engine_of(context: AppContext) -> str:
    return context.database.url.get_backend_name()


def _not_written(folder: Path, error: Exception) -> GatehouseError:
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    return BadInput(
        "backup_not_written", f"The folder {folder} cannot be written: {reason}.", "Check its rights and room."
    )
