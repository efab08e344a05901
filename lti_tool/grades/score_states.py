"""The states of a score as staff see them. PURE.

"Accepted" is what the platform's service answered, "seen" what its gradebook shows: the two are kept apart
(lti.md AG-12).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# How the last answer of a score begins whose column went to something else, or is gone.
RETIRED = "column_"


@dataclass(frozen=True, slots=True)
class State:
    """`kind` and `icon` are those of signs.html; `says` stands beside the sign and names the filter."""

    id: str
    says: str
    kind: str
    icon: str


# Those that need a person first.
STATES = (
    State("regraded", "Regraded", "shut", "warn"),
    State("refused", "Refused", "shut", "warn"),
    State("missing", "Accepted, but not in the gradebook", "note", "warn"),
    State("waiting", "On its way", "wait", "wait"),
    State("accepted", "Accepted", "open", "missing"),
    State("seen", "Seen in the gradebook", "open", "open"),
    State("kept", "Their grade kept", "note", "note"),
)
BY_ID = {state.id: state for state in STATES}
ORDER = {state.id: number for number, state in enumerate(STATES)}


def state_of(score: Any) -> State:
    """The state of one row of the ledger."""
    return BY_ID[_id_of(score)]


def count(scores: Iterable[Any]) -> list[tuple[State, int]]:
    """How many scores are in each state, without the states that none is in."""
    found = Counter(_id_of(score) for score in scores)
    return [(state, found[state.id]) for state in STATES if found[state.id]]


def _id_of(score: Any) -> str:
    if score.status in ("waiting", "kept"):
        return str(score.status)
    if (score.last_answer or "").startswith(RETIRED):  # nobody can do anything about what stands there
        return "refused" if score.status == "parked" else "accepted"
    if score.seen == "differs":
        return "regraded"
    if score.status == "parked":
        return "refused"
    return {"same": "seen", "missing": "missing"}.get(score.seen, "accepted")
