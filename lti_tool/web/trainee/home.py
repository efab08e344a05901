"""What the programme offers, as one trainee stands to it right now: open, locked, waiting, taken.

What a trainee can do next, most pressing first (pure).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.queries import AttendedDay
from lti_tool.gates import decide
from lti_tool.gates.condition_checks import short_name
from lti_tool.gates.decide import load_facts
from lti_tool.gates.decision import Decision
from lti_tool.gates.wording import heading
from lti_tool.programme.catalogue import Module, PlannedSession, Series
from lti_tool.programme.model import Programme
from lti_tool.programme.versions import Published


@dataclass(frozen=True, slots=True)
class ModuleLine:
    """One module of the list. `headline` says what it is locked until, "" for an open one."""

    module: Module
    decision: Decision
    headline: str
    taken_on: date | None


def by_series(
    connection: Connection, published: Published, trainee_id: int, now: datetime
) -> list[tuple[Series, list[ModuleLine]]]:
    """The published modules of every series, each with its decision; asked anew at every call."""
    programme = published.programme
    taken = taken_modules(connection, trainee_id)

    def line(module: Module) -> ModuleLine:
        decision = decide.ask(connection, published, trainee_id, module.id, now)
        return ModuleLine(module, decision, _until(decision, programme), taken.get(module.id))

    offered = [
        (series, [programme.modules[each] for each in series.modules if programme.is_published(each)])
        for series in programme.series
    ]
    return [(series, [line(module) for module in modules]) for series, modules in offered if modules]


def _until(decision: Decision, programme: Programme) -> str:
    """The heading of the locked page without the title, which stands above it: "Locked until …"."""
    if decision.open:
        return ""
    rest = heading(decision, programme).removeprefix(programme.offering_title(decision.offering)).strip()
    words = rest.removeprefix("is ")
    return words[:1].upper() + words[1:]


def open_modules(connection: Connection, published: Published, trainee_id: int, now: datetime) -> set[str]:
    """The ids of the modules that are open to this person."""
    every = published.programme.modules
    return {each for each in every if decide.ask(connection, published, trainee_id, each, now).open}


def taken_modules(connection: Connection, trainee_id: int) -> Mapping[str, date]:
    """When this person completed which module; only completions in force."""
    facts = load_facts(connection, [trainee_id], {"completions"})[trainee_id]
    return {each.module: each.completed_on for each in facts.completions if each.ended_at is None}


def sessions_to_come(connection: Connection, modules: set[str], now: datetime) -> list[LiveSession]:
    """The live sessions of these modules that are not over yet, the next one first."""
    found = [each for module_id in sorted(modules) for each in live_sessions.upcoming(connection, module_id, now)]
    return sorted(found, key=lambda each: (each.starts_at, each.id))


def announced(programme: Programme, module_id: str, after: date) -> list[PlannedSession]:
    """The printed or confirmed dates of a module that are still to come; others are never shown (gates.md A6.6)."""
    certain = [each for each in programme.sessions if each.module == module_id and each.is_certain]
    return sorted((each for each in certain if each.date and each.date >= after), key=lambda each: each.date or after)


MOST = 4


@dataclass(frozen=True, slots=True)
class Step:
    """A sentence and where it leads; `starts_at` and `zone` where it speaks of a live session."""

    says: str
    to: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    zone: str = ""


def of(
    programme: Programme,
    series: Sequence[tuple[Series, Sequence[ModuleLine]]],
    upcoming: Sequence[LiveSession],
    attended: Sequence[AttendedDay],
    requests: Sequence[Any],
) -> list[Step]:
    """The next steps of one person; empty when there is nothing to do."""
    lines = [line for _, all_lines in series for line in all_lines]
    taken = {line.module.id for line in lines if line.taken_on}
    steps = [
        *_questions(programme, requests),
        *_sessions(programme, [each for each in upcoming if each.module_id not in taken]),
        *_unfinished(programme, attended, taken),
        *_first_module(programme, lines),
    ]
    return steps[:MOST]


def _questions(programme: Programme, requests: Sequence[Any]) -> list[Step]:
    asked = [each.target for each in requests if each.state == "more_info"]
    says = "The training team has a question about your request in place of"
    return [Step(f"{says} {short_name(programme, target)}.", f"/equivalency/{target}") for target in asked]


def _sessions(programme: Programme, upcoming: Sequence[LiveSession]) -> list[Step]:
    return [
        Step(
            f"Your next live session: {programme.offering_title(each.module_id)}",
            f"/modules/{each.module_id}#dates",
            each.starts_at,
            each.ends_at,
            each.zone,
        )
        for each in upcoming[:1]
    ]


def _unfinished(programme: Programme, attended: Sequence[AttendedDay], taken: set[str]) -> list[Step]:
    """Sessions that were not enough, of modules not completed otherwise."""
    return [
        Step(
            f"{programme.offering_title(each.module_id)} is not completed: see what is missing.",
            f"/sessions/{each.session_id}",
        )
        for each in attended
        if not each.completed and not each.is_running and each.module_id not in taken
    ][:1]


def _first_module(programme: Programme, lines: Sequence[ModuleLine]) -> list[Step]:
    """The open module that opens others, while it is not taken."""
    needed = {
        str(node.params.get("module"))
        for line in lines
        for node in line.decision.unmet()
        if node.condition == "completed"
    }
    return [
        Step(
            f"{short_name(programme, line.module.id)} opens further modules: see its dates.",
            f"/modules/{line.module.id}#dates",
        )
        for line in lines
        if line.decision.open and line.taken_on is None and line.module.id in needed
    ][:1]
