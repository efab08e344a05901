"""`gatehouse serve` and `gatehouse worker` as processes: start, work, an orderly end, and no second writer."""

import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from cryptography.fernet import MultiFernet
from sqlalchemy import select

from lti_tool.db import Database
from lti_tool.migrations import head, present_revision
from lti_tool.programme.versions import current
from lti_tool.tables.zoom import zoom_inbox
from sandbox.ports import free_port
from tests.conftest import DEMO_PROGRAMME, FIELD_KEY, ZOOM_SECRET
from tests.postgres import Postgres
from tests.serving import STOP_SECONDS, serving, started
from tests.waiting import until
from zoom_adapter.signature import sign

# Python runs this before anything else. At the first audit event of this name in the web process (or in its parent,
# right before the fork) the parent is told to stop. Once it has passed that on, the web process gets another SIGTERM
# inside a destructor, where what a handler raises is lost. That a web process had to be killed is written as well.
STOPPING_ITSELF = """
import os, pathlib, signal, sys, time

parent, moment, is_told = os.getpid(), os.environ["STOP_AT"], False
passed_on = pathlib.Path(__file__).with_name("passed-on")


class Last:
    def __del__(self):
        os.kill(parent, signal.SIGTERM)
        while os.getpid() != parent and not passed_on.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)


def hear(event, arguments):
    global is_told
    if event == "os.kill" and arguments[1] == signal.SIGKILL:
        os.write(2, b"refused to stop\\n")
    if event == "os.kill" and os.getpid() == parent != arguments[0]:
        passed_on.touch()
    if event == moment and not is_told and (os.getpid() == parent) == (event == "os.fork"):
        is_told = True
        os.write(2, b"told to stop\\n")
        Last()


sys.addaudithook(hear)
"""
# In order: before there is a web process, at its first step, while routes are made, when the worker inside has begun.
MOMENTS = ("os.fork", "builtins.id", "compile", "sqlite3.connect")
BODY = b'{"event": "meeting.participant_joined", "event_ts": 1, "payload": {"object": {"id": "85746065432"}}}'


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "GATEHOUSE_PUBLIC_URL": "https://gatehouse.example.org",
        "GATEHOUSE_SECRET_KEY": "the secret key of the tests, which is long enough",
        "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
        "GATEHOUSE_DATA": str(tmp_path),
        "GATEHOUSE_DATABASE_URL": database_url,
        "GATEHOUSE_ZOOM_SECRET_TOKENS": ZOOM_SECRET,
        "GATEHOUSE_PROGRAMME": str(DEMO_PROGRAMME),
    }


def headers() -> dict[str, str]:
    timestamp = str(int(time.time()))
    return {"x-zm-request-timestamp": timestamp, "x-zm-signature": sign(ZOOM_SECRET, timestamp, BODY)}


# Path → what answers a body that broke off or did not come in time: Zoom shall send again, others made a mistake.
UNFINISHED = {
    "/zoom/webhook": (b"503",),
    "/lti/launch": (b"400",),
    "/lti/login": (b"400",),
    "/healthz": (b"405",),
}


