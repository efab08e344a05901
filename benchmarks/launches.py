"""The launch row: login + launch against PyLTI1p3 and ltijs, and the tool's own cost against its primitives.

Rounds of all sides alternate, first with people who launch for the first time, then with people who launch again.
Signing the tokens is the platform's work and is not counted. The tool's figures are given twice: for login + launch,
which is all that the peers do, and with the page that a launch opens, on which the gate is decided. At the end one
launch is sent a second time to every side.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks import primitives
from benchmarks.figures import Figure, at_least, at_most, progress, ratio, spread
from benchmarks.installation import Bench, installed
from benchmarks.load import Run, keep_busy
from benchmarks.peers.processes import LTIJS, PYLTI1P3, running_ltijs, running_pylti1p3, why_without_node
from benchmarks.platform import Platform, page
from benchmarks.servers import Server
from benchmarks.stores import NOTHING, Store

ROW = "launch"
TOOL = "Gatehouse"
CLIENTS = 16
ROUNDS = 4
LAUNCHES = 160
MODULE = "F2"
NEW, KNOWN = "new people", "known people"


@dataclass(frozen=True)
class Side:
    """One of the compared: what it is, where it keeps what it keeps, and where it is reached."""

    name: str
    store: Store | None
    server: Server
    public_url: str

    @property
    def where(self) -> str:
        return self.store.name if self.store else NOTHING

    def __str__(self) -> str:
        return f"{self.name}, {self.where}"

    def cpu_seconds(self) -> tuple[float, float]:
        """What the server, and its database's own processes, have used of the processor so far."""
        return self.server.cpu_seconds(), self.store.cpu_seconds() if self.store else 0.0


@dataclass(frozen=True)
class Round:
    """Launches each second, without and with the page, and milliseconds of CPU for one login + launch: of the server
    and of the database's own processes."""

    rate: float
    rate_with_page: float
    server_cpu: float
    database_cpu: float


def measure(bench: Bench) -> Iterator[Figure]:
    with _sides(bench) as sides:
        kept = {people: _rounds(sides, bench.platform, people) for people in (NEW, KNOWN)}
        for people, rounds in kept.items():
            yield from _rates(rounds, people)
            yield from _costs(bench, rounds, people)
        for side in sides:
            yield Figure(
                ROW, f"{side.name}: the same launch sent again", side.where, note=_replayed(side, bench.platform)
            )
    if why := why_without_node():
        yield Figure(ROW, f"{LTIJS}: login + launch", bench.stores[0].name, note=why)


@contextmanager
def _sides(bench: Bench) -> Iterator[list[Side]]:
    with ExitStack() as stack:
        tools = stack.enter_context(installed(bench, ROW))
        sides = [Side(TOOL, each.store, each.server, each.public_url) for each in tools]
        for store in (*bench.stores, None):
            sides.append(_peer(PYLTI1P3, store, stack.enter_context(running_pylti1p3(bench, store))))
        for store in () if why_without_node() else bench.stores:
            sides.append(_peer(LTIJS, store, stack.enter_context(running_ltijs(bench, store))))
        yield sides


def _peer(name: str, store: Store | None, server: Server) -> Side:
    return Side(name, store, server, f"http://127.0.0.1:{server.port}")


def _rounds(sides: list[Side], platform: Platform, people: str) -> dict[tuple[str, str], list[Round]]:
    """Alternate the sides; the first round warms up and is not kept. The people of that round launch again later."""
    kept: dict[tuple[str, str], list[Round]] = {(side.name, side.where): [] for side in sides}
    for number in range(ROUNDS + 1):
        first = number * LAUNCHES if people == NEW else 0
        for side in sides:
            progress(f"launch: {people}, round {number} of {ROUNDS}, {side}")
            measured = _round(side, platform, range(first, first + LAUNCHES))
            if number:
                kept[side.name, side.where].append(measured)
    return kept


def _round(side: Side, platform: Platform, trainees: range) -> Round:
    before = side.cpu_seconds()
    logins = _run(side, [platform.login(side.public_url, trainee) for trainee in trainees], {302})
    asked = zip(trainees, logins.answers, strict=True)
    requests = [platform.launch(side.public_url, MODULE, trainee, login) for trainee, login in asked]
    launches = _run(side, requests, {302, 303})
    server_cpu, database_cpu = (after - start for after, start in zip(side.cpu_seconds(), before, strict=True))
    seconds = logins.seconds + launches.seconds
    with_page = seconds
    if side.name == TOOL:
        with_page += _run(side, [page(launch) for launch in launches.answers], {200}).seconds
    size = len(trainees)
    return Round(size / seconds, size / with_page, 1000 * server_cpu / size, 1000 * database_cpu / size)


def _run(side: Side, requests: list[bytes], expected: set[int]) -> Run:
    run = keep_busy(side.server.port, requests, CLIENTS)
    if not run.statuses() <= expected:
        raise RuntimeError(f"{side} answered {sorted(run.statuses())} instead of {sorted(expected)}")
    return run


def _rates(rounds: dict[tuple[str, str], list[Round]], people: str) -> Iterator[Figure]:
    for (name, where), kept in rounds.items():
        yield Figure(ROW, f"{name}: login + launch, {people}", where, spread(each.rate for each in kept), "/s")
    for (name, where), kept in rounds.items():
        if name == TOOL:
            with_page = f"{name}: login + launch + page with the gate decided, {people}"
            yield Figure(ROW, with_page, where, spread(each.rate_with_page for each in kept), "/s")
            ours = [each.rate for each in kept]
            for peer, its_where in rounds:
                if peer != TOOL and its_where in (where, NOTHING):
                    theirs = [each.rate for each in rounds[peer, its_where]]
                    keeps = f"that {NOTHING}" if its_where == NOTHING else "on the same database"
                    aim = at_least(1.5) if its_where == NOTHING else None
                    yield Figure(ROW, f"{name} / {peer} {keeps}, {people}", where, ratio(ours, theirs), "", aim)


def _costs(bench: Bench, rounds: dict[tuple[str, str], list[Round]], people: str) -> Iterator[Figure]:
    """CPU for one login + launch; the tool's, with its database's, against what no launch can do without."""
    for (name, where), kept in rounds.items():
        yield Figure(ROW, f"{name}: own CPU, {people}", where, spread(each.server_cpu for each in kept), "ms")
        if where == "PostgreSQL":
            database_cpu = spread(each.database_cpu for each in kept)
            yield Figure(ROW, f"{name}: CPU of PostgreSQL, {people}", where, database_cpu, "ms")
    verification = primitives.verification(bench.platform).cpu.median
    for store in bench.stores:
        needed = verification + primitives.durable_commit(store, f"{ROW} {people}").cpu.median
        costs = spread((each.server_cpu + each.database_cpu) / needed for each in rounds[TOOL, store.name])
        says = f"{TOOL}: CPU with its database's / (one verification + one durable commit), {people}"
        yield Figure(ROW, says, store.name, costs, "", at_most(3))


def _replayed(side: Side, platform: Platform) -> str:
    """What the side does with a launch request that it has taken once, sent again as it was."""
    login = _run(side, [platform.login(side.public_url, 0)], {302}).answers[0]
    request = platform.launch(side.public_url, MODULE, 0, login)
    _run(side, [request], {302, 303})
    status = keep_busy(side.server.port, [request], 1).answers[0].status
    return "**accepted**" if status in (302, 303) else f"refused ({status})"
