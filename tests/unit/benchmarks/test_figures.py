"""What the benchmarks make of repeated measurements."""

import pytest

from benchmarks.figures import Aim, Figure, at_least, at_most, percentile, ratio, spread


def test_a_spread_is_the_median_between_the_lowest_and_the_highest() -> None:
    found = spread([3.0, 1.0, 9.0])
    assert (found.median, found.low, found.high) == (3.0, 1.0, 9.0)


def test_a_ratio_compares_the_two_of_each_round() -> None:
    """The second round was slow for both: the ratio of the medians would not show that they were equal in it."""
    found = ratio([100, 10, 100], [50, 10, 200])
    assert (found.median, found.low, found.high) == (1.0, 0.5, 2.0)


def test_rounds_without_a_partner_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio([1, 2], [1])


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        pytest.param(0.5, 51, id="median"),
        pytest.param(0.95, 96, id="95 in 100"),
        pytest.param(1.0, 100, id="all"),
    ],
)
def test_a_percentile_is_one_of_the_values(share: float, expected: int) -> None:
    assert percentile(range(100, 0, -1), share) == expected


@pytest.mark.parametrize(
    ("aim", "is_missed"),
    [
        pytest.param(at_least(2), False, id="at least, met exactly"),
        pytest.param(at_least(2.1), True, id="at least, missed"),
        pytest.param(at_most(2), False, id="at most, met exactly"),
        pytest.param(at_most(1.9), True, id="at most, missed"),
        pytest.param(None, False, id="no aim"),
    ],
)
def test_an_aim_is_held_against_the_median(aim: Aim | None, is_missed: bool) -> None:
    assert Figure("row", "what", "where", spread([1, 2, 30]), aim=aim).is_missed is is_missed


def test_a_row_that_was_skipped_misses_no_aim() -> None:
    assert not Figure("row", "what", "where", aim=at_least(1), note="skipped").is_missed
