"""The board as plain values, and its curve."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as some

from lti_tool.attendance.live_board import HEIGHT, NO_END, WIDTH, LiveBoard, LivePerson, draw
from tests.training_day import FIVE, NINE, at


def person(key: str, *spans, where: str = "gone", room: str = "", trainee_id: int | None = None) -> LivePerson:
    since = spans[-1][0 if where == "here" else 1] if spans else NINE
    return LivePerson(key, trainee_id, key, where, since, room, False, False, spans)


def board(*people: LivePerson, now: datetime = FIVE, last: datetime | None = None) -> LiveBoard:
    return LiveBoard(now, people, last, None)


@dataclass(frozen=True)
class Class:
    segments = ()
    starts_at: datetime = NINE
    ends_at: datetime = FIVE
    zone: str = "America/Los_Angeles"


def test_people_are_told_apart_by_where_they_are_whoever_is_there_longest_first() -> None:
    late = person("b", (at(30), NO_END), where="here")
    early = person("a", (at(0), NO_END), where="here", trainee_id=7)
    seen = board(late, early, person("c", (at(0), at(9))), person("d", where="waiting"))
    assert [each.key for each in seen.here] == ["a", "b"]
    assert [each.key for each in seen.unmatched] == ["b", "c", "d"]
    assert seen.trainee_ids == {7}


def test_rooms_are_counted_and_the_main_room_is_always_there() -> None:
    rooms = [person(key, (at(0), NO_END), where="here", room="r1" if key != "c" else "r2") for key in "abc"]
    assert board(*rooms).rooms() == [("", 0), ("r1", 2), ("r2", 1)]
    assert board().rooms() == [("", 0)]


def test_how_long_nothing_came_is_never_negative() -> None:
    assert board(now=at(10), last=at(7)).quiet_for == timedelta(minutes=3)
    assert board(now=at(10), last=at(11)).quiet_for == timedelta()
    assert board().quiet_for is None


spans = some.lists(some.tuples(some.integers(0, 400), some.integers(1, 80)), max_size=1)


@given(some.lists(spans, max_size=8), some.integers(1, 480))
def test_the_curve_counts_whoever_was_there_at_each_instant(spans_of_each, minutes: int) -> None:
    people = [
        person(f"p{number}", *((at(start), at(start + length)) for start, length in spans))
        for number, spans in enumerate(spans_of_each)
    ]
    for instant, count in board(*people, now=at(minutes)).curve(NINE, FIVE):
        assert instant <= at(minutes)
        assert count == sum(start <= instant < end for each in people for start, end in each.intervals)


def test_the_line_stays_within_its_frame_and_ends_now() -> None:
    curve = draw(board(person("a", (at(-20), NO_END), where="here"), now=at(240)), Class(), 4)
    assert curve is not None
    points = [tuple(map(float, each.split(","))) for each in curve.line.split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert curve.now_x == points[-1][0] < WIDTH * 0.6
    assert (curve.most, curve.top, curve.enrolled_y) == (1, 4, 0.0)
    assert [tick.label for tick in curve.ticks][:2] == ["9 am", "10 am"]


def test_before_anybody_came_there_is_no_line() -> None:
    assert draw(board(now=at(30)), Class(), 4) is None
    assert draw(board(person("a", (at(-50), NO_END), where="here"), now=at(-40)), Class(), 4) is None
