"""Backup and restore of a PostgreSQL database, through COPY: every table as text, in one view of the database.

Nothing but the connection is needed: pg_dump refuses servers newer than itself, and is often not where the tool runs
(docs/decisions/0015-backups-of-our-own.md). The schema is not in the backup: the migrations make it.
"""

from typing import Any

import psycopg
from sqlalchemy import Connection, inspect, text

from lti_tool.backup.archive import DAMAGED, Archive, ArchiveWriter, Contents, Progress, measure, verify
from lti_tool.db import Database
from lti_tool.errors import Conflict
from lti_tool.migrations import ONE_AT_A_TIME, VERSION_TABLE, upgrade
from lti_tool.tables import metadata

SEQUENCES = text(
    "SELECT sequencename, last_value FROM pg_sequences"
    " WHERE schemaname = current_schema() AND last_value IS NOT NULL ORDER BY sequencename"
)
# Other sessions; the server's own processes have no user.
OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL"
)


def dump(
    connection: Connection, writer: ArchiveWriter, progress: Progress
) -> tuple[Contents, dict[str, list[str]], dict[str, int]]:
    """Write every table as this read transaction sees it; returns the contents, the columns and the sequences."""
    connection.execute(text("SET LOCAL datestyle = ISO"))
    contents = measure(connection, progress)
    inspector = inspect(connection)
    # The database computes a generated column itself and takes no value for it.
    columns = {
        name: [each["name"] for each in inspector.get_columns(name) if not each.get("computed")]
        for name in contents.counts
    }
    with progress("Copying the tables", sum(contents.counts.values())) as advance:
        for name, count in contents.counts.items():
            with writer.part(_part(name)) as write, _copy(connection, name, columns[name], "TO STDOUT") as rows:
                for chunk in rows:
                    write(bytes(chunk))
            advance(count)
    sequences = {row.sequencename: row.last_value for row in connection.execute(SEQUENCES)}
    return contents, columns, sequences


def load(archive: Archive, database: Database, stamp: str, *, replace: bool, progress: Progress) -> str | None:
    """Put the backup in the place of our tables, in one transaction; returns the schema that keeps the former ones, if
    any.

    Raises Conflict "database_exists" (without `replace`), "database_in_use"; BadInput "backup_damaged",
    "backup_differs".
    """
    manifest = archive.manifest
    if set(manifest.parts) != {_part(name) for name in manifest.contents.counts}:
        raise DAMAGED
    archive.check(progress)
    with database.write() as connection:
        connection.execute(ONE_AT_A_TIME)
        former = _move_aside(connection, f"before_{stamp}", replace=replace)
        upgrade(connection, manifest.revision)
        _load_tables(connection, archive, progress)
        for name, last in manifest.sequences.items():
            connection.execute(text("SELECT setval(CAST(:name AS regclass), :last)"), {"name": name, "last": last})
        verify(connection, manifest, progress)
    return former


def _move_aside(connection: Connection, schema: str, *, replace: bool) -> str | None:
    ours = {VERSION_TABLE, *metadata.tables} & set(inspect(connection).get_table_names())
    if not ours:
        return None
    if not replace:
        raise Conflict(
            "database_exists",
            "There are tables of Gatehouse in this database already.",
            "Give --replace to put the backup in their place; the present tables are kept in a schema of their own.",
        )
    if connection.execute(OTHERS).scalar_one():
        raise Conflict(
            "database_in_use",
            "A process has the database open.",
            "Stop `gatehouse serve`, `gatehouse worker` and every other session, then restore again.",
        )
    connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    for name in sorted(ours):
        connection.exec_driver_sql(f"ALTER TABLE {name} SET SCHEMA {schema}")
    return schema


def _load_tables(connection: Connection, archive: Archive, progress: Progress) -> None:
    """Tables that others refer to come first."""
    counts = archive.manifest.contents.counts
    order = [name for name, _keys in inspect(connection).get_sorted_table_and_fkc_names() if name and name in counts]
    if len(order) != len(counts):
        raise DAMAGED
    with progress("Loading the tables", sum(counts.values())) as advance:
        for name in order:
            try:
                with _copy(connection, name, archive.manifest.columns[name], "FROM STDIN") as rows:
                    archive.copy(_part(name), rows.write)
            except (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError) as error:
                raise DAMAGED from error
            advance(counts[name])


def _part(name: str) -> str:
    return f"tables/{name}.copy"


def _copy(connection: Connection, name: str, columns: Any, direction: str) -> Any:
    listed = ", ".join(f'"{each}"' for each in columns)
    raw: Any = connection.connection.driver_connection
    return raw.cursor().copy(f"COPY \"{name}\" ({listed}) {direction} (ENCODING 'UTF8')".encode())
