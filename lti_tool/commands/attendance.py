"""`gatehouse attendance`: who was present in a live session, and for how long."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from lti_tool.commands.console import json_option, open_house, print_json, print_rows
from lti_tool.commands.rehearsal import rehearse
from lti_tool.desk import session_sheet
from lti_tool.errors import BadInput
from lti_tool.sessions import days, live_sessions
from lti_tool.sessions.days import AttendedDay
from lti_tool.sessions.live_sessions import LiveSession


@click.group()
def attendance() -> None:
    """Attendance of live sessions, as settled from Zoom's evidence."""


attendance.add_command(rehearse)


@attendance.command()
@click.argument("session_id", metavar="SESSION_ID", type=int)
@json_option
def show(session_id: int, as_json: bool) -> None:
    """Everybody's minutes in one session. People whom nobody has matched to a trainee are listed apart.

    The state says how much the numbers can bear: provisional, reconciled or locked.
    """
    with open_house() as house, house.database.read() as connection:
        session = live_sessions.show(connection, session_id)
        found = days.of_session(connection, session_id)
    people = [_person(each) for each in found if each.trainee_id is not None]
    unmatched = [_person(each) for each in found if each.trainee_id is None]
    if as_json:
        print_json({"session": _session(session), "people": people, "unmatched": unmatched})
        return
    click.echo(f"live session {session.id}, module {session.module_id}: {_state(session)}")
    print_rows([_brief(each) for each in people], as_json=False)
    if unmatched:
        click.echo("not matched to anybody:")
        print_rows([_brief(each) for each in unmatched], as_json=False)


@attendance.command()
@click.argument("session_id", metavar="SESSION_ID", type=int)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="A file, or a folder in which the export gets a name of its own; without it the table goes to stdout.",
)
@click.option("--purpose", default="command line", show_default=True, help="What it is for; kept in the audit log.")
def export(session_id: int, out: Path | None, purpose: str) -> None:
    """Everybody's attendance of one session as CSV, one row a person, as the desk hands it out."""
    with open_house() as house, house.database.write() as connection:
        file = session_sheet.export(connection, session_id, purpose=purpose, actor="cli", now=house.clock())
    if out is None:
        click.echo(file.body, nl=False)
        return
    place = out / file.filename if out.is_dir() else out
    try:
        place.write_bytes(file.body)
    except OSError as error:
        raise BadInput("export_unwritable", f"{place} cannot be written.", "Choose another place.") from error
    click.echo(str(place))


def _session(session: LiveSession) -> dict[str, Any]:
    return {"id": session.id, "module": session.module_id, "state": _state(session)}


def _state(session: LiveSession) -> str:
    """A session that nobody has settled yet has provisional numbers too: none."""
    return session.state if session.state in ("reconciled", "locked") else "provisional"


def _person(each: AttendedDay) -> dict[str, Any]:
    return {
        "trainee": each.trainee_id,
        "name": each.display_name,
        "email": each.email,
        "registrant_id": each.registrant_id,
        "minutes_present": _minutes(each.seconds_present),
        "minutes_instructional": _minutes(each.seconds_instructional),
        "minutes_required": _minutes(each.seconds_required),
        "completed": each.completed,
        "intervals": [_interval(one) for one in each.day["intervals"]],
        "flags": list(each.flags),
    }


def _interval(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "from": datetime.fromisoformat(one["from"]),
        "to": datetime.fromisoformat(one["to"]),
        "evidence": one["evidence"],
        "counted_minutes": _minutes(one["counted_seconds"]),
    }


def _minutes(seconds: int) -> float:
    """Minutes with two decimals, never more than was attended."""
    return seconds * 100 // 60 / 100


def _brief(person: dict[str, Any]) -> dict[str, Any]:
    names: Sequence[str] = ("trainee", "name", "minutes_present", "minutes_required", "completed", "flags")
    return {name: person[name] for name in names}
