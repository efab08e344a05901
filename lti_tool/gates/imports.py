"""Bulk import of past completions (gates.md A10): a preview, then a commit of the very same file.

An import makes completions and nothing else. A person is never matched by name, a title never by likeness, and an
existing record is never changed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, select

from lti_tool import audit, people
from lti_tool.errors import Conflict
from lti_tool.gates.completions import complete
from lti_tool.gates.import_file import (
    KEY_TYPES,
    OUTCOMES,
    Line,
    Outcome,
    Titles,
    Unfit,
    day_of_row,
    digest_of,
    inert,
    read_lines,
)
from lti_tool.gates.situation import day_of
from lti_tool.programme.model import Programme
from lti_tool.tables.gates import completions
from lti_tool.tables.people import identities


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """What became of one row: exactly one outcome. `detail` says why, never quoting the file."""

    line: int
    outcome: Outcome
    detail: str = ""
    trainee_id: int | None = None
    module: str | None = None
    completed_on: date | None = None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """All rows of a file in order; `counts` has every outcome and adds up to the rows. `digest` names the file."""

    digest: str
    committed: bool
    rows: tuple[ImportedRow, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        found = Counter(row.outcome for row in self.rows)
        return {outcome: found[outcome] for outcome in OUTCOMES}


def import_csv(
    connection: Connection,
    programme: Programme,
    content: bytes,
    *,
    commit: str | None = None,
    actor: str,
    now: datetime,
) -> ImportReport:
    """What a file of past completions would do, or with `commit` (the digest of the preview) does, in one transaction.

    Raises BadInput "import_unreadable", "import_columns_wrong", "import_too_large"; Conflict "import_file_differs" when
    the file is not the one that was previewed. The same file a second time changes nothing.
    """
    digest = digest_of(content)
    if commit is not None and commit != digest:
        message = "This is not the file that was previewed."
        raise Conflict("import_file_differs", message, "Preview this file first, then commit it with its own digest.")
    importing = _Import(connection, programme, day_of(now, programme.zone))
    lines = read_lines(content)
    rows = tuple(importing.judge(line) for line in lines)
    if commit is None:
        return ImportReport(digest, False, rows)
    written = tuple(_write(connection, row, line, digest, actor, now) for row, line in zip(rows, lines, strict=True))
    report = ImportReport(digest, True, written)
    subject = f"import:{digest[:12]}"
    counts: dict[str, Any] = dict(report.counts)
    audit.record(connection, actor=actor, act="completions_imported", subject=subject, at=now, **counts)
    return report


class _Import:
    """One pass over a file: what is recorded already, and what earlier rows of the file would record."""

    def __init__(self, connection: Connection, programme: Programme, today: date) -> None:
        self._connection = connection
        self._titles = Titles(programme)
        self._today = today
        self._people: dict[tuple[str, str], list[int]] = {}
        self._taken: dict[tuple[int, str], date] = {}

    def judge(self, line: Line) -> ImportedRow:
        try:
            return self._fit(line)
        except Unfit as unfit:
            return ImportedRow(line.number, unfit.outcome, unfit.detail)

    def _fit(self, line: Line) -> ImportedRow:
        if not line.whole:
            raise Unfit("invalid", "The row has too few or too many cells, or one that is too long.")
        completed_on = day_of_row(line, self._today)
        module = self._titles.module_of(line)
        trainee_id = self._person(line)
        outcome, detail = self._beside_existing(trainee_id, module, completed_on)
        return ImportedRow(line.number, outcome, detail, trainee_id, module, completed_on)

    def _person(self, line: Line) -> int:
        kind, key = line["person_key_type"], line["person_key"]
        if kind not in KEY_TYPES or not key:
            raise Unfit("invalid", f"person_key_type is one of {', '.join(KEY_TYPES)}, and person_key is not empty.")
        if (kind, key) not in self._people:
            self._people[kind, key] = _with_key(self._connection, kind, key)
        found = self._people[kind, key]
        if not found:
            raise Unfit("unknown_person", "Nobody with this key has launched yet; import again once they have.")
        if len(found) > 1:
            raise Unfit("ambiguous_person", "Several people have this key.")
        return found[0]

    def _beside_existing(self, trainee_id: int, module: str, completed_on: date) -> tuple[Outcome, str]:
        planned = self._taken.get((trainee_id, module))
        if planned is not None:
            return _compared(planned, completed_on, "an earlier row of this file")
        for recorded_on, ended in _recorded(self._connection, trainee_id, module):
            if not ended:
                return _compared(recorded_on, completed_on, "the record")
            if recorded_on == completed_on:
                return "conflict", "Staff took this completion back."
        self._taken[trainee_id, module] = completed_on
        return "new", ""


def _compared(existing: date, completed_on: date, what: str) -> tuple[Outcome, str]:
    return ("same", "") if existing == completed_on else ("conflict", f"The date differs from {what}.")


def _recorded(connection: Connection, trainee_id: int, module: str) -> Iterable[tuple[date, bool]]:
    """The dates of this person's completions of the module and whether each was ended; the one in force first."""
    theirs = (completions.c.trainee_id == trainee_id) & (completions.c.module_id == module)
    rows = connection.execute(select(completions.c.completed_on, completions.c.ended_at).where(theirs))
    return sorted(((day, ended_at is not None) for day, ended_at in rows), key=lambda each: each[1])


def _with_key(connection: Connection, kind: str, key: str) -> list[int]:
    """The trainees whom a key names. Keys of other systems are known only through a platform's user id."""
    if kind == "email":
        return people.with_email(connection, key)
    if kind == "platform_user":
        wanted = select(identities.c.trainee_id).where(identities.c.sub == key).distinct()
        return list(connection.scalars(wanted.order_by(identities.c.trainee_id)))
    return []


def _write(connection: Connection, row: ImportedRow, line: Line, digest: str, actor: str, now: datetime) -> ImportedRow:
    if row.outcome != "new" or row.trainee_id is None or row.module is None or row.completed_on is None:
        return row
    evidence = _evidence(line, digest)
    made = complete(
        connection, row.trainee_id, row.module, row.completed_on, "imported", evidence=evidence, actor=actor, now=now
    )
    if made is not None:
        return row
    # Somebody recorded it since this transaction looked: the row is told as a second look sees it.
    recorded_on, _ended = next(iter(_recorded(connection, row.trainee_id, row.module)))
    outcome, detail = _compared(recorded_on, row.completed_on, "the record")
    return replace(row, outcome=outcome, detail=detail)


def _evidence(line: Line, digest: str) -> str:
    """Where a completion comes from: the file, the line, and what the row said of itself."""
    named = ("title_as_taken", "catalogue", "date_precision", "origin", "evidence_ref", "note")
    said = [f"{name}: {inert(line[name])}" for name in named if line[name]]
    return "; ".join([f"import {digest[:12]} line {line.number}", *said])
