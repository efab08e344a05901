"""`python -m benchmarks`: measure, print each row as a Markdown table, keep the figures as JSON.

Everything compared is measured in one run. `--write` measures nothing: it writes the figures that are kept into
docs/benchmarks.md.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click

from benchmarks import gates, launches, nine, pages, primitives, report, settlements, start, vitals, webhooks
from benchmarks.figures import Figure, progress
from benchmarks.installation import Bench, open_bench
from benchmarks.servers import ROOT

ROWS: Mapping[str, Callable[[Bench], Iterator[Figure]]] = {
    "start": start.measure,
    "gates": gates.measure,
    "primitives": primitives.measure,
    "launch": launches.measure,
    "webhook": webhooks.measure,
    "nine": nine.measure,
    "pages": pages.measure,
    "vitals": vitals.measure,
    "settle": settlements.settlements,
    "deliver": settlements.deliveries,
}
KEPT = ROOT / ".cache" / "benchmarks.json"
PAGE = ROOT / "docs" / "benchmarks.md"


@click.command()
@click.option("--only", type=click.Choice(list(ROWS)), multiple=True, help="Measure only these rows.")
@click.option("--json", "kept", type=click.Path(path_type=Path), default=KEPT, help="Where the figures are kept.")
@click.option("--strict", is_flag=True, help="Exit 1 if an aim is missed.")
@click.option(
    "--write", "writes", is_flag=True, help="Write the kept figures into docs/benchmarks.md; measure nothing."
)
def main(only: tuple[str, ...], kept: Path, strict: bool, writes: bool) -> None:
    """Measure the tool side by side with its peers and with the bare limit."""
    if writes:
        for file in report.write(kept, PAGE):
            print(file.relative_to(ROOT))
        return
    missed = 0
    with open_bench() as bench:
        for row in only or ROWS:
            figures = list(ROWS[row](bench))
            report.keep(kept, row, figures)
            print(f"## {row}\n\n{report.tables(figures)}", flush=True)
            missed += sum(each.is_missed for each in figures)
    progress(f"done; {missed} figures miss their aims (bold)")
    if strict and missed:
        sys.exit(1)


main()
