"""A setting that is missing or wrong stops the start and is named; nothing secret has a default."""

import re
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, InvalidToken

from lti_tool.errors import SettingsError
from lti_tool.settings import SETTINGS, SmtpServer, load_settings

ROOT = Path(__file__).parent.parent.parent
KEY = Fernet.generate_key().decode()
REQUIRED = {
    "GATEHOUSE_PUBLIC_URL": "https://gatehouse.example.org",
    "GATEHOUSE_SECRET_KEY": "s" * 32,
    "GATEHOUSE_FIELD_KEYS": KEY,
}


def test_three_settings_are_enough() -> None:
    settings = load_settings(REQUIRED)
    assert settings.public_url == "https://gatehouse.example.org"
    assert settings.zoom_secret_tokens == ()
    assert settings.programme is None
    assert not settings.allow_private_addresses


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_without_one_of_them_the_start_stops_and_names_it(name: str) -> None:
    with pytest.raises(SettingsError, match=name) as refusal:
        load_settings({key: value for key, value in REQUIRED.items() if key != name})
    assert refusal.value.code == "setting_missing"


WRONG = {
    "GATEHOUSE_PUBLIC_URL": [
        "",
        "gatehouse.example.org",
        "https://g.example.org/path",
        "ftp://g.example.org",
        "https://u@g",
    ],
    "GATEHOUSE_SECRET_KEY": ["", "short"],
    "GATEHOUSE_FIELD_KEYS": ["", " , ", "not-a-key", f"{KEY},short", "é"],
    "GATEHOUSE_DATABASE_URL": ["mysql://db/gatehouse", "gatehouse.db"],
    "GATEHOUSE_LEAST_FREE_MEGABYTES": ["-1", "plenty", "1000001", ""],
    "GATEHOUSE_ZOOM_API_URL": ["", "api.zoom.us"],
    "GATEHOUSE_ZOOM_TOKEN_URL": ["/oauth/token"],
    "GATEHOUSE_FRAME_ORIGINS": ["apps.lms.example.org", "https://apps.lms.example.org/learning"],
    "GATEHOUSE_ROSTER_HOURS": ["0", "169", "often", "1.5", ""],
    "GATEHOUSE_KEY_ROTATION_DAYS": ["-1", "ninety", "1.5", "", "3651"],
    "GATEHOUSE_BODY_SECONDS": ["0", "61", "soon"],
    "GATEHOUSE_ZOOM_PLAN": ["", "enterprise"],
    "GATEHOUSE_ZOOM_REGISTRATION": ["", "maybe"],
    "GATEHOUSE_ZOOM_QUIET_MINUTES": ["0", "481", "soon", ""],
    "GATEHOUSE_LOCK_DAYS": ["-1", "never"],
    "GATEHOUSE_LEASE_SECONDS": ["9", "3601", "soon", "1.5", ""],
    "GATEHOUSE_SMTP_URL": [
        "mail.example.org",
        "smtp://",
        "smtp://gatehouse@mail.example.org",
        "smtp://mail:port",
        "http://m",
    ],
    "GATEHOUSE_MAIL_FROM": ["Training", "one@example.org, two@example.org"],
    "GATEHOUSE_ALLOW_PRIVATE_ADDRESSES": ["maybe"],
    "GATEHOUSE_LOG_LEVEL": ["LOUD"],
}


CASES = [(name, value) for name, values in WRONG.items() for value in values]


