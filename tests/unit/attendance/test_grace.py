"""Short absences that a policy forgives, kept apart from what was measured."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_tool.attendance.agenda import Segment
from lti_tool.attendance.evidence import WAITING_ROOM, PresenceInterval
from lti_tool.attendance.minutes import Attendance, attend, forgiven_gaps

NINE = datetime(2026, 12, 1, 17, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NINE + timedelta(seconds=seconds)


AGENDA = (
    Segment(at(0), at(3600), "first", True),
    Segment(at(3600), at(4500), "break", False),
    Segment(at(4500), at(8100), "second", True),
)


def there(start: int, end: int, *, counts: bool = True, evidence: str = "webhook", source: str = "c"):
    return PresenceInterval(at(start), at(end), evidence, counts, source)


def attended(*intervals: PresenceInterval, grace: int = 120, share: str = "1") -> Attendance:
    return attend(intervals, AGENDA, Decimal(share), grace_seconds=grace)


def test_a_short_gap_is_forgiven_and_the_measured_time_stays() -> None:
    day = attended(there(0, 1000), there(1085, 8100))
    assert (day.seconds_present, day.seconds_forgiven, day.completed) == (7200 - 85, 85, True)
    assert [gap.seconds for gap in day.missed] == [85]


@pytest.mark.parametrize(("gap", "forgiven"), [(120, 120), (121, 0)])
def test_the_limit_is_of_each_gap(gap: int, forgiven: int) -> None:
    assert attended(there(0, 1000), there(1000 + gap, 8100)).seconds_forgiven == forgiven


def test_many_short_gaps_are_forgiven_each() -> None:
    parts = [there(start, start + 540) for start in range(0, 8100, 600)]
    assert attended(*parts, there(8000, 8100)).seconds_forgiven == 60 * 12


def test_without_grace_nothing_is_forgiven() -> None:
    day = attended(there(0, 1000), there(1001, 8100), grace=0)
    assert (day.seconds_forgiven, day.completed) == (0, False)


@pytest.mark.parametrize(
    "intervals",
    [
        (there(60, 8100),),
        (there(0, 8040),),
        (there(0, 1000), there(1000, 1060, counts=False, source=WAITING_ROOM), there(1060, 8100)),
        (there(0, 1000), there(1000, 1060, counts=False, evidence="estimated"), there(1060, 8100)),
        (there(0, 8100), there(1000, 1060, counts=False, evidence="manual")),
        (there(0, 1000), there(1060, 1090, counts=False, source=WAITING_ROOM), there(1090, 8100)),
    ],
    ids=["late", "left early", "waiting room", "unconfirmed", "taken away", "away and waiting"],
)
def test_only_absence_between_presence_is_forgiven(intervals) -> None:
    assert attended(*intervals).seconds_forgiven == 0


def test_a_break_does_not_divide_an_absence() -> None:
    assert attended(there(0, 3540), there(4550, 8100)).seconds_forgiven == 110
    assert attended(there(0, 3530), there(4560, 8100)).seconds_forgiven == 0


def test_two_absences_with_presence_between_them_are_forgiven_each() -> None:
    assert attended(there(0, 1000), there(1085, 3600), there(4560, 8100)).seconds_forgiven == 85 + 60


def test_forgiven_time_counts_towards_completion_and_nothing_else() -> None:
    half = attended(there(0, 1000), there(1085, 3600), there(4500, 6000), share="0.7084")
    assert (half.seconds_present, half.seconds_required, half.completed) == (5015, 5101, False)
    assert attended(there(0, 1000), there(1085, 3600), there(4500, 6000), share="0.708").completed


EDGES = st.lists(st.integers(-300, 8400), max_size=12, unique=True).map(sorted)


@given(EDGES, st.integers(0, 600))
def test_a_stored_day_gives_the_same_and_never_more_than_was_missed(edges: list[int], grace: int) -> None:
    stays = [there(start, end) for start, end in zip(edges[::2], edges[1::2], strict=False)]
    day = attended(*stays, grace=grace)
    stored = Attendance.from_json(json.loads(json.dumps(day.to_json())))
    assert stored == day
    assert sum(gap.seconds for gap in forgiven_gaps(stored.segments, grace)) == day.seconds_forgiven
    assert day.seconds_present + day.seconds_forgiven <= day.seconds_instructional
    assert day.seconds_forgiven <= attended(*stays, grace=grace + 60).seconds_forgiven
