"""Whatever is derived from the evidence can be thrown away and computed again, byte for byte."""

import json
import random
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Table, func, insert, select, update

from lti_tool import people
from lti_tool.attendance import corrections, live_sessions, matching
from lti_tool.commands.attendance import attendance
from lti_tool.commands.console import RefusingGroup
from lti_tool.commands.zoom import zoom
from lti_tool.context import AppContext
from lti_tool.db import Database
from lti_tool.programme.versions import Published
from lti_tool.settings import Settings
from lti_tool.tables.credit import claims
from lti_tool.tables.gates import completions
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.live_sessions import live_sessions as sessions
from lti_tool.tables.presence import zoom_places
from lti_tool.tables.types import metadata
from lti_tool.tables.zoom import registrants
from lti_tool.worker import build_worker
from sandbox.zoom.training_day import TrainingDay, encode
from tests.clock import TestClock
from tests.zoom_day import MEETING, OPENS, people_of
from zoom_adapter import reports
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.registrants import record_place

GATEHOUSE = RefusingGroup("gatehouse", commands={"zoom": zoom, "attendance": attendance})
# A class that is over by any clock.
OPENED = OPENS.replace(year=2024)
CLOSED = OPENED + timedelta(hours=8)
CAST = people_of("breakouts", "reconnects", "two_devices", "leaves_at_lunch", "late", "all_day")
DAY = TrainingDay(MEETING, OPENED, CLOSED, CAST)
# What is evidence, and what people said: everything that a replay reads.
GIVEN = (
    "programme_versions",
    "trainees",
    "trainee_addresses",
    "identities",
    "licences",
    "live_sessions",
    "zoom_inbox",
    "zoom_reports",
    "zoom_report_fetches",
    "zoom_places",
    "person_links",
    "attendance_corrections",
)
NOT_COMPARED = {"id", "version", "settled_at", "recorded_at", "updated_at", "reconciled_at", "created_at"}


def run(url: str, settings: Settings, *words: str) -> Result:
    environment = {
        "GATEHOUSE_PUBLIC_URL": settings.public_url,
        "GATEHOUSE_SECRET_KEY": settings.secret_key,
        "GATEHOUSE_FIELD_KEYS": ",".join(settings.field_keys),
        "GATEHOUSE_DATABASE_URL": url,
    }
    return CliRunner().invoke(GATEHOUSE, words, env=environment, catch_exceptions=False)


def derived(database: Database) -> bytes:
    """Everything that was derived, in an order and a form of its own; without ids and without when it was written."""
    contents = {}
    with database.read() as connection:
        for table, which in (
            (registrants, True),
            (attendances, attendances.c.is_current),
            (completions, completions.c.ended_at.is_(None)),
            (claims, True),
            (sessions, True),
        ):
            columns = [each for each in table.c if each.name not in NOT_COMPARED]
            query = select(*columns) if which is True else select(*columns).where(which)
            rows = [json.dumps(dict(row._mapping), sort_keys=True, default=str) for row in connection.execute(query)]
            contents[table.name] = sorted(rows)
    return json.dumps(contents, indent=1).encode()


def count(database: Database, table: Table) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


class Story:
    """A day with everything that makes presence: lost, doubled and shuffled deliveries, registrations, reports, a
    place that the tool took, a link and a correction by staff, settled again after each."""

    def __init__(self, context: AppContext, published: Published, clock: TestClock) -> None:
        self.database, self.clock, self.worker = context.database, clock, build_worker(context)
        clock.at = CLOSED + timedelta(minutes=5)
        with self.database.write() as connection:
            self.known = {each.email: self._know(connection, each.email) for each in CAST}
            self.session_id = live_sessions.add(
                connection,
                published,
                module_id="F1",
                starts=datetime.fromisoformat("2024-12-01T09:00"),
                zoom_meeting_id=MEETING,
                actor="cli",
                now=clock(),
            )
        self.deliver()
        self.report()
        self.by_staff()
        self.take_place()

    def _know(self, connection: Any, email: str) -> int:
        """Staff have to match whoever has another address than in Zoom."""
        at_home = f"at.home.{email}" if email == "late@example.org" else email
        return people.find_or_add(
            connection, "https://lms.example.org", email, name=email, email=at_home, now=self.clock()
        )

    def settle(self, later: timedelta) -> None:
        self.clock.at += later
        self.worker.run_once()

    def deliver(self) -> None:
        chance = random.Random(5)
        bodies = [encode(event) for event in DAY.registrations() + DAY.events()]
        bodies = [body for body in bodies if chance.random() > 0.05]
        bodies += bodies[::4]
        chance.shuffle(bodies)
        inbox = Inbox(self.database)
        for start in range(0, len(bodies), 17):
            for body in bodies[start : start + 17]:
                inbox.append(Delivery(read_event(body), body, {}, 0, self.clock()))
            self.settle(timedelta(seconds=20))
        inbox.close()

    def report(self) -> None:
        for minutes in (10, 20, 90):
            with self.database.write() as connection:
                rows = DAY.report_rows()
                reports.keep(connection, self.session_id, DAY.uuid, "report", rows, self.clock())
            self.settle(timedelta(minutes=minutes))

    def by_staff(self) -> None:
        late, early = self.known["late@example.org"], self.known["leaves_at_lunch@example.org"]
        with self.database.write() as connection:
            matching.link(
                connection,
                kind="email",
                value="late@example.org",
                meeting_id="",
                trainee_id=late,
                reason="Told us by telephone.",
                actor="staff:901",
                now=self.clock(),
            )
            correction = corrections.propose(
                connection,
                session_id=self.session_id,
                trainee_id=early,
                from_at=CLOSED - timedelta(hours=2),
                to_at=CLOSED - timedelta(hours=1),
                counts=True,
                reason="Sat beside another trainee.",
                evidence="Sign-in sheet, kept in the office.",
                actor="staff:901",
                now=self.clock(),
            )
            corrections.confirm(connection, correction, actor="staff:902", now=self.clock())
        self.settle(timedelta(minutes=1))

    def take_place(self) -> None:
        """A registration that the tool made itself, and of which Zoom never spoke."""
        key, trainee_id = (MEETING, "rg-of-the-tool"), self.known["all_day@example.org"]
        place = {
            "meeting_id": key[0],
            "registrant_id": key[1],
            "trainee_id": trainee_id,
            "zoom_kind": "meeting",
            "wanted": True,
            "state": "registered",
            "wanted_at": self.clock(),
            "updated_at": self.clock(),
        }
        with self.database.write() as connection:
            connection.execute(insert(zoom_places).values(place))
            who = people.trainee(connection, trainee_id)
            record_place(connection, *key, trainee_id, email=who.email or "", name=who.name, now=self.clock())
        self.settle(timedelta(minutes=1))


