"""The settings: one table of what can be set, read once into a frozen value. No other module reads the environment.

Order: defaults < environment < what a caller passes in. A bad or missing setting stops the start and is named.
"""

import os
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cryptography.fernet import Fernet, MultiFernet

from lti_tool.errors import SettingsError
from lti_tool.text import email_address

PREFIX = "GATEHOUSE_"


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The server that takes messages. `is_smtps`: TLS from the first byte (RFC 8314); otherwise STARTTLS (RFC 3207)."""

    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)
    is_smtps: bool

    @property
    def needs_tls(self) -> bool:
        """Only a relay on this machine that wants no login may be without TLS."""
        return self.user is not None or self.host not in ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, checked and typed. The field `public_url` is the environment's GATEHOUSE_PUBLIC_URL, and so on."""

    public_url: str
    secret_key: str
    field_keys: tuple[str, ...]
    data: Path
    database_url: str
    least_free_megabytes: int
    programme: Path | None
    zoom_secret_tokens: tuple[str, ...]
    zoom_account_id: str | None
    zoom_client_id: str | None
    zoom_client_secret: str | None
    zoom_api_url: str
    zoom_token_url: str
    zoom_app_id: str | None
    zoom_plan: str
    zoom_registration: str
    zoom_quiet_minutes: int
    lock_days: int
    accommodation_days: int
    smtp_url: SmtpServer | None
    mail_from: str | None
    lease_seconds: int
    frame_origins: tuple[str, ...]
    roster_hours: int
    key_rotation_days: int
    body_seconds: int
    allow_private_addresses: bool
    log_level: str

    @property
    def zoom_quiet(self) -> timedelta:
        """For how long nothing may come from Zoom while a session runs before it is a gap in the evidence."""
        return timedelta(minutes=self.zoom_quiet_minutes)

    @property
    def lease(self) -> timedelta:
        """How long a worker's task is its own without a renewal."""
        return timedelta(seconds=self.lease_seconds)

    @property
    def roster_every(self) -> timedelta:
        return timedelta(hours=self.roster_hours)

    @property
    def has_zoom_api(self) -> bool:
        """Whether Zoom's REST interface can be asked: account, client and secret are all set."""
        return bool(self.zoom_account_id and self.zoom_client_id and self.zoom_client_secret)

    @property
    def has_mail(self) -> bool:
        """Whether messages are sent to people."""
        return self.smtp_url is not None

    @property
    def cipher(self) -> MultiFernet:
        """Encrypts with the newest field key, decrypts with any of them."""
        return MultiFernet([Fernet(key) for key in self.field_keys])


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: how a text becomes the value, and the default (None: it must be set)."""

    name: str
    parse: Callable[[str], Any]
    default: str | None
    doc: str

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()


def _optional_text(raw: str) -> str | None:
    return raw.strip() or None


def _database_url(raw: str) -> str:
    url = raw.strip()
    for short in ("postgres://", "postgresql://"):
        if url.startswith(short):
            url = f"postgresql+psycopg://{url.removeprefix(short)}"
    if url and not url.startswith(("postgresql+psycopg://", "sqlite:///")):
        raise ValueError("use postgresql://user@host/name, or nothing for a SQLite file")
    return url


def _list(raw: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in raw.split(",") if part.strip())


def _flag(raw: str) -> bool:
    value = raw.strip().lower()
    if value not in ("", "0", "1", "true", "false", "yes", "no"):
        raise ValueError("use 1 or 0")
    return value in ("1", "true", "yes")


def _origin(raw: str) -> str:
    url = urlsplit(raw.strip())
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("use an address like https://gatehouse.example.org")
    if url.path.strip("/") or url.query or url.fragment or url.username:
        raise ValueError("use only scheme, host and port")
    return f"{url.scheme}://{url.netloc}"


def _web_address(raw: str) -> str:
    url = urlsplit(raw.strip())
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("use an absolute http(s) address")
    return raw.strip().rstrip("/")


def _smtp_server(raw: str) -> SmtpServer | None:
    if not raw.strip():
        return None
    try:
        url = urlsplit(raw.strip())
        port = url.port
    except ValueError as error:
        raise ValueError("use a port from 1 to 65535") from error
    if url.scheme not in ("smtp", "smtps") or not url.hostname or url.path.strip("/") or url.query or url.fragment:
        raise ValueError("use smtp://user:password@host:587 or smtps://user:password@host:465")
    if bool(url.username) != bool(url.password):
        raise ValueError("give both a user and a password, or neither")
    user, password = (unquote(each) if each else None for each in (url.username, url.password))
    is_smtps = url.scheme == "smtps"
    return SmtpServer(url.hostname, port or (465 if is_smtps else 587), user, password, is_smtps)


def _mail_from(raw: str) -> str | None:
    address = email_address(raw)
    if raw.strip() and (address is None or not address.isascii()):
        raise ValueError("use one e-mail address, like training@example.org")
    return address


def _whole(unit: str, least: int, most: int, says: str = "") -> Callable[[str], int]:
    """A parser of whole numbers within these bounds."""

    def parse(raw: str) -> int:
        number = int(raw) if raw.strip().isdecimal() else -1
        if not least <= number <= most:
            raise ValueError(says or f"use whole {unit} from {least} to {most}")
        return number

    return parse


def _one_of(*allowed: str) -> Callable[[str], str]:
    """A parser of one of these words; upper and lower case are the same."""

    def parse(raw: str) -> str:
        value = next((each for each in allowed if each.lower() == raw.strip().lower()), None)
        if value is None:
            raise ValueError(f"use one of {', '.join(allowed)}")
        return value

    return parse


def _secret(raw: str) -> str:
    if len(raw.strip()) < 32:
        raise ValueError("use at least 32 characters, for example from `openssl rand -hex 32`")
    return raw.strip()


def _field_keys(raw: str) -> tuple[str, ...]:
    keys = _list(raw)
    if not keys:
        raise ValueError("give at least one key")
    for key in keys:
        try:
            valid = len(urlsafe_b64decode(key)) == 32
        except (Base64Error, ValueError):
            valid = False
        if not valid:
            raise ValueError("each key is 32 bytes in URL-safe base64, for example from `gatehouse keys field`")
    return keys


_DAYS = _whole("days", 0, 3650, "use a whole number of days, or 0 for never")

SETTINGS: tuple[Setting, ...] = (
    Setting("public_url", _origin, None, "The address browsers and platforms reach the tool at, without a path."),
    Setting("secret_key", _secret, None, "Signs state values and forms. Changing it ends launches in progress."),
    Setting("field_keys", _field_keys, None, "Encrypt licence numbers and tool keys; comma separated, newest first."),
    Setting("data", Path, "./data", "Folder of the SQLite file and of copies of materials."),
    Setting("database_url", _database_url, "", "PostgreSQL: postgresql://…; empty: a SQLite file in the data folder."),
    Setting(
        "least_free_megabytes",
        _whole("megabytes", 0, 1_000_000),
        "50",
        "Free megabytes beside the SQLite file below which /readyz says not ready; 0: never.",
    ),
    Setting(
        "programme",
        lambda raw: Path(raw) if raw.strip() else None,
        "",
        "A programme document (YAML) that is published on the first start.",
    ),
    Setting("zoom_secret_tokens", _list, "", "Zoom's webhook secret token; comma: current, previous."),
    Setting("zoom_account_id", _optional_text, "", "Account id of the Server-to-Server OAuth app."),
    Setting("zoom_client_id", _optional_text, "", "Client id of the Server-to-Server OAuth app."),
    Setting("zoom_client_secret", _optional_text, "", "Client secret of the Server-to-Server OAuth app."),
    Setting("zoom_api_url", _web_address, "https://api.zoom.us/v2", "Zoom's REST interface."),
    Setting("zoom_token_url", _web_address, "https://zoom.us/oauth/token", "Zoom's token endpoint."),
    Setting("zoom_app_id", _optional_text, "", "Id of the Zoom app, to read its log of webhook deliveries."),
    Setting(
        "zoom_plan",
        _one_of("free", "pro", "business"),
        "pro",
        "free, pro or business: how often Zoom's REST interface may be asked.",
    ),
    Setting(
        "zoom_registration",
        _one_of("gate", "zoom"),
        "gate",
        "gate: who registered at Zoom itself is approved or denied by the gate; zoom: that is left to Zoom.",
    ),
    Setting(
        "zoom_quiet_minutes",
        _whole("minutes", 1, 480),
        "20",
        "Minutes without an event during a class before it is an alarm.",
    ),
    Setting("lock_days", _DAYS, "0", "Days after its end at which a reconciled session is locked; 0: by hand only."),
    Setting(
        "accommodation_days",
        _whole("days", 1, 3650),
        "30",
        "Days after its closing at which the text of a request for an accommodation is deleted.",
    ),
    Setting("smtp_url", _smtp_server, "", "Mail server: smtp:// (with STARTTLS) or smtps://; empty: no mail is sent."),
    Setting("mail_from", _mail_from, "", "The address that messages come from."),
    Setting(
        "lease_seconds",
        _whole("seconds", 10, 3600),
        "60",
        "Seconds after which another worker takes over the task of one that died; a live one renews its lease.",
    ),
    Setting(
        "frame_origins",
        lambda raw: tuple(map(_origin, _list(raw))),
        "",
        "More origins that may frame the tool (Open edX's learning MFE); comma.",
    ),
    Setting(
        "roster_hours",
        _whole("hours", 1, 168),
        "6",
        "Hours between two reads of a course's roster; it is read oftener around class.",
    ),
    Setting("key_rotation_days", _DAYS, "90", "How old the tool's signing key gets before a new one; 0: never."),
    Setting(
        "body_seconds",
        _whole("seconds", 1, 60),
        "10",
        "Seconds in which the whole body of a request must arrive.",
    ),
    Setting("allow_private_addresses", _flag, "0", "Allow http and private addresses. Sandbox and tests only."),
    Setting("log_level", _one_of("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", "DEBUG, INFO, WARNING or ERROR."),
)


def load_settings(environment: Mapping[str, str] | None = None, **given: Any) -> Settings:
    """The settings from the environment and what the caller gives by field name.

    Raises SettingsError naming the variable that is missing or wrong.
    """
    source = os.environ if environment is None else environment
    values = dict(given)
    for each in SETTINGS:
        if each.name in given:
            continue
        raw = source.get(each.variable, each.default)
        if raw is None:
            raise SettingsError("setting_missing", f"{each.variable} is not set. {each.doc}")
        try:
            values[each.name] = each.parse(raw)
        except ValueError as error:
            raise SettingsError("setting_wrong", f"{each.variable} cannot be used: {error}.") from error
    if values["smtp_url"] is not None and values["mail_from"] is None:
        raise SettingsError("setting_missing", "GATEHOUSE_MAIL_FROM is not set, but GATEHOUSE_SMTP_URL is.")
    values["database_url"] = values["database_url"] or f"sqlite:///{Path(values['data']).resolve()}/gatehouse.db"
    assert set(values) == {each.name for each in fields(Settings)}
    return Settings(**values)
