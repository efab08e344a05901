"""Whether the targets and sets that a condition names are there, and whether anybody could meet it. Pure.

See gates.md A1.4.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from lti_tool.gates import conditions as nodes
from lti_tool.gates.conditions import Condition, Members
from lti_tool.programme.model import Programme
from lti_tool.programme.problems import Problem

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


def _completed(rule: nodes.Completed, look: _Look) -> Iterator[Problem]:
    yield from look.module(rule.module, f"{rule.path}.module")


def _completed_any(rule: nodes.CompletedAny, look: _Look) -> Iterator[Problem]:
    place = f"{rule.path}.{'set' if rule.members.set_name else 'list'}"
    yield from look.members(rule.members, place)
    values = look.values(rule.members)
    for module in values:
        yield from look.module(module, place)
    for module in rule.excluding:
        yield from look.module(module, f"{rule.path}.except")
    if values and len(set(values) - set(rule.excluding)) < rule.n:
        yield _error("rule_unsatisfiable", "There are fewer modules to take than n asks for.", f"{rule.path}.n")


def _equivalency(rule: nodes.EquivalencyOf, look: _Look) -> Iterator[Problem]:
    yield from look.module(rule.target, f"{rule.path}.for")
    yield from look.providers(rule.target, f"{rule.path}.for")


def _retreat_equivalency(rule: nodes.RetreatEquivalencyOf, look: _Look) -> Iterator[Problem]:
    yield from look.retreat(rule.target, f"{rule.path}.for")
    yield from look.providers(rule.target, f"{rule.path}.for")


def _attended_retreat(rule: nodes.AttendedRetreat, look: _Look) -> Iterator[Problem]:
    yield from look.retreat(rule.retreat, f"{rule.path}.retreat")


def _licence_active(rule: nodes.LicenceActive, look: _Look) -> Iterator[Problem]:
    yield from look.members(rule.types, f"{rule.path}.types")


def _profession_in(rule: nodes.ProfessionIn, look: _Look) -> Iterator[Problem]:
    yield from look.members(rule.members, f"{rule.path}.set")


def _date_window(rule: nodes.DateWindow, look: _Look) -> Iterator[Problem]:
    first, last = _day(rule.opens), _day(rule.closes)
    if first and last and first > last:
        yield _error("rule_unsatisfiable", "The window ends before it begins.", rule.path)
    if last and look.today and last < look.today:
        yield _error("rule_unsatisfiable", "The window is already past.", f"{rule.path}.to")


def _health_clearance(rule: nodes.HealthClearance, look: _Look) -> Iterator[Problem]:
    yield from look.offering(rule.offering, f"{rule.path}.offering")


def _attestation(rule: nodes.AttestationOf, look: _Look) -> Iterator[Problem]:
    shown = look.programme.contraindications
    if rule.list_name != STATEMENT_LIST or shown is None:
        yield _error("gate_target_missing", f"There is no list {rule.list_name}.", f"{rule.path}.list")
    elif rule.version != shown.version:
        message = f"The list is shown in version {shown.version}."
        yield _error("gate_target_missing", message, f"{rule.path}.version")


def _invitation(rule: nodes.InvitationTo, look: _Look) -> Iterator[Problem]:
    yield from look.offering(rule.offering, f"{rule.path}.offering")


def _day(bound: date | datetime | None) -> date | None:
    return bound.date() if isinstance(bound, datetime) else bound


def _error(code: str, message: str, path: str) -> Problem:
    return Problem("error", code, message, path)


_CHECKS: Mapping[type[Any], Callable[[Any, _Look], Iterable[Problem]]] = {
    nodes.Completed: _completed,
    nodes.CompletedAny: _completed_any,
    nodes.EquivalencyOf: _equivalency,
    nodes.AttendedRetreat: _attended_retreat,
    nodes.RetreatEquivalencyOf: _retreat_equivalency,
    nodes.LicenceActive: _licence_active,
    nodes.ProfessionIn: _profession_in,
    nodes.DateWindow: _date_window,
    nodes.HealthClearance: _health_clearance,
    nodes.AttestationOf: _attestation,
    nodes.InvitationTo: _invitation,
}
