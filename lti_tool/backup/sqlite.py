"""Backup and restore of the SQLite file.

The copy is made through SQLite's own backup interface inside one read transaction: it is the database at one instant,
with what is still in the -wal, while the server goes on writing. To copy the file itself would miss those rows.
"""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, OperationalError

from lti_tool.backup.archive import CHUNK_BYTES, DAMAGED, Archive, ArchiveWriter, Contents, Progress, measure, verify
from lti_tool.db import PRIVATE_FILE, PRIVATE_FOLDER, Database
from lti_tool.errors import Conflict, NotFound
from lti_tool.tables.types import FieldCipher

PART = "gatehouse.db"
PAGES_PER_STEP = 256
# Where SQLite keeps its locks in the file: PENDING, RESERVED and the 510 SHARED bytes (sqlite.org/lockingv3.html). In
# WAL mode an open connection holds a SHARED lock all the time.
LOCK_BYTES_AT, LOCK_BYTES = 0x40000000, 512


DAMAGED_DATABASE = Conflict(
    "database_damaged",
    "SQLite finds damage in the database: it was not backed up.",
    "Keep the file and those beside it, and restore the last backup.",
)


def path_of(database: Database) -> Path:
    return Path(database.url.database or "")


def refuse_missing(database: Database) -> None:
    """Raises NotFound "database_missing"."""
    if not path_of(database).exists():
        raise NotFound(
            "database_missing",
            f"There is no database at {path_of(database)}.",
            "Check GATEHOUSE_DATA or GATEHOUSE_DATABASE_URL.",
        )


def dump(
    connection: Connection, writer: ArchiveWriter, scratch: Path, cipher: FieldCipher, progress: Progress
) -> Contents:
    """Write the database as this read transaction sees it.

    Raises Conflict "database_damaged": what SQLite's integrity check finds would only come to light at the restore.
    """
    copy = Database(f"sqlite:///{scratch / PART}", cipher)
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    try:
        with copy.engine.connect() as target, progress("Copying the database", pages) as advance:
            _copy_pages(connection, target, advance)
        with copy.read() as copied:
            if not _is_sound(copied):
                raise DAMAGED_DATABASE
            contents = measure(copied, progress)
    except (sqlite3.DatabaseError, DatabaseError) as error:
        if isinstance(error, sqlite3.OperationalError | OperationalError):
            raise
        raise DAMAGED_DATABASE from error
    finally:
        copy.close()
    with (scratch / PART).open("rb") as file, writer.part(PART) as write:
        while chunk := file.read(CHUNK_BYTES):
            write(chunk)
    return contents


def _copy_pages(source: Connection, target: Connection, advance: Callable[[int], None]) -> None:
    done = 0

    def report(_status: int, remaining: int, total: int) -> None:
        nonlocal done
        advance(total - remaining - done)
        done = total - remaining

    raw_source, raw_target = source.connection.driver_connection, target.connection.driver_connection
    assert raw_source is not None
    assert raw_target is not None
    raw_source.backup(raw_target, pages=PAGES_PER_STEP, progress=report)


def load(
    archive: Archive, database: Database, cipher: FieldCipher, stamp: str, *, replace: bool, progress: Progress
) -> str | None:
    """Put the backup in the place of the database; returns where the former file is kept, if there was one.

    Raises Conflict "database_exists" (without `replace`), "database_in_use"; BadInput "backup_damaged",
    "backup_differs".
    """
    path = path_of(database)
    if path.exists() and not replace:
        raise Conflict(
            "database_exists",
            f"There is a database at {path} already.",
            "Give --replace to put the backup in its place; the present file is kept beside it.",
        )
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    with _held(path):
        new = path.with_name(f"{path.name}.restoring")
        try:
            _unpack(archive, new, progress)
            _verify(archive, new, cipher, progress)
            return _swap(new, path, path.with_name(f"{path.name}.before-{stamp}"))
        finally:
            _remove(new)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold the file so that no process can open it as a database. It is not opened as a database here: the files beside
    it may belong to another one."""
    if not path.exists():
        yield
        return
    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, LOCK_BYTES, LOCK_BYTES_AT)
        except OSError as error:
            raise Conflict(
                "database_in_use",
                "A process has the database open.",
                "Stop `gatehouse serve` and everything else that uses the file, then restore again.",
            ) from error
        yield


def _unpack(archive: Archive, new: Path, progress: Progress) -> None:
    if set(archive.manifest.parts) != {PART}:
        raise DAMAGED
    _remove(new)
    with (
        os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE_FILE), "wb") as file,
        progress("Unpacking", archive.size(PART)) as advance,
    ):
        archive.copy(PART, file.write, advance)


def _verify(archive: Archive, new: Path, cipher: FieldCipher, progress: Progress) -> None:
    unpacked = Database(f"sqlite:///{new}", cipher)
    try:
        with unpacked.rebuild() as connection:
            if not _is_sound(connection):
                raise DAMAGED
            verify(connection, archive.manifest, progress)
    except DatabaseError as error:
        raise DAMAGED from error
    finally:
        unpacked.close()
    with new.open("rb") as file:
        os.fsync(file.fileno())


def _is_sound(connection: Connection) -> bool:
    return connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]


def _swap(new: Path, path: Path, former: Path) -> str | None:
    """The path is never without a database. The former -wal moves with the former file, to which it belongs."""
    had_any = path.exists()
    if had_any:
        os.link(path, former)
    wal, shared = _beside(path)
    if wal.exists():
        wal.rename(_beside(former)[0])
    shared.unlink(missing_ok=True)
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return str(former) if had_any else None


def _beside(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def _remove(path: Path) -> None:
    for each in (path, *_beside(path)):
        each.unlink(missing_ok=True)
