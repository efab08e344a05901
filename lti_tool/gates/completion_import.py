"""Bulk import of past completions: a preview, then a commit of the same file (gates.md A10).

An import makes completions and nothing else. A person is never matched by name, a title never by likeness, and an
existing record is never changed. The file is untrusted: it may have a wrong encoding, ragged rows, unknown columns,
formulas and huge cells.
"""

import csv
import io
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Literal, get_args

from sqlalchemy import Connection, select

from lti_tool import audit, people
from lti_tool.errors import BadInput, Conflict
from lti_tool.gates.completions import complete
from lti_tool.programme.model import Programme
from lti_tool.tables.gates import completions
from lti_tool.tables.people import identities
from lti_tool.times import day_of

NEEDED = ("person_key_type", "person_key", "completed_on")
DESCRIBING = ("title_as_taken", "catalogue", "date_precision", "origin", "evidence_ref", "note")
COLUMNS = ("person_key_type", "person_key", "family_name", "given_name", "title_as_taken", "catalogue", "module",
           "completed_on", "date_precision", "origin", "evidence_ref", "note")  # fmt: skip
KEY_TYPES = ("email", "platform_user", "external_id")
# What completes a date of this precision: a month or a year counts from its first day.
PRECISIONS = {"day": "", "month": "-01", "year": "-01-01"}
MAX_BYTES = 5_000_000
MAX_ROWS = 20_000
MAX_CELL = 2_000

Outcome = Literal[
    "new", "same", "conflict", "unknown_module", "ambiguous_module", "unknown_person", "ambiguous_person", "invalid"
]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


class Unfit(Exception):
    """Why a row cannot become a completion."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Line:
    """One data row: its line in the file and its trimmed cells by column. `whole` is false if cells are missing, too
    many or unfit."""

    number: int
    cells: Mapping[str, str]
    whole: bool

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """The one outcome of one row. `detail` says why and never quotes the file."""

    line: int
    outcome: Outcome
    detail: str = ""
    trainee_id: int | None = None
    module: str | None = None
    completed_on: date | None = None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """All rows of a file in order. `counts` has every outcome; `digest` identifies the file."""

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
    """Preview a file of past completions, or with `commit` (the digest of the preview) record them in one transaction.

    Raises BadInput "import_unreadable", "import_columns_wrong", "import_too_large"; Conflict "import_file_differs" if
    the file is not the one that was previewed. Importing the same file again changes nothing.
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
    counts: dict[str, Any] = dict(report.counts)
    audit.record(connection, actor=actor, act="completions_imported", subject=f"import:{digest[:12]}", at=now, **counts)
    return report


def digest_of(content: bytes) -> str:
    """SHA-256 of the file. A commit proves by it that this is the file that was previewed."""
    return sha256(content).hexdigest()


def read_lines(content: bytes) -> list[Line]:
    """The data rows of a file. Raises BadInput "import_unreadable", "import_columns_wrong" or "import_too_large"."""
    columns = ", ".join(COLUMNS)
    try:
        rows = list(_rows(content))
    except (UnicodeDecodeError, csv.Error) as error:
        message = "The file is not a CSV file in UTF-8."
        raise BadInput("import_unreadable", message, "Save it as CSV with the encoding UTF-8.") from error
    if not rows:
        raise BadInput("import_columns_wrong", "The file is empty.", f"Its first row names the columns: {columns}.")
    header = [name.strip() for name in rows[0][1]]
    names = set(header)
    is_agreed = names.issubset(COLUMNS) and names.issuperset(NEEDED) and len(names) == len(header)
    if not is_agreed or not {"title_as_taken", "module"} & names:
        message = "The first row does not have the expected column names."
        raise BadInput("import_columns_wrong", message, f"Columns, each once: {columns}.")
    lines = []
    for number, cells in rows[1:]:
        whole = len(cells) == len(header) and all(len(cell) <= MAX_CELL and "\0" not in cell for cell in cells)
        lines.append(Line(number, {name: cell.strip() for name, cell in zip(header, cells, strict=False)}, whole))
    return lines


def _rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    """Every row that is not blank, with the line on which it begins."""
    too_large = BadInput(
        "import_too_large",
        "The file is too large.",
        f"Use at most {MAX_ROWS:,} rows and {MAX_BYTES // 1_000_000} MB per file.",
    )
    if len(content) > MAX_BYTES:
        raise too_large
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    before = 0
    for count, row in enumerate(reader):
        if count > MAX_ROWS:
            raise too_large
        if any(cell.strip() for cell in row):
            yield before + 1, row
        before = reader.line_num


def completion_day(line: Line, today: date) -> date:
    """The day of completion. Raises Unfit."""
    precision, written = line["date_precision"] or "day", line["completed_on"]
    if precision not in PRECISIONS:
        raise Unfit("invalid", "A completion needs at least the year in which it was taken.")
    try:
        day = date.fromisoformat(written if len(written) == 10 else written + PRECISIONS[precision])
    except ValueError as error:
        raise Unfit("invalid", "completed_on is not a date like 2024-07-13.") from error
    if day > today:
        raise Unfit("invalid", "completed_on is in the future.")
    return day


