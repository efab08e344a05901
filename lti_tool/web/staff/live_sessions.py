"""Live sessions for staff: the list and the calendar, one session's attendance, one person's day, and the export.

Staff record the end of a session, name its breakout rooms, lock it and open it again. They ask everyone in it whether
they are there (presence checks), and see who is registered at Zoom, who is not and why, and the meeting's settings.
"""

import calendar
import re
from collections import Counter
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, Response
from flask import request as http_request
from sqlalchemy import ColumnElement, case, select
from werkzeug.wrappers import Response as AnyResponse

from lti_tool.attendance import live_sessions, locking, presence_checks, queries, timeline
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.locking import Progress, progress
from lti_tool.credit import claims
from lti_tool.errors import Conflict
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.rights import CORRECT_ATTENDANCE, RUN_SESSIONS, SEE_CLASSES
from lti_tool.tables.live_sessions import live_sessions as table
from lti_tool.times import zone_of
from lti_tool.web.forms import field, sent
from lti_tool.web.page import asked_part, go, show, sql_part
from lti_tool.web.request import connection, context, now, read_id, writes
from lti_tool.web.session import Limits, access, only_course, our_people, our_sessions, record_visit, viewer
from lti_tool.web.staff import attendance, overview, session_numbers
from lti_tool.web.staff.attendance import ONLY, SORTS, SheetView
from lti_tool.web.staff.session_plan import wall_time
from zoom_adapter import meetings, places, reconcile, reports

ROWS_ON_A_PAGE = 50
# The states that the list can be filtered by, in words.
STATES = {
    "coming": "To come",
    "provisional": "Provisional",
    "confirmed": "Confirmed",
    "locked": "Locked",
    "cancelled": "Cancelled",
}
MONTH = re.compile(r"(20\d\d|21\d\d)-(0[1-9]|1[0-2])")
# How long a presence check is open.
LENGTHS = {60: "1 minute", 120: "2 minutes", 300: "5 minutes"}

blueprint = Blueprint("desk_sessions", __name__, url_prefix="/desk/sessions")


@dataclass(frozen=True, slots=True)
class Shown:
    """Which sessions are shown: those of one module, in one state of STATES; as a list, or those of one `month`
    ("2026-12") as a calendar."""

    module: str = ""
    state: str = ""
    month: str = ""

    def address(self, page: int = 1, **changes: str) -> str:
        """The address of the same with changes; `page` is the part of the list."""
        asked = asdict(replace(self, **changes)) | {"page": page if page > 1 else ""}
        return "/desk/sessions?" + urlencode({name: value for name, value in asked.items() if value})

    def conditions(self, now: datetime) -> list[ColumnElement[bool]]:
        wanted = {
            "coming": (table.c.ends_at > now) & (table.c.state != "cancelled"),
            "provisional": table.c.state == "provisional",
            "confirmed": table.c.state == "reconciled",
            "locked": table.c.state == "locked",
            "cancelled": table.c.state == "cancelled",
        }
        found = [wanted[self.state]] if self.state else []
        return [*found, table.c.module_id == self.module] if self.module else found


@blueprint.get("")
@access(SEE_CLASSES)
def sessions() -> str:
    """The live sessions: those to come, the next one first, and below them the past, the latest first; or one month of
    them. Anything odd in the query is ignored."""
    programme = versions.current(connection()).programme
    given = http_request.args
    shown = Shown(
        module=given["module"] if given.get("module") in programme.modules else "",
        state=given["state"] if given.get("state") in STATES else "",
        month=given["month"] if MONTH.fullmatch(given.get("month", "")) else "",
    )
    if shown.month:
        return _month(programme, shown)
    is_past = table.c.ends_at <= now()
    order = (is_past, case((is_past, None), else_=table.c.starts_at), table.c.starts_at.desc(), table.c.id)
    query = live_sessions.planned(*shown.conditions(now()), *our_sessions()).order_by(*order)
    part = sql_part(connection(), query, ROWS_ON_A_PAGE, asked_part())
    found = live_sessions.load(part.rows)
    return show(
        "staff/sessions.html",
        programme,
        part=part,
        running=[each for each in found if each.starts_at <= now() < each.ends_at and each.state != "cancelled"],
        coming=[
            each for each in found if each.ends_at > now() and (each.starts_at > now() or each.state == "cancelled")
        ],
        past=[each for each in found if each.ends_at <= now()],
        numbers=session_numbers.of_sessions(connection(), found),
        **_filters(programme, shown),
    )


