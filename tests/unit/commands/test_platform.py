"""`gatehouse platform` and `gatehouse keys`, as somebody at a terminal uses them."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from lti_tool.commands import main
from lti_tool.db import Database
from lti_tool.settings import Settings

ADD = ["platform", "add", "--issuer", "https://lms.example.org", "--client-id", "client-1", "--deployment-id", "1"]
ADDRESSES = ["--auth-login-url", "https://lms.example.org/auth", "--token-url", "https://lms.example.org/token"]
KEY_SET = ["--key-set-url", "https://lms.example.org/keys"]


pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def environment(settings: Settings, database: Database) -> dict[str, str]:
    """What a terminal of this test has in its environment."""
    return {
        "GATEHOUSE_PUBLIC_URL": settings.public_url,
        "GATEHOUSE_SECRET_KEY": settings.secret_key,
        "GATEHOUSE_FIELD_KEYS": ",".join(settings.field_keys),
        "GATEHOUSE_DATABASE_URL": settings.database_url,
    }


def run(environment: dict[str, str], *words: str) -> Result:
    return CliRunner(env=environment).invoke(main, words)


def told(environment: dict[str, str], *words: str) -> Any:
    result = run(environment, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_platform_is_added_listed_shown_changed_and_disabled(environment: dict[str, str]) -> None:
    added = told(environment, *ADD, *ADDRESSES, *KEY_SET, "--profile", "openedx")
    assert added["tool_login_url"] == "https://gatehouse.example.org/lti/login"
    assert added["tool_launch_url"] == "https://gatehouse.example.org/lti/launch"
    assert added["tool_key_set_url"] == "https://gatehouse.example.org/lti/jwks.json"
    number = str(added["id"])
    told(environment, *ADD, "--deployment-id", "2", *ADDRESSES, *KEY_SET, "--profile", "openedx")
    told(environment, "platform", "change", number, "--token-url", "https://lms.example.org/t2", "--audience", "aud")
    (listed,) = told(environment, "platform", "list")
    assert listed == {
        "id": added["id"],
        "issuer": "https://lms.example.org",
        "client_id": "client-1",
        "deployment_ids": ["1", "2"],
        "auth_login_url": "https://lms.example.org/auth",
        "token_url": "https://lms.example.org/t2",
        "key_set_url": "https://lms.example.org/keys",
        "audience": "aud",
        "profile": "openedx",
        "old_roles": False,
        "status": "active",
    }
    assert told(environment, "platform", "disable", number)["status"] == "disabled"
    assert told(environment, "platform", "show", number)["status"] == "disabled"
    assert told(environment, "platform", "enable", number)["status"] == "active"
    assert "client-1" in run(environment, "platform", "list").stdout


@pytest.mark.parametrize("url", ["http://lms.example.org/keys", "https://10.0.0.8/keys", "nonsense"])
def test_an_address_that_could_never_be_called_is_refused(url: str, environment: dict[str, str]) -> None:
    result = run(environment, *ADD, *ADDRESSES, "--key-set-url", url)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "(address_refused)\n  " in result.stderr


def test_a_refusal_names_its_code_and_the_next_step(environment: dict[str, str]) -> None:
    result = run(environment, "platform", "show", "99")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: There is no platform with this id. (platform_missing)\n  `gatehouse platform list` shows them.\n"
    )


def test_wrong_usage_exits_with_two(environment: dict[str, str]) -> None:
    assert run(environment, "platform", "add").exit_code == 2
    assert run(environment, "platform", "show", "one").exit_code == 2
    assert run(environment, "platform", "sing").exit_code == 2


def test_a_missing_setting_is_named() -> None:
    result = CliRunner(env={"GATEHOUSE_PUBLIC_URL": None}).invoke(main, ["platform", "list"])
    assert result.exit_code == 1
    assert "GATEHOUSE_PUBLIC_URL is not set" in result.stderr
    assert "(setting_missing)" in result.stderr


def test_a_database_without_tables_is_told(environment: dict[str, str], tmp_path: Any) -> None:
    empty = environment | {"GATEHOUSE_DATABASE_URL": f"sqlite:///{tmp_path}/empty.db"}
    result = run(empty, "platform", "list")
    assert result.exit_code == 1
    assert "(database_away)" in result.stderr


def test_keys_are_listed_and_rotated(environment: dict[str, str]) -> None:
    (first,) = told(environment, "keys", "list")
    assert first["state"] == "signing"
    rotated = told(environment, "keys", "rotate")
    states = {key["kid"]: key["state"] for key in told(environment, "keys", "list")}
    assert states == {first["kid"]: "signing", rotated["kid"]: "waiting"}
    assert "(rotation_under_way)" in run(environment, "keys", "rotate").stderr
    assert "signing" in run(environment, "keys", "list").stdout


def test_a_new_field_key_can_be_used_as_it_is_printed() -> None:
    printed = CliRunner(env={"GATEHOUSE_PUBLIC_URL": None}).invoke(main, ["keys", "field"])
    assert Fernet(printed.stdout.strip())


@pytest.mark.parametrize("noun", [[], ["platform"], ["platform", "add"], ["keys"], ["keys", "rotate"]])
def test_help_needs_no_settings(noun: list[str]) -> None:
    result = CliRunner(env={"GATEHOUSE_PUBLIC_URL": None}).invoke(main, [*noun, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.stdout
