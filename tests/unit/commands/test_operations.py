"""`gatehouse migrate`, `worker --once` and `doctor`: what an operator types, and what is said."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from sqlalchemy import insert, text

from lti_tool.commands import main
from lti_tool.context import AppContext
from lti_tool.db import Database
from lti_tool.lti import registration
from lti_tool.migrations import head
from lti_tool.programme.versions import Published
from lti_tool.tables.operations import tasks
from lti_tool.tasks import now_utc
from tests.conftest import FIELD_KEY
from tests.training_day import add_session


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str | None]:
    return {
        "GATEHOUSE_PUBLIC_URL": "https://gatehouse.example.org",
        "GATEHOUSE_SECRET_KEY": "the secret key of the tests, which is long enough",
        "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
        "GATEHOUSE_DATA": str(tmp_path),
        "GATEHOUSE_DATABASE_URL": database_url,
        "GATEHOUSE_ZOOM_SECRET_TOKENS": "secret",
    }


def run(environment: dict[str, str | None], *arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environment, catch_exceptions=False)


def states(result: Result) -> dict[str, str]:
    return {finding["about"]: finding["state"] for finding in json.loads(result.stdout)}


def register_platform(database: Database, now: datetime) -> None:
    new = registration.NewRegistration(
        issuer="https://lms.example.org",
        client_id="client",
        auth_login_url="https://lms.example.org/auth",
        token_url="https://lms.example.org/token",
        key_set_url="https://lms.example.org/keys",
    )
    with database.write() as connection:
        registration.add(connection, new, ["1"], actor="cli", now=now)


@pytest.mark.databases("sqlite")
def test_migrate_says_from_where_to_where(environment: dict[str, str | None], tmp_path: Path) -> None:
    environment["GATEHOUSE_DATABASE_URL"] = f"sqlite:///{tmp_path}/new.db"
    assert json.loads(run(environment, "migrate", "--json").stdout) == {"before": None, "revision": head()}
    assert json.loads(run(environment, "migrate", "--json").stdout) == {"before": head(), "revision": head()}


def test_migrate_refuses_the_database_of_a_newer_release(
    environment: dict[str, str | None], database: Database
) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    result = run(environment, "migrate")
    assert result.exit_code == 1
    assert "(database_newer)" in result.stderr


@pytest.mark.parametrize(("typed", "meant"), [(["zom"], "zoom"), (["zoom", "waiv"], "waive")])
def test_a_mistyped_command_is_told_what_was_meant(typed: list[str], meant: str) -> None:
    result = run({}, *typed)
    assert (result.exit_code, f"Did you mean '{meant}'?" in result.stderr) == (2, True)


def test_the_worker_works_until_nothing_is_due(environment: dict[str, str | None]) -> None:
    result = run(environment, "worker", "--once", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"rounds": 0})


def test_doctor_finds_nothing_wrong_with_a_whole_installation(
    environment: dict[str, str | None], database: Database, published: Published, context: AppContext, now: datetime
) -> None:
    register_platform(database, now)
    context.keys.signing_key()
    result = run(environment, "doctor", "--json")
    assert result.exit_code == 0
    assert {about for about, state in states(result).items() if state != "ok"} == {"zoom account"}


def test_doctor_names_everything_that_is_missing(environment: dict[str, str | None], database: Database) -> None:
    given = {
        "GATEHOUSE_ZOOM_SECRET_TOKENS": "",
        "GATEHOUSE_ZOOM_CLIENT_ID": "c",
        "GATEHOUSE_ALLOW_PRIVATE_ADDRESSES": "1",
    }
    result = run({**environment, **given}, "doctor", "--json")
    assert result.exit_code == 1
    wrong = {about for about, state in states(result).items() if state == "wrong"}
    assert wrong == {"zoom webhook", "zoom account", "programme", "platforms"}
    assert states(result)["outbound calls"] == "note"


def test_doctor_tells_in_sentences_with_a_next_step(environment: dict[str, str | None], database: Database) -> None:
    said = run(environment, "doctor").stdout
    assert "WRONG  platforms: No platform is registered: the tool cannot be launched." in said
    assert "gatehouse platform add" in said


def test_doctor_sees_a_queue_that_nobody_works_off_and_tasks_that_were_given_up(
    environment: dict[str, str | None], database: Database, now: datetime
) -> None:
    row = {"kind": "settle", "payload": {}, "attempts": 8, "created_at": now}
    long_ago = now_utc().replace(year=2020)
    with database.write() as connection:
        connection.execute(insert(tasks).values(**row, key="1", state="ready", run_at=long_ago))
        connection.execute(insert(tasks).values(**row, key="2", state="parked", run_at=long_ago, last_error="KeyError"))
    result = run(environment, "doctor", "--json")
    assert {states(result)["queue"], states(result)["tasks"]} == {"wrong"}
    assert "settle (KeyError)" in result.stdout


def test_doctor_sees_a_class_of_the_past_without_an_end(
    environment: dict[str, str | None], database: Database, published: Published, now: datetime
) -> None:
    with database.write() as connection:
        session_id = add_session(connection, published, now, starts=datetime.fromisoformat("2024-03-05T09:00"))
    result = run(environment, "doctor", "--json")
    assert states(result)["sessions"] == "note"
    assert f"Live sessions still marked as running: {session_id}." in result.stdout


def test_doctor_sees_that_a_field_key_is_missing(
    environment: dict[str, str | None], database: Database, context: AppContext
) -> None:
    context.keys.signing_key()
    environment["GATEHOUSE_FIELD_KEYS"] = Fernet.generate_key().decode()
    assert states(run(environment, "doctor", "--json"))["keys"] == "wrong"


@pytest.mark.databases("sqlite")
def test_doctor_looks_at_an_empty_database_without_touching_it(
    environment: dict[str, str | None], tmp_path: Path
) -> None:
    environment["GATEHOUSE_DATABASE_URL"] = f"sqlite:///{tmp_path}/empty.db"
    assert states(run(environment, "doctor", "--json"))["database"] == "wrong"


@pytest.mark.databases("sqlite")
def test_doctor_says_that_the_database_is_away(environment: dict[str, str | None]) -> None:
    environment["GATEHOUSE_DATABASE_URL"] = "postgresql://gatehouse@127.0.0.1:1/nothing"
    result = run(environment, "doctor", "--json")
    assert (result.exit_code, states(result)["database"]) == (1, "wrong")


@pytest.mark.databases("sqlite")
def test_a_missing_setting_is_named_by_every_command(environment: dict[str, str | None]) -> None:
    environment["GATEHOUSE_SECRET_KEY"] = None
    for command in ("doctor", "migrate", "serve", "worker"):
        result = run(environment, command)
        assert result.exit_code == 1
        assert "GATEHOUSE_SECRET_KEY" in result.stderr
