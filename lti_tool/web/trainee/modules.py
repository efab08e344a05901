"""The page of a module, open or locked, and joining its live session."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, make_response, redirect
from flask import request as http_request
from sqlalchemy import Connection, Row
from werkzeug.wrappers import Response

from lti_tool import audit, people, times
from lti_tool.attendance import live_sessions, queries, timeline
from lti_tool.attendance.agenda import instructional_seconds
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.timeline import DayBar
from lti_tool.credit import claims
from lti_tool.credit.checklist import body_name
from lti_tool.errors import NotFound
from lti_tool.gates import decide, equivalency, wording
from lti_tool.gates.decision import Decision, blocking, walk
from lti_tool.gates.facts import Facts
from lti_tool.gates.wording import name_of
from lti_tool.grades import scores
from lti_tool.languages import gettext
from lti_tool.programme import versions
from lti_tool.programme.catalogue import Module, PlannedSession
from lti_tool.programme.model import Programme
from lti_tool.programme.versions import Published
from lti_tool.tables.gates import decisions
from lti_tool.tables.operations import audit_log
from lti_tool.web.page import address_of, show
from lti_tool.web.request import append, connection, context, now, read_id, writes
from lti_tool.web.session import access, passes_gate, record_visit, viewer, write_for
from lti_tool.web.staff.live_board import BoardOf
from lti_tool.web.trainee import join, materials
from lti_tool.web.trainee.class_now import load_class
from lti_tool.web.trainee.join import Ticket
from lti_tool.web.trainee.next_thing import JOINED_WITHIN
from lti_tool.web.trainee.progress import ALSO, announced, asked_back
from zoom_adapter import places

Page = str | Response
# Who takes a module again and again finds the older days in the record.
MAX_DAYS = 3


def blueprint(board_of: BoardOf) -> Blueprint:
    """The pages; `board_of(connection, session, now)` says who is in a running session."""
    pages = Blueprint("modules", __name__, url_prefix="/modules")

    @pages.get("/<module_id>")
    @access("trainee")
    def module(module_id: str) -> Page:
        """The module's page if its gate is open, or what is missing and how to get it. Always 200."""
        return _module_page(module_id, board_of)

    pages.route("/<module_id>/join", methods=["GET", "POST"])(join_session)
    pages.get("/<module_id>/materials/<int:material_id>")(material)
    return pages


def _module_page(module_id: str, board_of: BoardOf) -> Page:
    published, passes = versions.current(connection()), passes_gate(viewer(), module_id)
    decision = _decide(published, viewer().trainee_id, module_id, passes)
    if passes:
        record_visit("gate_bypassed", f"offering:{module_id}", route="module")  # gates.md A9
    else:
        append(decisions, decide.decision_row(decision, "module"))
    if not (decision.open or passes):
        return show("trainee/locked.html", published.programme, **locked_page(connection(), published, decision, now()))
    settings, who = context().settings, viewer()

    def join_address(session: LiveSession) -> str | None:
        return join.address(settings.secret_key, who, session, now(), registers=settings.has_zoom_api)

    shown = materials.card(connection(), settings.secret_key, who, module_id, now())
    values = open_page(connection(), published, decision, now(), registers=settings.has_zoom_api)
    if values["in_class"]:
        values["running"] = load_class(connection(), values["in_class"], who.trainee_id, board_of, now())
    return show("trainee/module.html", published.programme, join_address=join_address, materials=shown, **values)


@access("public")
@writes
def join_session(module_id: str) -> Page:
    """Evaluate the gate again, then send the person on to Zoom. Needs a ticket or a browser session."""
    registers = context().settings.has_zoom_api
    if given := http_request.args.get("ticket"):
        ticket = join.read_ticket(connection(), context().settings.secret_key, given, module_id, now())
        write_for(ticket.trainee_id)
    else:
        ticket = Ticket(
            viewer().trainee_id, http_request.values.get("session", 0, read_id), passes_gate(viewer(), module_id)
        )
    published = versions.current(connection())
    session = live_sessions.show(connection(), ticket.session_id)
    has_link = join.can_join(session, registers=registers, is_staff=ticket.is_staff)
    if session.module_id != module_id or session.state == "cancelled" or not has_link:
        raise NotFound(
            "join_link_missing",
            "This session cannot be joined.",
            "Open the page of the module in your course again. It shows the sessions that you can join.",
        )
    decision = _decide(published, ticket.trainee_id, module_id, ticket.is_staff, session)
    if not (decision.open or ticket.is_staff):
        _record_join(decision, ticket.is_staff)
        return show("trainee/locked.html", published.programme, **locked_page(connection(), published, decision, now()))
    waited = http_request.args.get("waited", 0, read_id)
    if "general" in http_request.args and session.join_url:
        way = join.Way(session.join_url)
    else:
        way = join.way_in(connection(), ticket, session, now(), registers=registers, waited=waited)
    if way.url is None:
        return _waiting_page(published.programme, session, way, waited)
    _record_join(decision, ticket.is_staff)
    return redirect(way.url, 303)