def _month(programme: Programme, shown: Shown) -> str:
    year, month = map(int, shown.month.split("-"))
    days = list(calendar.Calendar().itermonthdates(year, month))
    zone = zone_of(programme.zone)
    opens, closes = (datetime.combine(day, time(), zone) for day in (days[0], days[-1] + timedelta(days=1)))
    within = (table.c.starts_at >= opens, table.c.starts_at < closes, *our_sessions())
    query = live_sessions.planned(*shown.conditions(now()), *within).order_by(table.c.starts_at, table.c.id)
    found = live_sessions.load(connection().execute(query))
    on = {day: [each for each in found if each.starts_at.astimezone(zone).date() == day] for day in days}
    first = date(year, month, 1)
    return show(
        "staff/sessions_month.html",
        programme,
        first=first,
        days=on,
        today=now().astimezone(zone).date(),
        before=f"{first - timedelta(days=1):%Y-%m}",
        after=f"{first + timedelta(days=31):%Y-%m}",
        numbers=session_numbers.of_sessions(connection(), found),
        **_filters(programme, shown),
    )


def _filters(programme: Programme, shown: Shown) -> dict[str, Any]:
    held = set(connection().scalars(select(table.c.module_id).where(*our_sessions()).distinct()))
    modules = {each.id: each.label for each in programme.modules.values() if each.id in held}
    this_month = f"{now().astimezone(zone_of(programme.zone)):%Y-%m}"
    return {"shown": shown, "modules": modules, "states": STATES, "this_month": this_month}


@blueprint.get("/<int:session_id>")
@access(SEE_CLASSES)
def session(session_id: int) -> str:
    """Everyone's minutes, evidence, notes, completion and credit in one session, its curve and its numbers.

    Anything odd in the query is ignored.
    """
    found = live_sessions.show(connection(), session_id)
    given = http_request.args
    view = SheetView(
        sort=given["sort"] if given.get("sort") in SORTS else "name",
        downwards=given.get("down") == "1",
        only=given["only"] if given.get("only") in ONLY else "",
        number=asked_part(),
    )
    funnel = session_numbers.funnel(connection(), found)
    sheet = attendance.sheet(connection(), found, view, session_numbers.teachers(connection(), found), our_people())
    return show(
        "staff/session.html",
        _programme_of(found),
        session=found,
        progress=_progress(found),
        funnel=funnel,
        sheet=sheet,
        usual=next((each for each, _ in Counter(row.known_from for row in sheet.part.rows).most_common(1)), ""),
        curve=attendance.curve(sheet.rows, found, funnel.enrolled, now()),
        view=view,
        filters=ONLY,
        strip_width=attendance.STRIP_WIDTH,
    )


@blueprint.get("/<int:session_id>/settings")
@access(RUN_SESSIONS)
def session_settings(session_id: int) -> str:
    """The plan of one session, how final its attendance is, the names of its rooms, and what Zoom's reports said."""
    found = live_sessions.show(connection(), session_id)
    return show(
        "staff/session_settings.html",
        _programme_of(found),
        session=found,
        progress=_progress(found),
        reports=reports.report_progress(connection(), found, has_api=context().settings.has_zoom_api),
        has_api=context().settings.has_zoom_api,
        cases=locking.open_cases(connection(), found.id) if found.state == "reconciled" else (),
        rooms=live_sessions.rooms_entered(connection(), found.id),
        room_labels=live_sessions.labels(connection(), found.id),
    )


