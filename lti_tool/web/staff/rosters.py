"""Rosters for staff: the courses, the people of one course, and who is missing in a live session.

Long lists of people, a part at a time. People are looked for by the names at which the parts begin: a name that is
searched for would stand in an address.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint
from flask import request as http_request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from lti_tool import audit
from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_sessions import verify_settleable
from lti_tool.lti.claims import LONGEST_ID, is_plain_text
from lti_tool.programme import versions
from lti_tool.rosters import queries, schedule
from lti_tool.rosters.queries import ListedMember
from lti_tool.rosters.schedule import CourseKey
from lti_tool.web.page import go, show
from lti_tool.web.request import connection, now, read_id
from lti_tool.web.session import access, viewer

LONGEST = 200


@dataclass(frozen=True, slots=True)
class Portion:
    """Part `number` (from 1) of a list of `total` people; `begins`: the first name of each part, of one at least."""

    members: Sequence[ListedMember]
    number: int
    total: int
    begins: tuple[str, ...]


def portion(people: Sequence[ListedMember], number: int) -> Portion:
    """This part of the list, the last one where there are fewer."""
    begins = tuple(each.shown_name for each in people[::LONGEST]) or ("",)
    number = min(number, len(begins))
    return Portion(people[(number - 1) * LONGEST : number * LONGEST], number, len(people), begins)


def read_number(text: str) -> int:
    """The part that an address asks for; 1 for what is no such number."""
    try:
        return max(read_id(text), 1)
    except ValueError:
        return 1


blueprint = Blueprint("rosters", __name__, url_prefix="/desk/rosters")


@blueprint.get("")
@access("staff")
def rosters() -> str:
    """Every course with a roster: how many people, how fresh, what is in the way."""
    found = queries.courses(connection(), now())
    programme = versions.current(connection()).programme
    return show("staff/rosters.html", programme, courses=found, address=_address)


@blueprint.get("/course")
@access("staff")
def course() -> str:
    """The people of one course, and its live sessions with how many of them were there."""
    key = _key(http_request.args)
    found = queries.course(connection(), key, now())
    without_staff = http_request.args.get("staff") == "hide"
    members = queries.members(connection(), key)
    learners = queries.learners_among(members)
    shown = [each for each in members if not (without_staff and each.role == "staff")]
    taught = queries.sessions_of(connection(), key, now())
    return show(
        "staff/roster.html",
        versions.current(connection()).programme,
        course=found,
        address=_address(key),
        members=portion(shown, read_number(http_request.args.get("page", ""))),
        without_staff=without_staff,
        learners=len(learners),
        sessions=taught,
        present=queries.count_present(connection(), taught, learners),
    )


@blueprint.post("/read")
@access("staff")
def read_now() -> Response:
    """Let the worker read one roster now."""
    key = _key(http_request.form)
    schedule.ask_now(connection(), key, now())
    return go(_address(key), "roster_asked")


@blueprint.get("/missing/<int:session_id>")
@access("staff")
def absent(session_id: int) -> str:
    """Who of the enrolled was not seen in a live session so far."""
    session = live_sessions.show(connection(), session_id)
    seen = queries.seen_in(connection(), session_id)
    return show(
        "staff/missing.html",
        versions.version(connection(), session.programme_version).programme,
        session=session,
        seen=seen,
        courses=queries.of_session(connection(), session, seen, now()),
        number=read_number(http_request.args.get("page", "")),
        portion=portion,
        address=_address,
    )


@blueprint.post("/missing/<int:session_id>/look")
@access("staff")
def look_now(session_id: int) -> Response:
    """Bring a session's attendance up to date with what Zoom has said so far; nothing rests on it while it runs."""
    verify_settleable(live_sessions.show(connection(), session_id))
    live_sessions.ask_for(connection(), session_id, now())
    actor, subject = viewer().actor, f"session:{session_id}"
    audit.record(connection(), actor=actor, act="attendance_asked", subject=subject, at=now())
    return go(f"/desk/rosters/missing/{session_id}", "attendance_asked")


def _key(given: "MultiDict[str, str]") -> CourseKey:
    """The course that an address or a form names. Raises NotFound `roster_unknown` for what is none."""
    context_id = given.get("course", "")
    try:
        platform = read_id(given.get("platform", ""))
    except ValueError:
        raise schedule.unknown() from None
    if not is_plain_text(context_id, LONGEST_ID):
        raise schedule.unknown()
    return CourseKey(platform, context_id)


def _address(key: CourseKey) -> str:
    return "/desk/rosters/course?" + urlencode({"platform": key.registration_id, "course": key.context_id})