@contextmanager
def begun(port: int, path: str, length: int | None, more: Mapping[str, str] | None = None) -> Iterator[socket.socket]:
    """A POST whose head and first ten bytes have been sent; without a length, the head of one sent in chunks."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        signed = {"x-zm-request-timestamp": "1", "x-zm-signature": "v0=1"} | dict(more or {})
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", *(f"{name}: {value}" for name, value in signed.items())]
        lines += ["Content-Type: application/x-www-form-urlencoded"]
        lines += ["Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"]
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if length is None else b"iss=tenxxx"))
        yield connection


def test_the_worker_inside_reads_what_zoom_delivers_and_sigterm_ends_both_with_zero(
    environment: dict[str, str], tmp_path: Path, database: Database
) -> None:
    def is_taken() -> bool:
        with database.read() as connection:
            return connection.execute(select(zoom_inbox.c.taken_at)).scalar() is not None

    with serving(environment, tmp_path) as served:
        assert served.post("/zoom/webhook", BODY, headers()) == 204
        until(is_taken)
        children = served.children()
        assert len(children) == 1
        assert served.stop() == 0
    assert not any(Path(f"/proc/{child}").exists() for child in children)


@pytest.mark.databases("sqlite")
def test_a_first_start_makes_the_database_and_publishes_the_programme(
    environment: dict[str, str], tmp_path: Path, cipher: MultiFernet
) -> None:
    environment |= {"GATEHOUSE_DATABASE_URL": "", "GATEHOUSE_DATA": str(tmp_path / "new folder")}
    with serving(environment, tmp_path) as served:
        assert served.stop() == 0
    database = Database(f"sqlite:///{tmp_path}/new folder/gatehouse.db", cipher)
    with database.read() as connection:
        assert present_revision(connection) == head()
        assert current(connection).version == 1
    database.close()


def test_sigterm_lets_a_request_in_flight_finish(environment: dict[str, str], tmp_path: Path) -> None:
    with serving(environment, tmp_path) as served, socket.create_connection(("127.0.0.1", served.port)) as browser:
        lines = ["POST /zoom/webhook HTTP/1.1", "Host: localhost", f"Content-Length: {len(BODY)}"]
        lines += ["Expect: 100-continue", *(f"{name}: {value}" for name, value in headers().items())]
        browser.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        assert browser.recv(4096).startswith(b"HTTP/1.1 100")  # it is being answered
        served.process.send_signal(signal.SIGTERM)
        until(lambda: not is_answering(served.port))
        browser.sendall(BODY)
        assert browser.recv(4096).startswith(b"HTTP/1.1 204")
        assert served.process.wait(STOP_SECONDS) == 0


@pytest.mark.databases("sqlite")
def test_64_bodies_that_never_arrive_keep_nobody_else_waiting(environment: dict[str, str], tmp_path: Path) -> None:
    environment |= {"GATEHOUSE_BODY_SECONDS": "2"}
    paths = ["/zoom/webhook", "/lti/launch", "/lti/login", "/healthz"]
    with serving(environment, tmp_path) as served, ExitStack() as stack:
        unfinished = [stack.enter_context(begun(served.port, paths[number % 4], 100)) for number in range(64)]
        assert served.get("/healthz") == 200
        assert served.get("/readyz") == 200
        assert served.get("/lti/jwks.json") == 200
        assert served.post("/zoom/webhook", BODY, headers()) == 204
        for each, path in zip(unfinished, paths * 16, strict=True):
            assert each.recv(4096).split(maxsplit=2)[1] in UNFINISHED[path]
        assert served.stop() == 0


@pytest.mark.databases("sqlite")
def test_sigterm_ends_a_server_whose_requests_never_arrive_whole(environment: dict[str, str], tmp_path: Path) -> None:
    environment |= {"GATEHOUSE_BODY_SECONDS": "1"}
    with serving(environment, tmp_path) as served, begun(served.port, "/zoom/webhook", 100) as unfinished:
        served.process.send_signal(signal.SIGTERM)
        assert unfinished.recv(4096).startswith(b"HTTP/1.1 503")
        assert served.process.wait(STOP_SECONDS) == 0


@pytest.mark.databases("sqlite")
def test_a_body_sent_in_chunks_is_read_like_any_other(environment: dict[str, str], tmp_path: Path) -> None:
    chunks = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (10, BODY[:10], len(BODY) - 10, BODY[10:])
    with serving(environment, tmp_path) as served:
        with begun(served.port, "/zoom/webhook", None, headers()) as request:
            request.sendall(chunks)
            assert request.recv(4096).startswith(b"HTTP/1.1 204")
        with begun(served.port, "/zoom/webhook", None, headers()) as request:
            with suppress(ConnectionError):  # it is refused before its end
                for _ in range(64):
                    request.sendall(b"%x\r\n%s\r\n" % (65536, bytes(65536)))
            assert request.recv(4096).startswith(b"HTTP/1.1 413")


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("moment", MOMENTS)
def test_sigterm_while_a_web_process_still_starts_ends_both_with_zero(
    moment: str, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(STOPPING_ITSELF)
    environment |= {"PYTHONPATH": str(tmp_path), "STOP_AT": moment}
    said = tmp_path / "said"
    with started(environment, said, "serve", "--port", str(free_port())) as process:
        assert process.wait(STOP_SECONDS) == 0
    assert "told to stop" in said.read_text()
    assert "refused to stop" not in said.read_text()


@pytest.mark.databases("sqlite")
def test_a_web_process_whose_parent_was_killed_ends_itself(environment: dict[str, str], tmp_path: Path) -> None:
    with serving(environment, tmp_path) as served:
        (child,) = served.children()
        served.stop(signal.SIGKILL)
        until(lambda: not is_running(child))


@pytest.mark.databases("sqlite")
def test_a_web_process_that_was_killed_is_replaced(environment: dict[str, str], tmp_path: Path) -> None:
    with serving(environment, tmp_path) as served:
        (child,) = served.children()
        os.kill(child, signal.SIGKILL)
        until(lambda: served.children() not in ([], [child]))
        until(lambda: is_answering(served.port))
        assert served.stop() == 0


def is_running(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


def is_answering(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.databases("sqlite")
def test_several_processes_on_one_sqlite_file_are_refused(environment: dict[str, str], tmp_path: Path) -> None:
    said = tmp_path / "said"
    with started(environment, said, "serve", "--processes", "2") as process:
        assert process.wait(STOP_SECONDS) == 1
    assert "(sqlite_one_process)" in said.read_text()


@pytest.mark.databases("postgresql")
def test_several_processes_share_postgresql(environment: dict[str, str], tmp_path: Path) -> None:
    with serving(environment, tmp_path, "--processes", "2", "--threads", "4") as served:
        assert len(served.children()) == 2
        assert {served.get("/healthz") for _ in range(10)} == {200}
        assert served.stop() == 0


@pytest.mark.databases("postgresql")
def test_a_postgresql_that_was_not_migrated_is_not_served(
    environment: dict[str, str], tmp_path: Path, postgres: Postgres
) -> None:
    environment["GATEHOUSE_DATABASE_URL"] = postgres.create("not_migrated")
    said = tmp_path / "said"
    with started(environment, said, "serve") as process:
        assert process.wait(STOP_SECONDS) == 1
    assert "(database_not_migrated)" in said.read_text()


def test_a_worker_in_its_own_process_ends_with_zero_on_sigterm(environment: dict[str, str], tmp_path: Path) -> None:
    said = tmp_path / "said"
    with started(environment, said, "worker") as process:
        until(lambda: '"working"' in said.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0


def test_the_log_of_a_server_holds_no_path_and_no_body(environment: dict[str, str], tmp_path: Path) -> None:
    with serving(environment, tmp_path) as served:
        served.get("/calendar/a-secret-token.ics?email=jo@example.org")
        served.post("/zoom/webhook", BODY, headers())
        served.stop()
    said = served.log.read_text()
    assert not any(secret in said for secret in ("a-secret-token", "jo@example.org", "85746065432"))
