"""The day as stretches and shapes."""

import itertools
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from lti_tool.attendance import timeline
from lti_tool.attendance.agenda import Segment
from lti_tool.attendance.evidence import GRADES, REVIEW_FLAGS, ReportComparison, RoomInterval
from lti_tool.attendance.minutes import Attendance, attend
from lti_tool.attendance.timeline import WIDTH, draw, grades, room_name, stretches, strip, whereabouts
from tests.training_day import at, stay
from zoom_adapter.report_matching import COMPLETED, REPORT_LACKS, UNCONFIRMED, WAITED, WEBHOOKS_LACK

PACIFIC = "America/Los_Angeles"
DAY = (
    Segment(at(0), at(90), "Morning", True),
    Segment(at(90), at(105), "Break", False),
    Segment(at(105), at(180), "Noon", True),
)
stays = some.lists(
    some.tuples(some.integers(-60, 240), some.integers(0, 120), some.booleans()).map(
        lambda drawn: stay(drawn[0], drawn[0] + drawn[1], counts=drawn[2])
    ),
    max_size=5,
)


def day_of(*intervals):
    return attend(intervals, DAY, Decimal("0.80"))


@given(stays)
def test_every_minute_of_the_agenda_is_told_exactly_once(intervals) -> None:
    inside = [row for row in stretches(day_of(*intervals)) if row.kind != "outside"]
    assert inside[0].from_at == at(0)
    assert inside[-1].to_at == at(180)
    assert all(one.to_at == two.from_at for one, two in itertools.pairwise(inside))


@given(stays)
def test_what_the_table_counts_is_what_was_credited(intervals) -> None:
    day = day_of(*intervals)
    assert sum(row.seconds for row in stretches(day) if row.kind == "counted") == day.seconds_present


@given(stays)
def test_the_picture_stays_within_its_frame(intervals) -> None:
    picture = draw(day_of(*intervals), PACIFIC)
    assert picture is not None
    assert all(
        shape.x >= 0 and shape.width >= 0 and shape.x + shape.width <= WIDTH + 0.2
        for shape in (*picture.agenda, *picture.presence)
    )


def test_presence_around_the_agenda_is_shown_as_not_counted() -> None:
    rows = stretches(day_of(stay(-10, 200)))
    assert [row.kind for row in rows] == ["outside", "counted", "pause", "counted", "outside"]


def test_the_axis_names_the_hours_of_the_zone() -> None:
    picture = draw(day_of(stay(0, 180)), PACIFIC)
    assert picture is not None
    assert [tick.label for tick in picture.ticks] == ["9 am", "10 am", "11 am", "12 pm"]


def test_what_is_missing_is_told_to_the_second() -> None:
    assert day_of(stay(0, 60)).missing_seconds == 4320
    assert day_of(stay(0, 180)).missing_seconds == 0


def test_a_day_without_an_agenda_has_no_picture() -> None:
    assert draw(attend((), (), Decimal("0.80")), PACIFIC) is None


def test_counted_time_is_told_apart_by_the_record_it_is_known_from() -> None:
    day = day_of(stay(0, 30), stay(30, 60, "report"), stay(60, 70, "estimated"), stay(70, 90, "manual"))
    counted = [(row.evidence, row.seconds // 60) for row in stretches(day) if row.kind == "counted"]
    assert counted == [("webhook", 30), ("report", 30), ("estimated", 10), ("manual", 20)]
    assert grades(day) == ("webhook", "report", "estimated", "manual")
    picture = draw(day, PACIFIC)
    assert picture is not None
    assert {"webhook", "report", "estimated", "manual"} <= picture.kinds


def test_rooms_and_waiting_rooms_have_their_lane_and_their_rows() -> None:
    rooms = (RoomInterval(at(10), at(40), "abc/9=="), RoomInterval(at(50), at(60), ""))
    waiting = stay(-10, 0, counts=False, source="waiting_room")
    day = attend((waiting, stay(0, 180)), DAY, Decimal("0.80"), rooms=rooms)
    assert [(each.is_waiting, each.room, each.seconds) for each in whereabouts(day)] == [
        (True, "", 600),
        (False, "abc/9==", 1800),
        (False, "", 600),
    ]
    picture = draw(day, PACIFIC, {"abc/9==": "Group A"})
    assert picture is not None
    assert [shape.label for shape in picture.rooms] == ["Group A", "A breakout room"]
    assert "waiting" in picture.kinds
    assert room_name("abc/9==", {}) == "Room ABC9"


def test_a_day_of_an_earlier_release_has_no_rooms_and_draws_all_the_same() -> None:
    stored = day_of(stay(0, 180)).to_json()
    later = ("rooms", "waiting", "report", "participation", "seconds_forgiven")
    day = Attendance.from_json({name: value for name, value in stored.items() if name not in later})
    assert whereabouts(day) == ()
    assert draw(day, PACIFIC) is not None


def test_a_forgiven_absence_is_neither_missed_nor_counted() -> None:
    day = attend((stay(0, 30), stay(32, 180)), DAY, Decimal("0.80"), grace_seconds=120)
    assert [row.kind for row in stretches(day, grace_seconds=120)] == [
        "counted", "forgiven", "counted", "pause", "counted",
    ]  # fmt: skip
    assert "missed" in [row.kind for row in stretches(day)]


def test_a_strip_shows_teaching_only() -> None:
    shapes = strip(day_of(stay(0, 120)), 160)
    assert [shape.kind for shape in shapes] == ["counted", "counted", "missing"]
    assert max(shape.x + shape.width for shape in shapes) <= 160.2


def test_every_flag_reason_and_grade_that_may_be_stored_has_words() -> None:
    assert {*REVIEW_FLAGS, "concurrent", "phone", "phone_only", "webhook_log"} <= set(timeline.STAFF_FLAGS)
    assert set(GRADES) == set(timeline.EVIDENCE)
    reasons = (REPORT_LACKS, WEBHOOKS_LACK, UNCONFIRMED, COMPLETED, WAITED, "rounding")
    assert set(reasons) <= set(timeline.REASONS)
    assert set(timeline.WHY) == set(timeline.WHY_OF_ANOTHER)


def test_a_code_that_is_newer_than_the_words_is_told_all_the_same() -> None:
    assert timeline.flags_in_words(["brand_new"]) == ["brand new"]
    assert timeline.reasons_in_words(ReportComparison(0, 0, 0, ("brand_new",))) == "brand new"


def test_a_bar_is_drawn_in_percent_of_the_day_and_marks_the_longest_break() -> None:
    bar = timeline.bar(DAY, PACIFIC, [(at(0), at(45))], [(at(45), at(90))], at(90))
    assert [(each.kind, each.x, each.width) for each in bar.parts] == [
        ("teaching", 0, 50),
        ("pause", 50, 8.3),
        ("teaching", 58.3, 41.7),
    ]
    assert [(each.x, each.width) for each in (*bar.present, *bar.missed)] == [(0, 25), (25, 25)]
    assert (bar.now_x, [each.label for each in bar.marks]) == (50, ["9 am", "10:30 am", "12 pm"])


def test_a_day_without_an_agenda_has_no_bar() -> None:
    assert timeline.bar((), PACIFIC) is None


@given(stays)
def test_a_bar_shows_every_minute_of_instruction_once(intervals) -> None:
    day = day_of(*intervals)
    bar = timeline.bar_of(day, PACIFIC)
    shown = sum(each.width for each in (*bar.present, *bar.missed))
    assert shown == pytest.approx(100 * day.seconds_instructional / (180 * 60), abs=2)
