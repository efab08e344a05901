"""The trainee's own pages: the dashboard, a module open or locked, the way into its live session, whom to write to."""

from urllib.parse import urlencode

from flask import Blueprint, make_response, redirect
from flask import request as http_request
from werkzeug.wrappers import Response

from lti_tool import audit, publication
from lti_tool.errors import NotFound
from lti_tool.gates import decisions, equivalency
from lti_tool.gates.tree import Decision
from lti_tool.page import contact, show
from lti_tool.publication import Published
from lti_tool.request import connection, house, now, writes
from lti_tool.session import access, viewer
from lti_tool.sessions import days, live_sessions
from lti_tool.sessions.live_sessions import LiveSession
from lti_tool.trainee import join, module_page, next_steps, offerings
from lti_tool.trainee.join import Ticket
from lti_tool.url_parts import read_id

blueprint = Blueprint("trainee", __name__)

Page = str | Response


@blueprint.get("/")
@access("trainee")
def dashboard() -> Page:
    """Modules by series with their states, what comes next, the own sessions and requests."""
    if viewer().is_staff:
        return redirect("/desk", 303)
    published, trainee_id = publication.current(connection()), viewer().trainee_id
    series = offerings.by_series(connection(), published, trainee_id, now())
    is_open = {line.module.id for _, lines in series for line in lines if line.decision.open}
    upcoming = offerings.sessions_to_come(connection(), is_open, now())
    attended = days.of_trainee(connection(), trainee_id)
    requests = equivalency.of_trainee(connection(), trainee_id)
    steps = next_steps.of(published.programme, series, upcoming, attended, requests)
    shown = {"series": series, "upcoming": upcoming, "attended": attended, "requests": requests, "steps": steps}
    return show("trainee/dashboard.html", published.programme, **shown)


@blueprint.get("/modules/<module_id>")
@access("trainee")
@writes
def module(module_id: str) -> Page:
    """The module behind its gate: the page itself, or what is missing and how to get it; always 200."""
    published = publication.current(connection())
    decision = _decide(published, viewer().trainee_id, module_id, viewer().is_staff)
    _keep(decision, "module", viewer().is_staff)
    if not (decision.open or viewer().is_staff):
        return _locked(published, decision)
    values = module_page.open_page(connection(), published, decision, now(), registers=_registers())
    return show("gates/module.html", published.programme, join_address=_join_address, **values)


@blueprint.route("/modules/<module_id>/join", methods=["GET", "POST"])
@access("public")
@writes
def join_session(module_id: str) -> Page:
    """Ask the gate again, then on to Zoom; without a ticket or a session nobody gets here."""
    ticket = _joiner()
    published = publication.current(connection())
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
    programme = publication.current(connection()).programme
    return show("trainee/contact.html", programme, contact=None, credits_contact=contact(programme, "credits"))


def _decide(
    published: Published, trainee_id: int, module_id: str, is_staff: bool, session: LiveSession | None = None
) -> Decision:
    """What the gate says. A module that is not published exists for staff only."""
    if module_id not in published.programme.modules or not (is_staff or published.programme.is_published(module_id)):
        raise NotFound("module_unknown", "The programme has no such module.", "Open the unit again from your course.")
    coming = [session] if session else live_sessions.upcoming(connection(), module_id, now())
    start = coming[0].held_on if coming else None
    return decisions.ask(connection(), published, trainee_id, module_id, now(), offering_start=start)


def _keep(decision: Decision, route: str, is_staff: bool) -> None:
    """Keep the decision of this entry; for staff the bypass is kept instead (gates.md A9)."""
    if is_staff:
        actor, subject = f"staff:{decision.trainee_id}", f"offering:{decision.offering}"
        audit.record(connection(), actor=actor, act="gate_bypassed", subject=subject, at=now(), route=route)
    else:
        decisions.record(connection(), decision, route)


def _locked(published: Published, decision: Decision) -> str:
    values = module_page.locked_page(connection(), published, decision, now())
    return show("gates/locked.html", published.programme, **values)


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
