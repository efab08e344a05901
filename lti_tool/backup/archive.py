"""The backup file: a ZIP with the parts of the database and `manifest.json`, which says what must be in them.

The manifest holds the SHA-256 of each part, the rows of each table, and the end of the inbox's hash chain, so that a
restore can prove that it has everything (docs/operations.md, "Backup and restore").
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Self
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile
from zlib import error as ZlibError

from sqlalchemy import Connection, func, inspect, select, table

from lti_tool.db import PRIVATE_FILE
from lti_tool.errors import BadInput, Conflict
from lti_tool.migrations import knows, present_revision, upgrade
from lti_tool.tables import metadata
from zoom_adapter import hash_chain
from zoom_adapter.hash_chain import Head

FORMAT = 1
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 2**20
CHUNK_BYTES = 2**20
ZIP_BEGINS = b"PK\x03\x04"
NAME = re.compile(r"[a-z][a-z0-9_]*")
SEAL = re.compile(r"[0-9a-f]{64}|")
# Shows how far a step of known length has come: called with a label and the length, it gives what takes each advance.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]

DAMAGED = BadInput(
    "backup_damaged",
    "The backup is damaged: it is cut off, or a part of it is not what was written.",
    "Take another copy of this backup, or an older backup. Nothing was changed.",
)
FOREIGN = BadInput(
    "backup_foreign",
    "This file is not a backup that `gatehouse backup` has written.",
    "Give the file of a backup. Nothing was changed.",
)


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a database: the rows of each table, and the end of the hash chain with the number of its breaks."""

    counts: Mapping[str, int]
    chain_position: int
    chain_seal: str
    chain_breaks: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself. `parts`: the SHA-256 of each part. PostgreSQL only: `columns` of each table's part,
    and the last value of `sequences`."""

    format: int
    engine: str
    created_at: str
    release: str
    revision: str
    contents: Contents
    parts: Mapping[str, str]
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sequences: Mapping[str, int] = field(default_factory=dict)


class ArchiveWriter:
    """Writes the parts of a backup one after another, then the manifest. Closed when its block ends."""

    def __init__(self, path: Path) -> None:
        self._file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE_FILE), "w+b")
        self._zip = ZipFile(self._file, "w", ZIP_DEFLATED, compresslevel=1)
        self.parts: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        with suppress(OSError, ValueError):  # What failed once, such as a full disk, may fail again.
            self._zip.close()
        self._file.close()

    @contextmanager
    def part(self, name: str) -> Iterator[Callable[[bytes], None]]:
        """Yields the function that takes the bytes of this part."""
        digest = sha256()
        with self._zip.open(name, "w", force_zip64=True) as member:

            def write(chunk: bytes) -> None:
                digest.update(chunk)
                member.write(chunk)

            yield write
        self.parts[name] = digest.hexdigest()

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest, and flush everything to the disk."""
        self._zip.writestr(MANIFEST, json.dumps(asdict(manifest), indent=2))
        self._zip.close()
        self._file.flush()
        os.fsync(self._file.fileno())


class Archive:
    """A backup that is being read. Raises BadInput "backup_damaged" as soon as a part differs from what was written."""

    def __init__(self, zip_file: ZipFile, manifest: Manifest) -> None:
        self._zip = zip_file
        self.manifest = manifest

    def copy(
        self, name: str, write: Callable[[bytes], Any], advance: Callable[[int], None] = lambda _more: None
    ) -> None:
        """Pass the bytes of this part to `write`, and verify them."""
        digest = sha256()
        try:
            with self._zip.open(name) as member:
                while chunk := member.read(CHUNK_BYTES):
                    digest.update(chunk)
                    write(chunk)
                    advance(len(chunk))
        except (BadZipFile, KeyError, EOFError, ZlibError, NotImplementedError) as error:
            raise DAMAGED from error
        if digest.hexdigest() != self.manifest.parts.get(name):
            raise DAMAGED

    def check(self, progress: Progress) -> None:
        """Read and verify every part before any of them is used."""
        with progress("Checking the backup", sum(map(self.size, self.manifest.parts))) as advance:
            for name in self.manifest.parts:
                self.copy(name, lambda _chunk: None, advance)

    def size(self, name: str) -> int:
        """The bytes of this part."""
        return self._zip.getinfo(name).file_size


@contextmanager
def open_archive(path: Path, engine: str) -> Iterator[Archive]:
    """Open a backup for this kind of database and check its manifest.

    Raises BadInput "backup_unreadable", "backup_foreign", "backup_damaged"; Conflict "backup_newer",
    "backup_other_database".
    """
    try:
        file = path.open("rb")
    except OSError as error:
        message = f"The backup cannot be read: {error.strerror or type(error).__name__}."
        raise BadInput("backup_unreadable", message, "Check the path and its rights.") from error
    with file:
        is_zip = file.read(len(ZIP_BEGINS)) == ZIP_BEGINS
        try:
            opened = ZipFile(file)
        except (BadZipFile, OSError, ValueError) as error:
            raise (DAMAGED if is_zip else FOREIGN) from error
        with opened:
            manifest = _read_manifest(opened)
            if manifest.engine != engine:
                raise Conflict(
                    "backup_other_database",
                    f"This is a backup of {manifest.engine}, and the settings name a database of {engine}.",
                    "Set GATEHOUSE_DATABASE_URL to the kind of database that was backed up.",
                )
            if set(opened.namelist()) != {MANIFEST, *manifest.parts}:
                raise DAMAGED
            yield Archive(opened, manifest)


def _read_manifest(opened: ZipFile) -> Manifest:
    try:
        if opened.getinfo(MANIFEST).file_size > MAX_MANIFEST_BYTES:
            raise FOREIGN
        told = json.loads(opened.read(MANIFEST))
    except KeyError as error:
        raise FOREIGN from error
    except (BadZipFile, EOFError, ZlibError, ValueError, NotImplementedError, RecursionError) as error:
        raise DAMAGED from error
    if not isinstance(told, dict) or not isinstance(told.get("format"), int):
        raise FOREIGN
    newer = Conflict(
        "backup_newer",
        "A newer release has written this backup.",
        "Restore it with the release that the backup's manifest.json names, or a later one. Nothing was changed.",
    )
    if told["format"] > FORMAT:
        raise newer
    try:
        manifest = _checked(told)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DAMAGED from error
    if not knows(manifest.revision):
        raise newer
    return manifest


def _checked(told: dict[str, Any]) -> Manifest:
    """Checks the kind of every value, since names go into SQL statements. Raises KeyError, TypeError, ValueError or
    AttributeError."""
    contents = Contents(**told["contents"])
    manifest = Manifest(**{**told, "contents": contents})
    names = [
        *contents.counts,
        *manifest.columns,
        *manifest.sequences,
        *(n for each in manifest.columns.values() for n in each),
    ]
    numbers = [*contents.counts.values(), *manifest.sequences.values(), contents.chain_position, contents.chain_breaks]
    texts = [getattr(manifest, each.name) for each in fields(Manifest)[1:5]]
    if (
        not all(map(NAME.fullmatch, names))
        or not all(type(each) is int and each >= 0 for each in numbers)
        or not all(isinstance(each, str) for each in (*texts, *manifest.parts.values()))
        or not SEAL.fullmatch(contents.chain_seal)
    ):
        raise ValueError("not a manifest")
    return manifest


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
