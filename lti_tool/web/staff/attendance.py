"""Everybody's day of one session as staff read it: sorted, filtered, a part at a time; and as a spreadsheet.

The attendance of one session as a table for a spreadsheet.

PURE. UTF-8 with a byte order mark, because the common spreadsheet reads names wrongly without one; lines end in CRLF
(RFC 4180). A cell that a spreadsheet would take for a formula is neutralised (ce.md X3).
"""

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection

from lti_tool import audit
from lti_tool.attendance import live_sessions, queries, timeline
from lti_tool.attendance.evidence import ReportComparison
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.queries import AttendedDay
from lti_tool.attendance.timeline import Shape, evidence_in_words, flags_in_words
from lti_tool.web.staff import overview
from lti_tool.web.staff.overview import Credit

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


ROWS_ON_A_PAGE = 100
STRIP_WIDTH = 160


@dataclass(frozen=True, slots=True)
class Wish:
    """How somebody wants the sheet: by one of SORTS, from the bottom or from the top, everybody or (`only` "review")
    those whom somebody must look at, and which part."""

    sort: str = "name"
    downwards: bool = False
    only: str = ""
    number: int = 1

    def query(self, **changes: Any) -> str:
        """The same wish with changes, as the query of an address; the first part unless another one is wanted."""
        wanted = replace(self, **{"number": 1, **changes})
        given = {"sort": wanted.sort, "down": wanted.downwards and 1, "only": wanted.only, "page": wanted.number}
        return urlencode({name: value for name, value in given.items() if value and (name, value) not in _USUAL})

    def sorted_by(self, sort: str) -> str:
        """The query behind a column's heading: by this column, or the other way round where that is so already."""
        return self.query(sort=sort, downwards=sort == self.sort and not self.downwards)


_USUAL = (("sort", "name"), ("page", 1))


@dataclass(frozen=True, slots=True)
class Row:
    """One person of the sheet. `attendance_id` is the current version's row."""

    attendance_id: int
    attended: AttendedDay
    name: str
    credit: Sequence[Credit]

    @property
    def strip(self) -> tuple[Shape, ...]:
        return timeline.strip(self.attended.day, STRIP_WIDTH)

    @property
    def known_from(self) -> str:
        return evidence_in_words(timeline.grades(self.attended.day))

    @property
    def notes(self) -> str:
        return ", ".join(flags_in_words(self.attended.flags))

    @property
    def report(self) -> ReportComparison | None:
        """The two records side by side, None where no settled report speaks of the person."""
        return self.attended.day.report

    @property
    def difference_seconds(self) -> int | None:
        """By how much the report tells more than the live messages."""
        return None if self.report is None else self.report.difference_seconds

    @property
    def is_open(self) -> bool:
        """Whether somebody must still look at it."""
        return self.attended.trainee_id is None or (self.attended.needs_review and not self.attended.is_reviewed)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Part `number` (from 1) of `parts` of the rows that were asked for, and what all rows of the session come to."""

    rows: Sequence[Row]
    number: int
    parts: int
    people: int
    completed: int
    unmatched: int
    open: int


def _by_name(row: Row) -> Any:
    return row.name.casefold()


def _by_difference(row: Row) -> Any:
    return abs(row.difference_seconds or 0)


SORTS: Mapping[str, Callable[[Row], Any]] = {
    "name": _by_name,
    "minutes": lambda row: row.attended.seconds_present,
    "completed": lambda row: row.attended.completed,
    "notes": lambda row: (len(row.attended.flags), row.notes),
    "report": _by_difference,
}


def sheet(connection: Connection, session_id: int, wish: Wish) -> Sheet:
    """The rows that are wished for; a part that is not there becomes the last one."""
    every = rows(connection, session_id)
    wanted = [row for row in every if row.is_open] if wish.only == "review" else every
    ordered = sorted(sorted(wanted, key=_by_name), key=SORTS[wish.sort], reverse=wish.downwards)
    parts = max(1, -(-len(ordered) // ROWS_ON_A_PAGE))
    number = min(max(wish.number, 1), parts)
    return Sheet(
        rows=ordered[(number - 1) * ROWS_ON_A_PAGE : number * ROWS_ON_A_PAGE],
        number=number,
        parts=parts,
        people=len(every),
        completed=sum(row.attended.completed for row in every),
        unmatched=sum(row.attended.trainee_id is None for row in every),
        open=sum(row.is_open for row in every),
    )


def rows(connection: Connection, session_id: int) -> list[Row]:
    """Everybody of one session."""
    everybody = queries.of_session(connection, session_id)
    names = overview.names(connection, {each.trainee_id for each in everybody if each.trainee_id is not None})
    credit = overview.credit_of_session(connection, session_id)
    return [
        Row(
            attendance_id=each.id,
            attended=each,
            name=names.get(each.trainee_id or 0) or each.display_name or "No name",
            credit=credit.get(each.trainee_id or 0, ()),
        )
        for each in everybody
    ]


@dataclass(frozen=True, slots=True)
class Export:
    """A CSV file to hand out; its name names nobody."""

    filename: str
    body: bytes


def export(connection: Connection, session_id: int, *, purpose: str, actor: str, now: datetime) -> Export:
    """The sheet as a CSV file, by name; the audit log keeps who took it, how many rows, and the digest (ce.md X2).

    Raises NotFound "session_unknown".
    """
    session = live_sessions.show(connection, session_id)
    everybody = sorted(rows(connection, session_id), key=_by_name)
    body = table(_line(session, row) for row in everybody)
    audit.record(
        connection,
        actor=actor,
        act="attendance_exported",
        subject=f"session:{session_id}",
        at=now,
        purpose=purpose,
        rows=len(everybody),
        digest=hashlib.sha256(body).hexdigest(),
    )
    return Export(f"attendance-session-{session_id}-{session.held_on.isoformat()}.csv", body)


def _line(session: LiveSession, row: Row) -> Line:
    day, report = row.attended, row.report
    return Line(
        session=session.id,
        module=session.module_id,
        date=session.held_on.isoformat(),
        state="provisional" if day.is_provisional else day.session_state,
        trainee=day.trainee_id,
        name=row.name,
        email=day.email or "",
        registrant=day.registrant_id or "",
        minutes_present=minutes(day.seconds_present),
        minutes_forgiven=minutes(day.day.seconds_forgiven),
        minutes_of_teaching=minutes(day.seconds_instructional),
        minutes_required=minutes(day.seconds_required),
        completed="yes" if day.completed else "no",
        credit=joined([f"{each.body_id}: {each.credits or each.state}" for each in row.credit]),
        evidence=joined(timeline.grades(day.day)),
        notes=joined(list(day.flags)),
        needs_review="yes" if row.is_open else "no",
        seconds_live=report.webhook_seconds if report else None,
        seconds_in_report=report.report_seconds if report else None,
        version_id=row.attendance_id,
        settled_at=day.settled_at.isoformat(timespec="seconds"),
    )
