"""`gatehouse zoom reconcile`, `reports` and `waive`, `gatehouse session lock` and `reopen`."""

import json
from datetime import datetime, timedelta

import pytest
import responses
from click.testing import CliRunner, Result
from sqlalchemy import select, update

from lti_tool import people
from lti_tool.attendance import live_sessions
from lti_tool.commands import main
from lti_tool.db import Database
from lti_tool.programme.versions import Published
from lti_tool.settings import Settings
from lti_tool.tables.live_sessions import live_sessions as table
from lti_tool.tables.operations import tasks
from sandbox.zoom.training_day import TrainingDay, encode
from tests.reporting_zoom import ReportingZoom
from tests.zoom_day import MEETING, OPENS, people_of
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox

# A class that is over by any clock; nobody's stay in it ended by a webhook after lunch.
OPENED = OPENS.replace(year=2024)
DAY = TrainingDay(MEETING, OPENED, OPENED + timedelta(hours=8), people_of("away_for_lunch"))


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return {
        "GATEHOUSE_PUBLIC_URL": settings.public_url,
        "GATEHOUSE_SECRET_KEY": settings.secret_key,
        "GATEHOUSE_FIELD_KEYS": ",".join(settings.field_keys),
        "GATEHOUSE_DATABASE_URL": settings.database_url,
        "GATEHOUSE_ZOOM_ACCOUNT_ID": "account",
        "GATEHOUSE_ZOOM_CLIENT_ID": "client",
        "GATEHOUSE_ZOOM_CLIENT_SECRET": "a secret",
    }


@pytest.fixture
def zoom(wire: responses.RequestsMock) -> ReportingZoom:
    return ReportingZoom(wire, rows={DAY.uuid: DAY.report_rows()})


@pytest.fixture
def session_id(database: Database, published: Published, now: datetime) -> int:
    """A class of which the last delivery that says anything was lost."""
    with database.write() as connection:
        people.find_or_add(connection, "https://lms", "1", name="B", email="away_for_lunch@example.org", now=now)
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
    for event in DAY.registrations() + DAY.events():
        inbox.append(Delivery(read_event(encode(event)), encode(event), {}, 0, now))
    inbox.close()
    return session_id


def run(environment: dict[str, str], *words: str) -> Result:
    return CliRunner().invoke(main, list(words), env=environment)


def reconcile(environment: dict[str, str], session_id: int) -> dict:
    result = run(environment, "zoom", "reconcile", str(session_id), "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_reconcile_shows_what_zoom_said_and_how_it_differs(
    database: Database, environment: dict[str, str], zoom: ReportingZoom, session_id: int
) -> None:
    first, second = (reconcile(environment, session_id) for _ in range(2))
    (instance,) = second["instances"]
    assert (instance["uuid"], instance["rows"], instance["settled"]) == (DAY.uuid, len(DAY.report_rows()), True)
    assert (first["session"]["state"], second["session"]["state"]) == ("provisional", "reconciled")
    (person,) = second["people"]
    assert person["webhook_seconds"] == person["report_seconds"] > 6 * 3600
    assert (person["difference_seconds"], person["reasons"]) == (0, [])
    assert "reconciled" in run(environment, "zoom", "reconcile", str(session_id)).stdout


def test_a_refusal_is_told_in_words_and_ends_with_one(
    database: Database, environment: dict[str, str], zoom: ReportingZoom, session_id: int
) -> None:
    zoom.refuse("instances", 400, 4711)
    zoom.refuse("participants", 400, 4711)
    result = run(environment, "zoom", "reconcile", str(session_id), "--json")
    assert result.exit_code == 1
    assert "zoom_scope_missing" in result.stderr
    assert "report:read:list_meeting_participants:admin" in result.stderr
    assert json.loads(result.stdout)["session"]["state"] == "provisional"


def test_without_credentials_it_says_what_to_set(
    database: Database, environment: dict[str, str], session_id: int
) -> None:
    environment.pop("GATEHOUSE_ZOOM_CLIENT_SECRET")
    result = run(environment, "zoom", "reconcile", str(session_id))
    assert (result.exit_code, "zoom_api_unset" in result.stderr) == (1, True)
    assert "GATEHOUSE_ZOOM_CLIENT_SECRET" in result.stderr


def test_an_unknown_session_is_refused(database: Database, environment: dict[str, str]) -> None:
    for verb in ("reconcile", "reports"):
        result = run(environment, "zoom", verb, "99")
        assert (result.exit_code, "session_unknown" in result.stderr) == (1, True)


def test_reports_lists_every_asking_and_the_next(
    database: Database, environment: dict[str, str], zoom: ReportingZoom, session_id: int
) -> None:
    printed = json.loads(run(environment, "zoom", "reports", str(session_id), "--json").stdout)
    assert (printed["fetches"], printed["next_at"] is not None) == ([], True)
    reconcile(environment, session_id)
    reconcile(environment, session_id)
    printed = json.loads(run(environment, "zoom", "reports", str(session_id), "--json").stdout)
    assert [each["settled"] for each in printed["fetches"]] == [False, True]
    assert len({each["report"] for each in printed["fetches"]}) == 1
    assert printed["next_at"] is None
    assert "Zoom is not asked again." in run(environment, "zoom", "reports", str(session_id)).stdout


def test_a_report_that_zoom_never_gives_is_waived(
    database: Database, environment: dict[str, str], zoom: ReportingZoom, session_id: int
) -> None:
    words = ("zoom", "waive", str(session_id), "--reason", "The account had no reports that month.")
    assert run(environment, *words[:3]).exit_code == 2
    assert run(environment, "session", "settle", str(session_id)).exit_code == 0
    assert "reports no longer waited for: 1" in run(environment, *words).stdout
    again = run(environment, *words)
    assert (again.exit_code, "reports_settled" in again.stderr) == (1, True)
    run(environment, "session", "settle", str(session_id))
    shown = json.loads(run(environment, "attendance", "show", str(session_id), "--json").stdout)
    assert shown["session"]["state"] == "reconciled"


def test_lock_and_reopen(database: Database, environment: dict[str, str], zoom: ReportingZoom, session_id: int) -> None:
    refused = run(environment, "session", "lock", str(session_id), "--reason", "Done.")
    assert (refused.exit_code, "session_not_reconciled" in refused.stderr) == (1, True)
    for _ in range(2):
        reconcile(environment, session_id)
    with database.write() as connection:
        connection.execute(tasks.delete())
    assert run(environment, "session", "lock", str(session_id)).exit_code == 2
    assert "is locked" in run(environment, "session", "lock", str(session_id), "--reason", "Done.").stdout
    shown = json.loads(run(environment, "attendance", "show", str(session_id), "--json").stdout)
    assert shown["session"]["state"] == "locked"
    locked = run(environment, "zoom", "reconcile", str(session_id))
    assert (locked.exit_code, "session_locked" in locked.stderr) == (1, True)
    assert run(environment, "session", "reopen", str(session_id), "--reason", "A mistake.").exit_code == 0
    with database.read() as connection:
        assert connection.scalar(select(table.c.state)) == "reconciled"


def test_a_class_that_is_not_over_has_no_report(
    database: Database, environment: dict[str, str], zoom: ReportingZoom, session_id: int
) -> None:
    with database.write() as connection:
        ends_at = datetime.fromisoformat("2099-01-01T00:00:00+00:00")
        connection.execute(update(table).values(ends_at=ends_at))
    result = run(environment, "zoom", "reconcile", str(session_id))
    assert (result.exit_code, "session_not_over" in result.stderr) == (1, True)
