"""A person's day as it is kept in the database, and days that earlier releases kept."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from lti_tool.attendance.agenda import Segment
from lti_tool.attendance.agenda import to_json as agenda_to_json
from lti_tool.attendance.evidence import WAITING_ROOM, PresenceInterval, ReportComparison, RoomInterval
from lti_tool.attendance.minutes import NO_QUESTIONS, Attendance, CountedInterval, Missed, Question, attend
from lti_tool.intervals import Interval

# The same instants as in UTC, written with another offset.
PACIFIC = timezone(-timedelta(hours=8))
NINE = datetime(2026, 12, 1, 9, 0, tzinfo=PACIFIC)


def at(minutes: float) -> datetime:
    return NINE + timedelta(minutes=minutes)


def utc(minutes: float) -> datetime:
    return at(minutes).astimezone(UTC)


AGENDA = (
    Segment(at(0), at(60), "Welcome", True),
    Segment(at(60), at(75), "Break", False),
    Segment(at(75), at(120), "Practice", True),
)


def day(**changes: Any) -> Attendance:
    given: dict[str, Any] = {
        "grace_seconds": 300,
        "participation_share": Decimal("0.5"),
        "questions": [Question("check", at(10), at(12), at(11)), Question("poll", at(95), at(97))],
    }
    return attend(
        [
            PresenceInterval(at(-10), at(0), "webhook", False, WAITING_ROOM),
            PresenceInterval(at(0), at(50), "webhook", True, "connection:a", to_evidence="both"),
            PresenceInterval(at(55), at(120), "estimated", True, "connection:b", to_evidence="webhook"),
            PresenceInterval(at(90), at(100), "webhook", True, "connection:c", role="host"),
        ],
        AGENDA,
        Decimal("0.80"),
        rooms=(RoomInterval(at(20), at(40), "Um9vbTE="),),
        report=ReportComparison(6000, 5400, -600, ("report_lacks",)),
        **given | changes,
    )


def test_one_day_says_what_counted_what_was_missed_and_why() -> None:
    found = day()
    assert (found.seconds_present, found.seconds_forgiven, found.missing_seconds) == (5400, 300, 0)
    assert (found.seconds_instructional, found.seconds_required, found.completed) == (6300, 5040, True)
    assert (found.seconds_in_role, found.flags) == (600, ("estimated",))
    assert found.missed == (
        Missed(utc(50), utc(55), "away"),
        Missed(utc(90), utc(100), "staff_role"),
    )
    assert found.intervals == (
        CountedInterval(utc(0), utc(50), "webhook", 3000, "webhook", "both", True),
        CountedInterval(utc(55), utc(90), "estimated", 1200, "estimated", "webhook", True),
        CountedInterval(utc(90), utc(100), "webhook", 0, "webhook", "webhook", False),
        CountedInterval(utc(100), utc(120), "estimated", 1200, "webhook", "webhook", True),
    )
    assert [each.seconds_missed for each in found.segments] == [300, 0, 600]
    assert [each.evidence for each in found.segments] == [("webhook", "estimated"), ("estimated",), ("estimated",)]
    assert found.waiting == (Interval(utc(-10), utc(0)),)
    assert (found.participation.put, found.participation.answered) == (1, 1)


def test_a_day_is_kept_with_every_figure_and_every_instant_in_utc() -> None:
    assert day().to_json() == {
        "seconds_present": 5400,
        "seconds_forgiven": 300,
        "seconds_instructional": 6300,
        "seconds_required": 5040,
        "completed": True,
        "segments": [
            {
                "from": "2026-12-01T17:00:00+00:00",
                "to": "2026-12-01T18:00:00+00:00",
                "title": "Welcome",
                "instructional": True,
                "seconds": 3600,
                "seconds_present": 3300,
                "seconds_missed": 300,
                "evidence": ["webhook", "estimated"],
                "missed": [
                    {
                        "from": "2026-12-01T17:50:00+00:00",
                        "to": "2026-12-01T17:55:00+00:00",
                        "seconds": 300,
                        "why": "away",
                    }
                ],
            },
            {
                "from": "2026-12-01T18:00:00+00:00",
                "to": "2026-12-01T18:15:00+00:00",
                "title": "Break",
                "instructional": False,
                "seconds": 900,
                "seconds_present": 900,
                "seconds_missed": 0,
                "evidence": ["estimated"],
                "missed": [],
            },
            {
                "from": "2026-12-01T18:15:00+00:00",
                "to": "2026-12-01T19:00:00+00:00",
                "title": "Practice",
                "instructional": True,
                "seconds": 2700,
                "seconds_present": 2100,
                "seconds_missed": 600,
                "evidence": ["estimated"],
                "missed": [
                    {
                        "from": "2026-12-01T18:30:00+00:00",
                        "to": "2026-12-01T18:40:00+00:00",
                        "seconds": 600,
                        "why": "staff_role",
                    }
                ],
            },
        ],
        "intervals": [
            {
                "from": "2026-12-01T17:00:00+00:00",
                "to": "2026-12-01T17:50:00+00:00",
                "evidence": "webhook",
                "from_evidence": "webhook",
                "to_evidence": "both",
                "counts": True,
                "counted_seconds": 3000,
            },
            {
                "from": "2026-12-01T17:55:00+00:00",
                "to": "2026-12-01T18:30:00+00:00",
                "evidence": "estimated",
                "from_evidence": "estimated",
                "to_evidence": "webhook",
                "counts": True,
                "counted_seconds": 1200,
            },
            {
                "from": "2026-12-01T18:30:00+00:00",
                "to": "2026-12-01T18:40:00+00:00",
                "evidence": "webhook",
                "from_evidence": "webhook",
                "to_evidence": "webhook",
                "counts": False,
                "counted_seconds": 0,
            },
            {
                "from": "2026-12-01T18:40:00+00:00",
                "to": "2026-12-01T19:00:00+00:00",
                "evidence": "estimated",
                "from_evidence": "webhook",
                "to_evidence": "webhook",
                "counts": True,
                "counted_seconds": 1200,
            },
        ],
        "rooms": [{"from": "2026-12-01T17:20:00+00:00", "to": "2026-12-01T17:40:00+00:00", "room": "Um9vbTE="}],
        "waiting": [{"from": "2026-12-01T16:50:00+00:00", "to": "2026-12-01T17:00:00+00:00"}],
        "report": {
            "webhook_seconds": 6000,
            "report_seconds": 5400,
            "difference_seconds": -600,
            "reasons": ["report_lacks"],
        },
        "flags": ["estimated"],
        "participation": {
            "put": 1,
            "answered": 1,
            "questions": [
                {
                    "kind": "check",
                    "from": "2026-12-01T17:10:00+00:00",
                    "to": "2026-12-01T17:12:00+00:00",
                    "put": True,
                    "answered_at": "2026-12-01T17:11:00+00:00",
                },
                {
                    "kind": "poll",
                    "from": "2026-12-01T18:35:00+00:00",
                    "to": "2026-12-01T18:37:00+00:00",
                    "put": False,
                    "answered_at": None,
                },
            ],
        },
    }


@pytest.fixture
def machine_in_india(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Kolkata")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("machine_in_india")
def test_the_zone_of_the_machine_is_nowhere_in_what_is_kept() -> None:
    assert day().to_json()["waiting"] == [{"from": "2026-12-01T16:50:00+00:00", "to": "2026-12-01T17:00:00+00:00"}]
    assert agenda_to_json(AGENDA[:1]) == [
        {
            "starts_at": "2026-12-01T17:00:00+00:00",
            "ends_at": "2026-12-01T18:00:00+00:00",
            "title": "Welcome",
            "instructional": True,
        }
    ]


def test_a_kept_day_is_read_back_whole() -> None:
    for whole in (day(), replace(day(), report=None)):
        assert Attendance.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_without_enough_answers_nothing_is_completed_and_without_grace_nothing_is_forgiven() -> None:
    assert not day(questions=[Question("check", at(10), at(12))]).completed
    assert day(grace_seconds=299).seconds_forgiven == 0


def test_a_day_of_an_earlier_release_is_read_as_one_without_what_it_could_not_know() -> None:
    whole = day()
    kept = whole.to_json()
    for later in ("seconds_forgiven", "rooms", "waiting", "report", "participation"):
        del kept[later]
    for interval in kept["intervals"]:
        for later in ("from_evidence", "to_evidence", "counts"):
            del interval[later]
    assert Attendance.from_json(kept) == replace(
        whole,
        seconds_forgiven=0,
        rooms=(),
        waiting=(),
        report=None,
        participation=NO_QUESTIONS,
        intervals=tuple(
            replace(each, from_evidence=each.evidence, to_evidence=each.evidence, counts=True)
            for each in whole.intervals
        ),
    )
