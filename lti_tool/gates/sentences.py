"""Decisions and rules in words. Pure; every sentence is rendered from a node's reason key (`reasons`)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from lti_tool.gates import conditions as nodes
from lti_tool.gates.conditions import Group, Members, Rule
from lti_tool.gates.evaluate import rules_of
from lti_tool.gates.reasons import REASONS
from lti_tool.gates.situation import short_name
from lti_tool.gates.tree import Decision, Node, blocking
from lti_tool.programme.model import Programme

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def learner_sentence(node: Node, programme: Programme) -> str:
    """What this condition says to the learner; a group says how many of its children are needed."""
    if node.reason is None:
        return _group_sentence(node)
    return REASONS[node.reason].learner.format_map(_words(node, programme))


def staff_sentence(node: Node, programme: Programme) -> str:
    """What this condition says to staff, of the same finding."""
    if node.reason is None:
        return _group_sentence(node)
    return REASONS[node.reason].staff.format_map(_words(node, programme))


def heading(decision: Decision, programme: Programme) -> str:
    """ "<title> is locked until …", naming the shortest set of missing things (gates.md A6.2); "<title>" for an
    open gate."""
    title = programme.offering_title(decision.offering)
    if decision.open:
        return title
    untils = [] if decision.tree is None else [_until(node, programme) for node in shortest_way(decision.tree)]
    if decision.reason is not None or not all(untils):
        return _locked_without_way(title, decision)
    return f"{title} is locked until {_joined(list(dict.fromkeys(untils)), 'and')}"


def shortest_way(node: Node) -> list[Node]:
    """The fewest conditions that, once met, would open the node; of equals the first written."""
    if node.is_open:
        return []
    if node.condition is not None or node.op == "not":
        return [node]
    ways = sorted((shortest_way(child) for child in node.children if not child.is_open), key=len)
    opened = sum(child.is_open for child in node.children)
    return [leaf for way in _in_order(ways[: node.needed - opened], node) for leaf in way]


def gate_in_words(programme: Programme, offering_id: str) -> str:
    """What a gate asks for, in one sentence part, as pages and the desk show it."""
    required, recommended = rules_of(programme, offering_id)
    if required is not None:
        return rule_in_words(required, programme)
    gate = programme.gates.get(offering_id)
    if gate is not None and gate.mode == "recommended" and recommended is not None:
        return f"Recommended, not required: {rule_in_words(recommended, programme)}"
    return "Open to everyone" if gate is not None and gate.mode == "none" else "Not decided yet"


def rule_in_words(rule: Rule, programme: Programme) -> str:
    """The rule as people say it: "Module 1, or an accepted equivalency"."""
    text = _say(rule, programme, about=_named(rule))
    return text[:1].upper() + text[1:]


def _group_sentence(node: Node) -> str:
    if node.op == "any" or (node.op == "at_least" and node.needed == 1):
        return "One of these:"
    if node.op == "at_least":
        return f"At least {node.needed} of these:"
    return "None of these:" if node.op == "not" else "All of these:"


def _locked_without_way(title: str, decision: Decision) -> str:
    if decision.reason in ("gate_unset", "not_offered"):
        return f"{title} is not open"
    return f"{title} cannot be checked right now"


def _until(node: Node, programme: Programme) -> str:
    return REASONS[node.reason].until.format_map(_words(node, programme)) if node.reason else ""


def _in_order(ways: list[list[Node]], node: Node) -> list[list[Node]]:
    """The chosen ways in the order in which the rule is written."""
    order = {id(leaf): index for index, leaf in enumerate(blocking(node))}
    return sorted(ways, key=lambda way: order[id(way[0])])


class _Words(dict[str, Any]):
    """Words for a sentence; a missing one is a dash, so that a sentence is never lost."""

    def __missing__(self, key: str) -> str:
        return "–"


def _words(node: Node, programme: Programme) -> Mapping[str, Any]:
    words = _Words({name: value for name, value in node.params.items() if value is not None})
    for name in ("date", "until", "on", "from", "to"):
        if name in words:
            words[name] = day_in_words(words[name])
    words["title"] = _title(node, programme)
    if node.progress is not None:
        words["missing"] = node.progress[1] - node.progress[0]
    return words


def day_in_words(iso: str) -> str:
    """'July 2, 2024' from an ISO date; a wall time keeps its time."""
    day = date.fromisoformat(iso[:10])
    clock = f" at {iso[11:16]}" if len(iso) > 10 else ""
    return f"{MONTHS[day.month - 1]} {day.day}, {day.year}{clock}"


def _title(node: Node, programme: Programme) -> str:
    """The offering, set or list that the node's condition names."""
    params = node.params
    if "set" in params or ("list" in params and node.condition == "completed_any"):
        return _members_in_words(Members(params.get("set"), tuple(params.get("list", ()))), programme)
    offering = next((params[name] for name in ("module", "for", "retreat", "offering") if name in params), None)
    return short_name(programme, offering) if offering else "this"


