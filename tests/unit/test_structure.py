"""The context keeps its shape: access, documents, imports, locks and sizes are checked like behaviour."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import click
import pytest
from flask import Flask
from grimp import build_graph

from lti_tool import log
from lti_tool.commands import main
from lti_tool.rights import RIGHTS
from tests.reference import PAGES, commands
from tests.source import CODE, ROOT, Module, modules, refusals

CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = ("app", "test", "lint", "sandbox", "bench", "mutants")

# As it stands in prose, on a page, in a shell, or after a colon.
NAMED_COMMAND = r"(?:`|<code>|bin/|: )(gatehouse(?: [a-z][a-z-]*){1,2})"
CODE_AND_PAGES = [
    file
    for room in ("lti_tool", "zoom_adapter")
    for file in sorted((ROOT / room).rglob("*"))
    if file.suffix in (".py", ".html")
]

# Who may enter without a session: platforms, Zoom, machines that watch, and who follows a link that is a secret itself.
PUBLIC = {
    "assets.static_file",
    "health.alive",
    "health.metrics",
    "health.ready",
    "lti.key_set",
    "lti.launch",
    "lti.login",
    "mail.ask",
    "mail.unsubscribe",
    "modules.join_session",
    "modules.material",
    "notices.take",
    "platforms.offer",
    "platforms.register",
    "sessions.feed",
    "sessions.staff_feed",
    "zoom.webhook",
}


def views(app: Flask) -> Iterator[tuple[str, str | None]]:
    """Every endpoint of our own with its declared access."""
    for endpoint, view in app.view_functions.items():
        if endpoint.rpartition(".")[2] != "static":
            yield endpoint, getattr(view, "access", None)


@pytest.mark.databases("sqlite")
def test_every_route_says_who_may_use_it(app: Flask) -> None:
    levels = ("public", "trainee", *RIGHTS)
    assert {endpoint for endpoint, access in views(app) if access not in levels} == set()


@pytest.mark.databases("sqlite")
def test_no_route_is_public_by_accident(app: Flask) -> None:
    assert {endpoint for endpoint, access in views(app) if access == "public"} == PUBLIC


@pytest.mark.databases("sqlite")
def test_the_desk_is_for_staff(app: Flask) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule == "/desk" or rule.rule.startswith("/desk/")]
    assert rules
    assert {getattr(app.view_functions[rule.endpoint], "access", None) for rule in rules} <= set(RIGHTS)


@pytest.mark.parametrize("page", PAGES)
def test_the_reference_is_up_to_date(page: str) -> None:
    """Every error code, command and role is documented: the pages are written from the source, in a process of its own,
    since click remembers a command's help option as the first caller wanted it."""
    written = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    command = [sys.executable, "-m", "tests.reference", page]
    generated = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, encoding="utf-8").stdout
    assert written == generated, "run `make reference`"


