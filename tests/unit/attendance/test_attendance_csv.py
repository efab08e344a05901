"""The table for a spreadsheet: its form, and what is no formula in it."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as some

from lti_tool.web.staff.attendance import COLUMNS, Line, minutes, table

PLAIN = Line(
    session=1, module="F1", date="2026-11-10", state="provisional", trainee=7, name="Zoë Ødegård",
    email="z@example.org", name_in_zoom="iPhone", email_in_zoom="", registrant="rg-1",
    minutes_present="390.00", minutes_forgiven="0.00",
    minutes_of_teaching="390.00", minutes_required="312.00",
    completed="yes", credit="apa: 6.5", evidence="webhook",
    notes="", needs_review="no",
    seconds_live=23400, seconds_in_report=None, version_id=1, settled_at="2026-11-11T01:00:00+00:00",
)  # fmt: skip


def line(**changed) -> Line:
    return Line(**{name: changed.get(name, getattr(PLAIN, name)) for name in COLUMNS})


def read(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline="")))


def test_the_file_begins_with_a_mark_and_ends_its_lines_as_the_standard_says() -> None:
    body = table([PLAIN])
    assert body.startswith(b"\xef\xbb\xbfsession,module,")
    assert body.count(b"\r\n") == body.count(b"\n") == 2
    assert read(body)[0]["name"] == "Zoë Ødegård"
    assert read(body)[0]["seconds_in_report"] == ""


@given(some.text(alphabet=some.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12))
def test_no_cell_begins_a_formula_whatever_somebody_calls_themselves(name: str) -> None:
    (row,) = read(table([line(name=name, email=f"={name}", notes=f" +{name}")]))
    assert row["name"] in (name, f"'{name}")
    for cell in (row["name"], row["email"], row["notes"]):
        assert not cell.lstrip(" \u00a0").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_minutes_are_never_more_than_was_attended() -> None:
    assert (minutes(18719), minutes(18720), minutes(0)) == ("311.98", "312.00", "0.00")
