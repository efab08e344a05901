"""The webhook row: durable appends against the same server answering without a database, and a burst."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, islice
from statistics import median

from benchmarks.days import big_day
from benchmarks.installation import SECRET, Installation
from benchmarks.load import Run, in_clumps, keep_busy, percentile, post
from sandbox.zoom.random_days import full_day
from sandbox.zoom.training_day import TrainingDay, encode, signed

CLIENTS = 32
ROUNDS = 5
SECONDS_A_ROUND = 2
PEOPLE = 300
BURST = 4000
BURST_PEOPLE = 1000
BURST_CLUMPS = 10
BURST_CLIENTS = 256

DURABLE, WITHOUT_DATABASE, BARE = "/zoom/webhook", "/without-database/zoom/webhook", "/bare"
PATHS = (DURABLE, WITHOUT_DATABASE, BARE)


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
    run = keep_busy(installation.server.port, _deliveries(path, size), CLIENTS)
    if not run.statuses() <= {200, 204}:
        raise RuntimeError(f"{installation.name}: {path} answered {sorted(run.statuses())}")
    return run


def _burst(installation: Installation) -> Run:
    """The 4,000 deliveries of a day of a thousand that come closest together, in ten clumps, one each second."""
    requests = [_post(DURABLE, body) for body in busiest(big_day(BURST_PEOPLE), BURST)]
    return in_clumps(installation.server.port, requests, BURST_CLUMPS, every=1.0, clients=BURST_CLIENTS)


def busiest(day: TrainingDay, size: int) -> list[bytes]:
    """The bodies of so many deliveries in a row as come within the shortest time: small groups end, or the day."""
    told = day.told()
    first = min(range(len(told) - size + 1), key=lambda number: told[number + size - 1].at - told[number].at)
    return [encode(each.event) for each in told[first : first + size]]


def _deliveries(path: str, size: int) -> list[bytes]:
    """So many deliveries as Zoom makes them, each with content of its own."""
    return [_post(path, body) for body in islice(_bodies, size)]


def _endless() -> Iterator[bytes]:
    """One day after the other."""
    for seed in count(1):
        day = full_day(PEOPLE, seed, meeting_id=str(85_000_000_000 + seed))
        yield from (encode(event) for event in day.events())


_bodies = _endless()


def _post(path: str, body: bytes) -> bytes:
    return post(path, body, signed(body, SECRET, datetime.now(UTC)))