def test_every_file_that_the_architecture_names_exists() -> None:
    """The map's paths open; the layers it draws are those of the contract."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:lti_tool|zoom_adapter)/[\w/]+\.py)`", page))
    assert len(named) > 10
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
    drawn = re.search(r"## The layers.*?```text\n(.*?)```", page, re.DOTALL)
    contract = next(each for each in CONFIGURATION["tool"]["importlinter"]["contracts"] if each["id"] == "layers")
    layers = [[each.strip().removeprefix("lti_tool.") for each in row.split(":")] for row in contract["layers"]]
    assert drawn is not None
    assert [re.split(r" · ", re.split(r" {2,}", line)[0].strip()) for line in drawn[1].splitlines()] == layers


def test_the_index_of_errors_misses_no_code() -> None:
    """What looks like a code where an exception is made is in the index, however it is written."""
    known = {each.code for each in refusals()}
    assert len(known) > 100
    assert {text for module in modules() for text in raised_texts(module)} - known == set()


def raised_texts(module: Module) -> Iterator[str]:
    """Every text of the form of a code inside a `raise`."""
    for raised in module.all(ast.Raise):
        for call in (node for node in ast.walk(raised) if isinstance(node, ast.Call)):
            first = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else None
            if isinstance(first, str) and CODE.fullmatch(first):
                yield first


def test_every_field_that_is_logged_is_one_the_log_keeps() -> None:
    unknown = {f"{module.name}: {name}" for module in modules() for name in logged(module) if name not in log.FIELDS}
    assert unknown == set()


def logged(module: Module) -> Iterator[str]:
    """The names in every `extra={…}` that is written out."""
    for call in module.all(ast.Call):
        for keyword in call.keywords:
            if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict):
                yield from (key.value for key in keyword.value.keys if isinstance(key, ast.Constant))


def test_log_messages_are_fixed_sentences() -> None:
    assert {f"{module.name}:{line}" for module in modules() for line in made_up_messages(module)} == set()


def made_up_messages(module: Module) -> Iterator[int]:
    """Calls of a logger whose message is put together, or that hand it arguments."""
    for call in module.all(ast.Call):
        function = call.func
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "log":
            is_fixed = len(call.args) == 1 and isinstance(call.args[0], ast.Constant | ast.Name)
            if not is_fixed:
                yield call.lineno


def test_only_the_settings_read_the_environment() -> None:
    readers = {
        module.name
        for module in modules()
        for node in module.all(ast.Attribute)
        if ast.unparse(node) in ("os.environ", "os.getenv")
    }
    assert readers == {"lti_tool.settings"}


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{module.name}.{function.name}"
        for module in modules()
        for function in module.all(ast.FunctionDef)
        if function.end_lineno - function.lineno >= 60
    }
    assert long == set()


def test_no_file_has_more_than_six_hundred_lines() -> None:
    assert {
        module.name for module in modules() if len(module.path.read_text(encoding="utf-8").splitlines()) > 600
    } == set()


def test_every_module_says_what_it_is() -> None:
    assert {module.name for module in modules() if not module.says} == set()


def test_modules_that_say_PURE_import_no_web_database_network_or_wire_format() -> None:
    """Not even through another module."""
    graph = build_graph("lti_tool", "zoom_adapter", include_external_packages=True, exclude_type_checking_imports=True)
    pure = {module.name for module in modules() if re.search(r"\bPURE\b", module.says)}
    impure = {
        f"{name} reaches {each}"
        for name in pure
        for each in graph.find_upstream_modules(name)
        & {"flask", "icalendar", "jwt", "marshmallow", "requests", "sqlalchemy"}
    }
    assert len(pure) > 20
    assert impure == set()


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = build_graph("lti_tool", "zoom_adapter", exclude_type_checking_imports=True)
    ours = {name: graph.find_modules_directly_imported_by(name) & graph.modules - {name} for name in graph.modules}
    TopologicalSorter(ours).prepare()


def test_every_command_and_option_explains_itself() -> None:
    silent = {path for path, command in commands(main) if not command.help}
    options = {
        f"{path} {option.opts[0]}"
        for path, command in commands(main)
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    }
    assert silent | options == set()


def test_every_command_that_is_named_anywhere_exists() -> None:
    """In documents, in pages and in what a refusal tells to do."""
    known = {tuple(path.split()) for path, _command in commands(main)}
    nouns = {path[:2] for path in known}
    files = [*CODE_AND_PAGES, *(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "config" / "example.env"]
    named = {
        (file.name, *match.group(1).split())
        for file in files
        for match in re.finditer(NAMED_COMMAND, file.read_text(encoding="utf-8"))
    }
    assert len(named) > 40
    assert {name.rpartition(".")[2] for name, *_ in named} == {"env", "html", "md", "py"}
    assert {each for each in named if each[1:] not in known | nouns and each[1:3] not in known} == set()


def pinned(lock: str) -> Mapping[str, str]:
    """Package → version of a lock file."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_its_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    packages = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert [package.split()[0] for package in packages if "--hash=sha256:" not in package] == []
    assert not re.search(r"://|--(?:extra-)?index|--find-links", text)


@pytest.mark.parametrize("lock", ["test", "lint", "bench", "mutants"])
def test_environments_agree_on_the_versions_they_share(lock: str) -> None:
    app, other = pinned("app"), pinned(lock)
    assert {name: other[name] for name in app.keys() & other.keys()} == {
        name: app[name] for name in app.keys() & other.keys()
    }


def test_the_package_declares_what_its_lock_is_made_from() -> None:
    declared = set(CONFIGURATION["project"]["dependencies"])
    listed = (ROOT / "requirements" / "app.in").read_text(encoding="utf-8").split()
    assert set(listed) - {"setuptools"} == declared
