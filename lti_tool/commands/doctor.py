"""`gatehouse doctor`: is this installation able to work, and if not, what is missing."""

from dataclasses import asdict

import click

from lti_tool.checkup import Finding, check_up
from lti_tool.commands.console import json_option, open_house, print_json

SIGNS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


@click.command()
@json_option
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check settings, database, programme, Zoom, platforms, keys and queue; exit 1 if something is wrong.

    Nothing is changed and nobody is called.
    """
    with open_house() as house:
        findings = check_up(house)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            _tell(finding)
    if any(finding.state == "wrong" for finding in findings):
        context.exit(1)


def _tell(finding: Finding) -> None:
    click.echo(f"{SIGNS[finding.state]}  {finding.about}: {finding.says}")
    if finding.next_step:
        click.echo(f"       {finding.next_step}")
