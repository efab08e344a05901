"""`gatehouse roster`: read, listed and shown on the command line."""

import json

import pytest
import responses
from click.testing import CliRunner, Result

from lti_tool.commands.console import RefusingGroup
from lti_tool.commands.roster import roster
from lti_tool.db import Database
from lti_tool.lti.nrps import ROSTER_SCOPE
from lti_tool.settings import Settings
from tests.clock import TestClock
from tests.platform import Platform
from tests.roster import MEMBERS_URL, TEACHER, person
from tests.training_day import add_place

GATEHOUSE = RefusingGroup("gatehouse", commands={"roster": roster})


@pytest.fixture
def platform(database: Database, clock: TestClock, wire: responses.RequestsMock) -> Platform:
    """A platform with one course whose unit offers a roster."""
    platform = Platform().register(database, clock())
    platform.serve_token(wire, scope=ROSTER_SCOPE)
    wire.get(MEMBERS_URL, json={"members": [person(1), TEACHER]})
    with database.write() as connection:
        add_place(connection, platform.registration_id, clock(), memberships_url=MEMBERS_URL)
    return platform


@pytest.fixture
def run(settings: Settings):
    environment = {
        "GATEHOUSE_PUBLIC_URL": settings.public_url,
        "GATEHOUSE_SECRET_KEY": settings.secret_key,
        "GATEHOUSE_FIELD_KEYS": ",".join(settings.field_keys),
        "GATEHOUSE_DATABASE_URL": settings.database_url,
    }
    return lambda *words: CliRunner().invoke(GATEHOUSE, ["roster", *words], env=environment)


def json_of(result: Result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_roster_is_read_listed_and_shown(run, platform: Platform) -> None:
    assert json_of(run("list", "--json")) == []
    (row,) = json_of(run("read", "--json"))
    known = ("platform", "course", "title", "members", "code", "offered")
    assert {name: row[name] for name in known} == {
        "platform": platform.registration_id,
        "course": "course-1",
        "title": "Foundations",
        "members": 2,
        "code": "",
        "offered": True,
    }
    assert json_of(run("list", "--json")) == [row]
    shown = json_of(run("show", str(platform.registration_id), "course-1", "--json"))
    assert shown["course"] == row
    assert [(each["user_id"], each["role"], each["last_launch_at"]) for each in shown["members"]] == [
        ("user-1", "trainee", None),
        ("user-9", "staff", None),
    ]


def test_one_roster_is_read_again_when_asked(run, platform: Platform, wire: responses.RequestsMock) -> None:
    json_of(run("read", "--json"))
    wire.replace("GET", MEMBERS_URL, json={"members": [person(1), person(2), TEACHER]})
    (row,) = json_of(run("read", str(platform.registration_id), "course-1", "--json"))
    assert row["members"] == 3


def test_people_are_shown_as_a_table(run, platform: Platform) -> None:
    json_of(run("read", "--json"))
    said = run("show", str(platform.registration_id), "course-1").stdout
    assert "Foundations" in said
    assert "trainee1@example.org" in said


def test_a_roster_that_is_not_kept_is_refused(run, platform: Platform) -> None:
    for verb in ("show", "read"):
        refused = run(verb, str(platform.registration_id), "course-7")
        assert refused.exit_code == 1
        assert "roster_unknown" in refused.stderr


def test_a_platform_without_a_course_is_wrong_usage(run, platform: Platform) -> None:
    assert run("read", str(platform.registration_id)).exit_code == 2
