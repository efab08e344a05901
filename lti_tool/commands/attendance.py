"""`gatehouse attendance` and `match`: who was present in a live session, and who people in Zoom are."""

from pathlib import Path

import click
from sqlalchemy import select

from lti_tool import people
from lti_tool.attendance import live_sessions, matching, queries
from lti_tool.commands.console import (
    Columns,
    json_option,
    listed,
    open_context,
    print_fields,
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


LINK = (
    "id", "kind", "value", "meeting_id", "trainee_id", "reason", "made_by", "made_at", "undone_by", "undone_reason",
    "undone_at",
)  # fmt: skip
UNMATCHED: Columns = {
    "session": lambda each: each.day.session_id,
    "name": lambda each: each.day.display_name,
    "email": lambda each: each.day.email,
    "registrant_id": lambda each: each.day.registrant_id,
    "first_at": "first_at",
    "last_at": "last_at",
    "minutes_present": lambda each: round(each.day.seconds_present / 60, 2),
    "flags": lambda each: list(each.day.flags),
}


@click.group()
def match() -> None:
    """Say who people in Zoom are, and take it back.

    A link makes an e-mail address (everywhere), a registration (in its meeting) or one connection a trainee's. Names
    are never used to guess.
    """


@match.command("list")
@click.option("--waiting", is_flag=True, help="The people who are not matched yet, instead of the links.")
@click.option("--trainee", help="Only the links of this trainee (id or e-mail).")
@json_option
def list_links(waiting: bool, trainee: str | None, as_json: bool) -> None:
    """List the links, those in force first; or the people who wait for one."""
    with open_context() as context, context.database.read() as connection:
        if waiting:
            unmatched = [
                listed(each, UNMATCHED)
                | {"known_by": [f"{claim.kind}:{claim.value}" for claim in matching.claims_of(connection, each.day)]}
                for each in matching.unmatched_people(connection)
            ]
            print_rows(unmatched, as_json)
        else:
            trainee_id = None if trainee is None else people.find(connection, trainee)
            print_rows(matching.listed(connection, trainee_id=trainee_id), as_json, LINK)


@match.command("link")
@click.option("--trainee", required=True, help="Who it is: the trainee's id or e-mail address.")
@click.option("--address", help="The e-mail address that Zoom shows.")
@click.option("--registrant", help="The registrant id; with --meeting.")
@click.option("--connection", "connection_id", help="The id of one connection; with --meeting.")
@click.option("--meeting", default="", help="The number of the Zoom meeting or webinar.")
@click.option("--reason", required=True, help="How you know.")
@json_option
def make_link(
    trainee: str,
    address: str | None,
    registrant: str | None,
    connection_id: str | None,
    meeting: str,
    reason: str,
    as_json: bool,
) -> None:
    """Link an address, a registration or one connection to a trainee. The sessions it touches are settled again."""
    given = {"email": address, "registrant": registrant, "connection": connection_id}
    named = [(kind, value) for kind, value in given.items() if value is not None]
    if len(named) != 1:
        raise BadInput(
            "link_wrong",
            "A link names one thing.",
            "Give one of --address, --registrant and --connection; the latter two with --meeting.",
        )
    claim = matching.read_claim(*named[0], meeting)
    with open_context() as context, context.database.write() as connection:
        trainee_id, touched = people.find(connection, trainee), matching.touched(connection, claim)
        made = matching.link(
            connection, **claim._asdict(), trainee_id=trainee_id, reason=reason, actor="cli", now=context.clock()
        )
        row = listed(matching.show(connection, made), LINK) | _sessions(touched)
    print_fields(row, as_json)


@match.command("undo")
@click.argument("link_id", type=int)
@click.option("--reason", required=True, help="Why it is wrong.")
@json_option
def undo_link(link_id: int, reason: str, as_json: bool) -> None:
    """Take a link back. The sessions it touches are settled again without it."""
    with open_context() as context, context.database.write() as connection:
        matching.undo(connection, link_id, reason=reason, actor="cli", now=context.clock())
        row = matching.show(connection, link_id)
        touched = matching.touched(connection, matching.claim_of(row), row.trainee_id)
    print_fields(listed(row, LINK) | _sessions(touched), as_json)


def _sessions(touched: list[matching.Touched]) -> dict[str, list[int]]:
    return {
        "settled_again": [each.session_id for each in touched if not each.is_locked],
        "locked": [each.session_id for each in touched if each.is_locked],
    }
