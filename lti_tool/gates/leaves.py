"""Which function judges which condition, and what happens when it cannot (gates.md A1.7, pure)."""

from collections.abc import Callable, Mapping
from typing import Any

from lti_tool.gates import conditions as nodes
from lti_tool.gates.situation import CONTACT, BrokenRule, Situation, unsure
from lti_tool.gates.standing import (
    attestation,
    date_window,
    health_clearance,
    invitation,
    licence_active,
    profession_in,
)
from lti_tool.gates.training import attended_retreat, completed, completed_any, equivalency, retreat_equivalency
from lti_tool.gates.tree import Node

# Condition → (the facts it needs, what finds them).
_LEAVES: Mapping[type[Any], tuple[str, Callable[[Any, Situation], Node]]] = {
    nodes.Completed: ("completions", completed),
    nodes.CompletedAny: ("completions", completed_any),
    nodes.EquivalencyOf: ("equivalencies", equivalency),
    nodes.RetreatEquivalencyOf: ("equivalencies", retreat_equivalency),
    nodes.AttendedRetreat: ("retreats", attended_retreat),
    nodes.LicenceActive: ("licences", licence_active),
    nodes.ProfessionIn: ("profession", profession_in),
    nodes.DateWindow: ("", date_window),
    nodes.HealthClearance: ("clearances", health_clearance),
    nodes.AttestationOf: ("attestations", attestation),
    nodes.InvitationTo: ("invitations", invitation),
}


def facts_needed(rule: nodes.Condition) -> frozenset[str]:
    """The kind of facts that this condition looks at, if any."""
    return frozenset(filter(None, (_LEAVES[type(rule)][0],)))


def judge(rule: nodes.Condition, situation: Situation) -> Node:
    """The node of one condition. Whatever goes wrong inside it makes an `error`, which locks (gates.md A1.7)."""
    try:
        needs, find = _LEAVES[type(rule)]
        if needs in situation.facts.unavailable:
            return unsure(rule, "unknown", "facts_unavailable")
        return find(rule, situation)
    except BrokenRule as broken:
        return unsure(rule, "error", str(broken.args[0]))
    except Exception:
        return Node(
            "error",
            condition=getattr(rule, "name", "unknown"),
            reason="check_failed",
            next_step=CONTACT,
            path=getattr(rule, "path", ""),
        )
