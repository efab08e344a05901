"""Conditions about training: modules taken, training elsewhere, retreats attended (gates.md A1.2, pure)."""

from datetime import date, datetime
from typing import Any

from lti_tool.gates import conditions as nodes
from lti_tool.gates.evidence import OPEN_STATES, Completion, EquivalencyRequest
from lti_tool.gates.situation import (
    CATALOGUE,
    BrokenRule,
    Situation,
    current_id,
    in_date,
    resolve,
    satisfied,
    short_name,
    unmet,
)
from lti_tool.gates.tree import NextStep, Node, Status


def completed(rule: nodes.Completed, situation: Situation) -> Node:
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


def _completion_found(rule: nodes.Completed, record: Completion) -> Node:
    params = {"module": rule.module, "date": record.completed_on.isoformat(), "origin": record.origin}
    if record.module != rule.module:
        params["taken_as"] = record.module
    return satisfied(rule, "module_taken", params, (f"completion:{record.id}",))


def completed_any(rule: nodes.CompletedAny, situation: Situation) -> Node:
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


def equivalency(rule: nodes.EquivalencyOf, situation: Situation) -> Node:
    if rule.target not in situation.programme.modules:
        raise BrokenRule("target_gone")
    return _request_found(rule, situation)


def retreat_equivalency(rule: nodes.RetreatEquivalencyOf, situation: Situation) -> Node:
    if rule.target not in situation.programme.retreats:
        raise BrokenRule("target_gone")
    return _request_found(rule, situation)


def _request_found(rule: nodes.EquivalencyOf | nodes.RetreatEquivalencyOf, situation: Situation) -> Node:
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


def attended_retreat(rule: nodes.AttendedRetreat, situation: Situation) -> Node:
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
