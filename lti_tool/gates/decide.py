"""The one front door to every gate: load the facts, evaluate, and record the decision.

Facts are loaded with one query per table, however many trainees are asked about.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Table, bindparam, insert, literal, select

from lti_tool.db import chunks
from lti_tool.gates.condition_checks import facts_needed
from lti_tool.gates.conditions import conditions_of
from lti_tool.gates.decision import Decision, walk
from lti_tool.gates.evaluate import evaluate, rules_of
from lti_tool.gates.facts import (
    RECORDS,
    Attestation,
    Completion,
    EquivalencyRequest,
    Facts,
    Licence,
    RetreatRecord,
    StaffException,
)
from lti_tool.gates.validation import STATEMENT_LIST
from lti_tool.programme.model import Programme
from lti_tool.programme.versions import Published
from lti_tool.tables.gates import completions, decisions, equivalency_requests, exceptions
from lti_tool.tables.people import licences, trainees
from lti_tool.tables.retreats import retreat_applications, retreat_attendances
from lti_tool.times import day_of

log = logging.getLogger(__name__)

PROFESSION = "profession"
KINDS: frozenset[str] = frozenset((*RECORDS, PROFESSION))
# An exception may open any gate, whatever its rule says.
ALWAYS_NEEDED = frozenset({"exceptions"})
# Parameters of one statement; both databases allow several times as many.
IDS_PER_QUERY = 5000

_insert_decision = insert(decisions)


def ask(
    connection: Connection,
    published: Published,
    trainee_id: int,
    offering_id: str,
    at: datetime,
    *,
    offering_start: date | None = None,
) -> Decision:
    """Whether this trainee may open this offering at `at`. Every route that leads past a gate asks here, each time.

    `offering_start` is the first day of the retreat or live session in question. Loads only the facts that the gate
    needs. What cannot be checked keeps the gate shut and is logged with its path (gates.md A1.7).
    """
    starts = {} if offering_start is None else {offering_id: offering_start}
    return ask_each(connection, published, trainee_id, [offering_id], at, starts=starts)[offering_id]


def ask_each(
    connection: Connection,
    published: Published,
    trainee_id: int,
    offering_ids: Collection[str],
    at: datetime,
    *,
    starts: Mapping[str, date],
    also: Collection[str] = (),
) -> dict[str, Decision]:
    """The decision of each of these offerings, for lists: the facts of all gates are loaded together, once.

    `starts` are the first days that are known, by offering; `also` names facts that the page needs beside the gates.
    """
    kinds = frozenset(also).union(*(needed_facts(published.programme, each) for each in offering_ids))
    facts = load_facts(connection, [trainee_id], kinds)[trainee_id]
    return {each: _decide(published, each, facts, at, starts.get(each)) for each in offering_ids}


def _decide(
    published: Published, offering_id: str, facts: Facts, at: datetime, offering_start: date | None
) -> Decision:
    decision = evaluate(published.programme, published.version, offering_id, facts, at, offering_start)
    ids = {"offering": offering_id, "programme_version": published.version}
    if decision.status == "error" and decision.tree is None and decision.reason != "gate_unset":
        log.error("gate cannot be read", extra=ids | {"reason": decision.reason})
    for node in walk(decision.tree) if decision.tree else ():
        if node.status == "error" and node.condition:
            log.error("condition cannot be checked", extra=ids | {"path": node.path, "reason": node.reason})
    return decision


def ask_many(
    connection: Connection,
    published: Published,
    trainee_ids: Collection[int],
    offerings: Collection[str],
    at: datetime,
    *,
    starts: Mapping[str, date],
) -> dict[int, list[Decision]]:
    """By trainee, the decisions about these offerings as `ask` gives them, in this order; for staff to look at.

    `starts` holds the first day of an offering that has one. The facts are loaded once for everybody.
    """
    kinds = frozenset[str]().union(*(needed_facts(published.programme, each) for each in offerings))
    facts = load_facts(connection, trainee_ids, kinds | {"completions"})
    return {
        trainee_id: [
            evaluate(published.programme, published.version, each, known, at, starts.get(each)) for each in offerings
        ]
        for trainee_id, known in facts.items()
    }


def shut_without(published: Published, facts: Facts, without: Facts, at: datetime) -> list[str]:
    """The published offerings that are open by these facts at `at` and shut by the others."""
    programme, today = published.programme, day_of(at, published.programme.zone)

    def is_open(offering: str, known: Facts) -> bool:
        return evaluate(programme, published.version, offering, known, at, today).open

    offered = [each for each in programme.gates if programme.is_published(each)]
    return [each for each in offered if is_open(each, facts) and not is_open(each, without)]


def record(connection: Connection, decision: Decision, route: str) -> None:
    """Record a decision that admitted or refused a trainee (gates.md A2.9)."""
    connection.execute(_insert_decision, decision_row(decision, route))


def decision_row(decision: Decision, route: str) -> dict[str, Any]:
    """The record of a decision; `route` names the entry, such as "launch" or "join"."""
    return {
        "trainee_id": decision.trainee_id,
        "offering_id": decision.offering[:64],
        "programme_version": decision.programme_version,
        "route": route,
        "open": decision.open,
        "status": decision.status,
        "digest": decision.digest,
        "tree": decision.to_json(),
        "decided_at": decision.at,
    }


def needed_facts(programme: Programme, offering_id: str) -> frozenset[str]:
    """The kinds of facts that this gate's rules need."""
    rules = [rule for rule in rules_of(programme, offering_id) if rule is not None]
    return ALWAYS_NEEDED.union(*(facts_needed(each) for rule in rules for each in conditions_of(rule)))


