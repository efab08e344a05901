"""The agenda as instants."""

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_tool.attendance import agenda as agendas
from lti_tool.attendance.agenda import instructional_seconds, lay_out
from lti_tool.attendance.evidence import PresenceInterval
from lti_tool.attendance.minutes import attend
from lti_tool.programme.catalogue import Agenda, AgendaPart

PACIFIC = "America/Los_Angeles"


def agenda(*parts: tuple[str, str, bool]) -> Agenda:
    return Agenda(
        "demo",
        tuple(
            AgendaPart(time.fromisoformat(starts), time.fromisoformat(ends), f"from {starts}", instructional)
            for starts, ends, instructional in parts
        ),
    )


FULL_DAY = agenda(
    ("09:00", "10:30", True),
    ("10:30", "10:45", False),
    ("10:45", "12:00", True),
    ("12:00", "13:00", False),
    ("13:00", "14:30", True),
    ("14:30", "14:45", False),
    ("14:45", "17:00", True),
)


HALF_DAY = agenda(("09:00", "11:00", True), ("11:00", "11:15", False), ("11:15", "13:00", True))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_full_day_has_390_instructional_minutes() -> None:
    segments = lay_out(FULL_DAY, date(2026, 12, 1), PACIFIC)
    assert instructional_seconds(segments) == 390 * 60
    assert segments[0].starts_at == utc("2026-12-01T17:00")
    assert segments[-1].ends_at == utc("2026-12-02T01:00"), "the day ends after midnight UTC"


def test_the_wall_time_stays_when_the_clocks_change() -> None:
    for day, first_instant in ((date(2026, 3, 7), "2026-03-07T17:00"), (date(2026, 3, 8), "2026-03-08T16:00")):
        segments = lay_out(FULL_DAY, day, PACIFIC)
        assert segments[0].starts_at == utc(first_instant)
        assert instructional_seconds(segments) == 390 * 60


def test_a_night_in_which_the_clocks_change_has_the_length_it_really_has() -> None:
    night = agenda(("00:00", "04:00", True))
    assert instructional_seconds(lay_out(night, date(2026, 3, 8), PACIFIC)) == 3 * 3600
    assert instructional_seconds(lay_out(night, date(2026, 11, 1), PACIFIC)) == 5 * 3600


def test_a_part_in_the_hour_that_does_not_exist_has_no_length() -> None:
    night = agenda(("01:00", "02:00", True), ("02:00", "03:00", True), ("03:00", "04:00", True))
    segments = lay_out(night, date(2026, 3, 8), PACIFIC)
    assert [segment.seconds for segment in segments] == [3600, 3600]
    assert segments[0].ends_at == segments[1].starts_at


def test_an_evening_that_passes_midnight_goes_on_the_next_day() -> None:
    evening = agenda(("21:00", "23:30", True), ("23:30", "00:15", False), ("00:15", "01:00", True))
    segments = lay_out(evening, date(2026, 12, 1), PACIFIC)
    assert [segment.seconds // 60 for segment in segments] == [150, 45, 45]
    assert segments[-1].ends_at == utc("2026-12-02T09:00")


ZONES = st.sampled_from([PACIFIC, "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"])
CHANGES = st.sampled_from(
    [date(2026, 3, 8), date(2026, 11, 1), date(2026, 3, 29), date(2026, 10, 25), date(2026, 4, 5)]
)


@given(st.lists(st.integers(0, 24 * 4 - 1), min_size=2, max_size=8, unique=True).map(sorted), CHANGES, ZONES)
def test_parts_never_overlap_on_any_day_on_which_clocks_change(quarters: list[int], day: date, zone: str) -> None:
    walls = [f"{each // 4:02}:{each % 4 * 15:02}" for each in quarters]
    segments = lay_out(agenda(*((start, end, True) for start, end in pairwise(walls))), day, zone)
    assert all(first.ends_at == second.starts_at for first, second in pairwise(segments))
    assert all(each.seconds > 0 for each in segments)


@given(st.dates(date(2020, 1, 1), date(2035, 12, 31)), st.sampled_from([PACIFIC, "Europe/Berlin", "Asia/Kolkata"]))
def test_segments_survive_json_and_never_overlap(day: date, zone: str) -> None:
    segments = lay_out(FULL_DAY, day, zone)
    assert agendas.from_json(json.loads(json.dumps(agendas.to_json(segments)))) == segments
    assert all(first.ends_at <= second.starts_at for first, second in pairwise(segments))


def test_a_half_day_has_225_instructional_minutes() -> None:
    segments = lay_out(HALF_DAY, date(2026, 12, 1), PACIFIC)
    assert (instructional_seconds(segments), len(segments)) == (225 * 60, 3)


def presence(segments, *spans: tuple[str, str]):
    stays = [PresenceInterval(utc(start), utc(end), "webhook", True, "connection:a") for start, end in spans]
    return attend(stays, segments, Decimal("0.80"))


@pytest.mark.parametrize(
    ("day", "offset"),
    [(date(2026, 12, 1), 8), (date(2026, 7, 14), 7), (date(2026, 3, 8), 7), (date(2026, 11, 1), 8)],
    ids=["winter", "summer", "spring forward", "fall back"],
)
def test_early_and_late_presence_counts_nothing_and_lunch_costs_nothing(day: date, offset: int) -> None:
    """In Pacific time, over midnight UTC in winter; on the days on which the clocks change, which they did at night."""
    segments = lay_out(FULL_DAY, day, PACIFIC)
    noon, later = (f"{day}T{each + offset:02}:00" for each in (12, 13))
    start, end = segments[0].starts_at, segments[-1].ends_at
    early, late = (f"{each:%Y-%m-%dT%H:%M}" for each in (start - timedelta(hours=1), end + timedelta(hours=1)))
    without_lunch = presence(segments, (early, noon), (later, late))
    assert (without_lunch.seconds_present, without_lunch.missed) == (390 * 60, ())
    only_outside = presence(segments, (early, f"{start:%Y-%m-%dT%H:%M}"), (noon, later))
    assert only_outside.seconds_present == 0


def test_a_class_in_the_night_of_the_change_is_measured_as_long_as_it_was() -> None:
    night = agenda(("00:30", "02:30", True), ("02:30", "03:00", False), ("03:00", "04:00", True))
    spring, autumn = (lay_out(night, day, PACIFIC) for day in (date(2026, 3, 8), date(2026, 11, 1)))
    assert [each.seconds // 60 for each in spring] == [90, 60], "half past two never came, and nothing counts twice"
    assert spring[0].ends_at == spring[1].starts_at == utc("2026-03-08T10:00")
    assert presence(spring, ("2026-03-08T00:00", "2026-03-08T23:00")).seconds_present == 150 * 60
    assert presence(autumn, ("2026-11-01T00:00", "2026-11-01T23:00")).seconds_present == 240 * 60
