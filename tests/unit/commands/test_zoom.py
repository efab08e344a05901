"""`gatehouse zoom`: replay, verify and health."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from lti_tool import people
from lti_tool.attendance import live_sessions, queries
from lti_tool.attendance.evidence_gaps import GAPS
from lti_tool.commands.console import RefusingGroup
from lti_tool.commands.zoom import zoom
from lti_tool.db import Database
from lti_tool.programme.versions import Published
from lti_tool.settings import Settings
from lti_tool.tables.types import metadata
from sandbox.zoom.training_day import TrainingDay, encode
from tests.tampering import tamper
from tests.zoom_day import MEETING, OPENS, people_of
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.presence import take_inbox

GATEHOUSE = RefusingGroup("gatehouse", commands={"zoom": zoom})
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
        inbox.append(Delivery(read_event(encode(event)), encode(event), {}, 0, now))
    inbox.close()
    return session_id


def test_replay_settles_every_session_the_inbox_speaks_of(
    database: Database, published: Published, environment: dict[str, str], now: datetime
) -> None:
    session_id = play(database, published, now)
    result = run(environment, "replay", "--json")
    settled = {"session": session_id, "result": "settled", "changed": 1}
    assert (result.exit_code, json.loads(result.stdout)) == (0, [settled])
    with database.read() as connection:
        (person,) = queries.of_session(connection, session_id)
    assert (person.completed, person.seconds_present) == (True, 390 * 60)


def test_a_session_that_cannot_be_settled_is_told_with_exit_1(
    database: Database, published: Published, environment: dict[str, str], now: datetime
) -> None:
    session_id = play(database, published, now)
    with database.write() as connection:
        connection.execute(update(metadata.tables["programme_versions"]).values(document="[]", digest="another"))
    result = run(environment, "replay", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {"session": session_id, "result": "programme_version_unreadable", "changed": None}
    ]


def test_an_inbox_that_is_as_it_came_is_told_so(
    database: Database, published: Published, environment: dict[str, str], now: datetime
) -> None:
    play(database, published, now)
    printed = json.loads(run(environment, "verify", "--json").stdout)
    assert (printed["sealed"], printed["last"], printed["broken"], printed["waiting"] > 10) == (0, None, 0, True)
    take_inbox(database, now)
    result = run(environment, "verify", "--json")
    printed = json.loads(result.stdout)
    assert (result.exit_code, printed["broken"], printed["waiting"], printed["breaks"]) == (0, 0, 0, [])
    assert printed["last"].startswith(f"{printed['sealed']}:")
    assert printed["signatures"] == {"valid": 0, "secret_gone": 0, "unsigned": printed["sealed"]}
    plain = run(environment, "verify", "--noted", printed["last"])
    assert (plain.exit_code, "Every delivery that was read is unchanged." in plain.stdout) == (0, True)


def test_a_changed_delivery_is_named_with_exit_1(
    database: Database, published: Published, environment: dict[str, str], now: datetime
) -> None:
    play(database, published, now)
    take_inbox(database, now)
    tamper(database.url, "UPDATE zoom_inbox SET stale = true WHERE id = 4")
    result = run(environment, "verify", "--json")
    says = "This delivery, or its seal, is not what was sealed."
    assert result.exit_code == 1
    assert json.loads(result.stdout)["breaks"] == [{"position": 4, "delivery": 4, "code": "row_changed", "says": says}]
    plain = run(environment, "verify")
    assert (plain.exit_code, f"BROKEN  delivery 4, position 4: {says} (row_changed)" in plain.stdout) == (1, True)


@pytest.mark.parametrize("noted", ["", "7", "7:abc", f"x:{'a' * 64}", f"1\n2:{'a' * 64}"])
def test_what_is_no_seal_is_refused(environment: dict[str, str], noted: str) -> None:
    result = run(environment, "verify", "--noted", noted)
    assert (result.exit_code, "noted_seal_wrong" in result.stderr) == (1, True)


def test_a_noted_seal_that_does_not_stand_is_a_break(
    database: Database, published: Published, environment: dict[str, str], now: datetime
) -> None:
    play(database, published, now)
    take_inbox(database, now)
    result = run(environment, "verify", "--noted", f"3:{'0' * 64}", "--json")
    assert (result.exit_code, json.loads(result.stdout)["breaks"][0]["code"]) == (1, "noted_seal_differs")


def test_health_of_an_empty_inbox_is_all_zero(database: Database, environment: dict[str, str]) -> None:
    result = run(environment, "health", "--json")
    printed = json.loads(result.stdout)
    assert (result.exit_code, printed["last_event_at"], printed["refused_today"], printed["gaps"]) == (0, None, {}, [])
    assert (printed["untaken"], printed["challenge_overdue"], printed["sealed"]) == (0, False, 0)
    assert "No gap in the evidence is known." in run(environment, "health").stdout


def test_health_says_what_came_what_waits_and_what_to_do(
    database: Database, published: Published, environment: dict[str, str]
) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=81)
    play(database, published, long_ago)
    result = run(environment, "health", "--json")
    printed = json.loads(result.stdout)
    assert printed["untaken"] == printed["deliveries"] > 10
    assert printed["last_event_at"].startswith(long_ago.date().isoformat())
    assert printed["challenge_overdue"] is True
    assert (result.exit_code, [gap["code"] for gap in printed["gaps"]][:2]) == (
        1,
        ["challenge_overdue", "deliveries_unread"],
    )
    plain = run(environment, "health")
    assert plain.exit_code == 1
    assert "challenge_overdue" in plain.stdout
    assert "WRONG  webhook: Deliveries have been waiting to be read for more than five minutes." in plain.stdout
    assert GAPS["deliveries_unread"].next_step in plain.stdout


def test_a_gap_that_is_only_a_note_is_told_without_exit_1(database: Database, environment: dict[str, str]) -> None:
    at = datetime.now(UTC) - timedelta(hours=73)
    inbox = Inbox(database)
    inbox.append(Delivery(read_event(b'{"event": "a"}'), b'{"event": "a"}', {}, 0, at))
    inbox.close()
    take_inbox(database, at)
    result = run(environment, "health")
    assert (result.exit_code, "note   webhook:" in result.stdout) == (0, True)
