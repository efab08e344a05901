"""Recovery: what Zoom's log has and the inbox lacks, when the log is read, and what a refusal does."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses
from sqlalchemy import select

from lti_tool.attendance.evidence import PersonPresence
from lti_tool.db import Database
from lti_tool.errors import BadInput, NoAnswer
from lti_tool.http import Http
from lti_tool.intervals import union
from lti_tool.programme.versions import Published
from lti_tool.settings import Settings
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.operations import tasks
from lti_tool.tables.zoom import zoom_inbox, zoom_log_reads
from sandbox.zoom.training_day import TrainingDay, encode
from tests.clock import TestClock
from tests.training_day import FIVE, MEETING, NINE, add_session
from tests.zoom_day import people_of, whole_day
from zoom_adapter.api import ZoomApi
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.presence import load_presence
from zoom_adapter.recovery import KEPT, RECOVER, LogReader, Window, due

LOG = "https://api.zoom.us/v2/marketplace/apps/app/webhook_logs"
BODIES = [encode(event) for event in whole_day(*people_of("late", "breakouts"), meeting=MEETING).events()]
LAST_STEP = timedelta(minutes=95)


@dataclass
class ZoomsLog:
    """Zoom's log at the wire; `windows` are what it was asked for: (type, from, to)."""

    rows: list[dict[str, Any]]
    windows: list[tuple[str, str, str]]
    refusal: tuple[int, str] | None = None

    def answer(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        query = parse_qs(urlsplit(str(request.url)).query)
        self.windows.append((query["type"][0], query["from"][0], query["to"][0]))
        if self.refusal:
            return self.refusal[0], {}, self.refusal[1]
        return 200, {}, json.dumps({"next_page_token": "", "webhook_logs": self.rows})


@pytest.fixture
def log(wire: responses.RequestsMock) -> ZoomsLog:
    wire.post("https://zoom.us/oauth/token", json={"access_token": "token", "expires_in": 3600})
    log = ZoomsLog([{"event": "e", "request_body": body.decode(), "request_id": "rq-1"} for body in BODIES], [])
    wire.add_callback("GET", LOG, log.answer)
    return log


@pytest.fixture
def own(settings: Settings) -> Settings:
    secrets = {"zoom_account_id": "account", "zoom_client_id": "client", "zoom_client_secret": "a secret"}
    return replace(settings, zoom_app_id="app", **secrets)


@pytest.fixture
def reader(database: Database, own: Settings, clock: TestClock) -> LogReader:
    return LogReader(database, ZoomApi(Http(), own, clock), clock)


@pytest.fixture
def inbox(database: Database) -> Iterator[Inbox]:
    inbox = Inbox(database)
    yield inbox
    inbox.close()


def deliver(inbox: Inbox, bodies: list[bytes], now: datetime, *, stale: bool = False) -> None:
    for body in bodies:
        inbox.append(Delivery(read_event(body, stale=stale), body, {"x-zm-request-id": "own"}, 0, now))


def kept(database: Database) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(zoom_inbox).order_by(zoom_inbox.c.id)))


def reads(database: Database) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(zoom_log_reads).order_by(zoom_log_reads.c.id)))


def presence_of(database: Database, session_id: int) -> list[PersonPresence]:
    with database.read() as connection:
        session = connection.execute(select(live_sessions).where(live_sessions.c.id == session_id)).one()
        return sorted(load_presence(connection, session).people, key=lambda person: person.email or "")


def due_now(database: Database, now: datetime) -> list[Window]:
    with database.read() as connection:
        return due(connection, now)


