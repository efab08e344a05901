"""The attendance sheet of one session: sorted, filtered, in parts; and the same as a CSV file for spreadsheets.

The file is UTF-8 with a byte order mark, without which the common spreadsheet garbles names. Lines end in CRLF
(RFC 4180). A cell that a spreadsheet would read as a formula gets an apostrophe in front (ce.md X3).
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import astuple, dataclass, fields, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection

from lti_tool import audit, csv_rows
from lti_tool.attendance import live_sessions, queries, timeline
from lti_tool.attendance.evidence import ReportComparison
from lti_tool.attendance.live_board import Curve, LiveBoard, LivePerson, draw
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.queries import AttendedDay
from lti_tool.attendance.timeline import Shape, evidence_in_words, flags_in_words
from lti_tool.web.page import Part, part
from lti_tool.web.staff import overview
from lti_tool.web.staff.overview import Credit

ROWS_ON_A_PAGE = 50
STRIP_WIDTH = 160


@dataclass(frozen=True, slots=True)
class SheetView:
    """How the sheet is shown: sorted by one of SORTS, ascending or descending, everyone or `only` those of one of ONLY,
    and which part of the list."""

    sort: str = "name"
    downwards: bool = False
    only: str = ""
    number: int = 1

    def query(self, **changes: Any) -> str:
        """The same view with changes, as the query of an address. Without a number it is the first part."""
        view = replace(self, **{"number": 1, **changes})
        usual = (("sort", "name"), ("page", 1))
        given = {"sort": view.sort, "down": view.downwards and 1, "only": view.only, "page": view.number}
        return urlencode({name: value for name, value in given.items() if value and (name, value) not in usual})

    def sorted_by(self, sort: str) -> str:
        """The query behind a column's heading: sorted by it, or in reverse if it is sorted by it already."""
        return self.query(sort=sort, downwards=sort == self.sort and not self.downwards)


@dataclass(frozen=True, slots=True)
class Row:
    """One person of the sheet. `attendance_id` is the row of the current version."""

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
        """The live messages and Zoom's report side by side; None until a settled report has the person."""
        return self.attended.day.report

    @property
    def difference_seconds(self) -> int:
        """By how much the report differs from the live messages; 0 without a report."""
        return 0 if self.report is None else abs(self.report.difference_seconds)

    @property
    def is_open(self) -> bool:
        """Whether staff still have to match or review it."""
        return self.attended.trainee_id is None or (self.attended.needs_review and not self.attended.is_reviewed)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One part of the rows that were asked for. `rows` are those of the whole session, with so many in each of ONLY;
    `staff` of them only ran the session or teach the course, and are no attendees."""

    part: Part[Row]
    rows: Sequence[Row]
    staff: int
    counts: Mapping[str, int]


def _name(row: Row) -> str:
    return row.name.casefold()


SORTS: Mapping[str, Callable[[Row], Any]] = {
    "name": _name,
    "minutes": lambda row: row.attended.seconds_present,
    "completed": lambda row: row.attended.completed,
    "notes": lambda row: (len(row.attended.flags), row.notes),
    "report": lambda row: row.difference_seconds,
}


# The filters of the sheet, in words.
ONLY = {"review": "To review", "unmatched": "Not matched", "incomplete": "Not completed"}


def sheet(
    connection: Connection, session: LiveSession, view: SheetView, teachers: Set[int], among: Set[int] | None = None
) -> Sheet:
    """The rows of this view; the last part if there are fewer parts. `teachers` are staff of the session's courses;
    `among` are the only people that the reader may see."""
    every = rows(connection, session.id, among)
    staff = [each for each in every if each.attended.only_ran_session or each.attended.trainee_id in teachers]
    those = {
        "review": [each for each in every if each.is_open and each.attended.trainee_id is not None],
        "unmatched": [each for each in every if each.attended.trainee_id is None],
        "incomplete": [
            each
            for each in every
            if each.attended.trainee_id is not None and not each.attended.completed and each not in staff
        ],
    }
    ordered = sorted(sorted(those.get(view.only, every), key=_name), key=SORTS[view.sort], reverse=view.downwards)
    return Sheet(
        part=part(ordered, ROWS_ON_A_PAGE, view.number),
        rows=every,
        staff=len(staff),
        counts={name: len(found) for name, found in those.items()},
    )


def curve(people: Iterable[Row], session: LiveSession, enrolled: int, now: datetime) -> Curve | None:
    """How many people were in the class over the day, as far as it is settled; None without anyone."""
    came = tuple(
        LivePerson(
            key=row.attended.person_key,
            trainee_id=row.attended.trainee_id,
            name="",
            where="gone",
            since=session.starts_at,
            room="",
            by_phone=False,
            runs_it=False,
            intervals=tuple((each.from_at, each.to_at) for each in row.attended.day.intervals if each.counts),
        )
        for row in people
    )
    there = tuple(each for each in came if each.intervals)
    return draw(LiveBoard(now, there, None, session.ended_at), session, enrolled or None)


def rows(connection: Connection, session_id: int, among: Set[int] | None = None) -> list[Row]:
    """Every person of one session, or those `among` these."""
    days = [each for each in queries.of_session(connection, session_id) if among is None or each.trainee_id in among]
    names = overview.names(connection, {each.trainee_id for each in days if each.trainee_id is not None})
    credit = overview.credit_of_session(connection, session_id)
    return [
        Row(
            attendance_id=each.id,
            attended=each,
            name=names.get(each.trainee_id or 0) or each.name or "No name",
            credit=credit.get(each.trainee_id or 0, ()),
        )
        for each in days
    ]


@dataclass(frozen=True, slots=True)
class Line:
    """One person in the CSV file: its columns, in this order. `state` says how final the row's numbers are."""

    session: int
    module: str
    date: str
    state: str
    trainee: int | None
    name: str
    email: str
    name_in_zoom: str
    email_in_zoom: str
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


