"""The attendance of one session as a table for a spreadsheet.

PURE. UTF-8 with a byte order mark, because the common spreadsheet reads names wrongly without one; lines end in CRLF
(RFC 4180). A cell that a spreadsheet would take for a formula is neutralised (ce.md X3).
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields

# What begins a formula; tab and line ends are dropped by spreadsheets, so what follows them would begin one.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class Line:
    """One person: the columns in this order. `state` says for each row how much its numbers can bear."""

    session: int
    module: str
    date: str
    state: str
    trainee: int | None
    name: str
    email: str
    registrant: str
    minutes_present: str
    minutes_forgiven: str
    minutes_of_teaching: str
    minutes_required: str
    completed: str
    credit: str
    evidence: str
    notes: str
    needs_review: str
    seconds_live: int | None
    seconds_in_report: int | None
    version_id: int
    settled_at: str


COLUMNS = tuple(each.name for each in fields(Line))


def table(lines: Iterable[Line]) -> bytes:
    """The file: one head line, one line a person."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in astuple(line)] for line in lines)
    return text.getvalue().encode("utf-8-sig")


def minutes(seconds: int) -> str:
    """Minutes with two decimals, never more than was attended: "311.98"."""
    hundredths = seconds * 100 // 60
    return f"{hundredths // 100}.{hundredths % 100:02}"


def joined(words: Sequence[str]) -> str:
    return "; ".join(words)


def _cell(value: object) -> str:
    """As text; an apostrophe keeps a spreadsheet from reading what others wrote as a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" \u00a0").startswith(FORMULA) else text
