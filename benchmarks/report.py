"""Figures beside the bounds they are held against."""

import json
import os
import platform as machine
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.launches import Side
from benchmarks.nine import NineOClock
from benchmarks.primitives import Cost
from benchmarks.settlements import Read, Sent, Settled
from benchmarks.start import Start
from benchmarks.webhooks import DURABLE, Row


@dataclass(frozen=True)
class Figure:
    """One line: what was measured, the bound it is held against, and whether that is kept (None: no bound)."""

    row: str
    says: str
    value: float
    unit: str = ""
    bound: str = ""
    kept: bool | None = None


def launch_figures(sides: Sequence[Side], verification: Cost, commit: Cost) -> Iterator[Figure]:
    """The tool against the peer, and against what a launch cannot do without."""
    *ours, peer = sides
    yield Figure("launch", f"{peer.name}: login + launch", peer.rate, "/s")
    yield Figure("launch", f"{peer.name}: own CPU", peer.cpu, "ms")
    yield Figure("launch", "one RS256 verification (CPU)", verification.cpu, "ms")
    yield Figure("launch", "one durable commit, SQLite (CPU)", commit.cpu, "ms")
    yield Figure("launch", "one durable commit, SQLite (wall)", commit.wall, "ms")
    for side in ours:
        yield from _one_side(side, peer, verification, commit)


def _one_side(side: Side, peer: Side, verification: Cost, commit: Cost) -> Iterator[Figure]:
    yield Figure("launch", f"{side.name}: login + launch", side.rate, "/s")
    yield _at_least(1.5, "launch", f"{side.name}: login + launch / peer", side.rate / peer.rate)
    yield Figure("launch", f"{side.name}: login + launch + page with the gate decided", side.rate_with_page, "/s")
    yield _at_least(1.5, "launch", f"{side.name}: the same / peer's login + launch", side.rate_with_page / peer.rate)
    primitives = verification.cpu + commit.wall
    yield Figure("launch", f"{side.name}: own CPU, login + launch", side.cpu, "ms")
    yield _at_most(3, "launch", f"{side.name}: own CPU / (verification + commit)", side.cpu / primitives)
    yield Figure("launch", f"{side.name}: own CPU with the page", side.cpu_with_page, "ms")


def nine_figures(minutes: Iterable[NineOClock]) -> Iterator[Figure]:
    """A class that begins: 200 launches in one second with their pages, 100 deliveries, 300 launches in the minute."""
    for each in minutes:
        says = f"{each.name}: p95 of login + launch + page, from the click"
        yield _at_most(1.5, "nine", says, each.launch_p95, "s")
        yield _at_most(3, "nine", f"{each.name}: slowest delivery", each.slowest_delivery, "s")
        yield _at_most(0, "nine", f"{each.name}: errors", len(each.errors))


def webhook_figures(rows: Sequence[Row]) -> Iterator[Figure]:
    """Durable appends against the same server without a database, the slowest hundredth, the burst."""
    for row in rows:
        for path, endpoint in row.endpoints.items():
            yield Figure("webhook", f"{row.name}: POST {path}", endpoint.rate, "/s")
        says = f"{row.name}: durable / without a database"
        yield _at_least(0.6, "webhook", says, row.share_of_without_database)
        yield Figure("webhook", f"{row.name}: durable / an empty 204", row.share_of_bare)
        p99 = row.endpoints[DURABLE].p99_milliseconds
        yield _at_most(50, "webhook", f"{row.name}: p99 at 32 clients", p99, "ms")
        yield _at_most(1, "webhook", f"{row.name}: p99 of 4,000 in 10 s, 400 at once", row.burst_p99_seconds, "s")
        yield _at_most(0, "webhook", f"{row.name}: answers other than 2xx in the burst", row.burst_refused)


def start_figures(start: Start) -> Iterator[Figure]:
    yield _at_most(2, "start", "command to ready", start.ready_seconds, "s")
    yield _at_most(150, "start", "web + worker + SQLite at rest", start.idle_megabytes, "MB")
    yield Figure("start", "SIGTERM to the end", start.stop_seconds, "s")


