"""`python -m benchmarks`: measure, print the ratios, keep them as JSON. Everything compared is measured in one run."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks import gates, launches, nine, primitives, settlements, start, webhooks
from benchmarks.installation import Installation, on_postgres, on_sqlite
from benchmarks.platform import Platform, published
from benchmarks.report import (
    Figure,
    delivery_figures,
    gate_figures,
    inbox_figures,
    launch_figures,
    nine_figures,
    settlement_figures,
    start_figures,
    tell,
    webhook_figures,
    write,
)
from benchmarks.servers import ROOT

ROWS = ("start", "gates", "inbox", "settle", "deliver", "webhook", "launch", "nine")


@click.command()
@click.option("--only", type=click.Choice(ROWS), multiple=True, help="Measure only these rows.")
@click.option("--json", "path", type=click.Path(path_type=Path), default=ROOT / ".cache" / "bench.json")
@click.option("--strict", is_flag=True, help="Exit 1 when a bound is missed.")
def bench(only: tuple[str, ...], path: Path, strict: bool) -> None:
    """Measure the tool side by side with a peer and with the bare limit."""
    with TemporaryDirectory() as folder:
        figures = list(_figures(only or ROWS, Path(folder)))
    tell(figures)
    write(figures, path)
    if strict and any(figure.kept is False for figure in figures):
        sys.exit(1)


def _figures(rows: tuple[str, ...], folder: Path) -> Iterator[Figure]:
    python = Path(sys.executable)
    if "start" in rows:
        yield from start_figures(start.measure(folder, python))
    if "gates" in rows:
        yield from gate_figures(*gates.microseconds())
    if "inbox" in rows:
        yield from inbox_figures(settlements.readings(folder, python))
    if "settle" in rows:
        yield from settlement_figures(settlements.settlements(folder, python))
    if "deliver" in rows:
        yield from delivery_figures(settlements.deliveries(folder, python))
    if set(rows) & {"webhook", "launch", "nine"}:
        platform = Platform()
        with ExitStack() as stack:
            installations = _install(stack, folder, python, platform)
            if "webhook" in rows:
                yield from webhook_figures(webhooks.measure(installations))
            if "nine" in rows:
                yield from nine_figures(nine.measure(installations, platform))
            if "launch" in rows:
                yield from _launches(stack, installations, platform, folder)


def _install(stack: ExitStack, folder: Path, python: Path, platform: Platform) -> list[Installation]:
    key_set_url = stack.enter_context(published(platform.key_set))
    return [stack.enter_context(on(folder, python, platform, key_set_url)) for on in (on_sqlite, on_postgres)]


def _launches(
    stack: ExitStack, installations: list[Installation], platform: Platform, folder: Path
) -> Iterator[Figure]:
    peer = stack.enter_context(launches.running_peer(platform, folder))
    sides = launches.measure(installations, peer, platform)
    return launch_figures(sides, primitives.verification(platform), primitives.durable_commit(folder))


bench()