@blueprint.get("/<int:session_id>/people/<int:attendance_id>")
@access(SEE_CLASSES)
def person(session_id: int, attendance_id: int) -> str:
    """One version of one person's day, beside all its versions. The visit is logged."""
    found = live_sessions.show(connection(), session_id)
    shown, every = queries.show(connection(), session_id, attendance_id)
    who = shown.trainee_id
    subject = f"trainee:{who}" if who else f"attendance:{attendance_id}"
    record_visit("attendance_reviewed", subject, session=session_id)
    programme = _programme_of(found)
    labels = live_sessions.labels(connection(), session_id)
    grace = programme.completion.grace_seconds if programme.completion else 0
    names = overview.names(connection(), {who} if who is not None else set())
    return show(
        "staff/day.html",
        programme,
        session=found,
        progress=_progress(found),
        shown=shown,
        versions=every,
        name=names.get(who or 0) or shown.name or "a person without a name",
        rows=timeline.stretches(shown.day, timeline.WHY_OF_ANOTHER, grace),
        whereabouts=timeline.whereabouts(shown.day),
        questions=shown.day.participation.questions,
        picture=timeline.draw(shown.day, found.zone, labels, grace),
        room_labels=labels,
        claims=[] if who is None or only_course() else claims.of_session(connection(), programme, who, session_id),
    )


