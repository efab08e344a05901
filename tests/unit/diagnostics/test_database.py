"""/readyz and `gatehouse doctor` say why the database cannot be worked with; every condition here is a real one."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import MultiFernet
from flask.testing import FlaskClient
from sqlalchemy import insert, select, text

from lti_tool.app import create_app
from lti_tool.commands import main
from lti_tool.context import build_context
from lti_tool.db import Database
from lti_tool.migrations import migrate
from lti_tool.settings import Settings
from lti_tool.tables.operations import readiness, tasks
from tests.clock import TestClock
from tests.conftest import FIELD_KEY, ZOOM_SECRET
from tests.postgres import Postgres

NOBODY = 65534
HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def ready(settings: Settings, clock: TestClock, database: Database | None = None) -> tuple[int, dict]:
    """What a new process answers to GET /readyz."""
    given = database or Database(settings.database_url, settings.cipher)
    try:
        answer = (
            create_app(settings, context=build_context(settings, clock, database=given)).test_client().get("/readyz")
        )
    finally:
        given.close()
    return answer.status_code, answer.json


def doctor(settings: Settings) -> Result:
    environment = {
        "GATEHOUSE_PUBLIC_URL": settings.public_url,
        "GATEHOUSE_SECRET_KEY": settings.secret_key,
        "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
        "GATEHOUSE_DATABASE_URL": settings.database_url,
        "GATEHOUSE_LEAST_FREE_MEGABYTES": str(settings.least_free_megabytes),
        "GATEHOUSE_ZOOM_SECRET_TOKENS": ZOOM_SECRET,
    }
    return CliRunner().invoke(main, ["doctor"], env=environment)


def assert_not_ready(settings: Settings, clock: TestClock, code: str, database: Database | None = None) -> None:
    """/readyz gives this reason, and so does the doctor."""
    status, answer = ready(settings, clock, database)
    assert (status, answer["status"], answer["code"]) == (503, "not_ready", code)
    said = doctor(settings)
    assert said.exit_code == 1
    assert f"{answer['reason']}" in said.stdout
    assert f"({code})" in said.stdout


@contextmanager
def another_process_writing(path: Path) -> Iterator[None]:
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            yield
        finally:
            holder.communicate()


@contextmanager
def without_rights_of_root() -> Iterator[None]:
    """Files are opened with the rights of the user nobody, which no test of root's own could show."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@contextmanager
def full_disk() -> Iterator[Path]:
    """A file system of 4 megabytes; the caller fills it."""
    folder = Path(tempfile.mkdtemp())
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        folder.rmdir()
        pytest.skip("a small file system can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def sqlite_in(folder: Path, settings: Settings) -> Settings:
    """A migrated SQLite file in this folder."""
    moved = replace(settings, database_url=f"sqlite:///{folder}/gatehouse.db")
    database = Database(moved.database_url, moved.cipher)
    migrate(database)
    database.close()
    return moved


def test_a_ready_database_has_taken_a_write(client: FlaskClient, database: Database, clock: TestClock) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (200, "ready")
    assert all(each["ok"] for each in answer.json["checks"].values())
    with database.read() as connection:
        assert connection.execute(select(readiness.c.written_at)).scalars().all() == [clock()]


def test_many_questions_within_a_second_cost_one_write(
    client: FlaskClient, database: Database, clock: TestClock
) -> None:
    client.get("/readyz")
    first = clock()
    for milliseconds in (400, 400):
        clock.advance(milliseconds=milliseconds)
        assert client.get("/readyz").status_code == 200
    with database.read() as connection:
        assert connection.execute(select(readiness.c.written_at)).scalar_one() == first
    clock.advance(milliseconds=400)
    client.get("/readyz")
    with database.read() as connection:
        assert connection.execute(select(readiness.c.written_at)).scalar_one() == clock()


def test_a_queue_that_stands_is_not_ready_but_the_database_is_fine(
    client: FlaskClient, database: Database, clock: TestClock
) -> None:
    row = {"kind": "k", "key": "1", "payload": {}, "state": "ready", "attempts": 0, "created_at": clock()}
    with database.write() as connection:
        connection.execute(insert(tasks).values(row | {"run_at": clock()}))
    clock.advance(hours=2)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["code"]) == (503, "queue_stands")
    assert [name for name, each in answer.json["checks"].items() if not each["ok"]] == ["queue"]


@pytest.mark.databases("sqlite")
def test_a_file_that_another_process_holds_is_locked(settings: Settings, database: Database, clock: TestClock) -> None:
    with another_process_writing(Path(database.url.database or "")):
        assert_not_ready(settings, clock, "database_locked")
    assert ready(settings, clock)[0] == 200


@pytest.mark.databases("sqlite")
def test_writers_of_the_same_process_that_leave_no_turn_are_a_lock(client: FlaskClient, database: Database) -> None:
    with database.write():
        assert client.get("/readyz").json["code"] == "database_locked"


@pytest.mark.databases("postgresql")
def test_a_row_that_another_transaction_holds_is_locked(
    settings: Settings, database: Database, clock: TestClock
) -> None:
    assert ready(settings, clock)[0] == 200
    with database.write() as connection:
        connection.execute(text("LOCK TABLE readiness"))
        assert_not_ready(settings, clock, "database_locked")


@pytest.mark.databases("sqlite")
def test_a_folder_that_may_only_be_read_is_named(settings: Settings, clock: TestClock) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        moved = sqlite_in(folder, settings)
        (folder / "gatehouse.db").chmod(0o444)
        folder.chmod(0o555)
        with without_rights_of_root():
            assert_not_ready(moved, clock, "database_read_only")
        folder.chmod(0o700)  # so that it can be removed


