"""Files of past completions that staff upload: a preview, an import of exactly this file, its undoing by two people.

An upload is kept encrypted, for an hour or until it is imported, and nothing of it counts before. An import that is
undone ends the completions that it recorded (gates.md A10.7); attendance and credit stay as they are.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, func, insert, select, update

from lti_tool import audit
from lti_tool.csv_rows import CsvRow, read_rows
from lti_tool.errors import Conflict, NotFound
from lti_tool.gates.completion_import import COLUMNS, ImportReport, digest_of, import_csv
from lti_tool.gates.completions import end_imported
from lti_tool.gates.decide import load_facts, shut_without
from lti_tool.programme.model import Programme
from lti_tool.programme.versions import Published
from lti_tool.tables.gates import completion_imports as imports
from lti_tool.tables.gates import completions
from lti_tool.tables.people import trainees
from lti_tool.text import reason_given

# What a page can show and a request can do; larger files are imported with the command.
UPLOADED = replace(COLUMNS, max_bytes=500_000, max_rows=1_000)
KEPT = timedelta(hours=1)
IS_TO_BE_UNDONE = imports.c.undo_by.is_not(None) & imports.c.undone_at.is_(None)


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import of the file would do now, and the rows of the file in the same order."""

    report: ImportReport
    lines: Sequence[CsvRow]


def upload(connection: Connection, content: bytes, *, actor: str, now: datetime) -> int:
    """Keep a file for its preview; returns the upload's id. Raises as `read_rows` does."""
    read_rows(content, UPLOADED)
    row = {
        "digest": digest_of(content),
        "content": content.decode("latin-1"),  # every byte is one letter
        "uploaded_by": actor,
        "uploaded_at": now,
    }
    return int(connection.execute(insert(imports).values(row).returning(imports.c.id)).scalar_one())


def show(connection: Connection, import_id: int, now: datetime) -> Row[Any]:
    """One upload or import. Raises NotFound "import_unknown", also for an upload that is too old."""
    row = connection.execute(select(imports).where(imports.c.id == import_id)).first()
    if row is None or (row.imported_at is None and row.uploaded_at + KEPT <= now):
        raise NotFound("import_unknown", "This upload is no longer kept.", "Upload the file again.")
    return row


def preview(connection: Connection, programme: Programme, row: Row[Any], *, actor: str, now: datetime) -> Preview:
    """What an import of this upload would do now. Nothing is written."""
    content = _content(row)
    report = import_csv(connection, programme, content, columns=UPLOADED, actor=actor, now=now)
    return Preview(report, read_rows(content, UPLOADED))


def confirm(
    connection: Connection, programme: Programme, import_id: int, *, seen: str, actor: str, now: datetime
) -> None:
    """Import an upload. `seen` is the digest of the judged rows in the preview that this actor saw.

    Raises NotFound "import_unknown"; Conflict "import_made" or "import_preview_differs". The latter is raised after the
    rows are written: the caller takes them back.
    """
    row = show(connection, import_id, now)
    if row.imported_at is not None:
        raise _made()
    values = {"content": None, "imported_by": actor, "imported_at": now}
    _change(connection, import_id, imports.c.imported_at.is_(None), values, _made())
    report = import_csv(
        connection,
        programme,
        _content(row),
        commit=row.digest,
        columns=UPLOADED,
        import_id=import_id,
        actor=actor,
        now=now,
    )
    if report.judged != seen:
        raise Conflict("import_preview_differs", "Something changed since the preview.", "Look again.")
    counts = dict(report.counts)
    connection.execute(update(imports).where(imports.c.id == import_id).values(counts=counts))


def latest(connection: Connection, limit: int) -> list[Row[Any]]:
    """The latest imports, without their uploads."""
    columns = [each for each in imports.c if each.name != "content"]
    query = select(*columns).where(imports.c.imported_at.is_not(None)).order_by(imports.c.id.desc())
    return list(connection.execute(query.limit(limit)))


def recorded(row: Row[Any]) -> Select[Any]:
    """The query of the completions that this import recorded, by person, with the names."""
    query = (
        select(completions, trainees.c.name).join_from(completions, trainees).where(completions.c.import_id == row.id)
    )
    return query.order_by(func.lower(func.coalesce(trainees.c.name, "")), completions.c.id)