class TestWhatIsRecovered:
    def test_what_the_inbox_lacks_comes_in_marked_as_read_from_the_log(
        self, database: Database, reader: LogReader, inbox: Inbox, log: ZoomsLog, now: datetime
    ) -> None:
        deliver(inbox, BODIES[::2], now)
        found = reader.recover()
        rows = kept(database)
        assert [row.body for row in rows] == BODIES[::2] + BODIES[1::2]
        assert {row.secret_position for row in rows[: len(BODIES[::2])]} == {0}
        for row in rows[len(BODIES[::2]) :]:
            assert row.headers == {"via": "webhook-log", "x-zm-request-id": "rq-1"}
            assert (row.secret_position, row.secret_mark, row.stale, row.received_at) == (-1, None, False, now)
        assert (found.rows, found.known, sum(found.added.values())) == (
            len(BODIES),
            len(BODIES[::2]),
            len(BODIES[1::2]),
        )

    def test_a_second_look_finds_nothing_new(self, database: Database, reader: LogReader, log: ZoomsLog) -> None:
        reader.recover()
        before = kept(database)
        assert reader.recover().added == {}
        assert kept(database) == before

    def test_what_came_too_late_to_be_trusted_counts_once_the_log_has_it(
        self, database: Database, reader: LogReader, inbox: Inbox, log: ZoomsLog, now: datetime
    ) -> None:
        deliver(inbox, BODIES, now, stale=True)
        assert sum(reader.recover().added.values()) == len(BODIES)
        assert [row.stale for row in kept(database)] == [True] * len(BODIES) + [False] * len(BODIES)

    def test_a_signed_retry_after_the_log_was_read_is_kept_as_the_better_proof(
        self, database: Database, reader: LogReader, inbox: Inbox, log: ZoomsLog, now: datetime
    ) -> None:
        reader.recover()
        deliver(inbox, BODIES, now)
        assert [row.secret_position for row in kept(database)] == [-1] * len(BODIES) + [0] * len(BODIES)
        assert reader.recover().added == {}

    def test_an_unbalanced_body_is_kept_as_it_came_and_counted(
        self, database: Database, reader: LogReader, log: ZoomsLog
    ) -> None:
        cut = BODIES[0][:-1]
        log.rows[:] = [{"request_body": cut.decode()}, {"request_body": BODIES[1].decode()}, {}]
        found = reader.recover()
        assert (found.rows, found.unreadable, found.added["unreadable"]) == (3, 1, 1)
        first, second = kept(database)
        assert (first.body, first.event, first.meeting_id) == (cut, "", None)
        assert second.body == BODIES[1]

    def test_what_came_back_counts_like_a_delivery_and_is_flagged(
        self, database: Database, published: Published, reader: LogReader, inbox: Inbox, log: ZoomsLog, now: datetime
    ) -> None:
        day = TrainingDay(MEETING, NINE, FIVE, people_of("breakouts", "reconnects", meeting=MEETING))
        bodies = [encode(event) for event in day.events()]
        with database.write() as connection:
            session_id = add_session(connection, published, now)
        deliver(inbox, [body for number, body in enumerate(bodies) if number % 3], now)
        log.rows[:] = [{"request_body": body.decode()} for body in bodies]
        in_doubt = presence_of(database, session_id)
        assert reader.recover().rows == len(bodies)
        recovered = presence_of(database, session_id)
        assert recovered != in_doubt
        for person, spans in zip(recovered, day.truth(), strict=True):
            shown = [(each.from_at, each.to_at) for each in person.intervals if each.counts]
            assert union(shown) == list(spans)
            assert "webhook_log" in person.flags
            assert "estimated" not in person.flags
        assert not any("webhook_log" in person.flags for person in in_doubt)

    def test_a_dry_run_changes_nothing(self, database: Database, reader: LogReader, log: ZoomsLog) -> None:
        found = reader.recover(dry_run=True)
        assert found.added["meeting.participant_joined"] > 0
        assert (kept(database), reads(database)) == ([], [])

    def test_the_log_is_asked_for_seven_days_at_most(self, reader: LogReader, log: ZoomsLog, now: datetime) -> None:
        reader.recover(now - timedelta(days=30))
        reader.recover(now - timedelta(hours=2))
        assert log.windows == [
            ("1", "2026-11-24T18:05:00Z", "2026-12-01T18:00:00Z"),
            ("1", "2026-12-01T16:00:00Z", "2026-12-01T18:00:00Z"),
        ]

    def test_half_a_log_is_none(self, database: Database, reader: LogReader, log: ZoomsLog) -> None:
        log.refusal = (500, "")
        with pytest.raises(NoAnswer):
            reader.recover()
        assert kept(database) == []

    def test_without_credentials_the_refusal_names_the_settings(self, database: Database, clock: TestClock) -> None:
        with pytest.raises(BadInput, match="zoom_api_unset"):
            LogReader(database, None, clock).recover()


