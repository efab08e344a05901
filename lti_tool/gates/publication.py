"""Publishes programme documents: checked as a whole, numbered from 1, never changed afterwards."""

from datetime import datetime

from sqlalchemy import Connection

from lti_tool import audit
from lti_tool.db import insert_ignoring
from lti_tool.errors import Conflict, ProgrammeError
from lti_tool.gates.validation import check_gates
from lti_tool.programme.loader import Checked, read_programme
from lti_tool.programme.model import Programme
from lti_tool.programme.validation import unexplained
from lti_tool.programme.versions import newest, programme_digest
from lti_tool.tables.programme import programme_versions
from lti_tool.times import day_of

MAX_SOURCE_NAME = 255


def check_document(document: str | bytes, source_name: str, now: datetime | None = None) -> Checked:
    """Every error and warning in a document, the rules of the gates included. Never raises.

    With `now`, a date window that has already closed in the programme's zone is an error too.
    """
    checked = read_programme(document, source_name)
    if checked.programme is None:
        return checked
    today = day_of(now, checked.programme.zone) if now else None
    return checked.with_problems(check_gates(checked.programme, today))


def publish(connection: Connection, document: str | bytes, source_name: str, *, actor: str, now: datetime) -> int:
    """Publish a document; returns its version number. A document that means the same as the version in force adds none.

    Raises ProgrammeError `programme_refused` if it has errors, `programme_needs_reason` if a warning that needs a
    reason is not acknowledged; Conflict `programme_published_meanwhile` if another one was published at the same
    moment.
    """
    programme = publishable(check_document(document, source_name, now))
    digest = programme_digest(programme)
    last = newest(connection)
    if last is not None and last.digest == digest:
        return int(last.version)
    number = 1 if last is None else last.version + 1
    row = {
        "version": number,
        "document": document if isinstance(document, str) else document.decode("utf-8-sig"),
        "digest": digest,
        "source_name": source_name[-MAX_SOURCE_NAME:],
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
        message = f"This warning needs a reason before the programme can be published. {open_warnings[0]}"
        raise ProgrammeError("programme_needs_reason", message, "Give the reason under 'acknowledged' in the document.")
    return checked.programme
