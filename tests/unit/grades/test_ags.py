"""The body of a score, its timestamp, and what a platform's answer means."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_tool.errors import BadInput
from lti_tool.grades.ags import interpret, next_timestamp, score_body, timestamp_text
from lti_tool.grades.line_items import whole_maximum
from lti_tool.lti.quirks import PROFILES

NOON = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
GOOD = {"user_id": "user-1", "given": 46.15, "maximum": 100.0, "comment": "180 of 390", "timestamp": NOON}


def test_a_score_says_who_how_much_and_when():
    assert score_body(**GOOD) == {
        "userId": "user-1",
        "timestamp": "2026-12-01T12:00:00.000000Z",
        "activityProgress": "Completed",
        "gradingProgress": "FullyGraded",
        "comment": "180 of 390",
        "scoreGiven": 46.15,
        "scoreMaximum": 100,
    }


def test_whole_numbers_are_sent_as_whole_numbers():
    body = score_body(**{**GOOD, "given": 65.0, "maximum": 65.0})
    assert [type(body[name]) for name in ("scoreGiven", "scoreMaximum")] == [int, int]


def test_no_score_clears_and_zero_is_a_score():
    assert "scoreGiven" not in score_body(**{**GOOD, "given": None})
    assert score_body(**{**GOOD, "given": 0.0})["scoreGiven"] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"given": -1.0},
        {"given": float("nan")},
        {"given": float("inf")},
        {"maximum": 0.0},
        {"maximum": float("inf")},
        {"user_id": ""},
    ],
)
def test_what_a_platform_would_choke_on_is_refused_here(wrong):
    with pytest.raises(BadInput) as refused:
        score_body(**{**GOOD, **wrong})
    assert refused.value.code == "score_wrong"


def test_timestamps_carry_zone_and_microseconds():
    there = datetime(2026, 12, 1, 4, 0, 0, 7, tzinfo=timezone(timedelta(hours=-8)))
    assert timestamp_text(there) == "2026-12-01T12:00:00.000007Z"


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30))
def test_timestamps_rise_strictly_even_when_the_clock_goes_back(steps):
    clock, last, sent = NOON, None, []
    for step in steps:
        clock += timedelta(microseconds=step)
        last = next_timestamp(clock, last)
        sent.append(last)
    assert all(earlier < later for earlier, later in pairwise(sent))
    assert sent[0] == NOON + timedelta(microseconds=steps[0])


EXISTS = '{"timestamp":["Score already exists for the provided timestamp"]}'
OLDER = '{"timestamp":["Score timestamp can only be updated to a later point in time"]}'


@pytest.mark.parametrize(
    ("profile", "status", "body", "resent", "outcome"),
    [
        ("openedx", 201, "{}", False, "delivered"),
        ("moodle", 200, "", False, "delivered"),
        ("openedx", 400, EXISTS, True, "delivered"),
        ("openedx", 400, EXISTS, False, "again"),
        ("openedx", 400, OLDER, False, "again"),
        ("openedx", 400, '{"userId":["required"]}', False, "parked"),
        ("moodle", 409, "[]", False, "look"),
        ("moodle", 409, "[]", True, "look"),
        ("canvas", 409, "", True, "look"),
        ("moodle", 400, EXISTS, True, "parked"),
        ("generic", 404, "", False, "parked"),
        ("generic", 415, "", False, "parked"),
        ("generic", 302, "", False, "parked"),
        ("openedx", 401, "", False, "later"),
        ("openedx", 403, "", False, "later"),
        ("canvas", 429, "", False, "later"),
        ("openedx", 500, "", False, "later"),
        ("generic", 503, "", False, "later"),
    ],
)
def test_an_answer_means_what_its_platform_means_by_it(profile, status, body, resent, outcome):
    assert interpret(PROFILES[profile], status, body, resent=resent).outcome == outcome


def test_the_ledger_keeps_the_beginning_of_a_refusal_and_nothing_of_a_success():
    assert interpret(PROFILES["openedx"], 404, "x" * 999, resent=False).says == "404 " + "x" * 300
    assert interpret(PROFILES["openedx"], 201, '{"userId": "user-1"}', resent=False).says == "201 accepted"


@pytest.mark.parametrize(("credits", "maximum"), [("6.5", 65), ("3.75", 375), ("8", 80), ("7.80", 78), ("10", 100)])
def test_a_maximum_of_credits_is_a_whole_number(credits, maximum):
    assert whole_maximum(Decimal(credits)) == maximum
