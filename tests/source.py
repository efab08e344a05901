"""The project's own source, read as data, for tests that guard its structure and for the index of refusals."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent
CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
# They refuse a text with the code and the name of the field that they are given (`lti_tool.text`).
READERS = ("read_line", "read_lines")
# They give a message in the reader's language (`lti_tool.languages`).
MESSAGES = ("gettext", "translated", "N_")
UNKNOWN = "…"

DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md")))
# The pages that `make reference` writes from the source, and the fact sheets with their quotations.
_NOT_WRITTEN_BY_HAND = (DOCS / "facts", *(DOCS / f"{name}.md" for name in ("errors", "commands", "roles")))
WRITTEN_PAGES = tuple(page for page in PAGES if not any(page.is_relative_to(each) for each in _NOT_WRITTEN_BY_HAND))


@dataclass(frozen=True)
class Module:
    """One file of the product."""

    path: Path
    tree: ast.Module

    @property
    def name(self) -> str:
        """Its dotted name."""
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def says(self) -> str:
        """Its docstring; empty if it has none."""
        return ast.get_docstring(self.tree) or ""

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.tree))

    def all(self, kind: type[ast.AST]) -> Iterator[ast.AST]:
        return (node for node in self.nodes if isinstance(node, kind))


@dataclass(frozen=True)
class Refused:
    """One place where something is refused: the stable code, what happened, what to do ("…" stands for values)."""

    code: str
    module: str
    message: str
    next_step: str


@cache
def modules() -> tuple[Module, ...]:
    """Every file of lti_tool and zoom_adapter, but for the drafted revisions."""
    paths = sorted([*(ROOT / "lti_tool").rglob("*.py"), *(ROOT / "zoom_adapter").rglob("*.py")])
    kept = (path for path in paths if "versions" not in path.parts)
    return tuple(Module(path, ast.parse(path.read_text(encoding="utf-8"))) for path in kept)


@cache
def exception_names() -> frozenset[str]:
    """Every exception class of ours: GatehouseError's family, and those that carry a code to it."""
    names = {"Exception", "ValueError"}
    classes = [node for module in modules() for node in module.all(ast.ClassDef)]
    while more := {each.name for each in classes if _bases(each) & names} - names:
        names |= more
    return frozenset(names - {"Exception", "ValueError"})


@cache
def refusals() -> tuple[Refused, ...]:
    """Every place of the source that refuses with a code.

    A code stands where a refusal is made: in an exception's call or its `super().__init__`, where a function or table
    row of the same module takes a `code`, where a text is read by `lti_tool.text`, or first in a tuple of code, message
    and next step.
    """
    return tuple(found for module in modules() for found in _refusals(module))


def refused_in(module: Module) -> list[Refused]:
    """Where a module refuses something; without what READERS refuse, whose words are put together there."""
    return [each for each in _refusals(module) if not each.message.endswith(" is missing or too long.")]


def _refusals(module: Module) -> Iterator[Refused]:
    makers = dict.fromkeys(exception_names(), 0) | _makers(module)
    for call in module.all(ast.Call):
        position = makers.get(_called(call))
        if position is not None:
            yield from _refused(module, call.args[position:], {each.arg: each.value for each in call.keywords})
        if _called(call) in READERS and len(call.args) == 4:
            _, code, field, longest = (_text(each) for each in call.args)
            if CODE.fullmatch(code):
                limit = f"Give 1 to {longest or UNKNOWN} characters."
                yield Refused(code, module.name, f"{field or UNKNOWN} is missing or too long.", limit)
    for row in module.all(ast.Tuple):
        texts = [each.value for each in row.elts if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if len(row.elts) == len(texts) == 3 and " " in texts[1]:
            yield from _refused(module, row.elts, {})


def _refused(module: Module, values: list[ast.expr], named: dict[str | None, ast.expr]) -> Iterator[Refused]:
    code = values[0].value if values and isinstance(values[0], ast.Constant) else None
    if isinstance(code, str) and CODE.fullmatch(code):
        texts = [_text(_assigned(module, each)) for each in values[1:]]
        texts = [each for each in texts if " " in each or each == UNKNOWN]
        next_step = _text(named["next_step"]) if "next_step" in named else texts[1] if len(texts) > 1 else ""
        yield Refused(code, module.name, texts[0] if texts else "", next_step)


def _assigned(module: Module, node: ast.expr) -> ast.expr:
    """What a local name was given last before it is used."""
    if not isinstance(node, ast.Name):
        return node
    given = (each for each in module.all(ast.Assign) if _name(each.targets[0]) == node.id)
    before = [each for each in given if each.lineno < node.lineno]
    return max(before, key=lambda each: each.lineno).value if before else node


def _makers(module: Module) -> dict[str, int]:
    """What takes a code in this module, and at which position: functions, methods of classes that it imports, rows of
    a table, an exception's own init."""
    found = _taking_a_code(module.all(ast.FunctionDef))
    for imported in module.all(ast.ImportFrom):
        for each in imported.names:
            found |= _methods_taking_a_code().get((imported.module, each.name), {})
    for each in module.all(ast.ClassDef):
        if _bases(each) & exception_names():
            found["__init__"] = 0
        elif _first_field(each) == "code":
            found[each.name] = 0
    return found


@cache
def _methods_taking_a_code() -> dict[tuple[str | None, str], dict[str, int]]:
    """By module and class."""
    return {
        (module.name, each.name): _taking_a_code(part for part in each.body if isinstance(part, ast.FunctionDef))
        for module in modules()
        for each in module.all(ast.ClassDef)
    }


def _taking_a_code(functions: Iterable[ast.FunctionDef]) -> dict[str, int]:
    found = {}
    for function in functions:
        names = [each.arg for each in function.args.args if each.arg not in ("self", "cls")]
        if "code" in names:
            found[function.name] = names.index("code")
    return found


def _first_field(node: ast.ClassDef) -> str | None:
    fields = [each.target for each in node.body if isinstance(each, ast.AnnAssign)]
    return next((each.id for each in fields if isinstance(each, ast.Name)), None)


def _bases(node: ast.ClassDef) -> set[str]:
    return {_name(base) for base in node.bases}


def _called(call: ast.Call) -> str:
    return _name(call.func)


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _text(node: ast.expr) -> str:
    """The text of an expression; "…" for what is only known when it runs, also where `str.format` puts it in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"\{\w+\}", UNKNOWN, node.value)
    if isinstance(node, ast.Call) and _called(node) in MESSAGES:
        return re.sub(r"%\(\w+\)s", UNKNOWN, _text(node.args[0]))
    if isinstance(node, ast.IfExp):
        return _text(node.body)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value) or UNKNOWN
    if isinstance(node, ast.Name | ast.Lambda) or (isinstance(node, ast.Constant) and not isinstance(node.value, str)):
        return _constants().get(_name(node), "")
    return UNKNOWN


@cache
def _constants() -> dict[str, str]:
    """Texts that modules give a name, in capitals."""
    assigned = (node for module in modules() for node in module.tree.body if isinstance(node, ast.Assign))
    named = {_name(node.targets[0]): node.value for node in assigned}
    return {
        name: str(value.value) for name, value in named.items() if name.isupper() and isinstance(value, ast.Constant)
    }
