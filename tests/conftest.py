"""What every test may ask for. On which database a test runs that takes `database`, `--databases` says."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import responses
from cryptography.fernet import Fernet, MultiFernet
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import is_hypothesis_test
from hypothesis import settings as properties
from sqlalchemy import Row, insert, select

from lti_tool.app import close_app, create_app
from lti_tool.context import AppContext, build_context
from lti_tool.db import Database
from lti_tool.gates.publication import publish
from lti_tool.lti import keys
from lti_tool.programme.versions import Published, current
from lti_tool.settings import Settings, load_settings
from lti_tool.tables.operations import audit_log
from lti_tool.tables.programme import programme_versions
from tests.clock import TestClock
from tests.closed_sockets import close_sockets
from tests.databases import (
    BOTH,
    DATABASES,
    HASHED,
    PostgresOfWorker,
    SqliteOfWorker,
    cheap_folder,
    databases_for,
    prepare,
)
from tests.kept import KeptKeys, KeptRule, KeptTemplates
from tests.platform import Platform
from tests.postgres import Postgres, running_postgres
from tests.profiles import PROFILES

FIELD_KEY = "dGhlIGtleSBvZiB0aGUgdGVzdHMsIDMyIGJ5dGVzISE="
PUBLIC_URL = "https://gatehouse.example.org"
ZOOM_SECRET = "the-secret-token-of-the-tests"
# The order in which test files that take long begin: first those that wait for a minute at a time, then those that keep
# a core busy, so that one worker computes while another one waits.
LONG = (
    "tests/unit/zoom_adapter/test_nothing_earned_is_lost.py",
    *(f"tests/{room}/" for room in ("chaos", "browser", "stories", "conformance")),
    "tests/unit/commands/test_serve.py",
    "tests/unit/zoom_adapter/test_random_days.py",
)
DEMO_PROGRAMME = Path(__file__).parent.parent / "config" / "demo.yaml"


Flask.jinja_options = {"bytecode_cache": KeptTemplates()}
Flask.url_rule_class = KeptRule


def pytest_addoption(parser: pytest.Parser) -> None:
    says = "where tests run that need a database: on one that follows from their name, on both, or on the one named"
    parser.addoption("--databases", choices=(HASHED, BOTH, *DATABASES), default=HASHED, help=says)
    parser.addoption("--profile", choices=PROFILES, default="quick", help="how many examples properties are tried with")
    parser.addoption("--fuzz-seconds", type=float, help="how long the launch endpoints are attacked")
    parser.addoption("--kills", type=int, help="how often the tool is killed, or told to stop, under load")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: the stories mostly wait for processes of their own."""
    return (os.cpu_count() or 1) + 2


def pytest_configure(config: pytest.Config) -> None:
    properties.load_profile(config.getoption("--profile"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test its `backend`, and all tests of a file that share something their one `backend_of_module`."""
    test, wanted = metafunc.definition, metafunc.config.getoption("--databases")
    marker = test.get_closest_marker("databases")
    useful = marker.args if marker else DATABASES
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", databases_for(test.nodeid, wanted, useful))
    if "backend_of_module" in metafunc.fixturenames:
        name = test.nodeid.partition("::")[0]
        metafunc.parametrize("backend_of_module", databases_for(name, wanted, useful), scope="module")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Test files that take long begin first, so that workers end together. In mutation testing, where the first failure
    ends the run, properties come last."""
    items.sort(key=lambda item: next((n for n, each in enumerate(LONG) if item.nodeid.startswith(each)), len(LONG)))
    if config.getoption("--profile") == "mutants":
        items.sort(key=lambda item: is_hypothesis_test(getattr(item, "obj", None)))


@pytest.fixture(autouse=True, scope="session")
def _closed_sockets() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        close_sockets(patch)
        yield


@pytest.fixture(autouse=True, scope="session")
def _kept_keys() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "generate_private_key", KeptKeys())
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
def cheap_path() -> Iterator[Path]:
    """A folder of this worker, in memory where there is room."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-tests-", dir=cheap_folder()) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def sqlite_template(cheap_path: Path, cipher: MultiFernet) -> Path:
    """A migrated, empty SQLite file."""
    path = cheap_path / "template.db"
    prepare(f"sqlite:///{path}", cipher)
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL of this worker."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: Postgres, cipher: MultiFernet) -> str:
    """A migrated, empty PostgreSQL database."""
    prepare(postgres.create("template_of_tests"), cipher)
    return "template_of_tests"


@pytest.fixture(scope="session")
def sqlite_of_worker(cheap_path: Path, sqlite_template: Path, cipher: MultiFernet) -> SqliteOfWorker:
    return SqliteOfWorker(cheap_path, sqlite_template, cipher)


@pytest.fixture(scope="session")
def postgresql_of_worker(postgres: Postgres, postgres_template: str, cipher: MultiFernet) -> PostgresOfWorker:
    return PostgresOfWorker(postgres, postgres_template, cipher)


@pytest.fixture
def database(backend: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    """A migrated, empty database that the test has for itself."""
    of_worker: SqliteOfWorker | PostgresOfWorker = request.getfixturevalue(f"{backend}_of_worker")
    of_worker.empty()
    yield of_worker.database
    of_worker.database.close()
    assert not list(of_worker.database.engine.dispatch.before_cursor_execute), "use tests.statements.listening"


@pytest.fixture
def database_url(database: Database) -> str:
    """The address of the test's own database."""
    return database.url.render_as_string(hide_password=False)


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


@pytest.fixture(scope="session")
def demo_publication(cheap_path: Path, sqlite_template: Path, cipher: MultiFernet) -> tuple[Row[Any], Row[Any]]:
    """The rows that publishing config/demo.yaml leaves: its version, and what the audit log says of it."""
    copy = shutil.copyfile(sqlite_template, cheap_path / "published.db")
    database = Database(f"sqlite:///{copy}", cipher)
    with database.write() as connection:
        publish(connection, DEMO_PROGRAMME.read_text(encoding="utf-8"), "demo.yaml", actor="cli", now=TestClock()())
        rows = connection.execute(select(programme_versions)).one(), connection.execute(select(audit_log)).one()
    database.close()
    return rows


@pytest.fixture
def published(database: Database, now: datetime, demo_publication: tuple[Row[Any], Row[Any]]) -> Published:
    """The demonstration's programme (config/demo.yaml), published. It was checked once for all tests."""
    version, act = (row._asdict() for row in demo_publication)
    del act["id"]
    with database.write() as connection:
        connection.execute(insert(programme_versions).values(version | {"published_at": now}))
        connection.execute(insert(audit_log).values(act | {"at": now}))
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
def context(settings: Settings, database: Database, clock: TestClock) -> AppContext:
    """The parts of the tool, on the test's database and clock."""
    return build_context(settings, clock, database=database)


@pytest.fixture
def app(settings: Settings, context: AppContext) -> Iterator[Flask]:
    """The whole web application on the test's context."""
    app = create_app(settings, context=context)
    app.testing = True
    yield app
    close_app(app)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without a session."""
    return app.test_client()
