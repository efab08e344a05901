"""`gatehouse gate`: why a gate is open or shut for a trainee, and the exceptions that staff made."""

from datetime import date, datetime
from typing import Any

import click

from lti_tool import people
from lti_tool.commands.console import (
    DAY,
    INSTANT,
    json_option,
    open_context,
    print_fields,
    print_json,
    print_rows,
    trainee_option,
)
from lti_tool.errors import NotFound
from lti_tool.gates import decide, exceptions
from lti_tool.gates.decision import Decision, Node
from lti_tool.gates.wording import gate_in_words, heading, learner_sentence, staff_sentence
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.retreats.applications import next_date
from lti_tool.times import day_of

module_option = click.option("--module", "offering", required=True, help="The module's or retreat's id, such as F2.")


@click.group()
def gate() -> None:
    """Explain gates, and open them for single people by a recorded exception."""


@gate.command()
@trainee_option
@module_option
@click.option("--at", type=INSTANT, help="The moment to decide for, by what was recorded until then.  [default: now]")
@click.option("--starts-on", type=DAY, help="First day of the retreat or session.  [default: the retreat's next date]")
@json_option
def explain(trainee: str, offering: str, at: datetime | None, starts_on: date | None, as_json: bool) -> None:
    """Say whether a gate is open for a trainee, and what each of its conditions found.

    Nothing is written. With --at, a past moment is explained by the facts of that time.
    """
    with open_context() as context, context.database.read() as connection:
        published = versions.current(connection)
        programme, moment = published.programme, at or context.clock()
        if offering not in programme.modules and offering not in programme.retreats:
            known = ", ".join((*programme.modules, *programme.retreats))
            raise NotFound("offering_unknown", "The programme has no such module or retreat.", f"It has: {known}.")
        trainee_id = people.find(connection, trainee)
        retreat = programme.retreats.get(offering)
        next_retreat = next_date(retreat, day_of(moment, programme.zone)) if retreat else None
        start = starts_on or (next_retreat.starts_on if next_retreat else None)
        decision = decide.ask(connection, published, trainee_id, offering, moment, offering_start=start)
    if as_json:
        print_json(explained(decision, programme))
        return
    click.echo(f"{heading(decision, programme)}: {'open' if decision.open else decision.status}")
    click.echo(f"rule: {gate_in_words(programme, decision.offering)} (programme version {decision.programme_version})")
    if decision.exception:
        click.echo(f"open by exception {decision.exception.id} until {decision.exception.expires_on}")
    if decision.tree:
        _print_node(decision.tree, programme, 0)
    if decision.recommended:
        click.echo("recommended, not required:")
        _print_node(decision.recommended, programme, 1)


@gate.command()
@trainee_option
@module_option
@click.option("--reason", required=True, help="Why, in 10 characters or more.")
@click.option("--until", "expires_on", type=DAY, help="The last day.  [default: 90 days from today]")
@json_option
def allow(trainee: str, offering: str, reason: str, expires_on: date | None, as_json: bool) -> None:
    """Open one gate for one person for a while. It is no completion and earns nothing."""
    with open_context() as context, context.database.write() as connection:
        granted = exceptions.grant(
            connection,
            versions.current(connection).programme,
            trainee_id=people.find(connection, trainee),
            offering_id=offering,
            reason=reason,
            expires_on=expires_on,
            actor="cli",
            now=context.clock(),
        )
    print_fields({"exception": granted}, as_json)


@gate.command("end-exception")
@click.argument("exception_id", type=int)
@click.option("--reason", required=True, help="Why it ends.")
@json_option
def end_exception(exception_id: int, reason: str, as_json: bool) -> None:
    """End an exception before its time."""
    with open_context() as context, context.database.write() as connection:
        exceptions.end(connection, exception_id, reason=reason, actor="cli", now=context.clock())
    print_fields({"exception": exception_id, "state": "ended"}, as_json)


@gate.command("exceptions")
@json_option
def list_exceptions(as_json: bool) -> None:
    """List every exception in force, the first to run out first."""
    with open_context() as context, context.database.read() as connection:
        today = day_of(context.clock(), versions.current(connection).programme.zone)
        rows = exceptions.active(connection, today)
    columns = ("id", "trainee_id", "name", "offering_id", "reason", "granted_by", "granted_at", "expires_on")
    print_rows(rows, as_json, columns)


def explained(decision: Decision, programme: Programme) -> dict[str, Any]:
    """The decision as `gate explain --json` prints it; `unmet` holds the conditions that keep the gate shut."""
    return {
        "open": decision.open,
        "heading": heading(decision, programme),
        "unmet": [
            node.to_json()
            | {"sentence": learner_sentence(node, programme), "staff_sentence": staff_sentence(node, programme)}
            for node in decision.unmet()
        ],
        "decision": decision.to_json(),
        "digest": decision.digest,
        "programme_version": decision.programme_version,
    }


def _print_node(node: Node, programme: Programme, depth: int) -> None:
    evidence = f" [{', '.join(node.evidence)}]" if node.evidence else ""
    click.echo(f"{'  ' * depth}{node.status:<9}  {staff_sentence(node, programme)}{evidence}")
    for child in node.children:
        _print_node(child, programme, depth + 1)
