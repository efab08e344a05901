"""`gatehouse platform` and `gatehouse keys`, as somebody at a terminal uses them."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from lti_tool.commands import main
from lti_tool.db import Database
from lti_tool.lti import registration
from lti_tool.lti.registration import NewRegistration
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


def run_json(environment: dict[str, str], *words: str) -> Any:
    result = run(environment, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_platform_is_added_listed_shown_changed_and_disabled(environment: dict[str, str]) -> None:
    added = run_json(environment, *ADD, *ADDRESSES, *KEY_SET, "--profile", "openedx")
    assert added["tool_login_url"] == "https://gatehouse.example.org/lti/login"
    assert added["tool_launch_url"] == "https://gatehouse.example.org/lti/launch"
    assert added["tool_key_set_url"] == "https://gatehouse.example.org/lti/jwks.json"
    number = str(added["id"])
    run_json(environment, *ADD, "--deployment-id", "2", *ADDRESSES, *KEY_SET, "--profile", "openedx")
    run_json(
        environment, "platform", "change", number, "--token-url", "https://lms.example.org/t2", "--audience", "aud"
    )
    run_json(environment, "platform", "change", number, "--service-origin", "https://api.example.org/v1")
    (listed,) = run_json(environment, "platform", "list")
    assert listed == {
        "id": added["id"],
        "issuer": "https://lms.example.org",
        "client_id": "client-1",
        "deployment_ids": ["1", "2"],
        "auth_login_url": "https://lms.example.org/auth",
        "token_url": "https://lms.example.org/t2",
        "key_set_url": "https://lms.example.org/keys",
        "audience": "aud",
        "service_origins": ["https://api.example.org"],
        "profile": "openedx",
        "old_roles": False,
        "came_by": "command",
        "status": "active",
    }
    assert run_json(environment, "platform", "disable", number)["status"] == "disabled"
    assert run_json(environment, "platform", "show", number)["status"] == "disabled"
    assert run_json(environment, "platform", "enable", number)["status"] == "active"
    assert "client-1" in run(environment, "platform", "list").stdout


@pytest.mark.parametrize("url", ["http://lms.example.org/keys", "https://10.0.0.8/keys", "nonsense"])
def test_an_address_that_could_never_be_called_is_refused(url: str, environment: dict[str, str]) -> None:
    result = run(environment, *ADD, *ADDRESSES, "--key-set-url", url)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert "(address_refused)\n  " in result.stderr


def test_another_unit_of_an_open_edx_takes_one_line(environment: dict[str, str]) -> None:
    base = "https://lms.example.org/api/lti_consumer/v1"
    addresses = ["--auth-login-url", f"{base}/launch/", "--token-url", f"{base}/token/1a"]
    first = run_json(
        environment, *ADD, *addresses, "--key-set-url", f"{base}/public_keysets/1a",
        "--profile", "openedx", "--service-origin", "https://api.example.org",
    )  # fmt: skip
    unit = ["--client-id", "client-2", "--key-set-url", f"{base}/public_keysets/2b"]
    second = run_json(environment, "platform", "add-unit", str(first["id"]), *unit)
    own = {
        "id": 2,
        "client_id": "client-2",
        "token_url": f"{base}/token/2b",
        "key_set_url": f"{base}/public_keysets/2b",
    }
    assert second == first | own
    private = run(environment, "platform", "add-unit", "1", "--client-id", "c", "--key-set-url", "https://10.0.0.8/k")
    assert "(address_refused)" in private.stderr


def test_many_clients_of_one_issuer_are_listed_under_it(environment: dict[str, str]) -> None:
    assert run(environment, "platform", "list").stdout == "(none)\n"
    for issuer, client in (("b", "client-1"), ("a", "client-2"), ("b", "client-3")):
        given = ["--issuer", f"https://{issuer}.example.org", "--client-id", client, "--deployment-id", "1"]
        run_json(environment, "platform", "add", *given, *ADDRESSES, *KEY_SET)
    lines = run(environment, "platform", "list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        "https://a.example.org", "id", "2", "https://b.example.org", "id", "1", "3",
    ]  # fmt: skip
    assert lines[-1].split() == ["3", "client-3", "1", "generic", "command", "active"]


def test_an_invitation_is_printed_as_a_link(environment: dict[str, str]) -> None:
    printed = run_json(environment, "platform", "invite", "--hours", "2")
    assert re.fullmatch(r"https://gatehouse\.example\.org/lti/register\?invitation=[\w-]{43}", printed["link"])
    assert "expires_at" in run(environment, "platform", "invite").stdout
    assert run(environment, "platform", "invite", "--hours", "0").exit_code == 2
    assert run(environment, "platform", "invite", "--hours", "9999999999").exit_code == 2


def test_a_platform_that_registered_itself_is_approved(
    environment: dict[str, str], database: Database, now: datetime
) -> None:
    address = "https://moodle.example.org"
    new = NewRegistration(address, "client-9", address, address, address)
    with database.write() as connection:
        registration.add(connection, new, [], actor="invitation:1", now=now, came_by="dynamic", status="pending")
    assert run_json(environment, "platform", "list")[0]["status"] == "pending"
    for refused in ("approve", "enable"):
        assert "(deployment_missing)" in run(environment, "platform", refused, "1").stderr
    approved = run_json(environment, "platform", "approve", "1", "--deployment-id", "3")
    assert (approved["status"], approved["deployment_ids"], approved["came_by"]) == ("active", ["3"], "dynamic")
    assert "(platform_not_pending)" in run(environment, "platform", "approve", "1").stderr


def test_what_could_speak_for_a_known_platform_takes_a_word_more(
    environment: dict[str, str], database: Database, now: datetime
) -> None:
    run_json(environment, *ADD, *ADDRESSES, *KEY_SET)
    elsewhere = "https://lms.example.org/~somebody/keys"
    new = NewRegistration("https://lms.example.org", "client-9", ADDRESSES[1], ADDRESSES[3], elsewhere)
    with database.write() as connection:
        registration.add(connection, new, ["1"], actor="invitation:1", now=now, came_by="dynamic", status="pending")
    for way in ("approve", "enable"):
        refused = run(environment, "platform", way, "2")
        assert "(platform_doubtful)" in refused.stderr
        assert elsewhere in refused.stderr
    assert run_json(environment, "platform", "approve", "2", "--confirm")["status"] == "active"
    run_json(environment, "platform", "disable", "2")
    assert run_json(environment, "platform", "enable", "2", "--confirm")["status"] == "active"


def test_a_file_is_looked_at_first_and_then_imported(environment: dict[str, str], tmp_path: Path) -> None:
    row = {
        "issuer": "https://lms.example.org",
        "client_id": "client-1",
        "deployment_ids": ["1"],
        "auth_login_url": "https://lms.example.org/auth",
        "token_url": "https://lms.example.org/token",
        "key_set_url": "https://lms.example.org/keys",
    }
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps([row, row | {"client_id": "client-2"}]), encoding="utf-8")
    bad.write_text(json.dumps([row, row | {"client_id": 7}]), encoding="utf-8")
    looked = run(environment, "platform", "import", str(good), "--dry-run")
    assert (looked.exit_code, looked.stdout.splitlines()[-1]) == (0, "Nothing was written: this was a dry run.")
    assert run_json(environment, "platform", "list") == []
    for options in ([], ["--dry-run"]):
        refused = run(environment, "platform", "import", str(bad), *options)
        assert (refused.exit_code, "(platform_rows_refused)" in refused.stderr) == (1, True)
        assert "client_id must be text: put it in quotes." in refused.stdout
    assert run_json(environment, "platform", "list") == []
    written = run_json(environment, "platform", "import", str(good))
    assert [(each["row"], each["outcome"], each["client_id"]) for each in written] == [
        (1, "new", "client-1"),
        (2, "new", "client-2"),
    ]
    assert [each["came_by"] for each in run_json(environment, "platform", "list")] == ["file", "file"]
    assert "Imported." in run(environment, "platform", "import", str(good)).stdout
    assert run(environment, "platform", "import", str(tmp_path / "none.yaml")).exit_code == 2


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
    (first,) = run_json(environment, "keys", "list")
    assert first["state"] == "signing"
    rotated = run_json(environment, "keys", "rotate")
    states = {key["kid"]: key["state"] for key in run_json(environment, "keys", "list")}
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
