"""`gatehouse doctor`: is this installation able to work, and if not, what is missing."""

from collections.abc import Iterable
from dataclasses import asdict

import click

from lti_tool.commands.console import Columns, json_option, listed, open_context, print_json
from lti_tool.diagnostics.installation import Finding, check_up
from lti_tool.diagnostics.unit_findings import BY_HAND
from lti_tool.diagnostics.units import Examined, examine_units

MAX_TITLE = 32


def called(unit: Examined) -> str:
    """Its title; without one the last part of a long Open edX key, which people gave, or the end of another id."""
    name = unit.title or unit.link_id
    return name if unit.title or len(name) <= MAX_TITLE else name.rpartition("@")[2][-MAX_TITLE:] or name[-MAX_TITLE:]


SIGNS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}
UNIT: Columns = {
    "platform": "registration_id",
    "course": "context_id",
    "link": "link_id",
    "unit": called,
    "opens": lambda each: each.unit.content,
    "findings": lambda each: [asdict(finding) for finding in each.findings],
    "check_by_hand": lambda each: BY_HAND[each.unit.profile],
}


@click.command()
@click.option("--units", is_flag=True, help="Look at every unit of every course instead.")
@json_option
@click.pass_context
def doctor(ctx: click.Context, units: bool, as_json: bool) -> None:
    """Check settings, database, programme, Zoom, platforms, keys and queue; exit 1 if something is wrong.

    With --units: what launches and the platforms' services have shown of the set-up of each unit, such as grades or
    names that are off, and where to change it. Nothing is changed and no platform is called.
    """
    with open_context() as context:
        if units:
            with context.database.read() as connection:
                examined = examine_units(connection, context.clock())
            findings = list(_of_units(examined))
            shown = [listed(each, UNIT) for each in examined]
        else:
            findings = list(check_up(context))
            shown = [asdict(finding) for finding in findings]
    if as_json:
        print_json(shown)
    else:
        for finding in findings:
            click.echo(f"{SIGNS[finding.state]}  {finding.about}: {finding.says}")
            if finding.next_step:
                click.echo(f"       {finding.next_step}")
    if any(finding.state == "wrong" for finding in findings):
        ctx.exit(1)


def _of_units(examined: Iterable[Examined]) -> Iterable[Finding]:
    """The findings of each unit; then, once for each kind of platform, what staff must check by hand."""
    for unit in examined:
        about = f"{unit.course}, {called(unit)}"
        if not unit.findings:
            yield Finding(about, "ok", "No problem found.")
        for each in unit.findings:
            yield Finding(about, each.state, each.says, each.next_step)
    for profile in sorted({each.unit.profile for each in examined}):
        for says in BY_HAND[profile]:
            yield Finding(f"to check by hand in each unit ({profile})", "note", says)
