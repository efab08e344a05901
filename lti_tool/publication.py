"""Publishing programme documents: checked whole, numbered from 1, never changed afterwards.

A version is kept as the text it was published from. Reading one is done once per process: the parsed programme is kept
by its digest.
"""

from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select

from lti_tool import audit
from lti_tool.db import insert_ignoring
from lti_tool.errors import Conflict, NotFound, ProgrammeError
from lti_tool.gates.rules import check_gates
from lti_tool.gates.situation import day_of
from lti_tool.programme.canonical import programme_digest
from lti_tool.programme.doubts import unexplained
from lti_tool.programme.model import Programme
from lti_tool.programme.reader import Checked, read_programme
from lti_tool.tables.programme import programme_versions

SOURCE_NAME_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Published:
    """One published version."""

    version: int
    programme: Programme


def check_document(document: str | bytes, source_name: str, now: datetime | None = None) -> Checked:
    """Everything that is wrong or doubtful in a document, the gates' rules included. Never raises.

    With `now` a window that is past on that day in the programme's zone is an error too.
    """
    checked = read_programme(document, source_name)
    if checked.programme is None:
        return checked
    today = day_of(now, checked.programme.zone) if now else None
    return checked.with_problems(check_gates(checked.programme, today))


def publish(connection: Connection, document: str | bytes, source_name: str, *, actor: str, now: datetime) -> int:
    """Publish a document and give its version's number. One that means the same as the version in force adds nothing.

    Raises ProgrammeError: `programme_refused` when it has errors, `programme_needs_reason` when a warning that needs a
    reason is not acknowledged; Conflict `programme_published_meanwhile` when somebody else was faster.
    """
    programme = publishable(check_document(document, source_name, now))
    digest = programme_digest(programme)
    newest = _newest(connection)
    if newest is not None and newest.digest == digest:
        return int(newest.version)
    number = 1 if newest is None else newest.version + 1
    row = {
        "version": number,
        "document": document if isinstance(document, str) else document.decode("utf-8-sig"),
        "digest": digest,
        "source_name": source_name[-SOURCE_NAME_LENGTH:],
        "published_by": actor,
        "published_at": now,
    }
    if connection.execute(insert_ignoring(connection, programme_versions), row).rowcount == 0:
        message = "Another version of the programme was published at the same moment."
        raise Conflict("programme_published_meanwhile", message, "Compare with it and publish again.")
    audit.record(connection, actor=actor, act="programme_published", subject=f"programme:{number}", at=now)
    return number


def publishable(checked: Checked) -> Programme:
    """The programme of a checked document. Raises ProgrammeError as `publish` does."""
    if checked.programme is None:
        first, others = checked.errors[0], len(checked.errors) - 1
        message = f"The programme cannot be published. {first}" + (f" and {others} more." if others else "")
        raise ProgrammeError("programme_refused", message, "See all of it with: gatehouse programme check FILE")
    open_warnings = unexplained(checked.programme, checked.problems)
    if open_warnings:
        message = f"This needs a reason before it is published. {open_warnings[0]}"
        raise ProgrammeError("programme_needs_reason", message, "Give the reason under 'acknowledged' in the document.")
    return checked.programme


def current(connection: Connection) -> Published:
    """The version in force. Raises NotFound `programme_not_published` before the first."""
    newest = _newest(connection)
    if newest is None:
        raise NotFound(
            "programme_not_published",
            "No programme has been published yet.",
            "Publish one with: gatehouse programme publish FILE",
        )
    return _published(connection, newest)


def version(connection: Connection, number: int) -> Published:
    """One version by its number. Raises NotFound `programme_version_unknown`."""
    return _published(connection, _version_row(connection, number))


def document_of(connection: Connection, number: int) -> str:
    """The text that a version was published from. Raises NotFound `programme_version_unknown`."""
    return _document(connection, _version_row(connection, number).version)


def _newest(connection: Connection) -> Row[Any, Any] | None:
    return connection.execute(_newest_version).first()


def _version_row(connection: Connection, number: int) -> Row[Any, Any]:
    row = connection.execute(_one_version, {"number": number}).first()
    if row is None:
        raise NotFound("programme_version_unknown", f"There is no programme version {number}.")
    return row


def _document(connection: Connection, number: int) -> str:
    wanted = select(programme_versions.c.document).where(programme_versions.c.version == number)
    return str(connection.execute(wanted).scalar_one())


class _Parsed:
    """Programmes by digest, parsed once. The number of versions is small, so nothing is ever dropped."""

    def __init__(self) -> None:
        self._programmes: dict[str, Programme] = {}
        self._turn = Lock()

    def find(self, digest: str) -> Programme | None:
        return self._programmes.get(digest)

    def keep(self, digest: str, programme: Programme) -> Programme:
        with self._turn:
            return self._programmes.setdefault(digest, programme)


_parsed = _Parsed()


def _published(connection: Connection, row: Row[Any, Any]) -> Published:
    programme = _parsed.find(row.digest)
    if programme is None:
        programme = _parsed.keep(row.digest, _read_again(_document(connection, row.version), row.version))
    return Published(row.version, programme)


def _read_again(document: str, number: int) -> Programme:
    """A published document, read as it was checked. What this release can no longer read opens nothing."""
    checked = read_programme(document, f"version {number}")
    if checked.programme is None:
        message = f"Programme version {number} cannot be read by this release: {checked.errors[0]}"
        raise ProgrammeError("programme_version_unreadable", message, "Publish a corrected document.", status=500)
    return checked.programme


_versions = select(programme_versions.c.version, programme_versions.c.digest)
_newest_version = _versions.order_by(programme_versions.c.version.desc()).limit(1)
_one_version = _versions.where(programme_versions.c.version == bindparam("number"))
