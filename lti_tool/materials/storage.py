"""The files of materials: in the database in chunks, and as copies from which they are sent
(docs/decisions/0021-materials-in-the-database.md).

A file is written in short transactions, so that other writers get their turns, and belongs to nothing until a version
refers to it. It is sent from a copy in the data folder, because the web server sends a file without holding it in
memory. A copy that is being sent may be deleted: whoever reads it has it open.
"""

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any, Protocol

from sqlalchemy import Connection, and_, delete, insert, or_, select, update
from sqlalchemy.exc import OperationalError

from lti_tool.db import PRIVATE_FOLDER, Database
from lti_tool.errors import GatehouseError
from lti_tool.http import SingleFlight
from lti_tool.materials.kinds import Kind
from lti_tool.tables.materials import material_chunks, material_files, material_versions, materials

CHUNK_BYTES = 256 * 1024
# One commit is short, so that a delivery of Zoom never waits long behind an upload.
CHUNKS_PER_COMMIT = 4
FILES_PER_CLEANING = 5
# How long a deleted material, or a deleted version, can be brought back.
UNDO = timedelta(days=30)
# A file that no version refers to is of an upload that broke off.
UNFINISHED = timedelta(days=1)
COPIES = "copies"
# A copy is dropped when it was not asked for in this time, or earlier where all of them take more room than this.
COPY_SECONDS = 24 * 3600
LEAST_COPY_SECONDS = 600
MAX_COPIES_BYTES = 2**30
COPY_WAIT_SECONDS = 60
_copying: SingleFlight[Path, Path] = SingleFlight()


