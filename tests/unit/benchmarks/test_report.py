"""Figures as Markdown tables, as JSON, and as curves on the page."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.charts import Curve, chart
from benchmarks.figures import Figure, at_most, spread
from benchmarks.report import keep, number, tables, write

FIGURES = [
    Figure("pages", "home", "SQLite", spread([1.0, 2.0, 4.0]), "ms", at_most(1)),
    Figure("pages", "home", "PostgreSQL", spread([0.5]), "ms", at_most(1)),
    Figure("pages", "replay", "SQLite", note="refused"),
    Figure("pages", "p95", "SQLite", spread([5]), "ms", size=100),
    Figure("pages", "p95", "SQLite", spread([50]), "ms", size=1000),
]


def test_databases_and_sizes_are_columns_and_a_missed_aim_is_bold() -> None:
    assert tables(FIGURES).split("\n") == [
        "|  | SQLite | PostgreSQL | Aim |",
        "| --- | --- | --- | --- |",
        "| home | **2 ms (1–4)** | 0.5 ms | ≤ 1 ms |",
        "| replay | refused | – |  |",
        "",
        "|  | 100 | 1,000 |",
        "| --- | --- | --- |",
        "| p95, SQLite | 5 ms | 50 ms |",
        "",
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(0.01234, "0.0123", id="small"),
        pytest.param(3.14159, "3.14", id="medium"),
        pytest.param(12345.6, "12,346", id="large"),
        pytest.param(0, "0", id="nothing"),
    ],
)
def test_a_number_has_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def page(folder: Path) -> Path:
    file = folder / "benchmarks.md"
    file.write_text("Before\n<!-- figures: pages -->\nold\n<!-- /figures -->\nAfter\n", encoding="utf-8")
    return file


def test_figures_that_were_kept_are_written_into_their_block_of_the_page(tmp_path: Path) -> None:
    kept, written = tmp_path / "kept.json", page(tmp_path)
    keep(kept, "pages", FIGURES)
    write(kept, written)
    text = written.read_text(encoding="utf-8")
    assert tables(FIGURES) in text
    assert "old" not in text
    assert text.startswith("Before\n<!-- figures: pages -->\nMeasured on ")
    assert text.endswith("<!-- /figures -->\nAfter\n")
    assert "(images/growth-pages-sqlite.svg)" in text


def test_to_write_twice_changes_nothing(tmp_path: Path) -> None:
    kept, written = tmp_path / "kept.json", page(tmp_path)
    keep(kept, "pages", FIGURES)
    write(kept, written)
    once = written.read_bytes()
    write(kept, written)
    assert written.read_bytes() == once


def test_a_row_measured_anew_replaces_only_itself(tmp_path: Path) -> None:
    kept, written = tmp_path / "kept.json", page(tmp_path)
    keep(kept, "pages", FIGURES)
    keep(kept, "pages", FIGURES[:1])
    keep(kept, "gates", [])
    with pytest.raises(ValueError, match="gates"):
        write(kept, written)
    assert kept.read_text(encoding="utf-8").count('"home"') == 1


def test_growth_of_the_same_kind_is_a_straight_line() -> None:
    """Ten times the size, ten times the time: on logarithmic axes the points of a curve lie on one line."""
    drawn = ElementTree.fromstring(chart("Growth", [Curve("a & b", "ms", [(100, 1), (1000, 10), (10_000, 100)])]))
    line = next(each for each in drawn if each.tag.endswith("polyline"))
    (x1, y1), (x2, y2), (x3, y3) = (map(float, point.split(",")) for point in line.attrib["points"].split())
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert y1 - y2 == pytest.approx(y2 - y3, abs=0.2)
    assert y1 > y2
    assert any(each.text == "a & b" for each in drawn)
