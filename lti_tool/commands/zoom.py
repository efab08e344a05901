"""`gatehouse zoom`: what Zoom delivered, and what is derived from it."""

import click

from lti_tool.commands.console import json_option, open_house, print_fields, print_rows
from lti_tool.errors import GatehouseError
from lti_tool.house import House
from lti_tool.wiring import settle_now
from zoom_adapter import health as inbox_health
from zoom_adapter import presence


@click.group()
def zoom() -> None:
    """Zoom's deliveries: are they coming in, and what follows from them."""


@zoom.command()
@json_option
@click.pass_context
def replay(context: click.Context, as_json: bool) -> None:
    """Rebuild everything that is derived from the inbox: who registered, and everybody's attendance.

    The deliveries themselves are never changed. Where nothing is new, nothing is written. Locked and cancelled sessions
    stay as they are. Exit code 1 if a session could not be settled; the others are.
    """
    with open_house() as house:
        now = house.clock()
        with house.database.write() as connection:
            sessions = presence.rebuild(connection, now)
        rows = [{"session": session_id, "result": _settle(house, session_id)} for session_id in sessions]
    print_rows(rows, as_json)
    if any(row["result"] != "settled" for row in rows):
        context.exit(1)


def _settle(house: House, session_id: int) -> str:
    """ "settled", or the code of the refusal."""
    try:
        settle_now(house, session_id)
    except GatehouseError as error:
        click.echo(f"error: {error.message} ({error.code})", err=True)
        return error.code
    return "settled"


@zoom.command()
@json_option
def health(as_json: bool) -> None:
    """When the last delivery and the last challenge came, what is unread, what is parked.

    A challenge is Zoom asking every 72 hours whether the webhook's address is still ours; after six failures it stops
    sending. `challenge_overdue` means that none came for 80 hours.
    """
    with open_house() as house, house.database.read() as connection:
        print_fields(inbox_health.look(connection, house.clock()), as_json)
