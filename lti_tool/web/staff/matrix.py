"""People and modules: one row per person, one cell per module, decided from facts that are loaded once for a page."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, select

from lti_tool.gates.causes import causes
from lti_tool.gates.condition_checks import short_name
from lti_tool.gates.decide import ask_many, load_facts
from lti_tool.gates.decision import Decision
from lti_tool.gates.evaluate import evaluate
from lti_tool.gates.facts import RECORDS, Facts
from lti_tool.gates.wording import shortest_way, staff_sentence
from lti_tool.programme.model import Programme
from lti_tool.programme.versions import Published
from lti_tool.tables.live_sessions import attendances, live_sessions

# What tells two records apart but plays no part in a decision about the present.
UNUSED = {"id", "recorded_at", "submitted_at", "decided_at", "changed_at"}


@dataclass(frozen=True, slots=True)
class Column:
    """One module: the letters above its column, and its name."""

    module_id: str
    letters: str
    name: str
    is_first: bool


@dataclass(frozen=True, slots=True)
class Group:
    """One series: its title and how many columns it has."""

    title: str
    size: int


@dataclass(frozen=True, slots=True)
class Cell:
    """The state of one module for one person: done, class, open, equivalency, exception, pending, locked or closed."""

    kind: str
    says: str


def columns(programme: Programme, only: Collection[str] | None = None) -> tuple[list[Group], list[Column]]:
    """The published modules by series, in the order of the programme: all, or `only` these."""
    groups: list[Group] = []
    found: list[Column] = []
    taken: set[str] = set()
    for series in programme.series:
        offered = [each for each in series.modules if programme.is_published(each) and (only is None or each in only)]
        for number, module_id in enumerate(offered):
            letters, name = _letters(programme, module_id, taken), short_name(programme, module_id)
            found.append(Column(module_id, letters, name, is_first=number == 0))
        if offered:
            groups.append(Group(series.title, len(offered)))
    return groups, found


def _letters(programme: Programme, module_id: str, taken: set[str]) -> str:
    """The number of a module, a short word in capitals ("II", "ACT"), or some letters of its title; each only once."""
    module = programme.modules[module_id]
    words = [word for word in module.title.replace("-", " ").split() if word[:1].isupper()] or [module.title]
    capitals = [word.strip(",") for word in words if word.isupper() and len(word) <= 4]
    initials = "".join(word[0] for word in words)[:3]
    tried = [*([str(module.number)] if module.number else capitals[:1]), words[0][:2], initials, module_id[:4]]
    letters = next((each for each in tried if each not in taken), module_id)
    taken.add(letters)
    return letters


def cells(
    connection: Connection,
    published: Published,
    trainee_ids: Collection[int],
    shown: Sequence[Column],
    starts: Mapping[str, date],
    now: datetime,
) -> dict[int, list[Cell]]:
    """By person, a cell for each of these columns."""
    modules = [each.module_id for each in shown]
    decided = ask_many(connection, published, trainee_ids, modules, now, starts=starts)
    running = (live_sessions.c.starts_at <= now, live_sessions.c.ends_at > now, live_sessions.c.state != "cancelled")
    there = (attendances.c.is_current, attendances.c.trainee_id.in_(trainee_ids))
    query = select(attendances.c.trainee_id, live_sessions.c.module_id).join_from(attendances, live_sessions)
    in_class = {(row.trainee_id, row.module_id) for row in connection.execute(query.where(*running, *there))}
    programme = published.programme
    return {
        trainee_id: [_cell(each, programme, is_in_class=(trainee_id, each.offering) in in_class) for each in decisions]
        for trainee_id, decisions in decided.items()
    }


def _cell(decision: Decision, programme: Programme, *, is_in_class: bool) -> Cell:
    if any(each.module == decision.offering and each.ended_at is None for each in decision.facts.completions):
        return Cell("done", "Completed")
    if is_in_class:
        return Cell("class", "In class now")
    if decision.exception and decision.open:
        return Cell("exception", "Open by an exception")
    if decision.open:
        return Cell("equivalency", "Open by an equivalency") if decision.status == "waived" else Cell("open", "Open")
    if decision.is_pending:
        return Cell("pending", "Waiting for an answer")
    if decision.tree is None:
        return Cell("closed", "Not open to anyone yet")
    first = next(iter(shortest_way(decision.tree)), None)
    return Cell("locked", f"Locked. {staff_sentence(first, programme)}" if first else "Locked")


def locked_by_one_thing(
    connection: Connection,
    published: Published,
    trainee_ids: Collection[int],
    shown: Sequence[Column],
    starts: Mapping[str, date],
    now: datetime,
) -> set[int]:
    """Those of these people whose locked modules all miss the same one thing, as their pages say.

    Most people have the same records as others: each set of records is decided once.
    """
    programme, known = published.programme, load_facts(connection, trainee_ids)
    modules = [each.module_id for each in shown]
    decided: dict[Any, bool] = {}
    found = set()
    for trainee_id, facts in known.items():
        shape, taken = _shape(facts), {each.module for each in facts.completions if each.ended_at is None}
        if shape not in decided:
            about = (evaluate(programme, published.version, each, facts, now, starts.get(each)) for each in modules)
            missed = [each for each in about if each.offering not in taken]
            decided[shape] = len(causes(missed, programme)) == 1
        if decided[shape]:
            found.add(trainee_id)
    return found


def _shape(facts: Facts) -> Any:
    records = (record for name in RECORDS for record in getattr(facts, name))
    return facts.profession, tuple(
        (type(each), *(getattr(each, one.name) for one in fields(each) if one.name not in UNUSED)) for each in records
    )
