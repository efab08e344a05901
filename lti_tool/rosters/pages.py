"""Rosters for staff: the courses, the people of one course, and who is missing in a live session."""

from urllib.parse import urlencode

from flask import Blueprint
from flask import request as http_request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from lti_tool import audit, publication
from lti_tool.lti.claim_fields import LONGEST_ID, is_plain_text
from lti_tool.page import go, show
from lti_tool.request import connection, now
from lti_tool.rosters import due, lists, missing
from lti_tool.rosters.due import CourseKey
from lti_tool.rosters.portions import portion, read_number
from lti_tool.session import access, viewer
from lti_tool.sessions import live_sessions, settle_tasks
from lti_tool.sessions.settlement import verify_settleable
from lti_tool.url_parts import read_id

blueprint = Blueprint("rosters", __name__, url_prefix="/desk/rosters")


@blueprint.get("")
@access("staff")
def rosters() -> str:
    """Every course with a roster: how many people, how fresh, what is in the way."""
    found = lists.courses(connection(), now())
    programme = publication.current(connection()).programme
    return show("rosters/rosters.html", programme, courses=found, address=_address)


@blueprint.get("/course")
@access("staff")
def course() -> str:
    """The people of one course, and its live sessions with how many of them were there."""
    key = _key(http_request.args)
    found = lists.course(connection(), key, now())
    without_staff = http_request.args.get("staff") == "hide"
    members = lists.members(connection(), key)
    learners = missing.learners_among(members)
    shown = [each for each in members if not (without_staff and each.role == "staff")]
    taught = missing.sessions_of(connection(), key, now())
    return show(
        "rosters/course.html",
        publication.current(connection()).programme,
        course=found,
        address=_address(key),
        members=portion(shown, read_number(http_request.args.get("page", ""))),
        without_staff=without_staff,
        learners=len(learners),
        sessions=taught,
        present=missing.count_present(connection(), taught, learners),
    )


@blueprint.post("/read")
@access("staff")
def read_now() -> Response:
    """Let the worker read one roster now."""
    key = _key(http_request.form)
    due.ask_now(connection(), key, now())
    return go(_address(key), "roster_asked")


@blueprint.get("/missing/<int:session_id>")
@access("staff")
def absent(session_id: int) -> str:
    """Who of the enrolled was not seen in a live session so far."""
    session = live_sessions.show(connection(), session_id)
    seen = missing.seen_in(connection(), session_id)
    return show(
        "rosters/missing.html",
        publication.version(connection(), session.programme_version).programme,
        session=session,
        seen=seen,
        courses=missing.of_session(connection(), session, seen, now()),
        number=read_number(http_request.args.get("page", "")),
        portion=portion,
        address=_address,
    )


@blueprint.post("/missing/<int:session_id>/look")
@access("staff")
def look_now(session_id: int) -> Response:
    """Bring a session's attendance up to date with what Zoom has said so far; nothing rests on it while it runs."""
    verify_settleable(live_sessions.show(connection(), session_id))
    settle_tasks.ask_for(connection(), session_id, now())
    actor, subject = viewer().actor, f"session:{session_id}"
    audit.record(connection(), actor=actor, act="attendance_asked", subject=subject, at=now())
    return go(f"/desk/rosters/missing/{session_id}", "attendance_asked")


def _key(given: "MultiDict[str, str]") -> CourseKey:
    """The course that an address or a form names. Raises NotFound `roster_unknown` for what is none."""
    context_id = given.get("course", "")
    try:
        platform = read_id(given.get("platform", ""))
    except ValueError:
        raise due.unknown() from None
    if not is_plain_text(context_id, LONGEST_ID):
        raise due.unknown()
    return CourseKey(platform, context_id)


def _address(key: CourseKey) -> str:
    return "/desk/rosters/course?" + urlencode({"platform": key.registration_id, "course": key.context_id})
