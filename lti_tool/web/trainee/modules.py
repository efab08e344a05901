"""The trainee's own pages: the dashboard, a module open or locked, the way into its live session, whom to write to.

What the page of a module shows, open or locked, put together from gates, sessions and grades.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from functools import partial
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, make_response, redirect
from flask import request as http_request
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from lti_tool import audit, people, times
from lti_tool.attendance import live_sessions, queries
from lti_tool.attendance.agenda import instructional_seconds
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.credit import claims
from lti_tool.errors import NotFound
from lti_tool.gates import decide, equivalency, wording
from lti_tool.gates.condition_checks import short_name
from lti_tool.gates.decision import Decision, blocking, walk
from lti_tool.programme import versions
from lti_tool.programme.catalogue import Module, PlannedSession
from lti_tool.programme.model import Programme
from lti_tool.programme.versions import Published
from lti_tool.web.page import address_of, contact, show
from lti_tool.web.request import connection, house, now, read_id, writes
from lti_tool.web.session import access, viewer
from lti_tool.web.trainee import home, join
from lti_tool.web.trainee.home import announced
from lti_tool.web.trainee.join import Ticket
from zoom_adapter import places


@dataclass(frozen=True, slots=True)
class AgendaLine:
    """One part of the day; the instants are known once a live session is scheduled."""

    starts: str
    ends: str
    title: str
    instructional: bool
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AgendaTable:
    caption: str
    parts: tuple[AgendaLine, ...]
    rule: str


def open_page(
    connection: Connection, published: Published, decision: Decision, now: datetime, *, registers: bool
) -> dict[str, Any]:
    """The content of an open module, for the person of the decision. `registers`: people are registered at Zoom."""
    programme, trainee_id = published.programme, decision.trainee_id
    module = programme.modules[decision.offering]
    upcoming = live_sessions.upcoming(connection, module.id, now)
    attended = [each for each in queries.of_trainee(connection, trainee_id) if each.module_id == module.id]
    return {
        **words(programme, decision),
        "module": module,
        "series": next((each for each in programme.series if each.id == module.series), None),
        "attended": attended,
        "own_claims": _claims(connection, programme, trainee_id, attended),
        "upcoming": upcoming,
        "planned": announced(programme, module.id, now.astimezone(ZoneInfo(programme.zone)).date()),
        "agenda": agenda_of(programme, module, upcoming[0] if upcoming else None),
        "rule_words": wording.gate_in_words(programme, module.id),
        "learner_view": _learner_view(decision),
        "registers": registers,
        "own_places": places.of_trainee(connection, trainee_id) if registers and upcoming else {},
        "own_address": people.trainee(connection, trainee_id).email,
    }


def locked_page(connection: Connection, published: Published, decision: Decision, now: datetime) -> dict[str, Any]:
    """What is missing and how to get it; nothing of the locked offering but its title (gates.md A6)."""
    programme = published.programme
    title = programme.offering_title(decision.offering)
    return {
        **words(programme, decision),
        "title": title,
        "headline": wording.heading(decision, programme),
        "rule_words": wording.gate_in_words(programme, decision.offering),
        "attended": _attended(connection, decision),
        "needed_dates": list(_needed_dates(connection, programme, decision, now)),
        "elsewhere": list(_elsewhere(connection, programme, decision)),
    }


def words(programme: Programme, decision: Decision) -> dict[str, Any]:
    """The decision and how its nodes are said and linked; the template draws the tree from these."""
    return {
        "decision": decision,
        "says": partial(wording.learner_sentence, programme=programme),
        "address": address_of,
    }


def agenda_of(programme: Programme, module: Module, session: LiveSession | None) -> AgendaTable | None:
    """The agenda of the next session, else of the module; None while nobody has set it."""
    if session is not None:
        day = times.weekday(session.held_on)
        parts = tuple(
            AgendaLine(
                times.clock(each.starts_at, programme.zone),
                times.clock(each.ends_at, programme.zone),
                each.title,
                each.instructional,
                each.starts_at,
                each.ends_at,
            )
            for each in session.segments
        )
        return AgendaTable(f"The day of {day}", parts, _rule(programme, instructional_seconds(session.segments)))
    agenda = programme.agendas.get(module.agenda or "")
    if agenda is None:
        return None
    lines = tuple(
        AgendaLine(_wall(each.starts), _wall(each.ends), each.title, each.instructional) for each in agenda.parts
    )
    return AgendaTable("A day of this module", lines, _rule(programme, agenda.instructional_minutes * 60))


def _rule(programme: Programme, seconds: int) -> str:
    if programme.completion is None:
        return ""
    share = programme.completion.share
    needed = times.minutes(int(-(-(share * seconds) // 1)))
    return f"Completing the module takes {needed} of the {times.minutes(seconds)} of teaching ({share:.0%})."


def _wall(at: time) -> str:
    return f"{at.hour % 12 or 12}:{at.minute:02} {'am' if at.hour < 12 else 'pm'}"


def _claims(
    connection: Connection, programme: Programme, trainee_id: int, attended: Sequence[queries.AttendedDay]
) -> list[claims.ShownClaim]:
    sessions = [each.session_id for each in attended if not each.is_running]
    return [each for one in sessions for each in claims.of_session(connection, programme, trainee_id, one)]


def _learner_view(decision: Decision) -> str:
    if decision.open:
        return "A learner with your records would see this page too."
    waiting = " and that an answer is awaited" if decision.is_pending else ""
    return f"A learner with your records would see that it is locked{waiting}, and why."


def _attended(connection: Connection, decision: Decision) -> list[queries.AttendedDay]:
    """The days of the missing modules that were attended in part: what already counts, and how much is missing."""
    missing = _named(decision, "completed", "module")
    return [each for each in queries.of_trainee(connection, decision.trainee_id) if each.module_id in missing]


def _needed_dates(
    connection: Connection, programme: Programme, decision: Decision, now: datetime
) -> Iterator[tuple[str, str, list[LiveSession], list[PlannedSession]]]:
    """The next dates of every module that would help: id, name, what is scheduled, what is announced."""
    for module_id in _named(decision, "completed", "module"):
        sessions = live_sessions.upcoming(connection, module_id, now)
        today = now.astimezone(ZoneInfo(programme.zone)).date()
        held = {each.held_on for each in sessions}
        planned = [each for each in announced(programme, module_id, today) if each.date not in held]
        yield module_id, short_name(programme, module_id), sessions, planned


def _elsewhere(connection: Connection, programme: Programme, decision: Decision) -> Iterator[tuple[str, str, Any]]:
    """Each thing that training elsewhere may stand for here, with this person's latest request for it."""
    requests = equivalency.of_trainee(connection, decision.trainee_id)
    for condition in ("equivalency", "retreat_equivalency"):
        for target in _named(decision, condition, "for"):
            latest = max((each for each in requests if each.target == target), key=lambda each: each.id, default=None)
            yield target, short_name(programme, target), latest


