"""`gatehouse zoom recover`: deliveries that were lost, from Zoom's own log of them."""

from datetime import datetime

import click

from lti_tool.commands.console import json_option, open_house, print_fields
from lti_tool.commands.values import INSTANT
from lti_tool.wiring import zoom_api
from zoom_adapter.recovery import LogReader


@click.command()
@click.option(
    "--since", type=INSTANT, help="From this moment on, such as 2026-12-01T17:00:00Z; usually seven days ago."
)
@click.option("--dry-run", is_flag=True, help="Say what is missing, and change nothing.")
@json_option
def recover(since: datetime | None, dry_run: bool, as_json: bool) -> None:
    """Look up in Zoom's log of deliveries what never arrived here, and put it into the inbox.

    Zoom keeps the log for seven days. `missing` are the events that the inbox lacked, by kind; without --dry-run they
    are in it now, marked as read from the log, and the worker settles the classes that they touch. `unreadable` are
    bodies that Zoom's log holds in part only: they are kept as they came and say nothing. The worker does the same by
    itself, every hour for what failed and after each class for all of it.
    """
    with open_house() as house:
        found = LogReader(house.database, zoom_api(house), house.clock).recover(since, dry_run=dry_run)
    print_fields(
        {
            "rows": found.rows,
            "known": found.known,
            "missing": dict(found.added),
            "unreadable": found.unreadable,
            "dry_run": dry_run,
        },
        as_json,
    )