@pytest.mark.parametrize(("name", "value"), CASES, ids=[f"{name}-{number}" for number, (name, _) in enumerate(CASES)])
def test_a_wrong_value_stops_the_start_and_is_named_but_not_repeated(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        load_settings({**REQUIRED, name: value})
    assert refusal.value.code == "setting_wrong"
    assert refusal.value.message.startswith(name)
    assert name != "GATEHOUSE_SECRET_KEY" or not value or value not in refusal.value.message


def test_what_a_caller_gives_comes_before_the_environment() -> None:
    settings = load_settings({**REQUIRED, "GATEHOUSE_LOG_LEVEL": "DEBUG"}, log_level="ERROR")
    assert settings.log_level == "ERROR"


def test_what_the_environment_says_comes_before_the_default() -> None:
    assert load_settings({**REQUIRED, "GATEHOUSE_LOG_LEVEL": "debug"}).log_level == "DEBUG"


def test_the_database_is_a_file_in_the_data_folder_unless_named(tmp_path: Path) -> None:
    settings = load_settings({**REQUIRED, "GATEHOUSE_DATA": str(tmp_path)})
    assert settings.database_url == f"sqlite:///{tmp_path}/gatehouse.db"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_a_postgresql_database_is_one_address(scheme: str) -> None:
    settings = load_settings({**REQUIRED, "GATEHOUSE_DATABASE_URL": f"{scheme}://gatehouse@db.example.org/gatehouse"})
    assert settings.database_url == "postgresql+psycopg://gatehouse@db.example.org/gatehouse"


def test_lists_are_separated_by_commas_and_spaces_around_them_do_not_matter() -> None:
    settings = load_settings({**REQUIRED, "GATEHOUSE_ZOOM_SECRET_TOKENS": " new , old ,"})
    assert settings.zoom_secret_tokens == ("new", "old")


def test_the_newest_field_key_encrypts_and_every_one_decrypts() -> None:
    old = load_settings(REQUIRED).cipher.encrypt(b"PSY 12345")
    newer = load_settings({**REQUIRED, "GATEHOUSE_FIELD_KEYS": f"{Fernet.generate_key().decode()},{KEY}"}).cipher
    assert newer.decrypt(old) == b"PSY 12345"
    with pytest.raises(InvalidToken):
        load_settings(REQUIRED).cipher.decrypt(newer.encrypt(b"PSY 12345"))


def test_no_secret_has_a_default() -> None:
    secret = {"secret_key", "field_keys", "zoom_secret_tokens", "zoom_client_secret"}
    assert all(not setting.default for setting in SETTINGS if setting.name in secret)


def test_every_setting_is_in_the_example_with_its_default() -> None:
    lines = (ROOT / "config" / "example.env").read_text(encoding="utf-8").splitlines()
    given = dict(re.fullmatch(r"#?(GATEHOUSE_\w+)=(.*)", line).groups() for line in lines if re.match(r"#?GATE", line))  # type: ignore[union-attr]
    assert set(given) == {setting.variable for setting in SETTINGS}
    shown = {setting.variable: setting.default for setting in SETTINGS if setting.default}
    assert {name: given[name] for name in shown} == shown


def test_every_setting_is_explained_for_operators() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [setting.variable for setting in SETTINGS if setting.variable not in text] == []


def test_a_mail_server_is_one_address_with_its_login() -> None:
    given = {
        "GATEHOUSE_SMTP_URL": "smtps://gate%40house:p%2Fw@mail.example.org",
        "GATEHOUSE_MAIL_FROM": "Mail@example.org",
    }
    settings = load_settings({**REQUIRED, **given})
    assert settings.smtp_url == SmtpServer("mail.example.org", 465, "gate@house", "p/w", is_smtps=True)
    assert settings.mail_from == "mail@example.org"
    assert "p/w" not in repr(settings.smtp_url)


def test_a_mail_server_without_a_sender_stops_the_start() -> None:
    with pytest.raises(SettingsError, match="GATEHOUSE_MAIL_FROM"):
        load_settings({**REQUIRED, "GATEHOUSE_SMTP_URL": "smtp://127.0.0.1:25"})


@pytest.mark.parametrize(
    ("url", "is_needed"),
    [
        ("smtp://127.0.0.1:25", False),
        ("smtp://user:password@127.0.0.1:25", True),
        ("smtp://mail.example.org:25", True),
    ],
    ids=["a-relay-on-this-machine", "with-a-login", "another-machine"],
)
def test_only_a_relay_on_this_machine_without_a_login_may_be_without_encryption(url: str, is_needed: bool) -> None:
    settings = load_settings({**REQUIRED, "GATEHOUSE_SMTP_URL": url, "GATEHOUSE_MAIL_FROM": "mail@example.org"})
    assert settings.smtp_url is not None
    assert settings.smtp_url.needs_tls is is_needed