@blueprint.get("/<int:session_id>/attendance.csv")
@access(SEE_CLASSES)
@writes
def export(session_id: int) -> Response:
    """The attendance as a CSV file. The download is logged."""
    actor = viewer().actor
    file = attendance.export(connection(), session_id, purpose="desk", actor=actor, now=now(), among=our_people())
    response = Response(file.body, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{file.filename}"'
    return response


@blueprint.post("/<int:session_id>/end")
@access(RUN_SESSIONS)
def end(session_id: int) -> AnyResponse:
    """Record when the session ended; the form gives wall time in the session's zone."""
    zone = live_sessions.show(connection(), session_id).zone
    at = wall_time(field("at")).replace(tzinfo=ZoneInfo(zone))
    locking.end(connection(), session_id, at=at, reason=field("reason"), actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}/settings", "session_ended")


@blueprint.post("/<int:session_id>/lock")
@access(CORRECT_ATTENDANCE)
def lock(session_id: int) -> AnyResponse:
    """Make the attendance final."""
    locking.lock(connection(), session_id, actor=viewer().actor, reason=field("reason"), now=now())
    return go(f"/desk/sessions/{session_id}/settings", "session_locked")


@blueprint.post("/<int:session_id>/reopen")
@access(CORRECT_ATTENDANCE)
def reopen(session_id: int) -> AnyResponse:
    """Undo a lock."""
    locking.reopen(connection(), session_id, actor=viewer().actor, reason=field("reason"), now=now())
    return go(f"/desk/sessions/{session_id}/settings", "session_reopened")


@blueprint.post("/<int:session_id>/reports")
@access(CORRECT_ATTENDANCE)
def ask_for_reports(session_id: int) -> AnyResponse:
    """Let the worker ask Zoom again for the reports of this session, now."""
    has_api = context().settings.has_zoom_api
    reconcile.ask_again(connection(), session_id, has_api=has_api, actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}/settings", "reports_asked")


@blueprint.post("/<int:session_id>/reports/waive")
@access(CORRECT_ATTENDANCE)
def waive_reports(session_id: int) -> AnyResponse:
    """Decide without the reports that Zoom does not give."""
    reports.waive_report(connection(), session_id, actor=viewer().actor, reason=field("reason"), now=now())
    return go(f"/desk/sessions/{session_id}/settings", "reports_waived")


@blueprint.post("/<int:session_id>/rooms")
@access(RUN_SESSIONS, Limits(max_fields=1000))
def name_rooms(session_id: int) -> AnyResponse:
    """Name the breakout rooms; the form gives each room before its label."""
    given = sent("room", "label")
    labels = dict(zip(given["room"], given["label"], strict=False))
    live_sessions.name_rooms(connection(), session_id, labels, actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}/settings", "rooms_named")


@blueprint.get("/<int:session_id>/checks")
@access(RUN_SESSIONS)
def checks(session_id: int) -> str:
    """The checks of one session, and the form that asks."""
    return _checks_page("staff/presence_checks.html", session_id)


@blueprint.get("/<int:session_id>/checks/now")
@access(RUN_SESSIONS)
def checks_now(session_id: int) -> str:
    """The part that changes, for the page's script."""
    return _checks_page("staff/presence_checks_now.html", session_id)


@blueprint.post("/<int:session_id>/checks")
@access(RUN_SESSIONS)
def ask_whether_there(session_id: int) -> AnyResponse:
    """Ask everyone in the session whether they are there."""
    open_for = timedelta(seconds=http_request.form.get("seconds", 120, read_id))
    presence_checks.ask(connection(), session_id, open_for=open_for, actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}/checks", "presence_asked")


def _checks_page(template: str, session_id: int) -> str:
    session = live_sessions.show(connection(), session_id)
    asked = presence_checks.of_session(connection(), session_id)
    is_cancelled = session.state == "cancelled"
    return show(
        template,
        _programme_of(session),
        session=session,
        asked=asked,
        open_ids=[each.check.id for each in asked if not is_cancelled and each.check.is_open(now())],
        lengths=LENGTHS,
        running=not is_cancelled and session.starts_at <= now() < session.ends_at,
    )


@blueprint.get("/<int:session_id>/zoom")
@access(RUN_SESSIONS)
def session_at_zoom(session_id: int) -> str:
    """The registrations of the session's meeting, those with a problem first, and the settings of the meeting."""
    session = live_sessions.show(connection(), session_id)
    programme = _programme_of(session)
    listed = places.listed(connection(), session.zoom_meeting_id)
    rows = [(each, places.standing(each.place, each.email)) for each in listed]
    troubled = [row for row in rows if row[1].kind in ("stop", "wait")]
    return show(
        "staff/places.html",
        programme,
        session=session,
        registers=context().settings.has_zoom_api,
        by_gate=context().settings.zoom_registration == "gate",
        ready=sum(each.place.is_ready for each in listed),
        troubled=troubled,
        others=[row for row in rows if row not in troubled],
        strangers=places.strangers(connection(), session.zoom_meeting_id),
        checked=meetings.of_session(connection(), session, programme),
        says=places.reason,
    )


@blueprint.post("/<int:session_id>/zoom/places/<int:place_id>")
@access(RUN_SESSIONS)
def try_place_again(session_id: int, place_id: int) -> AnyResponse:
    """Ask the worker to try this registration again now."""
    places.try_again(connection(), place_id, actor=viewer().actor, now=now())
    return go(f"/desk/sessions/{session_id}/zoom", "place_again")


@blueprint.post("/<int:session_id>/zoom/settings")
@access(RUN_SESSIONS)
def read_settings_again(session_id: int) -> AnyResponse:
    """Read the meeting's settings again, after they were changed at Zoom. Raises Conflict `settings_not_read`."""
    session = live_sessions.show(connection(), session_id)
    if session.state == "cancelled" or session.ends_at <= now() or not context().settings.has_zoom_api:
        raise Conflict(
            "settings_not_read",
            "Gatehouse does not read this meeting's settings: the session is over or cancelled, or Zoom's credentials "
            "are not set.",
            "Check the meeting at Zoom itself.",
        )
    meetings.reread_settings(connection(), session.zoom_meeting_id, now())
    return go(f"/desk/sessions/{session_id}/zoom", "settings_again")


def _programme_of(session: LiveSession) -> Programme:
    return versions.version(connection(), session.programme_version).programme


def _progress(session: LiveSession) -> Progress:
    settings = context().settings
    return progress(session, now(), has_reports=settings.has_zoom_api, lock_days=settings.lock_days)
