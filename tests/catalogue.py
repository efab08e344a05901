"""The catalogues of messages, written from the source: `make words`.

`translations/gatehouse.pot` holds every message in English. The catalogue of a language holds those that trainees read:
the desk is in English. A message that is new stands in it without a translation, and the tests name it; one that is
gone is gone from it. Compiled catalogues stand beside their sources, so that an installation needs no compiler.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

from lti_tool.languages import DOMAIN, ENGLISH, FOLDER, LANGUAGES
from tests.source import ROOT, UNKNOWN, Module, modules, refused_in

TEMPLATE = FOLDER / f"{DOMAIN}.pot"
TEMPLATES = ROOT / "lti_tool" / "templates"
OPTIONS = {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}
WIDTH = 120
# A catalogue says nothing of when it was written: the history of the file does.
NO_DATE = datetime(2026, 1, 1, tzinfo=UTC)

# What only staff read: rooms and files, by the beginning of their path.
FOR_STAFF = (
    "lti_tool/templates/staff/",
    "lti_tool/templates/mail/digest.txt",
    "lti_tool/web/staff/",
    "lti_tool/web/deep_linking.py",
    "lti_tool/commands/",
    "lti_tool/diagnostics/",
)
# Where a trainee may be refused; the refusals of other files are for staff, platforms and commands.
REFUSES_TRAINEES = {
    "lti_tool.attendance.accommodations",
    "lti_tool.attendance.calendar_feed",
    "lti_tool.attendance.presence_checks",
    "lti_tool.attendance.requests",
    "lti_tool.attendance.reviews",
    "lti_tool.gates.equivalency",
    "lti_tool.launch",
    "lti_tool.lti.claims",
    "lti_tool.lti.id_token",
    "lti_tool.lti.key_sets",
    "lti_tool.lti.login",
    "lti_tool.outbox.preferences",
    "lti_tool.platforms.launch_records",
    "lti_tool.programme.versions",
    "lti_tool.retreats.applications",
    "lti_tool.text",
    "lti_tool.web.errors",
    "lti_tool.web.request",
    "lti_tool.web.rsgi",
    "lti_tool.web.session",
}
OTHER_REFUSALS = {"session_unknown"}
# Function → the positions of its arguments that are messages.
MARKS = {"gettext": (0,), "N_": (0,), "translated": (0,), "say": (0,), "required_text": (0, 1), "optional_text": (0,)}
READERS = {"read_line": 2, "read_lines": 2}


@dataclass(frozen=True, slots=True)
class Message:
    """One message of one file: with its plural if it counts something, with its context if it has one."""

    one: str
    file: str
    is_for_trainees: bool
    many: str | None = None
    context: str | None = None


def messages() -> Iterator[Message]:
    """Every message of the product, in the order of the files."""
    yield from _of_templates()
    notices = _notices_of_trainees()
    for module in modules():
        yield from _of_module(module, notices)


def extracted(*, for_trainees: bool) -> Catalog:
    """All messages as a template, or only those that trainees read."""
    catalog = Catalog(
        domain=DOMAIN, project="Gatehouse", version="1", header_comment="# Messages of Gatehouse.",
        creation_date=NO_DATE, fuzzy=False, charset="utf-8",
    )  # fmt: skip
    for each in messages():
        if each.is_for_trainees or not for_trainees:
            text = each.one if each.many is None else (each.one, each.many)
            catalog.add(text, locations=[(each.file, None)], context=each.context)
    return catalog


def source_of(language: str) -> Path:
    """The file that translators edit."""
    return FOLDER / language / "LC_MESSAGES" / f"{DOMAIN}.po"


def load(language: str) -> Catalog:
    with source_of(language).open("rb") as file:
        return read_po(file, locale=language, domain=DOMAIN)


def updated(language: str) -> Catalog:
    """The catalogue as it should be: every message that trainees read, and no other."""
    catalog = load(language) if source_of(language).exists() else Catalog(locale=language, domain=DOMAIN, fuzzy=False)
    catalog.update(extracted(for_trainees=True), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    return catalog


def written(catalog: Catalog) -> bytes:
    """The catalogue as a file. It names the file of a message, without lines, which would change all the time."""
    file = BytesIO()
    write_po(file, catalog, width=WIDTH, include_lineno=False)
    return file.getvalue()


def compiled(catalog: Catalog) -> bytes:
    file = BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def _of_templates() -> Iterator[Message]:
    for path in sorted(TEMPLATES.rglob("*.*")):
        file = path.relative_to(ROOT).as_posix()
        with path.open("rb") as source:
            for _line, function, found, _comments in babel_extract(
                source, ("_", "gettext", "ngettext", "pgettext"), (), OPTIONS
            ):
                texts = [found] if isinstance(found, str) else [each for each in found if each is not None]
                yield _message(function, texts, file)


def _message(function: str, texts: list[str], file: str) -> Message:
    is_for_trainees = not file.startswith(FOR_STAFF)
    if function == "ngettext":
        return Message(texts[0], file, is_for_trainees, many=texts[1])
    if function == "pgettext":
        return Message(texts[1], file, is_for_trainees, context=texts[0])
    return Message(texts[0], file, is_for_trainees)


def _of_module(module: Module, notices: set[str]) -> Iterator[Message]:
    file = module.path.relative_to(ROOT).as_posix()
    for call in module.all(ast.Call):
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        texts = [_constant(each) for each in call.args]
        if name in ("ngettext", "pgettext") and texts[0] and texts[1]:
            yield _message(name, [texts[0], texts[1]], file)
        elif name == "Line":
            yield from (_message("", [text], file) for text in texts[2:5:2] if text)
        elif name == "Sentences":
            learner, staff, until = (*texts, None, None)[:3]
            yield from (Message(each, file, True) for each in (learner, until) if each)
            yield from (Message(each, file, False) for each in (staff,) if each)
        elif name == "Notice" and module.name == "lti_tool.web.page":
            yield Message(texts[1], file, texts[1] in notices)
        else:
            positions = MARKS.get(name, (READERS[name],) if name in READERS else ())
            for text in (texts[each] for each in positions if each < len(texts)):
                if text:
                    yield _message("", [text], file)
        for keyword in call.keywords:
            if keyword.arg in ("error_messages", "error"):
                yield from (_message("", [each], file) for each in _constants(keyword.value, module))
    if module.name == "lti_tool.web.errors":
        yield from (_message("", [each], file) for each in _values(module, "HEADINGS"))
    for each in refused_in(module):
        is_for_trainees = (
            module.name.startswith("lti_tool.web.trainee.")
            or module.name in REFUSES_TRAINEES
            or each.code in OTHER_REFUSALS
        )
        texts = [text for text in (each.message, each.next_step) if text and UNKNOWN not in text]
        yield from (Message(text, file, is_for_trainees) for text in texts)


def _notices_of_trainees() -> set[str]:
    """What stands above a page after a trainee's form: the notices to which the pages for trainees lead."""
    pages = [each for each in modules() if each.name.startswith("lti_tool.web.trainee.")]
    gone = [call for page in pages for call in page.all(ast.Call) if getattr(call.func, "id", "") == "go"]
    codes = {_constant(call.args[1]) for call in gone}
    page = next(each for each in modules() if each.name == "lti_tool.web.page")
    table = next(
        node.value for node in page.tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "NOTICES"
    )
    rows = zip(table.keys, table.values, strict=True)
    return {_constant(notice.args[1]) for code, notice in rows if _constant(code) in codes}


def _constant(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _constants(node: ast.expr, module: Module) -> Iterable[str]:
    """The texts of a table or of one argument; a name stands for what the module gives it."""
    if isinstance(node, ast.Dict):
        return [text for value in node.values for text in _constants(value, module)]
    if isinstance(node, ast.Name):
        return [text for text in _values(module, node.id) if text]
    text = _constant(node)
    return [text] if text else []


def _values(module: Module, name: str) -> Iterable[str]:
    """The texts that a name of this module stands for."""
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return _constants(node.value, module)
    return []


def main() -> None:
    """Write the template and every catalogue anew, and compile the catalogues."""
    TEMPLATE.write_bytes(written(extracted(for_trainees=False)))
    for language in LANGUAGES.keys() - {ENGLISH}:
        catalog = updated(language)
        source_of(language).write_bytes(written(catalog))
        source_of(language).with_suffix(".mo").write_bytes(compiled(catalog))


if __name__ == "__main__":
    main()
