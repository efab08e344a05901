"""What staff see about reports and locks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from lti_tool.attendance import live_sessions
from lti_tool.attendance.evidence_gaps import Gap
from lti_tool.db import Database
from lti_tool.programme.versions import Published
from lti_tool.tables.live_sessions import live_sessions as table
from sandbox.zoom.training_day import encode
from tests.zoom_day import CLOSES, MEETING, people_of, whole_day
from zoom_adapter import health, reports
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.presence import take_inbox

DAY = whole_day(*people_of("late"))
A_DAY_LATER = CLOSES + timedelta(hours=24)


@pytest.fixture
def session_id(database: Database, published: Published, now: datetime) -> int:
    starts = datetime.fromisoformat("2026-12-01T09:00")
    with database.write() as connection:
        session_id = live_sessions.add(
            connection, published, module_id="F1", starts=starts, zoom_meeting_id=MEETING, actor="cli", now=now
        )
        connection.execute(update(table).values(state="provisional", ended_at=CLOSES))
    deliver(database, DAY.events(), CLOSES)
    return session_id


def deliver(database: Database, events: Sequence[dict[str, Any]], at: datetime) -> None:
    inbox = Inbox(database)
    for event in events:
        inbox.append(Delivery(read_event(encode(event)), encode(event), {}, 0, at))
    inbox.close()


def answer(database: Database, session_id: int, hours: float) -> None:
    with database.write() as connection:
        at = CLOSES + timedelta(hours=hours)
        reports.keep(connection, session_id, DAY.uuid, "report", DAY.report_rows(), at)


def refuse(database: Database, session_id: int, code: str) -> None:
    with database.write() as connection:
        reports.keep_failure(connection, session_id, DAY.uuid, "report", code, CLOSES + timedelta(hours=1))


def lock(database: Database, at: datetime) -> None:
    with database.write() as connection:
        connection.execute(update(table).values(state="locked", locked_at=at))


def unsettled(database: Database, now: datetime = A_DAY_LATER) -> list[Gap]:
    with database.read() as connection:
        return health.reports_unsettled(connection, now)


def test_a_day_after_class_without_agreement_staff_must_look(database: Database, session_id: int) -> None:
    answer(database, session_id, 1)
    refuse(database, session_id, "zoom_not_found")
    assert unsettled(database, A_DAY_LATER - timedelta(seconds=1)) == []
    (shown,) = unsettled(database)
    assert (shown.code, shown.session_id, shown.since) == ("reports_unsettled", session_id, A_DAY_LATER)
    assert (shown.count, shown.details) == (2, {"codes": ["zoom_not_found"]})
    answer(database, session_id, 2)
    assert unsettled(database) == []


def test_a_session_nobody_ever_asked_zoom_about_is_no_matter_for_staff(database: Database, session_id: int) -> None:
    assert unsettled(database) == []


@pytest.mark.parametrize(("code", "shown"), [("zoom_scope_missing", 1), ("zoom_not_found", 0), ("zoom_daily_limit", 0)])
def test_a_refusal_that_staff_can_fix_is_shown_at_once(
    database: Database, session_id: int, code: str, shown: int
) -> None:
    answer(database, session_id, 0.5)
    refuse(database, session_id, code)
    with database.read() as connection:
        found = health.reports_refused(connection, A_DAY_LATER)
    assert [(each.session_id, each.details) for each in found] == [(session_id, {"code": code})] * shown
    answer(database, session_id, 2)
    with database.read() as connection:
        assert health.reports_refused(connection, A_DAY_LATER) == []


def test_what_comes_about_a_locked_class_is_not_passed_over(database: Database, session_id: int) -> None:
    lock(database, A_DAY_LATER)
    with database.read() as connection:
        assert health.locked_evidence(connection, A_DAY_LATER) == []
    late = whole_day(*people_of("reconnects"), seed=3).events()[1:3]
    deliver(database, late, A_DAY_LATER + timedelta(hours=1))
    with database.read() as connection:
        (shown,) = health.locked_evidence(connection, A_DAY_LATER)
    assert (shown.session_id, shown.since) == (session_id, A_DAY_LATER + timedelta(hours=1))
    assert shown.count > 0
    with database.read() as connection:
        assert health.locked_evidence(connection, CLOSES + timedelta(days=31)) == [], "staff see it for a month"


def test_what_nobody_had_read_when_the_class_was_locked_is_not_passed_over(database: Database, session_id: int) -> None:
    while take_inbox(database, A_DAY_LATER):
        pass
    late = whole_day(*people_of("reconnects"), seed=3).events()[1:3]
    deliver(database, late, A_DAY_LATER - timedelta(seconds=1))
    lock(database, A_DAY_LATER)
    take_inbox(database, A_DAY_LATER + timedelta(seconds=1))
    with database.read() as connection:
        assert [each.session_id for each in health.locked_evidence(connection, A_DAY_LATER)] == [session_id]


def test_the_next_class_of_the_same_meeting_is_no_news_of_the_locked_one(database: Database, session_id: int) -> None:
    lock(database, A_DAY_LATER)
    week = timedelta(days=7)
    other = type(DAY)(MEETING, DAY.opens_at + week, DAY.closes_at + week, DAY.attendees)
    deliver(database, other.events(), CLOSES + week)
    with database.read() as connection:
        assert health.locked_evidence(connection, A_DAY_LATER) == []
