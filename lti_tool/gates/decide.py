"""The one front door to every gate: load the facts, evaluate, and keep what was decided.

Loads the facts of some trainees from the database: one query per table, whatever their number.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Row, Select, Table, bindparam, insert, select

from lti_tool.gates.checks import facts_needed
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
from lti_tool.tables.gates import completions, decisions, equivalency_requests, exceptions
from lti_tool.tables.people import licences, trainees
from lti_tool.tables.retreats import retreat_applications, retreat_attendances

PROFESSION = "profession"
KINDS: frozenset[str] = frozenset((*RECORDS, PROFESSION))

# Parameters of one statement; both databases allow several times as many.
IDS_PER_QUERY = 5000


def load_facts(
    connection: Connection, trainee_ids: Collection[int], kinds: Collection[str] = KINDS
) -> dict[int, Facts]:
    """The facts of each trainee by id; somebody unknown has none.

    `kinds` limits what is read to what a gate needs; the rest is marked unavailable and can never be taken for absent.
    Clearances and invitations have no records in this tool yet: nobody has any.
    """
    found: dict[int, dict[str, Any]] = {trainee_id: {} for trainee_id in trainee_ids}
    for ids in _chunks(sorted(set(trainee_ids))):
        for kind in kinds:
            _LOADERS[kind](connection, kind, ids, found)
    unavailable = KINDS.difference(kinds)
    return {each: Facts(each, **collected, unavailable=unavailable) for each, collected in found.items()}


_Found = dict[int, dict[str, Any]]
_Loader = Callable[[Connection, str, Sequence[int], _Found], None]


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for first in range(0, len(ids), IDS_PER_QUERY):
        yield ids[first : first + IDS_PER_QUERY]


def _records(wanted: Select[Any], owner: Table, build: Callable[[Row[Any]], Any]) -> _Loader:
    """Reads a table of records that belong to a trainee, in the order in which they were written.

    The statements are made once: to build one anew for each question costs more than to run it. A single trainee, the
    case of every launch, is asked for by equality, which need not be expanded either.
    """
    ordered = wanted.order_by(owner.c.id)
    of_one = ordered.where(owner.c.trainee_id == bindparam("trainee"))
    of_many = ordered.where(owner.c.trainee_id.in_(bindparam("trainees", expanding=True)))

    def load(connection: Connection, kind: str, ids: Sequence[int], found: _Found) -> None:
        single = len(ids) == 1
        rows = connection.execute(of_one if single else of_many, {"trainee": ids[0]} if single else {"trainees": ids})
        collected: defaultdict[int, list[Any]] = defaultdict(list)
        for row in rows:
            collected[row.trainee_id].append(build(row))
        for trainee_id, records in collected.items():
            found[trainee_id][kind] = tuple(records)

    return load


def _professions(connection: Connection, kind: str, ids: Sequence[int], found: _Found) -> None:
    for trainee_id, profession in connection.execute(_PROFESSIONS, {"trainees": ids}):
        found[trainee_id][kind] = profession


def _nothing(_connection: Connection, _kind: str, _ids: Sequence[int], _found: _Found) -> None:
    """There is no such record yet."""


def _completion(row: Row[Any]) -> Completion:
    return Completion(
        id=row.id,
        recorded_at=row.recorded_at,
        module=row.module_id,
        completed_on=row.completed_on,
        origin=row.origin,
        ended_at=row.ended_at,
        ended_reason=row.ended_reason,
    )


def _request(row: Row[Any]) -> EquivalencyRequest:
    return EquivalencyRequest(
        id=row.id,
        recorded_at=row.created_at,
        target=row.target,
        state=row.state,
        submitted_at=row.submitted_at,
        decided_at=row.decided_at,
        changed_at=row.updated_at,
        expires_on=row.expires_on,
    )


def _licence(row: Row[Any]) -> Licence:
    return Licence(
        id=row.id,
        recorded_at=row.recorded_at,
        type=row.type,
        jurisdiction=row.jurisdiction,
        issued_on=row.issued_on,
        expires_on=row.expires_on,
        status=row.status,
        verified=row.verified,
        ended_at=row.ended_at,
    )


def _roster_entry(row: Row[Any]) -> RetreatRecord:
    return RetreatRecord(
        id=row.id,
        recorded_at=row.recorded_at,
        retreat=row.retreat_id,
        starts_on=row.starts_on,
        outcome=row.outcome,
        ended_at=row.ended_at,
    )


def _statement(row: Row[Any]) -> Attestation:
    return Attestation(id=row.id, recorded_at=row.statement_at, list_name=STATEMENT_LIST, version=row.statement_version)


def _exception(row: Row[Any]) -> StaffException:
    return StaffException(
        id=row.id,
        recorded_at=row.granted_at,
        offering=row.offering_id,
        expires_on=row.expires_on,
        ended_at=row.ended_at,
        ended_reason=row.ended_reason,
    )


def _columns(table: Table, *left_out: str) -> Select[Any]:
    """What facts are made of: no licence number, no texts that no gate reads."""
    return select(*(column for column in table.c if column.name not in left_out))


_REQUESTS = _columns(
    equivalency_requests, "evidence_note", "decision_text", "question", "course_title", "provider_name", "completed_on"
)
_PROFESSIONS = select(trainees.c.id, trainees.c.profession).where(
    trainees.c.id.in_(bindparam("trainees", expanding=True))
)
_STATEMENTS = select(retreat_applications).where(retreat_applications.c.statement_at.is_not(None))

_LOADERS: Mapping[str, _Loader] = {
    "completions": _records(_columns(completions, "evidence", "recorded_by"), completions, _completion),
    "equivalencies": _records(_REQUESTS, equivalency_requests, _request),
    "licences": _records(_columns(licences, "number", "name_on_licence", "recorded_by"), licences, _licence),
    "retreats": _records(_columns(retreat_attendances, "recorded_by"), retreat_attendances, _roster_entry),
    "attestations": _records(_STATEMENTS, retreat_applications, _statement),
    "clearances": _nothing,
    "invitations": _nothing,
    "exceptions": _records(_columns(exceptions, "reason", "granted_by"), exceptions, _exception),
    PROFESSION: _professions,
}

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
