"""What every row may use: a folder, both kinds of database, a platform, and installations of the tool on them."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.fernet import Fernet

from benchmarks.platform import Platform, published
from benchmarks.servers import ROOT, Server, serving
from benchmarks.stores import Store, both_stores
from lti_tool.context import AppContext, build_context
from lti_tool.gates import publication
from lti_tool.lti import registration
from lti_tool.migrations import migrate
from lti_tool.settings import load_settings
from sandbox.ports import free_port

PYTHON = Path(sys.executable)
SECRET = "the webhook secret of the measurements"


@dataclass(frozen=True)
class Bench:
    """Made once for all rows."""

    folder: Path
    stores: tuple[Store, ...]
    platform: Platform
    key_set_url: str


@dataclass(frozen=True)
class Installation:
    """A running tool on one kind of database, with the demonstration's programme and one platform."""

    store: Store
    public_url: str
    server: Server
    environment: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.store.name


@contextmanager
def open_bench() -> Iterator[Bench]:
    platform = Platform()
    with (
        TemporaryDirectory() as folder,
        both_stores(Path(folder)) as stores,
        published(platform.key_set) as key_set_url,
    ):
        yield Bench(Path(folder), stores, platform, key_set_url)


@contextmanager
def installed(bench: Bench, row: str) -> Iterator[list[Installation]]:
    """An installation on every kind of database, each with a new database named after the row."""
    with ExitStack() as stack:
        yield [stack.enter_context(_installed(bench, store, row)) for store in bench.stores]


@contextmanager
def _installed(bench: Bench, store: Store, row: str) -> Iterator[Installation]:
    port = free_port()
    environment = settings_for(store.new(row), f"http://127.0.0.1:{port}")
    context = build_context(load_settings(environment))
    _furnish(context, bench)
    context.database.close()
    log = bench.folder / f"{row}-{store.name}.log"
    with serving(PYTHON, "benchmarks.apps:tool", environment, log, port, interface="rsgi") as server:
        yield Installation(store, environment["GATEHOUSE_PUBLIC_URL"], server, environment)


def settings_for(database_url: str, public_url: str = "http://127.0.0.1:8080") -> dict[str, str]:
    """The environment of an installation."""
    return {
        "GATEHOUSE_PUBLIC_URL": public_url,
        "GATEHOUSE_SECRET_KEY": "the secret key of the measurements, long enough",
        "GATEHOUSE_FIELD_KEYS": Fernet.generate_key().decode(),
        "GATEHOUSE_DATABASE_URL": database_url,
        "GATEHOUSE_ZOOM_SECRET_TOKENS": SECRET,
        "GATEHOUSE_ALLOW_PRIVATE_ADDRESSES": "1",
    }


def _furnish(context: AppContext, bench: Bench) -> None:
    platform, now = bench.platform, datetime.now(UTC)
    new = registration.NewRegistration(
        issuer=platform.issuer,
        client_id=platform.client_id,
        auth_login_url=f"{platform.issuer}/auth",
        token_url=f"{platform.issuer}/token",
        key_set_url=bench.key_set_url,
        profile="openedx",
    )
    document = (ROOT / "config" / "demo.yaml").read_text(encoding="utf-8")
    migrate(context.database)
    with context.database.write() as connection:
        publication.publish(connection, document, "demo.yaml", actor="cli", now=now)
        registration.add(connection, new, [platform.deployment_id], actor="cli", now=now)
