"""What one person attended: table T of the credit rules, and properties."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lti_tool.attendance.agenda import Segment
from lti_tool.attendance.evidence import WAITING_ROOM, PresenceInterval
from lti_tool.attendance.minutes import Attendance, attend

SHARE = Decimal("0.80")
NINE = datetime(2026, 12, 1, 17, 0, tzinfo=UTC)
AGENDA = ((0, 90, True), (90, 105, False), (105, 180, True), (180, 240, False), (240, 330, True), (330, 345, False))


def at(minutes: float) -> datetime:
    return NINE + timedelta(minutes=minutes)


FULL_DAY = (
    *(Segment(at(start), at(end), "segment", instructional) for start, end, instructional in AGENDA),
    Segment(at(345), at(480), "segment", True),
)


def there(start: float, end: float, evidence: str = "webhook", *, counts: bool = True, source: str = "connection:a"):
    return PresenceInterval(at(start), at(end), evidence, counts, source)


def attended(*intervals: PresenceInterval) -> Attendance:
    return attend(intervals, FULL_DAY, SHARE)


def minutes_missed(attendance: Attendance) -> float:
    return sum(gap.seconds for gap in attendance.missed) / 60


BOUNDS = ((0, 20), (20, 40), (40, 60), (60, 80), (80, 110), (110, 250), (250, 480))
SIX_RECONNECTS = tuple(there(start + (40 / 60 if start else 0), end) for start, end in BOUNDS)

CASES = {
    "Zoom left during lunch": ((there(0, 180), there(240, 480)), True, 0),
    "14 minutes late": ((there(14, 480),), True, 14),
    "one gap of 20 minutes": ((there(0, 120), there(140, 480)), True, 20),
    "six reconnects of 40 seconds": (SIX_RECONNECTS, True, 4),
    "leaves 20 minutes before the end": ((there(0, 460),), True, 20),
    "300 minutes present": ((there(0, 390),), False, 90),
    "two devices all day": ((there(0, 480), there(0, 480, source="connection:b")), True, 0),
    "30 minutes in the waiting room": (
        (there(0, 30, counts=False, source=WAITING_ROOM), there(30, 390)),
        False,
        120,
    ),
    "311 minutes 59 seconds": ((there(0, 402 - 1 / 60),), False, 78 + 1 / 60),
    "312 minutes": ((there(0, 402),), True, 78),
}


@pytest.mark.parametrize("case", CASES)
def test_completion_is_80_percent_of_the_instructional_minutes(case: str) -> None:
    intervals, completed, missed = CASES[case]
    attendance = attended(*intervals)
    assert attendance.completed is completed
    assert minutes_missed(attendance) == pytest.approx(missed)
    assert attendance.seconds_present + sum(gap.seconds for gap in attendance.missed) == 390 * 60


def test_two_devices_are_390_minutes_and_not_780() -> None:
    assert attended(*CASES["two devices all day"][0]).seconds_present == 390 * 60


def test_without_a_policy_of_grace_no_second_is_forgiven() -> None:
    day = attended(there(0, 10), there(10 + 1 / 60, 480))
    assert (day.seconds_forgiven, minutes_missed(day)) == (0, pytest.approx(1 / 60))


def test_staying_in_the_break_earns_nothing() -> None:
    assert attended(there(90, 105), there(180, 240)).seconds_present == 0


def test_time_before_the_first_and_after_the_last_segment_is_ignored() -> None:
    attendance = attended(there(-30, 540))
    assert attendance.seconds_present == 390 * 60
    assert attendance.intervals[0].from_at == at(-30), "the page still shows the early arrival"
    assert attendance.intervals[0].counted_seconds == 390 * 60


def test_each_gap_says_why() -> None:
    attendance = attended(there(10, 60), there(70, 80, counts=False, source=WAITING_ROOM), there(80, 400))
    assert [(gap.seconds // 60, gap.why) for gap in attendance.missed] == [
        (10, "before_arrival"),
        (10, "away"),
        (10, "waiting_room"),
        (80, "left_early"),
    ]


def test_somebody_who_never_came_was_absent() -> None:
    attendance = attended()
    assert {gap.why for gap in attendance.missed} == {"absent"}
    assert (attendance.seconds_present, attendance.completed) == (0, False)


def test_a_stay_of_unknown_start_earns_nothing_and_says_so() -> None:
    attendance = attended(there(0, 90, "estimated", counts=False), there(105, 480))
    assert attendance.seconds_present == 300 * 60
    assert attendance.missed[0].why == "unconfirmed"
    assert attendance.flags == ("unconfirmed",)
    assert [each.counted_seconds for each in attendance.intervals] == [0, 300 * 60]


def test_the_strongest_evidence_grades_each_stretch() -> None:
    attendance = attended(there(0, 60, "estimated"), there(30, 90), there(60, 90, "report"))
    assert [(each.evidence, each.counted_seconds // 60) for each in attendance.intervals] == [
        ("estimated", 30),
        ("webhook", 30),
        ("both", 30),
    ]
    assert attendance.flags == ("estimated",)
    assert attendance.segments[0].evidence == ("both", "webhook", "estimated")


def test_parts_of_a_second_are_dropped_at_both_ends() -> None:
    interval = PresenceInterval(
        NINE + timedelta(milliseconds=900), at(1) + timedelta(milliseconds=900), "webhook", True, ""
    )
    assert attended(interval).seconds_present == 60


def test_an_agenda_without_instruction_is_completed_by_nobody() -> None:
    assert not attend([there(0, 480)], [Segment(at(0), at(60), "lunch", False)], SHARE).completed


def test_the_required_seconds_are_exact_for_any_share() -> None:
    one_hour = [Segment(at(0), at(60), "one", True)]
    assert attend([], one_hour, Decimal("0.3333")).seconds_required == 1200
    assert attend([], one_hour, Decimal("0.80")).seconds_required == 2880


def test_the_day_is_plain_json() -> None:
    day = json.loads(json.dumps(attended(there(0, 180), there(250, 480)).to_json()))
    assert day["segments"][0]["seconds_present"] == 90 * 60
    assert day["segments"][4]["missed"][0]["why"] == "away"
    assert day["segments"][3]["seconds_missed"] == 0, "lunch is never missed"
    assert sum(each["counted_seconds"] for each in day["intervals"]) == day["seconds_present"]


INTERVALS = st.lists(
    st.builds(
        lambda start, length, evidence, counts: there(start / 60, (start + length) / 60, evidence, counts=counts),
        st.integers(-3600, 30000),
        st.integers(-10, 9000),
        st.sampled_from(["webhook", "report", "both", "estimated"]),
        st.booleans(),
    ),
    max_size=12,
)


def seconds_inside(intervals: Iterable[PresenceInterval]) -> set[int]:
    present: set[int] = set()
    for each in intervals:
        if each.counts:
            start, end = (int((edge - NINE).total_seconds()) for edge in (each.from_at, each.to_at))
            present.update(range(max(0, start), min(480 * 60, end)))
    return {s for s in present if any(a * 60 <= s < b * 60 for a, b, counts in (*AGENDA, (345, 480, True)) if counts)}


@given(INTERVALS, st.randoms())
def test_the_sum_equals_a_count_second_by_second_in_any_order(intervals, random) -> None:
    attendance = attended(*intervals)
    assert attendance.seconds_present == len(seconds_inside(intervals))
    assert sum(each.counted_seconds for each in attendance.intervals) == attendance.seconds_present
    assert attendance.seconds_present + sum(gap.seconds for gap in attendance.missed) == 390 * 60
    shuffled = [*intervals, *intervals[:3]]
    random.shuffle(shuffled)
    assert attended(*shuffled) == attendance


@given(INTERVALS, st.integers(-60, 500))
@example([there(0, 1 / 60), there(-1 / 60, 1 / 60, "both", counts=False)], 0)
def test_cutting_an_interval_in_two_changes_nothing(intervals, cut) -> None:
    halves = []
    for each in intervals:
        middle = min(max(at(cut), each.from_at), max(each.to_at, each.from_at))
        halves += [
            PresenceInterval(each.from_at, middle, each.evidence, each.counts, each.source),
            PresenceInterval(middle, each.to_at, each.evidence, each.counts, each.source),
        ]
    whole, cut_up = attended(*intervals), attended(*halves)
    assert (whole.seconds_present, whole.intervals, whole.missed) == (
        cut_up.seconds_present,
        cut_up.intervals,
        cut_up.missed,
    )
