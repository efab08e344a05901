"""Bulk import of past completions (gates.md A10): a preview, then a commit of the very same file.

An import makes completions and nothing else. A person is never matched by name, a title never by likeness, and an
existing record is never changed.

Reads a CSV file of past completions and resolves its titles (gates.md A10.1, A10.4). Pure.

The file comes from outside: wrong encodings, ragged rows, unknown columns, formulas and huge cells are met here.
"""

import csv
import io
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Connection, select

from lti_tool import audit, people
from lti_tool.errors import BadInput, Conflict
from lti_tool.gates.completions import complete
from lti_tool.programme.model import Programme
from lti_tool.tables.gates import completions
from lti_tool.tables.people import identities
from lti_tool.times import day_of

COLUMNS = (
    "person_key_type",
    "person_key",
    "family_name",
    "given_name",
    "title_as_taken",
    "catalogue",
    "module",
    "completed_on",
    "date_precision",
    "origin",
    "evidence_ref",
    "note",
)
NEEDED = ("person_key_type", "person_key", "completed_on")
KEY_TYPES = ("email", "platform_user", "external_id")
MAX_BYTES = 5_000_000
MAX_ROWS = 20_000
MAX_CELL = 2_000

Outcome = Literal[
    "new", "same", "conflict", "unknown_module", "ambiguous_module", "unknown_person", "ambiguous_person", "invalid"
]
OUTCOMES: tuple[Outcome, ...] = (
    "new", "same", "conflict", "unknown_module", "ambiguous_module", "unknown_person", "ambiguous_person", "invalid",
)  # fmt: skip


class Unfit(Exception):
    """Why a row cannot become a completion."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Line:
    """One data row: `number` is its line in the file, `cells` its trimmed values by column."""

    number: int
    cells: Mapping[str, str]
    whole: bool

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


def digest_of(content: bytes) -> str:
    """SHA-256 of the file, by which a commit proves that this is the file that was previewed."""
    return sha256(content).hexdigest()


def read_lines(content: bytes) -> list[Line]:
    """The data rows of a file. Raises BadInput "import_unreadable", "import_columns_wrong" or "import_too_large"."""
    if len(content) > MAX_BYTES:
        raise _too_large()
    try:
        text = content.decode("utf-8-sig")
        rows = list(_rows(text))
    except (UnicodeDecodeError, csv.Error) as error:
        message = "The file is not a CSV file in UTF-8."
        raise BadInput("import_unreadable", message, "Save it as CSV, encoding UTF-8.") from error
    if not rows:
        raise BadInput("import_columns_wrong", "The file is empty.", f"Its first row names the columns: {_named()}.")
    header = [name.strip() for name in rows[0][1]]
    _check_header(header)
    return [_line(number, cells, header) for number, cells in rows[1:]]


def day_of_row(line: Line, today: date) -> date:
    """The day of completion. A month or a year counts from its first day. Raises Unfit."""
    precision = line["date_precision"] or "day"
    ends = {"day": "", "month": "-01", "year": "-01-01"}
    if precision not in ends:
        raise Unfit("invalid", "A completion needs at least the year in which it was taken.")
    written = line["completed_on"]
    try:
        day = date.fromisoformat(written if len(written) == 10 else written + ends[precision])
    except ValueError as error:
        raise Unfit("invalid", "completed_on is not a date like 2024-07-13.") from error
    if day > today:
        raise Unfit("invalid", "completed_on is in the future.")
    return day


class Titles:
    """The modules of a programme and of its earlier catalogue by id and by every title they have had."""

    def __init__(self, programme: Programme) -> None:
        self._programme = programme
        self._ids: dict[str, set[str]] = {"current": set(programme.modules), "legacy": set()}
        self._titles: dict[str, defaultdict[str, set[str]]] = {"current": defaultdict(set), "legacy": defaultdict(set)}
        for module in programme.modules.values():
            for title in (module.id, module.title, module.label, *module.also_called, module.certificate_title):
                self._name("current", title, module.id)
        for earlier in programme.earlier_modules:
            if earlier.now not in programme.retreats:
                self._ids["legacy"].add(earlier.earlier)
                self._name("legacy", earlier.earlier, earlier.earlier)
                self._name("legacy", earlier.earlier_title, earlier.earlier)

    def module_of(self, line: Line) -> str:
        """The module that a row means: its id where one is written, and the title must not contradict it. No guessing.

        Raises Unfit "unknown_module" or "ambiguous_module".
        """
        catalogue = line["catalogue"] or "current"
        if catalogue not in self._ids:
            raise Unfit("invalid", "catalogue is neither current nor legacy.")
        titled = self._titles[catalogue].get(normal(line["title_as_taken"]), set())
        written = line["module"]
        if written and written not in self._ids[catalogue]:
            raise Unfit("unknown_module", "This catalogue has no module of this id.")
        if written and titled and written not in titled:
            raise Unfit("ambiguous_module", "The id and the title name different modules.")
        if not written and not titled:
            raise Unfit("unknown_module", "This catalogue has no module of this title.")
        if not written and len(titled) > 1:
            raise Unfit("ambiguous_module", "Several modules have this title; write the id.")
        return written or next(iter(titled))

    def _name(self, catalogue: str, title: str | None, module: str) -> None:
        if title:
            self._titles[catalogue][normal(title)].add(module)


def normal(text: str) -> str:
    """A title as it is compared: one Unicode form, trimmed, single spaces; nothing fuzzier (gates.md A10.4)."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def inert(text: str) -> str:
    """A text that no spreadsheet takes for a formula: for everything from such a file that is kept or shown."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return f"'{plain}" if plain.startswith(("=", "+", "-", "@")) else plain


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Every row that holds anything, with the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    before = 0
    for count, row in enumerate(reader):
        if count > MAX_ROWS:
            raise _too_large()
        if any(cell.strip() for cell in row):
            yield before + 1, row
        before = reader.line_num


def _line(number: int, cells: list[str], header: list[str]) -> Line:
    fits = len(cells) == len(header) and all(_is_fit(cell) for cell in cells)
    return Line(number, {name: cell.strip() for name, cell in zip(header, cells, strict=False)}, fits)


def _is_fit(cell: str) -> bool:
    return len(cell) <= MAX_CELL and "\0" not in cell


def _check_header(header: list[str]) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    missing = [name for name in NEEDED if name not in header]
    if unknown or missing or len(set(header)) < len(header) or not {"title_as_taken", "module"} & set(header):
        message = "The first row does not name the columns as agreed."
        raise BadInput("import_columns_wrong", message, f"Columns, each once: {_named()}.")


def _named() -> str:
    return ", ".join(COLUMNS)


def _too_large() -> BadInput:
    limits = f"Use at most {MAX_ROWS:,} rows and {MAX_BYTES // 1_000_000} MB per file."
    return BadInput("import_too_large", "The file is too large.", limits)


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
