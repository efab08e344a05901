"""What the programme offers, as one trainee stands to it right now: open, locked, waiting, taken."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from lti_tool.gates import decisions
from lti_tool.gates.facts import load_facts
from lti_tool.gates.sentences import heading
from lti_tool.gates.tree import Decision
from lti_tool.programme.model import Module, PlannedSession, Programme, Series
from lti_tool.publication import Published
from lti_tool.sessions import live_sessions
from lti_tool.sessions.live_sessions import LiveSession


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
        decision = decisions.ask(connection, published, trainee_id, module.id, now)
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
    return {each for each in every if decisions.ask(connection, published, trainee_id, each, now).open}


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
