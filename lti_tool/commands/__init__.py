"""The `gatehouse` command line: one module for each noun (`backup` holds `restore` too), gathered here."""

from importlib import import_module

import click
from click.exceptions import NoSuchCommand

from lti_tool.commands.console import RefusingGroup

NOUNS = (
    "attendance",
    "backup",
    "certify",
    "completions",
    "credit",
    "doctor",
    "equivalency",
    "gate",
    "grades",
    "keys",
    "licence",
    "match",
    "materials",
    "migrate",
    "person",
    "platform",
    "programme",
    "restore",
    "retreat",
    "roster",
    "serve",
    "session",
    "worker",
    "zoom",
)


class Nouns(RefusingGroup):
    """Imports a noun's module only when it is used, so that listing sessions doesn't load the web server."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in NOUNS:
            return None
        module = "backup" if cmd_name == "restore" else cmd_name
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, but suggesting from all nouns, not only from those that are loaded."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as unknown:
            raise NoSuchCommand(unknown.command_name, possibilities=NOUNS, ctx=ctx) from None


@click.group(cls=Nouns, name="gatehouse", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gatehouse-lti")
def main() -> None:
    """Gatehouse runs the live part of a training programme inside an LMS.

    Settings come from the environment (config/example.env lists them all). Begin with `gatehouse doctor`: it says what
    is missing. Every command that reads takes --json. Exit codes: 0 done, 1 refused (the reason is on stderr), 2 wrong
    usage.
    """
