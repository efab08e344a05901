"""Every fact that the project cites opens: its sheet is in docs/facts/, and the code or section is in the sheet."""

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.source import PAGES, ROOT, WRITTEN_PAGES

SHEETS = ROOT / "docs" / "facts"
ROOMS = ("benchmarks", "config", "docs", "lti_tool", "sandbox", "tests", "zoom_adapter")

CODE = r"[A-Z]{1,4}-?\d{1,2}(?:\.\d{1,2})?(?!\d)"
SECTION = r"(?:§ ?|sections? )\d+(?:\.\d+)?"
PLACE = rf"(?:{SECTION}|{CODE})(?![\w-])"
SHEET = re.compile(r"(?<![\w/.-])(?:docs/facts/)?([a-z]+\.(?:md|yaml))(?:`|\]\([\w./]*\))?")
CITATION = re.compile(rf"{SHEET.pattern},? ({PLACE}(?:(?:, | and | to ){PLACE})*)")
BARE = re.compile(rf"(?<![\w:/.#§-])(?:{CODE}(?![\w-])|§ ?\d+(?:\.\d+)?)")

# Sections of texts that are not ours, and the modules of the programme, which are called F1 to F5.
NOT_CITED = re.compile(r"OpenID Connect Core §\d+|\bF[1-5]\b")


def defined(sheet: str) -> Iterator[str]:
    """Every code, section and numbered row of a sheet, as it is cited."""
    section = ""
    for line in sheet.split("\n"):
        if heading := re.match(r"##+ (\d+(?:\.\d+)?)\.? (.*)", line):
            section = f"§{heading[1]}"
            yield section
            yield from re.findall(rf"\b{CODE}(?= )", heading[2])
        elif section and (row := re.match(r"(?:\| )?(\d+)(?: \||\. )", line)):
            yield f"{section}.{row[1]}"
        elif rule := re.match(rf" *(?:\| |- )?(?:({CODE})(?=[ .])|{{?id: (C[A-Z]?\d+))", line):
            code = rule[1] or rule[2]
            yield code
            yield code.partition(".")[0]


@cache
def sheets() -> Mapping[str, frozenset[str]]:
    """Every fact sheet with what can be cited of it."""
    files = (file for file in SHEETS.iterdir() if file.name != "README.md")
    return {file.name: frozenset(defined(file.read_text(encoding="utf-8"))) for file in files}


@cache
def kinds() -> frozenset[str]:
    return frozenset(_kind(place) for places in sheets().values() for place in places)


def _kind(code: str) -> str:
    """What codes of one kind have in common, such as "A#.#"."""
    return re.sub(r"\d+", "#", code)


def wrong_citations(text: str) -> list[str]:
    """The citations in a text that do not open."""
    cited = [(name, place) for name, places in CITATION.findall(text) for place in re.findall(PLACE, places)]
    return [f"{name} {place}" for name, place in cited if _key(place) not in sheets().get(name, ())]


def bare_codes(text: str, own: Iterable[str] = ()) -> list[str]:
    """The codes and sections in a text that no sheet named in it holds; what is `own` needs no name."""
    held = frozenset(own).union(*(sheets().get(name, ()) for name in SHEET.findall(text)))
    found = BARE.findall(CITATION.sub("", NOT_CITED.sub("", text)))
    return [each for each in found if _key(each) not in held and (each.startswith("§") or _kind(each) in kinds())]


def _key(place: str) -> str:
    return re.sub(r"^(?:§ ?|sections? )", "§", place)


@cache
def passages(file: Path) -> tuple[str, ...]:
    """What a file says to its reader, with single spaces: docstrings and comments, or the sections of a page. None of a
    file that cites nothing."""
    reader = READERS.get(file.suffix)
    text = file.read_text(encoding="utf-8") if reader else ""
    cites = SHEET.search(text) or BARE.search(text)
    return tuple(" ".join(each.split()) for each in reader(text)) if reader and cites else ()


def _sections(page: str) -> Iterable[str]:
    return re.split(r"(?m)^#+ ", re.sub(r"(?ms)^```.*?^```", "", page))


def _comments_between_marks(page: str) -> Iterable[str]:
    found = re.findall(r"(?s)\{#(.*?)#\}|<!--(.*?)-->|/\*(.*?)\*/", page)
    return ("".join(parts) for parts in found)


