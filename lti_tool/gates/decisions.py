"""The one front door to every gate: load the facts, evaluate, and keep what was decided."""

import logging
from datetime import date, datetime
from typing import Protocol

from sqlalchemy import Connection, insert

from lti_tool.gates.evaluate import evaluate, rules_of
from lti_tool.gates.facts import load_facts
from lti_tool.gates.grammar import conditions_of
from lti_tool.gates.leaves import facts_needed
from lti_tool.gates.tree import Decision, walk
from lti_tool.programme.model import Programme
from lti_tool.tables.gates import decisions

log = logging.getLogger(__name__)

_insert_decision = insert(decisions)

# What opens gates whatever their rule says.
ALWAYS_NEEDED = frozenset({"exceptions"})


class Published(Protocol):
    """A published programme and its version (publication.Published)."""

    @property
    def version(self) -> int: ...
    @property
    def programme(self) -> Programme: ...


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

    `offering_start` is the first day of the retreat or live session in question. Reads only the facts that the gate
    needs. An error in the rule or a record is logged with its path; the gate is shut.
    """
    kinds = needed_facts(published.programme, offering_id)
    facts = load_facts(connection, [trainee_id], kinds)[trainee_id]
    decision = evaluate(published.programme, published.version, offering_id, facts, at, offering_start)
    _tell_of_errors(decision)
    return decision


def needed_facts(programme: Programme, offering_id: str) -> frozenset[str]:
    """The kinds of facts that this gate's rules look at."""
    rules = [rule for rule in rules_of(programme, offering_id) if rule is not None]
    return ALWAYS_NEEDED.union(*(facts_needed(each) for rule in rules for each in conditions_of(rule)))


def record(connection: Connection, decision: Decision, route: str) -> None:
    """Keep a decision that opened or refused an entry (gates.md A2.9); `route` names the entry, such as "launch" or
    "join"."""
    row = {
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
    connection.execute(_insert_decision, row)


def _tell_of_errors(decision: Decision) -> None:
    """An incident for each thing that could not be checked (gates.md A1.7)."""
    ids = {"offering": decision.offering, "programme_version": decision.programme_version}
    if decision.status == "error" and decision.tree is None and decision.reason != "gate_unset":
        log.error("gate cannot be read", extra=ids | {"reason": decision.reason})
    for node in walk(decision.tree) if decision.tree else ():
        if node.status == "error" and node.condition:
            log.error("condition cannot be checked", extra=ids | {"path": node.path, "reason": node.reason})
