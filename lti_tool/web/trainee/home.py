"""The trainee's home page: the next steps, and every module with its state; and the contact page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any

from flask import Blueprint, redirect
from sqlalchemy import Connection
from werkzeug.wrappers import Response

from lti_tool.attendance import live_sessions, queries
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.queries import AttendedDay
from lti_tool.gates import decide, equivalency
from lti_tool.gates.condition_checks import short_name
from lti_tool.gates.decide import load_facts
from lti_tool.gates.decision import Decision
from lti_tool.gates.wording import heading
from lti_tool.programme import versions
from lti_tool.programme.catalogue import Module, Series
from lti_tool.programme.model import Programme
from lti_tool.programme.versions import Published
from lti_tool.web.page import contact, show
from lti_tool.web.request import connection, now
from lti_tool.web.session import access, viewer

MAX_STEPS = 4

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
@access("trainee")
def dashboard() -> str | Response:
    """The next steps, the modules by series with their states, the viewer's sessions and requests."""
    if viewer().is_staff:
        return redirect("/desk", 303)
    published, trainee_id = versions.current(connection()), viewer().trainee_id
    series = by_series(connection(), published, trainee_id, now())
    lines = [line for _, lines in series for line in lines]
    is_open = {line.module.id for line in lines if line.decision.open}
    upcoming = upcoming_sessions(connection(), is_open, now())
    attended = queries.of_trainee(connection(), trainee_id)
    requests = equivalency.of_trainee(connection(), trainee_id)
    steps = list(islice(next_steps(published.programme, lines, upcoming, attended, requests), MAX_STEPS))
    shown = {"series": series, "upcoming": upcoming, "attended": attended, "requests": requests, "steps": steps}
    return show("trainee/dashboard.html", published.programme, **shown)


@blueprint.get("/help")
@access("trainee")
def contacts() -> str:
    """The addresses of the programme. Nothing is stored about a visit here."""
    programme = versions.current(connection()).programme
    return show("trainee/contact.html", programme, contact=None, credits_contact=contact(programme, "credits"))


@dataclass(frozen=True, slots=True)
class ModuleLine:
    """One module of the list. `headline` says until when it is locked, "" for an open one."""

    module: Module
    decision: Decision
    headline: str
    taken_on: date | None


def by_series(
    connection: Connection, published: Published, trainee_id: int, now: datetime
) -> list[tuple[Series, list[ModuleLine]]]:
    """The published modules of every series, each with its decision as of now."""
    programme = published.programme
    taken = taken_modules(connection, trainee_id)

    def line(module: Module) -> ModuleLine:
        decision = decide.ask(connection, published, trainee_id, module.id, now)
        headline = ""
        if not decision.open:
            # The heading of the locked page without the title, which stands above it: "Locked until …".
            words = heading(decision, programme).removeprefix(programme.offering_title(module.id)).strip()
            headline = words.removeprefix("is ")
        return ModuleLine(module, decision, headline[:1].upper() + headline[1:], taken.get(module.id))

    offered = [
        (series, [line(programme.modules[each]) for each in series.modules if programme.is_published(each)])
        for series in programme.series
    ]
    return [(series, lines) for series, lines in offered if lines]


def open_modules(connection: Connection, published: Published, trainee_id: int, now: datetime) -> set[str]:
    """The ids of the modules that are open to this person."""
    every = published.programme.modules
    return {each for each in every if decide.ask(connection, published, trainee_id, each, now).open}


def taken_modules(connection: Connection, trainee_id: int) -> Mapping[str, date]:
    """Module id → when this person completed it; only completions in force."""
    facts = load_facts(connection, [trainee_id], {"completions"})[trainee_id]
    return {each.module: each.completed_on for each in facts.completions if each.ended_at is None}


def upcoming_sessions(connection: Connection, modules: set[str], now: datetime) -> list[LiveSession]:
    """The live sessions of these modules that are not over yet, the next one first."""
    found = [each for module_id in sorted(modules) for each in live_sessions.upcoming(connection, module_id, now)]
    return sorted(found, key=lambda each: (each.starts_at, each.id))


@dataclass(frozen=True, slots=True)
class Step:
    """A next step: a sentence and its link; `session` if it is about a live session."""

    says: str
    to: str
    session: LiveSession | None = None


def next_steps(
    programme: Programme,
    lines: Sequence[ModuleLine],
    upcoming: Sequence[LiveSession],
    attended: Sequence[AttendedDay],
    requests: Sequence[Any],
) -> Iterator[Step]:
    """What a trainee can do next, the most pressing first: answer questions, attend the next session, see what one
    session lacks, take the open module that opens others."""
    for target in [each.target for each in requests if each.state == "more_info"]:
        says = f"The training team has a question about your request in place of {short_name(programme, target)}."
        yield Step(says, f"/equivalency/{target}")
    taken = {line.module.id for line in lines if line.taken_on}
    for session in [each for each in upcoming if each.module_id not in taken][:1]:
        says = f"Your next live session: {programme.offering_title(session.module_id)}"
        yield Step(says, f"/modules/{session.module_id}#dates", session)
    incomplete = [each for each in attended if not (each.completed or each.is_running or each.module_id in taken)]
    for day in incomplete[:1]:
        says = f"{programme.offering_title(day.module_id)} is not completed: see what is missing."
        yield Step(says, f"/sessions/{day.session_id}")
    unmet = [node for line in lines for node in line.decision.unmet()]
    needed = {str(node.params.get("module")) for node in unmet if node.condition == "completed"}
    first = [line for line in lines if line.decision.open and line.taken_on is None and line.module.id in needed]
    for line in first[:1]:
        says = f"{short_name(programme, line.module.id)} opens further modules: see its dates."
        yield Step(says, f"/modules/{line.module.id}#dates")