def _comments_after_signs(text: str) -> Iterable[str]:
    return re.findall(r"(?m)(?:^|\s)#+ (.*)", text)


def _docstrings_and_comments(source: str) -> Iterator[str]:
    """Comments on lines of their own that follow each other are one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
    block, last = "", 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[: token.start[1]].strip()
            if not (alone and token.start[0] == last + 1):
                yield block
                block = ""
            block = f"{block} {token.string.lstrip('#')}"
            last = token.start[0] if alone else 0
    yield block


READERS = {
    ".md": _sections,
    ".py": _docstrings_and_comments,
    **dict.fromkeys((".html", ".css", ".js"), _comments_between_marks),
    **dict.fromkeys((".yaml", ".env", ".toml"), _comments_after_signs),
}


def files() -> list[Path]:
    found = [file for room in ROOMS for file in sorted((ROOT / room).rglob("*")) if file.is_file()]
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *found]


def own_codes(file: Path) -> Iterable[str]:
    """What a file need not name a sheet for: a sheet its own codes and those of sheets it names, a programme its
    contradictions."""
    if file.parent == SHEETS:
        named = [file.name, *SHEET.findall(file.read_text(encoding="utf-8"))]
        return frozenset().union(*(sheets().get(name, ()) for name in named))
    return re.findall(r"(?m)^  (C\d\d):$", file.read_text(encoding="utf-8")) if file.suffix == ".yaml" else ()


def test_every_citation_opens() -> None:
    found = ((file, each) for file in files() for text in passages(file) for each in wrong_citations(text))
    assert [f"{file.relative_to(ROOT)}: {each}" for file, each in found] == []


def test_no_code_stands_without_its_sheet() -> None:
    mine = ((file, own_codes(file)) for file in files())
    found = ((file, each) for file, own in mine for text in passages(file) for each in bare_codes(text, own))
    assert [f"{file.relative_to(ROOT)}: {each}" for file, each in found] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are shown on the web."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", each.lower()).strip().replace(" ", "-") for each in headings}


def opens(page: Path, link: str) -> bool:
    """Whether a relative link of a page leads to a file, and to a heading of it if it names one."""
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    return target.exists() and (not anchor or anchor in anchors(target))


def test_every_link_of_a_document_opens() -> None:
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^):]+)\)", page.read_text(encoding="utf-8"))]
    assert len(links) > 80
    assert [f"{page.relative_to(ROOT)}: {link}" for page, link in links if not opens(page, link)] == []


def test_every_file_that_a_document_names_exists() -> None:
    """A path is given from the project's root, or from a package in docs/architecture.md, which names both."""
    roots = (ROOT, ROOT / "lti_tool", ROOT / "zoom_adapter")
    named = [
        (page, name)
        for page in WRITTEN_PAGES
        for name in re.findall(r"`((?:\w+/)+\w+\.(?:py|js|md|yaml|env))`", page.read_text(encoding="utf-8"))
    ]
    assert len(named) > 40
    wrong = [each for each in named if not any((root / each[1]).exists() for root in roots)]
    assert [f"{page.relative_to(ROOT)}: {name}" for page, name in wrong] == []


WRONG = ["ce.md E1.99", "zoom.md §3.3, §99", "lti.md TK-1 to TK-99", "absent.md §1", "moodle.md §5.99"]
UNNAMED = ["never (A2.9)", "AG-12", "as §4 says", "ce.md T9, or A4.4", "by C26"]
FINE = ["gates.md A2.9 and A4.4", "of F1", "ce.md T7, or (T6)", "OpenID Connect Core §2", "SHA-256", "ADR 0003"]


@pytest.mark.parametrize("text", WRONG)
def test_a_citation_that_does_not_open_is_found(text: str) -> None:
    assert len(wrong_citations(text)) == 1


@pytest.mark.parametrize("text", UNNAMED)
def test_a_code_without_its_sheet_is_found(text: str) -> None:
    assert len(bare_codes(text)) == 1


@pytest.mark.parametrize("text", FINE)
def test_a_code_with_its_sheet_is_fine(text: str) -> None:
    assert [*wrong_citations(text), *bare_codes(text)] == []
