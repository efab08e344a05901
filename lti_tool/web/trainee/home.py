"""The trainee's home page: the next thing to do, the class that runs, the modules and the progress."""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from flask import Blueprint, redirect
from flask import request as http_request
from sqlalchemy import Row
from werkzeug.wrappers import Response

from lti_tool.attendance import live_sessions, queries
from lti_tool.attendance.agenda import instructional_seconds
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.timeline import bar
from lti_tool.credit import claims, licences
from lti_tool.credit.checklist import body_name
from lti_tool.errors import NotFound
from lti_tool.gates import decide, equivalency
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.web.page import show
from lti_tool.web.request import connection, context, now, read_id
from lti_tool.web.session import access, viewer
from lti_tool.web.staff.live_board import BoardOf
from lti_tool.web.trainee import join, with_team
from lti_tool.web.trainee.class_now import load_class
from lti_tool.web.trainee.next_thing import NextThing, next_thing
from lti_tool.web.trainee.progress import by_series, load_progress

# The list of what is with the training team; the record has all of it.
MAX_WITH_TEAM = 5


def blueprint(board_of: BoardOf) -> Blueprint:
    """The pages; `board_of(connection, session, now)` says who is in a running session."""
    pages = Blueprint("home", __name__)

    @pages.get("/")
    @access("trainee")
    def home() -> str | Response:
        """The next thing to do, the modules by series with their states, and what is with the training team."""
        if viewer().teaches:
            return redirect("/desk", 303)
        published, trainee_id = versions.current(connection()), viewer().trainee_id
        programme = published.programme
        series = by_series(programme, load_progress(connection(), published, trainee_id, now()))
        attended = queries.of_trainee(connection(), trainee_id)
        requests = equivalency.of_trainee(connection(), trainee_id)
        attending = {each.session_id for each in attended if each.is_running}
        thing = next_thing([each for _, some in series for each in some], requests, now(), attending)
        awards = claims.awards_of(connection(), trainee_id)
        return show(
            "trainee/home.html",
            programme,
            thing=thing,
            requests=requests,
            has_licence=bool(awards) or bool(licences.of_trainee(connection(), trainee_id)),
            credits_contact=programme.contact("credits"),
            series=series,
            waived=any(each.is_waived and not each.completed_on for _, some in series for each in some),
            credits=credits_by_body(programme, awards),
            awards=_by_module(programme, awards),
            incomplete=_incomplete(attended),
            with_team=with_team.load(connection(), programme, trainee_id, requests)[:MAX_WITH_TEAM],
            trains_elsewhere=bool(programme.equivalencies) and not requests,
            **_hero(thing, board_of),
        )

    @pages.get("/now")
    @access("trainee")
    def running_class() -> str:
        """The part about a running class of the home page or the page of its module, which its script fetches every
        few seconds. A class that has not begun, or whose module is not offered or locked, answers 404."""
        session = live_sessions.show(connection(), http_request.args.get("session", 0, read_id))
        published, trainee_id = versions.current(connection()), viewer().trainee_id
        module_id, day = session.module_id, session.held_on
        is_over = session.state == "cancelled" or session.ends_at <= now()
        is_offered = session.starts_at <= now() and published.programme.is_published(module_id)
        if not is_offered or not (
            is_over or decide.ask(connection(), published, trainee_id, module_id, now(), offering_start=day).open
        ):
            raise NotFound("session_unknown", "There is no such live session.", "Choose one from the list of sessions.")
        shown = {} if is_over else _class(session, board_of)
        on_module = http_request.args.get("on") == "module"
        shown |= {"session": session, "is_over": is_over, "on_module": on_module}
        return show("trainee/class_now.html", published.programme, **shown)

    return pages


def _hero(thing: NextThing, board_of: BoardOf) -> dict[str, Any]:
    """What the hero shows of the session that it is about."""
    session = thing.session
    if session is None:
        return {}
    if thing.kind == "in_class":
        return _class(session, board_of)
    return {"join_address": _join_address(session), "bar": bar(session.segments, session.zone), **_needed(session)}


def _class(session: LiveSession, board_of: BoardOf) -> dict[str, Any]:
    running = load_class(connection(), session, viewer().trainee_id, board_of, now())
    return {"running": running, "join_address": _join_address(session)}


def _join_address(session: LiveSession) -> str | None:
    settings = context().settings
    return join.address(settings.secret_key, viewer(), session, now(), registers=settings.has_zoom_api)


def _needed(session: LiveSession) -> dict[str, int]:
    """The instruction of a session to come, and how much of it completes the module, in seconds."""
    policy = versions.version(connection(), session.programme_version).programme.completion
    whole = instructional_seconds(session.segments)
    return {"instruction": whole, "needed": int(-(-(policy.share * whole) // 1))} if policy else {}


def credits_by_body(programme: Programme, awards: Iterable[Row[Any]]) -> dict[str, Decimal]:
    """The short name of each body → all its credits in force."""
    found: defaultdict[str, Decimal] = defaultdict(Decimal)
    for each in awards:
        found[body_name(programme.bodies.get(each.body_id), each.body_id)] += each.credits
    return dict(sorted(found.items()))


def _by_module(programme: Programme, awards: Iterable[Row[Any]]) -> dict[str, list[tuple[str, Decimal]]]:
    found: defaultdict[str, list[tuple[str, Decimal]]] = defaultdict(list)
    for each in awards:
        found[each.module_id].append((body_name(programme.bodies.get(each.body_id), each.body_id), each.credits))
    return found


def _incomplete(attended: Iterable[queries.AttendedDay]) -> dict[str, queries.AttendedDay]:
    """Module → the latest day on which it was attended and not completed."""
    days = [each for each in attended if not (each.completed or each.is_running)]
    return {each.module_id: each for each in reversed(days)}