def _named(decision: Decision, condition: str, field: str) -> list[str]:
    """The offerings that shut conditions of one kind name, each once, in order."""
    shut = blocking(decision.tree) if decision.tree else ()
    named = [str(node.params[field]) for each in shut for node in walk(each) if node.condition == condition]
    return list(dict.fromkeys(named))


blueprint = Blueprint("trainee", __name__)

Page = str | Response


@blueprint.get("/")
@access("trainee")
def dashboard() -> Page:
    """Modules by series with their states, what comes next, the own sessions and requests."""
    if viewer().is_staff:
        return redirect("/desk", 303)
    published, trainee_id = versions.current(connection()), viewer().trainee_id
    series = home.by_series(connection(), published, trainee_id, now())
    is_open = {line.module.id for _, lines in series for line in lines if line.decision.open}
    upcoming = home.sessions_to_come(connection(), is_open, now())
    attended = queries.of_trainee(connection(), trainee_id)
    requests = equivalency.of_trainee(connection(), trainee_id)
    steps = home.of(published.programme, series, upcoming, attended, requests)
    shown = {"series": series, "upcoming": upcoming, "attended": attended, "requests": requests, "steps": steps}
    return show("trainee/dashboard.html", published.programme, **shown)


@blueprint.get("/modules/<module_id>")
@access("trainee")
@writes
def module(module_id: str) -> Page:
    """The module behind its gate: the page itself, or what is missing and how to get it; always 200."""
    published = versions.current(connection())
    decision = _decide(published, viewer().trainee_id, module_id, viewer().is_staff)
    _keep(decision, "module", viewer().is_staff)
    if not (decision.open or viewer().is_staff):
        return _locked(published, decision)
    values = open_page(connection(), published, decision, now(), registers=_registers())
    return show("trainee/module.html", published.programme, join_address=_join_address, **values)


