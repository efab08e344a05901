"""`gatehouse attendance`: who was present in a live session, and for how long.

`gatehouse attendance rehearse`: who would gain or lose under another policy.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection, select

from lti_tool.attendance import live_sessions, queries
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.minutes import CountedInterval
from lti_tool.attendance.queries import AttendedDay
from lti_tool.commands.console import json_option, open_house, print_json, print_rows, progress, read_document
from lti_tool.context import House
from lti_tool.credit.rehearsal import Difference, Rehearsed
from lti_tool.credit.rehearsal import rehearse as rehearse_session
from lti_tool.errors import BadInput
from lti_tool.programme.loader import TrialPolicy, read_trial_policy
from lti_tool.tables.live_sessions import live_sessions as table
from lti_tool.web.staff import attendance as session_sheet
from zoom_adapter.presence import load_presence


@click.command()
@click.option("--policy", "file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The policy.")
@click.option("--session", "session_ids", type=int, multiple=True, help="Only these sessions; default: all taught.")
@json_option
def rehearse(file: Path, session_ids: tuple[int, ...], as_json: bool) -> None:
    """Show who would gain or lose completion or credit if the taught sessions were judged by another policy.

    Nothing is changed. FILE is a programme document, or only its sections `completion` and `credit_bodies` with the
    policies to try. A session that was taught is never decided again by a later policy: this shows what one would mean
    for sessions to come.
    """
    trial = _read(file)
    with open_house() as house:
        with house.database.read() as connection:
            sessions = list(session_ids) or _taught(connection)
        rehearsed = list(_with_progress(house, sessions, trial))
    if as_json:
        print_json([_as_json(each) for each in rehearsed])
    else:
        _tell(rehearsed)


def _read(file: Path) -> TrialPolicy:
    trial, problems = read_trial_policy(read_document(file), file.name)
    if problems:
        more = f" and {len(problems) - 1} more." if len(problems) > 1 else ""
        raise BadInput("policy_wrong", f"The policy cannot be used. {problems[0]}{more}", "See docs/programme.md.")
    return trial


def _taught(connection: Connection) -> list[int]:
    is_taught = table.c.state.in_(("provisional", "reconciled", "locked"))
    return list(connection.scalars(select(table.c.id).where(is_taught).order_by(table.c.starts_at, table.c.id)))


def _with_progress(house: House, session_ids: Sequence[int], trial: TrialPolicy) -> Iterator[Rehearsed]:
    """One session after the other."""
    with progress("sessions", len(session_ids)) as more:
        for session_id in session_ids:
            with house.database.read() as connection:
                session = live_sessions.show(connection, session_id)
                yield rehearse_session(connection, session, _evidence(connection, session_id), trial)
            more(1)


def _evidence(connection: Connection, session_id: int) -> Any:
    row = connection.execute(select(table).where(table.c.id == session_id)).one()
    return load_presence(connection, row).people


def _tell(rehearsed: Sequence[Rehearsed]) -> None:
    differences = [each for one in rehearsed for each in one.differences]
    people = sum(each.people for each in rehearsed)
    click.echo(f"{len(rehearsed)} sessions, {people} attendances: {len(differences)} decisions come out otherwise")
    if differences:
        print_rows([_row(each) for each in differences], as_json=False)


def _as_json(rehearsed: Rehearsed) -> dict[str, Any]:
    return {
        "session": rehearsed.session_id,
        "people": rehearsed.people,
        "differences": [_row(each) for each in rehearsed.differences],
    }


def _row(each: Difference) -> dict[str, Any]:
    return {
        "session": each.session_id,
        "trainee": each.trainee_id,
        "about": each.about,
        "outcome": each.outcome,
        "before": each.before,
        "after": each.after,
        "minutes_present": each.seconds_present * 100 // 60 / 100,
    }


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
        found = queries.of_session(connection, session_id)
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
        "intervals": [_interval(one) for one in each.day.intervals],
        "flags": list(each.flags),
    }


def _interval(one: CountedInterval) -> dict[str, Any]:
    return {
        "from": one.from_at,
        "to": one.to_at,
        "evidence": one.evidence,
        "counted_minutes": _minutes(one.counted_seconds),
    }


def _minutes(seconds: int) -> float:
    """Minutes with two decimals, never more than was attended."""
    return seconds * 100 // 60 / 100


def _brief(person: dict[str, Any]) -> dict[str, Any]:
    names: Sequence[str] = ("trainee", "name", "minutes_present", "minutes_required", "completed", "flags")
    return {name: person[name] for name in names}