@pytest.mark.databases("sqlite")
def test_a_file_that_may_only_be_read_in_a_folder_that_may_be_written_is_named(
    settings: Settings, clock: TestClock
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        moved = sqlite_in(folder, settings)
        (folder / "gatehouse.db").chmod(0o444)
        folder.chmod(0o777)
        with without_rights_of_root():
            assert_not_ready(moved, clock, "database_read_only")


@pytest.mark.databases("postgresql")
def test_a_server_that_takes_no_writes_is_named(
    settings: Settings, postgres: Postgres, clock: TestClock, postgres_template: str
) -> None:
    url = postgres.create("standing_by", postgres_template)
    with postgres.connect() as connection:
        connection.execute("ALTER DATABASE standing_by SET default_transaction_read_only = on")
    assert_not_ready(replace(settings, database_url=url), clock, "database_read_only")
    postgres.drop("standing_by")


@pytest.mark.databases("sqlite")
def test_a_full_disk_is_named_while_reading_still_works(settings: Settings, clock: TestClock) -> None:
    with full_disk() as folder:
        moved = replace(sqlite_in(folder, settings), least_free_megabytes=0)
        assert ready(moved, clock)[0] == 200
        (folder / "filler").write_bytes(bytes(shutil.disk_usage(folder).free))
        assert_not_ready(moved, clock, "disk_full")
        (folder / "filler").unlink()
        serving = Database(moved.database_url, moved.cipher)
        with serving.read() as connection:
            connection.execute(select(tasks))
            (folder / "filler").write_bytes(bytes(shutil.disk_usage(folder).free))
            assert_not_ready(moved, clock, "disk_full")
        serving.close()
        (folder / "filler").unlink()
        assert ready(moved, clock)[0] == 200


@pytest.mark.databases("sqlite")
def test_too_little_free_room_is_named_before_the_disk_is_full(settings: Settings, clock: TestClock) -> None:
    wanting = replace(settings, least_free_megabytes=1_000_000)
    assert_not_ready(wanting, clock, "disk_low")
    assert ready(replace(settings, least_free_megabytes=0), clock)[0] == 200


def test_a_table_that_is_gone_is_named(settings: Settings, database: Database, clock: TestClock) -> None:
    with database.write() as connection:
        connection.execute(text("DROP TABLE audit_log"))
    assert_not_ready(settings, clock, "table_missing")
    assert ready(settings, clock)[1]["checks"]["tables"] == {"ok": False, "missing": ["audit_log"]}
    assert "Missing: audit_log." in doctor(settings).stdout


def test_another_release_s_schema_is_named(settings: Settings, database: Database, clock: TestClock) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    status, answer = ready(settings, clock)
    assert (status, answer["code"], answer["checks"]["migrations"]) == (
        503,
        "schema_wrong",
        {"ok": False, "revision": "9999"},
    )


@pytest.mark.databases("sqlite")
def test_a_file_that_is_no_database_is_damaged(settings: Settings, tmp_path: Path, clock: TestClock) -> None:
    path = tmp_path / "gatehouse.db"
    path.write_bytes(b"not a database at all. " * 1000)
    assert_not_ready(replace(settings, database_url=f"sqlite:///{path}"), clock, "database_damaged")


@pytest.mark.databases("postgresql")
def test_a_server_without_a_connection_left_is_named(
    settings: Settings, database: Database, postgres: Postgres, clock: TestClock
) -> None:
    with postgres.connect() as connection:
        connection.execute("CREATE ROLE limited LOGIN CONNECTION LIMIT 1")
    url = settings.database_url.replace("gatehouse@", "limited@")
    limited = Database(url, settings.cipher)
    with limited.read():
        assert_not_ready(replace(settings, database_url=url), clock, "connections_exhausted")
    limited.close()
    with postgres.connect() as connection:
        connection.execute("DROP ROLE limited")


@pytest.mark.databases("postgresql")
def test_a_server_that_is_away_is_named(settings: Settings, clock: TestClock) -> None:
    away = replace(settings, database_url="postgresql+psycopg://gatehouse@127.0.0.1:1/nothing")
    status, answer = ready(away, clock)
    assert (status, answer["code"], set(answer["checks"])) == (503, "database_away", {"database"})


@pytest.mark.databases("postgresql")
def test_a_server_that_stands_still_is_away(settings: Settings, postgres: Postgres, clock: TestClock) -> None:
    postgres.process.send_signal(signal.SIGSTOP)
    try:
        status, answer = ready(settings, clock)
    finally:
        postgres.process.send_signal(signal.SIGCONT)
    assert (status, answer["code"]) == (503, "database_away")


@pytest.mark.databases("sqlite")
def test_the_doctor_sees_a_database_file_that_others_may_read(
    settings: Settings, tmp_path: Path, cipher: MultiFernet
) -> None:
    moved = sqlite_in(tmp_path / "data", settings)
    assert "WRONG  file rights" not in doctor(moved).stdout
    (tmp_path / "data").chmod(0o755)
    (tmp_path / "data" / "gatehouse.db").chmod(0o644)
    said = doctor(moved)
    assert said.exit_code == 1
    assert "WRONG  file rights" in said.stdout
    assert f"`chmod 700 {tmp_path}/data` and `chmod 600 {tmp_path}/data/gatehouse.db`" in said.stdout


@pytest.mark.databases("sqlite")
def test_a_probe_leaves_no_lock(settings: Settings, database: Database) -> None:
    assert ready(settings, TestClock())[0] == 200
    with sqlite3.connect(database.url.database or "", timeout=0) as other:
        other.execute("BEGIN IMMEDIATE")
