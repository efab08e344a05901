"""The start row: from the command to ready, and what the tool occupies while nobody asks for anything."""

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet

from benchmarks.figures import Figure, at_most, progress, spread
from benchmarks.installation import PYTHON, Bench
from benchmarks.primitives import MACHINE
from benchmarks.servers import ROOT, START_SECONDS, Server
from sandbox.ports import free_port

IDLE_SECONDS = 3
ROUNDS = 3


@dataclass(frozen=True)
class Start:
    """Seconds from the command to 200 from /readyz, megabytes (PSS) at rest, seconds to the end."""

    ready_seconds: float
    idle_megabytes: float
    stop_seconds: float


def measure(bench: Bench) -> Iterator[Figure]:
    """`gatehouse serve` with its worker on a new SQLite file, started several times: the first makes the database."""
    starts = []
    for number in range(ROUNDS + 1):
        progress(f"start: round {number} of {ROUNDS}")
        start = _serve(bench.folder)
        starts += [start] if number else []
    ready, idle = (
        spread(each) for each in zip(*((one.ready_seconds, one.idle_megabytes) for one in starts), strict=True)
    )
    yield Figure("start", "command to ready", MACHINE, ready, "s", at_most(2))
    yield Figure("start", "memory of web, worker and SQLite at rest", MACHINE, idle, "MB", at_most(150))
    yield Figure("start", "SIGTERM to the end", MACHINE, spread(each.stop_seconds for each in starts), "s")


def _serve(folder: Path) -> Start:
    port = free_port()
    environment = {
        "GATEHOUSE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "GATEHOUSE_SECRET_KEY": "the secret key of the measurements, long enough",
        "GATEHOUSE_FIELD_KEYS": _field_key(folder),
        "GATEHOUSE_DATA": str(folder / "start"),
        "GATEHOUSE_PROGRAMME": "config/demo.yaml",
        "GATEHOUSE_ZOOM_SECRET_TOKENS": "secret",
    }
    command = [str(PYTHON), "-m", "lti_tool", "serve", "--port", str(port)]
    started = time.perf_counter()
    with (folder / "start.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log)
    try:
        ready = _wait_until_ready(process, port) - started
        time.sleep(IDLE_SECONDS)
        megabytes = Server(port, process).resident_megabytes()
    finally:
        stopping = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        process.wait(START_SECONDS)
    return Start(ready, megabytes, time.perf_counter() - stopping)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> float:
    deadline = time.perf_counter() + START_SECONDS
    while time.perf_counter() < deadline and process.poll() is None:
        if _is_ready(port):
            return time.perf_counter()
        time.sleep(0.02)
    raise RuntimeError("gatehouse serve did not get ready")


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _field_key(folder: Path) -> str:
    path = folder / "field.key"
    if not path.exists():
        path.write_text(Fernet.generate_key().decode())
    return path.read_text()
