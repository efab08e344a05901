"""Rosters for staff: the courses, the people of one course, and who is missing from a live session."""

from typing import Any
from urllib.parse import urlencode

from flask import Blueprint
from flask import request as http_request
from sqlalchemy import Select
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from lti_tool import audit
from lti_tool.attendance import live_sessions
from lti_tool.lti.claims import LONGEST_ID, is_plain_text
from lti_tool.programme import versions
from lti_tool.rights import SEE_CLASSES, missing
from lti_tool.rosters import queries, schedule
from lti_tool.rosters.schedule import CourseKey
from lti_tool.web.page import Part, asked_part, go, show, sql_part
from lti_tool.web.request import connection, now, read_id
from lti_tool.web.session import access, is_ours, viewer
from lti_tool.web.staff import session_numbers

PEOPLE_ON_A_PAGE = 100

blueprint = Blueprint("rosters", __name__, url_prefix="/desk/rosters")


@blueprint.get("")
@access(SEE_CLASSES)
def rosters() -> str:
    """Every course with a roster: how many people, how fresh, and what went wrong."""
    programme = versions.current(connection()).programme
    ours = [each for each in queries.courses(connection(), now()) if is_ours(*each.key)]
    return show("staff/rosters.html", programme, courses=ours, address=_address)


@blueprint.get("/course")
@access(SEE_CLASSES)
def course() -> str:
    """The people of one course, and its live sessions with how many of them were there."""
    key = _course_key(http_request.args)
    found = queries.course(connection(), key, now())
    without_staff = http_request.args.get("staff") == "hide"
    members = queries.listed(key, *([queries.is_no_staff] if without_staff else []))
    sessions = queries.sessions_of(connection(), key, now())
    return show(
        "staff/roster.html",
        versions.current(connection()).programme,
        course=found,
        address=_address(key),
        members=_part(members),
        without_staff=without_staff,
        learners=queries.count_learners(connection(), key),
        sessions=sessions,
        present=queries.count_present(connection(), key, sessions),
    )


@blueprint.post("/read")
@access(SEE_CLASSES)
def read_now() -> Response:
    """Ask the worker to read one roster now."""
    key = _course_key(http_request.form)
    schedule.ask_now(connection(), key, now())
    return go(_address(key), "roster_asked")


@blueprint.get("/missing/<int:session_id>")
@access(SEE_CLASSES)
def absent(session_id: int) -> str:
    """The enrolled people who have not been in a live session so far."""
    session = live_sessions.show(connection(), session_id)
    locked = session_numbers.needing(connection(), session, now()).locked
    found = queries.of_session(connection(), session, locked, now())
    return show(
        "staff/missing.html",
        versions.version(connection(), session.programme_version).programme,
        session=session,
        attendees=queries.attendees_of(connection(), session_id),
        courses=[
            (each, _part(each.missing), _part(each.done), _part(each.locked))
            for each in found
            if is_ours(*each.roster.key)
        ],
        course_address=_address,
    )


@blueprint.post("/missing/<int:session_id>/look")
@access(SEE_CLASSES)
def look_now(session_id: int) -> Response:
    """Bring a session's attendance up to date with what Zoom has sent so far."""
    live_sessions.verify_settleable(live_sessions.show(connection(), session_id))
    live_sessions.request_settlement(connection(), session_id, now())
    actor, subject = viewer().actor, f"session:{session_id}"
    audit.record(connection(), actor=actor, act="attendance_asked", subject=subject, at=now())
    return go(f"/desk/rosters/missing/{session_id}", "attendance_asked")


def _part(query: Select[Any]) -> Part[queries.ListedMember]:
    """The part of these people that the address asks for."""
    found = sql_part(connection(), query, PEOPLE_ON_A_PAGE, asked_part())
    return Part(queries.as_members(found.rows), found.number, found.total, found.firsts, found.size)


def _course_key(given: "MultiDict[str, str]") -> CourseKey:
    """The course that an address or a form names. Raises NotFound `roster_unknown`, and AccessDenied for a course that
    is not the viewer's."""
    context_id = given.get("course", "")
    try:
        platform = read_id(given.get("platform", ""))
    except ValueError:
        raise schedule.unknown() from None
    if not is_plain_text(context_id, LONGEST_ID):
        raise schedule.unknown()
    if not is_ours(platform, context_id):
        raise missing(SEE_CLASSES)
    return CourseKey(platform, context_id)


def _address(key: CourseKey) -> str:
    return "/desk/rosters/course?" + urlencode({"platform": key.registration_id, "course": key.context_id})
