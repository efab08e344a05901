"""`gatehouse programme`: check, diff, publish, export."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lti_tool.commands.console import RefusingGroup
from lti_tool.commands.programme import programme
from lti_tool.settings import Settings
from tests.unit.programme.documents import CONFIG, SMALL, changed

GATEHOUSE = RefusingGroup("gatehouse", commands={"programme": programme})


def run(*arguments: str | Path, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(GATEHOUSE, ["programme", *map(str, arguments)], env=environment)


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return {
        "GATEHOUSE_PUBLIC_URL": settings.public_url,
        "GATEHOUSE_SECRET_KEY": settings.secret_key,
        "GATEHOUSE_FIELD_KEYS": ",".join(settings.field_keys),
        "GATEHOUSE_DATABASE_URL": settings.database_url,
    }


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def test_check_needs_no_settings_and_passes_a_good_document(document: Path) -> None:
    result = run("check", document)
    assert (result.exit_code, result.stdout) == (0, f"{document}: 0 errors, 0 warnings\n")


def test_check_tells_warnings_and_still_passes() -> None:
    result = run("check", CONFIG / "polaris-2024.yaml")
    assert result.exit_code == 0
    assert "contradiction_undecided" in result.stdout


def test_check_names_file_line_and_place_of_an_error_and_fails(document: Path) -> None:
    document.write_text(changed("- completed: {module: A}", "- completed: {module: Z}"))
    result = run("check", document)
    assert result.exit_code == 1
    assert f"{document}:52: error:" in result.stdout
    assert "gates.second.rule.any[0].completed.module" in result.stdout


def test_check_as_json_has_every_problem(document: Path) -> None:
    document.write_text(changed("share: 0.80", "share: UNSET"))
    printed = json.loads(run("check", document, "--json").stdout)
    assert (printed["publishable"], printed["errors"], printed["warnings"]) == (True, 0, 1)
    assert printed["problems"][0]["path"] == "completion.share"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"a: b\n" * 2_000_000, b"[" * 100_000, b"- !!python/none"])
def test_check_tells_of_a_broken_file_and_never_fails_otherwise(document: Path, content: bytes) -> None:
    document.write_bytes(content)
    result = run("check", document)
    assert result.exit_code == 1
    assert "1 errors" in result.stdout


def test_a_file_that_is_not_there_is_told_with_its_code(tmp_path: Path) -> None:
    result = run("check", tmp_path / "none.yaml")
    assert result.exit_code == 1
    assert "(file_unreadable)" in result.stderr


def test_publish_gives_the_number_of_the_version(document: Path, environment: dict[str, str]) -> None:
    assert json.loads(run("publish", document, "--json", environment=environment).stdout) == {"version": 1}
    assert json.loads(run("publish", document, "--json", environment=environment).stdout) == {"version": 1}
    document.write_text(changed("capacity: 12", "capacity: 13"))
    assert json.loads(run("publish", document, "--json", environment=environment).stdout) == {"version": 2}


def test_publish_refuses_a_document_with_errors(document: Path, environment: dict[str, str]) -> None:
    document.write_text(changed("share: 0.80", "share: 8"))
    result = run("publish", document, environment=environment)
    assert result.exit_code == 1
    assert "(programme_refused)" in result.stderr


def test_diff_shows_what_would_change(document: Path, environment: dict[str, str]) -> None:
    run("publish", document, environment=environment)
    assert "same as version 1" in run("diff", document, environment=environment).stdout
    document.write_text(changed("capacity: 12", "capacity: 13\n    partner: A clinic"))
    assert run("diff", document, environment=environment).stdout.splitlines() == [
        "~ retreats.R.capacity: 12 → 13",
        "+ retreats.R.partner: A clinic",
    ]
    printed = json.loads(run("diff", document, "--json", environment=environment).stdout)
    assert printed[0] == {"path": "retreats.R.capacity", "before": 12, "after": 13}


def test_export_prints_the_document_as_it_was_published(document: Path, environment: dict[str, str]) -> None:
    run("publish", document, environment=environment)
    document.write_text(changed("capacity: 12", "capacity: 13"))
    run("publish", document, environment=environment)
    assert run("export", "--version", "1", environment=environment).stdout == SMALL
    printed = json.loads(run("export", "--json", environment=environment).stdout)
    assert (printed["version"], printed["programme"]["retreats"]["R"]["capacity"]) == (2, 13)


def test_export_before_anything_is_published_says_what_to_do(environment: dict[str, str]) -> None:
    result = run("export", environment=environment)
    assert result.exit_code == 1
    assert "(programme_not_published)" in result.stderr


@pytest.mark.parametrize("verb", ["check", "diff", "publish", "export"])
def test_every_verb_has_help(verb: str) -> None:
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout
