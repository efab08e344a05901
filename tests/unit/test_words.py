"""Pages, errors and documents speak plain English: a short list of words that they must not contain."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.source import ROOT, WRITTEN_PAGES, Module, exception_names, modules

BANNED = re.compile(r"(?i)\b(nobody|somebody|mend|of\s+whom|tells\s+of|what\s+waits|whom\s+to\s+write)\b")
TEMPLATES = sorted((ROOT / "lti_tool" / "templates").rglob("*.html"))

COMMENT = re.compile(r"(?s)\{#.*?#\}|<!--.*?-->")
LOGIC = re.compile(r"(?s)\{[{%].*?[%}]\}")
TAG = re.compile(r"</?[a-zA-Z][^>]*>")
LITERAL = re.compile(r'"([^"]*)"' + r"|'([^']*)'")
CODE = re.compile(r"(?ms)^```.*?^```|`[^`]*`")

# Arguments and names that hold a text for people.
TEXTS = {"message", "next_step", "title", "advice", "reason", "says", "text"}
TABLES = TEXTS | {"notices", "reasons", "refusals"}
SPEAKERS = {"Finding", "Sign", "Notice", "Check"}


def visible_texts(template: str) -> Iterator[str]:
    """What a reader may see of a template: its text, and the literals in its logic; no comments and no tags."""
    template = COMMENT.sub(" ", template)
    for block in LOGIC.findall(template):
        yield from (double or single for double, single in LITERAL.findall(block))
    yield TAG.sub(" ", LOGIC.sub(" ", template))


def spoken_texts(module: Module) -> Iterator[str]:
    """The texts of errors, findings and notices of a module: what is raised, made or assigned under such a name."""
    speakers = exception_names() | SPEAKERS
    for node in ast.walk(module.tree):
        roots: list[ast.expr | None] = []
        if isinstance(node, ast.Raise):
            roots = [node.exc]
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            roots = [node] if name in speakers else [each.value for each in node.keywords if each.arg in TEXTS]
        elif isinstance(node, ast.Assign):
            names = {each.id.lower() for each in node.targets if isinstance(each, ast.Name)}
            roots = [node.value] if names & TABLES else []
        for root in roots:
            for each in ast.walk(root) if root is not None else ():
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield each.value


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_templates_speak_plain_english(template: Path) -> None:
    texts = visible_texts(template.read_text(encoding="utf-8"))
    assert {match.group() for text in texts for match in BANNED.finditer(text)} == set()


def test_errors_findings_and_notices_speak_plain_english() -> None:
    assert {
        f"{module.name}: {match.group()}"
        for module in modules()
        for text in spoken_texts(module)
        for match in BANNED.finditer(text)
    } == set()


@pytest.mark.parametrize("page", WRITTEN_PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_speak_plain_english(page: Path) -> None:
    text = CODE.sub(" ", page.read_text(encoding="utf-8"))
    assert {match.group() for match in BANNED.finditer(text)} == set()
