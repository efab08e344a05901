"""The plan of live sessions, as staff change it: add one or several, edit, move, cancel, duplicate.

Each form is judged by the rules of `attendance.live_sessions`. What is refused stands above the form that was sent,
with everything that the person entered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask import Blueprint
from flask import request as http_request
from werkzeug.wrappers import Response

from lti_tool.attendance import agenda, live_sessions
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.programme import versions
from lti_tool.programme.catalogue import Module
from lti_tool.programme.model import Programme
from lti_tool.rights import RUN_SESSIONS
from lti_tool.text import meeting_number
from lti_tool.times import zone_of
from lti_tool.web.forms import Problems, problems, sent
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, context, now, read_id
from lti_tool.web.session import access, viewer
from lti_tool.web.staff import session_numbers
from zoom_adapter import places

Page = str | Response | tuple[str, int]

# A typing error in the year would make a session that no list and no calendar can show.
YEARS = range(2000, 2200)
MAX_DATES = 30
REFUSED = (BadInput, Conflict, NotFound)
# Which field of a form a refusal is about.
FIELD_OF = {
    "agenda_unset": "module",
    "join_url_wrong": "join_url",
    "meeting_id_wrong": "meeting",
    "module_unknown": "module",
    "reason_missing": "reason",
    "session_in_past": "starts",
    "session_note_long": "note",
    "session_overlaps": "starts",
    "wall_time_wrong": "starts",
    "zoom_kind_wrong": "kind",
}

blueprint = Blueprint("desk_plan", __name__, url_prefix="/desk/sessions")


@dataclass(frozen=True, slots=True)
class Planned:
    """One date of several: what the person entered, the session as it would be, or why it is refused."""

    entered: str
    session: LiveSession | None
    problem: str = ""


@blueprint.get("/add")
@access(RUN_SESSIONS)
def add_form() -> Page:
    """The form for new sessions: of the module in the address, or with the values of the session that it is `like`."""
    asked = http_request.args
    given = {"module": asked.get("module", ""), "kind": "meeting"}
    try:
        like = live_sessions.show(connection(), read_id(asked["like"])) if "like" in asked else None
    except ValueError:
        like = None
    if like is not None:
        given = {**_entered(like), "module": like.module_id, "like": str(like.id)}
    return _add_page(given, {})


@blueprint.post("/add")
@access(RUN_SESSIONS)
def add() -> Page:
    """Schedule one session by the rules of the programme published now. Several dates are shown first."""
    given = sent()
    entered = [given.get("starts", ""), *_lines(given)]
    if len(entered) > MAX_DATES:
        return _add_page(given, {"more": [f"Please add at most {MAX_DATES} sessions at a time."]}), 422
    if len(entered) == 1:
        try:
            session_id = _add_one(given, entered[0])
        except REFUSED as refusal:
            return _add_page(given, problems(refusal, FIELD_OF)), refusal.status
        return go(f"/desk/sessions/{session_id}", "session_added")
    planned = _try_out(given, entered)
    refused = [each for each in planned if each.problem]
    if refused or given.get("confirmed") != "yes":
        programme = versions.current(connection()).programme
        page = show("staff/add_sessions.html", programme, planned=planned, refused=refused, given=given)
        return (page, 422) if refused else page
    for each in entered:
        _add_one(given, each)
    return go("/desk/sessions", "sessions_added")


@blueprint.get("/<int:session_id>/edit")
@access(RUN_SESSIONS)
def edit_form(session_id: int) -> Page:
    """The form that changes note, meeting and join link."""
    session = live_sessions.show(connection(), session_id)
    return _plan_page("staff/session_edit.html", session, _entered(session), {})


@blueprint.post("/<int:session_id>/edit")
@access(RUN_SESSIONS)
def edit(session_id: int) -> Page:
    """Save them. An empty join link leaves the saved one, unless the person asked to remove it."""
    given = sent()
    session = live_sessions.show(connection(), session_id)
    kept = None if given.get("forget_link") == "yes" else session.join_url
    try:
        live_sessions.edit(
            connection(),
            session_id,
            sequence=_sequence(given),
            zoom_meeting_id=given.get("meeting", ""),
            zoom_kind=given.get("kind", ""),
            join_url=given.get("join_url") or kept,
            note=given.get("note", ""),
            actor=viewer().actor,
            now=now(),
        )
    except REFUSED as refusal:
        return _plan_page("staff/session_edit.html", session, given, problems(refusal, FIELD_OF)), refusal.status
    return go(f"/desk/sessions/{session_id}/settings", "session_edited")


@blueprint.get("/<int:session_id>/move")
@access(RUN_SESSIONS)
def move_form(session_id: int) -> Page:
    """The form that holds a session at another time."""
    session = live_sessions.show(connection(), session_id)
    return _plan_page("staff/session_move.html", session, {}, {})


@blueprint.post("/<int:session_id>/move")
@access(RUN_SESSIONS)
def move(session_id: int) -> Page:
    """Move the session, with a reason."""
    given = sent()
    session = live_sessions.show(connection(), session_id)
    try:
        live_sessions.move(
            connection(),
            session_id,
            sequence=_sequence(given),
            starts=wall_time(given.get("starts", "")),
            reason=given.get("reason", ""),
            actor=viewer().actor,
            now=now(),
        )
    except REFUSED as refusal:
        return _plan_page("staff/session_move.html", session, given, problems(refusal, FIELD_OF)), refusal.status
    return go(f"/desk/sessions/{session_id}/settings", "session_moved")


@blueprint.get("/<int:session_id>/cancel")
@access(RUN_SESSIONS)
def cancel_form(session_id: int) -> Page:
    """Whom it concerns, what will happen, and a reason."""
    session = live_sessions.show(connection(), session_id)
    return _plan_page("staff/session_cancel.html", session, {}, {})


@blueprint.post("/<int:session_id>/cancel")
@access(RUN_SESSIONS)
def cancel(session_id: int) -> Page:
    """Cancel the session, with a reason."""
    given = sent()
    session = live_sessions.show(connection(), session_id)
    why, sequence = given.get("reason", ""), _sequence(given)
    try:
        live_sessions.cancel(connection(), session_id, reason=why, sequence=sequence, actor=viewer().actor, now=now())
    except REFUSED as refusal:
        return _plan_page("staff/session_cancel.html", session, given, problems(refusal, FIELD_OF)), refusal.status
    return go(f"/desk/sessions/{session_id}/settings", "session_cancelled")


def wall_time(text: str) -> datetime:
    """A date and time without an offset, in a plausible year. Raises BadInput "wall_time_wrong"."""
    wrong = BadInput("wall_time_wrong", "Give a date and a time, for example 2026-12-01T09:00.")
    try:
        wall = datetime.fromisoformat(text)
    except ValueError as error:
        raise wrong from error
    if wall.tzinfo is not None or not ("T" in text or " " in text) or wall.year not in YEARS:
        raise wrong
    return wall


def _add_page(given: Mapping[str, str], problems: Problems) -> str:
    programme = versions.current(connection()).programme
    modules = [each for each in programme.modules.values() if programme.is_published(each.id)]
    chosen = next((each for each in modules if each.id == given.get("module")), None)
    return show(
        "staff/add_session.html",
        programme,
        modules=modules,
        chosen=chosen,
        segments=_agenda(programme, chosen),
        kinds=live_sessions.KINDS,
        given=given,
        problems=problems,
        max_dates=MAX_DATES,
    )


def _agenda(programme: Programme, module: Module | None) -> Sequence[agenda.Segment]:
    """The module's agenda as it would be today; empty without one."""
    known = programme.agendas.get(module.agenda) if module is not None and module.agenda else None
    return agenda.lay_out(known, now().astimezone(zone_of(programme.zone)).date(), programme.zone) if known else ()


