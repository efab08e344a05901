"""Servers under measurement, each in a process of its own: those in Python on the same web server, those on Node."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
THREADS = 16
# What `gatehouse serve` has for pages and launches.
TOOL_THREADS = 8
START_SECONDS = 20
STOP_SECONDS = 20
TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A running server: its port and its process."""

    port: int
    process: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        """What the server and its children have used of the processor so far."""
        return cpu_seconds_with_children(self.process.pid)

    def resident_megabytes(self) -> float:
        family = (self.process.pid, *_children(self.process.pid))
        return sum(map(_proportional_kilobytes, family)) / 1024


@contextmanager
def serving(
    python: Path, target: str, environment: Mapping[str, str], log: Path, port: int, *, interface: str = "wsgi"
) -> Iterator[Server]:
    """Run `target` (an application factory, "module:function") on granian until the block ends."""
    command = [str(python), "-m", "granian", "--interface", interface, "--factory", "--no-ws", "--log-level", "warning"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--blocking-threads", str(THREADS)] if interface == "wsgi" else []
    with running([*command, target], environment, log, port) as server:
        yield server


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str], log: Path, port: int) -> Iterator[Server]:
    """Run a command that listens on this port until the block ends."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=output)
    try:
        _wait(process, port, log)
        yield Server(port, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"a server did not start:\n{log.read_text()[-4000:]}")


def cpu_seconds_with_children(pid: int) -> float:
    """Seconds of the processor that this process, its children, and the children that have ended have used."""
    return TICK * (sum(_cpu_ticks(pid)) + sum(sum(_cpu_ticks(child)[:2]) for child in _children(pid)))


def _cpu_ticks(pid: int) -> list[int]:
    """utime, stime, cutime and cstime of /proc/PID/stat; nothing if the process has just ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except FileNotFoundError:
        return []
    return [int(each) for each in fields[11:15]]


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _proportional_kilobytes(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
