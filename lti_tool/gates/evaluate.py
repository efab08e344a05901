"""Decides whether a gate is open: `evaluate(programme, version, offering, facts, at)` (gates.md A2).

PURE: no clock, no database, no network. It collects every reason instead of stopping at the first, and opens a gate
only if the root of its rule is certainly satisfied or waived. Everything unexpected keeps the gate shut.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from lti_tool.gates.condition_checks import Inputs, check
from lti_tool.gates.conditions import NEVER_EXCEPTED, Group, Rule, UnreadableRule, parse_rule
from lti_tool.gates.decision import OPEN, UNSURE, Decision, Node, Status, UsedException, at_least, negated, walk
from lti_tool.gates.facts import Facts
from lti_tool.programme.model import Programme
from lti_tool.times import day_of

MAX_KEPT_PROGRAMMES = 32
_NEVER_EXCEPTED = frozenset(kind.name for kind in NEVER_EXCEPTED)


def evaluate(
    programme: Programme,
    version: int,
    offering_id: str,
    facts: Facts,
    at: datetime,
    offering_start: date | None = None,
) -> Decision:
    """The decision for the person of `facts` at the aware instant `at`, by the facts recorded until then.

    `offering_start` is the first day of the retreat or live session asked for; a licence may be judged on that day.
    Never raises: what cannot be decided is a shut gate with status `error`.
    """
    try:
        return _decide(programme, version, offering_id, facts.as_of(at), at, offering_start)
    except Exception:
        return Decision(offering_id, version, at, facts, False, "error", "check_failed")


def rules_of(programme: Programme, offering_id: str) -> tuple[Rule | None, Rule | None]:
    """The parsed rules of this gate: required, recommended. None where there is no readable rule."""
    gate = _parsed_gate(programme, offering_id)
    return gate.rule, gate.recommended


@dataclass(frozen=True, slots=True)
class _ParsedGate:
    """A gate with its rules parsed. Without a `rule` it is free; a `broken` one (a reason key) never opens."""

    rule: Rule | None = None
    recommended: Rule | None = None
    broken: str | None = None


# A published document is one object for the life of the process, so its gates are parsed once. The key is the object's
# id; the object is kept beside it, so that the id cannot be reused for another document.
_parsed: dict[int, tuple[Programme, dict[str, _ParsedGate]]] = {}


def _parsed_gate(programme: Programme, offering_id: str) -> _ParsedGate:
    kept = _parsed.get(id(programme))
    if kept is None or kept[0] is not programme:
        if len(_parsed) >= MAX_KEPT_PROGRAMMES:
            _parsed.clear()
        kept = _parsed[id(programme)] = (programme, {})
    gate = kept[1].get(offering_id)
    if gate is None:
        gate = kept[1][offering_id] = _parse_gate(programme, offering_id)
    return gate


def _parse_gate(programme: Programme, offering_id: str) -> _ParsedGate:
    gate = programme.gates.get(offering_id)
    if offering_id not in programme.modules and offering_id not in programme.retreats:
        return _ParsedGate(broken="offering_gone")
    if gate is None:
        return _ParsedGate(broken="gate_missing")
    if gate.mode not in ("none", "recommended", "required"):
        return _ParsedGate(broken="gate_unset")
    if gate.mode != "required":
        return _ParsedGate(recommended=_advice(gate.rule if gate.mode == "recommended" else gate.recommended))
    try:
        return _ParsedGate(parse_rule(gate.rule, f"{gate.path}.rule"), _advice(gate.recommended))
    except UnreadableRule:
        return _ParsedGate(broken="rule_unreadable")


def _advice(raw: Any) -> Rule | None:
    """A recommended rule never locks a gate (programme.yaml C26), not even when it is unreadable."""
    try:
        return None if raw is None else parse_rule(raw)
    except UnreadableRule:
        return None


def _decide(
    programme: Programme, version: int, offering_id: str, facts: Facts, at: datetime, offering_start: date | None
) -> Decision:
    gate = _parsed_gate(programme, offering_id)
    if gate.broken is not None:
        return Decision(offering_id, version, at, facts, False, "error", gate.broken)
    inputs = Inputs(programme, facts, at, day_of(at, programme.zone), offering_start)
    recommended = None if gate.recommended is None else _node(gate.recommended, inputs)
    offered = programme.is_published(offering_id)
    reason = None if offered else "not_offered"
    if gate.rule is None:
        return Decision(offering_id, version, at, facts, offered, "satisfied", reason or "gate_free", None, recommended)
    tree = _node(gate.rule, inputs)
    exception = None if tree.is_open else _exception(offering_id, tree, inputs)
    is_open = offered and (tree.is_open or exception is not None)
    return Decision(offering_id, version, at, facts, is_open, tree.status, reason, tree, recommended, exception)


def _node(rule: Rule, inputs: Inputs) -> Node:
    if not isinstance(rule, Group):
        return check(rule, inputs)
    children = tuple([_node(child, inputs) for child in rule.children])
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


def _exception(offering_id: str, tree: Node, inputs: Inputs) -> UsedException | None:
    """The staff exception in force that opens this gate: of several the one that lasts longest (gates.md A4)."""
    in_force = [
        each
        for each in inputs.facts.exceptions
        if each.offering == offering_id and each.ended_at is None and each.expires_on >= inputs.day
    ]
    if not in_force or "exceptions" in inputs.facts.unavailable or _excepted(tree) not in OPEN:
        return None
    longest = max(in_force, key=lambda each: (each.expires_on, -each.id))
    return UsedException(longest.id, longest.expires_on)


def _excepted(node: Node) -> Status:
    """The status of a node if an exception replaced everything it may replace: not screening or the statement
    (gates.md A4.4), and not what could not be checked (gates.md A1.7)."""
    if node.condition is not None:
        return node.status if node.condition in _NEVER_EXCEPTED or node.status in UNSURE else "satisfied"
    if node.op == "not":
        is_fixed = node.status in UNSURE or any(each.condition in _NEVER_EXCEPTED for each in walk(node))
        return node.status if is_fixed else "satisfied"
    return at_least(node.needed, [_excepted(child) for child in node.children])
