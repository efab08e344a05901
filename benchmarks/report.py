"""Tables of figures: printed in Markdown, kept as JSON, and written with the curves into docs/benchmarks.md.

Each row keeps when and where it was measured, since `--only` measures some rows anew and leaves the others.
"""

import json
import os
import platform
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.charts import Curve, chart
from benchmarks.figures import Aim, Figure, Spread

BLOCK = r"(<!-- figures: {row} -->\n).*?(<!-- /figures -->)"
IMAGES = "images"
# What the sizes of a row's growth count.
COUNTED = {"pages": "trainees", "settle": "events"}


def tables(figures: Sequence[Figure]) -> str:
    """One row in Markdown: a table of its figures, and another of those that show growth."""
    parts = ([each for each in figures if (each.size is not None) == is_sized] for is_sized in (False, True))
    return "\n".join(_table(part) for part in parts if part)


def _table(figures: Sequence[Figure]) -> str:
    """What is measured as lines, databases or sizes as columns; an aim that is missed makes the figure bold."""
    columns = list(dict.fromkeys(_column(each) for each in figures))
    cells = {(_line(each), _column(each)): _cell(each) for each in figures}
    aims = {_line(each): f"{each.aim.sign} {each.aim.bound:g} {each.unit}".strip() for each in figures if each.aim}
    has_aims = ["Aim"] if aims else []
    lines = [["", *columns, *has_aims], ["---"] * (1 + len(columns) + len(has_aims))]
    for line in dict.fromkeys(map(_line, figures)):
        row = [line, *(cells.get((line, column), "–") for column in columns)]
        lines.append(row + [aims.get(line, "") for _ in has_aims])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _line(figure: Figure) -> str:
    return figure.what if figure.size is None else f"{figure.what}, {figure.where}"


def _column(figure: Figure) -> str:
    return figure.where if figure.size is None else f"{figure.size:,}"


def _cell(figure: Figure) -> str:
    if figure.value is None:
        return figure.note
    shown = f"{number(figure.value.median)} {figure.unit}".strip()
    if figure.value.low < figure.value.high:
        shown += f" ({number(figure.value.low)}–{number(figure.value.high)})"
    return f"**{shown}**" if figure.is_missed else shown


def number(value: float) -> str:
    """With three significant digits, and no decimals from 100 on."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def keep(path: Path, row: str, figures: Sequence[Figure]) -> None:
    """Put a row into the JSON file, in place of what the file had for this row."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    about = {"at": datetime.now(UTC).isoformat(), "cores": os.cpu_count(), "python": platform.python_version()}
    kept[row] = about | {"machine": platform.machine(), "figures": [asdict(each) for each in figures]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False), encoding="utf-8")


def write(path: Path, page: Path) -> list[Path]:
    """Write every row that the JSON file holds into its block of the page, and its curves beside the page. Returns the
    files written."""
    text, written = page.read_text(encoding="utf-8"), [page]
    for row, kept in json.loads(path.read_text(encoding="utf-8")).items():
        figures = list(map(_figure, kept["figures"]))
        block = re.compile(BLOCK.format(row=re.escape(row)), re.DOTALL)
        if not block.search(text):
            raise ValueError(f"{page.name} has no block for the row {row}")
        body = f"{_measured(kept)}\n\n{tables(figures)}"
        for where, curves in _curves(figures):
            file = page.parent / IMAGES / f"growth-{row}-{where.lower()}.svg"
            file.parent.mkdir(exist_ok=True)
            file.write_text(chart(f"{row}, {where}, by number of {COUNTED[row]}", curves), encoding="utf-8")
            body += f"\n![Growth of the row {row} on {where}]({IMAGES}/{file.name})\n"
            written.append(file)
        text = block.sub(lambda found, body=body: f"{found[1]}{body}{found[2]}", text)  # type: ignore[misc]
    page.write_text(text, encoding="utf-8")
    return written


def _measured(kept: dict[str, Any]) -> str:
    at = datetime.fromisoformat(kept["at"])
    machine = f"{kept['cores']} cores, {kept['machine']}, Python {kept['python']}"
    return f"Measured on {at:%Y-%m-%d} at {at:%H:%M} UTC: {machine}."


def _figure(kept: dict[str, Any]) -> Figure:
    value = Spread(**kept["value"]) if kept["value"] else None
    return Figure(**kept | {"value": value, "aim": Aim(**kept["aim"]) if kept["aim"] else None})


def _curves(figures: Sequence[Figure]) -> Iterator[tuple[str, list[Curve]]]:
    """For each database, a curve for each thing whose growth was measured in a unit of time."""
    sized = [each for each in figures if each.size is not None and each.value and each.unit in ("ms", "s")]
    for where, found in groupby(sorted(sized, key=lambda each: each.where, reverse=True), lambda each: each.where):
        points: dict[str, Curve] = {}
        for each in found:
            assert each.size is not None
            assert each.value is not None
            curve = points.setdefault(each.what, Curve(each.what, each.unit, []))
            curve.points.append((each.size, each.value.median))
        yield where, list(points.values())
