"""The log on the desk: every act with its reason, and every visit to a person's page (gates.md A7.7).

It is read, filtered and exported here. The database refuses to change it.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, Response
from flask import request as http_request
from sqlalchemy import Connection, Row, Select, select

from lti_tool import csv_rows
from lti_tool.audit import trainee_of
from lti_tool.gates.condition_checks import short_name
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.rights import READ_LOG
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.operations import audit_log
from lti_tool.times import date_of
from lti_tool.web.page import asked_part, show, sql_part
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, record_visit
from lti_tool.web.staff import overview
from lti_tool.web.staff.audit_words import ACTS, LOOKS, act_in_words

LOG = "/desk/settings/log"
ROWS_ON_A_PAGE = 50
MAX_EXPORTED = 100_000
MAX_ACTOR = 64
COLUMNS = ("at", "actor", "name", "act", "subject", "reason", "details")
FILTERS = {"": "Acts", "looks": "Visits and downloads", "all": "Everything"}

blueprint = Blueprint("log", __name__, url_prefix=LOG)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the reader asked for, as the address says it; anything odd counts as nothing. Days are those of the
    programme's zone; `who` is an actor and `about` a subject of the log."""

    which: str = ""
    act: str = ""
    who: str = ""
    about: str = ""
    first: date | None = None
    last: date | None = None

    def address(self, page: int = 1, **changed: str) -> str:
        """The address of the same with changes."""
        days = {"from": self.first, "to": self.last}
        values: dict[str, Any] = {"show": self.which, "act": self.act, "who": self.who, "about": self.about, **days}
        values |= {"page": page if page > 1 else "", **changed}
        return f"{LOG}?{urlencode({name: value for name, value in values.items() if value})}"

    def query(self, zone: str) -> Select[Any]:
        """The entries, the latest first."""
        found = select(audit_log).order_by(audit_log.c.id.desc())
        if self.which != "all":
            is_look = audit_log.c.act.in_(LOOKS)
            found = found.where(is_look if self.which == "looks" else ~is_look)
        for column, wanted in (
            (audit_log.c.act, self.act),
            (audit_log.c.actor, self.who),
            (audit_log.c.subject, self.about),
        ):
            if wanted:
                found = found.where(column == wanted)
        if self.first:
            found = found.where(audit_log.c.at >= _midnight(self.first, zone))
        if self.last:
            found = found.where(audit_log.c.at < _midnight(self.last + timedelta(days=1), zone))
        return found


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry in words; `link` leads to what it is about, where there is a page of it."""

    at: datetime
    who: str
    says: str
    about: str
    link: str
    reason: str | None
    actor: str
    subject: str


@blueprint.get("")
@access(READ_LOG)
def log() -> str:
    """A part of the log, filtered."""
    programme, asked = versions.current(connection()).programme, _asked()
    part = sql_part(connection(), asked.query(programme.zone), ROWS_ON_A_PAGE, asked_part())
    return show(
        "staff/log.html",
        programme,
        asked=asked,
        filters=FILTERS,
        acts=sorted((words, act) for act, words in ACTS.items() if act not in LOOKS),
        part=part,
        entries=_entries(connection(), part.rows, programme),
        names=overview.acting(connection(), [asked.who]) if asked.who else {},
        most=MAX_EXPORTED,
    )


@blueprint.get("/log.csv")
@access(READ_LOG)
def export() -> Response:
    """The filtered log as a CSV file, the latest entries first. Taking it is logged."""
    asked, zone = _asked(), versions.current(connection()).programme.zone
    rows = connection().execute(asked.query(zone).limit(MAX_EXPORTED)).all()
    names = overview.acting(connection(), {row.actor for row in rows})
    body = csv_rows.write(COLUMNS, (_cells(row, names) for row in rows))
    record_visit("log_exported", "log", rows=len(rows))
    response = Response(body, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="gatehouse-log-{now():%Y-%m-%d}.csv"'
    return response


def _asked() -> Asked:
    given = http_request.args
    return Asked(
        which=given["show"] if given.get("show") in FILTERS else "",
        act=given["act"] if given.get("act") in ACTS else "",
        who=given.get("who", "")[:MAX_ACTOR],
        about=given.get("about", "")[:MAX_ACTOR],
        first=_day(given.get("from", "")),
        last=_day(given.get("to", "")),
    )


def _day(text: str) -> date | None:
    """A day; the first and last days of the calendar have no hours in some zones."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 1970 <= day.year < 9000 else None


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time.min, ZoneInfo(zone))


def _cells(row: Row[Any], names: Mapping[str, str]) -> Sequence[Any]:
    details = json.dumps(row.details, sort_keys=True, ensure_ascii=False)
    at = row.at.isoformat(timespec="seconds")
    return (at, row.actor, names[row.actor], row.act, row.subject, row.reason, details)


def _entries(connection: Connection, rows: Sequence[Row[Any]], programme: Programme) -> list[Entry]:
    acting = overview.acting(connection, {row.actor for row in rows})
    people = overview.names(connection, _numbers(rows, "trainee"))
    held = select(live_sessions.c.id, live_sessions.c.module_id, live_sessions.c.starts_at, live_sessions.c.zone)
    sessions = {
        row.id: f"{short_name(programme, row.module_id)}, {date_of(row.starts_at, row.zone)}"
        for row in connection.execute(held.where(live_sessions.c.id.in_(_numbers(rows, "session"))))
    }
    found = []
    for row in rows:
        about, link = _about(row.subject, people, sessions, programme)
        says = act_in_words(row.act, row.details, programme)
        found.append(Entry(row.at, acting[row.actor], says, about, link, row.reason, row.actor, row.subject))
    return found


def _numbers(rows: Iterable[Row[Any]], kind: str) -> Collection[int]:
    found = {trainee_of(row.subject) for row in rows if row.subject.startswith(f"{kind}:")}
    return [each for each in found if each is not None]


def _about(
    subject: str, people: Mapping[int, str], sessions: Mapping[int, str], programme: Programme
) -> tuple[str, str]:
    """What an entry is about, in words, and the address of its page."""
    kind, _, name = subject.partition(":")
    number = trainee_of(subject) or 0
    if kind == "trainee" and number in people:
        return people[number], f"/desk/people/{number}"
    if kind == "session" and number in sessions:
        return sessions[number], f"/desk/sessions/{number}"
    if kind == "equivalency":
        return f"Request {number}", f"/desk/equivalencies/{number}"
    if kind == "offering" and name in programme.gates:
        return short_name(programme, name), f"/desk/programme/{name}"
    return f"{kind.replace('_', ' ').capitalize()} {number or ''}".strip(), ""