@pytest.fixture
def story(context: AppContext, published: Published, clock: TestClock) -> Story:
    return Story(context, published, clock)


@pytest.fixture
def scratch(backend: str, request: pytest.FixtureRequest, tmp_path: Path, cipher) -> Iterator[Database]:
    """An empty database of this release beside the test's own."""
    if backend == "sqlite":
        url = f"sqlite:///{tmp_path}/scratch.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "scratch.db")
    else:
        template = request.getfixturevalue("postgres_template")
        url = request.getfixturevalue("postgres").create(f"scratch_{abs(hash(request.node.name))}", template)
    database = Database(url, cipher)
    yield database
    database.close()


def copy_evidence(source: Database, target: Database) -> None:
    """What a replay reads; the sessions as they were before anything was settled."""
    with source.read() as old, target.write() as new:
        for table in metadata.sorted_tables:
            rows = [dict(row._mapping) for row in old.execute(select(table))] if table.name in GIVEN else []
            if rows:
                new.execute(insert(table), rows)
        new.execute(update(sessions).values(state="scheduled", ended_at=None, reconciled_at=None))


def test_a_replay_into_an_empty_database_gives_the_same_byte_for_byte(
    story: Story, scratch: Database, settings: Settings
) -> None:
    copy_evidence(story.database, scratch)
    url = scratch.url.render_as_string(hide_password=False)
    replayed = run(url, settings, "zoom", "replay", "--json")
    assert json.loads(replayed.stdout)[0]["result"] == "settled"
    show = ("attendance", "show", str(story.session_id), "--json")
    before, after = (run(each, settings, *show).stdout_bytes for each in (settings.database_url, url))
    assert after == before
    assert derived(scratch) == derived(story.database)
    assert json.loads(before)["session"]["state"] == "reconciled"
    assert {each["completed"] for each in json.loads(before)["people"]} == {True, False}


def test_what_was_derived_may_be_lost_and_comes_back(story: Story, settings: Settings) -> None:
    before = derived(story.database)
    with story.database.write() as connection:
        connection.execute(registrants.delete())
        for table in (claims, completions, attendances):
            connection.execute(table.delete())
    assert run(settings.database_url, settings, "zoom", "replay").exit_code == 0
    assert derived(story.database) == before


def test_a_replay_of_what_is_there_writes_nothing(story: Story, settings: Settings) -> None:
    before, versions = derived(story.database), count(story.database, attendances)
    result = run(settings.database_url, settings, "zoom", "replay", "--json")
    assert json.loads(result.stdout) == [{"session": story.session_id, "result": "settled", "changed": 0}]
    assert (derived(story.database), count(story.database, attendances)) == (before, versions)


def test_a_dry_run_says_what_would_change_and_changes_nothing(story: Story, settings: Settings) -> None:
    same = [{"session": story.session_id, "result": "same", "changed": 0}]
    dry = ("zoom", "replay", "--dry-run", "--json")
    assert json.loads(run(settings.database_url, settings, *dry).stdout) == same
    with story.database.write() as connection:
        odd = attendances.c.is_current & (attendances.c.email == "breakouts@example.org")
        connection.execute(update(attendances).where(odd).values(input_digest="of something else"))
        connection.execute(update(registrants).values(trainee_id=None, matched_by=None, event_ts=0, email=None))
    before = derived(story.database)
    result = run(settings.database_url, settings, *dry)
    assert json.loads(result.stdout)[0]["result"] == "would_change"
    assert json.loads(result.stdout)[0]["changed"] >= 1
    assert "would change; attendance may follow" in result.stderr
    assert derived(story.database) == before


def test_a_locked_session_is_left_alone(story: Story, settings: Settings) -> None:
    with story.database.write() as connection:
        connection.execute(update(sessions).values(state="locked"))
    assert json.loads(run(settings.database_url, settings, "zoom", "replay", "--json").stdout) == []
