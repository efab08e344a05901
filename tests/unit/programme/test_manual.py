"""docs/programme.md explains every key that the reader knows, with examples that are YAML."""

import re
from pathlib import Path

import pytest

from lti_tool.programme.yaml_source import load_yaml

ROOT = Path(__file__).parents[3]
MANUAL = (ROOT / "docs" / "programme.md").read_text(encoding="utf-8")
READERS = ("loader", "sections")
CODE = re.compile(
    r'\b(?:_error|error|_warning|_Refused|Problem)\(\s*(?:"(?:error|warning)", )?"(?!error|warning)(\w+)"'
)
ASKED = re.compile(r'\b(?:entry\.\w+|root\.\w+|_set|_by_body)\((?:entry, )?"(\w+)"')
EXAMPLES = re.findall(r"```yaml\n(.*?)```", MANUAL, re.DOTALL)


def keys_of_the_reader() -> set[str]:
    sources = ((ROOT / "lti_tool" / "programme" / f"{name}.py").read_text(encoding="utf-8") for name in READERS)
    return {key for source in sources for key in ASKED.findall(source)}


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
