"""The `gatehouse` command line: one module for each noun, gathered here."""

import click

from lti_tool.commands import (
    attendance,
    certify,
    completions,
    credit,
    doctor,
    equivalency,
    gate,
    grades,
    keys,
    licence,
    migrate,
    platform,
    programme,
    retreat,
    roster,
    serve,
    session,
    worker,
    zoom,
)
from lti_tool.commands.console import TellingGroup


@click.group(cls=TellingGroup, name="gatehouse", context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gatehouse")
def main() -> None:
    """Gatehouse runs the live part of a training programme inside an LMS.

    Settings come from the environment (config/example.env lists them all). Begin with `gatehouse doctor`: it says what
    is missing. Every command that reads takes --json. Exit codes: 0 done, 1 refused (the reason is on stderr), 2 wrong
    usage.
    """


for _command in (
    serve.serve,
    worker.worker,
    migrate.migrate,
    doctor.doctor,
    certify.certify,
    programme.programme,
    platform.platform,
    keys.keys,
    session.session,
    attendance.attendance,
    gate.gate,
    equivalency.equivalency,
    completions.completions,
    licence.licence,
    retreat.retreat,
    credit.credit,
    grades.grades,
    roster.roster,
    zoom.zoom,
):
    main.add_command(_command)
