"""Rules as immutable values, and the reader of their grammar (gates.md A1). PURE.

Four operators and eleven conditions, a closed list. Every node keeps the path it was read from; `parse_rule` reports
every problem with its path.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import date, datetime
from typing import Any, ClassVar, Literal, cast

from lti_tool.programme.model import UNSET
from lti_tool.programme.yaml_source import Problem
from lti_tool.times import zone_of

GroupOp = Literal["all", "any", "at_least", "not"]


@dataclass(frozen=True, slots=True)
class Members:
    """Some ids or codes: those listed in `names`, or those of the programme's set `set_name`."""

    set_name: str | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """`all`, `any` and `at_least` are open if `n` of the children are; `not` negates its one child."""

    op: GroupOp
    n: int
    children: tuple["Rule", ...]
    path: str = ""


@dataclass(frozen=True, slots=True)
class Completed:
    """A completion of `module` in force. With `accept_aliases`, a confirmed legacy module counts as well."""

    name: ClassVar[str] = "completed"
    module: str
    accept_aliases: bool = True
    path: str = ""


@dataclass(frozen=True, slots=True)
class CompletedAny:
    """Completions of at least `n` different modules of `members`, without those in `excluding`."""

    name: ClassVar[str] = "completed_any"
    members: Members
    n: int = 1
    excluding: tuple[str, ...] = ()
    path: str = ""


@dataclass(frozen=True, slots=True)
class EquivalencyOf:
    """An approval in date of training elsewhere in place of the module `target`."""

    name: ClassVar[str] = "equivalency"
    target: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class AttendedRetreat:
    """A roster entry `attended` for `retreat`. Registration, payment and confirmation do not count."""

    name: ClassVar[str] = "attended_retreat"
    retreat: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class RetreatEquivalencyOf:
    """An approval in date of a retreat elsewhere in place of the retreat `target`."""

    name: ClassVar[str] = "retreat_equivalency"
    target: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class LicenceActive:
    """A licence of a listed type that is valid on the day `at`: "now", the first day of the "live_session" or offering
    ("offering_start"), or a fixed date. No `jurisdictions` means any. `verified` requires that staff have checked it.
    """

    name: ClassVar[str] = "licence_active"
    types: Members
    jurisdictions: tuple[str, ...] = ()
    at: Literal["now", "live_session", "offering_start"] | date = "now"
    verified: bool = False
    path: str = ""


@dataclass(frozen=True, slots=True)
class ProfessionIn:
    """A declared or verified profession code of `members`."""

    name: ClassVar[str] = "profession_in"
    members: Members
    path: str = ""


@dataclass(frozen=True, slots=True)
class DateWindow:
    """Now is between `opens` and `closes`: wall times in `zone` (default: the programme's zone); a date is the whole
    day."""

    name: ClassVar[str] = "date_window"
    opens: date | datetime | None = None
    closes: date | datetime | None = None
    zone: str | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class HealthClearance:
    """Each of `steps` is cleared for `offering`, with or without conditions, and in date."""

    name: ClassVar[str] = "health_clearance"
    offering: str
    steps: tuple[str, ...]
    path: str = ""


@dataclass(frozen=True, slots=True)
class AttestationOf:
    """The trainee made the statement for this version of the list."""

    name: ClassVar[str] = "attestation"
    list_name: str
    version: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class InvitationTo:
    """An unused or accepted invitation to `offering`."""

    name: ClassVar[str] = "invitation"
    offering: str
    path: str = ""


Condition = (
    Completed
    | CompletedAny
    | EquivalencyOf
    | AttendedRetreat
    | RetreatEquivalencyOf
    | LicenceActive
    | ProfessionIn
    | DateWindow
    | HealthClearance
    | AttestationOf
    | InvitationTo
)
Rule = Group | Condition

# `not` around these is refused (gates.md A1.4): they can be pending, and what is not decided must never open a gate.
CAN_BE_PENDING = (EquivalencyOf, RetreatEquivalencyOf, HealthClearance)
# No staff exception replaces these (gates.md A4.4).
NEVER_EXCEPTED = (HealthClearance, AttestationOf)

MAX_DEPTH = 8
MAX_NODES = 200


