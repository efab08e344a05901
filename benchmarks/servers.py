"""Servers under measurement: each the same web server with the same threads, in a process of its own."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
THREADS = 16
# What `gatehouse serve` has for pages and launches.
TOOL_THREADS = 8
START_SECONDS = 20
TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A running server: its port and its process."""

    port: int
    process: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        """What the server and its children have used of the processor so far."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return sum(_cpu_seconds(pid) for pid in (str(self.process.pid), *children))

    def resident_megabytes(self) -> float:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return sum(_proportional_kilobytes(pid) for pid in (str(self.process.pid), *children)) / 1024


@contextmanager
def serving(
    python: Path, target: str, environment: Mapping[str, str], log: Path, port: int, *, interface: str = "wsgi"
) -> Iterator[Server]:
    """Run `target` (an application factory, "module:function") until the block ends."""
    command = [str(python), "-m", "granian", "--interface", interface, "--factory", "--no-ws", "--log-level", "warning"]
    command += [
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        *(["--blocking-threads", str(THREADS)] if interface == "wsgi" else []),
        target,
    ]
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=output)
    try:
        _wait(process, port, log)
        yield Server(port, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(START_SECONDS)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"a server did not start:\n{log.read_text()[-4000:]}")


def _cpu_seconds(pid: str) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def _proportional_kilobytes(pid: str) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
