"""`gatehouse attendance rehearse`: who would gain or lose under another policy."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Connection, select

from lti_tool.commands.console import json_option, open_house, print_json, print_rows, progress
from lti_tool.commands.values import read_document
from lti_tool.errors import BadInput
from lti_tool.grades.rehearsal import Difference, Rehearsed
from lti_tool.grades.rehearsal import rehearse as rehearse_session
from lti_tool.house import House
from lti_tool.programme.policy_file import TrialPolicy, read_trial_policy
from lti_tool.sessions import live_sessions
from lti_tool.tables.live_sessions import live_sessions as table
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
