"""The webhook row: durable appends against the same server without a database, against Express, and a burst."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count, islice

from benchmarks.figures import Figure, Spread, at_least, at_most, percentile, progress, ratio, spread
from benchmarks.installation import SECRET, Bench, Installation, installed
from benchmarks.load import Run, in_clumps, keep_busy, post
from benchmarks.peers.processes import EXPRESS, running_express, why_without_node
from benchmarks.servers import Server
from benchmarks.stores import NOTHING
from sandbox.zoom.random_days import full_day
from sandbox.zoom.training_day import TrainingDay, encode, signed

ROW = "webhook"
TOOL, BARE = "Gatehouse", "Gatehouse's server: an empty 204"
PATH = "/zoom/webhook"
CLIENTS = 32
ROUNDS = 4
SECONDS_A_ROUND = 1.2
FEWEST = 200
PEOPLE = 300
BURST = 4000
BURST_PEOPLE = 1000
BURST_CLUMPS = 10
BURST_CLIENTS = 256


@dataclass(frozen=True)
class Receiver:
    """One of the compared: what it is, where it keeps deliveries, and where it takes them."""

    name: str
    where: str
    server: Server
    path: str = PATH


@dataclass(frozen=True)
class Round:
    """Deliveries each second, and the milliseconds that 99 in 100 stayed within."""

    rate: float
    p99: float


def measure(bench: Bench) -> Iterator[Figure]:
    with _receivers(bench) as (installations, receivers):
        rounds = _rounds(receivers)
        for (name, where), kept in rounds.items():
            yield Figure(ROW, f"{name}: deliveries", where, _rates(kept), "/s")
            aim = at_most(50) if name == TOOL and where != NOTHING else None
            p99 = spread(each.p99 for each in kept)
            yield Figure(ROW, f"{name}: p99 at {CLIENTS} clients", where, p99, "ms", aim)
        for store in bench.stores:
            for name, where in rounds:
                if (name, where) != (TOOL, store.name) and where in (store.name, NOTHING):
                    says = f"{TOOL}, durable / {name}" + (f", {where}" if where == NOTHING and name != BARE else "")
                    share = ratio(*([each.rate for each in rounds[key]] for key in ((TOOL, store.name), (name, where))))
                    aim = at_least(0.6) if (name, where) == (TOOL, NOTHING) else None
                    yield Figure(ROW, says, store.name, share, "", aim)
        for each in installations:
            yield from _burst(each)
    if why := why_without_node():
        yield Figure(ROW, f"{EXPRESS}: deliveries", NOTHING, note=why)


def _rates(rounds: list[Round]) -> Spread:
    return spread(each.rate for each in rounds)


@contextmanager
def _receivers(bench: Bench) -> Iterator[tuple[list[Installation], list[Receiver]]]:
    with ExitStack() as stack:
        installations = stack.enter_context(installed(bench, ROW))
        receivers = [Receiver(TOOL, each.name, each.server) for each in installations]
        server = installations[0].server
        receivers += [
            Receiver(TOOL, NOTHING, server, f"/without-database{PATH}"),
            Receiver(BARE, NOTHING, server, "/bare"),
        ]
        for store in () if why_without_node() else (*bench.stores, None):
            server = stack.enter_context(running_express(bench, store))
            receivers.append(Receiver(EXPRESS, store.name if store else NOTHING, server))
        yield installations, receivers


def _rounds(receivers: list[Receiver]) -> dict[tuple[str, str], list[Round]]:
    """Alternate the receivers; the first round warms up and sets how many deliveries a round has."""
    kept: dict[tuple[str, str], list[Round]] = {(each.name, each.where): [] for each in receivers}
    sizes = dict.fromkeys(kept, FEWEST)
    for number in range(ROUNDS + 1):
        for each in receivers:
            progress(f"webhook: round {number} of {ROUNDS}, {each.name}, {each.where}")
            key = each.name, each.where
            run = keep_busy(each.server.port, deliveries(sizes[key], each.path), CLIENTS)
            if not run.statuses() <= {200, 204}:
                raise RuntimeError(f"{key} answered {sorted(run.statuses())}")
            sizes[key] = max(FEWEST, int(run.rate * SECONDS_A_ROUND))
            if number:
                kept[key].append(Round(run.rate, p99_milliseconds(run)))
    return kept


def p99_milliseconds(run: Run) -> float:
    return 1000 * percentile((answer.seconds for answer in run.answers), 0.99)


def _burst(installation: Installation) -> Iterator[Figure]:
    """The 4,000 deliveries of a day of a thousand that come closest together, in ten clumps, one each second."""
    progress(f"webhook: burst, {installation.name}")
    requests = [_post(PATH, body) for body in busiest(full_day(BURST_PEOPLE, rounds=6), BURST)]
    run = in_clumps(installation.server.port, requests, BURST_CLUMPS, every=1.0, clients=BURST_CLIENTS)
    refused = sum(not 200 <= answer.status < 300 for answer in run.answers)
    says, where = (
        f"{TOOL}: {BURST:,} deliveries in {BURST_CLUMPS} s, {BURST // BURST_CLUMPS} at once",
        installation.name,
    )
    yield Figure(ROW, f"{says}: p99", where, spread([p99_milliseconds(run) / 1000]), "s", at_most(1))
    yield Figure(ROW, f"{says}: answers other than 2xx", where, spread([refused]), "", at_most(0))


def busiest(day: TrainingDay, size: int) -> list[bytes]:
    """The bodies of so many deliveries in a row as come within the shortest time: small groups end, or the day."""
    told = day.told()
    first = min(range(len(told) - size + 1), key=lambda number: told[number + size - 1].at - told[number].at)
    return [encode(each.event) for each in told[first : first + size]]


def deliveries(size: int, path: str = PATH) -> list[bytes]:
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
