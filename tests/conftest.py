"""What every test may ask for. A test that takes `database` runs once on SQLite and once on PostgreSQL."""

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from itertools import count
from pathlib import Path

import pytest
import responses
from cryptography.fernet import Fernet, MultiFernet
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as properties
from jinja2.bccache import Bucket, BytecodeCache

from lti_tool.app import close_app, create_app
from lti_tool.context import House, build_house
from lti_tool.db import Database
from lti_tool.gates.publication import publish
from lti_tool.migrations import migrate
from lti_tool.programme.versions import Published, current
from lti_tool.settings import Settings, load_settings
from tests.clock import TestClock
from tests.closed_sockets import close_sockets
from tests.platform import Platform
from tests.postgres import Postgres, running_postgres

DATABASES = ("sqlite", "postgresql")
FIELD_KEY = "dGhlIGtleSBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVzISE="
PUBLIC_URL = "https://gatehouse.example.org"
ZOOM_SECRET = "the-secret-token-of-the-tests"
DEMO_PROGRAMME = Path(__file__).parent.parent / "config" / "demo.yaml"

_numbers = count(1)

# How long an example takes says nothing on a machine whose pace changes.
properties.register_profile("any pace", deadline=None, suppress_health_check=[HealthCheck.too_slow])
properties.load_profile("any pace")


class _KeptTemplates(BytecodeCache):
    """Templates as they were compiled for an earlier application of this run; a third of a page's test went there."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


Flask.jinja_options = {"bytecode_cache": _KeptTemplates()}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--databases", default=",".join(DATABASES), help="sqlite, postgresql or both (comma separated)")
    seconds = float(os.environ.get("GATEHOUSE_FUZZ_SECONDS", "60"))
    parser.addoption("--fuzz-seconds", type=float, default=seconds, help="how long the launch endpoints are attacked")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--databases").split(",")
        marker = metafunc.definition.get_closest_marker("databases")
        useful = marker.args if marker else DATABASES
        metafunc.parametrize("backend", [each for each in useful if each in chosen])


@pytest.fixture(autouse=True, scope="session")
def _closed_sockets() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        close_sockets(patch)
        yield


@pytest.fixture
def clock() -> TestClock:
    """The clock of the test: stands at 2026-12-01 18:00 UTC until it is moved."""
    return TestClock()


@pytest.fixture
def now(clock: TestClock) -> datetime:
    """What the clock showed when the test began."""
    return clock()


@pytest.fixture(scope="session")
def cipher() -> MultiFernet:
    return MultiFernet([Fernet(FIELD_KEY)])


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory, cipher: MultiFernet) -> Path:
    """A migrated, empty SQLite file: each test gets a copy."""
    path = tmp_path_factory.mktemp("template") / "gatehouse.db"
    _prepare(f"sqlite:///{path}", cipher)
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL of this run."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres, cipher: MultiFernet) -> str:
    """A migrated, empty PostgreSQL database: each test gets a copy."""
    _prepare(postgres.create("template_of_tests"), cipher)
    return "template_of_tests"


def _prepare(url: str, cipher: MultiFernet) -> None:
    database = Database(url, cipher)
    migrate(database)
    database.close()


@pytest.fixture
def database_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a migrated database that this test has for itself."""
    if backend == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "gatehouse.db")
        yield f"sqlite:///{tmp_path}/gatehouse.db"
        return
    template: str = request.getfixturevalue("postgres_template")
    server: Postgres = request.getfixturevalue("postgres")
    name = f"test_{next(_numbers)}"
    yield server.create(name, template)
    server.drop(name)


@pytest.fixture
def database(database_url: str, cipher: MultiFernet) -> Iterator[Database]:
    """A migrated, empty database: the test runs once on SQLite and once on PostgreSQL."""
    database = Database(database_url, cipher)
    yield database
    database.close()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Valid settings on the test's own database."""
    environment = {
        "GATEHOUSE_PUBLIC_URL": PUBLIC_URL,
        "GATEHOUSE_SECRET_KEY": "the secret key of the tests, which is long enough",
        "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
        "GATEHOUSE_DATA": str(tmp_path),
        "GATEHOUSE_DATABASE_URL": database_url,
        "GATEHOUSE_ZOOM_SECRET_TOKENS": ZOOM_SECRET,
    }
    return load_settings(environment)


@pytest.fixture
def published(database: Database, now: datetime) -> Published:
    """The demonstration's programme (config/demo.yaml), published."""
    with database.write() as connection:
        publish(connection, DEMO_PROGRAMME.read_text(encoding="utf-8"), "demo.yaml", actor="cli", now=now)
        return current(connection)


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    """What other machines answer; nothing is answered that the test did not say."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def platform(database: Database, clock: TestClock, wire: responses.RequestsMock) -> Platform:
    """A registered platform that answers for its key set."""
    platform = Platform().register(database, clock())
    platform.serve_keys(wire)
    return platform


@pytest.fixture
def house(settings: Settings, database: Database, clock: TestClock) -> House:
    """The parts of the tool, on the test's database and clock."""
    return build_house(settings, clock, database=database)


@pytest.fixture
def app(settings: Settings, house: House) -> Iterator[Flask]:
    """The whole web application on the test's house."""
    app = create_app(settings, house=house)
    app.testing = True
    yield app
    close_app(app)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without a session."""
    return app.test_client()
