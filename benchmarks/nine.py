"""Nine o'clock: a class opens its unit, while Zoom delivers that they join.

In the first second 200 people launch and open their page, and 100 deliveries arrive; 300 more people launch within the
minute. Everyone launches for the first time, which is what costs most. Open loop: each request is due at a fixed time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from benchmarks.figures import Figure, at_most, percentile, progress, spread
from benchmarks.installation import SECRET, Bench, Installation, installed
from benchmarks.load import Answer, connect, post
from benchmarks.platform import Platform, page
from sandbox.zoom.random_days import full_day
from sandbox.zoom.training_day import encode, signed

AT_ONCE, LATER, DELIVERIES = 200, 300, 100
MINUTE = 60.0
FIRST_TRAINEE = 100_000
MODULE = "F2"


@dataclass
class NineOClock:
    """What the minute gave: seconds from when each was due, and the statuses that were no success."""

    launches: list[float] = field(default_factory=list)
    deliveries: list[float] = field(default_factory=list)
    errors: list[int] = field(default_factory=list)


def measure(bench: Bench) -> Iterator[Figure]:
    """One minute on each installation."""
    with installed(bench, "nine") as installations:
        for each in installations:
            progress(f"nine: one minute, {each.name}")
            before = each.store.cpu_seconds()
            found = asyncio.run(_minute(each, bench.platform))
            cpu = each.store.cpu_seconds() - before
            p95 = spread([percentile(found.launches, 0.95)])
            yield Figure("nine", "p95 of login + launch + page, from the click", each.name, p95, "s", at_most(1.5))
            yield Figure("nine", "slowest delivery", each.name, spread([max(found.deliveries)]), "s", at_most(3))
            yield Figure("nine", "errors", each.name, spread([len(found.errors)]), "", at_most(0))
            yield Figure("nine", "CPU of the database's own processes", each.name, spread([cpu]), "s")


async def _minute(installation: Installation, platform: Platform) -> NineOClock:
    found = NineOClock()
    port, public_url = installation.server.port, installation.public_url
    start = time.perf_counter() + 0.5

    async def visit(trainee: int, due: float) -> None:
        asked = await _ask(port, platform.login(public_url, trainee))
        entered = await _ask(port, platform.launch(public_url, MODULE, trainee, asked))
        shown = await _ask(port, page(entered)) if entered.status == 303 else entered
        found.launches.append(time.perf_counter() - due)
        found.errors += [shown.status] if shown.status != 200 else []

    async def deliver(body: bytes, due: float) -> None:
        answer = await _ask(port, post("/zoom/webhook", body, signed(body, SECRET, datetime.now(UTC))))
        found.deliveries.append(time.perf_counter() - due)
        found.errors += [answer.status] if answer.status != 204 else []

    async def at(due: float, act: Callable[..., Awaitable[None]], what: object) -> None:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await act(what, due)

    bodies = [encode(each) for each in islice(full_day(AT_ONCE, 900, meeting_id="85000000900").events(), DELIVERIES)]
    dues = [start + number / AT_ONCE for number in range(AT_ONCE)]
    dues += [start + 1 + number * (MINUTE - 1) / LATER for number in range(LATER)]
    visits = [at(due, visit, FIRST_TRAINEE + number) for number, due in enumerate(dues)]
    deliveries = [at(start + number / DELIVERIES, deliver, body) for number, body in enumerate(bodies)]
    await asyncio.gather(*visits, *deliveries)
    return found


async def _ask(port: int, request: bytes) -> Answer:
    """One request on a connection of its own, as browsers behind a proxy open them."""
    (connection,) = await connect(port, 1)
    try:
        status, head = await connection.ask(request)
    finally:
        connection.close()
    return Answer(0, status, head, 0.0)
