"""Reads a CSV file of past completions and resolves its titles (gates.md A10.1, A10.4). Pure.

The file comes from outside: wrong encodings, ragged rows, unknown columns, formulas and huge cells are met here.
"""

import csv
import io
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Literal

from lti_tool.errors import BadInput
from lti_tool.programme.model import Programme

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
