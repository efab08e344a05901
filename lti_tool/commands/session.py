"""`gatehouse session`: schedule, list, move, cancel, settle and lock live sessions."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import click

from lti_tool.attendance import agenda, live_sessions, locking
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.commands.console import (
    INSTANT,
    Columns,
    json_option,
    open_context,
    print_fields,
    print_rows,
    session_argument,
)
from lti_tool.errors import BadInput
from lti_tool.programme import versions
from lti_tool.worker import settle_now

ROW: dict[str, str | Callable[[LiveSession], Any]] = {
    "id": "id",
    "module": "module_id",
    "starts_at": "starts_at",
    "ends_at": "ends_at",
    "zone": "zone",
    "zoom_meeting": "zoom_meeting_id",
    "kind": "zoom_kind",
    "state": "state",
    "programme_version": "programme_version",
}
FIELDS: Columns = {
    **ROW,
    "join_url": "join_url",
    "ended_at": "ended_at",
    "ended_by_staff_at": "ended_by_staff_at",
    "cancelled_reason": "cancelled_reason",
    "minutes_instructional": lambda each: agenda.instructional_seconds(each.segments) // 60,
    "segments": lambda each: agenda.to_json(each.segments),
}


@click.group()
def session() -> None:
    """Live sessions: the scheduled Zoom classes of the programme's modules."""


@session.command()
@click.option("--module", "module_id", required=True, help="Id of the module that is taught.")
@click.option("--starts", required=True, help="Wall time of the start (2026-12-01T09:00), or a day (2026-12-01).")
@click.option("--zone", default=None, help="IANA zone of that wall time; default: the programme's.")
@click.option("--zoom-meeting", required=True, help="Zoom's meeting or webinar id.")
@click.option(
    "--kind",
    type=click.Choice(live_sessions.KINDS),
    default="meeting",
    show_default=True,
    help="What the live session is at Zoom.",
)
@click.option("--join-url", default=None, help="The link that trainees join by; shown only where the gate is open.")
@json_option
def add(
    module_id: str, starts: str, zone: str | None, zoom_meeting: str, kind: str, join_url: str | None, as_json: bool
) -> None:
    """Schedule a live session. Its agenda and its rules are those of the programme published now, for good.

    Past dates are accepted, for imports and replays.
    """
    try:
        start = date.fromisoformat(starts) if len(starts) == len("2026-12-01") else datetime.fromisoformat(starts)
    except ValueError as error:
        message = "The start is not a wall time."
        raise BadInput("wall_time_wrong", message, "Give it like 2026-12-01T09:00 or 2026-12-01.") from error
    with open_context() as context:
        with context.database.write() as connection:
            session_id = live_sessions.add(
                connection,
                versions.current(connection),
                module_id=module_id,
                starts=start,
                zone=zone,
                zoom_meeting_id=zoom_meeting,
                zoom_kind=kind,
                join_url=join_url,
                actor="cli",
                now=context.clock(),
            )
            added = live_sessions.show(connection, session_id)
        print_fields(added, as_json, FIELDS)


@session.command(name="list")
@click.option("--module", "module_id", default=None, help="Only the sessions of this module.")
@json_option
def list_(module_id: str | None, as_json: bool) -> None:
    """List all live sessions in order of time."""
    with open_context() as context, context.database.read() as connection:
        found = live_sessions.list_sessions(connection, module_id=module_id)
    print_rows(found, as_json, ROW)


@session.command()
@session_argument
@json_option
def show(session_id: int, as_json: bool) -> None:
    """Show one live session with its agenda."""
    with open_context() as context, context.database.read() as connection:
        found = live_sessions.show(connection, session_id)
    print_fields(found, as_json, FIELDS)


@session.command()
@session_argument
@click.option("--reason", required=True, help="Why it does not take place; kept in the audit log.")
def cancel(session_id: int, reason: str) -> None:
    """Cancel a scheduled session. Subscribed calendars show it as cancelled."""
    with open_context() as context, context.database.write() as connection:
        live_sessions.cancel(connection, session_id, reason=reason, actor="cli", now=context.clock())
    click.echo(f"live session {session_id} is cancelled")


@session.command()
@session_argument
@click.option("--starts", required=True, type=click.DateTime(["%Y-%m-%dT%H:%M"]), help="The new start, in its zone.")
@click.option("--reason", required=True, help="Why it is moved; kept in the audit log.")
@json_option
def move(session_id: int, starts: datetime, reason: str, as_json: bool) -> None:
    """Hold a session that has not begun at another time. Subscribed calendars show the new time."""
    with open_context() as context:
        with context.database.write() as connection:
            live_sessions.move(
                connection,
                session_id,
                sequence=live_sessions.show(connection, session_id).calendar_sequence,
                starts=starts,
                reason=reason,
                actor="cli",
                now=context.clock(),
            )
            moved = live_sessions.show(connection, session_id)
        print_fields(moved, as_json, FIELDS)


@session.command()
@session_argument
@click.option("--at", required=True, type=INSTANT, help="When it ended, such as 2026-12-01T17:00:00-08:00.")
@click.option("--reason", required=True, help="How you know; kept in the audit log.")
def end(session_id: int, at: datetime, reason: str) -> None:
    """Record when a live session ended if Zoom never reported its end. A later report of Zoom takes precedence."""
    with open_context() as context, context.database.write() as connection:
        locking.end(connection, session_id, at=at, reason=reason, actor="cli", now=context.clock())
    click.echo(f"live session {session_id} is over; its attendance is settled next")


@session.command()
@session_argument
def settle(session_id: int) -> None:
    """Compute everybody's attendance again from the evidence. Safe to repeat: the same evidence changes nothing."""
    with open_context() as context:
        settle_now(context, session_id)
        with context.database.read() as connection:
            state = live_sessions.show(connection, session_id).state
    click.echo(f"live session {session_id} is settled ({state})")


@session.command()
@session_argument
@click.option("--reason", required=True, help="Why no more evidence is expected; kept in the audit log.")
def lock(session_id: int, reason: str) -> None:
    """Make the attendance of a reconciled session final: it is not settled again, whatever comes later."""
    with open_context() as context, context.database.write() as connection:
        locking.lock(connection, session_id, actor="cli", reason=reason, now=context.clock())
    click.echo(f"live session {session_id} is locked")


@session.command()
@session_argument
@click.option("--reason", required=True, help="What has come up; kept in the audit log.")
def reopen(session_id: int, reason: str) -> None:
    """Unlock a session; what came since is settled next."""
    with open_context() as context, context.database.write() as connection:
        locking.reopen(connection, session_id, actor="cli", reason=reason, now=context.clock())
    click.echo(f"live session {session_id} is open again; its attendance is settled next")