@blueprint.route("/modules/<module_id>/join", methods=["GET", "POST"])
@access("public")
@writes
def join_session(module_id: str) -> Page:
    """Ask the gate again, then on to Zoom; without a ticket or a session nobody gets here."""
    ticket = _joiner()
    published = versions.current(connection())
    session = _joinable(module_id, ticket)
    decision = _decide(published, ticket.trainee_id, module_id, ticket.is_staff, session)
    if not (decision.open or ticket.is_staff):
        _keep(decision, "join", ticket.is_staff)
        return _locked(published, decision)
    way = _way_in(ticket, session)
    if way.url is None:
        return _no_way_yet(published, session, way)
    _keep(decision, "join", ticket.is_staff)
    return redirect(way.url, 303)


@blueprint.get("/contact")
@access("trainee")
def whom_to_write_to() -> Page:
    """The addresses of the programme. Nothing is stored about a visit here."""
    programme = versions.current(connection()).programme
    return show("trainee/contact.html", programme, contact=None, credits_contact=contact(programme, "credits"))


def _decide(
    published: Published, trainee_id: int, module_id: str, is_staff: bool, session: LiveSession | None = None
) -> Decision:
    """What the gate says. A module that is not published exists for staff only."""
    if module_id not in published.programme.modules or not (is_staff or published.programme.is_published(module_id)):
        raise NotFound("module_unknown", "The programme has no such module.", "Open the unit again from your course.")
    coming = [session] if session else live_sessions.upcoming(connection(), module_id, now())
    start = coming[0].held_on if coming else None
    return decide.ask(connection(), published, trainee_id, module_id, now(), offering_start=start)


def _keep(decision: Decision, route: str, is_staff: bool) -> None:
    """Keep the decision of this entry; for staff the bypass is kept instead (gates.md A9)."""
    if is_staff:
        actor, subject = f"staff:{decision.trainee_id}", f"offering:{decision.offering}"
        audit.record(connection(), actor=actor, act="gate_bypassed", subject=subject, at=now(), route=route)
    else:
        decide.record(connection(), decision, route)


def _locked(published: Published, decision: Decision) -> str:
    values = locked_page(connection(), published, decision, now())
    return show("trainee/locked.html", published.programme, **values)


def _registers() -> bool:
    """Whether people are registered at Zoom, each with a join link of the own."""
    return house().settings.has_zoom_api


def _join_address(session: LiveSession) -> str | None:
    return join.address(house().settings.secret_key, viewer(), session, now(), registers=_registers())


def _way_in(ticket: Ticket, session: LiveSession) -> join.Way:
    """The general link for who asks for it, having seen what is weaker about it; else the best there is."""
    if "general" in http_request.args and session.join_url:
        return join.Way(session.join_url)
    waited = http_request.args.get("waited", 0, read_id)
    return join.way_in(connection(), ticket, session, now(), registers=_registers(), waited=waited)


def _no_way_yet(published: Published, session: LiveSession, way: join.Way) -> Response:
    """A moment's patience, then the same address again by itself; or the general link with what is weaker about it."""
    again = _same_address(waited=str(http_request.args.get("waited", 0, read_id) + 1))
    general = _same_address(general="1") if session.join_url else None
    values = {"session": session, "way": way, "again": again, "afresh": _same_address(), "general": general}
    page = make_response(show("trainee/joining.html", published.programme, **values))
    if way.is_coming:
        page.headers["Refresh"] = f"1; url={again}"
    return page


def _same_address(**changed: str) -> str:
    kept = {name: http_request.values[name] for name in ("session", "ticket") if name in http_request.values}
    return f"{http_request.path}?{urlencode({**kept, **changed})}"


def _joiner() -> Ticket:
    """Who asks: the ticket of the link, or the session of this browser and the `session` it names."""
    ticket = http_request.args.get("ticket")
    if ticket:
        return join.read_ticket(connection(), house().settings.secret_key, ticket, now())
    return Ticket(viewer().trainee_id, http_request.values.get("session", 0, read_id), viewer().is_staff)


def _joinable(module_id: str, ticket: Ticket) -> LiveSession:
    session = live_sessions.show(connection(), ticket.session_id)
    is_open = join.can_join(session, registers=_registers(), is_staff=ticket.is_staff)
    if session.module_id != module_id or session.state == "cancelled" or not is_open:
        raise NotFound(
            "join_link_missing",
            "This session cannot be joined.",
            "Open the page of the module in your course again; it shows the sessions that can be.",
        )
    return session
