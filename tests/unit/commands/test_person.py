"""`gatehouse person`: joins by command, with the reasons for refusals on stderr."""

import json

import pytest
from click.testing import CliRunner

from lti_tool import people
from lti_tool.commands.console import RefusingGroup
from lti_tool.commands.person import person
from tests.training_day import add_trainee

GATEHOUSE = RefusingGroup("gatehouse", commands={"person": person})
WHY = ("--reason", "She showed both accounts.")


@pytest.fixture
def run(settings, database, now):
    """The command line, with two accounts that share an address."""
    with database.write() as connection:
        add_trainee(connection, 1, now)
        given = {"name": "T", "email": "trainee1@example.org", "now": now}
        people.find_or_add(connection, "https://moved.example.org", "u-1", **given)
    environment = {
        "GATEHOUSE_PUBLIC_URL": settings.public_url,
        "GATEHOUSE_SECRET_KEY": settings.secret_key,
        "GATEHOUSE_FIELD_KEYS": ",".join(settings.field_keys),
        "GATEHOUSE_DATABASE_URL": settings.database_url,
    }
    return lambda *words: CliRunner().invoke(GATEHOUSE, ("person", *words), env=environment)


def told(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_who_may_be_one_person_is_suggested_joined_and_separated(run):
    (suggested,) = told(run("list", "--suggested", "--json"))
    assert (suggested["email"], suggested["trainees"]) == ("trainee1@example.org", [1, 2])
    made = told(run("join", "1", "2", *WHY, "--json"))
    assert (made["kept_id"], made["joined_id"], made["made_by"]) == (1, 2, "cli")
    assert told(run("list", "--suggested", "--json")) == []
    assert [row["id"] for row in told(run("list", "--json"))] == [made["id"]]
    undone = told(run("separate", str(made["id"]), "--reason", "Two sisters.", "--json"))
    assert undone["undone_reason"] == "Two sisters."


def test_an_address_of_two_people_names_neither_in_a_join(run):
    refused = run("join", "trainee1@example.org", "2", *WHY)
    assert (refused.exit_code, "trainee_ambiguous" in refused.stderr) == (1, True)
