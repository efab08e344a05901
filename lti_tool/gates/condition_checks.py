"""How each condition of a rule is checked against the facts (gates.md A1.2).

PURE. Every check returns a node. A rule that names something the programme doesn't have, and any fault inside a check,
become an `error` node, which locks the gate (gates.md A1.7).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from lti_tool.gates import conditions
from lti_tool.gates.conditions import Condition, Members
from lti_tool.gates.decision import NextStep, Node, Status
from lti_tool.gates.facts import OPEN_STATES, EquivalencyRequest, Facts, Licence
from lti_tool.languages import N_
from lti_tool.programme.model import Programme
from lti_tool.text import licence_words
from lti_tool.times import day_of, zone_of

# The labels of next steps are kept in English; `wording` says them in the reader's language.
CONTACT = NextStep(N_("Write to the training team"), "contact")
CATALOGUE = NextStep(N_("See modules"), "catalogue")
CLEARED = ("cleared", "cleared_with_conditions")
WORST_LAST: tuple[Status, ...] = ("satisfied", "pending", "expired", "unmet")


class BrokenRule(Exception):
    """The rule cannot be checked; `args[0]` is the reason key."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a condition is checked against.

    `day` is the date of `at` in the programme's zone. `offering_start` is the first day of the retreat or live session
    asked for, None if no date is announced.
    """

    programme: Programme
    facts: Facts
    at: datetime
    day: date
    offering_start: date | None

    def local_day(self, at: datetime | None) -> str | None:
        return None if at is None else day_of(at, self.programme.zone).isoformat()


def check(rule: Condition, inputs: Inputs) -> Node:
    """The node of one condition. Never raises."""
    try:
        needs, checked = _CHECKS[type(rule)]
        if needs in inputs.facts.unavailable:
            return _unsure(rule, "unknown", "facts_unavailable")
        return checked(rule, inputs)
    except BrokenRule as broken:
        return _unsure(rule, "error", str(broken.args[0]))
    except Exception:
        return _unsure(rule, "error", "check_failed")


def facts_needed(rule: Condition) -> frozenset[str]:
    """The kinds of facts that this condition needs."""
    return frozenset(filter(None, (_CHECKS[type(rule)][0],)))


def short_name(programme: Programme, offering: str) -> str:
    """'Module 1' where the programme prints a number, else the title."""
    module = programme.modules.get(offering)
    return f"Module {module.number}" if module and module.number else programme.offering_title(offering)


def completed(rule: conditions.Completed, inputs: Inputs) -> Node:
    _verify_target(rule.module, inputs.programme.modules)
    records = [
        record
        for record in inputs.facts.completions
        if record.module == rule.module
        or (rule.accept_aliases and _current_id(inputs.programme, record.module) == rule.module)
    ]
    in_force = [record for record in records if record.ended_at is None]
    if in_force:
        first = min(in_force, key=lambda each: (each.completed_on, each.id))
        params = {"module": rule.module, "date": first.completed_on.isoformat(), "origin": first.origin}
        if first.module != rule.module:
            params["taken_as"] = first.module
        return _satisfied(rule, "module_taken", params, f"completion:{first.id}")
    step = NextStep(f"See {short_name(inputs.programme, rule.module)} dates", f"dates:{rule.module}")
    if records:
        last = max(records, key=lambda each: each.id)
        ended = {"module": rule.module, "why": last.ended_reason, "date": inputs.local_day(last.ended_at)}
        return _unmet(rule, "completion_ended", ended, step, f"completion:{last.id}")
    return _unmet(rule, "module_not_taken", {"module": rule.module}, step)


def completed_any(rule: conditions.CompletedAny, inputs: Inputs) -> Node:
    wanted = set(_resolved(rule.members, inputs.programme)) - set(rule.excluding)
    if len(wanted) < rule.n:
        raise BrokenRule("set_too_small")
    first: dict[str, int] = {}
    for record in sorted(inputs.facts.completions, key=lambda each: each.id):
        module = _current_id(inputs.programme, record.module)
        if record.ended_at is None and module in wanted:
            first.setdefault(module, record.id)
    have = min(len(first), rule.n)
    missing = rule.n - have
    params: dict[str, Any] = {"set": rule.members.set_name} if rule.members.set_name else {"list": sorted(wanted)}
    return Node(
        "unmet" if missing else "satisfied",
        rule.name,
        reason="modules_taken" if not missing else "one_more_module" if missing == 1 else "more_modules",
        params=params,
        evidence=tuple(f"completion:{each}" for each in sorted(first.values())),
        progress=(have, rule.n),
        next_step=CATALOGUE if missing else None,
        path=rule.path,
    )


def equivalency(rule: conditions.EquivalencyOf, inputs: Inputs) -> Node:
    _verify_target(rule.target, inputs.programme.modules)
    return _request(rule, inputs)


def retreat_equivalency(rule: conditions.RetreatEquivalencyOf, inputs: Inputs) -> Node:
    _verify_target(rule.target, inputs.programme.retreats)
    return _request(rule, inputs)


def _request(rule: conditions.EquivalencyOf | conditions.RetreatEquivalencyOf, inputs: Inputs) -> Node:
    """The node of the request that counts: an approval in date, else one still open, else the latest."""

    def rank(request: EquivalencyRequest) -> tuple[int, int]:
        return (2 if request.is_accepted_on(inputs.day) else 1 if request.state in OPEN_STATES else 0), request.id

    ask = NextStep(N_("Request equivalency"), f"equivalency:{rule.target}")
    request = max((each for each in inputs.facts.equivalencies if each.target == rule.target), key=rank, default=None)
    if request is None:
        return _unmet(rule, "equivalency_none", {"for": rule.target}, ask)
    status, reason, at = _request_status(request, inputs.day)
    params = {"for": rule.target, "date": inputs.local_day(at)}
    if request.expires_on is not None:
        params["until"] = request.expires_on.isoformat()
    step = NextStep(N_("See your request"), ask.to) if status == "pending" else None if status == "waived" else ask
    return Node(status, rule.name, reason, params, (f"request:{request.id}",), next_step=step, path=rule.path)


def _request_status(request: EquivalencyRequest, day: date) -> tuple[Status, str, datetime | None]:
    """The status, the reason key and the time of the change that led to it."""
    if request.is_accepted_on(day):
        return "waived", "equivalency_approved", request.decided_at
    if request.state in ("approved", "expired"):
        return "expired", "equivalency_expired", request.decided_at
    if request.state == "submitted":
        return "pending", "equivalency_pending", request.submitted_at
    if request.state == "more_info":
        return "pending", "equivalency_more_info", request.submitted_at
    if request.state in ("draft", "declined", "withdrawn", "revoked"):
        return "unmet", f"equivalency_{request.state}", request.changed_at
    raise BrokenRule("record_unreadable")


def attended_retreat(rule: conditions.AttendedRetreat, inputs: Inputs) -> Node:
    _verify_target(rule.retreat, inputs.programme.retreats)
    records = [
        each
        for each in inputs.facts.retreats
        if _current_id(inputs.programme, each.retreat) == rule.retreat and each.ended_at is None
    ]
    attended = [each for each in records if each.outcome == "attended"]
    if attended:
        first = min(attended, key=lambda each: (each.starts_on, each.id))
        params = {"retreat": rule.retreat, "date": first.starts_on.isoformat()}
        return _satisfied(rule, "retreat_attended", params, f"roster:{first.id}")
    step = NextStep(N_("See the retreat"), f"retreat:{rule.retreat}")
    if records:
        last = max(records, key=lambda each: each.id)
        params = {"retreat": rule.retreat, "date": last.starts_on.isoformat()}
        return _unmet(rule, "retreat_no_show", params, step, f"roster:{last.id}")
    return _unmet(rule, "retreat_not_attended", {"retreat": rule.retreat}, step)


def licence_active(rule: conditions.LicenceActive, inputs: Inputs) -> Node:
    types = _resolved(rule.types, inputs.programme)
    day = {"now": inputs.day}.get(rule.at, inputs.offering_start) if isinstance(rule.at, str) else rule.at
    if day is None:
        return _unsure(rule, "unknown", "offering_date_unknown")
    left = [each for each in inputs.facts.licences if each.ended_at is None]
    # The dates come last. The reason is that of the first test that no licence passes.
    tests: tuple[tuple[str, Callable[[Licence], bool]], ...] = (
        ("licence_missing", lambda _each: True),
        ("licence_type_not_listed", lambda each: each.type in types),
        ("licence_jurisdiction", lambda each: not rule.jurisdictions or each.jurisdiction in rule.jurisdictions),
        ("licence_inactive", lambda each: each.status in ("active", "probation")),
        ("licence_on_probation", lambda each: each.status == "active"),
        ("licence_not_verified", lambda each: each.verified or not rule.verified),
    )
    for reason, passes in tests:
        left = [each for each in left if passes(each)]
        if not left:
            return _unmet(rule, reason, {}, CONTACT)
    valid = [each for each in left if each.issued_on <= day <= each.expires_on]
    best = max(valid or left, key=lambda each: (each.expires_on, -each.id))
    evidence = f"licence:{best.id}"
    params = {"type": licence_words(best.type), "jurisdiction": best.jurisdiction, "date": best.expires_on.isoformat()}
    if valid:
        return _satisfied(rule, "licence_ok_until", params, evidence)
    if best.issued_on > day:
        params["date"] = best.issued_on.isoformat()
        return _unmet(rule, "licence_not_yet_valid", params, CONTACT, evidence)
    params["on"] = day.isoformat()
    reason = "licence_ends_before" if best.expires_on >= inputs.day else "licence_expired"
    return Node("expired", rule.name, reason, params, (evidence,), next_step=CONTACT, path=rule.path)


def profession_in(rule: conditions.ProfessionIn, inputs: Inputs) -> Node:
    codes = _resolved(rule.members, inputs.programme)
    stated = inputs.facts.profession
    if stated is None:
        return _unmet(rule, "profession_not_stated", {}, CONTACT)
    if stated in codes:
        return _satisfied(rule, "profession_listed", {"profession": stated})
    return _unmet(rule, "profession_not_listed", {"profession": stated}, CONTACT)


def date_window(rule: conditions.DateWindow, inputs: Inputs) -> Node:
    zone = rule.zone or inputs.programme.zone
    local = inputs.at.astimezone(zone_of(zone)).replace(tzinfo=None)

    def now_for(bound: date) -> date:
        """A wall time where the bound is one, a date where the bound is a whole day."""
        return local if isinstance(bound, datetime) else local.date()

    opens, closes = rule.opens, rule.closes
    params = {"from": opens and opens.isoformat(), "to": closes and closes.isoformat(), "zone": zone}
    if opens is not None and now_for(opens) < opens:
        return _unmet(rule, "window_not_open", params, None)
    if closes is not None and now_for(closes) > closes:
        return Node("expired", rule.name, "window_closed", params, path=rule.path)
    return _satisfied(rule, "window_open", params)


def health_clearance(rule: conditions.HealthClearance, inputs: Inputs) -> Node:
    """Shows only a status and a date; cleared with or without conditions looks the same (retreats.md H2.8)."""
    last_day = inputs.offering_start or inputs.day
    steps = [_step_status(inputs.facts, rule.offering, step, last_day) for step in rule.steps]
    status, reason = max(steps, key=lambda each: WORST_LAST.index(each[0]))
    params = {"offering": rule.offering, "steps": list(rule.steps)}
    return Node(status, rule.name, reason, params, next_step=None if status == "satisfied" else CONTACT, path=rule.path)


def _step_status(facts: Facts, offering: str, step: str, last_day: date) -> tuple[Status, str]:
    """The status and reason key of one screening step by its latest record."""
    records = [each for each in facts.clearances if each.offering == offering and each.step == step]
    latest = max(records, key=lambda each: (each.recorded_at, each.id), default=None)
    if latest is None or latest.status == "not_started":
        return "unmet", "screening_not_started"
    if latest.status in CLEARED and (latest.valid_until is None or latest.valid_until >= last_day):
        return "satisfied", "screening_done"
    if latest.status in (*CLEARED, "expired"):
        return "expired", "screening_expired"
    if latest.status in ("invited", "in_review"):
        return "pending", "screening_in_progress"
    return "unmet", "screening_not_passed"


def attestation(rule: conditions.AttestationOf, inputs: Inputs) -> Node:
    made = [each for each in inputs.facts.attestations if each.list_name == rule.list_name]
    params: dict[str, Any] = {"list": rule.list_name, "version": rule.version}
    current = [each for each in made if each.version == rule.version]
    if current:
        first = min(current, key=lambda each: (each.recorded_at, each.id))
        params["date"] = inputs.local_day(first.recorded_at)
        return _satisfied(rule, "attestation_made", params, f"statement:{first.id}")
    return _unmet(rule, "attestation_outdated" if made else "attestation_missing", params, CONTACT)


def invitation(rule: conditions.InvitationTo, inputs: Inputs) -> Node:
    valid = [
        each
        for each in inputs.facts.invitations
        if each.offering == rule.offering and each.state in ("unused", "accepted")
    ]
    if valid:
        first = min(valid, key=lambda each: each.id)
        params = {"offering": rule.offering, "date": inputs.local_day(first.recorded_at)}
        return _satisfied(rule, "invited", params, f"invitation:{first.id}")
    return _unmet(rule, "not_invited", {"offering": rule.offering}, CONTACT)


# Condition → (the kind of facts it needs, its check).
_CHECKS: Mapping[type[Any], tuple[str, Callable[[Any, Inputs], Node]]] = {
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


def _satisfied(rule: Condition, reason: str, params: Mapping[str, Any], *evidence: str) -> Node:
    return Node("satisfied", rule.name, reason, params, evidence, path=rule.path)


def _unmet(rule: Condition, reason: str, params: Mapping[str, Any], step: NextStep | None, *evidence: str) -> Node:
    return Node("unmet", rule.name, reason, params, evidence, next_step=step, path=rule.path)


def _unsure(rule: Condition, status: Status, reason: str) -> Node:
    return Node(status, getattr(rule, "name", "unknown"), reason, next_step=CONTACT, path=getattr(rule, "path", ""))


def _resolved(members: Members, programme: Programme) -> tuple[str, ...]:
    """The ids or codes that `members` stands for. Raises BrokenRule for a set that is missing, UNSET or empty."""
    if members.set_name is None:
        values: tuple[str, ...] | None = members.names
    elif members.set_name in programme.sets:
        values = programme.sets[members.set_name]
    else:
        raise BrokenRule("set_gone")
    if values is None:
        raise BrokenRule("set_unset")
    if not values:
        raise BrokenRule("set_empty")
    return values


def _verify_target(target: str, offerings: Mapping[str, object]) -> None:
    if target not in offerings:
        raise BrokenRule("target_gone")


def _current_id(programme: Programme, offering: str) -> str:
    """The current offering that a taken one counts for: itself, or that of a confirmed legacy row (gates.md A10.4)."""
    return programme.legacy_to_current.get(offering, offering)
