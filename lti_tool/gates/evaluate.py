"""The one evaluator: `evaluate(programme, version, offering, facts, at)` decides whether a gate is open (gates.md A2).

Pure: no clock, no database, no network. It collects every reason, stops at none, and opens only for a root that is
surely satisfied or waived; everything unexpected keeps the gate shut.

Which function judges which condition, and what happens when it cannot (gates.md A1.7, pure).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from lti_tool.gates import conditions
from lti_tool.gates.conditions import Group, Rule, UnreadableRule, parse_rule
from lti_tool.gates.decision import OPEN, UNSURE, Decision, NextStep, Node, Status, UsedException, at_least, negated
from lti_tool.gates.facts import Facts
from lti_tool.gates.leaf_conditions import (
    CONTACT,
    BrokenRule,
    Situation,
    attended_retreat,
    attestation,
    completed,
    completed_any,
    date_window,
    equivalency,
    health_clearance,
    invitation,
    licence_active,
    profession_in,
    retreat_equivalency,
    unsure,
)
from lti_tool.programme.model import Programme
from lti_tool.times import day_of

# Condition → (the facts it needs, what finds them).
_LEAVES: Mapping[type[Any], tuple[str, Callable[[Any, Situation], Node]]] = {
    conditions.Completed: ("completions", completed),
    conditions.CompletedAny: ("completions", completed_any),
    conditions.EquivalencyOf: ("equivalencies", equivalency),
    conditions.RetreatEquivalencyOf: ("equivalencies", retreat_equivalency),
    conditions.AttendedRetreat: ("retreats", attended_retreat),
    conditions.LicenceActive: ("licences", licence_active),
    conditions.ProfessionIn: ("profession", profession_in),
    conditions.DateWindow: ("", date_window),
    conditions.HealthClearance: ("clearances", health_clearance),
    conditions.AttestationOf: ("attestations", attestation),
    conditions.InvitationTo: ("invitations", invitation),
}


def facts_needed(rule: conditions.Condition) -> frozenset[str]:
    """The kind of facts that this condition looks at, if any."""
    return frozenset(filter(None, (_LEAVES[type(rule)][0],)))


def judge(rule: conditions.Condition, situation: Situation) -> Node:
    """The node of one condition. Whatever goes wrong inside it makes an `error`, which locks (gates.md A1.7)."""
    try:
        needs, find = _LEAVES[type(rule)]
        if needs in situation.facts.unavailable:
            return unsure(rule, "unknown", "facts_unavailable")
        return find(rule, situation)
    except BrokenRule as broken:
        return unsure(rule, "error", str(broken.args[0]))
    except Exception:
        return Node(
            "error",
            condition=getattr(rule, "name", "unknown"),
            reason="check_failed",
            next_step=CONTACT,
            path=getattr(rule, "path", ""),
        )


__all__ = ["Decision", "Facts", "NextStep", "Node", "evaluate", "rules_of"]

KEPT_PROGRAMMES = 32


def evaluate(
    programme: Programme,
    version: int,
    offering_id: str,
    facts: Facts,
    at: datetime,
    offering_start: date | None = None,
) -> Decision:
    """The decision for the person of `facts` at the aware instant `at`, by the facts recorded until then.

    `offering_start` is the first day of the retreat or live session asked for, which a licence may be judged by.
    Never raises: what cannot be decided is a shut gate with status `error`.
    """
    try:
        return _decide(programme, version, offering_id, facts.as_of(at), at, offering_start)
    except Exception:
        return Decision(offering_id, version, at, facts, False, "error", "check_failed")


def rules_of(programme: Programme, offering_id: str) -> tuple[Rule | None, Rule | None]:
    """What this gate requires and what it only recommends, read; None where there is no rule that can be."""
    gate = _read_gate(programme, offering_id)
    return gate.rule, gate.recommended


@dataclass(frozen=True, slots=True)
class _ReadGate:
    """A gate whose trees are parsed. Without a `rule` it is free; one that is `broken` (a reason key) never opens."""

    rule: Rule | None = None
    recommended: Rule | None = None
    broken: str | None = None


# A published document is one value for the life of the process, so its gates are read once. Kept by identity together
# with the document, so that an id is never taken for another's.
_read: dict[int, tuple[Programme, dict[str, _ReadGate]]] = {}


def _read_gate(programme: Programme, offering_id: str) -> _ReadGate:
    kept = _read.get(id(programme))
    if kept is None or kept[0] is not programme:
        if len(_read) >= KEPT_PROGRAMMES:
            _read.clear()
        kept = _read[id(programme)] = (programme, {})
    gate = kept[1].get(offering_id)
    if gate is None:
        gate = kept[1][offering_id] = _parse_gate(programme, offering_id)
    return gate


def _parse_gate(programme: Programme, offering_id: str) -> _ReadGate:
    gate = programme.gates.get(offering_id)
    if offering_id not in programme.modules and offering_id not in programme.retreats:
        return _ReadGate(broken="offering_gone")
    if gate is None:
        return _ReadGate(broken="gate_missing")
    if gate.mode not in ("none", "recommended", "required"):
        return _ReadGate(broken="gate_unset")
    if gate.mode != "required":
        return _ReadGate(recommended=_advice(gate.rule if gate.mode == "recommended" else gate.recommended))
    try:
        return _ReadGate(parse_rule(gate.rule, f"{gate.path}.rule"), _advice(gate.recommended))
    except UnreadableRule:
        return _ReadGate(broken="rule_unreadable")


def _advice(raw: Any) -> Rule | None:
    """A rule that only recommends never blocks (programme.yaml C26), not even by being broken."""
    try:
        return None if raw is None else parse_rule(raw)
    except UnreadableRule:
        return None


def _decide(
    programme: Programme, version: int, offering_id: str, facts: Facts, at: datetime, offering_start: date | None
) -> Decision:
    gate = _read_gate(programme, offering_id)
    if gate.broken is not None:
        return Decision(offering_id, version, at, facts, False, "error", gate.broken)
    situation = Situation(programme, facts, at, day_of(at, programme.zone), offering_start)
    recommended = None if gate.recommended is None else _grow(gate.recommended, situation)
    offered = programme.is_published(offering_id)
    reason = None if offered else "not_offered"
    if gate.rule is None:
        return Decision(offering_id, version, at, facts, offered, "satisfied", reason or "gate_free", None, recommended)
    tree = _grow(gate.rule, situation)
    exception = None if tree.is_open else _exception(offering_id, tree, situation)
    is_open = offered and (tree.is_open or exception is not None)
    return Decision(offering_id, version, at, facts, is_open, tree.status, reason, tree, recommended, exception)


def _grow(rule: Rule, situation: Situation) -> Node:
    if not isinstance(rule, Group):
        return judge(rule, situation)
    children = tuple([_grow(child, situation) for child in rule.children])
    statuses = [child.status for child in children]
    if rule.op == "not":
        status = negated(statuses[0])
        reason = "not_allowed_with" if status == "unmet" else None
        return Node(status, reason=reason, op="not", children=children, path=rule.path)
    opened = sum(status in OPEN for status in statuses)
    progress = (min(opened, rule.n), rule.n) if rule.op == "at_least" else None
    return Node(
        at_least(rule.n, statuses), progress=progress, op=rule.op, needed=rule.n, children=children, path=rule.path
    )


def _exception(offering_id: str, tree: Node, situation: Situation) -> UsedException | None:
    """The staff exception that opens this gate, if one is in force and may stand in for what is missing
    (gates.md A4)."""
    in_force = [
        each
        for each in situation.facts.exceptions
        if each.offering == offering_id and each.ended_at is None and each.expires_on >= situation.day
    ]
    if not in_force or "exceptions" in situation.facts.unavailable or _excepted(tree) not in OPEN:
        return None
    longest = max(in_force, key=lambda each: (each.expires_on, -each.id))
    return UsedException(longest.id, longest.expires_on)


_NEVER_EXCEPTED = frozenset(kind.name for kind in conditions.NEVER_EXCEPTED)


def _excepted(node: Node) -> Status:
    """The status of a node if an exception stood in for all it may: not for screening or the statement (gates.md A4.4),
    and not for what could not be checked (A1.7)."""
    if node.condition is not None:
        return node.status if node.condition in _NEVER_EXCEPTED or node.status in UNSURE else "satisfied"
    if node.op == "not":
        child = node.children[0]
        return node.status if node.status in UNSURE or _has_never_excepted(child) else "satisfied"
    return at_least(node.needed, [_excepted(child) for child in node.children])


def _has_never_excepted(node: Node) -> bool:
    return node.condition in _NEVER_EXCEPTED or any(map(_has_never_excepted, node.children))
