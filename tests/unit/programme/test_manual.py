"""docs/programme.md explains every key that the reader knows, with examples that are YAML."""

import json
import re
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import pytest

from lti_tool.programme import catalogue, model
from lti_tool.programme.entries import forms
from lti_tool.programme.loader import read_programme
from lti_tool.programme.values import Key
from lti_tool.programme.yaml_source import load_yaml
from tests.unit.programme.documents import SHIPPED, SMALL, shipped

ROOT = Path(__file__).parents[3]
MANUAL = (ROOT / "docs" / "programme.md").read_text(encoding="utf-8")
CODE = re.compile(
    r'\b(?:_error|error|_warning|_Refused|Problem)\(\s*(?:"(?:error|warning)", )?"(?!error|warning)(\w+)"'
)
# Fields whose value follows from other places of the document.
NOT_WRITTEN = {"legacy_to_current", "module", "path", "sessions", "set_kinds", "set_titles", "unset"}
EXAMPLES = re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL)


def with_a_strange_key(value: Any) -> Any:
    """The document with an unknown key in each of its mappings."""
    if isinstance(value, dict):
        return {key: with_a_strange_key(each) for key, each in value.items()} | {"strange": True}
    return [with_a_strange_key(each) for each in value] if isinstance(value, list) else value


def keys_of_the_records() -> set[str]:
    """The keys of every dataclass that the reader knows."""
    records = [
        each for each in (*vars(catalogue).values(), *vars(model).values()) if is_dataclass(each) and each is not Key
    ]
    return {form.key for each in records for form in forms(each) if not form.is_name} - NOT_WRITTEN


def keys_of_the_reader() -> set[str]:
    """What the reader names as known where it refuses a key, in documents that use every section."""
    documents = [load_yaml(document).value for document in (SMALL, *map(shipped, SHIPPED))]
    found = [read_programme(json.dumps(with_a_strange_key(each), default=float), "") for each in documents]
    refused = [each.message for checked in found for each in checked.errors if each.code == "unknown_key"]
    return {key for message in refused for key in message.rstrip(".").partition("Known: ")[2].split(", ")}


def test_the_reader_asks_for_every_field_of_its_records() -> None:
    assert keys_of_the_records() - keys_of_the_reader() == set()


def test_every_key_is_explained() -> None:
    keys = keys_of_the_reader()
    assert len(keys) > 100
    assert [key for key in sorted(keys) if f"{key}:" not in MANUAL and f"`{key}`" not in MANUAL] == []


def test_every_code_is_explained() -> None:
    sources = ((path.read_text(encoding="utf-8")) for path in (ROOT / "lti_tool" / "programme").glob("*.py"))
    codes = {code for source in sources for code in CODE.findall(source)}
    assert len(codes) > 40
    assert [code for code in sorted(codes) if f"`{code}`" not in MANUAL] == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_yaml(example: str) -> None:
    assert load_yaml(example).problems == ()
