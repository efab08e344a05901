"""The command line of gates, equivalencies, completions, licences and retreats."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lti_tool.commands.console import RefusingGroup
from lti_tool.commands.credit import licence
from lti_tool.commands.gate import completions, equivalency, gate
from lti_tool.commands.retreat import retreat
from lti_tool.db import Database
from lti_tool.programme.versions import Published
from lti_tool.settings import Settings
from tests.unit.people_of_tests import launched

GATEHOUSE = RefusingGroup(
    "gatehouse", commands={each.name or "": each for each in (gate, equivalency, completions, licence, retreat)}
)
LICENCE = (
    "licence", "add", "--trainee", "ada@example.org", "--jurisdiction", "CA", "--number", "LMFT-12345", "--name",
    "Ada Example", "--issued", "2020-01-01", "--expires", "2030-01-31",
)  # fmt: skip
REQUEST = (
    "equivalency", "submit", "--trainee", "ada@example.org", "--target", "F1", "--title", "Foundations", "--evidence",
    "certificate of 2023",
)  # fmt: skip


class Shell:
    """The command line on the test's database; the clock is the machine's."""

    def __init__(self, settings: Settings) -> None:
        self._environment = {
            "GATEHOUSE_PUBLIC_URL": settings.public_url,
            "GATEHOUSE_SECRET_KEY": settings.secret_key,
            "GATEHOUSE_FIELD_KEYS": ",".join(settings.field_keys),
            "GATEHOUSE_DATABASE_URL": settings.database_url,
        }

    def run(self, *arguments: str | Path | int) -> Result:
        return CliRunner().invoke(GATEHOUSE, list(map(str, arguments)), env=self._environment)

    def read(self, *arguments: str | Path | int) -> Any:
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def refused(self, *arguments: str | Path | int) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 1, result.output
        assert result.stdout == ""
        return result.stderr


@pytest.fixture
def shell(settings: Settings, database: Database, published: Published) -> Shell:
    assert published.version == 1
    with database.write() as connection:
        for name in ("Ada Example", "Ben Example"):
            launched(connection, datetime.fromisoformat("2024-01-01T00:00:00Z"), name)
    return Shell(settings)


def test_explain_tells_the_decision_in_the_agreed_form(shell: Shell) -> None:
    printed = shell.read("gate", "explain", "--trainee", "ada@example.org", "--module", "F2")
    assert (printed["open"], printed["programme_version"]) == (False, 1)
    assert [node["reason"] for node in printed["unmet"]] == ["module_not_taken", "equivalency_none"]
    assert printed["unmet"][0]["sentence"] == "You have not taken Module 1 yet."
    assert printed["decision"]["tree"]["op"] == "any"
    assert printed["decision"]["offering"] == "F2"


def test_explain_reads_well(shell: Shell) -> None:
    said = shell.run("gate", "explain", "--trainee", 1, "--module", "RT_EXP").stdout
    assert "is locked until your clinical licence is on record and you have taken Module 1" in said
    assert "recommended, not required:" in said
    assert "  unmet      No licence is recorded." in said


def test_explain_as_of_a_past_moment(shell: Shell) -> None:
    shell.read("gate", "allow", "--trainee", 1, "--module", "F2", "--reason", "agreed by phone")
    assert shell.read("gate", "explain", "--trainee", 1, "--module", "F2")["open"]
    past = shell.read("gate", "explain", "--trainee", 1, "--module", "F2", "--at", "2024-06-01T09:00:00-07:00")
    assert (past["open"], past["decision"]["at"]) == (False, "2024-06-01T16:00:00+00:00")
    [row] = shell.read("gate", "exceptions")
    assert (row["name"], row["offering_id"], row["reason"]) == ("Ada Example", "F2", "agreed by phone")
    assert "open by exception" in shell.run("gate", "explain", "--trainee", 1, "--module", "F2").stdout
    shell.read("gate", "end-exception", row["id"], "--reason", "no longer needed")
    assert not shell.read("gate", "explain", "--trainee", 1, "--module", "F2")["open"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("gate", "explain", "--trainee", "nobody@example.org", "--module", "F2"), "trainee_unknown"),
        (("gate", "explain", "--trainee", "1", "--module", "F99"), "offering_unknown"),
        (("equivalency", "approve", "99"), "equivalency_unknown"),
        ((*REQUEST, "--provider", "maps"), "equivalency_not_accepted"),
        ((*LICENCE, "--type", "wizard"), "licence_type_unknown"),
        (("retreat", "eligibility", "--trainee", "1", "--retreat", "F1"), "retreat_unknown"),
    ],
)
def test_refusals_go_to_stderr_with_their_code(shell: Shell, arguments: tuple[str, ...], code: str) -> None:
    assert f"({code})" in shell.refused(*arguments)


@pytest.mark.parametrize("moment", ["2024-06-01", "2024-06-01T09:00", "yesterday", "0001-01-01T00:00:00+14:00"])
def test_a_moment_without_an_offset_is_wrong_usage(shell: Shell, moment: str) -> None:
    assert shell.run("gate", "explain", "--trainee", 1, "--module", "F2", "--at", moment).exit_code == 2


def test_a_request_is_filed_listed_and_decided(shell: Shell) -> None:
    filed = shell.read(*REQUEST, "--provider", "prati", "--completed-on", "2023-05-01")
    [waiting] = shell.read("equivalency", "list")
    assert waiting == filed
    approved = shell.read("equivalency", "approve", filed["id"], "--until", "2099-12-31")
    assert (approved["state"], approved["expires_on"]) == ("approved", "2099-12-31")
    assert shell.read("equivalency", "list") == []
    assert [row["state"] for row in shell.read("equivalency", "list", "--trainee", 1)] == ["approved"]
    assert shell.read("gate", "explain", "--trainee", 1, "--module", "F2")["open"]
    assert shell.read("completions", "list", "--trainee", 1) == []
    assert "equivalency_state" in shell.refused("equivalency", "decline", filed["id"], "--text", "Take Module 1.")


def test_a_not_accepted_provider_can_still_ask_for_a_full_review(shell: Shell) -> None:
    filed = shell.read(*REQUEST, "--provider", "maps", "--full-review")
    declined = shell.read("equivalency", "decline", filed["id"], "--text", "Please take Module 1.")
    assert (declined["state"], declined["decision_text"]) == ("declined", "Please take Module 1.")


def test_a_licence_is_recorded_masked_corrected_and_ended(shell: Shell) -> None:
    added = shell.read(*LICENCE, "--type", "lmft")
    assert (added["type"], added["number"], added["verified"]) == ("LMFT", "••••••••45", False)
    corrected = shell.read(*LICENCE, "--type", "LMFT", "--replaces", added["id"], "--verified")
    assert [row["id"] for row in shell.read("licence", "list", "--trainee", 1)] == [corrected["id"]]
    assert len(shell.read("licence", "list", "--trainee", 1, "--ended")) == 2
    shell.read("licence", "end", corrected["id"], "--reason", "surrendered")
    assert shell.read("licence", "list", "--trainee", 1) == []


def test_completions_are_previewed_committed_and_listed(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "past.csv"
    file.write_text(
        "person_key_type,person_key,module,completed_on\n"
        "email,ada@example.org,F1,2024-07-13\nemail,nobody@example.org,F1,2024-07-13\n"
    )
    preview = shell.read("completions", "import", file)
    assert (preview["committed"], preview["counts"]["new"], preview["counts"]["unknown_person"]) == (False, 1, 1)
    assert shell.read("completions", "list") == []
    assert f"--commit {preview['digest']}" in shell.run("completions", "import", file).stdout
    printed = shell.run("completions", "import", file, "--commit", preview["digest"]).stdout
    assert "line 3, person_key: unknown_person" in printed
    assert "Imported." in printed
    [row] = shell.read("completions", "list", "--module", "F1")
    assert (row["trainee_id"], row["completed_on"], row["origin"]) == (1, "2024-07-13", "imported")
    assert shell.read("completions", "list", "--module", "F2") == []
    file.write_text(file.read_text() + "email,ben@example.org,F1,2024-07-13\n")
    assert "import_file_differs" in shell.refused("completions", "import", file, "--commit", preview["digest"])


def test_retreats_are_listed_with_their_gates_in_words(shell: Shell) -> None:
    rows = {row["id"]: row for row in shell.read("retreat", "list")}
    assert rows["RT_EXP"]["offered"]
    assert not rows["RT_DIA"]["offered"]
    assert rows["RT_DIA"]["gate"] == "Not decided yet"


def test_eligibility_lists_what_is_missing(shell: Shell) -> None:
    about = ("--trainee", 1, "--retreat", "RT_ADV", "--starts-on", "2024-10-03")
    printed = shell.read("retreat", "eligibility", *about)
    assert (printed["may_apply"], printed["offered"], printed["starts_on"]) == (False, True, "2024-10-03")
    assert [node["reason"] for node in printed["unmet"]] == ["retreat_not_attended", "equivalency_none"]
    said = shell.run("retreat", "eligibility", "--trainee", 1, "--retreat", "RT_ADV").stdout
    assert "may apply: no" in said


def test_presence_is_marked_and_turned_round_by_two(shell: Shell) -> None:
    about = ("--trainee", 1, "--retreat", "RT_EXP", "--starts-on", "2024-09-04")
    shell.read("retreat", "attended", *about)
    assert shell.read("gate", "explain", "--trainee", 1, "--module", "RT_ADV")["open"]
    assert "second_person_needed" in shell.refused("retreat", "attended", *about, "--no-show")
    shell.read("retreat", "attended", *about, "--no-show", "--reason", "seen elsewhere", "--confirmed-by", "staff:2")
    assert [row["outcome"] for row in shell.read("retreat", "roster")] == ["no_show"]
    assert shell.read("retreat", "applications") == []


@pytest.mark.parametrize("group", GATEHOUSE.commands)
def test_every_command_explains_itself(group: str) -> None:
    for name in ("", *GATEHOUSE.commands[group].commands):  # type: ignore[attr-defined]
        result = CliRunner().invoke(GATEHOUSE, [*filter(None, (group, name)), "--help"])
        assert result.exit_code == 0
        assert len(result.stdout) > 100
