"""Bulk import of past completions, from good files and hostile ones."""

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select

from lti_tool.db import Database
from lti_tool.errors import Conflict
from lti_tool.gates import completion_import, completions, decide
from lti_tool.gates.completion_import import OUTCOMES, ImportReport, import_csv, inert, normal
from lti_tool.programme.model import EarlierModule, Programme
from lti_tool.programme.versions import Published
from lti_tool.tables import gates
from tests.unit.gates.people_and_programmes import demo
from tests.unit.people_of_tests import launched

HEAD = "person_key_type,person_key,title_as_taken,catalogue,module,completed_on,date_precision,note"
TITLE = "Introduction to Ketamine-Assisted Psychotherapy"


def a_file(*rows: str, head: str = HEAD) -> bytes:
    return "\n".join((head, *rows, "")).encode()


def run(connection: Connection, content: bytes, now: datetime, **changes: Any) -> ImportReport:
    values: dict[str, Any] = {"actor": "cli", "now": now} | changes
    return import_csv(connection, values.pop("programme", demo()), content, **values)


def outcomes(report: ImportReport) -> list[str]:
    return [row.outcome for row in report.rows]


EVERYTHING = a_file(
    f"email,ADA@example.org,{TITLE},current,,2024-07-13,,as printed",
    "platform_user,user-ben,,,F2,2024-08,month,",
    "email,ada@example.org,Module 1:  Introduction to Ketamine-Assisted Psychotherapy ,,,2024-07-13,day,again",
    "email,ada@example.org,,,F1,2024-07-14,,another date",
    "email,nobody@example.org,,,F1,2024-07-13,,",
    "email,twin@example.org,,,F1,2024-07-13,,",
    "email,ada@example.org,Introduction to Something,,,2024-07-13,,",
    "email,ada@example.org,,,F99,2024-07-13,,",
    f"email,ada@example.org,{TITLE},,F2,2024-07-13,,",
    "email,ada@example.org,,,F3,2024-13-01,,",
    "email,ada@example.org,,,F3,2027-01-01,,",
    "email,ada@example.org,,,F3",
    "email,ada@example.org,,,F3,2024-07-13,,,too many",
    "name,Ada Example,,,F3,2024-07-13,,",
    "external_id,77,,,F3,2024-07-13,,",
    "email,ada@example.org,,future,F3,2024-07-13,,",
    "email,ada@example.org,,,F3,,unknown,",
)
EXPECTED = [
    "new", "new", "same", "conflict", "unknown_person", "ambiguous_person", "unknown_module", "unknown_module",
    "ambiguous_module", "invalid", "invalid", "invalid", "invalid", "invalid", "unknown_person", "invalid", "invalid",
]  # fmt: skip


@pytest.fixture
def four_people(database: Database, now: datetime) -> None:
    with database.write() as connection:
        launched(connection, now)
        launched(connection, now, "Ben Example")
        launched(connection, now, "Twin One", email="twin@example.org", sub="twin-1")
        launched(connection, now, "Twin Two", email="twin@example.org", sub="twin-2")


@pytest.mark.usefixtures("four_people")
def test_every_row_has_exactly_one_outcome_and_the_sums_add_up(database: Database, now: datetime) -> None:
    with database.read() as connection:
        report = run(connection, EVERYTHING, now)
        assert connection.scalar(select(func.count()).select_from(gates.completions)) == 0, "a preview writes nothing"
    assert outcomes(report) == EXPECTED
    assert list(report.counts) == list(OUTCOMES)
    assert sum(report.counts.values()) == len(report.rows) == len(EXPECTED)
    assert [row.line for row in report.rows] == list(range(2, len(EXPECTED) + 2))
    assert not report.committed
    assert all(row.detail for row in report.rows if row.outcome not in ("new", "same"))