class Titles:
    """The modules of a programme and of its earlier catalogue, by id and by every title they have had."""

    def __init__(self, programme: Programme) -> None:
        self._ids: dict[str, set[str]] = {"current": set(programme.modules), "legacy": set()}
        self._titles: dict[str, defaultdict[str, set[str]]] = {"current": defaultdict(set), "legacy": defaultdict(set)}
        for module in programme.modules.values():
            self._add("current", module.id, module.title, module.label, *module.also_called, module.certificate_title)
        for earlier in programme.earlier_modules:
            if earlier.now not in programme.retreats:
                self._ids["legacy"].add(earlier.earlier)
                self._add("legacy", earlier.earlier, earlier.earlier_title)

    def _add(self, catalogue: str, module: str, *titles: str | None) -> None:
        for title in filter(None, (module, *titles)):
            self._titles[catalogue][normal(title)].add(module)

    def module_of(self, line: Line) -> str:
        """The module of a row: its id if one is written, and the title must not contradict it. Nothing is guessed.

        Raises Unfit "unknown_module", "ambiguous_module" or "invalid".
        """
        catalogue = line["catalogue"] or "current"
        if catalogue not in self._ids:
            raise Unfit("invalid", "catalogue is neither current nor legacy.")
        titled = self._titles[catalogue].get(normal(line["title_as_taken"]), set())
        written = line["module"]
        if written and written not in self._ids[catalogue]:
            raise Unfit("unknown_module", "This catalogue has no module with this id.")
        if written and titled and written not in titled:
            raise Unfit("ambiguous_module", "The id and the title belong to different modules.")
        if not written and not titled:
            raise Unfit("unknown_module", "This catalogue has no module with this title.")
        if not written and len(titled) > 1:
            raise Unfit("ambiguous_module", "Several modules have this title. Write the id.")
        return written or next(iter(titled))


def normal(text: str) -> str:
    """A title as it is compared: one Unicode form, trimmed, single spaces; nothing fuzzier (gates.md A10.4)."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def inert(text: str) -> str:
    """The text in a form that no spreadsheet takes for a formula, for everything from such a file that is kept or
    shown."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return f"'{plain}" if plain.startswith(("=", "+", "-", "@")) else plain


class _Import:
    """One pass over a file: the people looked up, and the completions that earlier rows would make."""

    def __init__(self, connection: Connection, programme: Programme, today: date) -> None:
        self._connection = connection
        self._titles = Titles(programme)
        self._today = today
        self._people: dict[tuple[str, str], list[int]] = {}
        self._planned: dict[tuple[int, str], date] = {}

    def judge(self, line: Line) -> ImportedRow:
        try:
            if not line.whole:
                raise Unfit("invalid", "The row has too few or too many cells, or one that is too long.")
            completed_on = completion_day(line, self._today)
            module = self._titles.module_of(line)
            trainee_id = self.trainee_of(line)
        except Unfit as unfit:
            return ImportedRow(line.number, unfit.outcome, unfit.detail)
        outcome, detail = self.compare(trainee_id, module, completed_on)
        return ImportedRow(line.number, outcome, detail, trainee_id, module, completed_on)

    def trainee_of(self, line: Line) -> int:
        """The trainee with this key. Keys of other systems are known only as a platform's user id. Raises Unfit."""
        kind, key = line["person_key_type"], line["person_key"]
        if kind not in KEY_TYPES or not key:
            raise Unfit("invalid", f"person_key_type is one of {', '.join(KEY_TYPES)}, and person_key is not empty.")
        found = self._people.get((kind, key), [])
        if (kind, key) not in self._people:
            if kind == "email":
                found = people.with_email(self._connection, key)
            elif kind == "platform_user":
                wanted = select(identities.c.trainee_id).where(identities.c.sub == key).distinct()
                found = list(self._connection.scalars(wanted))
            self._people[kind, key] = found
        if not found:
            raise Unfit("unknown_person", "No trainee with this key has launched yet. Import the row again afterwards.")
        if len(found) > 1:
            raise Unfit("ambiguous_person", "Several people have this key.")
        return found[0]

    def compare(self, trainee_id: int, module: str, completed_on: date) -> tuple[Outcome, str]:
        """What this completion is beside earlier rows of the file and the records."""
        planned = self._planned.get((trainee_id, module))
        if planned is not None:
            return _compared(planned, completed_on, "an earlier row of this file")
        for recorded_on, is_ended in _recorded(self._connection, trainee_id, module):
            if not is_ended:
                return _compared(recorded_on, completed_on, "the record")
            if recorded_on == completed_on:
                return "conflict", "Staff ended this completion."
        self._planned[trainee_id, module] = completed_on
        return "new", ""


def _compared(existing: date, completed_on: date, what: str) -> tuple[Outcome, str]:
    return ("same", "") if existing == completed_on else ("conflict", f"The date differs from {what}.")


def _recorded(connection: Connection, trainee_id: int, module: str) -> list[tuple[date, bool]]:
    """The dates of this trainee's completions of the module and whether each was ended; the one in force first."""
    theirs = (completions.c.trainee_id == trainee_id) & (completions.c.module_id == module)
    rows = connection.execute(select(completions.c.completed_on, completions.c.ended_at).where(theirs))
    return sorted(((day, ended_at is not None) for day, ended_at in rows), key=lambda each: each[1])


def _write(connection: Connection, row: ImportedRow, line: Line, digest: str, actor: str, now: datetime) -> ImportedRow:
    """Record a new completion with its source: the file, the line, and how the row describes it."""
    if row.outcome != "new" or row.trainee_id is None or row.module is None or row.completed_on is None:
        return row
    described = [f"{name}: {inert(line[name])}" for name in DESCRIBING if line[name]]
    evidence = "; ".join([f"import {digest[:12]} line {line.number}", *described])
    made = complete(
        connection, row.trainee_id, row.module, row.completed_on, "imported", evidence=evidence, actor=actor, now=now
    )
    if made is not None:
        return row
    # Another transaction recorded it since this one compared: compare again.
    recorded_on, _is_ended = _recorded(connection, row.trainee_id, row.module)[0]
    outcome, detail = _compared(recorded_on, row.completed_on, "the record")
    return replace(row, outcome=outcome, detail=detail)
