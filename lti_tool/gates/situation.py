"""What a condition is judged by, and the few ways in which it answers (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from lti_tool.gates.conditions import Condition, Members
from lti_tool.gates.evidence import Facts
from lti_tool.gates.tree import NextStep, Node, Status
from lti_tool.programme.model import Programme

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


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def day_of(at: datetime, zone: str) -> date:
    """The wall date of an aware instant in a zone."""
    if at.tzinfo is None:
        raise ValueError("a decision needs an aware instant")
    return at.astimezone(zone_of(zone)).date()


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
