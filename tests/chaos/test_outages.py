"""The database of a running tool fails and comes back. Meanwhile deliveries are refused with 503, so that Zoom
sends them again, and /readyz names the reason. Nothing acknowledged is lost, and the tool goes on without a restart."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest
from cryptography.fernet import MultiFernet
from sqlalchemy import select

from lti_tool.db import Database
from lti_tool.tables.zoom import zoom_inbox
from sandbox.zoom.training_day import encode, signed
from tests.conftest import DEMO_PROGRAMME, FIELD_KEY, ZOOM_SECRET
from tests.databases import prepare
from tests.postgres import Postgres
from tests.serving import Served, serving
from tests.unit.diagnostics.test_database import another_process_writing
from tests.waiting import until

AT_ONCE = 16
# Root may write whatever the rights of a file are; without this capability it may not.
AS_OWNER_ONLY = ("setpriv", "--bounding-set", "-dac_override") if os.geteuid() == 0 else ()
FILE_SYSTEM_MEGABYTES = 24
numbers = count(1)

Outage = Callable[[Path], AbstractContextManager[None]]


class Zoom:
    """Sends deliveries and keeps those that were acknowledged."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.acknowledged: list[bytes] = []

    def deliver(self, _number: int = 0) -> int:
        body = encode({"event": "meeting.started", "event_ts": next(numbers), "payload": {"object": {"id": "8530"}}})
        status = self.served.post("/zoom/webhook", body, signed(body, ZOOM_SECRET, datetime.now(UTC)))
        if status == 204:
            self.acknowledged.append(body)
        return status


def survives(environment: dict[str, str], folder: Path, outage: AbstractContextManager[None], code: str) -> Zoom:
    """A tool that runs through the outage; what was delivered to it."""
    with serving(environment, folder) as served:
        zoom = Zoom(served)
        assert zoom.deliver() == 204
        with outage:
            # What SQLite's log has room for is still acknowledged, and is on disk.
            until(lambda: zoom.deliver() == 503)
            with ThreadPoolExecutor(AT_ONCE) as senders:
                assert set(senders.map(zoom.deliver, range(AT_ONCE))) <= {204, 503}
            until(lambda: served.json("/readyz").get("code") == code)
            assert served.get("/healthz") == 200
        until(lambda: served.get("/readyz") == 200)
        until(lambda: zoom.deliver() == 204)
        assert served.stop() == 0
    return zoom


def assert_kept(zoom: Zoom, database: Database) -> None:
    with database.read() as connection:
        kept = set(connection.scalars(select(zoom_inbox.c.body)))
    database.close()
    assert set(zoom.acknowledged) <= kept


@pytest.fixture
def environment() -> dict[str, str]:
    return {
        "GATEHOUSE_PUBLIC_URL": "https://gatehouse.example.org",
        "GATEHOUSE_SECRET_KEY": "the secret key of the tests, which is long enough",
        "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
        "GATEHOUSE_ZOOM_SECRET_TOKENS": ZOOM_SECRET,
        "GATEHOUSE_PROGRAMME": str(DEMO_PROGRAMME),
        "GATEHOUSE_LEAST_FREE_MEGABYTES": "0",
    }


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = Path(tempfile.mkdtemp())
    mount = ["mount", "-t", "tmpfs", "-o", f"size={FILE_SYSTEM_MEGABYTES}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("a small file system can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    filler = folder / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(folder).free))
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def read_only_folder(folder: Path) -> Iterator[None]:
    """Neither the folder nor a file in it can be opened for writing; what is open stays so."""
    files = [each for each in folder.iterdir() if each.is_file()]
    for each in files:
        each.chmod(0o400)
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)
        for each in files:
            each.chmod(0o600)


@contextmanager
def locked_file(folder: Path) -> Iterator[None]:
    with another_process_writing(folder / "gatehouse.db"):
        yield


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("outage", "code"),
    [(full_disk, "disk_full"), (locked_file, "database_locked")],
    ids=["disk-full", "locked"],
)
def test_a_tool_on_sqlite_outlives(
    outage: Outage, code: str, environment: dict[str, str], small_disk: Path, tmp_path: Path, cipher: MultiFernet
) -> None:
    environment |= {"GATEHOUSE_DATA": str(small_disk)}
    zoom = survives(environment, tmp_path, outage(small_disk), code)
    assert_kept(zoom, Database(f"sqlite:///{small_disk}/gatehouse.db", cipher))


@pytest.mark.databases("sqlite")
def test_a_tool_whose_folder_may_only_be_read_says_so_and_writes_on_to_its_open_file(
    environment: dict[str, str], tmp_path: Path, cipher: MultiFernet
) -> None:
    data = tmp_path / "data"
    environment |= {"GATEHOUSE_DATA": str(data)}
    with serving(environment, tmp_path, under=AS_OWNER_ONLY) as served:
        zoom = Zoom(served)
        assert zoom.deliver() == 204
        with read_only_folder(data):
            until(lambda: served.json("/readyz").get("code") == "database_read_only")
            assert {zoom.deliver() for _ in range(AT_ONCE)} <= {204, 503}
        until(lambda: served.get("/readyz") == 200)
        until(lambda: zoom.deliver() == 204)
        assert served.stop() == 0
    assert_kept(zoom, Database(f"sqlite:///{data}/gatehouse.db", cipher))


@contextmanager
def frozen(server: Postgres) -> Iterator[None]:
    """No process of the server goes on."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    processes = [server.process.pid, *map(int, children)]
    for each in processes:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in processes:
            os.kill(each, signal.SIGCONT)


@contextmanager
def out_of_connections(server: Postgres) -> Iterator[None]:
    """The tool's user gets no connection, and those it had are closed."""
    with server.connect() as connection:
        connection.execute("ALTER ROLE limited CONNECTION LIMIT 0")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'limited'")
    try:
        yield
    finally:
        with server.connect() as connection:
            connection.execute("ALTER ROLE limited CONNECTION LIMIT -1")


@pytest.mark.databases("postgresql")
@pytest.mark.parametrize(
    ("outage", "code"),
    [(frozen, "database_away"), (out_of_connections, "connections_exhausted")],
    ids=["frozen", "out-of-connections"],
)
def test_a_tool_on_postgresql_outlives(
    outage: Callable[[Postgres], AbstractContextManager[None]],
    code: str,
    environment: dict[str, str],
    postgres: Postgres,
    tmp_path: Path,
    cipher: MultiFernet,
) -> None:
    url = postgres.create("outage")
    prepare(url, cipher)
    with postgres.connect("outage") as connection:
        connection.execute("CREATE ROLE limited LOGIN")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO limited")
        connection.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO limited")
    try:
        environment |= {"GATEHOUSE_DATABASE_URL": url.replace("gatehouse@", "limited@")}
        zoom = survives(environment, tmp_path, outage(postgres), code)
        assert_kept(zoom, Database(url, cipher))
    finally:
        postgres.drop("outage")
        with postgres.connect() as connection:
            connection.execute("DROP ROLE limited")
