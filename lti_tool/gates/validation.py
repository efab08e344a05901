"""Which gates may be published (gates.md A1.4), and when two rules mean the same (gates.md A1.5).

PURE. `conditions` reads the grammar of one rule. Here the whole programme is checked: modes, targets and sets that
rules name, rules that no trainee can satisfy, and gates that wait for each other.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from lti_tool.gates import conditions
from lti_tool.gates.conditions import Condition, Group, Members, Rule, UnreadableRule, conditions_of, parse_rule
from lti_tool.programme.model import UNSET, Gate, Programme
from lti_tool.programme.yaml_source import Problem

# The only list that a statement can be about is the programme's contraindications.
STATEMENT_LIST = "contraindications"


def check_gates(programme: Programme, today: date | None = None) -> list[Problem]:
    """Every error and warning about these gates, each once and in order.

    With `today`, a window that has already closed is an error; without it, a document is judged the same on any day.
    UNSET is an error for an offering that is published and a warning for one that is not.
    """
    found: list[Problem] = []
    for offering in (*programme.modules, *programme.retreats):
        if offering not in programme.gates:
            found.append(
                _error("gate_missing", f"{offering} has no gate. Write mode none to open it to everyone.", "gates")
            )
    for gate in programme.gates.values():
        found += _gate_problems(gate, programme, today)
    found += _cycles(programme)
    return list(dict.fromkeys(found))


def rule_digest(rule: Rule) -> str:
    """SHA-256 that is the same for two rules of one meaning, whatever the order of their keys and children."""
    return sha256(json.dumps(_canonical(rule), sort_keys=True, default=str).encode()).hexdigest()


def _canonical(rule: Rule) -> Any:
    if not isinstance(rule, Group):

        def plain(value: Any) -> Any:
            if isinstance(value, Members):
                return [value.set_name, sorted(set(value.names))]
            return sorted(set(value)) if isinstance(value, tuple) else value

        return [rule.name, {each.name: plain(getattr(rule, each.name)) for each in fields(rule) if each.name != "path"}]
    children = sorted((_canonical(child) for child in rule.children), key=lambda each: json.dumps(each, default=str))
    if rule.op == "not":
        return ["not", children]
    return children[0] if len(children) == 1 else ["at_least", rule.n, children]


def _gate_problems(gate: Gate, programme: Programme, today: date | None) -> Iterator[Problem]:
    if gate.target not in programme.modules and gate.target not in programme.retreats:
        yield _error("gate_target_unknown", f"There is no module or retreat {gate.target}.", gate.path)
        return
    published = programme.is_published(gate.target)
    yield from _mode_problems(gate, published)
    if not gate.refs:
        yield _error("gate_source_missing", "A gate needs a source.", gate.path)
    if gate.mode != UNSET and not gate.approver:
        yield _error("gate_approver_missing", "A gate needs a named approver.", gate.path)
    for raw, path in ((gate.rule, f"{gate.path}.rule"), (gate.recommended, f"{gate.path}.recommended")):
        if raw is None:
            continue
        try:
            rule = parse_rule(raw, path)
        except UnreadableRule as unreadable:
            for each in unreadable.problems:
                yield _unset(published, each.message, each.path) if each.code == "gate_unset" else each
            continue
        looked_up = _Lookup(programme, published, today)
        for condition in conditions_of(rule):
            yield from looked_up.condition(condition)
        if _required(rule) & _forbidden(rule):
            message = "The rule requires a condition and its opposite, so no trainee can satisfy it."
            yield _error("rule_contradiction", message, path)


def _mode_problems(gate: Gate, published: bool) -> Iterator[Problem]:
    if gate.mode == UNSET:
        yield _unset(published, f"The gate of {gate.target} is UNSET, so it stays shut.", f"{gate.path}.mode")
    elif gate.mode == "none" and gate.rule is not None:
        yield _error("gate_rule_not_allowed", "A gate of mode none has no rule.", f"{gate.path}.rule")
    elif gate.mode in ("required", "recommended") and gate.rule is None:
        message = "A rule is missing. Write mode none if there is no rule."
        yield _error("gate_rule_missing", message, f"{gate.path}.rule")
    elif gate.mode == "recommended" and gate.recommended is not None:
        message = "A gate of mode recommended has its recommendation in its rule."
        yield _error("gate_rule_not_allowed", message, f"{gate.path}.recommended")


@dataclass(frozen=True, slots=True)
class _Lookup:
    """What the conditions of one gate name, looked up in the programme."""

    programme: Programme
    published: bool
    today: date | None

    def condition(self, rule: Condition) -> Iterator[Problem]:
        path = rule.path
        match rule:
            case conditions.Completed():
                yield from self.module(rule.module, f"{path}.module")
            case conditions.CompletedAny():
                yield from self.completed_any(rule)
            case conditions.EquivalencyOf():
                yield from self.module(rule.target, f"{path}.for")
                yield from self.providers(rule.target, f"{path}.for")
            case conditions.RetreatEquivalencyOf():
                yield from self.retreat(rule.target, f"{path}.for")
                yield from self.providers(rule.target, f"{path}.for")
            case conditions.AttendedRetreat():
                yield from self.retreat(rule.retreat, f"{path}.retreat")
            case conditions.LicenceActive():
                yield from self.members(rule.types, f"{path}.types")
            case conditions.ProfessionIn():
                yield from self.members(rule.members, f"{path}.set")
            case conditions.DateWindow():
                yield from self.window(rule)
            case conditions.HealthClearance() | conditions.InvitationTo():
                yield from self.offering(rule.offering, f"{path}.offering")
            case conditions.AttestationOf():
                yield from self.statement(rule)

    def module(self, module: str, path: str) -> Iterator[Problem]:
        found = self.programme.modules.get(module)
        if found is None:
            yield _error("gate_target_missing", f"There is no module {module} in this catalogue.", path)
        elif not found.publish and self.published:
            yield Problem("warning", "gate_target_not_offered", f"{module} is not offered at present.", path)

    def retreat(self, retreat: str, path: str) -> Iterator[Problem]:
        if retreat not in self.programme.retreats:
            yield _error("gate_target_missing", f"There is no retreat {retreat} in this catalogue.", path)

    def offering(self, offering: str, path: str) -> Iterator[Problem]:
        if offering not in self.programme.modules and offering not in self.programme.retreats:
            yield _error("gate_target_missing", f"There is no module or retreat {offering}.", path)

    def providers(self, target: str, path: str) -> Iterator[Problem]:
        if not any(each.target == target and each.providers for each in self.programme.equivalencies.values()):
            message = f"The programme lists no training elsewhere that could replace {target}."
            yield Problem("warning", "gate_equivalency_without_providers", message, path)

    def members(self, members: Members, path: str) -> Iterator[Problem]:
        """A set that is missing, UNSET or empty; the grammar allows no empty list."""
        if members.set_name is None:
            return
        if members.set_name not in self.programme.sets:
            yield _error("gate_set_missing", f"There is no set {members.set_name}.", path)
        elif self.programme.sets[members.set_name] is None:
            yield _unset(self.published, f"The set {members.set_name} is UNSET.", path)
        elif not self.programme.sets[members.set_name]:
            yield _error("rule_unsatisfiable", f"The set {members.set_name} is empty.", path)

    def completed_any(self, rule: conditions.CompletedAny) -> Iterator[Problem]:
        path = f"{rule.path}.{'set' if rule.members.set_name else 'list'}"
        yield from self.members(rule.members, path)
        named = _named(rule.members, self.programme)
        for module in named:
            yield from self.module(module, path)
        for module in rule.excluding:
            yield from self.module(module, f"{rule.path}.except")
        if named and len(set(named) - set(rule.excluding)) < rule.n:
            yield _error("rule_unsatisfiable", "There are fewer modules to take than n asks for.", f"{rule.path}.n")

    def window(self, rule: conditions.DateWindow) -> Iterator[Problem]:
        first, last = (bound.date() if isinstance(bound, datetime) else bound for bound in (rule.opens, rule.closes))
        if first and last and first > last:
            yield _error("rule_unsatisfiable", "The window closes before it opens.", rule.path)
        if last and self.today and last < self.today:
            yield _error("rule_unsatisfiable", "The window has already closed.", f"{rule.path}.to")

    def statement(self, rule: conditions.AttestationOf) -> Iterator[Problem]:
        shown = self.programme.contraindications
        if rule.list_name != STATEMENT_LIST or shown is None:
            yield _error("gate_target_missing", f"There is no list {rule.list_name}.", f"{rule.path}.list")
        elif rule.version != shown.version:
            message = f"The list is shown in version {shown.version}."
            yield _error("gate_target_missing", message, f"{rule.path}.version")


def _error(code: str, message: str, path: str) -> Problem:
    return Problem("error", code, message, path)


def _unset(published: bool, message: str, path: str) -> Problem:
    return Problem("error" if published else "warning", "gate_unset", message, path)


def _named(members: Members, programme: Programme) -> tuple[str, ...]:
    return members.names or programme.sets.get(members.set_name or "") or ()


def _required(rule: Rule) -> set[str]:
    """The digests of what every trainee who satisfies the rule must satisfy."""
    if isinstance(rule, Group) and rule.op != "not" and rule.n == len(rule.children):
        return {rule_digest(rule)}.union(*map(_required, rule.children))
    return set() if isinstance(rule, Group) and rule.op == "not" else {rule_digest(rule)}


def _forbidden(rule: Rule) -> set[str]:
    """The digests of what no trainee who satisfies the rule may satisfy."""
    if not isinstance(rule, Group):
        return set()
    if rule.op == "not":
        return {rule_digest(rule.children[0])}
    return set().union(*map(_forbidden, rule.children)) if rule.n == len(rule.children) else set()


def _cycles(programme: Programme) -> Iterator[Problem]:
    """Gates that wait for each other; each cycle is reported once, at its first gate."""
    prerequisites = {offering: _prerequisites(gate, programme) for offering, gate in programme.gates.items()}
    done: set[str] = set()
    for start in prerequisites:
        cycle = () if start in done else _cycle_from(start, prerequisites)
        if cycle:
            done.update(cycle)
            message = f"These gates wait for each other: {' → '.join((*cycle, cycle[0]))}."
            yield _error("gate_cycle", message, f"{programme.gates[start].path}.rule")


def _cycle_from(start: str, prerequisites: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The first path from `start` back to itself, without the return; empty if there is none."""
    paths: list[tuple[str, ...]] = [(start,)]
    visited = {start}
    while paths:
        path = paths.pop()
        for target in prerequisites.get(path[-1], ()):
            if target == start:
                return path
            if target not in visited:
                visited.add(target)
                paths.append((*path, target))
    return ()


def _prerequisites(gate: Gate, programme: Programme) -> tuple[str, ...]:
    """The offerings that this gate's rule names; those of a set only if all of them are needed."""
    if gate.mode not in ("required", "recommended"):
        return ()
    try:
        rule = parse_rule(gate.rule)
    except UnreadableRule:
        return ()
    named: list[str] = []
    for condition in conditions_of(rule):
        match condition:
            case conditions.Completed():
                named.append(condition.module)
            case conditions.AttendedRetreat():
                named.append(condition.retreat)
            case conditions.CompletedAny():
                wanted = [each for each in _named(condition.members, programme) if each not in condition.excluding]
                named += wanted if len(wanted) <= condition.n else []
    return tuple(dict.fromkeys(named))
