"""The guides quote what the pages show: every heading, button, state and link in italics or bold is in the product.
Their links lead to files and headings that exist, and their pictures are those of `make pictures`."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.source import DOCS, ROOT, modules
from tests.unit.test_words import TEMPLATES, visible_texts

GUIDES = (ROOT / "README.md", *DOCS.glob("*.md"), *(DOCS / "platforms").glob("*.md"))
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")
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


@cache
def links(guide: Path) -> list[tuple[bool, str, str]]:
    """Whether each relative link shows a picture, its path, and its part of that file."""
    found = LINK.findall(guide.read_text(encoding="utf-8"))
    return [(bool(mark), *target.partition("#")[::2]) for mark, target in found if "://" not in target]


def anchors(file: Path) -> set[str]:
    """The headings of a file, as a browser of the repository names them."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("guide", GUIDES, ids=lambda each: str(each.relative_to(ROOT)))
def test_every_link_of_a_guide_leads_somewhere(guide: Path) -> None:
    targets = [((guide.parent / path).resolve() if path else guide, part) for _, path, part in links(guide)]
    assert [str(file) for file, _ in targets if not file.exists()] == []
    assert [(file.name, part) for file, part in targets if part and part not in anchors(file)] == []


def test_every_picture_is_shown_in_a_guide_and_small() -> None:
    shown_in_guides = {(guide.parent / path).resolve() for guide in GUIDES for _, path, _ in links(guide)}
    taken = {each.resolve() for each in DOCS.rglob("*.png")}
    assert len(taken) > 8
    assert taken - shown_in_guides == set()
    assert [each.name for each in taken if each.stat().st_size > 150_000] == []
