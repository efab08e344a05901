"""The generator of days with known truth: what it tells and what its report says are the same truth."""

from collections import Counter, defaultdict
from datetime import datetime

import pytest

from sandbox.zoom.behaviours import Pause, Visit
from sandbox.zoom.evidence import findings
from sandbox.zoom.faults import Faults, play
from sandbox.zoom.random_days import full_day, random_day
from sandbox.zoom.stays import Span, union
from sandbox.zoom.training_day import Attendee, TrainingDay, encode
from tests.zoom_day import people_of, seconds, whole_day

HOUR = 3600


def spans_by_registrant(day: TrainingDay, *, merged: bool) -> dict[str, list[Span]]:
    spans: dict[str, list[Span]] = defaultdict(list)
    for uuid in day.uuids:
        for row in day.report_rows(uuid, merged=merged):
            if row["status"] == "in_meeting":
                span = datetime.fromisoformat(row["join_time"]), datetime.fromisoformat(row["leave_time"])
                spans[row["registrant_id"]].append(span)
    return {registrant: union(each) for registrant, each in spans.items()}


@pytest.mark.parametrize("merged", [False, True])
def test_the_report_shows_the_truth_in_rows_of_stays_and_of_connections(merged: bool) -> None:
    day = whole_day(*people_of("breakouts", "reconnects", "two_devices", "put_back", "rooms_closed", "late"))
    found = spans_by_registrant(day, merged=merged)
    for attendee, truth in zip(day.attendees, day.truth(), strict=True):
        assert found[attendee.registrant_id] == list(truth), attendee.behaviour


def test_a_restart_makes_another_instance_and_nobody_is_there_in_between() -> None:
    day = whole_day(*people_of("all_day", "breakouts"))
    broken = TrainingDay(
        day.meeting_id, day.opens_at, day.closes_at, day.attendees, restarts=((2 * HOUR, 2 * HOUR + 300),)
    )
    assert len(set(broken.uuids)) == 2
    assert Counter(found.kind for found in broken.told() if found.kind in ("started", "ended")) == {
        "started": 2,
        "ended": 2,
    }
    for whole, truth in zip(day.truth(), broken.truth(), strict=True):
        assert len(truth) == len(whole) + 1
        assert 300 <= seconds(whole) - seconds(truth) < 400


def test_rooms_that_the_host_closes_in_silence_leave_half_stays() -> None:
    day = whole_day(Attendee("Ada", visits=(Visit(0, 3 * HOUR, (HOUR,), unseen=(2 * HOUR,)),)))
    assert [(stay.joins, stay.leaves) for stay in day.stays()] == [(True, True), (True, False), (False, True)]
    assert Counter(found.kind for found in day.told()) == {
        "started": 1,
        "joined": 2,
        "left": 2,
        "breakout": 1,
        "ended": 1,
    }
    assert len(day.report_rows()) == 3


def test_time_in_the_waiting_room_is_no_presence_and_a_row_of_its_own() -> None:
    pause = Pause(HOUR, HOUR + 240, waits=True)
    day = whole_day(Attendee("Ada", visits=(Visit(0, 3 * HOUR, waits=60, pauses=(pause,)),)))
    assert seconds(day.truth()[0]) == 3 * HOUR - 240
    assert [row["duration"] for row in day.report_rows() if row["status"] == "in_waiting_room"] == [60, 240]


def test_the_same_seed_is_the_same_day_byte_for_byte_and_another_is_another() -> None:
    def bodies(seed: int) -> list[bytes]:
        return [encode(event) for event in random_day(seed).day.events()]

    assert bodies(5) == bodies(5)
    assert bodies(5) != bodies(6)


def test_a_big_day_has_the_events_it_is_meant_to_have() -> None:
    day = full_day(100)
    assert len(day.events()) > 100 * 2 * 6
    assert all(attendee.registers for attendee in day.attendees)


def test_where_nothing_is_lost_the_evidence_allows_the_exact_minutes_of_everybody() -> None:
    day = whole_day(*people_of("breakouts", "reconnects", "two_devices", "late"))
    every = findings(play(day, Faults(reports=("never_asked",))))
    assert [(each.is_exact, each.is_doubtful, each.is_clean) for each in every] == [(True, False, True)] * 4


def test_half_a_stay_is_doubtful_until_the_report_tells_the_rest_and_without_a_trace_nobody_can_know() -> None:
    day = whole_day(*people_of("all_day"))

    def verdict(report: str, **lost: float) -> tuple[bool, bool]:
        (finding,) = findings(play(day, Faults(lost=lost, reports=(report,))))
        return finding.is_exact, finding.is_doubtful

    assert verdict("never_asked", left=1) == (False, True)
    assert verdict("complete", left=1) == (True, False)
    assert verdict("never_asked", joined=1, left=1) == (False, False)
    assert verdict("complete", joined=1, left=1) == (True, False)
