"""Reading the rows of a participant report."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoom_adapter.report_matching import ReportRow, read_rows

ROW = {
    "id": "30R7kT7bTIKSNUFEuH_Qlg",
    "user_id": "27423744",
    "name": "Ada Lindholm",
    "user_email": "Ada@Example.org",
    "join_time": "2026-12-01T17:00:00Z",
    "leave_time": "2026-12-01T18:00:00Z",
    "duration": 20,
    "registrant_id": "abcdefghij0-klmnopq23456",
    "status": "in_meeting",
    "failover": False,
    "bo_mtg_id": "",
}


def test_a_row_is_read_by_its_times_and_never_by_its_duration() -> None:
    rows, dropped = read_rows([ROW])
    joined, left = datetime(2026, 12, 1, 17, tzinfo=UTC), datetime(2026, 12, 1, 18, tzinfo=UTC)
    expected = ReportRow("27423744", "abcdefghij0-klmnopq23456", "ada@example.org", "Ada Lindholm", joined, left, "")
    assert (rows, dropped) == ([expected], Counter())


def test_fractions_of_a_second_are_left_out() -> None:
    (row,), _ = read_rows([{**ROW, "join_time": "2026-12-01T17:00:00.9960000+00:00"}])
    assert row.join_at == datetime(2026, 12, 1, 17, tzinfo=UTC)


def test_a_number_is_as_good_as_a_text() -> None:
    assert read_rows([{**ROW, "user_id": 27423744}])[0] == read_rows([ROW])[0]


def test_a_room_that_is_called_like_the_stay_is_none() -> None:
    rooms = [read_rows([{**ROW, "bo_mtg_id": room}])[0][0].room for room in ("27423744", "Dkgwu8nm/ExG1vM+GhLRhA==")]
    assert rooms == ["", "Dkgwu8nm/ExG1vM+GhLRhA=="]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"status": "in_waiting_room"}, "waiting_room"),
        ({"leave_time": None}, "no_times"),
        ({"join_time": "yesterday"}, "no_times"),
        ({"leave_time": "2026-12-01T17:00:00Z"}, "no_length"),
        ({"leave_time": "2026-12-01T16:00:00Z"}, "no_length"),
    ],
)
def test_what_shows_no_presence_is_left_out_and_counted(changed: dict[str, Any], why: str) -> None:
    assert read_rows([{**ROW, **changed}, ROW]) == (read_rows([ROW])[0], Counter({why: 1}))


def test_a_row_twice_is_one_row_and_what_is_none_is_none() -> None:
    assert read_rows([ROW, dict(ROW), "text", None]) == (read_rows([ROW])[0], Counter(repeated=1, not_a_row=2))


JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)


@given(st.lists(st.dictionaries(st.sampled_from(sorted(ROW)), JSON), max_size=5), st.randoms(use_true_random=False))
def test_any_values_can_be_read_in_any_order(some: list[dict[str, Any]], random) -> None:
    raw = [{**ROW, **each} for each in some]
    rows, dropped = read_rows(raw)
    assert len(rows) + sum(dropped.values()) == len(raw)
    random.shuffle(raw)
    assert read_rows(raw) == (rows, dropped)


def test_a_name_and_an_address_are_cleaned() -> None:
    ((row,), _) = read_rows([{**ROW, "name": "Ada\u00a0\u200bLindholm", "user_email": "Ada@Example.org\u200b"}])
    assert (row.name, row.email) == ("Ada Lindholm", "ada@example.org")
