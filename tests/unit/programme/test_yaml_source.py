"""YAML is read for its plain values only; whatever else is in the file is a problem and never an exception."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lti_tool.programme.yaml_source import MAX_BYTES, MAX_DEPTH, load_yaml
from tests.profiles import portion


def code_of(document: str | bytes) -> str:
    source = load_yaml(document)
    assert source.value is None
    return source.problems[0].code


def test_values_are_plain_and_nothing_is_guessed() -> None:
    written = '{a: 1, b: 6.50, c: true, d: null, e: 09:00, f: 2024-07-13, g: "1", h: no, i: .nan, j: 0o17, k: 1e9}'
    assert load_yaml(written).value == {
        "a": 1,
        "b": Decimal("6.5"),
        "c": True,
        "d": None,
        "e": "09:00",
        "f": "2024-07-13",
        "g": "1",
        "h": "no",
        "i": ".nan",
        "j": "0o17",
        "k": "1e9",
    }


def test_every_path_has_its_line() -> None:
    source = load_yaml("a:\n  b:\n    - c\n    - {d: 1}\n")
    assert [source.line_of(path) for path in ("a", "a.b", "a.b[0]", "a.b[1].d")] == [1, 2, 3, 4]


def test_a_path_that_is_not_written_has_the_line_of_what_stands_above_it() -> None:
    source = load_yaml("a:\n  b:\n    - c\n")
    assert [source.line_of(path) for path in ("a.b[7].x.y", "a.z", "z", "")] == [2, 1, 1, 1]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("a: 1\na: 2\n", "yaml_duplicate_key"),
        ("a: [1\n", "yaml_syntax"),
        ("a: \x00\n", "yaml_syntax"),
        (b"\xff\xfea: 1", "yaml_not_utf8"),
        ("a: \ud800", "yaml_not_utf8"),
        ("", "yaml_empty"),
        ("# only a comment\n", "yaml_empty"),
        ("a: 1\n---\nb: 2\n", "yaml_several"),
        ("!!python/object/apply:os.system [ls]", "yaml_tag"),
        ("a: !secret b", "yaml_tag"),
        ("a: *nowhere", "yaml_alias"),
        ("&a [*a]", "yaml_alias"),
        ("[a, b]: c", "yaml_key"),
        ("? {a: b}\n: c", "yaml_key"),
        (f"{'k' * 65}: 1", "yaml_key"),
        ("[" * (MAX_DEPTH + 2), "yaml_too_deep"),
        ("{a: " * 100_000, "yaml_too_deep"),
        ("- x\n" * 200_000, "yaml_too_many"),
        ("x" * (MAX_BYTES + 1), "yaml_too_large"),
        (b"a: b\n" * 2_000_000, "yaml_too_large"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_code(document: str | bytes, code: str) -> None:
    assert code_of(document) == code


def test_aliases_that_multiply_are_refused_before_they_are_counted_out() -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert code_of("\n".join(lines)) == "yaml_too_many"


def test_a_byte_order_mark_is_taken_off() -> None:
    assert load_yaml("a: 1".encode("utf-8-sig")).value == {"a": 1}


@given(st.binary(max_size=400))
@settings(max_examples=portion(300))
def test_no_bytes_raise(document: bytes) -> None:
    load_yaml(document)


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@`,?~ \n\t0.\x00é", max_size=80))
@settings(max_examples=portion(500))
def test_no_text_of_yaml_signs_raises(document: str) -> None:
    source = load_yaml(document)
    assert source.value is None or not source.problems
