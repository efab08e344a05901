"""Uploads and downloads through the real server: what is read of whom, what it costs, and a file deleted meanwhile."""

import hashlib
import http.client
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update

from lti_tool.db import Database
from lti_tool.materials.kinds import MAX_FILE_BYTES
from lti_tool.materials.storage import COPIES
from lti_tool.tables.materials import material_chunks, material_files, materials
from lti_tool.web.session import COOKIE
from tests.browser_session import start
from tests.sample_files import PDF
from tests.serving import Served, serving
from tests.training_day import add_place, add_platform, add_trainee
from tests.unit.commands.test_serve import environment as environment
from tests.waiting import until

PLACE = "/desk/programme/F1/materials"
LARGEST = PDF + hashlib.sha256(b"noise").digest() * ((MAX_FILE_BYTES - len(PDF)) // 32)
BOUNDARY = "a-boundary-that-no-file-holds"


class Person:
    """Somebody with a browser session at the running tool."""

    def __init__(self, served: Served, database: Database, role: str) -> None:
        self.served = served
        at = datetime.now(UTC)
        with database.write() as connection:
            platform = add_platform(connection, at)
            trainee = add_trainee(connection, platform, at)
            place = add_place(connection, platform, at)
            whose = {"registration_id": platform, "context_id": "course-1", "role": role, "now": at}
            token = start(connection, trainee_id=trainee, placement_id=place, **whose)
        self.headers = {"Cookie": f"{COOKIE}={token}"}
        self.opened: list[http.client.HTTPConnection] = []

    def connect(self) -> http.client.HTTPConnection:
        self.opened.append(http.client.HTTPConnection("127.0.0.1", self.served.port, timeout=120))
        return self.opened[-1]

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        connection = self.connect()
        connection.request(method, path, body, {**self.headers, **headers})
        return connection.getresponse()

    def announce(self, length: int) -> http.client.HTTPConnection:
        """The head of an upload of this length, and nothing of its body."""
        connection = self.connect()
        connection.putrequest("POST", PLACE)
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        for name, value in {**self.headers, "Content-Type": kind, "Content-Length": str(length)}.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection

    def upload(self, content: bytes, path: str = PLACE) -> int:
        csrf = self.ask("GET", path).read().decode().partition('name="csrf" value="')[2].partition('"')[0]
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{csrf}\r\n'
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="large.pdf"\r\n\r\n'
        )
        body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
        return self.ask("POST", path, body, **{"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}).status


@pytest.fixture
def served(environment: dict[str, str], tmp_path: Path) -> Iterator[Served]:
    with serving(environment, tmp_path, "--no-worker") as served:
        yield served


@pytest.fixture
def enter(served: Served, database: Database) -> Iterator[Callable[[str], Person]]:
    """Somebody enters in this role; their connections are closed at the end."""
    people: list[Person] = []

    def entered(role: str) -> Person:
        people.append(Person(served, database, role))
        return people[-1]

    yield entered
    for connection in (each for person in people for each in person.opened):
        connection.close()


def memory_of(served: Served) -> int:
    """The most memory that the web process has had so far, in bytes."""
    (child,) = served.children()
    line = next(each for each in Path(f"/proc/{child}/status").read_text().splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_a_file_of_50_mb_comes_and_goes_without_being_held_in_memory(enter, served: Served) -> None:
    staff = enter("staff")
    staff.upload(PDF + b"first")
    staff.ask("GET", "/modules/F1/materials/1").read()
    before = memory_of(served)
    assert staff.upload(LARGEST) == 303
    answer = staff.ask("GET", "/modules/F1/materials/2")
    assert answer.headers["Content-Length"] == str(len(LARGEST))
    assert hashlib.sha256(answer.read()).digest() == hashlib.sha256(LARGEST).digest()
    part = staff.ask("GET", "/modules/F1/materials/2", Range="bytes=1000-2999")
    assert (part.status, part.read()) == (206, LARGEST[1000:3000])
    assert memory_of(served) - before < MAX_FILE_BYTES / 2


@pytest.mark.databases("sqlite")
def test_a_reader_who_takes_nothing_costs_no_memory_and_gets_all_of_what_is_deleted_meanwhile(
    enter, served: Served, database: Database, tmp_path: Path
) -> None:
    staff = enter("staff")
    assert staff.upload(LARGEST) == 303
    staff.ask("GET", "/modules/F1/materials/1").read()
    before = memory_of(served)
    readers = [staff.ask("GET", "/modules/F1/materials/1") for _ in range(4)]
    begun = [each.read(1000) for each in readers]
    with database.write() as connection:
        connection.execute(update(materials).values(deleted_at=datetime.now(UTC)))
        connection.execute(delete(material_chunks))
    shutil.rmtree(tmp_path / COPIES)
    assert memory_of(served) - before < MAX_FILE_BYTES / 2
    for first, reader in zip(begun, readers, strict=True):
        assert hashlib.sha256(first + reader.read()).digest() == hashlib.sha256(LARGEST).digest()


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("role", ["trainee", None])
def test_a_large_body_is_read_from_staff_only(role: str | None, enter) -> None:
    person = enter(role or "trainee")
    if role is None:
        person.headers = {}
    connection = person.announce(len(LARGEST))  # nothing of the body is sent, and nothing of it is awaited
    assert connection.getresponse().status == 403


@pytest.mark.databases("sqlite")
def test_a_body_beyond_the_limit_of_uploads_is_refused_unread(enter) -> None:
    staff = enter("staff")
    connection = staff.announce(10**9)
    answer = connection.getresponse()
    assert answer.status == 413
    assert b"201 MB" in answer.read()


@pytest.mark.databases("sqlite")
def test_an_upload_that_breaks_off_leaves_nothing(enter, database: Database) -> None:
    staff = enter("staff")
    connection = staff.announce(len(LARGEST))
    connection.send(LARGEST[:1000])
    connection.close()

    def is_sent() -> bool:
        with suppress(ConnectionError):  # refused unread, while the one that broke off is still in hand
            return staff.upload(PDF) == 303
        return False

    until(is_sent)
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(material_files)) == 1
