"""Zoom is asked who was there, by the plan, until it says the same twice."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import responses
from sqlalchemy import func, select, update

from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_sessions import SETTLE
from lti_tool.db import Database
from lti_tool.errors import BadInput, Conflict
from lti_tool.http import Http
from lti_tool.programme.versions import Published
from lti_tool.settings import Settings
from lti_tool.tables.live_sessions import live_sessions as table
from lti_tool.tables.operations import tasks
from lti_tool.tables.zoom import zoom_report_fetches
from lti_tool.tasks import Worker
from sandbox.zoom.training_day import TrainingDay, encode
from tests.clock import TestClock
from tests.reporting_zoom import ReportingZoom, with_credentials
from tests.zoom_day import CLOSES, MEETING, OPENS, people_of, whole_day
from zoom_adapter import reports
from zoom_adapter.api import ZoomApi
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.reconcile import RECONCILE, ReportReader

DAY = whole_day(*people_of("breakouts", "late"))
END = CLOSES + timedelta(minutes=1)


@pytest.fixture
def clock() -> TestClock:
    return TestClock(END)


@pytest.fixture
def zoom(wire: responses.RequestsMock) -> ReportingZoom:
    zoom = ReportingZoom(wire)
    zoom.held[MEETING] = [(DAY.uuid, OPENS - timedelta(minutes=12))]
    zoom.rows[DAY.uuid] = DAY.report_rows()
    return zoom


@pytest.fixture
def reader(database: Database, settings: Settings, clock: TestClock, zoom: ReportingZoom) -> ReportReader:
    return ReportReader(database, ZoomApi(Http(), with_credentials(settings), clock), clock)


def add_session(database: Database, published: Published, now: datetime, starts: str = "2026-12-01T09:00") -> int:
    with database.write() as connection:
        return live_sessions.add(
            connection,
            published,
            module_id="F1",
            starts=datetime.fromisoformat(starts),
            zoom_meeting_id=MEETING,
            actor="cli",
            now=now,
        )


def end(database: Database, session_id: int, at: datetime) -> None:
    with database.write() as connection:
        connection.execute(update(table).where(table.c.id == session_id).values(ended_at=at, state="provisional"))


def deliver(database: Database, events: Sequence[dict[str, Any]], now: datetime = OPENS) -> None:
    inbox = Inbox(database)
    for event in events:
        inbox.append(Delivery(read_event(encode(event)), encode(event), {}, 0, now))
    inbox.close()


@pytest.fixture
def session_id(database: Database, published: Published, now: datetime) -> int:
    """A class that is over, with all of its deliveries."""
    session_id = add_session(database, published, now)
    deliver(database, DAY.events())
    end(database, session_id, END)
    return session_id


def turn(reader: ReportReader) -> None:
    """What the worker does in one round; settlement is left out."""
    reader.plan()
    only = Worker(reader.database, {RECONCILE: reader.read_due, SETTLE: lambda _: None}, clock=reader.clock)
    only.run_once()


def play(reader: ReportReader, clock: TestClock, hours: float, step: float = 1) -> list[int]:
    """Let time pass minute by minute; at which minutes after the end a report was asked for."""
    minutes = []
    for minute in range(0, int(hours * 60) + 1, int(step)):
        clock.at = END + timedelta(minutes=minute)
        before = fetches(reader.database)
        turn(reader)
        if fetches(reader.database) > before:
            minutes.append(minute)
    return minutes


def fetches(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(zoom_report_fetches)) or 0


def on_record(database: Database, session_id: int) -> list[tuple[str, int | None, str | None, bool]]:
    with database.read() as connection:
        return [(each.source, each.rows, each.code, each.settled) for each in reports.history(connection, session_id)]


def is_settled(database: Database, session_id: int) -> bool:
    with database.read() as connection:
        row = connection.execute(select(table).where(table.c.id == session_id)).one()
        return reports.has_settled_reports(connection, row)


class TestThePlan:
    def test_two_equal_answers_and_one_that_confirms_them_a_day_later(
        self, reader: ReportReader, clock: TestClock, session_id: int
    ) -> None:
        assert play(reader, clock, 50, step=5) == [5, 15, 24 * 60]
        assert is_settled(reader.database, session_id)

    def test_a_report_that_is_not_there_yet_is_asked_for_at_every_step(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        rows = zoom.rows.pop(DAY.uuid)
        assert play(reader, clock, 1, step=5) == [5, 15, 30, 60]
        assert {code for _, _, code, _ in on_record(reader.database, session_id)} == {"zoom_not_found"}
        zoom.rows[DAY.uuid] = rows
        clock.at = END + timedelta(hours=2)
        turn(reader)
        assert not is_settled(reader.database, session_id)
        clock.at = END + timedelta(hours=24)
        turn(reader)
        assert is_settled(reader.database, session_id)

    def test_a_report_that_still_grows_is_settled_when_it_has_stopped(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        whole = zoom.rows[DAY.uuid]
        for minute, count in ((5, 1), (15, 4), (30, len(whole)), (60, len(whole))):
            zoom.rows[DAY.uuid] = whole[:count]
            clock.at = END + timedelta(minutes=minute)
            turn(reader)
        assert [settled for *_, settled in on_record(reader.database, session_id)] == [False, False, False, True]

    def test_without_agreement_it_is_given_up_after_two_days(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        del zoom.rows[DAY.uuid]
        minutes = play(reader, clock, 24 * 4, step=60)
        assert minutes[:3] == [60, 120, 1440]
        assert len(minutes) == 3 + 24
        assert minutes[-1] == 48 * 60
        assert not is_settled(reader.database, session_id)

    def test_a_new_reader_goes_on_where_the_last_one_stopped(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        clock.advance(minutes=5)
        turn(reader)
        again = replace(reader)
        turn(again)
        assert zoom.questions() == 1
        clock.advance(hours=3)
        turn(again)
        assert zoom.questions() == 2
        assert is_settled(reader.database, session_id)

    def test_an_end_that_moves_moves_the_plan(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        assert play(reader, clock, 1, step=5) == [5, 15]
        end(reader.database, session_id, END + timedelta(hours=2))
        assert not is_settled(reader.database, session_id)
        clock.at = END + timedelta(minutes=124)
        turn(reader)
        assert zoom.questions() == 2
        clock.at = END + timedelta(minutes=125)
        turn(reader)
        assert is_settled(reader.database, session_id)

    def test_what_agreed_holds_until_zoom_says_something_else_twice(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        play(reader, clock, 1, step=5)
        whole = len(zoom.rows[DAY.uuid])
        zoom.rows[DAY.uuid] = zoom.rows[DAY.uuid][1:]
        held = []
        for hours in (24, 25):
            clock.at = END + timedelta(hours=hours)
            turn(reader)
            with reader.database.read() as connection:
                held.append(len(reports.latest(connection, session_id)[DAY.uuid].rows))
            assert is_settled(reader.database, session_id)
        assert held == [whole, whole - 1]
        assert [settled for *_, settled in on_record(reader.database, session_id)] == [False, True, False, True]

    @pytest.mark.parametrize("state", ["locked", "cancelled"])
    def test_what_is_locked_or_cancelled_is_not_asked_about(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int, state: str
    ) -> None:
        with reader.database.write() as connection:
            connection.execute(update(table).values(state=state))
        play(reader, clock, 2, step=15)
        assert zoom.asked == []

    def test_a_class_whose_end_nobody_told_is_asked_about_after_zooms_last_word(
        self, reader: ReportReader, clock: TestClock, zoom: ReportingZoom, published: Published, database: Database
    ) -> None:
        session_id = add_session(database, published, OPENS)
        clock.at = CLOSES + timedelta(minutes=94)
        turn(reader)
        assert zoom.asked == []
        clock.advance(minutes=1)
        turn(reader)
        assert on_record(database, session_id)[-1][:2] == ("report", len(DAY.report_rows()))

    def test_a_new_answer_asks_for_settlement_now_and_after_zooms_last_retry(
        self, reader: ReportReader, clock: TestClock, session_id: int
    ) -> None:
        clock.advance(minutes=5)
        reader.plan()
        reader.read_due({"session_id": session_id})
        with reader.database.read() as connection:
            due = connection.execute(select(tasks.c.run_at).where(tasks.c.kind == SETTLE)).scalars().all()
        assert sorted(due) == [clock(), END + timedelta(minutes=90)]

    def test_without_credentials_nothing_is_planned_and_asking_says_why(
        self, reader: ReportReader, clock: TestClock, session_id: int
    ) -> None:
        clock.advance(hours=1)
        without = replace(reader, api=None)
        without.plan()
        without.read_due({"session_id": session_id})
        assert fetches(reader.database) == 0
        with pytest.raises(BadInput, match="zoom_api_unset"):
            without.read_now(session_id)


class TestInstances:
    def other(self, opens: datetime, closes: datetime, seed: int = 7) -> TrainingDay:
        return TrainingDay(MEETING, opens, closes, people_of("late"), seed=seed)

    def test_one_that_only_zoom_knows_is_found_by_its_start(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        unlisted = self.other(OPENS + timedelta(hours=4), CLOSES)
        zoom.held[MEETING].append((unlisted.uuid, unlisted.opens_at))
        zoom.rows[unlisted.uuid] = unlisted.report_rows()
        play(reader, clock, 1, step=5)
        with reader.database.read() as connection:
            found = reports.latest(connection, session_id)
        assert {uuid: len(each.rows) for uuid, each in found.items()} == {
            DAY.uuid: len(DAY.report_rows()),
            unlisted.uuid: len(unlisted.report_rows()),
        }
        assert is_settled(reader.database, session_id)

    def test_every_instance_must_settle(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        unlisted = self.other(OPENS + timedelta(hours=4), CLOSES)
        zoom.held[MEETING].append((unlisted.uuid, unlisted.opens_at))
        play(reader, clock, 1, step=5)
        assert not is_settled(reader.database, session_id)

    def test_other_days_tests_before_class_and_clicks_after_it_are_left_alone(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        test = self.other(OPENS - timedelta(minutes=20), OPENS - timedelta(minutes=10), seed=1)
        click = self.other(CLOSES + timedelta(minutes=20), CLOSES + timedelta(minutes=25), seed=2)
        former = (OPENS - timedelta(days=7), "last week")
        for day in (test, click):
            short = [event for event in day.events() if "participant" not in event["event"]]
            deliver(reader.database, short)
        zoom.held[MEETING] += [(former[1], former[0]), (click.uuid, click.opens_at)]
        play(reader, clock, 1, step=5)
        with reader.database.read() as connection:
            assert set(reports.latest(connection, session_id)) == {DAY.uuid}
        assert is_settled(reader.database, session_id)

    def test_where_zoom_lists_none_those_that_were_delivered_are_asked_for(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        zoom.refuse("instances", 400, 4711)
        play(reader, clock, 1, step=5)
        assert is_settled(reader.database, session_id)
        assert ("report", None, "zoom_scope_missing", False) in on_record(reader.database, session_id)

    def test_a_class_of_long_ago_that_zoom_never_saw_is_asked_about_once(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, database: Database, published: Published
    ) -> None:
        session_id = add_session(database, published, OPENS, starts="2024-11-12T09:00")
        end(database, session_id, datetime.fromisoformat("2024-11-13T01:00:00+00:00"))
        assert play(reader, clock, 72, step=30) == [0]
        assert on_record(database, session_id) == [("report", None, "zoom_no_instance", False)]

    def test_a_report_that_zoom_no_longer_keeps_is_asked_for_once(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        zoom.refuse("report/", 400, 12702)
        assert play(reader, clock, 72, step=30) == [30]


class TestSources:
    def sources(self, database: Database, session_id: int) -> list[tuple[str, int | None, str | None]]:
        return [each[:3] for each in on_record(database, session_id)]

    def test_where_the_report_is_missing_or_empty_the_past_participants_are_asked_for(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        rows = zoom.past[DAY.uuid] = zoom.rows.pop(DAY.uuid)
        clock.advance(minutes=5)
        turn(reader)
        zoom.rows[DAY.uuid] = []
        clock.advance(minutes=10)
        turn(reader)
        assert self.sources(reader.database, session_id) == [
            ("report", None, "zoom_not_found"),
            ("past", len(rows), None),
            ("report", 0, None),
            ("past", len(rows), None),
        ]
        assert is_settled(reader.database, session_id)

    def test_an_instance_of_one_person_may_have_a_report_or_only_a_past_participant(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, database: Database, published: Published
    ) -> None:
        alone = whole_day(*people_of("late"), seed=9)
        session_id = add_session(database, published, OPENS)
        deliver(database, alone.events())
        end(database, session_id, END)
        zoom.held[MEETING] = [(alone.uuid, OPENS)]
        zoom.past[alone.uuid] = alone.report_rows()
        play(reader, clock, 1, step=5)
        assert is_settled(database, session_id)

    def test_a_meeting_that_is_a_webinar_at_zoom_is_asked_about_there(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        zoom.webinars.add(DAY.uuid)
        play(reader, clock, 1, step=5)
        assert is_settled(reader.database, session_id)

    def test_a_webinar_that_was_held_as_a_meeting_is_asked_about_there(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        with reader.database.write() as connection:
            connection.execute(update(table).values(zoom_kind="webinar"))
        zoom.refuse("report/webinars", 404, 3001)
        play(reader, clock, 1, step=5)
        assert is_settled(reader.database, session_id)
        assert not any("past_meetings" in path for path in zoom.asked)

    def test_a_report_that_fails_on_its_third_page_leaves_nothing_behind(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        zoom.page_size = 2
        zoom.refuse("report/", 500, 0, page=3)
        clock.advance(minutes=5)
        turn(reader)
        assert self.sources(reader.database, session_id) == [("report", None, "zoom_unavailable")]
        with reader.database.read() as connection:
            assert reports.latest(connection, session_id) == {}
        zoom.refusals.clear()
        clock.advance(minutes=10)
        turn(reader)
        assert self.sources(reader.database, session_id)[-1] == ("report", len(DAY.report_rows()), None)


class TestAskingByHand:
    def test_every_instance_is_asked_about_whatever_the_plan_says(
        self, reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int
    ) -> None:
        (outcome,) = reader.read_now(session_id)
        assert (outcome.meeting_uuid, outcome.rows, outcome.settled) == (DAY.uuid, len(DAY.report_rows()), False)

    def test_asking_twice_in_a_row_settles_nothing_on_the_day_of_the_class(
        self, reader: ReportReader, clock: TestClock, session_id: int
    ) -> None:
        assert [reader.read_now(session_id)[0].settled for _ in range(3)] == [False] * 3
        clock.advance(minutes=5)
        assert reader.read_now(session_id)[0].settled is True

    def test_a_day_later_it_does(self, reader: ReportReader, clock: TestClock, session_id: int) -> None:
        clock.advance(days=2)
        assert [reader.read_now(session_id)[0].settled for _ in range(2)] == [False, True]

    def test_a_class_that_runs_has_no_report(
        self, reader: ReportReader, clock: TestClock, database: Database, published: Published
    ) -> None:
        session_id = add_session(database, published, OPENS)
        clock.at = OPENS
        with pytest.raises(Conflict, match="session_not_over"):
            reader.read_now(session_id)

    def test_a_locked_one_is_not_asked_about(self, reader: ReportReader, session_id: int) -> None:
        with reader.database.write() as connection:
            connection.execute(update(table).values(state="locked"))
        with pytest.raises(Conflict, match="session_locked"):
            reader.read_now(session_id)

    def test_a_refusal_is_told_and_kept(self, reader: ReportReader, zoom: ReportingZoom, session_id: int) -> None:
        zoom.refuse("report/", 400, 4711)
        (outcome,) = reader.read_now(session_id)
        assert (outcome.rows, outcome.refusal and outcome.refusal.code) == (None, "zoom_scope_missing")
        assert ("report", None, "zoom_scope_missing", False) in on_record(reader.database, session_id)


@pytest.mark.parametrize("passed", [timedelta(minutes=5), timedelta(days=1)], ids=["on the day", "a day later"])
def test_two_workers_at_once_do_not_agree_with_each_other(
    reader: ReportReader, zoom: ReportingZoom, clock: TestClock, session_id: int, passed: timedelta
) -> None:
    """The second one finds the report due while the first one waits for Zoom's answer, and gets its own at once."""

    def ask_too() -> None:
        clock.advance(seconds=6)
        replace(reader).read_due({"session_id": session_id})
        clock.advance(seconds=6)

    clock.at += passed
    zoom.meanwhile.append(ask_too)
    reader.read_due({"session_id": session_id})
    assert [each[1] for each in on_record(reader.database, session_id)] == [len(DAY.report_rows())] * 2
    assert not is_settled(reader.database, session_id)
