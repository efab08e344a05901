"""How far a session is, in words."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.locking import Progress, progress
from tests.training_day import FIVE, MEETING, NINE

SESSION = LiveSession(
    id=1, module_id="F1", programme_version=1, starts_at=NINE, ends_at=FIVE, zone="America/Los_Angeles", segments=(),
    zoom_kind="meeting", zoom_meeting_id=MEETING, join_url=None, state="scheduled", ended_at=None,
    ended_by_staff_at=None, reconciled_at=None, locked_at=None, cancelled_reason=None, calendar_sequence=0,
    created_at=NINE, updated_at=NINE,
)  # fmt: skip


def progress_of(now: datetime, *, has_reports: bool = True, lock_days: int = 0, **changed) -> Progress:
    return progress(replace(SESSION, **changed), now, has_reports=has_reports, lock_days=lock_days)


ENDED = {"ended_at": FIVE}


@pytest.mark.parametrize(
    ("state", "minutes", "given", "word", "next_after"),
    [
        ("scheduled", -600, {}, "Scheduled", timedelta(hours=-8)),
        ("scheduled", -60, {}, "Live", timedelta()),
        ("scheduled", 10, {}, "Over", timedelta(minutes=90)),
        ("scheduled", 100, {}, "Over", None),
        ("provisional", 10, ENDED, "Provisional", timedelta(minutes=90)),
        ("provisional", 100, ENDED, "Provisional", None),
        ("reconciled", 100, ENDED, "Confirmed", None),
        ("locked", 100, {**ENDED, "locked_at": FIVE + timedelta(days=2)}, "Locked", timedelta(days=2)),
        ("cancelled", -60, {}, "Cancelled", None),
    ],
)
def test_each_state_says_what_holds_and_when_something_happens_next(
    state: str, minutes: int, given: dict, word: str, next_after: timedelta | None
) -> None:
    found = progress_of(FIVE + timedelta(minutes=minutes), state=state, **given)
    assert found.word == word
    assert found.next_at == (None if next_after is None else FIVE + next_after)
    assert found.says.endswith(".")


def test_a_reconciled_session_is_locked_by_itself_where_the_site_wants_it() -> None:
    found = progress_of(FIVE + timedelta(days=1), state="reconciled", lock_days=30, **ENDED)
    assert found.next_at == FIVE + timedelta(days=30)


def test_without_credentials_no_report_is_promised() -> None:
    found = progress_of(FIVE + timedelta(minutes=5), state="provisional", has_reports=False, **ENDED)
    assert "cannot be fetched here" in found.next_says
    assert found.next_at is None
