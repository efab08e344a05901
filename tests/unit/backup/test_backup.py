"""A backup is the database at one instant; a restore proves that it has all of it, or changes nothing."""

import json
import shutil
import sqlite3
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import MultiFernet
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError

from lti_tool.commands import main
from lti_tool.context import build_context
from lti_tool.db import Database
from lti_tool.gates.publication import publish
from lti_tool.materials.kinds import KINDS
from lti_tool.materials.records import Content, load_all, of_module
from lti_tool.materials.records import add as add_material
from lti_tool.materials.storage import CHUNK_BYTES, copy_of, keep
from lti_tool.migrations import head, migrate
from lti_tool.programme import versions
from lti_tool.settings import Settings, load_settings
from lti_tool.tables import metadata
from lti_tool.tables.people import trainees
from tests.clock import START, TestClock
from tests.conftest import DEMO_PROGRAMME, FIELD_KEY
from tests.postgres import Postgres
from tests.serving import serving
from tests.tampering import tamper
from tests.training_day import add_session, add_trainee
from zoom_adapter import hash_chain
from zoom_adapter.events import read_event
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.presence import take_inbox

DELIVERIES = 5
# A material of several chunks, and of several commits.
LARGE_FILE = b"0123456789abcde\n" * (5 * CHUNK_BYTES // 16) + b"the end"
_numbers = count(1)


def gatehouse(url: str, *words: object, **given: str) -> Result:
    environment = {
        "GATEHOUSE_PUBLIC_URL": "https://gatehouse.example.org",
        "GATEHOUSE_SECRET_KEY": "the secret key of the tests, which is long enough",
        "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
        "GATEHOUSE_DATABASE_URL": url,
        **given,
    }
    return CliRunner().invoke(main, [str(each) for each in words], env=environment)


def backed_up(url: str, file: Path) -> dict[str, Any]:
    result = gatehouse(url, "backup", file, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def refused(result: Result) -> str:
    """The code of a refusal."""
    assert result.exit_code == 1, result.stdout
    return result.stderr.splitlines()[0].rpartition("(")[2].rstrip(")")


@pytest.fixture
def make(backend: str, request: pytest.FixtureRequest, tmp_path: Path, cipher: MultiFernet) -> Callable[[], str]:
    """Makes an empty database; its address."""

    def make_one() -> str:
        number = next(_numbers)
        if backend == "sqlite":
            return f"sqlite:///{tmp_path}/machine-{number}/gatehouse.db"
        server: Postgres = request.getfixturevalue("postgres")
        return server.create(f"backup_{number}")

    return make_one


@pytest.fixture
def filled(make: Callable[[], str], cipher: MultiFernet, settings_of: Callable[[str], Settings]) -> str:
    """A database in use: a programme, a session, people, the tool's key, and deliveries that are sealed."""
    url = make()
    database = Database(url, cipher)
    migrate(database)
    with database.write() as connection:
        published = publish_demo(connection)
        add_session(connection, published, START, join_url="https://example.zoom.us/j/85300001234?pwd=invented")
        for number in range(3):
            add_trainee(connection, number, START)
    build_context(settings_of(url), TestClock(), database=database).keys.signing_key()
    append(database, DELIVERIES)
    file_id = keep(database, BytesIO(LARGE_FILE), KINDS["text"], START, 0)
    with database.write() as connection:
        content = Content(file_id=file_id, file_name="notes.txt")
        add_material(connection, "F1", content, title="Notes", actor="cli", now=START)
    database.close()
    return url


@pytest.fixture
def settings_of(tmp_path: Path) -> Callable[[str], Settings]:
    return lambda url: load_settings(
        {
            "GATEHOUSE_PUBLIC_URL": "https://gatehouse.example.org",
            "GATEHOUSE_SECRET_KEY": "s" * 32,
            "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
            "GATEHOUSE_DATABASE_URL": url,
        }
    )


def publish_demo(connection: Connection) -> Any:
    publish(connection, DEMO_PROGRAMME.read_text(encoding="utf-8"), "demo.yaml", actor="cli", now=START)
    return versions.current(connection)


def append(database: Database, number: int) -> None:
    """Deliveries that were acknowledged, read and sealed."""
    inbox = Inbox(database)
    for _ in range(number):
        body = json.dumps({"event": f"meeting.invented_{next(_numbers)}"}).encode()
        inbox.append(Delivery(read_event(body), body, {}, 0, START))
    inbox.close()
    take_inbox(database, START)


def rows(url: str, cipher: MultiFernet) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that is in a database, decrypted."""
    database = Database(url, cipher)
    try:
        with database.read() as connection:
            return {
                name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
                for name, table in metadata.tables.items()
            }
    finally:
        database.close()


def run_on(url: str, cipher: MultiFernet, work: Callable[[Database], Any]) -> Any:
    database = Database(url, cipher)
    try:
        return work(database)
    finally:
        database.close()


def add_one(database: Database) -> None:
    with database.write() as connection:
        add_trainee(connection, next(_numbers) + 1000, START)


def test_what_was_backed_up_is_all_there_on_another_machine(
    filled: str, make: Callable[[], str], tmp_path: Path, cipher: MultiFernet
) -> None:
    made = backed_up(filled, tmp_path / "backup")
    elsewhere = make()
    result = gatehouse(elsewhere, "restore", tmp_path / "backup")
    assert result.exit_code == 0, result.stderr
    assert rows(elsewhere, cipher) == rows(filled, cipher)
    assert (made["deliveries_sealed"], made["chain_breaks"]) == (DELIVERIES, 0)
    assert f"{made['rows']} rows in {made['tables']} tables, and {DELIVERIES} seals" in result.stdout
    noted = gatehouse(elsewhere, "zoom", "verify", "--noted", made["last_seal"])
    assert noted.exit_code == 0, noted.stdout


def test_a_material_comes_back_byte_for_byte(
    filled: str, make: Callable[[], str], tmp_path: Path, cipher: MultiFernet
) -> None:
    backed_up(filled, tmp_path / "backup")
    elsewhere = make()
    assert gatehouse(elsewhere, "restore", tmp_path / "backup").exit_code == 0

    def sent(database: Database) -> bytes:
        with database.read() as connection:
            (material,) = load_all(connection, of_module("F1"))
        return copy_of(database, tmp_path, material).read_bytes()

    assert run_on(elsewhere, cipher, sent) == LARGE_FILE


def test_the_restored_database_goes_on_with_ids_seals_and_what_only_grows(
    filled: str, make: Callable[[], str], tmp_path: Path, cipher: MultiFernet
) -> None:
    run_on(filled, cipher, add_one)
    backed_up(filled, tmp_path / "backup")
    elsewhere = make()
    assert gatehouse(elsewhere, "restore", tmp_path / "backup").exit_code == 0
    database = Database(elsewhere, cipher)
    add_one(database)
    append(database, 2)
    with database.read() as connection:
        ids = connection.execute(select(trainees.c.id).order_by(trainees.c.id)).scalars().all()
        assert ids == [1, 2, 3, 4, 5]
        assert hash_chain.verify(connection).broken == 0
    with pytest.raises(DBAPIError, match="only grows"), database.write() as connection:
        connection.execute(text("DELETE FROM zoom_inbox"))
    database.close()


def test_the_backup_is_for_its_owner_only_and_nothing_else_is_left(filled: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    backed_up(filled, folder / "gatehouse.backup")
    assert [each.name for each in folder.iterdir()] == ["gatehouse.backup"]
    assert (folder / "gatehouse.backup").stat().st_mode & 0o777 == 0o600


def test_the_manifest_says_what_is_in_the_backup(filled: str, tmp_path: Path, cipher: MultiFernet) -> None:
    backed_up(filled, tmp_path / "backup")
    with zipfile.ZipFile(tmp_path / "backup") as opened:
        told = json.loads(opened.read("manifest.json"))
        assert {name: sha256(opened.read(name)).hexdigest() for name in told["parts"]} == told["parts"]
    found = rows(filled, cipher)
    assert told["contents"]["counts"] == {name: len(found[name]) for name in found}
    assert told["contents"]["chain_position"] == DELIVERIES
    assert (told["revision"], told["format"]) == (head(), 1)
    assert datetime.fromisoformat(told["created_at"]).tzinfo is not None


def test_a_backup_is_never_written_over_a_file(filled: str, tmp_path: Path) -> None:
    (tmp_path / "backup").write_text("something else")
    assert refused(gatehouse(filled, "backup", tmp_path / "backup")) == "backup_exists"
    assert (tmp_path / "backup").read_text() == "something else"


def test_a_folder_that_is_not_there_is_a_refusal(filled: str, tmp_path: Path) -> None:
    assert refused(gatehouse(filled, "backup", tmp_path / "none" / "backup")) == "backup_not_written"


def test_a_database_of_another_revision_is_not_backed_up(filled: str, tmp_path: Path) -> None:
    tamper(filled, "UPDATE alembic_version SET version_num = '9999'")
    assert refused(gatehouse(filled, "backup", tmp_path / "backup")) == "database_not_migrated"
    assert not (tmp_path / "backup").exists()


@pytest.mark.databases("sqlite")
def test_a_file_that_is_not_there_is_not_made_by_a_backup(make: Callable[[], str], tmp_path: Path) -> None:
    url = make()
    assert refused(gatehouse(url, "backup", tmp_path / "backup")) == "database_missing"
    assert not Path(url.removeprefix("sqlite:///")).exists()


def test_a_database_that_is_there_is_only_replaced_when_that_is_said_and_kept_then(
    filled: str, tmp_path: Path, cipher: MultiFernet, backend: str
) -> None:
    backed_up(filled, tmp_path / "backup")
    before = rows(filled, cipher)
    run_on(filled, cipher, add_one)
    assert refused(gatehouse(filled, "restore", tmp_path / "backup")) == "database_exists"
    assert len(rows(filled, cipher)["trainees"]) == 4
    result = gatehouse(filled, "restore", "--replace", tmp_path / "backup", "--json")
    assert result.exit_code == 0, result.stderr
    assert rows(filled, cipher) == before
    former = json.loads(result.stdout)["former"]
    if backend == "sqlite":
        assert len(rows(f"sqlite:///{former}", cipher)["trainees"]) == 4
    else:
        there = select(func.count()).select_from(text(f"{former}.trainees"))
        database = Database(filled, cipher)
        with database.read() as connection:
            assert connection.scalar(there) == 4
        database.close()


@pytest.mark.databases("sqlite")
def test_rows_that_were_still_beside_the_former_file_are_kept_with_it(
    filled: str, tmp_path: Path, cipher: MultiFernet
) -> None:
    """The process that wrote them was killed: they are in the -wal only."""
    backed_up(filled, tmp_path / "backup")
    path = Path(filled.removeprefix("sqlite:///"))
    database = Database(filled, cipher)
    add_one(database)
    killed = tmp_path / "killed"
    killed.mkdir()
    for each in path.parent.iterdir():
        shutil.copy(each, killed / each.name)
    database.close()
    url = f"sqlite:///{killed}/gatehouse.db"
    assert (killed / "gatehouse.db-wal").stat().st_size > 0
    result = gatehouse(url, "restore", "--replace", tmp_path / "backup", "--json")
    assert result.exit_code == 0, result.stderr
    assert len(rows(url, cipher)["trainees"]) == 3
    assert len(rows(f"sqlite:///{json.loads(result.stdout)['former']}", cipher)["trainees"]) == 4


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("with_file", [True, False])
def test_what_another_database_left_beside_the_file_does_no_harm(
    filled: str, make: Callable[[], str], tmp_path: Path, cipher: MultiFernet, with_file: bool
) -> None:
    backed_up(filled, tmp_path / "backup")
    other, target = Database(make(), cipher), Path(make().removeprefix("sqlite:///"))
    migrate(other)
    add_one(other)
    target.parent.mkdir()
    source = Path(other.url.database or "")
    for suffix in ("-wal", "-shm"):
        shutil.copy(f"{source}{suffix}", f"{target}{suffix}")
    other.close()
    if with_file:
        shutil.copy(filled.removeprefix("sqlite:///"), target)
    assert gatehouse(f"sqlite:///{target}", "restore", "--replace", tmp_path / "backup").exit_code == 0
    assert rows(f"sqlite:///{target}", cipher) == rows(filled, cipher)
    left = {each.name for each in target.parent.iterdir()}
    assert not {"gatehouse.db.restoring", "gatehouse.db-shm"} & left


def wrong_files(good: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Files that are no whole backup, each with the code of its refusal."""
    whole = good.read_bytes()

    def written(name: str, content: bytes) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    for part in (1, 2, 3):
        yield "backup_damaged", written(f"cut-{part}", whole[: len(whole) * part // 4])
    middle = len(whole) // 3
    yield "backup_damaged", written("flipped", whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    yield "backup_foreign", written("empty", b"")
    yield "backup_foreign", written("text", b"-- a dump of something else")
    with sqlite3.connect(folder / "plain.db") as plain:
        plain.execute("CREATE TABLE t (id INTEGER)")
    yield "backup_foreign", folder / "plain.db"
    with zipfile.ZipFile(folder / "other.zip", "w") as other:
        other.writestr("letter.txt", "nothing of ours")
    yield "backup_foreign", folder / "other.zip"
    yield "backup_unreadable", folder / "none"


def rewritten(good: Path, target: Path, change: Callable[[dict[str, Any]], None], **parts: bytes) -> Path:
    """The backup with another manifest, and with other parts under their right SHA-256."""
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(target, "w") as new:
        told = json.loads(old.read("manifest.json"))
        for name in list(told["parts"]):
            content = parts.get(name, old.read(name))
            new.writestr(name, content)
            told["parts"][name] = sha256(content).hexdigest()
        change(told)
        new.writestr("manifest.json", json.dumps(told))
    return target


def test_a_file_that_is_no_whole_backup_changes_nothing(filled: str, tmp_path: Path, cipher: MultiFernet) -> None:
    backed_up(filled, tmp_path / "backup")
    run_on(filled, cipher, add_one)
    before = rows(filled, cipher)
    (tmp_path / "wrong").mkdir()
    for code, file in wrong_files(tmp_path / "backup", tmp_path / "wrong"):
        assert refused(gatehouse(filled, "restore", "--replace", file)) == code, file.name
        assert rows(filled, cipher) == before
    if filled.startswith("sqlite"):
        folder = Path(filled.removeprefix("sqlite:///")).parent
        assert [each.name for each in folder.iterdir()] == ["gatehouse.db"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda told: told.update(revision="9999"), "backup_newer"),
        (lambda told: told.update(format=2, more="unknown"), "backup_newer"),
        (lambda told: told.update(engine="another"), "backup_other_database"),
        (lambda told: told["contents"]["counts"].update(trainees=4), "backup_differs"),
        (lambda told: told["contents"].update(chain_seal="0" * 64), "backup_differs"),
        (lambda told: told["contents"].update(chain_position=4), "backup_differs"),
        (lambda told: told["contents"].update(chain_breaks=1), "backup_differs"),
        (lambda told: told["contents"]["counts"].update({"x; DROP TABLE trainees": 0}), "backup_damaged"),
        (lambda told: told["contents"]["counts"].update(trainees="3"), "backup_damaged"),
        (lambda told: told.update(contents=[]), "backup_damaged"),
        (lambda told: told["parts"].clear(), "backup_damaged"),
        (lambda told: told.clear(), "backup_foreign"),
    ],
)
def test_a_manifest_that_contradicts_what_is_there_changes_nothing(
    filled: str, tmp_path: Path, cipher: MultiFernet, change: Callable[[dict[str, Any]], None], code: str
) -> None:
    backed_up(filled, tmp_path / "backup")
    before = rows(filled, cipher)
    file = rewritten(tmp_path / "backup", tmp_path / "changed", change)
    assert refused(gatehouse(filled, "restore", "--replace", file)) == code
    assert rows(filled, cipher) == before


@pytest.mark.databases("sqlite")
def test_a_delivery_that_was_changed_inside_a_backup_is_found(
    filled: str, make: Callable[[], str], tmp_path: Path
) -> None:
    backed_up(filled, tmp_path / "backup")
    with zipfile.ZipFile(tmp_path / "backup") as opened:
        opened.extract("gatehouse.db", tmp_path)
    tamper(f"sqlite:///{tmp_path}/gatehouse.db", "UPDATE zoom_inbox SET body = x'7b7d' WHERE id = 2")
    forged = (tmp_path / "gatehouse.db").read_bytes()
    file = rewritten(tmp_path / "backup", tmp_path / "forged", lambda told: None, **{"gatehouse.db": forged})
    assert refused(gatehouse(make(), "restore", file)) == "backup_differs"


@pytest.mark.databases("postgresql")
def test_rows_that_cannot_be_loaded_are_a_damaged_backup(filled: str, make: Callable[[], str], tmp_path: Path) -> None:
    backed_up(filled, tmp_path / "backup")
    broken = {"tables/trainees.copy": b"these\tare\tno\ttrainees\n"}
    file = rewritten(tmp_path / "backup", tmp_path / "broken", lambda told: None, **broken)
    assert refused(gatehouse(make(), "restore", file)) == "backup_damaged"


def test_a_chain_that_was_broken_before_is_backed_up_and_restored_and_told(
    filled: str, make: Callable[[], str], tmp_path: Path
) -> None:
    tamper(filled, "UPDATE zoom_inbox SET stale = true WHERE id = 2")
    assert backed_up(filled, tmp_path / "backup")["chain_breaks"] == 1
    result = gatehouse(make(), "restore", tmp_path / "backup")
    assert result.exit_code == 0, result.stderr
    assert "The chain's 1 breaks are older than the backup" in result.stdout


@pytest.mark.databases("sqlite")
def test_a_damaged_file_is_not_backed_up(filled: str, tmp_path: Path) -> None:
    path = Path(filled.removeprefix("sqlite:///"))
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * 4096 * 20 + whole[8192 + 4096 * 20 :])
    assert refused(gatehouse(filled, "backup", tmp_path / "backup")) == "database_damaged"
    assert not (tmp_path / "backup").exists()


def test_deliveries_that_come_in_meanwhile_are_wholly_in_the_backup_or_not_at_all(
    filled: str, make: Callable[[], str], tmp_path: Path, cipher: MultiFernet
) -> None:
    database, stop = Database(filled, cipher), threading.Event()

    def go_on_writing() -> None:
        while not stop.is_set():
            append(database, 3)
            add_one(database)

    writer = threading.Thread(target=go_on_writing)
    writer.start()
    try:
        made = [backed_up(filled, tmp_path / f"backup-{number}") for number in range(3)]
    finally:
        stop.set()
        writer.join()
        database.close()
    assert made[0]["deliveries_sealed"] < made[2]["deliveries_sealed"]
    for number, each in enumerate(made):
        elsewhere = make()
        result = gatehouse(elsewhere, "restore", tmp_path / f"backup-{number}")
        assert result.exit_code == 0, result.stderr
        found = rows(elsewhere, cipher)
        assert sum(map(len, found.values())) == each["rows"]
        assert len(found["zoom_seals"]) == each["deliveries_sealed"]


def test_a_restore_is_refused_while_the_server_runs(filled: str, tmp_path: Path, cipher: MultiFernet) -> None:
    environment = {
        "GATEHOUSE_PUBLIC_URL": "https://gatehouse.example.org",
        "GATEHOUSE_SECRET_KEY": "the secret key of the tests, which is long enough",
        "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
        "GATEHOUSE_DATABASE_URL": filled,
    }
    with serving(environment, tmp_path) as served:
        backed_up(filled, tmp_path / "backup")
        assert refused(gatehouse(filled, "restore", "--replace", tmp_path / "backup")) == "database_in_use"
        assert served.get("/readyz") == 200
        assert served.stop() == 0
    assert gatehouse(filled, "restore", "--replace", tmp_path / "backup").exit_code == 0


def test_a_backup_of_the_other_kind_of_database_is_refused(
    filled: str, tmp_path: Path, postgres: Postgres, cipher: MultiFernet
) -> None:
    backed_up(filled, tmp_path / "backup")
    sqlite = filled.startswith("sqlite")
    other = postgres.create(f"backup_{next(_numbers)}") if sqlite else f"sqlite:///{tmp_path}/other/gatehouse.db"
    assert refused(gatehouse(other, "restore", tmp_path / "backup")) == "backup_other_database"


@pytest.mark.databases("sqlite")
def test_a_backup_that_finds_no_room_leaves_nothing(filled: str, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("a small file system can only be mounted by root")
    try:
        assert refused(gatehouse(filled, "backup", folder / "backup")) == "backup_not_written"
        assert list(folder.iterdir()) == []
    finally:
        subprocess.run(["umount", folder], check=True)