class UnreadableRule(Exception):
    """A rule outside the grammar; `problems` has every problem with its path."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{each.path}: {each.message}" for each in problems))
        self.problems = problems


class Refused(Exception):
    """A value that a field cannot have."""

    def __init__(self, message: str, code: str = "rule_value_wrong") -> None:
        super().__init__(message)
        self.code = code


def parse_rule(raw: Any, path: str = "rule") -> Rule:
    """The rule written as `raw`, plain mappings and lists. Raises UnreadableRule with every problem."""
    reading = _Reading([])
    rule = reading.node(raw, path, depth=1)
    if rule is None or reading.problems:
        raise UnreadableRule(tuple(reading.problems))
    return rule


def _text(raw: Any) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise Refused("must be a text")
    return raw


def _flag(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise Refused("must be true or false")
    return raw


def _count(raw: Any) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or raw < 1:
        raise Refused("must be a whole number of at least 1", "rule_number_wrong")
    return raw


def _texts(raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list | tuple):
        raise Refused("must be a list of texts")
    if not raw:
        raise Refused("must not be empty", "rule_list_empty")
    return tuple(_text(each) for each in raw)


def _members(raw: Any) -> Members:
    return Members(set_name=raw) if isinstance(raw, str) and raw else Members(names=_texts(raw))


def _day_or_time(raw: Any) -> date | datetime:
    if isinstance(raw, str):
        try:
            raw = date.fromisoformat(raw) if len(raw) == 10 else datetime.fromisoformat(raw)
        except ValueError as error:
            raise Refused("must be an ISO date or a wall time") from error
    if not isinstance(raw, date):
        raise Refused("must be an ISO date or a wall time")
    if isinstance(raw, datetime) and raw.tzinfo is not None:
        raise Refused("must be a wall time; its zone is the field `zone`")
    return raw


def _licence_day(raw: Any) -> Any:
    if raw in ("now", "live_session", "offering_start"):
        return raw
    day = _day_or_time(raw)
    if isinstance(day, datetime):
        raise Refused("must be now, live_session, offering_start or an ISO date")
    return day


def _zone(raw: Any) -> str:
    try:
        return zone_of(_text(raw)).key
    except ValueError as error:
        raise Refused("must be an IANA time zone") from error


@dataclass(frozen=True)
class _Field:
    """A field of a condition: the attribute it sets, and the reader of its value."""

    attribute: str
    read: Callable[[Any], Any]


_GRAMMAR: Mapping[type[Any], Mapping[str, _Field]] = {
    Completed: {"module": _Field("module", _text), "accept_aliases": _Field("accept_aliases", _flag)},
    CompletedAny: {
        "set": _Field("members", lambda raw: Members(set_name=_text(raw))),
        "list": _Field("members", lambda raw: Members(names=_texts(raw))),
        "n": _Field("n", _count),
        "except": _Field("excluding", _texts),
    },
    EquivalencyOf: {"for": _Field("target", _text)},
    AttendedRetreat: {"retreat": _Field("retreat", _text)},
    RetreatEquivalencyOf: {"for": _Field("target", _text)},
    LicenceActive: {
        "types": _Field("types", _members),
        "jurisdictions": _Field("jurisdictions", _texts),
        "at": _Field("at", _licence_day),
        "verified": _Field("verified", _flag),
    },
    ProfessionIn: {"set": _Field("members", _members)},
    DateWindow: {
        "from": _Field("opens", _day_or_time),
        "to": _Field("closes", _day_or_time),
        "zone": _Field("zone", _zone),
    },
    HealthClearance: {"offering": _Field("offering", _text), "steps": _Field("steps", _texts)},
    AttestationOf: {"list": _Field("list_name", _text), "version": _Field("version", _text)},
    InvitationTo: {"offering": _Field("offering", _text)},
}
_CONDITIONS: Mapping[str, type[Any]] = {kind.name: kind for kind in _GRAMMAR}
_GROUPS = ("all", "any", "at_least", "not")


@dataclass
class _Reading:
    """One walk through a rule: the problems and the number of nodes so far."""

    problems: list[Problem]
    nodes: int = 0

    def refuse(self, code: str, message: str, path: str) -> None:
        self.problems.append(Problem("error", code, message, path))

    def node(self, raw: Any, path: str, depth: int) -> Rule | None:
        self.nodes += 1
        if self.nodes == MAX_NODES + 1:
            self.refuse("rule_too_large", f"A rule may have {MAX_NODES} nodes.", path)
        elif depth > MAX_DEPTH:
            self.refuse("rule_too_deep", f"A rule may be {MAX_DEPTH} levels deep.", path)
        elif raw == UNSET:
            self.refuse("gate_unset", "This rule is UNSET. A named person must choose it.", path)
        elif not isinstance(raw, Mapping) or not raw:
            self.refuse(
                "rule_empty", "A node must be a mapping with one key. Write mode none if there is no rule.", path
            )
        elif len(raw) > 1:
            self.refuse("rule_many_keys", "A node has exactly one key. Group several under all or any.", path)
        elif self.nodes <= MAX_NODES:
            ((key, body),) = raw.items()
            path = f"{path}.{key}"
            if key in _GROUPS:
                return self.group(key, body, path, depth)
            if key in _CONDITIONS:
                return self.condition(_CONDITIONS[key], body, path)
            self.refuse("rule_unknown", "There is no such operator or condition.", path)
        return None

    def group(self, op: GroupOp, body: Any, path: str, depth: int) -> Group | None:
        if op == "not":
            child = self.node(body, path, depth + 1)
            if child is None:
                return None
            if any(isinstance(each, CAN_BE_PENDING) for each in conditions_of(child)):
                self.refuse("rule_not_refused", "not cannot negate a condition that can be pending.", path)
            return Group("not", 1, (child,), path)
        if op == "at_least":
            return self.at_least(body, path, depth)
        children = self.children(body, path, depth)
        if children is None:
            return None
        return Group(op, len(children) if op == "all" else 1, children, path)

    def at_least(self, body: Any, path: str, depth: int) -> Group | None:
        if not isinstance(body, Mapping) or set(body) != {"n", "of"}:
            self.refuse("rule_fields_wrong", "at_least takes exactly n and of.", path)
            return None
        children = self.children(body["of"], f"{path}.of", depth)
        n = self.value(_count, body["n"], f"{path}.n")
        if n is None or children is None:
            return None
        if n > len(children):
            self.refuse("rule_number_wrong", "n is larger than the number of children.", f"{path}.n")
        return Group("at_least", n, children, path)

    def children(self, body: Any, path: str, depth: int) -> tuple[Rule, ...] | None:
        if not isinstance(body, list | tuple) or not body:
            self.refuse("rule_list_empty", "This needs a list with at least one node.", path)
            return None
        read = [self.node(each, f"{path}[{index}]", depth + 1) for index, each in enumerate(body)]
        whole = tuple(each for each in read if each is not None)
        return whole if len(whole) == len(read) else None

    def condition(self, kind: type[Any], body: Any, path: str) -> Condition | None:
        if not isinstance(body, Mapping):
            self.refuse("rule_fields_wrong", "A condition takes a mapping of its fields.", path)
            return None
        before = len(self.problems)
        grammar = _GRAMMAR[kind]
        values: dict[str, Any] = {}
        for name, raw in body.items():
            field = grammar.get(name)
            if field is None:
                self.refuse("rule_field_unknown", "This condition has no such field.", f"{path}.{name}")
            elif field.attribute in values:
                self.refuse("rule_fields_wrong", "Give a set or a list, not both.", f"{path}.{name}")
            else:
                values[field.attribute] = self.value(field.read, raw, f"{path}.{name}")
        if len(self.problems) == before:
            self.missing_fields(kind, grammar, values, path)
        return cast(Condition, kind(**values, path=path)) if len(self.problems) == before else None

    def missing_fields(
        self, kind: type[Any], grammar: Mapping[str, _Field], values: Mapping[str, Any], path: str
    ) -> None:
        """Refuses a condition without a field that has no default, and a window without a start or an end."""
        for each in fields(kind):
            if each.default is MISSING and each.name not in values:
                names = " or ".join(name for name, field in grammar.items() if field.attribute == each.name)
                self.refuse("rule_field_missing", f"The field {names} is missing.", path)
        if kind is DateWindow and not values.keys() & {"opens", "closes"}:
            self.refuse("rule_field_missing", "The field from or to is missing.", path)

    def value(self, read: Callable[[Any], Any], raw: Any, path: str) -> Any:
        if raw == UNSET:
            self.refuse("gate_unset", "This value is UNSET. A named person must choose it.", path)
            return None
        try:
            return read(raw)
        except Refused as refused:
            self.refuse(refused.code, f"The value {refused}.", path)
            return None


def conditions_of(rule: Rule) -> list[Condition]:
    """Every condition of the rule, in order."""
    if isinstance(rule, Group):
        return [leaf for child in rule.children for leaf in conditions_of(child)]
    return [rule]