def load_facts(
    connection: Connection, trainee_ids: Collection[int], kinds: Collection[str] = KINDS
) -> dict[int, Facts]:
    """The facts of each trainee by id; an unknown trainee has none.

    `kinds` limits what is loaded to what a gate needs; other kinds are marked unavailable, so that they cannot be taken
    for absent. Clearances and invitations have no tables yet: they are always empty.
    """
    found: _Found = {trainee_id: {} for trainee_id in trainee_ids}
    for some in chunks(sorted(found), IDS_PER_QUERY):
        for kind in kinds:
            if kind in _LOADERS:
                _LOADERS[kind](connection, kind, some, found)
    unavailable = KINDS.difference(kinds)
    return {each: Facts(each, **collected, unavailable=unavailable) for each, collected in found.items()}


_Found = dict[int, dict[str, Any]]
_Loader = Callable[[Connection, str, Sequence[int], _Found], None]


def _records(fact: type[Any], table: Table, **sources: Any) -> _Loader:
    """Loads a table of records that belong to a trainee, in the order in which they were recorded.

    A field of `fact` comes from the column of its name, or from what `sources` gives instead; nothing else is loaded,
    so no licence number is. Rows without a `recorded_at` are left out.

    The statements are built once: building one costs more than running it. One trainee, the case of every launch, is
    looked up by equality, which needs no expanding either.
    """
    columns: dict[str, Any] = {
        each.name: sources.get(each.name, table.c.get(each.name))
        for each in fields(fact)
        if each.name in sources or each.name in table.c
    }
    wanted = select(table.c.trainee_id, *columns.values()).where(columns["recorded_at"].is_not(None))
    ordered = wanted.order_by(table.c.id)
    of_one = ordered.where(table.c.trainee_id == bindparam("trainee"))
    of_many = ordered.where(table.c.trainee_id.in_(bindparam("trainees", expanding=True)))

    def load(connection: Connection, kind: str, ids: Sequence[int], found: _Found) -> None:
        single = len(ids) == 1
        rows = connection.execute(of_one if single else of_many, {"trainee": ids[0]} if single else {"trainees": ids})
        collected: defaultdict[int, list[Any]] = defaultdict(list)
        for trainee_id, *values in rows:
            collected[trainee_id].append(fact(**dict(zip(columns, values, strict=True))))
        for trainee_id, records in collected.items():
            found[trainee_id][kind] = tuple(records)

    return load


def _professions(connection: Connection, kind: str, ids: Sequence[int], found: _Found) -> None:
    for trainee_id, profession in connection.execute(_wanted_professions, {"trainees": ids}):
        found[trainee_id][kind] = profession


_wanted_professions = select(trainees.c.id, trainees.c.profession).where(
    trainees.c.id.in_(bindparam("trainees", expanding=True))
)
_LOADERS: Mapping[str, _Loader] = {
    "completions": _records(Completion, completions, module=completions.c.module_id),
    "equivalencies": _records(
        EquivalencyRequest,
        equivalency_requests,
        recorded_at=equivalency_requests.c.created_at,
        changed_at=equivalency_requests.c.updated_at,
    ),
    "licences": _records(Licence, licences),
    "retreats": _records(RetreatRecord, retreat_attendances, retreat=retreat_attendances.c.retreat_id),
    "attestations": _records(
        Attestation,
        retreat_applications,
        recorded_at=retreat_applications.c.statement_at,
        list_name=literal(STATEMENT_LIST),
        version=retreat_applications.c.statement_version,
    ),
    "exceptions": _records(
        StaffException,
        exceptions,
        recorded_at=exceptions.c.granted_at,
        offering=exceptions.c.offering_id,
    ),
    PROFESSION: _professions,
}