def _members_in_words(members: Members, programme: Programme) -> str:
    """A set by its own name in words, a list by the titles it holds."""
    if members.set_name is not None:
        return f"the {programme.set_title(members.set_name)}"
    return _joined([short_name(programme, each) for each in members.names], "and")


def _named(rule: Rule) -> frozenset[str]:
    """Offerings that the rule itself asks for: an equivalency beside them need not name them again."""
    if isinstance(rule, Group):
        return frozenset().union(*map(_named, rule.children))
    if isinstance(rule, nodes.AttendedRetreat):
        return frozenset({rule.retreat})
    return frozenset({rule.module}) if isinstance(rule, nodes.Completed) else frozenset()


def _say(rule: Rule, programme: Programme, about: frozenset[str]) -> str:
    if isinstance(rule, Group):
        return _say_group(rule, programme, about)
    return _SAY[type(rule)](rule, programme, about)


def _say_group(rule: Group, programme: Programme, about: frozenset[str]) -> str:
    parts = [_say(child, programme, about) for child in rule.children]
    if rule.op == "not":
        return f"not: {parts[0]}"
    parts = [
        f"({part})" if _needs_brackets(child, rule) else part for part, child in zip(parts, rule.children, strict=True)
    ]
    if rule.n == len(parts):
        return _joined(parts, "and")
    if rule.n == 1:
        return f"{', '.join(parts[:-1])}, or {parts[-1]}"
    return f"at least {rule.n} of: {'; '.join(parts)}"


def _needs_brackets(child: Rule, parent: Group) -> bool:
    return isinstance(child, Group) and child.op != "not" and len(child.children) > 1 and len(parent.children) > 1


def _joined(parts: Sequence[str], word: str) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def _say_equivalency(
    rule: nodes.EquivalencyOf | nodes.RetreatEquivalencyOf, programme: Programme, about: frozenset[str]
) -> str:
    words = "an accepted equivalency" if isinstance(rule, nodes.EquivalencyOf) else "an accepted equivalent elsewhere"
    return words if rule.target in about else f"{words} of {short_name(programme, rule.target)}"


def _say_any(rule: nodes.CompletedAny, programme: Programme, _about: frozenset[str]) -> str:
    return f"{'one' if rule.n == 1 else rule.n} of {_members_in_words(rule.members, programme)}"


def _say_licence(rule: nodes.LicenceActive, _programme: Programme, _about: frozenset[str]) -> str:
    when = {"now": "", "live_session": " on the day", "offering_start": " on the first day"}
    day = when[rule.at] if isinstance(rule.at, str) else f" on {day_in_words(rule.at.isoformat())}"
    return f"an active clinical licence{day}"


def _say_professions(rule: nodes.ProfessionIn, programme: Programme, _about: frozenset[str]) -> str:
    named = rule.members.set_name
    return f"one of these professions: {programme.set_title(named) if named else ', '.join(rule.members.names)}"


def _say_window(rule: nodes.DateWindow, _programme: Programme, _about: frozenset[str]) -> str:
    first = f"from {day_in_words(rule.opens.isoformat())}" if rule.opens else ""
    last = f"until {day_in_words(rule.closes.isoformat())}" if rule.closes else ""
    return " ".join(filter(None, (first, last)))


_SAY: Mapping[type[Any], Callable[[Any, Programme, frozenset[str]], str]] = {
    nodes.Completed: lambda rule, programme, _: short_name(programme, rule.module),
    nodes.CompletedAny: _say_any,
    nodes.EquivalencyOf: _say_equivalency,
    nodes.AttendedRetreat: lambda rule, programme, _: f"having attended {short_name(programme, rule.retreat)}",
    nodes.RetreatEquivalencyOf: _say_equivalency,
    nodes.LicenceActive: _say_licence,
    nodes.ProfessionIn: _say_professions,
    nodes.DateWindow: _say_window,
    nodes.HealthClearance: lambda _rule, _programme, _: "screening by the clinic",
    nodes.AttestationOf: lambda _rule, _programme, _: "the statement about the list of conditions",
    nodes.InvitationTo: lambda _rule, _programme, _: "an invitation",
}
