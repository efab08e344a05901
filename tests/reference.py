"""docs/errors.md, docs/commands.md, docs/roles.md and the list of rooms in docs/architecture.md, written from the
source: `python -m tests.reference` (`make reference`).

With a page's name it is only printed.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

import click

from lti_tool.commands import main
from lti_tool.lti.roles import COURSE_RIGHTS, FORMS, Meaning
from lti_tool.rights import COURSE_STAFF, RIGHTS, Right
from lti_tool.rights import ROLES as STAFF_ROLES
from tests.source import ROOT, UNKNOWN, Refused, modules, refusals

ERRORS = """\
# Errors

Every refusal has a stable code. People see the sentence and what to do; machines get the code as JSON; the log has the
code without anybody's name. "…" stands for a value. This page is written from the source by `make reference`.
"""

COMMANDS = """\
# Commands

Every command, as `--help` tells it. Settings come from the environment ([operations](operations.md)). Refusals go to
stderr with their code ([errors](errors.md)); exit code 1 is a refusal, 2 a wrong usage. This page is written from the
source by `make reference`.
"""

ROLES = """\
# Roles

What the roles of a launch mean, and what people may do then. A launch is a teacher's when one of its roles is a
teacher's by this table; everybody else is a learner. Roles are compared as whole values, never by a part of them. A
person who is a teacher and a learner is a teacher. The launch decides what people may do in a course; a roster only
says who is listed. On the desk, teachers see the classes and people of their own course. Everything else takes a role
that is granted by name (Settings, Roles, or `gatehouse role grant`) and holds on every platform. This page is written
from the source by `make reference`.
"""

MEANINGS: Mapping[Meaning, str] = {
    "teacher": "teacher",
    "not a learner": "neither: sees what a learner sees, is neither scored nor missed",
    "test user": "never scored nor missed, whatever other role there is",
    "teacher by old roles": "learner; teacher where the registration accepts old roles",
    "assistant": "learner",
    "learner": "learner",
}


def roles() -> str:
    """Every form of a role with what it means, and every right with who has it."""
    forms = "".join(
        f"| {each.form} | {_values(each.values)} | {MEANINGS[each.meaning]} | {each.why} |\n" for each in FORMS
    )
    rights = "".join(
        f"| {each.says} | {_yes('trainee' in each.roles)} | {_yes('staff' in each.roles)} | {each.terms} |\n"
        for each in COURSE_RIGHTS
    )
    columns = (COURSE_STAFF, *STAFF_ROLES)
    named = " | ".join(("Teacher, own course", *STAFF_ROLES.values()))
    desk = "".join(
        f"| {each.says.capitalize()} | {' | '.join(_may(each, role) for role in columns)} |\n" for each in RIGHTS
    )
    meant = f"## What a role means\n\n| form | values | means | why |\n|---|---|---|---|\n{forms}"
    on_desk = f"## What staff may do on the desk\n\n| what | {named} |\n|---{'|---' * len(columns)}|\n{desk}"
    in_course = "| what | learner | teacher | on these terms |\n|---|---|---|---|"
    may = f"## What people may do in a course\n\n{in_course}\n{rights}"
    return f"{ROLES}\n{meant}\n{may}\n{on_desk}"


def _may(right: Right, role: str) -> str:
    return "yes" if role in right.roles else "look" if role in right.readers else "–"


def _values(values: Iterable[str]) -> str:
    return "<br>".join(f"`{value}`" if value else "empty text" for value in values)


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def errors() -> str:
    """Every code by the module that refuses."""
    by_module: dict[str, list[Refused]] = defaultdict(list)
    for each in refusals():
        by_module[each.module].append(each)
    titles = {module.name: module.says.partition("\n")[0] for module in modules()}
    return ERRORS + "".join(_codes(name, titles[name], found) for name, found in sorted(by_module.items()))


def all_commands() -> str:
    """Every command with its help."""
    return COMMANDS + "".join(_command(path, command) for path, command in sorted(commands(main)))


def commands(group: click.Group, path: str = "gatehouse") -> Iterator[tuple[str, click.Command]]:
    """Every command of a group, by what one types for it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _codes(name: str, title: str, found: list[Refused]) -> str:
    explained = {each.code for each in found if each.message}
    kept = [each for each in found if each.message or each.code not in explained]
    rows = sorted({f"| `{each.code}` | {_cell(each.message)} | {_cell(each.next_step)} |" for each in kept})
    head = "| code | what happened | what to do |\n|---|---|---|\n"
    return f"\n## {name}\n\n{title}\n\n{head}" + "\n".join(rows) + "\n"


def _command(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path, terminal_width=100, **main.context_settings)
    return f"\n## {path}\n\n```text\n{command.get_help(context)}\n```\n"


def _cell(text: str) -> str:
    return "" if text == UNKNOWN else " ".join(text.replace("|", "\\|").split())


def architecture() -> str:
    """docs/architecture.md with its list of rooms written anew."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    before, _, rest = page.partition("<!-- rooms -->\n")
    return f"{before}<!-- rooms -->\n{_rooms()}<!-- /rooms -->{rest.partition('<!-- /rooms -->')[2]}"


def _rooms() -> str:
    """Every package with what it says of itself, and the names of its files."""
    files: dict[str, list[str]] = defaultdict(list)
    says = {}
    for module in modules():
        folder, _, file = module.path.relative_to(ROOT).as_posix().rpartition("/")
        if file == "__init__.py":
            says[folder] = module.says.partition("\n")[0]
        else:
            files[folder].append(file.removesuffix(".py"))
    rows = (f"| `{folder}/` | {_cell(says[folder])} | {', '.join(files[folder])} |\n" for folder in sorted(says))
    return "| Room | What it is | Files |\n|---|---|---|\n" + "".join(rows)


PAGES: Mapping[str, Callable[[], str]] = {
    "architecture": architecture,
    "errors": errors,
    "commands": all_commands,
    "roles": roles,
}

if __name__ == "__main__":
    if sys.argv[1:]:
        sys.stdout.write(PAGES[sys.argv[1]]())
        sys.exit()
    for page, write in PAGES.items():
        (ROOT / "docs" / f"{page}.md").write_text(write(), encoding="utf-8")
