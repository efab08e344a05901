"""Decisions and rules in words: one sentence for the learner and one for staff (gates.md A2.7, A7.3). PURE.

Both sentences come from the reason key of one node, so they cannot disagree. In braces: {title} is the offering or set
that the condition names; {date}, {until}, {on}, {from} and {to} are days; {missing} is how many are still needed; the
rest are the node's own params.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, assert_never

from lti_tool.gates import conditions
from lti_tool.gates.condition_checks import short_name
from lti_tool.gates.conditions import Group, Members, Rule
from lti_tool.gates.decision import Decision, Node, blocking
from lti_tool.gates.evaluate import rules_of
from lti_tool.programme.model import Programme


@dataclass(frozen=True, slots=True)
class Sentences:
    """`learner` addresses the trainee, `staff` is about the trainee; `until` completes "<title> is locked until …"."""

    learner: str
    staff: str
    until: str = ""


_CANNOT_CHECK = "We cannot check this right now."

REASONS: Mapping[str, Sentences] = {
    # completed, completed_any
    "module_taken": Sentences("You took {title} on {date}.", "{title} completed on {date} ({origin})."),
    "module_not_taken": Sentences(
        "You have not taken {title} yet.", "No completion of {title} is recorded.", "you have taken {title}"
    ),
    "completion_ended": Sentences(
        "Your completion of {title} was taken back on {date}: {why}",
        "The completion of {title} was ended on {date}: {why}",
        "you have taken {title}",
    ),
    "modules_taken": Sentences("You have taken enough of {title}.", "Enough of {title} completed."),
    "one_more_module": Sentences(
        "Take one more of {title}.", "One completion of {title} is missing.", "you have taken one more of {title}"
    ),
    "more_modules": Sentences(
        "Take {missing} more of {title}.",
        "{missing} completions of {title} are missing.",
        "you have taken {missing} more of {title}",
    ),
    # equivalency, retreat_equivalency
    "equivalency_approved": Sentences(
        "Your training elsewhere was accepted in place of {title} on {date}.",
        "Equivalency of {title} approved on {date}.",
    ),
    "equivalency_none": Sentences(
        "You have not asked for training elsewhere to be accepted in place of {title}.",
        "No equivalency request for {title}.",
        "your training elsewhere is accepted in place of {title}",
    ),
    "equivalency_draft": Sentences(
        "You have begun a request about training elsewhere in place of {title}, but not sent it.",
        "An equivalency request for {title} is still a draft.",
        "your training elsewhere is accepted in place of {title}",
    ),
    "equivalency_pending": Sentences(
        "Your request about training elsewhere in place of {title}, sent on {date}, is being reviewed.",
        "Equivalency request for {title} of {date} needs a review.",
        "your request about training elsewhere is accepted",
    ),
    "equivalency_more_info": Sentences(
        "We have a question about your request of {date} (training elsewhere in place of {title}).",
        "Equivalency request for {title} of {date} needs the learner's answer.",
        "your request about training elsewhere is accepted",
    ),
    "equivalency_declined": Sentences(
        "Your training elsewhere was not accepted in place of {title} on {date}.",
        "Equivalency request for {title} declined on {date}.",
        "your training elsewhere is accepted in place of {title}",
    ),
    "equivalency_withdrawn": Sentences(
        "Your request about training elsewhere in place of {title} was withdrawn on {date}.",
        "Equivalency request for {title} withdrawn on {date}.",
        "your training elsewhere is accepted in place of {title}",
    ),
    "equivalency_expired": Sentences(
        "Your accepted training elsewhere counted in place of {title} until {until}.",
        "Equivalency of {title} expired after {until}.",
        "your training elsewhere is accepted again in place of {title}",
    ),
    "equivalency_revoked": Sentences(
        "Your training elsewhere has not counted in place of {title} since {date}.",
        "Equivalency of {title} revoked on {date}.",
        "your training elsewhere is accepted in place of {title}",
    ),
    # attended_retreat
    "retreat_attended": Sentences("You attended {title} from {date}.", "Attended {title} from {date}."),
    "retreat_not_attended": Sentences(
        "You have not attended {title}.", "No attendance of {title} is recorded.", "you have attended {title}"
    ),
    "retreat_no_show": Sentences(
        "You were not present at {title} from {date}.",
        "Marked as not present at {title} from {date}.",
        "you have attended {title}",
    ),
    # licence_active
    "licence_ok_until": Sentences(
        "Your licence ({type}, {jurisdiction}) is valid until {date}.",
        "Licence {type}, {jurisdiction}, valid until {date}.",
    ),
    "licence_missing": Sentences(
        "We have no licence on record for you.", "No licence is recorded.", "your clinical licence is on record"
    ),
    "licence_type_not_listed": Sentences(
        "This is not for the type of licence we have on record.",
        "No recorded licence is of a listed type.",
        "a clinical licence of a listed type is on record",
    ),
    "licence_jurisdiction": Sentences(
        "The licence we have on record is not from a listed state.",
        "No recorded licence of a listed type is from a listed jurisdiction.",
        "a clinical licence from a listed state is on record",
    ),
    "licence_inactive": Sentences(
        "The licence we have on record is not active.",
        "The recorded licence is inactive.",
        "an active clinical licence is on record",
    ),
    "licence_on_probation": Sentences(
        "The training team needs to review the licence we have on record.",
        "The recorded licence is on probation. Staff may grant an exception.",
        "the training team has reviewed your licence",
    ),
    "licence_not_verified": Sentences(
        "The training team has not checked your licence yet.",
        "The recorded licence is not verified.",
        "the training team has checked your licence",
    ),
    "licence_not_yet_valid": Sentences(
        "Your licence ({type}, {jurisdiction}) is valid from {date}, which is too late.",
        "Licence {type}, {jurisdiction}, is valid only from {date}.",
        "you hold a licence that is valid on the day",
    ),
    "licence_ends_before": Sentences(
        "Your licence ({type}, {jurisdiction}) ends on {date}, before {on}.",
        "Licence {type}, {jurisdiction}, ends on {date}, before {on}.",
        "your licence is valid on {on}",
    ),
    "licence_expired": Sentences(
        "Your licence ({type}, {jurisdiction}) expired on {date}.",
        "Licence {type}, {jurisdiction}, expired on {date}.",
        "your renewed licence is on record",
    ),
    # profession_in
    "profession_listed": Sentences("Your profession is {profession}.", "Profession {profession} is listed."),
    "profession_not_stated": Sentences(
        "We do not know your profession.", "No profession is recorded.", "your profession is on record"
    ),
    "profession_not_listed": Sentences(
        "This is not for your profession ({profession}).",
        "Profession {profession} is not listed.",
        "your profession is on the list",
    ),
    # date_window
    "window_open": Sentences("This is open at present.", "Inside the window from {from} to {to}."),
    "window_not_open": Sentences("This opens on {from}.", "The window opens on {from}.", "{from}"),
    "window_closed": Sentences("This closed on {to}.", "The window closed on {to}.", "it is opened again"),
    # health_clearance: a status and nothing else
    "screening_done": Sentences("Screening: done.", "Screening for {title}: eligible."),
    "screening_not_started": Sentences(
        "Screening: next step.", "Screening for {title}: not begun.", "your screening is done"
    ),
    "screening_in_progress": Sentences(
        "Screening: with the clinic.", "Screening for {title}: in screening.", "your screening is done"
    ),
    "screening_expired": Sentences(
        "Screening: please renew.", "Screening for {title}: in screening again.", "your screening is renewed"
    ),
    "screening_not_passed": Sentences(
        "Please write to us about this.", "Screening for {title}: not eligible.", "you have talked with us"
    ),
    # attestation, invitation
    "attestation_made": Sentences(
        "You read the list and made the statement on {date}.", "Statement for list {version} made on {date}."
    ),
    "attestation_missing": Sentences(
        "You have not yet read the list and made the statement.",
        "No statement for list {version}.",
        "you have read the list and made the statement",
    ),
    "attestation_outdated": Sentences(
        "The list has changed since you read it. Please read it again.",
        "The statement was made for another version than {version}.",
        "you have read the list again",
    ),
    "invited": Sentences("You were invited on {date}.", "Invited to {title} on {date}."),
    "not_invited": Sentences("This is by invitation only.", "No invitation to {title}.", "you are invited"),
    # not
    "not_allowed_with": Sentences(
        "This is only for people who do not meet the following.", "Locked because the following is met.", "that changes"
    ),
    # what cannot be decided: always locked
    "offering_date_unknown": Sentences(
        "No date is announced, so your licence cannot be checked against it.",
        "The offering has no date on which to judge the licence.",
        "a date is announced",
    ),
    "facts_unavailable": Sentences(_CANNOT_CHECK, "The records that this condition needs could not be read."),
    "check_failed": Sentences(_CANNOT_CHECK, "The check failed. The log names the rule and its path."),
    "record_unreadable": Sentences(_CANNOT_CHECK, "A record has a state that is unknown."),
    "target_gone": Sentences(_CANNOT_CHECK, "The rule names something that the programme no longer has."),
    "set_gone": Sentences(_CANNOT_CHECK, "The rule names a set that the programme does not have."),
    "set_unset": Sentences(_CANNOT_CHECK, "The rule names a set that is UNSET: a named person must choose it."),
    "set_empty": Sentences(_CANNOT_CHECK, "The rule names a set that is empty."),
    "set_too_small": Sentences(_CANNOT_CHECK, "The rule asks for more than its set holds."),
    # gates without a tree
    "gate_free": Sentences("This is open to everyone.", "Nothing is required."),
    "gate_unset": Sentences("This is not open: its requirements are not decided yet.", "The gate is UNSET."),
    "gate_missing": Sentences(_CANNOT_CHECK, "The programme has no gate for this offering."),
    "rule_unreadable": Sentences(_CANNOT_CHECK, "The rule of this gate cannot be read."),
    "offering_gone": Sentences(_CANNOT_CHECK, "The programme has no such module or retreat."),
    "not_offered": Sentences("This is not offered at present.", "The offering is not published."),
}

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def learner_sentence(node: Node, programme: Programme) -> str:
    """What this node says to the learner. A group says how many of its children are needed."""
    return _filled(REASONS[node.reason].learner, node, programme) if node.reason else _group_sentence(node)


def staff_sentence(node: Node, programme: Programme) -> str:
    """What this node says to staff."""
    return _filled(REASONS[node.reason].staff, node, programme) if node.reason else _group_sentence(node)


def heading(decision: Decision, programme: Programme) -> str:
    """ "<title> is locked until …" with the fewest conditions that would open the gate (gates.md A6.2); only the title
    if the gate is open."""
    title = programme.offering_title(decision.offering)
    if decision.open:
        return title
    untils = [
        _filled(REASONS[node.reason].until, node, programme) if node.reason else ""
        for node in (shortest_way(decision.tree) if decision.tree else ())
    ]
    if decision.reason in ("gate_unset", "not_offered"):
        return f"{title} is not open"
    if decision.reason is not None or not all(untils):
        return f"{title} cannot be checked right now"
    return f"{title} is locked until {_joined(list(dict.fromkeys(untils)), 'and')}"


def staff_reason(decision: Decision, programme: Programme) -> str:
    """Why a gate is shut, in sentences about the trainee; empty if it is open."""
    if decision.open:
        return ""
    if decision.tree is None:
        return REASONS[decision.reason].staff if decision.reason else ""
    return " ".join(dict.fromkeys(staff_sentence(node, programme) for node in shortest_way(decision.tree)))


def first_step(decision: Decision, programme: Programme) -> str:
    """What a shut gate waits for, in one sentence: "Complete Module 1 first."; empty if the gate is open."""
    if decision.open:
        return ""
    if decision.is_pending:
        return "Your request is being reviewed."
    way = shortest_way(decision.tree) if decision.tree else []
    if way and all(node.condition == "completed" and node.status == "unmet" for node in way):
        titles = [_title(node.params, node.condition, programme) for node in way]
        return f"Complete {_joined(titles, 'and')} first."
    state = heading(decision, programme).removeprefix(programme.offering_title(decision.offering)).split(maxsplit=1)
    return f"{state[-1][:1].upper()}{state[-1][1:]}." if state[0] == "is" else f"{' '.join(state).capitalize()}."


def recommendation(decision: Decision, programme: Programme) -> str:
    """What is recommended before an open gate and not done yet: "Module 1 first is recommended, not required."; else
    empty."""
    way = shortest_way(decision.recommended) if decision.open and decision.recommended else []
    titles = [_title(node.params, node.condition, programme) for node in way if node.condition == "completed"]
    if not way:
        return ""
    return f"{_joined(titles, 'and') if len(titles) == len(way) else 'More'} first is recommended, not required."


def shortest_way(node: Node) -> list[Node]:
    """The fewest conditions that would open the node, in the order of the rule; of equals the first."""
    if node.is_open:
        return []
    if node.condition is not None or node.op == "not":
        return [node]
    ways = sorted((shortest_way(child) for child in node.children if not child.is_open), key=len)
    missing = node.needed - sum(child.is_open for child in node.children)
    order = {id(leaf): index for index, leaf in enumerate(blocking(node))}
    return [leaf for way in sorted(ways[:missing], key=lambda way: order[id(way[0])]) for leaf in way]


def gate_in_words(programme: Programme, offering_id: str) -> str:
    """What a gate requires, as a phrase for pages."""
    required, recommended = rules_of(programme, offering_id)
    if required is not None:
        return rule_in_words(required, programme)
    gate = programme.gates.get(offering_id)
    if gate is not None and gate.mode == "recommended" and recommended is not None:
        return f"Recommended, not required: {rule_in_words(recommended, programme)}"
    return "Open to everyone" if gate is not None and gate.mode == "none" else "Not decided yet"


def rule_in_words(rule: Rule, programme: Programme) -> str:
    """The rule as people would say it: "Module 1, or an accepted equivalency"."""
    text = _phrase(rule, programme, named=_named(rule))
    return text[:1].upper() + text[1:]


def day_in_words(iso: str) -> str:
    """'July 2, 2024' from an ISO date; a wall time keeps its time."""
    day = date.fromisoformat(iso[:10])
    clock = f" at {iso[11:16]}" if len(iso) > 10 else ""
    return f"{MONTHS[day.month - 1]} {day.day}, {day.year}{clock}"


def _group_sentence(node: Node) -> str:
    if node.op == "any" or (node.op == "at_least" and node.needed == 1):
        return "One of these:"
    if node.op == "at_least":
        return f"At least {node.needed} of these:"
    return "None of these:" if node.op == "not" else "All of these:"


class _Words(dict[str, Any]):
    """The words of one sentence. A missing one is a dash, so that the sentence can always be shown."""

    def __missing__(self, key: str) -> str:
        return "–"


def _filled(sentence: str, node: Node, programme: Programme) -> str:
    words = _Words({name: value for name, value in node.params.items() if value is not None})
    for name in {"date", "until", "on", "from", "to"} & words.keys():
        words[name] = day_in_words(words[name])
    words["title"] = _title(node.params, node.condition, programme)
    if node.progress is not None:
        words["missing"] = node.progress[1] - node.progress[0]
    return sentence.format_map(words)


def _title(params: Mapping[str, Any], condition: str | None, programme: Programme) -> str:
    """The offering, set or list that a condition names."""
    if "set" in params or ("list" in params and condition == "completed_any"):
        return _members(Members(params.get("set"), tuple(params.get("list", ()))), programme)
    offering = next((params[name] for name in ("module", "for", "retreat", "offering") if name in params), None)
    return short_name(programme, offering) if offering else "this"


def _members(members: Members, programme: Programme) -> str:
    if members.set_name is not None:
        return f"the {programme.set_title(members.set_name)}"
    return _joined([short_name(programme, each) for each in members.names], "and")


def _named(rule: Rule) -> frozenset[str]:
    """The offerings that the rule asks for by name: an equivalency beside them need not repeat the name."""
    match rule:
        case Group():
            return frozenset().union(*map(_named, rule.children))
        case conditions.AttendedRetreat():
            return frozenset({rule.retreat})
        case conditions.Completed():
            return frozenset({rule.module})
        case _:
            return frozenset()


def _phrase(rule: Rule, programme: Programme, named: frozenset[str]) -> str:
    match rule:
        case Group():
            parts = [_phrase(child, programme, named) for child in rule.children]
            if rule.op == "not":
                return f"not: {parts[0]}"
            if len(parts) > 1:
                inner = [
                    isinstance(each, Group) and each.op != "not" and len(each.children) > 1 for each in rule.children
                ]
                parts = [f"({part})" if is_group else part for part, is_group in zip(parts, inner, strict=True)]
            if rule.n == len(parts):
                return _joined(parts, "and")
            if rule.n == 1:
                return f"{', '.join(parts[:-1])}, or {parts[-1]}"
            return f"at least {rule.n} of: {'; '.join(parts)}"
        case conditions.Completed():
            return short_name(programme, rule.module)
        case conditions.CompletedAny():
            return f"{'one' if rule.n == 1 else rule.n} of {_members(rule.members, programme)}"
        case conditions.EquivalencyOf() | conditions.RetreatEquivalencyOf():
            is_retreat = isinstance(rule, conditions.RetreatEquivalencyOf)
            words = "an accepted equivalent elsewhere" if is_retreat else "an accepted equivalency"
            return words if rule.target in named else f"{words} of {short_name(programme, rule.target)}"
        case conditions.AttendedRetreat():
            return f"having attended {short_name(programme, rule.retreat)}"
        case conditions.LicenceActive():
            days = {"now": "", "live_session": " on the day", "offering_start": " on the first day"}
            day = days[rule.at] if isinstance(rule.at, str) else f" on {day_in_words(rule.at.isoformat())}"
            return f"an active clinical licence{day}"
        case conditions.ProfessionIn():
            set_name = rule.members.set_name
            codes = programme.set_title(set_name) if set_name else ", ".join(rule.members.names)
            return f"one of these professions: {codes}"
        case conditions.DateWindow():
            first = f"from {day_in_words(rule.opens.isoformat())}" if rule.opens else ""
            last = f"until {day_in_words(rule.closes.isoformat())}" if rule.closes else ""
            return f"{first} {last}".strip()
        case conditions.HealthClearance():
            return "screening by the clinic"
        case conditions.AttestationOf():
            return "the statement about the list of conditions"
        case conditions.InvitationTo():
            return "an invitation"
    assert_never(rule)


def _joined(parts: Sequence[str], word: str) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}"
