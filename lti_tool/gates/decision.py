"""A decision and its tree: what was asked, what is met, what is missing and what to do next (gates.md A2). PURE."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Literal

from lti_tool.gates.conditions import GroupOp
from lti_tool.gates.facts import Facts

Status = Literal["satisfied", "waived", "pending", "unmet", "expired", "unknown", "error"]
OPEN: tuple[Status, ...] = ("satisfied", "waived")
UNSURE: tuple[Status, ...] = ("unknown", "error")


@dataclass(frozen=True, slots=True)
class NextStep:
    """What a learner can do next. `to` is dates:<offering>, equivalency:<target>, retreat:<id>, catalogue or contact;
    pages turn it into an address."""

    label: str
    to: str


@dataclass(frozen=True, slots=True)
class Node:
    """One node of the tree: a group (`op`) or a condition, never both.

    `params` holds the condition's fields and what was found, as JSON values; `evidence` names records
    ("completion:12"); `progress` is (have, needed). A group is open when `needed` of its `children` are.
    """

    status: Status
    condition: str | None = None
    reason: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    progress: tuple[int, int] | None = None
    next_step: NextStep | None = None
    op: GroupOp | None = None
    needed: int = 1
    children: tuple["Node", ...] = ()
    path: str = ""

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    def to_json(self) -> dict[str, Any]:
        """The node in the form of gates.md A2.11. The path is shown only where staff need it to find a broken rule."""
        shown: dict[str, Any] = {"op": self.op} if self.op else {"condition": self.condition, **self.params}
        shown["status"] = self.status
        if self.progress is not None:
            shown["progress"] = list(self.progress)
        if self.reason is not None:
            step = {"label": self.next_step.label, "to": self.next_step.to} if self.next_step else None
            shown |= {"reason": self.reason, "evidence": list(self.evidence), "next": step}
        if self.status == "error" and self.path:
            shown["path"] = self.path
        if self.op:
            shown["children"] = [child.to_json() for child in self.children]
        return shown


@dataclass(frozen=True, slots=True)
class UsedException:
    """The staff exception that opened a gate, and its last day."""

    id: int
    expires_on: date

    def to_json(self) -> dict[str, Any]:
        return {"evidence": f"exception:{self.id}", "until": self.expires_on.isoformat()}


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether one trainee may open one offering at one moment, and why.

    `status` is the root's, even if an `exception` opened the gate; `reason` explains a gate without a tree
    (gate_free, gate_unset …). The same inputs give the same `to_json` and `digest`.
    """

    offering: str
    programme_version: int
    at: datetime
    facts: Facts = field(repr=False)
    open: bool
    status: Status
    reason: str | None = None
    tree: Node | None = None
    recommended: Node | None = None
    exception: UsedException | None = None

    @property
    def trainee_id(self) -> int:
        return self.facts.trainee_id

    @property
    def facts_digest(self) -> str:
        return self.facts.digest

    @property
    def is_pending(self) -> bool:
        return not self.open and self.status == "pending"

    def unmet(self) -> list[Node]:
        """The conditions that keep the gate shut, in order; none if it is open."""
        return [] if self.open or self.tree is None else list(blocking(self.tree))

    def covered(self) -> list[Node]:
        """The conditions that the exception replaces (gates.md A4.6)."""
        return list(blocking(self.tree)) if self.exception and self.tree else []

    def to_json(self) -> dict[str, Any]:
        return {
            "offering": self.offering,
            "trainee": self.trainee_id,
            "programme_version": self.programme_version,
            "at": self.at.isoformat(),
            "facts": f"sha256:{self.facts_digest}",
            "open": self.open,
            "status": self.status,
            "reason": self.reason,
            "exception": self.exception.to_json() if self.exception else None,
            "tree": self.tree.to_json() if self.tree else None,
            "recommended": [self.recommended.to_json()] if self.recommended else [],
        }

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of the decision."""
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return sha256(canonical.encode()).hexdigest()


def at_least(n: int, statuses: Sequence[Status]) -> Status:
    """The status of a group that needs `n` open children (gates.md A2.4)."""
    satisfied, waived = statuses.count("satisfied"), statuses.count("waived")
    opened = satisfied + waived
    if opened >= n:
        return "satisfied" if satisfied >= n else "waived"
    possible = opened + statuses.count("pending")
    if possible >= n:
        return "pending"
    if possible + statuses.count("unknown") + statuses.count("error") >= n:
        return "error" if "error" in statuses else "unknown"
    return "unmet"


def negated(status: Status) -> Status:
    """The status of `not`: satisfied only if the child is certainly unmet; what is unsure stays unsure (gates.md
    A2.5)."""
    if status in ("unmet", "expired"):
        return "satisfied"
    return status if status in UNSURE else "unmet"


def blocking(node: Node) -> Iterator[Node]:
    """The conditions below a shut node that are not open; a shut `not` counts as one."""
    if node.is_open:
        return
    if node.condition is not None or node.op == "not":
        yield node
        return
    for child in node.children:
        yield from blocking(child)


def walk(node: Node) -> Iterator[Node]:
    """Every node of the tree, root first."""
    yield node
    for child in node.children:
        yield from walk(child)
