"""Arithmetic of intervals, against the plain sets of minutes they stand for."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lti_tool.intervals import Interval, common, longer, seconds, union, without

NINE = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)


def at(minute: int) -> datetime:
    return NINE + timedelta(minutes=minute)


def minutes(intervals) -> set[int]:
    return {
        each for start, end in intervals for each in range((start - NINE).seconds // 60, (end - NINE).seconds // 60)
    }


ANY = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 30)).map(lambda drawn: (at(drawn[0]), at(sum(drawn)))), max_size=6
)


@given(ANY, st.randoms(use_true_random=False))
def test_a_union_is_disjoint_in_order_and_covers_the_same(intervals, random) -> None:
    found = union(intervals)
    assert minutes(found) == minutes(intervals)
    assert all(first.end < then.start for first, then in pairwise(found))
    random.shuffle(intervals)
    assert union([*intervals, *intervals[:2]]) == found


@given(ANY, ANY)
def test_what_is_common_and_what_is_left_make_the_whole(one, other) -> None:
    first, second = union(one), union(other)
    shared, left = common(first, second), without(first, second)
    assert minutes(shared) == minutes(first) & minutes(second)
    assert minutes(left) == minutes(first) - minutes(second)
    assert seconds(shared) + seconds(left) == seconds(first)


def test_intervals_that_touch_are_one_and_an_end_is_not_part_of_an_interval() -> None:
    assert union([(at(10), at(20)), (at(0), at(10))]) == [Interval(at(0), at(20))]
    assert common([Interval(at(0), at(10))], [Interval(at(10), at(20))]) == []


def test_longer_means_longer_and_not_as_long() -> None:
    ten, eleven = Interval(at(0), at(10)), Interval(at(20), at(31))
    assert longer([ten, eleven], timedelta(minutes=10)) == [eleven]
