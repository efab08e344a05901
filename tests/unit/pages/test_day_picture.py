"""The day as stretches and shapes."""

import itertools
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as some

from lti_tool.sessions.agenda import Segment
from lti_tool.sessions.attendance import attend
from lti_tool.sessions.day_picture import WIDTH, draw, missing_seconds, stretches
from tests.training_day import at, stay

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
    return attend(intervals, DAY, Decimal("0.80")).day()


@given(stays)
def test_every_minute_of_the_agenda_is_told_exactly_once(intervals) -> None:
    inside = [row for row in stretches(day_of(*intervals)) if row.kind != "outside"]
    assert inside[0].from_at == at(0)
    assert inside[-1].to_at == at(180)
    assert all(one.to_at == two.from_at for one, two in itertools.pairwise(inside))


@given(stays)
def test_what_the_table_counts_is_what_was_credited(intervals) -> None:
    day = day_of(*intervals)
    assert sum(row.seconds for row in stretches(day) if row.kind == "counted") == day["seconds_present"]


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
    assert missing_seconds(day_of(stay(0, 60))) == 4320
    assert missing_seconds(day_of(stay(0, 180))) == 0


def test_a_day_without_an_agenda_has_no_picture() -> None:
    assert draw(attend((), (), Decimal("0.80")).day(), PACIFIC) is None
