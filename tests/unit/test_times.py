"""Instants and durations as people read them."""

from datetime import UTC, date, datetime, timedelta

import pytest

from lti_tool import times

PACIFIC = "America/Los_Angeles"
NINE = datetime(2026, 12, 1, 17, 0, tzinfo=UTC)
FIVE = datetime(2026, 12, 2, 1, 0, tzinfo=UTC)


def test_a_training_day_reads_as_one_line_in_pacific_time() -> None:
    assert times.span(NINE, FIVE, PACIFIC) == "Tue 1 Dec 2026, 9:00 am – 5:00 pm PST"


def test_the_same_day_elsewhere_names_both_dates() -> None:
    assert times.span(NINE, FIVE, "Europe/Berlin") == "Tue 1 Dec 2026, 6:00 pm CET – Wed 2 Dec 2026, 2:00 am CET"


def test_summer_time_changes_the_abbreviation_and_the_offset() -> None:
    summer = datetime(2026, 7, 1, 16, 0, tzinfo=UTC)
    assert times.instant(summer, PACIFIC) == "Wed 1 Jul 2026, 9:00 am PDT"
    assert (times.utc_offset(summer, PACIFIC), times.utc_offset(NINE, PACIFIC)) == ("UTC−7", "UTC−8")


def test_the_day_the_clocks_go_back_keeps_both_hours_apart() -> None:
    first, second = datetime(2026, 11, 1, 8, 30, tzinfo=UTC), datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
    assert times.instant(first, PACIFIC) == "Sun 1 Nov 2026, 1:30 am PDT"
    assert times.instant(second, PACIFIC) == "Sun 1 Nov 2026, 1:30 am PST"


@pytest.mark.parametrize(
    ("hour", "expected"),
    [(0, "12:00 am"), (9, "9:00 am"), (12, "12:00 pm"), (13, "1:00 pm"), (23, "11:00 pm")],
)
def test_midnight_and_noon_are_twelve(hour: int, expected: str) -> None:
    assert times.clock(datetime(2026, 12, 1, hour, tzinfo=UTC), "UTC") == expected


def test_seconds_are_told_only_where_there_are_any() -> None:
    at = datetime(2026, 12, 1, 17, 0, 5, tzinfo=UTC)
    assert times.exact_clock(at, PACIFIC) == "9:00:05 am"
    assert times.exact_clock(NINE, PACIFIC) == "9:00 am"


def test_a_zone_without_letters_is_named_by_its_offset() -> None:
    assert times.abbreviation(NINE, "America/Sao_Paulo") == "UTC−3"
    assert times.utc_offset(NINE, "Asia/Kolkata") == "UTC+5:30"
    assert times.utc_offset(NINE, "UTC") == "UTC"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(18720, "312 min"), (18719, "311 min 59 s"), (40, "40 s"), (0, "0 min")],
)
def test_minutes_hide_no_second(seconds: int, expected: str) -> None:
    assert times.minutes(seconds) == expected


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (date(2024, 9, 4), date(2024, 9, 8), "4–8 Sep 2024"),
        (date(2024, 9, 30), date(2024, 10, 3), "30 Sep – 3 Oct 2024"),
        (date(2024, 12, 30), date(2025, 1, 2), "30 Dec 2024 – 2 Jan 2025"),
        (date(2024, 9, 4), date(2024, 9, 4), "4 Sep 2024"),
    ],
)
def test_the_days_of_a_retreat_are_told_once(first: date, last: date, expected: str) -> None:
    assert times.days(first, last) == expected


@pytest.mark.parametrize(("day", "expected"), [(1, "less than a day"), (2, "1 day"), (13, "12 days")])
def test_waiting_is_told_in_full_days(day: int, expected: str) -> None:
    since = datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert times.age(since, datetime(2026, 12, day, 13, tzinfo=UTC)) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3599, "59 minutes ago"),
        (3600, "1 hour ago"),
        (86_399, "23 hours ago"),
        (86_400, "1 day ago"),
        (200_000, "2 days ago"),
    ],
)
def test_freshness_is_told_in_the_largest_unit(seconds: int, expected: str) -> None:
    assert times.ago(NINE, NINE + timedelta(seconds=seconds)) == expected


def test_a_machine_reads_the_instant_in_utc() -> None:
    assert times.machine(NINE) == "2026-12-01T17:00:00Z"


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="aware instant"):
        times.clock(datetime(2026, 12, 1, 9, 0), PACIFIC)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (0, "in 1 minute"),
        (20, "in 20 minutes"),
        (119, "in 119 minutes"),
        (5 * 60, "in 5 hours"),
        (35 * 60, "in 35 hours"),
        (36 * 60, "in 2 days"),
        (14 * 24 * 60 - 60, "in 14 days"),
    ],
)
def test_how_far_away_something_is_never_makes_anybody_late(minutes: int, expected: str) -> None:
    assert times.ahead(NINE, NINE - timedelta(minutes=minutes)) == expected


def test_whole_minutes_promise_nothing_that_is_not_there_yet() -> None:
    assert (times.whole_minutes(18719), times.minutes_up(18719), times.minutes_up(18720)) == (311, 312, 312)
