"""`gatehouse grades`: the score ledger, and its delivery."""

from typing import Any

import click

from lti_tool.commands.console import json_option, open_house, print_fields, print_rows
from lti_tool.grades import ledger
from lti_tool.grades.delivery import Deliverer


@click.group()
def grades() -> None:
    """Scores: what each platform should hold of each person, and what it has accepted."""


@grades.command(name="ledger")
@click.option("--status", type=click.Choice(["waiting", "delivered", "parked"]), default=None, help="Only these.")
@json_option
def show_ledger(status: str | None, as_json: bool) -> None:
    """Desired and delivered scores side by side. "delivered" means that the platform has accepted the score."""
    with open_house() as house, house.database.read() as connection:
        found = ledger.rows(connection, status=status)
    print_rows([_row(each) for each in found], as_json)


@grades.command()
@click.option("--parked", is_flag=True, help="Try the parked ones again too, from the beginning.")
@json_option
def deliver(parked: bool, as_json: bool) -> None:
    """Send what is due now, instead of waiting for the worker."""
    with open_house() as house:
        if parked:
            with house.database.write() as connection:
                ledger.try_parked_again(connection, house.clock())
        Deliverer(house.database, house.platform_api, house.clock).deliver_all()
        with house.database.read() as connection:
            found = ledger.rows(connection)
    counts = {status: sum(each.status == status for each in found) for status in ("delivered", "waiting", "parked")}
    print_fields(counts, as_json)


def _row(each: Any) -> dict[str, Any]:
    return {
        "line_item": each.line_item_url,
        "trainee": each.trainee_id,
        "user_id": each.user_id,
        "module": each.module_id,
        "meaning": each.meaning,
        "desired": each.desired_given,
        "delivered": each.delivered_given if each.delivered_version else None,
        "maximum": each.desired_maximum,
        "status": each.status,
        "attempts": each.attempts,
        "last_answer": each.last_answer,
        "comment": each.desired_comment,
    }
