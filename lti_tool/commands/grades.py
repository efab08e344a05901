"""`gatehouse grades`: the score ledger, and its delivery."""

import click

from lti_tool.commands.console import Columns, json_option, open_context, print_fields, print_rows
from lti_tool.grades import reconcile, scores
from lti_tool.grades.delivery import Deliverer
from lti_tool.grades.line_item_search import LineItemSearch
from lti_tool.grades.reconcile import Reconciler
from lti_tool.worker import LateChanges

STATUSES = ("waiting", "delivered", "parked", "kept")
LEDGER: Columns = {
    "line_item": "line_item_url",
    "trainee": "trainee_id",
    "user_id": "user_id",
    "module": "module_id",
    "meaning": "meaning",
    "desired": "desired_given",
    "delivered": lambda each: each.delivered_given if each.delivered_version else None,
    "maximum": "desired_maximum",
    "status": "status",
    "seen": "seen",
    "seen_given": "seen_given",
    "attempts": "attempts",
    "last_answer": "last_answer",
    "comment": "desired_comment",
}


@click.group()
def grades() -> None:
    """Scores: what each platform should hold of each person, and what it has accepted."""


@grades.command(name="ledger")
@click.option("--status", type=click.Choice(STATUSES), default=None, help="Only these.")
@json_option
def show_ledger(status: str | None, as_json: bool) -> None:
    """List desired and delivered scores side by side. "delivered" means that the platform has accepted the score,
    "seen" is what its gradebook showed when it was last read."""
    with open_context() as context, context.database.read() as connection:
        found = scores.rows(connection, status=status)
    print_rows(found, as_json, LEDGER)


@grades.command()
@click.option("--parked", is_flag=True, help="Try the parked ones again too, from the beginning.")
@json_option
def deliver(parked: bool, as_json: bool) -> None:
    """Send what is due now, instead of waiting for the worker; missing grade columns are found or made first."""
    with open_context() as context:
        if parked:
            with context.database.write() as connection:
                scores.try_parked_again(connection, context.clock())
        sweep = LateChanges(context)
        sweep.run()
        LineItemSearch(context.database, context.platform_api, context.clock, after=sweep.run).search_all()
        Deliverer(context.database, context.platform_api, context.clock).deliver_all()
        with context.database.read() as connection:
            found = scores.rows(connection)
    counts = {status: sum(each.status == status for each in found) for status in ("delivered", "waiting", "parked")}
    print_fields(counts, as_json)


@grades.command(name="reconcile")
@click.option("--all", "every", is_flag=True, help="Read every grade that can be read now.")
@json_option
def reconcile_grades(every: bool, as_json: bool) -> None:
    """Read from platforms' gradebooks what became of delivered scores, as the worker does in its own time. Nothing is
    sent; a grade that another person entered is shown and left alone."""
    with open_context() as context:
        if every:
            with context.database.write() as connection:
                reconcile.ask_for_all(connection, context.clock())
        Reconciler(context.database, context.platform_api, context.clock).read_all()
        with context.database.read() as connection:
            found = scores.rows(connection)
    states = ("same", "differs", "missing", "unreadable", "unread")
    print_fields({state: sum(each.seen == state for each in found) for state in states}, as_json)
