"""What a backup must hold, measured in a database, and compared after a restore."""

from collections.abc import Iterable

from sqlalchemy import Connection, func, inspect, select, table

from lti_tool.backup.archive import Contents, Manifest, Progress
from lti_tool.errors import BadInput
from lti_tool.migrations import present_revision, upgrade
from lti_tool.tables import metadata
from zoom_adapter import hash_chain
from zoom_adapter.hash_chain import Head


def measure(connection: Connection, progress: Progress) -> Contents:
    """The rows of every table of ours, and the state of the hash chain."""
    counts = count_rows(connection, sorted(set(metadata.tables) & set(inspect(connection).get_table_names())))
    with progress("Checking the hash chain", hash_chain.head(connection).position) as advance:
        verdict = hash_chain.verify(connection, progress=advance)
    return Contents(counts, verdict.head.position, verdict.head.seal, verdict.broken)


def count_rows(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    return {name: connection.scalar(select(func.count()).select_from(table(name))) or 0 for name in names}


def verify(connection: Connection, manifest: Manifest, progress: Progress) -> None:
    """Compare what was restored with what the manifest says, and bring an older schema to this release's.

    Raises BadInput "backup_differs": rows are missing, or the hash chain is another one.
    """
    told = manifest.contents
    if present_revision(connection) != manifest.revision:
        raise _differs("the revision of the schema")
    there = set(inspect(connection).get_table_names())
    if not set(told.counts) <= there or count_rows(connection, told.counts) != told.counts:
        raise _differs("the number of rows in a table")
    upgrade(connection)
    noted = Head(told.chain_position, told.chain_seal) if told.chain_position else None
    with progress("Checking the hash chain", told.chain_position) as advance:
        verdict = hash_chain.verify(connection, noted=noted, progress=advance)
    if verdict.head != Head(told.chain_position, told.chain_seal) or verdict.broken != told.chain_breaks:
        raise _differs("the hash chain of Zoom's deliveries")


def _differs(what: str) -> BadInput:
    return BadInput(
        "backup_differs",
        f"What is in the backup is not what its manifest says: {what} differs.",
        "Take another copy of this backup, or an older backup. Nothing was changed.",
    )