@pytest.mark.databases("sqlite")
class TestThePlan:
    def test_what_failed_is_read_every_hour_from_where_the_last_reading_ended(
        self, database: Database, reader: LogReader, log: ZoomsLog, clock: TestClock
    ) -> None:
        for _ in range(4):
            reader.read_due({"session_id": None})
            clock.advance(minutes=30)
        assert log.windows == [
            ("2", "2026-11-24T18:05:00Z", "2026-12-01T18:00:00Z"),
            ("2", "2026-12-01T17:45:00Z", "2026-12-01T19:00:00Z"),
        ]
        assert [row.added for row in reads(database)] == [len(BODIES), 0]

    def test_after_a_refusal_the_next_reading_begins_where_the_last_good_one_ended(
        self, database: Database, reader: LogReader, log: ZoomsLog, clock: TestClock
    ) -> None:
        reader.read_due({"session_id": None})
        clock.advance(hours=1)
        log.refusal = (400, '{"code": 4711, "message": "no"}')
        reader.read_due({"session_id": None})
        clock.advance(minutes=59)
        assert due_now(database, clock()) == []
        clock.advance(minutes=1)
        log.refusal = None
        reader.read_due({"session_id": None})
        assert log.windows[-1] == ("2", "2026-12-01T17:45:00Z", "2026-12-01T20:00:00Z")
        assert [(row.code, row.row_count) for row in reads(database)] == [
            (None, len(BODIES)),
            ("zoom_scope_missing", None),
            (None, len(BODIES)),
        ]

    def test_after_a_class_its_window_is_read_twice(
        self, database: Database, published: Published, reader: LogReader, log: ZoomsLog, clock: TestClock
    ) -> None:
        session_id = self.class_of(database, published, clock, ended=True)
        clock.at = FIVE + timedelta(minutes=9)
        reader.read_due({"session_id": session_id})
        assert log.windows == []
        for minutes in (1, 1, 84, 1, 600):
            clock.advance(minutes=minutes)
            reader.read_due({"session_id": session_id})
        assert log.windows == [
            ("1", "2026-11-10T16:30:00Z", "2026-11-11T01:10:00Z"),
            ("1", "2026-11-10T16:30:00Z", "2026-11-11T02:35:00Z"),
        ]
        assert [row.live_session_id for row in reads(database)] == [session_id] * 2

    def test_a_class_without_an_end_is_read_once_its_last_retry_must_have_come(
        self, database: Database, published: Published, clock: TestClock
    ) -> None:
        session_id = self.class_of(database, published, clock, ended=False)
        clock.at = FIVE + timedelta(minutes=99)
        assert self.classes_due(database, clock()) == []
        clock.advance(minutes=1)
        assert self.classes_due(database, clock()) == [session_id]

    def test_a_refused_window_is_asked_for_again_after_an_hour(
        self, database: Database, published: Published, reader: LogReader, log: ZoomsLog, clock: TestClock
    ) -> None:
        session_id = self.class_of(database, published, clock, ended=True)
        clock.at = FIVE + LAST_STEP
        log.refusal = (503, "")
        reader.read_due({"session_id": session_id})
        assert self.classes_due(database, clock.advance(minutes=59)) == []
        assert self.classes_due(database, clock.advance(minutes=1)) == [session_id]
        assert [row.code for row in reads(database)] == ["zoom_unavailable"]

    def test_what_zoom_has_forgotten_is_not_asked_for(
        self, database: Database, published: Published, clock: TestClock
    ) -> None:
        session_id = self.class_of(database, published, clock, ended=True)
        assert self.classes_due(database, FIVE + KEPT) == [session_id]
        assert self.classes_due(database, FIVE + KEPT + timedelta(seconds=1)) == []

    def test_one_task_is_asked_for_each_window_that_is_due(
        self, database: Database, published: Published, reader: LogReader, clock: TestClock
    ) -> None:
        session_id = self.class_of(database, published, clock, ended=True)
        clock.at = FIVE + LAST_STEP
        for _ in range(3):
            assert reader.plan() is False
        with database.read() as connection:
            planned = connection.execute(select(tasks.c.payload).where(tasks.c.kind == RECOVER)).scalars().all()
        assert sorted(planned, key=str) == [{"session_id": session_id}, {"session_id": None}]

    def test_without_the_apps_id_nothing_is_planned(self, database: Database, own: Settings, clock: TestClock) -> None:
        for api in (None, ZoomApi(Http(), replace(own, zoom_app_id=None), clock)):
            LogReader(database, api, clock).plan()
        with database.read() as connection:
            assert connection.execute(select(tasks.c.id).where(tasks.c.kind == RECOVER)).all() == []

    @staticmethod
    def class_of(database: Database, published: Published, clock: TestClock, *, ended: bool) -> int:
        with database.write() as connection:
            session_id = add_session(connection, published, clock())
            if ended:
                connection.exec_driver_sql(f"UPDATE live_sessions SET ended_at = ends_at WHERE id = {session_id}")
        return session_id

    @staticmethod
    def classes_due(database: Database, now: datetime) -> list[int]:
        return [each.session_id for each in due_now(database, now) if each.session_id is not None]
