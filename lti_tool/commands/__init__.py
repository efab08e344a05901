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
    match,
    migrate,
    platform,
    programme,
    rehearsal,
    retreat,
    roster,
    serve,
    session,
    worker,
    zoom,
    zoom_recover,
    zoom_reports,
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


attendance.attendance.add_command(rehearsal.rehearse)
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
    match.match,
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

for _verb in (zoom_reports.reconcile, zoom_reports.reports, zoom_recover.recover):
    zoom.zoom.add_command(_verb)
