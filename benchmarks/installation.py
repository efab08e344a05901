"""An installation to measure: a migrated database with the demonstration's programme and one platform."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.fernet import Fernet

from benchmarks.platform import Platform
from benchmarks.servers import ROOT, Server, serving
from lti_tool.context import build_context
from lti_tool.db import Database
from lti_tool.gates import publication
from lti_tool.lti import registration
from lti_tool.migrations import migrate
from lti_tool.settings import load_settings
from sandbox.ports import free_port
from tests.postgres import running_postgres

SECRET = "the webhook secret of the measurements"


@dataclass(frozen=True)
class Installation:
    """A running tool on one kind of database."""

    name: str
    public_url: str
    server: Server


@contextmanager
def on_sqlite(folder: Path, python: Path, platform: Platform, key_set_url: str) -> Iterator[Installation]:
    url = f"sqlite:///{folder}/gatehouse.db"
    with _running("SQLite", url, folder, python, platform, key_set_url) as installation:
        yield installation


@contextmanager
def on_postgres(folder: Path, python: Path, platform: Platform, key_set_url: str) -> Iterator[Installation]:
    with (
        running_postgres(durable=True) as postgres,
        _running("PostgreSQL", postgres.create("bench"), folder, python, platform, key_set_url) as installation,
    ):
        yield installation


@contextmanager
def _running(
    name: str, database_url: str, folder: Path, python: Path, platform: Platform, key_set_url: str
) -> Iterator[Installation]:
    port = free_port()
    environment = {
        "GATEHOUSE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "GATEHOUSE_SECRET_KEY": "the secret key of the measurements, long enough",
        "GATEHOUSE_FIELD_KEYS": Fernet.generate_key().decode(),
        "GATEHOUSE_DATABASE_URL": database_url,
        "GATEHOUSE_ZOOM_SECRET_TOKENS": SECRET,
        "GATEHOUSE_ALLOW_PRIVATE_ADDRESSES": "1",
    }
    _furnish(environment, platform, key_set_url)
    with serving(python, "benchmarks.apps:tool", environment, folder / f"{name}.log", port, interface="rsgi") as server:
        yield Installation(name, environment["GATEHOUSE_PUBLIC_URL"], server)


def _furnish(environment: dict[str, str], platform: Platform, key_set_url: str) -> None:
    context = build_context(load_settings(environment))
    migrate(context.database)
    _publish(context.database)
    new = registration.NewRegistration(
        issuer=platform.issuer,
        client_id=platform.client_id,
        auth_login_url=f"{platform.issuer}/auth",
        token_url=f"{platform.issuer}/token",
        key_set_url=key_set_url,
        profile="openedx",
    )
    with context.database.write() as connection:
        registration.add(connection, new, [platform.deployment_id], actor="cli", now=datetime.now(UTC))
    context.database.close()


def _publish(database: Database) -> None:
    document = (ROOT / "config" / "demo.yaml").read_text(encoding="utf-8")
    with database.write() as connection:
        publication.publish(connection, document, "demo.yaml", actor="cli", now=datetime.now(UTC))
