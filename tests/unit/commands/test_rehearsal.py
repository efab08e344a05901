"""`gatehouse attendance rehearse`: another policy on what was taught, from the inbox up."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lti_tool.commands import main
from tests.unit.commands.test_zoom import play

GENTLE = "completion: {share: 0.10}\n"
STRICT = "completion: {share: 1.00}\n"


@pytest.fixture
def rehearse(settings, tmp_path: Path):
    environment = {
        "GATEHOUSE_PUBLIC_URL": settings.public_url,
        "GATEHOUSE_SECRET_KEY": settings.secret_key,
        "GATEHOUSE_FIELD_KEYS": ",".join(settings.field_keys),
        "GATEHOUSE_DATABASE_URL": settings.database_url,
    }

    def run(policy: str, *words: str) -> Result:
        file = tmp_path / "policy.yaml"
        file.write_text(policy, encoding="utf-8")
        given = ["attendance", "rehearse", "--policy", str(file), *words]
        return CliRunner().invoke(main, given, env=environment)

    return run


def test_what_was_taught_is_judged_from_the_evidence(rehearse, database, published, now) -> None:
    session_id = play(database, published, now)
    shown = json.loads(rehearse(STRICT, "--json", "--session", str(session_id)).stdout)
    assert [each["people"] for each in shown] == [1]
    kept = json.loads(rehearse(GENTLE, "--json", "--session", str(session_id)).stdout)
    assert kept[0]["differences"] == []


def test_without_taught_sessions_there_is_nothing_to_judge(rehearse, published) -> None:
    result = rehearse(GENTLE)
    assert (result.exit_code, result.stdout) == (0, "0 sessions, 0 attendances: 0 decisions come out otherwise\n")


@pytest.mark.parametrize("policy", ["completion: {share: 5}", "nonsense: 1", "[", ""])
def test_a_policy_that_cannot_be_used_is_refused_with_its_place(rehearse, published, policy: str) -> None:
    result = rehearse(policy)
    assert result.exit_code == 1
    assert "policy_wrong" in result.stderr
    assert "policy.yaml:" in result.stderr


def test_an_unknown_session_is_refused(rehearse, published) -> None:
    assert "session_unknown" in rehearse(GENTLE, "--session", "99").stderr
