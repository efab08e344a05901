"""The webhook row: durable appends against the same server answering without a database, and a burst."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from statistics import median

from benchmarks.installation import SECRET, Installation
from benchmarks.load import Run, in_clumps, keep_busy, percentile, post
from zoom_adapter.signature import sign

CLIENTS = 32
ROUNDS = 5
SECONDS_A_ROUND = 2
BURST = 4000
BURST_CLUMPS = 10
BURST_CLIENTS = 256

DURABLE, WITHOUT_DATABASE, BARE = "/zoom/webhook", "/without-database/zoom/webhook", "/bare"
PATHS = (DURABLE, WITHOUT_DATABASE, BARE)

_numbers = count(1)


@dataclass
class Endpoint:
    """One path of one installation: the rates and the slowest hundredth of its rounds."""

    path: str
    rates: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return median(self.rates)

    @property
    def p99_milliseconds(self) -> float:
        return 1000 * median(self.p99)


@dataclass(frozen=True)
class Row:
    """What one installation gave."""

    name: str
    endpoints: dict[str, Endpoint]
    burst: Run

    @property
    def share_of_without_database(self) -> float:
        return self.endpoints[DURABLE].rate / self.endpoints[WITHOUT_DATABASE].rate

    @property
    def share_of_bare(self) -> float:
        return self.endpoints[DURABLE].rate / self.endpoints[BARE].rate

    @property
    def burst_p99_seconds(self) -> float:
        return percentile((answer.seconds for answer in self.burst.answers), 0.99)

    @property
    def burst_refused(self) -> int:
        return sum(not 200 <= answer.status < 300 for answer in self.burst.answers)


def measure(installations: Sequence[Installation]) -> list[Row]:
    """Alternate the paths and installations; the first round warms up and sets how many requests a round has."""
    kept = {each.name: {path: Endpoint(path) for path in PATHS} for each in installations}
    sizes = {(each.name, path): 400 for each in installations for path in PATHS}
    for number in range(ROUNDS + 1):
        for each in installations:
            for path in PATHS:
                run = _keep_busy(each, path, sizes[each.name, path])
                sizes[each.name, path] = max(400, int(run.rate * SECONDS_A_ROUND))
                if number:
                    kept[each.name][path].rates.append(run.rate)
                    kept[each.name][path].p99.append(percentile((answer.seconds for answer in run.answers), 0.99))
    return [Row(each.name, kept[each.name], _burst(each)) for each in installations]


def _keep_busy(installation: Installation, path: str, size: int) -> Run:
    run = keep_busy(installation.server.port, list(deliveries(path, size)), CLIENTS)
    if not run.statuses() <= {200, 204}:
        raise RuntimeError(f"{installation.name}: {path} answered {sorted(run.statuses())}")
    return run


def _burst(installation: Installation) -> Run:
    """4,000 deliveries in ten clumps, one each second: everybody leaves for the break at once."""
    requests = list(deliveries(DURABLE, BURST))
    return in_clumps(installation.server.port, requests, BURST_CLUMPS, every=1.0, clients=BURST_CLIENTS)


def deliveries(path: str, size: int) -> Iterator[bytes]:
    """Signed deliveries as Zoom makes them, each with content of its own."""
    for number in (next(_numbers) for _ in range(size)):
        body = json.dumps(_joined(number)).encode()
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "x-zm-request-timestamp": timestamp,
            "x-zm-signature": sign(SECRET, timestamp, body),
            "x-zm-request-id": f"request-{number}",
        }
        yield post(path, body, headers)


def _joined(number: int) -> dict[str, object]:
    participant = {
        "user_id": str(16778240 + number),
        "user_name": f"Trainee {number}",
        "participant_user_id": f"user-{number}",
        "participant_uuid": f"participant-{number}",
        "registrant_id": f"registrant-{number}",
        "email": f"trainee-{number}@example.org",
        "join_time": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "id": f"id-{number}",
    }
    meeting = {
        "id": "85746065432",
        "uuid": "nPO6ai2ITFKdlPFXI8pc2A==",
        "host_id": "x1yCzABCDEfg23HiJKl4mN",
        "topic": "Training day",
        "type": 2,
        "start_time": "2026-12-01T17:00:00Z",
        "timezone": "America/Los_Angeles",
        "duration": 480,
        "participant": participant,
    }
    payload = {"account_id": "AAAAAABBBB", "object": meeting}
    return {"event": "meeting.participant_joined", "event_ts": 1796144400000 + number, "payload": payload}
