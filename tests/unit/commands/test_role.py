"""`gatehouse role`: the first admin of an installation, and whom an upgrade asks about."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from lti_tool import audit, people
from lti_tool.commands.console import RefusingGroup
from lti_tool.commands.role import role
from tests.training_day import add_trainee

GATEHOUSE = RefusingGroup("gatehouse", commands={"role": role})
WHY = ("--reason", "Runs the training.")


@pytest.fixture
def run(settings, database, now):
    """The command line, with two people who are known."""
    with database.write() as connection:
        for number in (1, 2):
            add_trainee(connection, number, now)
    environment = {
        "GATEHOUSE_PUBLIC_URL": settings.public_url,
        "GATEHOUSE_SECRET_KEY": settings.secret_key,
        "GATEHOUSE_FIELD_KEYS": ",".join(settings.field_keys),
        "GATEHOUSE_DATABASE_URL": settings.database_url,
    }
    return lambda *words: CliRunner().invoke(GATEHOUSE, ("role", *words), env=environment)


def told(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_first_admin_is_granted_by_address_and_the_last_one_stays(run) -> None:
    (made,) = told(run("grant", "programme_admin", "trainee1@example.org", *WHY, "--json"))
    assert (made["trainee_id"], made["role"], made["granted_by"], made["ends_at"]) == (
        1,
        "programme_admin",
        "cli",
        None,
    )
    refused = run("end", str(made["id"]), "--reason", "Left.")
    assert (refused.exit_code, "role_needs_holder" in refused.stderr) == (1, True)
    told(run("grant", "programme_admin", "2", *WHY, "--json"))
    assert told(run("end", str(made["id"]), "--reason", "Left.", "--json"))["end_reason"] == "Left."
    assert [each["ended_at"] is None for each in told(run("list", "--json"))] == [True, False]


def test_somebody_who_has_not_opened_the_course_yet_is_named_by_platform_and_user_id(run, database) -> None:
    (made,) = told(run("grant", "coordinator", "--issuer", "https://lms.example.org", "--sub", "u-9", *WHY, "--json"))
    with database.read() as connection:
        known = people.of_identities(connection, "https://lms.example.org", ["u-9"])
    assert known["u-9"].id == made["trainee_id"]
    assert run("grant", "coordinator", *WHY).exit_code == 1


def test_a_role_is_granted_to_all_of_several_people_or_to_none(run) -> None:
    refused = run("grant", "coordinator", "1", "nobody@example.org", *WHY)
    assert (refused.exit_code, "trainee_unknown" in refused.stderr) == (1, True)
    assert told(run("list", "--json")) == []
    assert len(told(run("grant", "coordinator", "1", "2", "--until", "2099-06-30", *WHY, "--json"))) == 2


def test_staff_who_used_the_desk_lately_are_listed_until_they_hold_a_role(run, database) -> None:
    at = datetime.now(UTC) - timedelta(days=3)
    with database.write() as connection:
        for trainee_id in (1, 2):
            did = {"act": "decisions_viewed", "subject": "trainee:9"}
            audit.record(connection, actor=f"staff:{trainee_id}", at=at, **did)
    told(run("grant", "registrar", "1", *WHY, "--json"))
    assert [each["trainee_id"] for each in told(run("candidates", "--json"))] == [2]