@access("public")
def material(module_id: str, material_id: int) -> Page:
    """Evaluate the gate again, then send the file or lead to the link. Needs a ticket or a browser session."""
    who = materials.reader(connection(), context().settings.secret_key, module_id, now())
    published, passes = versions.current(connection()), passes_gate(who, module_id)
    decision = _decide(published, who.trainee_id, module_id, passes)
    # A player asks for one part after the other: they are one opening.
    goes_on = decision.open and not passes and materials.openings().has(who, material_id, now())
    is_part = goes_on and http_request.range is not None
    if passes:
        subject, details = f"offering:{module_id}", {"route": "material"}
        append(audit_log, audit.row(who.actor, "gate_bypassed", subject, now(), None, details))
    elif not is_part:
        append(decisions, decide.decision_row(decision, "material"))
    if not (decision.open or passes):
        page = show("trainee/locked.html", published.programme, **locked_page(connection(), published, decision, now()))
        return make_response(page, 403)
    found = materials.load(connection(), who, module_id, material_id, now())
    if found.url:
        return redirect(found.url, 303)
    answer = materials.send(context(), found)
    if is_part and answer.status_code != 206:
        append(decisions, decide.decision_row(decision, "material"))
    if not is_part:
        materials.openings().note(who, material_id, now())
    return answer


def _decide(
    published: Published, trainee_id: int, module_id: str, is_staff: bool, session: LiveSession | None = None
) -> Decision:
    """The decision of the module's gate. An unpublished module exists for staff only."""
    if module_id not in published.programme.modules or not (is_staff or published.programme.is_published(module_id)):
        raise NotFound("module_unknown", "The programme has no such module.", "Open the unit again from your course.")
    coming = [session] if session else live_sessions.upcoming(connection(), module_id, now())
    start = coming[0].held_on if coming else None
    return decide.ask(connection(), published, trainee_id, module_id, now(), offering_start=start)


def _record_join(decision: Decision, is_staff: bool) -> None:
    """Record the decision behind joining; for staff, record that they bypassed the gate (gates.md A9)."""
    if is_staff:
        actor, subject = f"staff:{decision.trainee_id}", f"offering:{decision.offering}"
        audit.record(connection(), actor=actor, act="gate_bypassed", subject=subject, at=now(), route="join")
    else:
        decide.record(connection(), decision, "join")


def _waiting_page(programme: Programme, session: LiveSession, way: join.Way, waited: int) -> Response:
    """A page that reloads until the personal link is made, or that offers the general link with its drawbacks."""
    kept = {name: http_request.values[name] for name in ("session", "ticket") if name in http_request.values}

    def same_address(**changed: str) -> str:
        return f"{http_request.path}?{urlencode({**kept, **changed})}"

    again = same_address(waited=str(waited + 1))
    general = same_address(general="1") if session.join_url else None
    values = {"session": session, "way": way, "again": again, "afresh": same_address(), "general": general}
    page = make_response(show("trainee/joining.html", programme, **values))
    if way.is_coming:
        page.headers["Refresh"] = f"1; url={again}"
    return page


@dataclass(frozen=True, slots=True)
class AgendaLine:
    """One part of the agenda; the instants are known once a live session is scheduled."""

    starts: str
    ends: str
    title: str
    instructional: bool
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AgendaTable:
    """An agenda as a bar (of a scheduled session) and a table, with the instruction that completes it, in seconds."""

    caption: str
    parts: tuple[AgendaLine, ...]
    bar: DayBar | None
    instruction: int
    needed: int | None


@dataclass(frozen=True, slots=True)
class OfferedCredit:
    """What one body gives for a module: its name, the credits (None: not announced), the fee of the certificate (None:
    not printed; `is_free`: the body's policy asks for none), and its statement."""

    name: str
    credits: Decimal | None
    fee: Decimal | None
    is_free: bool
    statement: str | None