# Seconds for a day of so many people (a bound for 300 is nowhere set), and megabytes for any.
SETTLED_WITHIN = {1000: 2.0, 10_000: 20.0}
MEGABYTES = 300


READ_WITHIN = {10_000: 15.0}


def inbox_figures(days: Iterable[Read]) -> Iterator[Figure]:
    """What it costs to read a day of so many people, in CPU seconds and memory."""
    for day in days:
        who = f"{day.database}, {day.people:,} people, {day.events:,} events"
        bound = READ_WITHIN.get(day.people)
        says = f"{who}: read (CPU)"
        yield _at_most(bound, "inbox", says, day.reading, "s") if bound else Figure("inbox", says, day.reading, "s")
        yield Figure("inbox", f"{who}: read, each delivery (CPU)", day.reading / day.events * 1e6, "µs")
        yield Figure("inbox", f"{who}: seals verified (CPU)", day.verifying, "s")
        yield _at_most(MEGABYTES, "inbox", f"{who}: peak memory", day.peak, "MB")
        yield Figure("inbox", f"{who}: presence loaded (CPU)", day.loading, "s")
        yield _at_most(MEGABYTES, "inbox", f"{who}: peak memory with the presence", day.loading_peak, "MB")


def settlement_figures(days: Iterable[Settled]) -> Iterator[Figure]:
    """A day of so many people: reading what came, settling it, settling it again beside the report."""
    for day in days:
        who = f"{day.database}, {day.people:,} people, {day.events:,} events"
        yield Figure("settle", f"{who}: read the inbox", day.reading, "s")
        for says, seconds in (("settled", day.settling), ("settled with the report", day.with_report)):
            bound = SETTLED_WITHIN.get(day.people)
            figure = Figure("settle", f"{who}: {says}", seconds, "s")
            yield _at_most(bound, "settle", figure.says, seconds, "s") if bound else figure
        yield _at_most(MEGABYTES, "settle", f"{who}: peak memory", day.peak, "MB")


def delivery_figures(classes: Iterable[Sent]) -> Iterator[Figure]:
    """From the end of the meeting to the scores, and the scores to a platform that answers in 50 ms."""
    for each in classes:
        says = f"{each.database}: meeting ended → {each.scores} scores written"
        yield _at_most(2, "deliver", says, each.written_seconds, "s")
        yield _at_least(50, "deliver", f"{each.database}: scores delivered", each.delivered_each_second, "/s")


def gate_figures(usual: float, dearest: float) -> Iterator[Figure]:
    yield _at_most(100, "gates", "one decision, median of the demonstration's gates", usual, "µs")
    yield _at_most(100, "gates", "one decision, the dearest gate", dearest, "µs")


def _at_least(bound: float, row: str, says: str, value: float, unit: str = "") -> Figure:
    return Figure(row, says, value, unit, f"≥ {bound:g}", value >= bound)


def _at_most(bound: float, row: str, says: str, value: float, unit: str = "") -> Figure:
    return Figure(row, says, value, unit, f"≤ {bound:g}", value <= bound)


def tell(figures: Sequence[Figure]) -> None:
    """Print the table."""
    width = max(len(figure.says) for figure in figures)
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, Python {machine.python_version()}")
    for figure in figures:
        verdict = "" if figure.kept is None else ("kept" if figure.kept else "MISSED")
        value = f"{figure.value:,.2f}" if figure.value < 100 else f"{figure.value:,.0f}"
        print(f"{figure.row:8} {figure.says:{width}} {value:>9} {figure.unit:3} {figure.bound:>7} {verdict}")


def write(figures: Sequence[Figure], path: Path) -> None:
    """Keep the figures as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"at": datetime.now(UTC).isoformat(), "cores": os.cpu_count(), "python": machine.python_version()}
    about["machine"] = machine.platform()
    path.write_text(json.dumps({**about, "figures": [asdict(figure) for figure in figures]}, indent=2))