def in_force(connection: Connection, row: Row[Any]) -> Sequence[int]:
    """The ids of the completions that this import recorded and that count still."""
    query = select(completions.c.id).where(completions.c.import_id == row.id, completions.c.ended_at.is_(None))
    return connection.scalars(query.order_by(completions.c.id)).all()


def shut_by_undoing(
    connection: Connection, published: Published, row: Row[Any], trainee_ids: Collection[int], at: datetime
) -> dict[int, list[str]]:
    """By trainee, the published offerings that are open to them now and would be shut without this import."""
    ending = set(in_force(connection, row))
    found = {}
    for trainee_id, facts in load_facts(connection, trainee_ids).items():
        kept = tuple(each for each in facts.completions if each.id not in ending)
        found[trainee_id] = shut_without(published, facts, replace(facts, completions=kept), at)
    return found


def propose_undo(connection: Connection, import_id: int, *, reason: str, actor: str, now: datetime) -> None:
    """Propose to undo an import. Nothing changes before a second person confirms it.

    Raises BadInput "reason_missing"; NotFound "import_unknown"; Conflict "import_state".
    """
    why = reason_given(reason, "Say why the import is wrong.")
    row = show(connection, import_id, now)
    if not in_force(connection, row):
        raise _wrong_state()
    can_be = imports.c.imported_at.is_not(None) & imports.c.undo_by.is_(None)
    _change(connection, import_id, can_be, {"undo_reason": why, "undo_by": actor, "undo_at": now}, _wrong_state())
    _note(connection, import_id, "import_undo_proposed", actor, now, reason=why)


def drop_undo(connection: Connection, import_id: int, *, actor: str, now: datetime) -> None:
    """Keep an import whose undoing is proposed. Raises Conflict "import_state"."""
    nothing = dict.fromkeys(("undo_reason", "undo_by", "undo_at"))
    _change(connection, import_id, IS_TO_BE_UNDONE, nothing, _wrong_state())
    _note(connection, import_id, "import_undo_dropped", actor, now)


def confirm_undo(connection: Connection, import_id: int, *, actor: str, now: datetime) -> None:
    """End the completions in force that the import recorded, as another member of staff proposed.

    Raises NotFound "import_unknown"; AccessDenied as `end_imported` does; Conflict "import_state".
    """
    row = show(connection, import_id, now)
    if row.undo_by is None or row.undone_at is not None:
        raise _wrong_state()
    ended = end_imported(
        connection,
        import_id,
        reason=row.undo_reason,
        actor=row.undo_by,
        confirmed_by=actor,
        proposed_at=row.undo_at,
        now=now,
    )
    _change(connection, import_id, IS_TO_BE_UNDONE, {"undone_by": actor, "undone_at": now}, _wrong_state())
    _note(connection, import_id, "import_undone", actor, now, reason=row.undo_reason, completions=ended)


def forget_uploads(connection: Connection, now: datetime) -> None:
    """Delete the uploads that were not imported in time."""
    connection.execute(delete(imports).where(imports.c.imported_at.is_(None), imports.c.uploaded_at <= now - KEPT))


def _content(row: Row[Any]) -> bytes:
    return bytes(row.content.encode("latin-1"))


def _change(
    connection: Connection, import_id: int, stands: ColumnElement[bool], values: Mapping[str, Any], refusal: Conflict
) -> None:
    """Change an import that stands so; of two at once, one succeeds."""
    if not connection.execute(update(imports).where(imports.c.id == import_id, stands).values(values)).rowcount:
        raise refusal


def _note(connection: Connection, import_id: int, act: str, actor: str, now: datetime, **details: Any) -> None:
    audit.record(connection, actor=actor, act=act, subject=f"completion_import:{import_id}", at=now, **details)


def _made() -> Conflict:
    return Conflict("import_made", "This file has been imported already.", "Look at the result on its page.")


def _wrong_state() -> Conflict:
    return Conflict("import_state", "This cannot be done with the import now.", "Look at its page again.")
