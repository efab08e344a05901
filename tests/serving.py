"""`gatehouse serve` in a process of its own, as an operator starts it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.ports import free_port
from tests.source import ROOT

START_SECONDS = 120
# Longer than the tool itself waits for its web processes.
STOP_SECONDS = 120


@dataclass
class Served:
    """A running tool: its port, the process that was started, and the file its log goes to."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def get(self, path: str) -> int:
        """The status of a GET."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        finally:
            connection.close()

    def json(self, path: str) -> dict[str, Any]:
        """The JSON object that a GET answers, whatever its status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            found: dict[str, Any] = json.load(connection.getresponse())
            return found
        finally:
            connection.close()

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of a POST."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", path, body, dict(headers))
            return connection.getresponse().status
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal to the process that was started; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End the process that was started and all that it started at once, as a power cut does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def children(self) -> list[int]:
        """The ids of the web processes."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(each) for each in found.split()]


@contextmanager
def serving(environment: Mapping[str, str], folder: Path, *options: str, under: Sequence[str] = ()) -> Iterator[Served]:
    """Start `gatehouse serve` and wait until it is ready; none of its processes is left at the end. `under` is a
    command that runs it."""
    port = free_port()
    log = folder / f"serve-{port}.log"
    with started(environment, log, "serve", "--port", str(port), *options, under=under) as process:
        served = Served(port, process, log)
        _wait_until_ready(served)
        yield served


@contextmanager
def started(
    environment: Mapping[str, str], log: Path, *words: str, under: Sequence[str] = ()
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start any gatehouse command in a process of its own; what it says goes to the file. None of the processes that it
    started is left at the end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
    with log.open("ab") as output:
        command = [*under, sys.executable, "-m", "lti_tool", *words]
        process = subprocess.Popen(
            command, cwd=ROOT, env={**kept, **environment}, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_ready(served: Served) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and served.process.poll() is None:
        try:
            if served.get("/readyz") == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"the tool did not get ready:\n{served.log.read_text()[-4000:]}")