@pytest.mark.usefixtures("four_people")
def test_a_commit_writes_what_the_preview_showed_and_a_second_one_changes_nothing(
    database: Database, published: Published, now: datetime
) -> None:
    with database.write() as connection:
        preview = run(connection, EVERYTHING, now)
        report = run(connection, EVERYTHING, now, commit=preview.digest)
        assert (outcomes(report), report.committed) == (EXPECTED, True)
        rows = completions.in_force(connection)
        assert [(row.name, row.module_id, row.completed_on, row.origin) for row in rows] == [
            ("Ada Example", "F1", date(2024, 7, 13), "imported"),
            ("Ben Example", "F2", date(2024, 8, 1), "imported"),
        ]
        assert f"import {report.digest[:12]} line 2" in rows[0].evidence
        assert f"title_as_taken: {TITLE}" in rows[0].evidence
        again = run(connection, EVERYTHING, now, commit=preview.digest)
        assert again.counts["new"] == 0
        assert again.counts["same"] == 3
        assert len(completions.in_force(connection)) == 2
        assert decide.ask(connection, published, rows[0].trainee_id, "F2", now).open


@pytest.mark.usefixtures("four_people")
def test_another_file_than_the_previewed_one_is_refused(database: Database, now: datetime) -> None:
    with database.write() as connection:
        digest = run(connection, EVERYTHING, now).digest
        with pytest.raises(Conflict) as caught:
            run(connection, EVERYTHING + b"\n", now, commit=digest)
        assert completions.in_force(connection) == []
    assert caught.value.code == "import_file_differs"


@pytest.mark.usefixtures("four_people")
def test_an_existing_record_is_never_overwritten(database: Database, now: datetime) -> None:
    content = a_file("email,ada@example.org,,,F1,2024-07-13,,")
    with database.write() as connection:
        made = completions.complete(connection, 1, "F1", date(2023, 1, 1), "staff", actor="cli", now=now)
        assert outcomes(run(connection, content, now, commit=completion_import.digest_of(content))) == ["conflict"]
        assert made is not None
        completions.end_completion(connection, made, reason="a mistake", actor="cli", now=now)
        assert outcomes(run(connection, content, now)) == ["new"], "another date than the one taken back"
        same_day = a_file("email,ada@example.org,,,F1,2023-01-01,,")
        assert outcomes(run(connection, same_day, now)) == ["conflict"], "staff took exactly this one back"


def with_earlier(**now: str) -> Programme:
    earlier = tuple(
        EarlierModule(each, f"Workshop {each}", current, "high", "the same", "head of training")
        for each, current in now.items()
    )
    return replace(demo(), earlier_modules=earlier, legacy_to_current={"L1": "F1"})


@pytest.mark.usefixtures("four_people")
def test_legacy_titles_resolve_inside_the_legacy_catalogue_and_count_through_confirmed_rows(
    database: Database, now: datetime
) -> None:
    programme = with_earlier(L1="F1", L2="F2", L_RES1="RT_EXP")
    content = a_file(
        "email,ada@example.org,Workshop L1,legacy,,2019-07-13,,",
        "email,ada@example.org,,legacy,L2,2019-07-13,,",
        "email,ada@example.org,Workshop L1,current,,2019-07-13,,",
        "email,ada@example.org,Workshop L_RES1,legacy,,2019-07-13,,",
    )
    with database.write() as connection:
        report = run(connection, content, now, programme=programme, commit=completion_import.digest_of(content))
        assert outcomes(report) == ["new", "new", "unknown_module", "unknown_module"]
        assert [row.module_id for row in completions.in_force(connection)] == ["L1", "L2"]
        opened = Published(9, programme)
        assert decide.ask(connection, opened, 1, "F2", now).open, "L1 counts for Module 1"
        recommended = decide.ask(connection, opened, 1, "RT_EXP", now).recommended
        assert recommended is not None
        assert recommended.progress == (1, 5), "L2 counts for nothing: nobody confirmed its row"


