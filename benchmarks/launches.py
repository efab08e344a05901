"""The launch row: login + launch against PyLTI1p3's Flask adapter, and the tool's own cost against its primitives.

Rounds of the tool and the peer alternate. Signing the tokens is the platform's work and is not counted. The tool's
figures are given twice: for login + launch, which is all that the peer does, and with the page that a launch opens,
on which the gate is decided.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.installation import Installation
from benchmarks.load import Run, keep_busy
from benchmarks.platform import Platform, page, pems
from benchmarks.servers import ROOT, Server, serving
from sandbox.ports import free_port

CLIENTS = 16
ROUNDS = 5
LAUNCHES = 300
MODULE = "F2"
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"


@dataclass
class Side:
    """One of the compared: where it is reached, and what its rounds gave (in seconds for all launches of a round)."""

    name: str
    public_url: str
    server: Server
    has_page: bool
    launched: list[float] = field(default_factory=list)
    opened: list[float] = field(default_factory=list)
    cpu_launched: list[float] = field(default_factory=list)
    cpu_opened: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Login + launch, each second."""
        return LAUNCHES / median(self.launched)

    @property
    def rate_with_page(self) -> float:
        return LAUNCHES / median(self.opened)

    @property
    def cpu(self) -> float:
        """Milliseconds of the server's processor time for one login + launch."""
        return 1000 * median(self.cpu_launched) / LAUNCHES

    @property
    def cpu_with_page(self) -> float:
        return 1000 * median(self.cpu_opened) / LAUNCHES

    def forget(self) -> None:
        for kept in (self.launched, self.opened, self.cpu_launched, self.cpu_opened):
            kept.clear()


@contextmanager
def running_peer(platform: Platform, folder: Path) -> Iterator[Side]:
    """PyLTI1p3 with the same platform registered."""
    private, public = pems(platform.key)
    client = {
        "client_id": platform.client_id,
        "auth_login_url": f"{platform.issuer}/auth",
        "auth_token_url": f"{platform.issuer}/token",
        "key_set_url": None,
        "key_set": platform.key_set,
        "deployment_ids": [platform.deployment_id],
    }
    config = folder / "peer.json"
    config.write_text(
        json.dumps({"issuer": platform.issuer, "client": client, "private_key": private, "public_key": public})
    )
    port = free_port()
    with serving(
        PEER_PYTHON, "benchmarks.peer:peer", {"PEER_CONFIG": str(config)}, folder / "peer.log", port
    ) as server:
        yield Side("PyLTI1p3 2.0.0", f"http://127.0.0.1:{port}", server, has_page=False)


def measure(installations: Sequence[Installation], peer: Side, platform: Platform) -> list[Side]:
    """Alternate rounds on every side; the first round warms up and is not kept."""
    sides = [Side(f"Gatehouse, {each.name}", each.public_url, each.server, has_page=True) for each in installations]
    for number in range(ROUNDS + 1):
        for side in (*sides, peer):
            _round(side, platform, first_trainee=number * LAUNCHES)
            if number == 0:
                side.forget()
    return [*sides, peer]


def _round(side: Side, platform: Platform, first_trainee: int) -> None:
    trainees = range(first_trainee, first_trainee + LAUNCHES)
    cpu = side.server.cpu_seconds()
    logins = _run(side, [platform.login(side.public_url, trainee) for trainee in trainees], {302})
    asked = zip(trainees, logins.answers, strict=True)
    requests = [platform.launch(side.public_url, MODULE, trainee, login) for trainee, login in asked]
    launches = _run(side, requests, {302, 303})
    side.launched.append(logins.seconds + launches.seconds)
    side.cpu_launched.append(side.server.cpu_seconds() - cpu)
    if side.has_page:
        pages = _run(side, [page(launch) for launch in launches.answers], {200})
        side.opened.append(logins.seconds + launches.seconds + pages.seconds)
        side.cpu_opened.append(side.server.cpu_seconds() - cpu)


def _run(side: Side, requests: list[bytes], expected: set[int]) -> Run:
    run = keep_busy(side.server.port, requests, CLIENTS)
    if not run.statuses() <= expected:
        raise RuntimeError(f"{side.name} answered {sorted(run.statuses())} instead of {sorted(expected)}")
    return run
