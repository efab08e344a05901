"""The states of an application and every change between them (retreats.md H4). Pure; any other pair is refused."""

from collections.abc import Mapping
from typing import Literal, get_args

from lti_tool.errors import Conflict

State = Literal[
    "draft",
    "gate_blocked",
    "submitted",
    "under_review",
    "screening",
    "waitlisted",
    "offered",
    "confirmed",
    "declined",
    "withdrawn",
    "attended",
    "no_show",
]
STATES: tuple[State, ...] = get_args(State)

# Who may make a change: the learner, a coordinator, staff on the roster, or the system.
Who = Literal["learner", "coordinator", "roster", "system"]

_LEARNER_MAY_WITHDRAW: tuple[State, ...] = (
    "draft", "gate_blocked", "submitted", "under_review", "screening", "waitlisted", "offered", "confirmed",
)  # fmt: skip
_MAY_BE_DECLINED: tuple[State, ...] = (
    "submitted", "under_review", "screening", "waitlisted", "offered", "confirmed",
)  # fmt: skip

TRANSITIONS: Mapping[tuple[State | None, State], tuple[Who, ...]] = {
    (None, "draft"): ("learner",),
    ("draft", "gate_blocked"): ("system",),
    ("gate_blocked", "draft"): ("system",),
    ("draft", "submitted"): ("learner",),
    ("submitted", "under_review"): ("coordinator",),
    ("under_review", "screening"): ("coordinator",),
    ("under_review", "offered"): ("coordinator",),
    ("under_review", "waitlisted"): ("coordinator", "system"),
    ("screening", "waitlisted"): ("coordinator", "system"),
    ("screening", "offered"): ("coordinator",),
    ("waitlisted", "screening"): ("coordinator",),
    ("waitlisted", "offered"): ("coordinator",),
    ("offered", "confirmed"): ("learner",),
    ("confirmed", "under_review"): ("coordinator",),
    ("confirmed", "screening"): ("coordinator",),
    ("confirmed", "offered"): ("system",),
    ("declined", "under_review"): ("coordinator",),
    ("withdrawn", "under_review"): ("coordinator",),
    ("confirmed", "attended"): ("roster",),
    ("confirmed", "no_show"): ("roster",),
    ("attended", "no_show"): ("roster",),
    **{(state, "declined"): ("coordinator",) for state in _MAY_BE_DECLINED},
    **{(state, "withdrawn"): ("learner",) for state in _LEARNER_MAY_WITHDRAW},
    ("offered", "withdrawn"): ("learner", "system"),
}


def verify_transition(from_state: State | None, to: State, who: Who) -> None:
    """Raises Conflict "application_transition" for a change that is not in the table, or not this person's."""
    if who not in TRANSITIONS.get((from_state, to), ()):
        now = "new" if from_state is None else from_state.replace("_", " ")
        raise Conflict(
            "application_transition",
            f"An application that is {now} cannot become {to.replace('_', ' ')} this way.",
            "Look at the application again.",
        )


def may_become(to: State, who: Who) -> tuple[State, ...]:
    """The states from which `who` may make an application `to`."""
    return tuple(state for (state, target), by in TRANSITIONS.items() if state and target == to and who in by)