def open_page(
    connection: Connection, published: Published, decision: Decision, now: datetime, *, registers: bool
) -> dict[str, Any]:
    """What the page of an open module shows. `registers`: Zoom gives each person a personal join link."""
    programme, trainee_id = published.programme, decision.trainee_id
    module = programme.modules[decision.offering]
    upcoming = live_sessions.upcoming(connection, module.id, now)
    attended = [each for each in queries.of_trainee(connection, trainee_id) if each.module_id == module.id]
    ended = [each for each in attended if not each.is_running]
    shown = attended[:MAX_DAYS]
    facts = decide.load_facts(connection, [trainee_id], set(ALSO))[trainee_id]
    recorded = any(each.module == module.id and each.ended_at is None for each in facts.completions)
    completed = recorded or any(each.completed for each in ended)
    today = times.day_of(now, programme.zone)
    first = upcoming[0] if upcoming else None
    attending = {each.session_id for each in attended if each.is_running}
    is_running = first is not None and first.starts_at <= now
    return {
        **decision_words(programme, decision),
        "module": module,
        "series": next((each for each in programme.series if each.id == module.series), None),
        "attended": shown,
        "completed": completed,
        "after": _after(programme, module, facts, today) if completed else None,
        "in_class": first if first and is_running and (not completed or first.id in attending) else None,
        "bars": {each.id: timeline.bar_of(each.day, each.zone) for each in shown if not each.is_running},
        "own_claims": [
            each
            for each in (claims.of_module(connection, programme, trainee_id, module.id) if ended else ())
            if each.session_id in {day.session_id for day in shown}
        ],
        "gradebook_credit": scores.credits_of(connection, trainee_id, module.id),
        "upcoming": upcoming,
        "is_near": first is not None and first.starts_at - now <= JOINED_WITHIN,
        "planned": announced(programme, module.id, today, upcoming),
        "agenda": agenda_of(programme, module, first, now if is_running else None),
        "offered": offered_credit(programme, module),
        "place_in_order": place_in_order(programme, module),
        "packages": [each for each in programme.packages if module.id in each.modules],
        "teachers": [each for each in programme.teachers.values() if module.id in each.teaches],
        "recommendation": wording.recommendation(decision, programme),
        "rule_words": wording.gate_in_words(programme, module.id),
        "learner_view": _learner_view(decision),
        "registers": registers,
        "own_places": places.of_trainee(connection, trainee_id) if registers and upcoming else {},
        "own_address": people.trainee(connection, trainee_id).email,
    }


def _learner_view(decision: Decision) -> str:
    """What staff are told about the page that a learner would see."""
    if decision.open:
        return gettext("A learner with your records would see this page too.")
    if decision.is_pending:
        return gettext(
            "A learner with your records would see that it is locked and that an answer is awaited, and why."
        )
    return gettext("A learner with your records would see that it is locked, and why.")


def _after(programme: Programme, module: Module, facts: Facts, today: date) -> Module | None:
    """The next module of the series that the trainee has not done, else the first of the others."""
    done = {each.module for each in facts.completions if each.ended_at is None}
    done |= {each.target for each in facts.equivalencies if each.is_accepted_on(today)}
    every = [each for series in programme.series for each in series.modules]
    place = every.index(module.id) if module.id in every else 0
    offered = [each for each in (*every[place:], *every[:place]) if programme.is_published(each)]
    return next((programme.modules[each] for each in offered if each not in done), None)


def locked_page(connection: Connection, published: Published, decision: Decision, now: datetime) -> dict[str, Any]:
    """What is missing and how to get it. Of the locked offering it shows only the title (gates.md A6)."""
    programme = published.programme
    missing = _named(decision, "completed", "module")
    requests = equivalency.of_trainee(connection, decision.trainee_id)
    asked = asked_back(decision, requests)
    module = programme.modules.get(decision.offering)
    return {
        **decision_words(programme, decision),
        "title": programme.offering_title(decision.offering),
        "short": name_of(programme, decision.offering),
        "series": next((each for each in programme.series if module and each.id == module.series), None),
        "first_step": asked or wording.first_step(decision, programme),
        "is_asked": bool(asked),
        "rule_words": wording.gate_in_words(programme, decision.offering),
        "attended": [each for each in queries.of_trainee(connection, decision.trainee_id) if each.module_id in missing],
        "needed_dates": _needed_dates(connection, programme, missing, now),
        "elsewhere": _elsewhere(programme, decision, requests),
        "met": _met(decision),
    }


def decision_words(programme: Programme, decision: Decision) -> dict[str, Any]:
    """The decision, and the words and links of its nodes, from which the template draws the tree."""
    return {
        "decision": decision,
        "says": partial(wording.learner_sentence, programme=programme),
        "address": address_of,
    }


