"""CSV files as spreadsheets write them, and hostile ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_tool.csv_rows import Columns, read_rows
from lti_tool.errors import BadInput

COLUMNS = Columns(("email", "completed_on", "module", "title", "note"), ("email", "completed_on"), ("module", "title"))
PLAIN = "email,completed_on,module,note\nada@example.org,2024-07-13,F1,as printed\n"


def cells(content: bytes | str) -> list[dict[str, str]]:
    rows = read_rows(content.encode() if isinstance(content, str) else content, COLUMNS)
    assert [row.problem for row in rows] == [None] * len(rows)
    return [dict(row.cells) for row in rows]


EXPECTED = cells(PLAIN)


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.replace("\n", "\r\n"),
        "\ufeff" + PLAIN,
        PLAIN.encode("utf-16"),
        PLAIN.replace(",", "\t").encode("utf-16"),
        ("\ufeff" + PLAIN.replace(",", ";").replace("\n", "\r\n")).encode("utf-16-be"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t"),
        "sep=;\n" + PLAIN.replace(",", ";"),
        '"sep=,"\r\n' + PLAIN,
        "sep=\t\n" + PLAIN.replace(",", "\t"),
        PLAIN.replace("email,completed_on", "E-Mail,Completed On").replace("E-Mail", "Email"),
        PLAIN.replace("email,completed_on", ' "EMAIL" ,completed-on\u00a0'),
        PLAIN.replace("\n", ",,,\n"),
        PLAIN.replace("\n", ',"",\u00a0\n'),
        PLAIN + ",,,\n\n",
    ],
)
def test_a_file_is_read_however_a_spreadsheet_saves_it(content: bytes | str) -> None:
    assert cells(content) == EXPECTED


def test_missing_last_cells_are_empty() -> None:
    [row] = read_rows(b"email,completed_on,module,note\nada@example.org,2024-07-13,F1\n", COLUMNS)
    assert (row["module"], row["note"], row.problem) == ("F1", "", None)


def test_rows_are_numbered_by_the_lines_of_the_file() -> None:
    content = b'sep=;\n\nemail;completed_on;module;note\na;;;"two\nlines"\n\nb;;;\n'
    assert [(row.line, row["email"], row["note"]) for row in read_rows(content, COLUMNS)] == [
        (4, "a", "two lines"),
        (7, "b", ""),
    ]


def test_a_cell_is_cleaned_but_what_identifies_something_is_only_trimmed() -> None:
    columns = Columns(("email", "module", "note"), ("email",), verbatim=("module",))
    [row] = read_rows("email,module,note\na\u200b, x\u00a0y ,x\u00a0y".encode(), columns)
    assert (row["email"], row["module"], row["note"]) == ("a", "x\u00a0y", "x y")


@pytest.mark.parametrize(
    ("cells_of_a_row", "problem"),
    [
        ("a,,,,extra", ("E", "The column has content but no heading.")),
        (f"a,,{'x' * 2001},", ("module", "The cell is longer than 2000 characters.")),
        ("a,,," + "," * 23 + "extra", ("AA", "The column has content but no heading.")),
    ],
)
def test_a_cell_that_cannot_be_read_is_named_by_its_column(cells_of_a_row: str, problem: tuple[str, str]) -> None:
    [row] = read_rows(f"email,completed_on,module,note\n{cells_of_a_row}\n".encode(), COLUMNS)
    assert (row.line, row.problem) == (2, problem)


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ("", "import_columns_wrong", "The file is empty."),
        ("\n\n", "import_columns_wrong", "The file is empty."),
        (PLAIN.replace(",", "|"), "import_columns_wrong", "may be separated by commas, semicolons, tabs."),
        ("sep=|\n" + PLAIN, "import_columns_wrong", "The line “sep=” names “|” as the separator."),
        (PLAIN.replace("note", "password"), "import_columns_wrong", "The heading “password” is not known."),
        (PLAIN.replace("note", "Module"), "import_columns_wrong", "The heading “module” stands there twice."),
        (PLAIN.replace("completed_on", ""), "import_columns_wrong", "The column “completed_on” is missing."),
        (PLAIN.replace("module", ""), "import_columns_wrong", "“module” and “title” are both missing"),
        ("PK\x03\x04 a spreadsheet", "import_columns_wrong", "The first row has no known heading"),
        (b"\xff\xfe\x00", "import_unreadable", "neither in UTF-8 nor in UTF-16"),
        (b"email,completed_on,module\nJos\xe9", "import_unreadable", "neither in UTF-8 nor in UTF-16"),
        (PLAIN.encode("utf-16-le"), "import_unreadable", "neither in UTF-8 nor in UTF-16"),
        (PLAIN + '"open quote', "import_unreadable", "a quotation mark is not closed"),
        (PLAIN + "x" * 200_000, "import_unreadable", "a cell is far too long"),
        (b"x" * 5_000_001, "import_too_large", "The file is too large."),
        (PLAIN + "a,b\n" * 20_001, "import_too_large", "The file is too large."),
    ],
)
def test_a_file_that_is_no_such_list_is_refused_with_the_reason(content: bytes | str, code: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        cells(content)
    assert caught.value.code == code
    assert message in caught.value.message


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: (PLAIN + text).encode()))
def test_no_file_breaks_the_reader(content: bytes) -> None:
    try:
        rows = read_rows(content, COLUMNS)
    except BadInput:
        return
    assert all(row.line > 1 for row in rows)