@dataclass(frozen=True, slots=True)
class Export:
    """A CSV file. Its name contains no person's name."""

    filename: str
    body: bytes


def export(
    connection: Connection,
    session_id: int,
    *,
    purpose: str,
    actor: str,
    now: datetime,
    among: Set[int] | None = None,
) -> Export:
    """The sheet as a CSV file, sorted by name, of all people or those `among` these. The audit log keeps who took it,
    the number of rows, and the digest (ce.md X2). Raises NotFound "session_unknown"."""
    session = live_sessions.show(connection, session_id)
    people = sorted(rows(connection, session_id, among), key=_name)
    held_on = session.held_on.isoformat()
    body = table(_line(row, session.id, session.module_id, held_on) for row in people)
    audit.record(
        connection,
        actor=actor,
        act="attendance_exported",
        subject=f"session:{session_id}",
        at=now,
        purpose=purpose,
        rows=len(people),
        digest=hashlib.sha256(body).hexdigest(),
    )
    return Export(f"attendance-session-{session_id}-{held_on}.csv", body)


def table(lines: Iterable[Line]) -> bytes:
    """The file: one heading line, one line per person."""
    return csv_rows.write(COLUMNS, map(astuple, lines))


def minutes(seconds: int) -> str:
    """Minutes with two decimals, rounded down: "311.98"."""
    hundredths = seconds * 100 // 60
    return f"{hundredths // 100}.{hundredths % 100:02}"


def _line(row: Row, session_id: int, module_id: str, held_on: str) -> Line:
    attended, report = row.attended, row.report
    return Line(
        session=session_id,
        module=module_id,
        date=held_on,
        state="provisional" if attended.is_provisional else attended.session_state,
        trainee=attended.trainee_id,
        name=row.name,
        email=attended.address or "",
        name_in_zoom=attended.display_name or "",
        email_in_zoom=attended.email or "",
        registrant=attended.registrant_id or "",
        minutes_present=minutes(attended.seconds_present),
        minutes_forgiven=minutes(attended.day.seconds_forgiven),
        minutes_of_teaching=minutes(attended.seconds_instructional),
        minutes_required=minutes(attended.seconds_required),
        completed="yes" if attended.completed else "no",
        credit="; ".join(f"{each.body_id}: {each.credits or each.state}" for each in row.credit),
        evidence="; ".join(timeline.grades(attended.day)),
        notes="; ".join(attended.flags),
        needs_review="yes" if row.is_open else "no",
        seconds_live=report.webhook_seconds if report else None,
        seconds_in_report=report.report_seconds if report else None,
        version_id=row.attendance_id,
        settled_at=attended.settled_at.isoformat(timespec="seconds"),
    )