def keep(database: Database, file: IO[bytes], kind: Kind, now: datetime, least_free_megabytes: int) -> int:
    """Write a file in transactions of its own; its id. Call it while no transaction is open.

    Raises GatehouseError "storage_full" (507).
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    _refuse_full(database, size, least_free_megabytes)
    digest, number = hashlib.sha256(), 0
    with _room_for_it():
        with database.write() as connection:
            file_id = _add_file(connection, kind, size, now)
        while chunks := [chunk for _ in range(CHUNKS_PER_COMMIT) if (chunk := file.read(CHUNK_BYTES))]:
            for chunk in chunks:
                digest.update(chunk)
            rows = [{"file_id": file_id, "number": number + at, "data": chunk} for at, chunk in enumerate(chunks)]
            number += len(rows)
            with database.write() as connection:
                connection.execute(insert(material_chunks), rows)
        with database.write() as connection:
            found = material_files.c.id == file_id
            connection.execute(update(material_files).where(found).values(digest=digest.hexdigest()))
    return file_id


class StoredFile(Protocol):
    """What is known of a file that was kept."""

    @property
    def file_id(self) -> int | None: ...
    @property
    def digest(self) -> str | None: ...
    @property
    def bytes(self) -> int | None: ...


def copy_of(database: Database, data: Path, file: StoredFile) -> Path:
    """The copy of a file that is sent; it is made if there is none, by one thread while others wait for it. Call it
    while no transaction is open.

    Raises GatehouseError "file_damaged", "storage_full"; TimeoutError.
    """
    path = data / COPIES / str(file.digest)
    return _copying.run(path, lambda: _copy(database, data, file), wait_seconds=COPY_WAIT_SECONDS)


def _copy(database: Database, data: Path, file: StoredFile) -> Path:
    folder = data / COPIES
    path = folder / str(file.digest)
    with suppress(FileNotFoundError):
        if path.stat().st_size == file.bytes:
            os.utime(path)
            return path
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    forget_copies(data)
    with _room_for_it(), NamedTemporaryFile(dir=folder, delete=False) as copy:
        try:
            digest = hashlib.sha256()
            for chunk in _chunks(database, file.file_id):
                digest.update(chunk)
                copy.write(chunk)
            if digest.hexdigest() != file.digest:
                raise GatehouseError(
                    "file_damaged",
                    "This file is damaged in the database, so it was not sent.",
                    "Write to the people who run the server; they can restore it from a backup.",
                    status=500,
                )
            copy.flush()
            os.fsync(copy.fileno())
            Path(copy.name).rename(path)
        except BaseException:
            Path(copy.name).unlink(missing_ok=True)
            raise
    return path


def forget_copies(data: Path) -> None:
    """Delete the copies that were not asked for lately, the oldest first while all of them take too much room."""
    with suppress(FileNotFoundError):
        found = sorted((each.stat().st_mtime, each.stat().st_size, each) for each in (data / COPIES).iterdir())
        room = sum(size for _at, size, _path in found)
        for used_at, size, path in found:
            unused = time.time() - used_at
            if unused > COPY_SECONDS or (room > MAX_COPIES_BYTES and unused > LEAST_COPY_SECONDS):
                path.unlink(missing_ok=True)
                room -= size


def clean(database: Database, now: datetime) -> bool:
    """Periodic job: delete the chunks of files that nothing refers to any more. Whether there may be more to do."""
    with database.read() as connection:
        due = connection.execute(_unused(now).limit(FILES_PER_CLEANING)).scalars().all()
    for file_id in due:
        with database.write() as connection:
            if connection.execute(_unused(now).where(material_files.c.id == file_id)).first() is None:
                continue  # it was brought back meanwhile
            connection.execute(delete(material_chunks).where(material_chunks.c.file_id == file_id))
            cleaned = update(material_files).where(material_files.c.id == file_id).values(cleaned_at=now)
            connection.execute(cleaned)
    return len(due) == FILES_PER_CLEANING


def _unused(now: datetime) -> Any:
    """The ids of files that are still there, of uploads that broke off, and of what was deleted too long ago to be
    brought back."""
    version, material = material_versions.c, materials.c
    is_wanted = and_(
        or_(version.deleted_at.is_(None), version.deleted_at > now - UNDO),
        or_(material.deleted_at.is_(None), material.deleted_at > now - UNDO),
    )
    wanted = (
        select(version.id)
        .join_from(material_versions, materials, version.material_id == material.id)
        .where(version.file_id == material_files.c.id, is_wanted)
    )
    return select(material_files.c.id).where(
        material_files.c.cleaned_at.is_(None), material_files.c.created_at < now - UNFINISHED, ~wanted.exists()
    )


def _add_file(connection: Connection, kind: Kind, size: int, now: datetime) -> int:
    row = {"digest": "", "bytes": size, "kind": kind.id, "created_at": now}
    file_id: int = connection.execute(insert(material_files).values(row).returning(material_files.c.id)).scalar_one()
    return file_id


def _chunks(database: Database, file_id: int | None) -> Iterator[bytes]:
    """The chunks in order, each in a transaction of its own: no connection is held while a file is written."""
    number, chunk = 0, material_chunks.c
    while True:
        with database.read() as connection:
            data = connection.execute(
                select(chunk.data).where(chunk.file_id == file_id, chunk.number == number)
            ).scalar_one_or_none()
        if data is None:
            return
        yield data
        number += 1


def _refuse_full(database: Database, size: int, least_free_megabytes: int) -> None:
    """Whether the disk of the SQLite file takes this file, twice: SQLite writes it to its log first."""
    if database.is_sqlite:
        free = shutil.disk_usage(Path(database.url.database or ".").parent).free
        if free - 2 * size < least_free_megabytes * 2**20:
            raise _full()


def _full() -> GatehouseError:
    return GatehouseError(
        "storage_full",
        "There is not enough room for this file on the server.",
        "Write to the people who run the server. Nothing else is affected.",
        status=507,
    )


@contextmanager
def _room_for_it() -> Iterator[None]:
    """Say of a full disk that it is full, whoever notices: the system, SQLite (SQLITE_FULL) or PostgreSQL (53100)."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full() from error
        raise
    except OperationalError as error:
        if (
            getattr(error.orig, "sqlite_errorname", "") == "SQLITE_FULL"
            or getattr(error.orig, "sqlstate", "") == "53100"
        ):
            raise _full() from error
        raise
