"""Conditions about a person's standing: licence, profession, screening, statement, invitation, date.

Pure. See gates.md A1.2.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any

from lti_tool.gates import conditions as nodes
from lti_tool.gates.evidence import Clearance, Licence
from lti_tool.gates.situation import CONTACT, Situation, in_date, resolve, satisfied, unmet, unsure, zone_of
from lti_tool.gates.tree import Node, Status

CLEARED = ("cleared", "cleared_with_conditions")


def licence_active(rule: nodes.LicenceActive, situation: Situation) -> Node:
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


def _licence_day(rule: nodes.LicenceActive, situation: Situation) -> date | None:
    if isinstance(rule.at, date):
        return rule.at
    return situation.day if rule.at == "now" else situation.offering_start


def _narrow(rule: nodes.LicenceActive, types: tuple[str, ...], held: list[Licence]) -> tuple[list[Licence], str | None]:
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


def _licence_out_of_date(rule: nodes.LicenceActive, best: Licence, day: date, today: date) -> Node:
    evidence = (f"licence:{best.id}",)
    if best.issued_on > day:
        return unmet(rule, "licence_not_yet_valid", _licence_params(best, best.issued_on), CONTACT, evidence=evidence)
    reason = "licence_ends_before" if best.expires_on >= today else "licence_expired"
    params = _licence_params(best, best.expires_on) | {"on": day.isoformat()}
    return Node("expired", rule.name, reason, params, evidence, next_step=CONTACT, path=rule.path)


def _licence_params(licence: Licence, day: date) -> dict[str, Any]:
    return {"type": licence.type, "jurisdiction": licence.jurisdiction, "date": day.isoformat()}


def profession_in(rule: nodes.ProfessionIn, situation: Situation) -> Node:
    codes = resolve(rule.members, situation.programme)
    stated = situation.facts.profession
    if stated is None:
        return unmet(rule, "profession_not_stated", {}, CONTACT)
    if stated in codes:
        return satisfied(rule, "profession_listed", {"profession": stated}, ())
    return unmet(rule, "profession_not_listed", {"profession": stated}, CONTACT)


def date_window(rule: nodes.DateWindow, situation: Situation) -> Node:
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


def health_clearance(rule: nodes.HealthClearance, situation: Situation) -> Node:
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


def attestation(rule: nodes.AttestationOf, situation: Situation) -> Node:
    made = [each for each in situation.facts.attestations if each.list_name == rule.list_name]
    params: dict[str, Any] = {"list": rule.list_name, "version": rule.version}
    current = [each for each in made if each.version == rule.version]
    if current:
        first = min(current, key=lambda each: (each.recorded_at, each.id))
        params["date"] = situation.local_day(first.recorded_at)
        return satisfied(rule, "attestation_made", params, (f"statement:{first.id}",))
    return unmet(rule, "attestation_outdated" if made else "attestation_missing", params, CONTACT)


def invitation(rule: nodes.InvitationTo, situation: Situation) -> Node:
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
