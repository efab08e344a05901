"""`gatehouse doctor`: is this installation able to work, and if not, what is missing."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import click

from lti_tool.commands.console import json_option, open_house, print_json
from lti_tool.diagnostics.installation import Finding, check_up
from lti_tool.diagnostics.unit_findings import BY_HAND
from lti_tool.diagnostics.units import Examined, examine_units

SIGNS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


@click.command()
@click.option("--units", is_flag=True, help="Look at every unit of every course instead.")
@json_option
@click.pass_context
def doctor(context: click.Context, units: bool, as_json: bool) -> None:
    """Check settings, database, programme, Zoom, platforms, keys and queue; exit 1 if something is wrong.

    With --units: what launches and the platforms' services have shown of the set-up of each unit, such as grades or
    names that are off, and where to mend it. Nothing is changed and nobody is called.
    """
    with open_house() as house:
        if not units:
            findings = check_up(house)
            shown: list[dict[str, Any]] = [asdict(finding) for finding in findings]
            lines = findings
        else:
            with house.database.read() as connection:
                examined = examine_units(connection, house.clock())
            shown = [_row(each) for each in examined]
            lines = [line for each in examined for line in _lines(each)] + list(_by_hand(examined))
    if as_json:
        print_json(shown)
    else:
        for line in lines:
            _tell(line)
    if any(line.state == "wrong" for line in lines):
        context.exit(1)


def _row(examined: Examined) -> dict[str, Any]:
    return {
        "platform": examined.registration_id,
        "course": examined.context_id,
        "link": examined.link_id,
        "unit": examined.title,
        "opens": examined.unit.content,
        "findings": [asdict(finding) for finding in examined.findings],
        "check_by_hand": BY_HAND[examined.unit.profile],
    }


def _lines(examined: Examined) -> Iterable[Finding]:
    about = f"{examined.course}, {examined.title}"
    if not examined.findings:
        yield Finding(about, "ok", "Nothing seen that is to mend.")
    for each in examined.findings:
        yield Finding(about, each.state, each.says, each.next_step)


def _by_hand(examined: Iterable[Examined]) -> Iterable[Finding]:
    """What no launch and no service shows, once for each kind of platform."""
    for profile in sorted({each.unit.profile for each in examined}):
        for says in BY_HAND[profile]:
            yield Finding(f"to check by hand in each unit ({profile})", "note", says)


def _tell(finding: Finding) -> None:
    click.echo(f"{SIGNS[finding.state]}  {finding.about}: {finding.says}")
    if finding.next_step:
        click.echo(f"       {finding.next_step}")
