"""`gatehouse zoom`: replay and health."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from lti_tool import people
from lti_tool.commands.console import TellingGroup
from lti_tool.commands.zoom import zoom
from lti_tool.db import Database
from lti_tool.publication import Published
from lti_tool.sessions import days, live_sessions
from lti_tool.settings import Settings
from sandbox.zoom.training_day import TrainingDay, encode
from tests.zoom_day import MEETING, OPENS, people_of
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.schemas import read_notice

GATEHOUSE = TellingGroup("gatehouse", commands={"zoom": zoom})
# A class that is over by any clock.
OPENED = OPENS.replace(year=2024)


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return {
        "GATEHOUSE_PUBLIC_URL": settings.public_url,
        "GATEHOUSE_SECRET_KEY": settings.secret_key,
        "GATEHOUSE_FIELD_KEYS": ",".join(settings.field_keys),
        "GATEHOUSE_DATABASE_URL": settings.database_url,
    }


def run(environment: dict[str, str], *words: str) -> Result:
    return CliRunner().invoke(GATEHOUSE, ["zoom", *words], env=environment)


def play(database: Database, published: Published, now: datetime) -> int:
    """A day in the inbox, unread; the session's id."""
    day = TrainingDay(MEETING, OPENED, OPENED + timedelta(hours=8), people_of("breakouts"))
    with database.write() as connection:
        people.find_or_add(connection, "https://lms", "1", name="B", email="breakouts@example.org", now=now)
        session_id = live_sessions.add(
            connection,
            published,
            module_id="F1",
            starts=datetime.fromisoformat("2024-12-01T09:00"),
            zoom_meeting_id=MEETING,
            actor="cli",
            now=now,
        )
    inbox = Inbox(database)
    for event in day.registrations() + day.events():
        inbox.append(Delivery(read_notice(encode(event)), encode(event), {}, 0, now))
    inbox.close()
    return session_id


def test_replay_settles_every_session_the_inbox_speaks_of(
    database: Database, published: Published, environment: dict[str, str], now: datetime
) -> None:
    session_id = play(database, published, now)
    result = run(environment, "replay", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [{"session": session_id, "result": "settled"}])
    with database.read() as connection:
        (person,) = days.of_session(connection, session_id)
    assert (person.completed, person.seconds_present) == (True, 390 * 60)


def test_health_of_an_empty_inbox_is_all_zero(database: Database, environment: dict[str, str]) -> None:
    told = json.loads(run(environment, "health", "--json").stdout)
    assert told["last_event_at"] is None
    assert (told["untaken"], told["challenge_overdue"]) == (0, False)


def test_health_says_what_came_and_what_waits(
    database: Database, published: Published, environment: dict[str, str], now: datetime
) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=81)
    play(database, published, long_ago)
    told = json.loads(run(environment, "health", "--json").stdout)
    assert told["untaken"] == told["deliveries"] > 10
    assert told["last_event_at"].startswith(long_ago.date().isoformat())
    assert told["challenge_overdue"] is True
    assert "challenge_overdue" in run(environment, "health").stdout
