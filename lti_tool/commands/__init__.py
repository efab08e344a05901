"""The `gatehouse` command line: the nouns, and the module that holds each."""

from importlib import import_module

import click
from click.exceptions import NoSuchCommand

from lti_tool.commands.console import RefusingGroup

MODULE_OF = {
    "attendance": "attendance",
    "backup": "database",
    "certify": "certify",
    "completions": "gate",
    "credit": "credit",
    "doctor": "doctor",
    "equivalency": "gate",
    "gate": "gate",
    "grades": "grades",
    "keys": "platform",
    "licence": "credit",
    "match": "attendance",
    "materials": "materials",
    "migrate": "database",
    "person": "person",
    "platform": "platform",
    "programme": "programme",
    "restore": "database",
    "retreat": "retreat",
    "role": "role",
    "roster": "roster",
    "serve": "serve",
    "session": "session",
    "worker": "worker",
    "zoom": "zoom",
}


class Nouns(RefusingGroup):
    """Imports a noun's module only when it is used, so that listing sessions doesn't load the web server."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(MODULE_OF)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module = MODULE_OF.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, but suggesting from all nouns, not only from those that are loaded."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as unknown:
            raise NoSuchCommand(unknown.command_name, possibilities=MODULE_OF, ctx=ctx) from None


@click.group(cls=Nouns, name="gatehouse", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gatehouse-lti")
def main() -> None:
    """Gatehouse runs the live part of a training programme inside an LMS.

    Settings come from the environment (config/example.env lists them all). Begin with `gatehouse doctor`: it says what
    is missing. Every command that reads takes --json. Exit codes: 0 done, 1 refused (the reason is on stderr), 2 wrong
    usage.
    """
