"""Whatever stands in a document, checking it gives problems with file and line, and never an exception."""

import json
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lti_tool.gates.publication import check_document
from lti_tool.programme.versions import programme_digest
from lti_tool.programme.yaml_source import load_yaml
from tests.profiles import portion
from tests.unit.programme.documents import SMALL, shipped

Path = tuple[str | int, ...]

words = [
    "UNSET",
    "unset",
    "",
    "A",
    "B",
    "R",
    "apa",
    "none",
    "2026-07-13",
    "09:00",
    ".nan",
    "~",
    "all",
    "9" * 30,
    "\x00",
]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(words)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: Path = ()) -> list[Path]:
    """Every place inside a document."""
    keys: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key in keys for place in places(value[key], (*path, key))]


SOUND = load_yaml(SMALL).value
PLACES = places(SOUND)
OLD = "somewhere"


def put(document: Any, path: Path, value: Any) -> None:
    """Put the value at the path, as far as the path is still there."""
    for key in path[:-1]:
        document = document[key] if _has(document, key) else {}
    if _has(document, path[-1]):
        document[path[-1]] = value


def drop(document: Any, path: Path) -> None:
    for key in path[:-1]:
        document = document[key] if _has(document, key) else {}
    if _has(document, path[-1]):
        del document[path[-1]]


def _has(document: Any, key: str | int) -> bool:
    if isinstance(document, dict):
        return key in document
    return isinstance(document, list) and isinstance(key, int) and key < len(document)


def as_yaml(document: Any) -> str:
    """JSON is YAML."""
    return json.dumps(document, default=float)


def assert_told_and_not_raised(document: str | bytes) -> None:
    checked = check_document(document, OLD)
    assert (checked.programme is None) == bool(checked.errors)
    assert all(each.file == OLD and each.code and each.message for each in checked.problems)


@given(st.lists(st.tuples(st.sampled_from(PLACES), values), min_size=1, max_size=4))
@settings(max_examples=portion(400), deadline=None)
def test_no_value_in_any_place_raises(replacements: list[tuple[Path, Any]]) -> None:
    document = deepcopy(SOUND)
    for path, value in replacements:
        put(document, path, value)
    assert_told_and_not_raised(as_yaml(document))


@given(st.sets(st.sampled_from(PLACES), min_size=1, max_size=8))
@settings(max_examples=portion(200), deadline=None)
def test_no_missing_place_raises(missing: set[Path]) -> None:
    document = deepcopy(SOUND)
    for path in sorted(missing, key=str):
        drop(document, path)
    assert_told_and_not_raised(as_yaml(document))


def test_no_section_put_in_the_place_of_another_raises() -> None:
    for one in SOUND:
        for other in SOUND:
            assert_told_and_not_raised(as_yaml({**SOUND, one: SOUND[other]}))


@given(values)
@settings(max_examples=portion(100), deadline=None)
def test_no_document_of_any_shape_raises(document: Any) -> None:
    assert_told_and_not_raised(as_yaml(document))


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=200), st.binary(max_size=20))
@settings(max_examples=portion(200), deadline=None)
def test_no_damage_to_the_file_raises(start: int, length: int, put_in: bytes) -> None:
    whole = shipped("demo.yaml").encode()
    start %= len(whole)
    assert_told_and_not_raised(whole[:start] + put_in + whole[start + length :])


@given(st.randoms(use_true_random=False))
@settings(max_examples=portion(40), deadline=None)
def test_a_document_with_its_keys_in_any_order_means_the_same(chance: Any) -> None:
    checked = check_document(as_yaml(shuffled(SOUND, chance)), OLD)
    assert checked.programme is not None
    as_written = check_document(SMALL, OLD).programme
    assert as_written is not None
    assert programme_digest(checked.programme) == programme_digest(as_written)


def shuffled(value: Any, chance: Any) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: shuffled(value[key], chance) for key in keys}
    return [shuffled(each, chance) for each in value] if isinstance(value, list) else value
