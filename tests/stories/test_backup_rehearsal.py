"""The section "Backup and restore" of docs/operations.md, done as it is written, with a server at work."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from cryptography.fernet import MultiFernet
from sqlalchemy import func, select

from lti_tool.db import Database
from lti_tool.lti import keys
from lti_tool.migrations import migrate
from lti_tool.tables.zoom import zoom_inbox
from lti_tool.tasks import now_utc
from sandbox.zoom.training_day import signed
from tests.conftest import DEMO_PROGRAMME, FIELD_KEY, ZOOM_SECRET
from tests.platform import Platform
from tests.postgres import Postgres
from tests.serving import Served, serving
from tests.source import ROOT
from tests.waiting import until

SECTION = re.compile(r"^## Backup and restore$(.*?)^## ", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def documented() -> list[list[str]]:
    """The commands of each block of the section."""
    section = SECTION.search((ROOT / "docs" / "operations.md").read_text(encoding="utf-8"))
    assert section is not None
    return [block.splitlines() for block in BLOCK.findall(section.group(1))]


def run(command: str, environment: Mapping[str, str], folder: Path) -> str:
    name, *words = command.split()
    assert name == "gatehouse"
    done = subprocess.run(
        [sys.executable, "-m", "lti_tool", *words],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@contextmanager
def zoom_delivering(served: Served) -> Iterator[Callable[[], int]]:
    """Zoom delivers one event after another; yields what tells how many were acknowledged."""
    acknowledged: list[bytes] = []
    stop = Event()

    def deliver() -> None:
        while not stop.is_set():
            body = json.dumps({"event": "meeting.invented", "event_ts": len(acknowledged)}).encode()
            assert served.post("/zoom/webhook", body, signed(body, ZOOM_SECRET, now_utc())) in (200, 204)
            acknowledged.append(body)

    thread = Thread(target=deliver)
    thread.start()
    try:
        yield lambda: len(acknowledged)
    finally:
        stop.set()
        thread.join()


def count_deliveries(url: str, cipher: MultiFernet) -> int:
    database = Database(url, cipher)
    with database.read() as connection:
        number = connection.scalar(select(func.count()).select_from(zoom_inbox)) or 0
    database.close()
    return number


@pytest.fixture
def url(backend: str, request: pytest.FixtureRequest, tmp_path: Path, cipher: MultiFernet) -> str:
    """A database with what the doctor wants: a platform and the tool's key. `serve` publishes the programme."""
    if backend == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        address = server.create("rehearsal")
    else:
        address = f"sqlite:///{tmp_path}/data/gatehouse.db"
    database = Database(address, cipher)
    migrate(database)
    Platform().register(database, now_utc())
    keys.ToolKeys(database, now_utc).signing_key()
    database.close()
    return address


def test_the_documented_backup_and_restore_while_zoom_delivers(url: str, tmp_path: Path, cipher: MultiFernet) -> None:
    environment = {
        "GATEHOUSE_PUBLIC_URL": "https://gatehouse.example.org",
        "GATEHOUSE_SECRET_KEY": "the secret key of the tests, which is long enough",
        "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
        "GATEHOUSE_DATABASE_URL": url,
        "GATEHOUSE_PROGRAMME": str(DEMO_PROGRAMME),
        "GATEHOUSE_ZOOM_SECRET_TOKENS": ZOOM_SECRET,
    }
    (backup,), restore = documented()
    with serving(environment, tmp_path) as served:
        with zoom_delivering(served) as acknowledged:
            until(lambda: acknowledged() >= 5)
            before = acknowledged()
            said = run(backup, environment, tmp_path)
            after = acknowledged()
            until(lambda: acknowledged() > after)
        assert served.stop() == 0
    assert "last_seal" in said
    assert count_deliveries(url, cipher) > after
    told = [run(command, environment, tmp_path) for command in restore]
    assert "Verified: the SHA-256 of each part" in told[0]
    assert before <= count_deliveries(url, cipher) <= after + 1
    with serving(environment, tmp_path) as served:
        body = b'{"event": "meeting.invented_later"}'
        assert served.post("/zoom/webhook", body, signed(body, ZOOM_SECRET, now_utc())) in (200, 204)
        assert served.stop() == 0