def _add_one(given: Mapping[str, str], entered: str) -> int:
    """Raises as `live_sessions.add` does, and BadInput "session_in_past" unless the person said that it is over."""
    starts = wall_time(entered)
    published = versions.current(connection())
    module_id, zone = given.get("module", ""), published.programme.zone
    if given.get("past") != "yes":
        first = live_sessions.agenda_on(published.programme, module_id, starts, zone)[0]
        live_sessions.verify_to_come(first.starts_at, now())
    return live_sessions.add(
        connection(),
        published,
        module_id=module_id,
        starts=starts,
        zoom_meeting_id=given.get("meeting", ""),
        zoom_kind=given.get("kind", ""),
        join_url=given.get("join_url") or _link_of(given),
        note=given.get("note", ""),
        actor=viewer().actor,
        now=now(),
    )


def _link_of(given: Mapping[str, str]) -> str | None:
    """The join link of the session that was duplicated, as long as the meeting is the same."""
    if not given.get("like", "").isdecimal():
        return None
    like = live_sessions.show(connection(), read_id(given["like"]))
    return like.join_url if like.zoom_meeting_id == meeting_number(given.get("meeting", "")) else None


def _try_out(given: Mapping[str, str], entered: Sequence[str]) -> list[Planned]:
    """Every date as it would be added after those before it. Nothing is written."""
    planned = []
    with connection().begin_nested() as unwritten:
        for each in entered:
            try:
                planned.append(Planned(each, live_sessions.show(connection(), _add_one(given, each))))
            except REFUSED as refusal:
                planned.append(Planned(each, None, refusal.message))
        unwritten.rollback()
    return planned


def _lines(given: Mapping[str, str]) -> list[str]:
    """The further dates, one a line; a date alone means the same time of day as the first one."""
    clock = given.get("starts", "")[10:]
    found = [line.strip() for line in given.get("more", "").splitlines() if line.strip()]
    return [f"{line}{clock}" if _is_date(line) else line for line in found]


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _plan_page(template: str, session: LiveSession, given: Mapping[str, Any], problems: Problems) -> str:
    taken = places.wanted(connection(), session.zoom_meeting_id)
    return show(
        template,
        versions.version(connection(), session.programme_version).programme,
        session=session,
        given=given,
        saved=_entered(session),
        problems=problems,
        kinds=live_sessions.KINDS,
        enrolled=session_numbers.of_sessions(connection(), [session])[session.id].enrolled,
        registered=len(taken),
        has_mail=context().settings.has_mail,
        others=len(live_sessions.of_meeting(connection(), session.zoom_meeting_id)) > 1,
    )


def _entered(session: LiveSession) -> dict[str, str]:
    """What a form of this session holds. A join link is never shown."""
    return {"note": session.note or "", "meeting": session.zoom_meeting_id, "kind": session.zoom_kind}


def _sequence(given: Mapping[str, str]) -> int:
    """The plan that the person saw; none that there can be for anything else."""
    text = given.get("sequence", "")
    return int(text) if text.isdecimal() and len(text) < 10 else -1
