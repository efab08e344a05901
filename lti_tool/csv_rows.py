"""Reads a CSV file as spreadsheets write it, and writes one that they read: one reader for all imports, one writer.

PURE. A file that is read is untrusted. It may have another separator, encoding or spelling of its headings; empty
columns behind the last one; rows that end early; and huge or unreadable cells. Whatever is unclear is refused by the
name of the separator, the heading or the column, and never guessed.
"""

import csv
import io
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lti_tool.errors import BadInput
from lti_tool.text import clean

# What begins a formula. Spreadsheets drop tabs and line ends, so what follows them would begin one.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
MAX_CELL = 2_000
MAX_HEADING_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Columns:
    """What a file may have: its columns; those it must have, and those of which it must have one; those that identify
    something for a machine and are only trimmed; how large it may be."""

    names: Sequence[str]
    needed: Collection[str]
    needed_one_of: Collection[str] = ()
    verbatim: Collection[str] = ()
    max_bytes: int = 5_000_000
    max_rows: int = 20_000


@dataclass(frozen=True, slots=True)
class CsvRow:
    """One row: the line of the file on which it begins, its cleaned cells by column, and `problem` if a cell cannot be
    read: the name of its column (or its letter, if it has no heading) and what is wrong with it."""

    line: int
    cells: Mapping[str, str]
    problem: tuple[str, str] | None = None

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


def read_rows(content: bytes, columns: Columns) -> list[CsvRow]:
    """The rows below the headings, without blank ones.

    A heading may be written in other case and with blanks or hyphens instead of underscores. A cell that is missing at
    the end of a row is empty. Raises BadInput "import_unreadable", "import_columns_wrong" or "import_too_large".
    """
    if len(content) > columns.max_bytes:
        raise _too_large(columns)
    text = _decode(content)
    separator, skipped = _separator(text, columns)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    found, last_line = list[tuple[int, list[str]]](), 0
    try:
        for count, cells in enumerate(reader):
            if count > columns.max_rows:
                raise _too_large(columns)
            if last_line >= skipped and any(cell.strip() for cell in cells):
                found.append((last_line + 1, cells))
            last_line = reader.line_num
    except csv.Error as error:
        message = "The file is not CSV: a quotation mark is not closed, or a cell is far too long."
        raise BadInput("import_unreadable", message, "Save it again as CSV in your spreadsheet.") from error
    if not found:
        raise _wrong("The file is empty.", columns)
    headings = _headings(found[0][1], columns)
    return [_row(line, cells, headings, columns) for line, cells in found[1:]]


def _decode(content: bytes) -> str:
    """UTF-8, or UTF-16 with a byte order mark, as a spreadsheet saves "Unicode text"."""
    encoding = "utf-16" if content.startswith(UTF_16_MARKS) else "utf-8-sig"
    try:
        if encoding != "utf-16" and b"\0" in content[:2]:
            raise UnicodeDecodeError(encoding, content[:2], 0, 2, "UTF-16 without its mark")
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        message = "The file is neither in UTF-8 nor in UTF-16."
        raise BadInput("import_unreadable", message, "Save it as CSV with the encoding UTF-8.") from error


def _separator(text: str, columns: Columns) -> tuple[str, int]:
    """What separates the cells, and the number of the line that said so: `sep=;` in the first line (Excel), else the
    separator with which the first row has most known headings."""
    lines = re.split("\r\n|\r|\n", text)
    first = next((line for line in lines if line.strip()), "")
    said = first.strip().strip('"')
    if said[:4].lower() == "sep=":
        separator = said[4:] or "\t"
        if separator not in SEPARATORS:
            message = f"The line “sep=” names “{clean(separator)[:MAX_HEADING_SHOWN]}” as the separator."
            raise BadInput("import_columns_wrong", message, f"Separate the cells by {', '.join(SEPARATORS.values())}.")
        return separator, lines.index(first) + 1
    known = {each: sum(_plain(name) in columns.names for name in first.split(each)) for each in SEPARATORS}
    return max(known, key=known.__getitem__), 0


def _headings(cells: Sequence[str], columns: Columns) -> list[str]:
    """The columns in the file's order; "" for one without a heading."""
    headings = [_plain(cell) for cell in cells]
    if not set(headings) & set(columns.names):
        separators = ", ".join(SEPARATORS.values())
        raise _wrong(f"The first row has no known heading; its cells may be separated by {separators}.", columns)
    unknown = [name for name in headings if name and name not in columns.names]
    if unknown:
        raise _wrong(f"The heading “{unknown[0][:MAX_HEADING_SHOWN]}” is not known.", columns)
    for name in headings:
        if name and headings.count(name) > 1:
            raise _wrong(f"The heading “{name}” stands there twice.", columns)
    missing = [name for name in columns.names if name in columns.needed and name not in headings]
    if missing:
        raise _wrong(f"The column “{missing[0]}” is missing.", columns)
    if columns.needed_one_of and not set(columns.needed_one_of) & set(headings):
        either = " and ".join(f"“{name}”" for name in columns.needed_one_of)
        raise _wrong(f"The columns {either} are both missing; the file needs one of them.", columns)
    return headings


def _row(line: int, cells: Sequence[str], headings: Sequence[str], columns: Columns) -> CsvRow:
    values: dict[str, str] = {}
    problem = None
    for position, cell in enumerate(cells):
        name = headings[position] if position < len(headings) else ""
        if name in columns.verbatim and "\0" in cell:
            problem = problem or (name, "The cell has a character that cannot be kept.")
        elif len(cell) > MAX_CELL:
            problem = problem or (name or _letters(position), f"The cell is longer than {MAX_CELL} characters.")
        elif name:
            values[name] = cell.strip() if name in columns.verbatim else clean(cell)
        elif clean(cell):
            problem = problem or (_letters(position), "The column has content but no heading.")
    return CsvRow(line, values, problem)


def _plain(heading: str) -> str:
    return clean(heading.strip().strip('"')).casefold().replace(" ", "_").replace("-", "_")


def _letters(position: int) -> str:
    """What a spreadsheet calls a column: A to Z, then AA."""
    letters = ""
    while position >= 0:
        letters = chr(65 + position % 26) + letters
        position = position // 26 - 1
    return letters


def _wrong(what: str, columns: Columns) -> BadInput:
    return BadInput("import_columns_wrong", what, f"Columns, each once: {', '.join(columns.names)}.")


def _too_large(columns: Columns) -> BadInput:
    most = f"Use at most {columns.max_rows:,} rows and {columns.max_bytes // 1_000_000} MB per file."
    return BadInput("import_too_large", "The file is too large.", most)


def write(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> bytes:
    """The file: one heading line, one line per row; None is an empty cell. A spreadsheet calculates no cell of it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        cells = ("" if value is None else str(value) for value in row)
        writer.writerow(f"'{cell}" if cell.lstrip(" \u00a0").startswith(FORMULA) else cell for cell in cells)
    return text.getvalue().encode("utf-8-sig")
