"""Why a person is locked, by cause: one missing thing often locks several offerings. PURE."""

from collections.abc import Iterable
from dataclasses import dataclass

from lti_tool.gates.decision import Decision, Node
from lti_tool.gates.wording import shortest_way, staff_sentence
from lti_tool.programme.model import Programme


@dataclass(frozen=True, slots=True)
class Cause:
    """One missing thing: its condition, what it says to staff, and the offerings that it locks."""

    node: Node
    says: str
    offerings: tuple[str, ...]


def causes(decisions: Iterable[Decision], programme: Programme) -> list[Cause]:
    """What locks these offerings of one person, what locks most first. Of several ways to open a gate the shortest
    counts; a gate that waits for an answer, and one that no fact could open, have no cause here."""
    found: dict[str, tuple[Node, list[str]]] = {}
    for decision in decisions:
        if not decision.open and not decision.is_pending and decision.tree is not None:
            for node in shortest_way(decision.tree):
                found.setdefault(staff_sentence(node, programme), (node, []))[1].append(decision.offering)
    listed = [Cause(node, says, tuple(offerings)) for says, (node, offerings) in found.items()]
    return sorted(listed, key=lambda each: -len(each.offerings))
