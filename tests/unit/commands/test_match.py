"""`gatehouse match`: links by command, with the reasons for refusals on stderr."""

import json

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from lti_tool.attendance.settlement import settle
from lti_tool.commands.attendance import match
from lti_tool.commands.console import RefusingGroup
from lti_tool.tables.live_sessions import live_sessions
from tests.training_day import FIVE, MEETING, WHOLE_DAY, add_session, add_trainee, present

GATEHOUSE = RefusingGroup("gatehouse", commands={"match": match})
GUEST = "guest@elsewhere.example.org"
WHY = ("--reason", "She rang.")
TO = ("--trainee", "trainee1@example.org")


@pytest.fixture
def run(settings, database, published, now):
    """The command line, after a day with one guest."""
    with database.write() as connection:
        session_id = add_session(connection, published, now)
        add_trainee(connection, 1, now)
    guest = {"key": "registrant:rg-1", "registrant_id": "rg-1", "email": GUEST, "display_name": "A guest"}
    settle(database, session_id, [present(None, *WHOLE_DAY, **guest)], FIVE, now, lambda *_: None)
    environment = {
        "GATEHOUSE_PUBLIC_URL": settings.public_url,
        "GATEHOUSE_SECRET_KEY": settings.secret_key,
        "GATEHOUSE_FIELD_KEYS": ",".join(settings.field_keys),
        "GATEHOUSE_DATABASE_URL": settings.database_url,
    }
    return lambda *words: CliRunner().invoke(GATEHOUSE, ("match", *words), env=environment)


def json_of(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_who_waits_is_listed_with_what_they_are_known_by(run):
    (waiting,) = json_of(run("list", "--waiting", "--json"))
    assert (waiting["name"], waiting["minutes_present"]) == ("A guest", 390.0)
    assert waiting["known_by"] == ["registrant:rg-1", f"email:{GUEST}"]
    assert "A guest" in run("list", "--waiting").stdout


@pytest.mark.parametrize(
    "named",
    [("--address", GUEST), ("--registrant", "rg-1", "--meeting", "853 0000 1234")],
    ids=["address", "registrant"],
)
def test_a_link_is_made_listed_and_taken_back(run, named):
    made = json_of(run("link", *TO, *named, *WHY, "--json"))
    assert (made["made_by"], made["settled_again"], made["locked"]) == ("cli", [1], [])
    assert [row["id"] for row in json_of(run("list", "--json"))] == [made["id"]]
    assert json_of(run("list", "--trainee", "trainee1@example.org", "--json")) == json_of(run("list", "--json"))
    undone = json_of(run("undo", str(made["id"]), "--reason", "It was her sister.", "--json"))
    assert undone["undone_reason"] == "It was her sister."


def test_a_locked_session_is_named(run, database):
    with database.write() as connection:
        connection.execute(update(live_sessions).values(state="locked"))
    made = json_of(run("link", *TO, "--address", GUEST, *WHY, "--json"))
    assert (made["settled_again"], made["locked"]) == ([], [1])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("link", *TO, *WHY), "link_wrong"),
        (("link", *TO, "--address", GUEST, "--registrant", "rg-1", "--meeting", MEETING, *WHY), "link_wrong"),
        (("link", *TO, "--registrant", "rg-1", *WHY), "link_wrong"),
        (("link", *TO, "--connection", "user:5", "--meeting", MEETING, *WHY), "link_numbered"),
        (("link", *TO, "--address", GUEST, "--reason", " "), "reason_missing"),
        (("link", "--trainee", "nobody@example.org", "--address", GUEST, *WHY), "trainee_unknown"),
        (("undo", "999", *WHY), "link_unknown"),
    ],
)
def test_what_does_not_stand_is_refused_with_its_code(run, words, code):
    result = run(*words)
    assert (result.exit_code, f"({code})" in result.stderr) == (1, True)