def agenda_of(
    programme: Programme, module: Module, session: LiveSession | None, now: datetime | None = None
) -> AgendaTable | None:
    """The agenda of the next session, or else of the module; None if it has none yet. `now`, if given, is marked."""
    if session is not None:
        zone = programme.zone
        parts = tuple(
            AgendaLine(
                starts=times.clock(each.starts_at, zone),
                ends=times.clock(each.ends_at, zone),
                title=each.title,
                instructional=each.instructional,
                starts_at=each.starts_at,
                ends_at=each.ends_at,
            )
            for each in session.segments
        )
        seconds = instructional_seconds(session.segments)
        bar = timeline.bar(session.segments, session.zone, now=now)
        return AgendaTable(
            gettext("The day of %(day)s", day=times.weekday(session.held_on)),
            parts,
            bar,
            seconds,
            _needed(programme, seconds),
        )
    agenda = programme.agendas.get(module.agenda or "")
    if agenda is None:
        return None
    parts = tuple(
        AgendaLine(times.wall_clock(each.starts), times.wall_clock(each.ends), each.title, each.instructional)
        for each in agenda.parts
    )
    seconds = agenda.instructional_minutes * 60
    return AgendaTable(gettext("A day of this module"), parts, None, seconds, _needed(programme, seconds))


def _needed(programme: Programme, seconds: int) -> int | None:
    """How much of this instruction completes the module, in seconds; None while the programme does not say."""
    return int(-(-(programme.completion.share * seconds) // 1)) if programme.completion else None


def place_in_order(programme: Programme, module: Module) -> tuple[int, int] | None:
    """The place of the module in the recommended order of its series, and how many it has; None without an order."""
    series = next((each for each in programme.series if each.id == module.series and each.in_order), None)
    return (series.modules.index(module.id) + 1, len(series.modules)) if series else None


def offered_credit(programme: Programme, module: Module) -> list[OfferedCredit]:
    """What each body gives for the module, by what the programme knows today."""
    return [
        OfferedCredit(
            name=body_name(body, body_id),
            credits=credits,
            fee=module.fees.get(body_id),
            is_free=body is not None and body.policy is not None and not body.policy.fee_required,
            statement=body.statement if body else None,
        )
        for body_id, credits in module.credits.items()
        for body in [programme.bodies.get(body_id)]
    ]


@dataclass(frozen=True, slots=True)
class Needed:
    """A module that would open the locked one: its names, its sessions and announced dates."""

    id: str
    name: str
    title: str
    sessions: Sequence[LiveSession]
    planned: Sequence[PlannedSession]


def _needed_dates(connection: Connection, programme: Programme, module_ids: list[str], now: datetime) -> list[Needed]:
    """The next dates of each of these modules."""
    coming = live_sessions.coming(connection, now) if module_ids else {}
    today = times.day_of(now, programme.zone)
    return [
        Needed(
            id=each,
            name=name_of(programme, each),
            title=programme.modules[each].title if each in programme.modules else programme.offering_title(each),
            sessions=coming.get(each, []),
            planned=announced(programme, each, today, coming.get(each, [])),
        )
        for each in module_ids
    ]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A requirement that training elsewhere can meet: the person's latest request for it, and the providers that are
    accepted."""

    target: str
    name: str
    request: Any
    accepted: Sequence[str]

    @property
    def accepted_in_words(self) -> str:
        return wording.joined(self.accepted)

    @property
    def is_open(self) -> bool:
        return self.request is not None and self.request.state in ("draft", "submitted", "more_info")


def _elsewhere(programme: Programme, decision: Decision, requests: Sequence[Row[Any]]) -> list[Elsewhere]:
    targets = [
        target for condition in ("equivalency", "retreat_equivalency") for target in _named(decision, condition, "for")
    ]
    latest = {each.target: each for each in reversed(requests)}
    rules = {each.target: each for each in programme.equivalencies.values()}

    def accepted(target: str) -> list[str]:
        return [each.name for each in rules[target].providers if each.decision == "accepted"] if target in rules else []

    return [Elsewhere(each, name_of(programme, each), latest.get(each), accepted(each)) for each in targets]


def _met(decision: Decision) -> tuple[int, int] | None:
    """How many of the requirements are met, and how many there are."""
    if decision.tree is None:
        return None
    tree = decision.tree
    each = tree.children if tree.op == "all" and tree.children else (tree,)
    return sum(child.is_open for child in each), len(each)


def _named(decision: Decision, condition: str, field: str) -> list[str]:
    """The offerings that unmet conditions of one kind name, each once, in order."""
    unmet = blocking(decision.tree) if decision.tree else ()
    named = [str(node.params[field]) for each in unmet for node in walk(each) if node.condition == condition]
    return list(dict.fromkeys(named))
