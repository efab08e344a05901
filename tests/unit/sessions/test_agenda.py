"""The agenda as instants."""

import json
from datetime import UTC, date, datetime, time
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from lti_tool.programme.model import Agenda, AgendaPart
from lti_tool.sessions import agenda as agendas
from lti_tool.sessions.agenda import instructional_seconds, lay_out

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


@given(st.dates(date(2020, 1, 1), date(2035, 12, 31)), st.sampled_from([PACIFIC, "Europe/Berlin", "Asia/Kolkata"]))
def test_segments_survive_json_and_never_overlap(day: date, zone: str) -> None:
    segments = lay_out(FULL_DAY, day, zone)
    assert agendas.from_json(json.loads(json.dumps(agendas.to_json(segments)))) == segments
    assert all(first.ends_at <= second.starts_at for first, second in pairwise(segments))
