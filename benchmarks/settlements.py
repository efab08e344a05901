"""The settle and deliver rows: what a generated day costs after class, on both kinds of database.

Every measurement has a new database and a process of its own (benchmarks/settling.py).
"""

import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.days import after, deliver, furnish
from benchmarks.figures import Figure, at_least, at_most, progress, spread
from benchmarks.gradebook import running_gradebook
from benchmarks.installation import PYTHON, Bench, settings_for
from benchmarks.servers import ROOT
from benchmarks.stores import Store
from lti_tool.context import build_context
from lti_tool.settings import load_settings
from sandbox.zoom.random_days import full_day

CLASS, ROUNDS = 300, 6
REPETITIONS = 3
MAX_SECONDS = 900


@dataclass(frozen=True)
class Day:
    """A day of so many people in so many rounds of small groups. With one round there are ten events for each person.
    What is settled `within` so many seconds meets its aim."""

    people: int
    rounds: int
    repetitions: int = 1
    within: float | None = None
    read_within: float | None = None


DAYS = (
    Day(10, 1),
    Day(100, 1),
    Day(1000, 1),
    Day(1000, 6, repetitions=REPETITIONS, within=2),
    Day(10_000, 1, within=20, read_within=15),
)
SAYS = {
    "reading": "inbox read (CPU)",
    "verifying": "seals verified (CPU)",
    "settling": "settled",
    "with_report": "settled again with Zoom's report",
}
MAX_MEGABYTES = 300


def settlements(bench: Bench) -> Iterator[Figure]:
    """Every day on every kind of database."""
    with running_gradebook() as gradebook:
        for day in DAYS:
            for store in bench.stores:
                yield from _settlement(store, day, gradebook)


def _settlement(store: Store, day: Day, gradebook: str) -> Iterator[Figure]:
    runs = defaultdict(list)
    for number in range(day.repetitions):
        progress(f"settle: {day.people:,} people, {day.rounds} rounds, {number + 1} of {day.repetitions}, {store.name}")
        name = f"settle-{day.people}-{day.rounds}-{number}"
        environment, events = _lay_in(store, name, day.people, day.rounds, gradebook)
        for what, value in _run(environment, "settle", day.people, day.rounds).items():
            runs[what].append(value)
    found = {what: spread(values) for what, values in runs.items()}
    if day.rounds == 1:
        for what, says in SAYS.items():
            yield Figure("settle", says, store.name, found[what], "s", size=events)
    if day.within is not None:
        who = f"{day.people:,} people, {events:,} events"
        for what, says in SAYS.items():
            within = {"reading": day.read_within, "verifying": None}.get(what, day.within)
            aim = None if within is None else at_most(within)
            yield Figure("settle", f"{who}: {says}", store.name, found[what], "s", aim)
        yield Figure("settle", f"{who}: peak memory", store.name, found["peak"], "MB", at_most(MAX_MEGABYTES))


def deliveries(bench: Bench) -> Iterator[Figure]:
    """A class of 300: its end, and its scores on their way to a platform that answers in 50 ms."""
    with running_gradebook() as gradebook:
        for store in bench.stores:
            ended, sent = [], []
            for number in range(REPETITIONS):
                progress(f"deliver: {number + 1} of {REPETITIONS}, {store.name}")
                environment, _ = _lay_in(store, f"ending-{number}", CLASS, ROUNDS, gradebook, ended=False)
                ended.append(_run(environment, "end", CLASS, ROUNDS))
                environment, _ = _lay_in(store, f"sending-{number}", CLASS, ROUNDS, gradebook)
                sent.append(_run(environment, "send", CLASS, ROUNDS))
            says = f"meeting ended → {ended[0]['scores']} scores written"
            yield Figure("deliver", says, store.name, spread(each["seconds"] for each in ended), "s", at_most(2))
            rates = spread(each["scores"] / each["seconds"] for each in sent)
            yield Figure("deliver", "scores delivered", store.name, rates, "/s", at_least(50))


def _lay_in(
    store: Store, name: str, people: int, rounds: int, gradebook: str, *, ended: bool = True
) -> tuple[Mapping[str, str], int]:
    """A new database with the day's deliveries in its inbox, unread: the environment that names it, and how many
    deliveries there are."""
    environment = settings_for(store.new(name))
    context = build_context(load_settings(environment))
    day = full_day(people, rounds=rounds)
    furnish(context.database, day, gradebook)
    events = day.registrations() + day.events()
    deliver(context.database, events if ended else events[:-1], after(day))
    context.database.close()
    return environment, len(events)


def _run(environment: Mapping[str, str], act: str, people: int, rounds: int) -> dict[str, Any]:
    command = [str(PYTHON), "-m", "benchmarks.settling", act, str(people), str(rounds)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, check=True, timeout=MAX_SECONDS
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures
