"""The union of all evidence: the strongest wins, what staff took away wins over everything."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_tool.attendance.evidence import WAITING_ROOM, PresenceInterval, pieces_of, whole_second

NINE = datetime(2026, 12, 1, 17, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def there(start: int, end: int, evidence: str = "webhook", *, counts: bool = True, source: str = "c", role: str = ""):
    """Minutes after nine."""
    from_at, to_at = (NINE + timedelta(minutes=each) for each in (start, end))
    return PresenceInterval(from_at, to_at, evidence, counts, source, role=role)


def labels(*intervals: PresenceInterval, staff_earn: bool = False) -> list[tuple[int, int, str]]:
    found = pieces_of(intervals, staff_earn=staff_earn)
    return [((each.start - NINE) // MINUTE, (each.end - NINE) // MINUTE, each.label) for each in found]


@pytest.mark.parametrize(
    ("strong", "weak"),
    [
        ("webhook", "estimated"),
        ("webhook", "manual"),
        ("report", "manual"),
        ("manual", "estimated"),
        ("both", "manual"),
    ],
)
def test_the_stronger_evidence_is_shown(strong: str, weak: str) -> None:
    assert labels(there(0, 60, weak), there(20, 40, strong)) == [(0, 20, weak), (20, 40, strong), (40, 60, weak)]


def test_webhook_and_report_together_are_both() -> None:
    assert labels(there(0, 40), there(20, 60, "report")) == [(0, 20, "webhook"), (20, 40, "both"), (40, 60, "report")]


@pytest.mark.parametrize("evidence", ["both", "webhook", "report", "manual", "estimated"])
def test_what_staff_took_away_counts_by_no_evidence(evidence: str) -> None:
    taken = there(20, 40, "manual", counts=False, source="correction:1")
    assert labels(there(0, 60, evidence), taken) == [(0, 20, evidence), (20, 40, "corrected"), (40, 60, evidence)]
    assert [each.counts for each in pieces_of([there(0, 60, evidence), taken])] == [True, False, True]


def test_presence_that_counts_is_stronger_than_any_that_does_not() -> None:
    waiting = there(0, 60, counts=False, source=WAITING_ROOM)
    unknown = there(0, 90, "estimated", counts=False)
    assert labels(waiting, unknown, there(20, 40, "estimated")) == [
        (0, 20, "waiting_room"),
        (20, 40, "estimated"),
        (40, 60, "waiting_room"),
        (60, 90, "unconfirmed"),
    ]


def test_who_runs_the_meeting_on_one_device_attends_on_none() -> None:
    both = (there(0, 60, role="host"), there(0, 60, source="phone"))
    assert labels(*both) == [(0, 60, "staff_role")]
    assert labels(*both, staff_earn=True) == [(0, 60, "webhook")]
    assert labels(*both, there(20, 40, "manual"))[1] == (20, 40, "manual")


def test_an_edge_has_the_strongest_grade_that_anything_gives_it() -> None:
    by_report = PresenceInterval(*_times(0, 60), "report", True, "report", from_evidence="both")
    estimated = PresenceInterval(*_times(60, 90), "estimated", True, "c", from_evidence="webhook")
    first, last = pieces_of([by_report, estimated])
    assert (first.from_evidence, first.to_evidence) == ("both", "webhook")
    assert (last.from_evidence, last.to_evidence) == ("webhook", "estimated")


def _times(start: int, end: int) -> tuple[datetime, datetime]:
    return NINE + timedelta(minutes=start), NINE + timedelta(minutes=end)


MINUTES = st.integers(0, 60)
EVIDENCE = st.sampled_from(["webhook", "report", "both", "estimated", "manual"])
INTERVALS = st.lists(
    st.builds(
        lambda start, end, evidence, counts, source, role: there(
            start, end, evidence, counts=counts, source=source, role=role
        ),
        MINUTES,
        MINUTES,
        EVIDENCE,
        st.booleans(),
        st.sampled_from(["a", WAITING_ROOM]),
        st.sampled_from(["", "", "host"]),
    ),
    max_size=10,
)


@given(INTERVALS, st.booleans(), st.randoms(use_true_random=False))
def test_pieces_are_disjoint_and_the_same_in_any_order_with_any_copies(intervals, staff_earn: bool, random) -> None:
    found = pieces_of(intervals, staff_earn=staff_earn)
    assert all(each.start < each.end for each in found)
    assert all(first.end <= then.start for first, then in pairwise(found))
    shuffled = [*intervals, *intervals[:3]]
    random.shuffle(shuffled)
    assert pieces_of(shuffled, staff_earn=staff_earn) == found


@given(INTERVALS)
def test_what_was_taken_away_never_counts(intervals) -> None:
    taken = [each for each in intervals if each.evidence == "manual" and not each.counts]
    for piece in (each for each in pieces_of(intervals, staff_earn=True) if each.counts):
        assert not any(piece.within(whole_second(each.from_at), whole_second(each.to_at)) for each in taken)
