"""The guides quote what the pages show: every heading, button, state and link in italics or bold is in the product."""

import ast
import re
from functools import cache

import pytest

from tests.source import DOCS, ROOT, modules
from tests.unit.test_words import TEMPLATES, visible_texts

QUOTED = re.compile(r"(?<![*\w])\*{1,2}([^*`]+?)\*{1,2}(?![*\w])")


@cache
def shown() -> str:
    """Everything that the product can say, in one text: its pages, its scripts, and the texts of its modules."""
    pages = [text for each in TEMPLATES for text in visible_texts(each.read_text(encoding="utf-8"))]
    scripts = [each.read_text(encoding="utf-8") for each in sorted((ROOT / "lti_tool" / "static").glob("*.js"))]
    constants = (node.value for module in modules() for node in module.all(ast.Constant))
    return plain("\n".join([*pages, *scripts, *(each for each in constants if isinstance(each, str))]))


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).lower()


def quotations(guide: str) -> list[str]:
    """What a guide quotes. "Sessions › Add a session" quotes two things; bold words with a full stop are headings."""
    quoted = [each for each in QUOTED.findall(guide) if not each.endswith(".")]
    return [part for each in quoted for part in plain(each).split(" › ")]


@pytest.mark.parametrize("name", ["admin-guide", "trainee-guide"])
def test_every_label_that_a_guide_quotes_is_shown_by_the_product(name: str) -> None:
    quoted = quotations((DOCS / f"{name}.md").read_text(encoding="utf-8"))
    assert len(quoted) > 20
    assert [each for each in quoted if each not in shown()] == []
