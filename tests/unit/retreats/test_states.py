"""The states of an application: exactly the table, nothing else."""

import pytest

from lti_tool.retreats.applications import STATES, TRANSITIONS, may_become

WHOS = ("learner", "coordinator", "roster", "system")
# retreats.md §4, row by row.
TABLE = {
    "new": ["draft"],
    "draft": ["gate_blocked", "submitted", "withdrawn"],
    "gate_blocked": ["draft", "withdrawn"],
    "submitted": ["under_review", "declined", "withdrawn"],
    "under_review": ["screening", "offered", "waitlisted", "declined", "withdrawn"],
    "screening": ["waitlisted", "offered", "declined", "withdrawn"],
    "waitlisted": ["screening", "offered", "declined", "withdrawn"],
    "offered": ["confirmed", "withdrawn", "declined"],
    "confirmed": ["under_review", "screening", "offered", "declined", "withdrawn", "attended", "no_show"],
    "declined": ["under_review"],
    "withdrawn": ["under_review"],
    "attended": ["no_show"],
    "no_show": [],
}


def test_the_states_are_exactly_those_of_the_specification() -> None:
    assert set(STATES) == set(TABLE) - {"new"}


@pytest.mark.parametrize("before", [None, *STATES])
@pytest.mark.parametrize("after", STATES)
def test_every_pair_in_the_table_is_somebodys_and_any_other_is_refused(before: str | None, after: str) -> None:
    allowed = TRANSITIONS.get((before, after), ())  # type: ignore[call-overload]
    assert bool(allowed) == (after in TABLE[before or "new"])
    for who in WHOS:
        assert (before in may_become(after, who)) == (before is not None and who in allowed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "who"),
    [
        ("draft", "submitted", "coordinator"),
        ("submitted", "under_review", "learner"),
        ("confirmed", "attended", "learner"),
    ],
)
def test_nobody_makes_somebody_elses_change(before: str, after: str, who: str) -> None:
    assert before not in may_become(after, who)  # type: ignore[arg-type]


def test_the_states_before_a_state() -> None:
    assert may_become("attended", "roster") == ("confirmed",)
    assert set(may_become("no_show", "roster")) == {"confirmed", "attended"}
    assert set(may_become("withdrawn", "learner")) == {
        "draft", "gate_blocked", "submitted", "under_review", "screening", "waitlisted", "offered", "confirmed",
    }  # fmt: skip


def test_nothing_leads_from_a_state_to_itself() -> None:
    assert all(before != after for before, after in TRANSITIONS)
