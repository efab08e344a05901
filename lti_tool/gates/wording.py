"""Decisions and rules in words: one sentence for the learner and one for staff (gates.md A2.7, A7.3). PURE.

Both sentences come from the reason key of one node, so they cannot disagree. In braces: {title} is the offering or set
that the condition names; {date}, {until}, {on}, {from} and {to} are days; {missing} is how many are still needed; the
rest are the node's own params. Everything is written in the reader's language; the sentences are messages of its
catalogue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, assert_never

from lti_tool import times
from lti_tool.gates import conditions
from lti_tool.gates.conditions import Group, Members, Rule
from lti_tool.gates.decision import Decision, NextStep, Node, blocking
from lti_tool.gates.evaluate import rules_of
from lti_tool.languages import N_, gettext, translated
from lti_tool.programme.model import Programme


@dataclass(frozen=True, slots=True)
class Sentences:
    """`learner` addresses the trainee, `staff` is about the trainee; `until` completes "<title> is locked until …"."""

    learner: str
    staff: str
    until: str = ""


_CANNOT_CHECK = N_("We cannot check this right now.")

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


def name_of(programme: Programme, offering: str) -> str:
    """'Module 1' where the programme prints a number, else the title."""
    module = programme.modules.get(offering)
    if module and module.number:
        return gettext("Module %(number)s", number=module.number)
    return programme.offering_title(offering)


def learner_sentence(says: Node | NextStep, programme: Programme) -> str:
    """What this node says to the learner, or the label of a next step. A group says how many of its children are
    needed."""
    if isinstance(says, NextStep):
        kind, _, name = says.to.partition(":")
        is_named = kind == "dates"
        return gettext("See %(title)s dates", title=name_of(programme, name)) if is_named else translated(says.label)
    return _filled(REASONS[says.reason].learner, says, programme) if says.reason else _group_sentence(says)


def staff_sentence(node: Node, programme: Programme) -> str:
    """What this node says to staff."""
    return _filled(REASONS[node.reason].staff, node, programme) if node.reason else _group_sentence(node)


def heading(decision: Decision, programme: Programme) -> str:
    """ "<title> is locked until …" with the fewest conditions that would open the gate (gates.md A6.2); only the title
    if the gate is open."""
    title = programme.offering_title(decision.offering)
    if decision.open:
        return title
    if decision.reason in ("gate_unset", "not_offered"):
        return gettext("%(title)s is not open", title=title)
    if conditions := _until(decision, programme):
        return gettext("%(title)s is locked until %(conditions)s", title=title, conditions=conditions)
    return gettext("%(title)s cannot be checked right now", title=title)


def _until(decision: Decision, programme: Programme) -> str:
    """What a shut gate waits for, to complete "locked until …"; empty if that cannot be said."""
    untils = [
        _filled(REASONS[node.reason].until, node, programme) if node.reason else ""
        for node in (shortest_way(decision.tree) if decision.tree else ())
    ]
    return joined(list(dict.fromkeys(untils))) if decision.reason is None and all(untils) else ""


def modules_first(decision: Decision) -> list[Node]:
    """The modules that must be completed to open a shut gate; empty if it waits for anything else, too."""
    is_shut = not (decision.open or decision.is_pending)
    way = shortest_way(decision.tree) if decision.tree and is_shut else []
    return way if all(node.condition == "completed" and node.status == "unmet" for node in way) else []


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
        return gettext("Your request is being reviewed.")
    if way := modules_first(decision):
        titles = [_title(node.params, node.condition, programme) for node in way]
        return gettext("Complete %(titles)s first.", titles=joined(titles))
    if decision.reason in ("gate_unset", "not_offered"):
        return gettext("Not open.")
    if conditions := _until(decision, programme):
        return gettext("Locked until %(conditions)s.", conditions=conditions)
    return gettext("Cannot be checked right now.")


def recommendation(decision: Decision, programme: Programme) -> str:
    """What is recommended before an open gate and not done yet: "Module 1 first is recommended, not required."; else
    empty."""
    way = shortest_way(decision.recommended) if decision.open and decision.recommended else []
    titles = [_title(node.params, node.condition, programme) for node in way if node.condition == "completed"]
    if not way:
        return ""
    if len(titles) < len(way):
        return gettext("More first is recommended, not required.")
    return gettext("%(titles)s first is recommended, not required.", titles=joined(titles))


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
        return gettext("Recommended, not required: %(rule)s", rule=rule_in_words(recommended, programme))
    return gettext("Open to everyone") if gate is not None and gate.mode == "none" else gettext("Not decided yet")


def rule_in_words(rule: Rule, programme: Programme) -> str:
    """The rule as people would say it: "Module 1, or an accepted equivalency"."""
    text = _phrase(rule, programme, named=_named(rule))
    return text[:1].upper() + text[1:]


def day_in_words(iso: str) -> str:
    """'2 Jul 2024' from an ISO date; a wall time keeps its time."""
    day = times.day(date.fromisoformat(iso[:10]))
    return gettext("%(day)s at %(clock)s", day=day, clock=iso[11:16]) if len(iso) > 10 else day


def _group_sentence(node: Node) -> str:
    if node.op == "any" or (node.op == "at_least" and node.needed == 1):
        return gettext("One of these:")
    if node.op == "at_least":
        return gettext("At least %(count)s of these:", count=node.needed)
    return gettext("None of these:") if node.op == "not" else gettext("All of these:")


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
    return translated(sentence).format_map(words)


def _title(params: Mapping[str, Any], condition: str | None, programme: Programme) -> str:
    """The offering, set or list that a condition names."""
    if "set" in params or ("list" in params and condition == "completed_any"):
        return _members(Members(params.get("set"), tuple(params.get("list", ()))), programme)
    offering = next((params[name] for name in ("module", "for", "retreat", "offering") if name in params), None)
    return name_of(programme, offering) if offering else gettext("this")


def _members(members: Members, programme: Programme) -> str:
    if members.set_name is not None:
        return gettext("the %(set)s", set=programme.set_title(members.set_name))
    return joined([name_of(programme, each) for each in members.names])


# On which day a licence must be valid → the phrase.
_LICENCES = {
    "now": N_("an active clinical licence"),
    "live_session": N_("an active clinical licence on the day"),
    "offering_start": N_("an active clinical licence on the first day"),
}


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
                return gettext("not: %(rule)s", rule=parts[0])
            if len(parts) > 1:
                inner = [
                    isinstance(each, Group) and each.op != "not" and len(each.children) > 1 for each in rule.children
                ]
                parts = [f"({part})" if is_group else part for part, is_group in zip(parts, inner, strict=True)]
            if rule.n == len(parts):
                return joined(parts)
            if rule.n == 1:
                return gettext("%(parts)s, or %(last)s", parts=", ".join(parts[:-1]), last=parts[-1])
            return gettext("at least %(count)s of: %(parts)s", count=rule.n, parts="; ".join(parts))
        case conditions.Completed():
            return name_of(programme, rule.module)
        case conditions.CompletedAny():
            members = _members(rule.members, programme)
            if rule.n == 1:
                return gettext("one of %(members)s", members=members)
            return gettext("%(count)s of %(members)s", count=rule.n, members=members)
        case conditions.EquivalencyOf():
            title = "" if rule.target in named else name_of(programme, rule.target)
            return (
                gettext("an accepted equivalency of %(title)s", title=title)
                if title
                else gettext("an accepted equivalency")
            )
        case conditions.RetreatEquivalencyOf():
            title = "" if rule.target in named else name_of(programme, rule.target)
            return (
                gettext("an accepted equivalent elsewhere of %(title)s", title=title)
                if title
                else gettext("an accepted equivalent elsewhere")
            )
        case conditions.AttendedRetreat():
            return gettext("having attended %(title)s", title=name_of(programme, rule.retreat))
        case conditions.LicenceActive():
            if isinstance(rule.at, str):
                return translated(_LICENCES[rule.at])
            return gettext("an active clinical licence on %(day)s", day=day_in_words(rule.at.isoformat()))
        case conditions.ProfessionIn():
            set_name = rule.members.set_name
            codes = programme.set_title(set_name) if set_name else ", ".join(rule.members.names)
            return gettext("one of these professions: %(professions)s", professions=codes)
        case conditions.DateWindow():
            return _window_phrase(rule)
        case conditions.HealthClearance():
            return gettext("screening by the clinic")
        case conditions.AttestationOf():
            return gettext("the statement about the list of conditions")
        case conditions.InvitationTo():
            return gettext("an invitation")
    assert_never(rule)


def _window_phrase(rule: conditions.DateWindow) -> str:
    first = day_in_words(rule.opens.isoformat()) if rule.opens else ""
    last = day_in_words(rule.closes.isoformat()) if rule.closes else ""
    if first and last:
        return gettext("from %(first)s until %(last)s", first=first, last=last)
    return gettext("from %(first)s", first=first) if first else gettext("until %(last)s", last=last) if last else ""


def joined(parts: Sequence[str]) -> str:
    """'A, B and C'."""
    if len(parts) < 2:
        return "".join(parts)
    return gettext("%(parts)s and %(last)s", parts=", ".join(parts[:-1]), last=parts[-1])
