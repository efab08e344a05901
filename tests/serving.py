"""`gatehouse serve` in a process of its own, as an operator starts it."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.ports import free_port
from tests.source import ROOT

START_SECONDS = 60
STOP_SECONDS = 60


@dataclass
class Served:
    """A running tool: its port, its process, and the file its log goes to."""

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

    def children(self) -> list[int]:
        """The ids of the web processes."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(each) for each in found.split()]


@contextmanager
def serving(environment: Mapping[str, str], folder: Path, *options: str) -> Iterator[Served]:
    """Start `gatehouse serve` and wait until it is ready; killed at the end if it still runs."""
    port = free_port()
    log = folder / f"serve-{port}.log"
    process = start(environment, log, "serve", "--port", str(port), *options)
    served = Served(port, process, log)
    try:
        _wait_until_ready(served)
        yield served
    finally:
        if process.poll() is None:
            for child in served.children():
                os.kill(child, signal.SIGKILL)
            process.kill()
            process.wait()


def start(environment: Mapping[str, str], log: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start any gatehouse command; what it says goes to the file."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_")}
    with log.open("ab") as output:
        command = [sys.executable, "-m", "lti_tool", *arguments]
        return subprocess.Popen(command, cwd=ROOT, env={**kept, **environment}, stdout=output, stderr=output)


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
