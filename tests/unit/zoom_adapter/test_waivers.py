"""Going on without a report that Zoom does not give."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update

from lti_tool.attendance import live_sessions
from lti_tool.db import Database
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.programme.versions import Published
from lti_tool.tables.live_sessions import live_sessions as table
from lti_tool.tables.operations import audit_log, tasks
from sandbox.zoom.training_day import encode
from tests.zoom_day import CLOSES, MEETING, people_of, whole_day
from zoom_adapter import reports
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.reports import waive_report

DAY = whole_day(*people_of("late"))
A_DAY_LATER = CLOSES + timedelta(hours=24)
WHY = "The meeting was deleted at Zoom."


@pytest.fixture
def session_id(database: Database, published: Published, now: datetime) -> int:
    starts = datetime.fromisoformat("2026-12-01T09:00")
    with database.write() as connection:
        session_id = live_sessions.add(
            connection, published, module_id="F1", starts=starts, zoom_meeting_id=MEETING, actor="cli", now=now
        )
        connection.execute(update(table).values(state="provisional", ended_at=CLOSES))
    return session_id


def deliver(database: Database) -> None:
    inbox = Inbox(database)
    for event in DAY.events():
        inbox.append(Delivery(read_event(encode(event)), encode(event), {}, 0, CLOSES))
    inbox.close()


def give_up(database: Database, session_id: int, at: datetime = A_DAY_LATER, reason: str = WHY) -> int:
    with database.write() as connection:
        return waive_report(connection, session_id, actor="cli", reason=reason, now=at)


def is_settled(database: Database) -> bool:
    with database.read() as connection:
        return reports.has_settled_reports(connection, connection.execute(select(table)).one())


def test_a_day_after_class_staff_may_go_on_without_it(database: Database, session_id: int) -> None:
    deliver(database)
    assert not is_settled(database)
    assert give_up(database, session_id) == 1
    assert is_settled(database)
    with database.read() as connection:
        assert reports.latest(connection, session_id) == {}
        shown = connection.execute(select(audit_log).where(audit_log.c.act == "reports_waived")).one()
        assert (shown.reason, shown.details) == (WHY, {"count": 1})
        assert f"session:{session_id}" in connection.execute(select(tasks.c.key)).scalars().all()


def test_a_report_that_comes_after_all_counts(database: Database, session_id: int) -> None:
    deliver(database)
    give_up(database, session_id)
    with database.write() as connection:
        for hours in (25, 26):
            at = CLOSES + timedelta(hours=hours)
            reports.keep(connection, session_id, DAY.uuid, "report", DAY.report_rows(), at)
        found = reports.latest(connection, session_id)[DAY.uuid]
    assert (len(found.rows), found.settled) == (len(DAY.report_rows()), True)


def test_a_class_that_zoom_never_saw_may_rest_on_what_staff_vouch_for(database: Database, session_id: int) -> None:
    assert not is_settled(database)
    assert give_up(database, session_id) == 1
    assert is_settled(database)


def test_an_end_that_moves_takes_the_waiver_back(database: Database, session_id: int) -> None:
    give_up(database, session_id)
    with database.write() as connection:
        connection.execute(update(table).values(ended_at=A_DAY_LATER + timedelta(minutes=1)))
    assert not is_settled(database)


def test_what_may_still_come_and_what_is_there_is_not_waived(database: Database, session_id: int) -> None:
    with pytest.raises(Conflict, match="report_awaited"):
        give_up(database, session_id, A_DAY_LATER - timedelta(seconds=1))
    give_up(database, session_id)
    with pytest.raises(Conflict, match="reports_settled"):
        give_up(database, session_id)


def test_it_needs_a_reason_and_an_open_session(database: Database, session_id: int) -> None:
    with pytest.raises(BadInput, match="reason_missing"):
        give_up(database, session_id, reason=" ")
    with pytest.raises(NotFound):
        give_up(database, 99)
    with database.write() as connection:
        connection.execute(update(table).values(state="locked"))
    with pytest.raises(Conflict, match="session_locked"):
        give_up(database, session_id)