@pytest.mark.usefixtures("four_people")
def test_two_modules_of_one_title_are_ambiguous(database: Database, now: datetime) -> None:
    modules = {**demo().modules, "F3": replace(demo().modules["F3"], also_called=(TITLE,))}
    content = a_file(f"email,ada@example.org,{TITLE},,,2024-07-13,,", f"email,ada@example.org,{TITLE},,F3,2024-07-13,,")
    with database.read() as connection:
        report = run(connection, content, now, programme=replace(demo(), modules=modules))
    assert outcomes(report) == ["ambiguous_module", "new"]


@pytest.mark.usefixtures("four_people")
def test_formulas_and_control_characters_are_kept_inert(database: Database, now: datetime) -> None:
    content = a_file('email,ada@example.org,,,F1,2024-07-13,,"=HYPERLINK(""http://example.org"")\x07\n+1"')
    with database.write() as connection:
        run(connection, content, now, commit=completion_import.digest_of(content))
        [row] = completions.in_force(connection)
    assert row.evidence.endswith('note: \'=HYPERLINK("http://example.org") +1')


@pytest.mark.usefixtures("four_people")
def test_hostile_keys_are_only_keys(database: Database, now: datetime) -> None:
    content = a_file(
        "email,' OR 1=1 --,,,F1,2024-07-13,,",
        "email,%,,,F1,2024-07-13,,",
        "platform_user,user-ada' --,,,F1,2024-07-13,,",
        'email,"a\0b",,,F1,2024-07-13,,',
        f"email,{'x' * 2001},,,F1,2024-07-13,,",
        "email,,,,F1,2024-07-13,,",
    )
    with database.read() as connection:
        found = outcomes(run(connection, content, now))
    assert found == ["invalid", "invalid", "unknown_person", "invalid", "invalid", "invalid"]


@pytest.mark.usefixtures("four_people")
@pytest.mark.parametrize(
    ("written", "precision", "outcome", "detail"),
    [
        ("2024", "year", "new", ""),
        ("2024-07", "Month", "new", ""),
        ("2024-07-13", "year", "conflict", "date_precision is year, but completed_on is not written like 2024."),
        ("2024-07", "", "conflict", "date_precision is day, but completed_on is not written like 2024-07-13."),
        ("7/13/2024", "day", "invalid", "This is not a date like 2024-07-13."),
        ("20240713", "", "invalid", "This is not a date like 2024-07-13."),
    ],
)
def test_a_date_is_written_as_its_precision_says(
    database: Database, now: datetime, written: str, precision: str, outcome: str, detail: str
) -> None:
    with database.read() as connection:
        [row] = run(connection, a_file(f"email,ada@example.org,,,F1,{written},{precision},"), now).rows
    assert (row.line, row.outcome, row.detail) == (2, outcome, detail)
    assert row.column == ("" if outcome == "new" else "completed_on")


@pytest.mark.usefixtures("four_people")
def test_a_row_that_cannot_be_taken_names_its_column(database: Database, now: datetime) -> None:
    with database.read() as connection:
        report = run(connection, EVERYTHING, now)
    named = [row.column for row in report.rows]
    assert named == [
        "", "", "", "completed_on", "person_key", "person_key", "title_as_taken", "module", "module", "completed_on",
        "completed_on", "completed_on", "I", "person_key_type", "person_key", "catalogue", "date_precision",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "compared"),
    [("  Module  1 ", "Module 1"), ("Mo\u0301dulo", "M\u00f3dulo"), ("Module\u00a01", "Module 1"), ("\uff2d", "M")],
)
def test_titles_are_compared_in_one_form(written: str, compared: str) -> None:
    assert normal(written) == normal(compared)


def test_upper_and_lower_case_are_not_the_same_title() -> None:
    assert normal("module 1") != normal("Module 1")


@given(st.text(max_size=20))
def test_nothing_inert_begins_like_a_formula(text: str) -> None:
    assert not inert(text).startswith(("=", "+", "-", "@", "\t", "\r"))
