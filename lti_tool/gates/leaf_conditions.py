"""What a condition is judged by, and the few ways in which it answers (pure).

Conditions about a person's standing: licence, profession, screening, statement, invitation, date.

Pure. See gates.md A1.2.

Conditions about training: modules taken, training elsewhere, retreats attended (gates.md A1.2, pure).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from lti_tool.gates import conditions
from lti_tool.gates.conditions import Condition, Members
from lti_tool.gates.decision import NextStep, Node, Status
from lti_tool.gates.facts import OPEN_STATES, Clearance, Completion, EquivalencyRequest, Facts, Licence
from lti_tool.programme.model import Programme
from lti_tool.times import day_of, zone_of

CONTACT = NextStep("Write to the training team", "contact")
CATALOGUE = NextStep("See modules", "catalogue")


class BrokenRule(Exception):
    """The rule names something that the programme does not have; `args[0]` is the reason key."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a condition is judged by: `day` is the date of `at` in the programme's zone, `offering_start` the first day
    of the retreat or live session that is asked for, None while there is none."""

    programme: Programme
    facts: Facts
    at: datetime
    day: date
    offering_start: date | None

    def local_day(self, at: datetime | None) -> str | None:
        return None if at is None else day_of(at, self.programme.zone).isoformat()


def short_name(programme: Programme, offering: str) -> str:
    """'Module 1' where the programme prints a number, else the title."""
    module = programme.modules.get(offering)
    return f"Module {module.number}" if module and module.number else programme.offering_title(offering)


def resolve(members: Members, programme: Programme) -> tuple[str, ...]:
    """The values meant by `members`. Raises BrokenRule for a set that is gone, UNSET or empty."""
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


def current_id(programme: Programme, offering: str) -> str:
    """The current offering for which a taken one counts: itself, or what a confirmed legacy row says
    (gates.md A10.4)."""
    return programme.legacy_to_current.get(offering, offering)


def in_date(last_day: date | None, day: date) -> bool:
    return last_day is None or last_day >= day


def satisfied(rule: Condition, reason: str, params: Mapping[str, Any], evidence: tuple[str, ...]) -> Node:
    return Node("satisfied", rule.name, reason, params, evidence, path=rule.path)


def unmet(
    rule: Condition,
    reason: str,
    params: Mapping[str, Any],
    step: NextStep | None,
    *,
    evidence: tuple[str, ...] = (),
) -> Node:
    return Node("unmet", rule.name, reason, params, evidence, next_step=step, path=rule.path)


def unsure(rule: Condition, status: Status, reason: str) -> Node:
    return Node(status, rule.name, reason, next_step=CONTACT, path=rule.path)


CLEARED = ("cleared", "cleared_with_conditions")


def licence_active(rule: conditions.LicenceActive, situation: Situation) -> Node:
    types = resolve(rule.types, situation.programme)
    day = _licence_day(rule, situation)
    if day is None:
        return unsure(rule, "unknown", "offering_date_unknown")
    held = [each for each in situation.facts.licences if each.ended_at is None]
    left, reason = _narrow(rule, types, held)
    if reason is not None:
        return unmet(rule, reason, {}, CONTACT)
    valid = [each for each in left if each.issued_on <= day <= each.expires_on]
    if valid:
        best = max(valid, key=lambda each: (each.expires_on, -each.id))
        return satisfied(rule, "licence_ok_until", _licence_params(best, best.expires_on), (f"licence:{best.id}",))
    return _licence_out_of_date(rule, max(left, key=lambda each: (each.expires_on, -each.id)), day, situation.day)


def _licence_day(rule: conditions.LicenceActive, situation: Situation) -> date | None:
    if isinstance(rule.at, date):
        return rule.at
    return situation.day if rule.at == "now" else situation.offering_start


def _narrow(
    rule: conditions.LicenceActive, types: tuple[str, ...], held: list[Licence]
) -> tuple[list[Licence], str | None]:
    """The licences that pass every test but the dates, or the reason key of the first test that none passes."""
    tests: tuple[tuple[str, Callable[[Licence], bool]], ...] = (
        ("licence_missing", lambda _each: True),
        ("licence_type_not_listed", lambda each: each.type in types),
        ("licence_jurisdiction", lambda each: not rule.jurisdictions or each.jurisdiction in rule.jurisdictions),
        ("licence_inactive", lambda each: each.status in ("active", "probation")),
        ("licence_on_probation", lambda each: each.status == "active"),
        ("licence_not_verified", lambda each: each.verified or not rule.verified),
    )
    left = held
    for reason, passes in tests:
        left = [each for each in left if passes(each)]
        if not left:
            return [], reason
    return left, None


def _licence_out_of_date(rule: conditions.LicenceActive, best: Licence, day: date, today: date) -> Node:
    evidence = (f"licence:{best.id}",)
    if best.issued_on > day:
        return unmet(rule, "licence_not_yet_valid", _licence_params(best, best.issued_on), CONTACT, evidence=evidence)
    reason = "licence_ends_before" if best.expires_on >= today else "licence_expired"
    params = _licence_params(best, best.expires_on) | {"on": day.isoformat()}
    return Node("expired", rule.name, reason, params, evidence, next_step=CONTACT, path=rule.path)


def _licence_params(licence: Licence, day: date) -> dict[str, Any]:
    return {"type": licence.type, "jurisdiction": licence.jurisdiction, "date": day.isoformat()}


def profession_in(rule: conditions.ProfessionIn, situation: Situation) -> Node:
    codes = resolve(rule.members, situation.programme)
    stated = situation.facts.profession
    if stated is None:
        return unmet(rule, "profession_not_stated", {}, CONTACT)
    if stated in codes:
        return satisfied(rule, "profession_listed", {"profession": stated}, ())
    return unmet(rule, "profession_not_listed", {"profession": stated}, CONTACT)


def date_window(rule: conditions.DateWindow, situation: Situation) -> Node:
    zone = rule.zone or situation.programme.zone
    local = situation.at.astimezone(zone_of(zone)).replace(tzinfo=None)
    params = {"from": _iso(rule.opens), "to": _iso(rule.closes), "zone": zone}
    if rule.opens is not None and _on_scale(local, rule.opens) < rule.opens:
        return unmet(rule, "window_not_open", params, None)
    if rule.closes is not None and _on_scale(local, rule.closes) > rule.closes:
        return Node("expired", rule.name, "window_closed", params, path=rule.path)
    return satisfied(rule, "window_open", params, ())


def _on_scale(local: datetime, bound: date) -> date:
    """The moment as a wall time where the bound is one, as a date where the bound is a whole day."""
    return local if isinstance(bound, datetime) else local.date()


def health_clearance(rule: conditions.HealthClearance, situation: Situation) -> Node:
    """Nothing but a status word and a date; with or without conditions looks the same (retreats.md H2.8)."""
    last = situation.offering_start or situation.day
    steps = [_step_says(_latest(situation.facts.clearances, rule.offering, step), last) for step in rule.steps]
    status, reason = max(steps, key=lambda each: _WORST_LAST.index(each[0]))
    params = {"offering": rule.offering, "steps": list(rule.steps)}
    return Node(status, rule.name, reason, params, next_step=None if status == "satisfied" else CONTACT, path=rule.path)


_WORST_LAST: tuple[Status, ...] = ("satisfied", "pending", "expired", "unmet")


def _latest(clearances: Iterable[Clearance], offering: str, step: str) -> Clearance | None:
    of_step = (each for each in clearances if each.offering == offering and each.step == step)
    return max(of_step, key=lambda each: (each.recorded_at, each.id), default=None)


def _step_says(clearance: Clearance | None, last: date) -> tuple[Status, str]:
    if clearance is None or clearance.status == "not_started":
        return "unmet", "screening_not_started"
    if clearance.status in CLEARED:
        return ("satisfied", "screening_done") if in_date(clearance.valid_until, last) else _SCREENING_EXPIRED
    if clearance.status in ("invited", "in_review"):
        return "pending", "screening_in_progress"
    if clearance.status == "expired":
        return _SCREENING_EXPIRED
    return "unmet", "screening_not_passed"


_SCREENING_EXPIRED: tuple[Status, str] = ("expired", "screening_expired")


def attestation(rule: conditions.AttestationOf, situation: Situation) -> Node:
    made = [each for each in situation.facts.attestations if each.list_name == rule.list_name]
    params: dict[str, Any] = {"list": rule.list_name, "version": rule.version}
    current = [each for each in made if each.version == rule.version]
    if current:
        first = min(current, key=lambda each: (each.recorded_at, each.id))
        params["date"] = situation.local_day(first.recorded_at)
        return satisfied(rule, "attestation_made", params, (f"statement:{first.id}",))
    return unmet(rule, "attestation_outdated" if made else "attestation_missing", params, CONTACT)


def invitation(rule: conditions.InvitationTo, situation: Situation) -> Node:
    valid = [
        each
        for each in situation.facts.invitations
        if each.offering == rule.offering and each.state in ("unused", "accepted")
    ]
    if valid:
        first = min(valid, key=lambda each: each.id)
        params = {"offering": rule.offering, "date": situation.local_day(first.recorded_at)}
        return satisfied(rule, "invited", params, (f"invitation:{first.id}",))
    return unmet(rule, "not_invited", {"offering": rule.offering}, CONTACT)


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def completed(rule: conditions.Completed, situation: Situation) -> Node:
    programme = situation.programme
    if rule.module not in programme.modules:
        raise BrokenRule("target_gone")
    records = [
        record
        for record in situation.facts.completions
        if record.module == rule.module or (rule.accept_aliases and current_id(programme, record.module) == rule.module)
    ]
    in_force = [record for record in records if record.ended_at is None]
    if in_force:
        return _completion_found(rule, min(in_force, key=lambda each: (each.completed_on, each.id)))
    step = NextStep(f"See {short_name(programme, rule.module)} dates", f"dates:{rule.module}")
    if records:
        last = max(records, key=lambda each: each.id)
        params = {"module": rule.module, "why": last.ended_reason, "date": situation.local_day(last.ended_at)}
        return unmet(rule, "completion_ended", params, step, evidence=(f"completion:{last.id}",))
    return unmet(rule, "module_not_taken", {"module": rule.module}, step)


def _completion_found(rule: conditions.Completed, record: Completion) -> Node:
    params = {"module": rule.module, "date": record.completed_on.isoformat(), "origin": record.origin}
    if record.module != rule.module:
        params["taken_as"] = record.module
    return satisfied(rule, "module_taken", params, (f"completion:{record.id}",))


def completed_any(rule: conditions.CompletedAny, situation: Situation) -> Node:
    wanted = set(resolve(rule.members, situation.programme)) - set(rule.excluding)
    if len(wanted) < rule.n:
        raise BrokenRule("set_too_small")
    first: dict[str, int] = {}
    for record in sorted(situation.facts.completions, key=lambda each: each.id):
        module = current_id(situation.programme, record.module)
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


def equivalency(rule: conditions.EquivalencyOf, situation: Situation) -> Node:
    if rule.target not in situation.programme.modules:
        raise BrokenRule("target_gone")
    return _request_found(rule, situation)


def retreat_equivalency(rule: conditions.RetreatEquivalencyOf, situation: Situation) -> Node:
    if rule.target not in situation.programme.retreats:
        raise BrokenRule("target_gone")
    return _request_found(rule, situation)


def _request_found(rule: conditions.EquivalencyOf | conditions.RetreatEquivalencyOf, situation: Situation) -> Node:
    """The request that speaks: an approval in date, else one still open, else the latest."""
    requests = [each for each in situation.facts.equivalencies if each.target == rule.target]
    if not requests:
        return unmet(rule, "equivalency_none", {"for": rule.target}, _ask_step(rule.target))

    def rank(request: EquivalencyRequest) -> tuple[int, int]:
        approved = request.state == "approved" and in_date(request.expires_on, situation.day)
        return (2 if approved else 1 if request.state in OPEN_STATES else 0), request.id

    request = max(requests, key=rank)
    status, reason, moment = _request_says(request, situation.day)
    params = {"for": rule.target, "date": situation.local_day(moment)}
    if request.expires_on is not None:
        params["until"] = request.expires_on.isoformat()
    step = None if status == "waived" else _ask_step(rule.target, is_open=status == "pending")
    return Node(status, rule.name, reason, params, (f"request:{request.id}",), next_step=step, path=rule.path)


def _request_says(request: EquivalencyRequest, day: date) -> tuple[Status, str, datetime | None]:
    if request.state == "approved" and in_date(request.expires_on, day):
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


def _ask_step(target: str, *, is_open: bool = False) -> NextStep:
    return NextStep("See your request" if is_open else "I trained elsewhere", f"equivalency:{target}")


def attended_retreat(rule: conditions.AttendedRetreat, situation: Situation) -> Node:
    programme = situation.programme
    if rule.retreat not in programme.retreats:
        raise BrokenRule("target_gone")
    records = [
        each
        for each in situation.facts.retreats
        if current_id(programme, each.retreat) == rule.retreat and each.ended_at is None
    ]
    attended = [each for each in records if each.outcome == "attended"]
    if attended:
        first = min(attended, key=lambda each: (each.starts_on, each.id))
        params = {"retreat": rule.retreat, "date": first.starts_on.isoformat()}
        return satisfied(rule, "retreat_attended", params, (f"roster:{first.id}",))
    step = NextStep("See the retreat", f"retreat:{rule.retreat}")
    if records:
        last = max(records, key=lambda each: each.id)
        params = {"retreat": rule.retreat, "date": last.starts_on.isoformat()}
        return unmet(rule, "retreat_no_show", params, step, evidence=(f"roster:{last.id}",))
    return unmet(rule, "retreat_not_attended", {"retreat": rule.retreat}, step)
