"""`gatehouse attendance`: who was present in a live session, and who would gain or lose under another policy."""

from pathlib import Path

import click
from sqlalchemy import select

from lti_tool.attendance import live_sessions, queries
from lti_tool.commands.console import (
    Columns,
    json_option,
    listed,
    open_context,
    print_json,
    print_rows,
    progress,
    read_document,
)
from lti_tool.credit.rehearsal import rehearse as rehearse_session
from lti_tool.errors import BadInput
from lti_tool.programme.loader import read_trial_policy
from lti_tool.tables.live_sessions import live_sessions as table
from lti_tool.web.staff import attendance as session_sheet
from zoom_adapter.presence import load_presence

TAUGHT = ("provisional", "reconciled", "locked")


def _minutes(seconds: int) -> float:
    """Minutes with two decimals, never more than was attended."""
    return seconds * 100 // 60 / 100


INTERVAL: Columns = {
    "from": "from_at",
    "to": "to_at",
    "evidence": "evidence",
    "counted_minutes": lambda each: _minutes(each.counted_seconds),
}
PERSON: Columns = {
    "trainee": "trainee_id",
    "name": "name",
    "email": "address",
    "name_in_zoom": "display_name",
    "email_in_zoom": "email",
    "registrant_id": "registrant_id",
    "minutes_present": lambda each: _minutes(each.seconds_present),
    "minutes_instructional": lambda each: _minutes(each.seconds_instructional),
    "minutes_required": lambda each: _minutes(each.seconds_required),
    "completed": "completed",
    "intervals": lambda each: [listed(interval, INTERVAL) for interval in each.day.intervals],
    "flags": lambda each: list(each.flags),
}
IN_SHORT: Columns = ("trainee", "name", "minutes_present", "minutes_required", "completed", "flags")
DIFFERENCE: Columns = {
    "session": "session_id",
    "trainee": "trainee_id",
    "name": "name",
    "about": "about",
    "outcome": "outcome",
    "because": lambda each: list(each.because),
    "before": "before",
    "after": "after",
    "minutes_present": lambda each: _minutes(each.seconds_present),
}


@click.group()
def attendance() -> None:
    """Attendance of live sessions, as settled from Zoom's evidence."""


@attendance.command()
@click.argument("session_id", metavar="SESSION_ID", type=int)
@json_option
def show(session_id: int, as_json: bool) -> None:
    """Show everybody's minutes in one session. People who are not matched to a trainee are listed apart.

    The state says how final the numbers are: provisional, reconciled or locked.
    """
    with open_context() as context, context.database.read() as connection:
        session = live_sessions.show(connection, session_id)
        found = queries.of_session(connection, session_id)
    people = [listed(each, PERSON) for each in found if each.trainee_id is not None]
    unmatched = [listed(each, PERSON) for each in found if each.trainee_id is None]
    # A session that is not settled yet has provisional numbers too: none.
    state = session.state if session.state in ("reconciled", "locked") else "provisional"
    if as_json:
        about = {"id": session.id, "module": session.module_id, "state": state}
        print_json({"session": about, "people": people, "unmatched": unmatched})
        return
    click.echo(f"live session {session.id}, module {session.module_id}: {state}")
    print_rows(people, as_json, IN_SHORT)
    if unmatched:
        click.echo("not matched to a trainee:")
        print_rows(unmatched, as_json, IN_SHORT)


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
    """Export everybody's attendance of one session as CSV, one row a person, as the staff pages do."""
    with open_context() as context, context.database.write() as connection:
        file = session_sheet.export(connection, session_id, purpose=purpose, actor="cli", now=context.clock())
    if out is None:
        click.echo(file.body, nl=False)
        return
    place = out / file.filename if out.is_dir() else out
    try:
        place.write_bytes(file.body)
    except OSError as error:
        raise BadInput("export_unwritable", f"{place} cannot be written.", "Choose another place.") from error
    click.echo(str(place))


@attendance.command()
@click.option("--policy", "file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The policy.")
@click.option("--session", "session_ids", type=int, multiple=True, help="Only these sessions; default: all taught.")
@json_option
def rehearse(file: Path, session_ids: tuple[int, ...], as_json: bool) -> None:
    """Show who would gain or lose completion or credit if the taught sessions were judged by another policy.

    Nothing is changed. A claim is judged as a whole: licence, fee, evaluation and attendance. FILE is a programme
    document, or only its sections `completion` and `credit_bodies` with the policies to try. A session that was taught
    is never decided again by a later policy: this shows what one would mean for sessions to come.
    """
    trial, problems = read_trial_policy(read_document(file), file.name)
    if problems:
        more = f" and {len(problems) - 1} more." if len(problems) > 1 else ""
        raise BadInput("policy_wrong", f"The policy cannot be used. {problems[0]}{more}", "See docs/programme.md.")
    with open_context() as context:
        with context.database.read() as connection:
            taught = select(table.c.id).where(table.c.state.in_(TAUGHT)).order_by(table.c.starts_at, table.c.id)
            asked = list(session_ids) or list(connection.scalars(taught))
        rehearsed = []
        with progress("sessions", len(asked)) as more_done:
            for session_id in asked:
                with context.database.read() as connection:
                    session = live_sessions.show(connection, session_id)
                    people = load_presence(connection, session).people
                    rehearsed.append(rehearse_session(connection, session, people, trial))
                more_done(1)
    if as_json:
        print_json(
            [
                {
                    "session": each.session_id,
                    "people": each.people,
                    "differences": [listed(difference, DIFFERENCE) for difference in each.differences],
                }
                for each in rehearsed
            ]
        )
        return
    differences = [difference for each in rehearsed for difference in each.differences]
    people_count = sum(each.people for each in rehearsed)
    click.echo(
        f"{len(rehearsed)} sessions, {people_count} attendances: {len(differences)} decisions come out otherwise"
    )
    if differences:
        print_rows(differences, as_json, DIFFERENCE)
