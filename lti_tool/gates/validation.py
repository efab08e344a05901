"""Which gates may be published (gates.md A1.4), and when two rules are the same (A1.5). Pure.

The grammar itself is read in `grammar` and what one condition names is checked in `targets`; here a whole programme is
looked at: modes, cycles, rules that nobody can satisfy, gates that nobody stands for.

Whether the targets and sets that a condition names are there, and whether anybody could meet it. Pure.

See gates.md A1.4.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from lti_tool.gates import conditions
from lti_tool.gates.conditions import (
    AttendedRetreat,
    Completed,
    CompletedAny,
    Condition,
    Group,
    Members,
    Rule,
    UnreadableRule,
    conditions_of,
    parse_rule,
)
from lti_tool.programme.model import UNSET, Gate, Programme
from lti_tool.programme.yaml_source import Problem

# The only list that a statement can be made to is the programme's contraindications.
STATEMENT_LIST = "contraindications"


def condition_problems(
    condition: Condition, programme: Programme, *, published: bool, today: date | None
) -> Iterable[Problem]:
    """What is wrong with one condition of a gate, with its path."""
    return _CHECKS[type(condition)](condition, _Look(programme, published, today))


@dataclass(frozen=True, slots=True)
class _Look:
    """The programme as seen from one gate."""

    programme: Programme
    published: bool
    today: date | None

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
            message = f"No training elsewhere is listed that could stand for {target}."
            yield Problem("warning", "gate_equivalency_without_providers", message, path)

    def members(self, members: Members, path: str) -> Iterator[Problem]:
        """A set that is gone, UNSET or empty; a list is never empty by the grammar."""
        if members.set_name is None:
            return
        if members.set_name not in self.programme.sets:
            yield _error("gate_set_missing", f"There is no set {members.set_name}.", path)
        elif self.programme.sets[members.set_name] is None:
            severity: Any = "error" if self.published else "warning"
            yield Problem(severity, "gate_unset", f"The set {members.set_name} is UNSET.", path)
        elif not self.programme.sets[members.set_name]:
            yield _error("rule_unsatisfiable", f"The set {members.set_name} is empty.", path)

    def values(self, members: Members) -> tuple[str, ...]:
        return members.names or self.programme.sets.get(members.set_name or "") or ()


def _completed(rule: conditions.Completed, look: _Look) -> Iterator[Problem]:
    yield from look.module(rule.module, f"{rule.path}.module")


def _completed_any(rule: conditions.CompletedAny, look: _Look) -> Iterator[Problem]:
    place = f"{rule.path}.{'set' if rule.members.set_name else 'list'}"
    yield from look.members(rule.members, place)
    values = look.values(rule.members)
    for module in values:
        yield from look.module(module, place)
    for module in rule.excluding:
        yield from look.module(module, f"{rule.path}.except")
    if values and len(set(values) - set(rule.excluding)) < rule.n:
        yield _error("rule_unsatisfiable", "There are fewer modules to take than n asks for.", f"{rule.path}.n")


def _equivalency(rule: conditions.EquivalencyOf, look: _Look) -> Iterator[Problem]:
    yield from look.module(rule.target, f"{rule.path}.for")
    yield from look.providers(rule.target, f"{rule.path}.for")


def _retreat_equivalency(rule: conditions.RetreatEquivalencyOf, look: _Look) -> Iterator[Problem]:
    yield from look.retreat(rule.target, f"{rule.path}.for")
    yield from look.providers(rule.target, f"{rule.path}.for")


def _attended_retreat(rule: conditions.AttendedRetreat, look: _Look) -> Iterator[Problem]:
    yield from look.retreat(rule.retreat, f"{rule.path}.retreat")


def _licence_active(rule: conditions.LicenceActive, look: _Look) -> Iterator[Problem]:
    yield from look.members(rule.types, f"{rule.path}.types")


def _profession_in(rule: conditions.ProfessionIn, look: _Look) -> Iterator[Problem]:
    yield from look.members(rule.members, f"{rule.path}.set")


def _date_window(rule: conditions.DateWindow, look: _Look) -> Iterator[Problem]:
    first, last = _day(rule.opens), _day(rule.closes)
    if first and last and first > last:
        yield _error("rule_unsatisfiable", "The window ends before it begins.", rule.path)
    if last and look.today and last < look.today:
        yield _error("rule_unsatisfiable", "The window is already past.", f"{rule.path}.to")


def _health_clearance(rule: conditions.HealthClearance, look: _Look) -> Iterator[Problem]:
    yield from look.offering(rule.offering, f"{rule.path}.offering")


def _attestation(rule: conditions.AttestationOf, look: _Look) -> Iterator[Problem]:
    shown = look.programme.contraindications
    if rule.list_name != STATEMENT_LIST or shown is None:
        yield _error("gate_target_missing", f"There is no list {rule.list_name}.", f"{rule.path}.list")
    elif rule.version != shown.version:
        message = f"The list is shown in version {shown.version}."
        yield _error("gate_target_missing", message, f"{rule.path}.version")


def _invitation(rule: conditions.InvitationTo, look: _Look) -> Iterator[Problem]:
    yield from look.offering(rule.offering, f"{rule.path}.offering")


def _day(bound: date | datetime | None) -> date | None:
    return bound.date() if isinstance(bound, datetime) else bound


def _error(code: str, message: str, path: str) -> Problem:
    return Problem("error", code, message, path)


_CHECKS: Mapping[type[Any], Callable[[Any, _Look], Iterable[Problem]]] = {
    conditions.Completed: _completed,
    conditions.CompletedAny: _completed_any,
    conditions.EquivalencyOf: _equivalency,
    conditions.AttendedRetreat: _attended_retreat,
    conditions.RetreatEquivalencyOf: _retreat_equivalency,
    conditions.LicenceActive: _licence_active,
    conditions.ProfessionIn: _profession_in,
    conditions.DateWindow: _date_window,
    conditions.HealthClearance: _health_clearance,
    conditions.AttestationOf: _attestation,
    conditions.InvitationTo: _invitation,
}

__all__ = ["UnreadableRule", "check_gates", "parse_rule", "rule_digest"]


def check_gates(programme: Programme, today: date | None = None) -> list[Problem]:
    """Every reason not to publish these gates, and what is only doubtful as warnings, each once and in order.

    `today` refuses windows that are already past; without it a document is judged the same on any day. What is UNSET is
    an error for an offering that is published and a warning for one that is not.
    """
    found: list[Problem] = list(_missing_gates(programme))
    for gate in programme.gates.values():
        found += _gate_problems(gate, programme, today)
    found += _cycles(programme)
    return list(dict.fromkeys(found))


def rule_digest(rule: Rule) -> str:
    """SHA-256 that is the same for two rules of one meaning, whatever the order of their keys and children."""
    return sha256(json.dumps(_canonical(rule), sort_keys=True, default=str).encode()).hexdigest()


def _canonical(rule: Rule) -> Any:
    if not isinstance(rule, Group):
        return [
            rule.name,
            {each.name: _plain(getattr(rule, each.name)) for each in fields(rule) if each.name != "path"},
        ]
    children = sorted((_canonical(child) for child in rule.children), key=lambda each: json.dumps(each, default=str))
    if rule.op == "not":
        return ["not", children]
    return children[0] if len(children) == 1 else ["at_least", rule.n, children]


def _plain(value: Any) -> Any:
    if isinstance(value, Members):
        return [value.set_name, sorted(set(value.names))]
    return sorted(set(value)) if isinstance(value, tuple) else value


def _missing_gates(programme: Programme) -> Iterator[Problem]:
    for offering in (*programme.modules, *programme.retreats):
        if offering not in programme.gates:
            message = f"{offering} has no gate. Write mode none if it is open to everyone."
            yield Problem("error", "gate_missing", message, "gates")


def _gate_problems(gate: Gate, programme: Programme, today: date | None) -> Iterator[Problem]:
    offering = gate.target
    if offering not in programme.modules and offering not in programme.retreats:
        yield Problem("error", "gate_target_unknown", f"There is no module or retreat {offering}.", gate.path)
        return
    yield from _mode_problems(gate, programme.is_published(offering))
    yield from _approval_problems(gate)
    for raw, path in ((gate.rule, f"{gate.path}.rule"), (gate.recommended, f"{gate.path}.recommended")):
        if raw is not None:
            yield from _rule_problems(raw, path, gate, programme, today)


def _mode_problems(gate: Gate, published: bool) -> Iterator[Problem]:
    path = f"{gate.path}.mode"
    if gate.mode == UNSET:
        yield _unset(published, f"The gate of {gate.target} is UNSET: nobody can open it.", path)
    elif gate.mode == "none" and gate.rule is not None:
        yield Problem("error", "gate_rule_not_allowed", "A gate of mode none has no rule.", f"{gate.path}.rule")
    elif gate.mode in ("required", "recommended") and gate.rule is None:
        message = "A rule is missing. No rule at all is written as mode none."
        yield Problem("error", "gate_rule_missing", message, f"{gate.path}.rule")
    elif gate.mode == "recommended" and gate.recommended is not None:
        message = "A gate of mode recommended says in its rule what it recommends."
        yield Problem("error", "gate_rule_not_allowed", message, f"{gate.path}.recommended")


def _approval_problems(gate: Gate) -> Iterator[Problem]:
    if not gate.refs:
        yield Problem("error", "gate_source_missing", "A gate needs a source.", gate.path)
    if gate.mode != UNSET and not gate.approver:
        yield Problem("error", "gate_approver_missing", "A gate needs a named approver.", gate.path)


def _unset(published: bool, message: str, path: str) -> Problem:
    return Problem("error" if published else "warning", "gate_unset", message, path)


def _rule_problems(
    raw: Mapping[str, Any], path: str, gate: Gate, programme: Programme, today: date | None
) -> Iterator[Problem]:
    published = programme.is_published(gate.target)
    try:
        rule = parse_rule(raw, path)
    except UnreadableRule as unreadable:
        for problem in unreadable.problems:
            yield _unset(published, problem.message, problem.path) if problem.code == "gate_unset" else problem
        return
    for condition in conditions_of(rule):
        yield from condition_problems(condition, programme, published=published, today=today)
    if _required(rule) & _forbidden(rule):
        message = "The rule requires a condition and its opposite: nobody can satisfy it."
        yield Problem("error", "rule_contradiction", message, path)


def _required(rule: Rule) -> set[str]:
    """The digests of what every way through the rule needs."""
    if isinstance(rule, Group) and rule.op != "not" and rule.n == len(rule.children):
        return {rule_digest(rule)}.union(*map(_required, rule.children))
    return set() if isinstance(rule, Group) and rule.op == "not" else {rule_digest(rule)}


def _forbidden(rule: Rule) -> set[str]:
    if not isinstance(rule, Group):
        return set()
    if rule.op == "not":
        return {rule_digest(rule.children[0])}
    return set().union(*map(_forbidden, rule.children)) if rule.n == len(rule.children) else set()


def _cycles(programme: Programme) -> Iterator[Problem]:
    """Offerings whose gates lead back to themselves, each way round told once, at the gate where it begins."""
    ways = {offering: _leads_to(gate, programme) for offering, gate in programme.gates.items()}
    done: set[str] = set()
    for start in ways:
        cycle = None if start in done else _cycle_from(start, ways)
        if cycle:
            done.update(cycle)
            message = f"These gates wait for each other: {' → '.join((*cycle, cycle[0]))}."
            yield Problem("error", "gate_cycle", message, f"{programme.gates[start].path}.rule")


def _cycle_from(start: str, ways: Mapping[str, tuple[str, ...]]) -> tuple[str, ...] | None:
    """The first way from `start` back to itself, without the return."""
    trails: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    while trails:
        trail = trails.pop()
        for target in ways.get(trail[-1], ()):
            if target == start:
                return trail
            if target not in seen:
                seen.add(target)
                trails.append((*trail, target))
    return None


def _leads_to(gate: Gate, programme: Programme) -> tuple[str, ...]:
    """The offerings that this gate's rule asks for; of a set only where all of it is needed."""
    try:
        rule = parse_rule(gate.rule) if gate.mode in ("required", "recommended") else None
    except UnreadableRule:
        rule = None
    return tuple(dict.fromkeys(_wanted(rule, programme))) if rule is not None else ()


def _wanted(rule: Rule, programme: Programme) -> Iterable[str]:
    for condition in conditions_of(rule):
        if isinstance(condition, Completed):
            yield condition.module
        elif isinstance(condition, AttendedRetreat):
            yield condition.retreat
        elif isinstance(condition, CompletedAny):
            named = condition.members.names or programme.sets.get(condition.members.set_name or "") or ()
            wanted = [each for each in named if each not in condition.excluding]
            yield from wanted if len(wanted) <= condition.n else ()
