"""`gatehouse zoom reconcile` and `gatehouse zoom reports`: what Zoom itself says about who was there."""

from collections.abc import Sequence
from typing import Any

import click
from sqlalchemy import select

from lti_tool.commands.console import json_option, open_house, print_json, print_rows
from lti_tool.house import House
from lti_tool.sessions import days, live_sessions
from lti_tool.sessions.days import AttendedDay
from lti_tool.tables.live_sessions import live_sessions as sessions
from lti_tool.wiring import settle_now, zoom_api
from zoom_adapter import due_reports, waivers
from zoom_adapter import reports as zoom_reports
from zoom_adapter.reconcile import Outcome, ReportReader

session_argument = click.argument("session_id", metavar="SESSION_ID", type=int)


@click.command()
@session_argument
@json_option
def reconcile(session_id: int, as_json: bool) -> None:
    """Ask Zoom now who was in a class that is over, outside the plan, and settle the attendance with what it says.

    Shows for each person how many seconds the report differs from the webhooks, and why. Two equal answers settle a
    report; on the day of the class they must lie five minutes apart. Exit code 1 if Zoom gave no report of a part of
    the class; what it gave of the others is kept.
    """
    with open_house() as house:
        outcomes = ReportReader(house.database, zoom_api(house), house.clock).read_now(session_id)
        settle_now(house, session_id)
        _tell(house, session_id, outcomes, as_json)
    refused = next((each.refusal for each in outcomes if each.rows is None and each.refusal), None)
    if refused:
        raise refused


@click.command()
@session_argument
@json_option
def reports(session_id: int, as_json: bool) -> None:
    """Every time Zoom was asked for the reports of a live session: what came, or the code of the refusal."""
    with open_house() as house, house.database.read() as connection:
        live_sessions.show(connection, session_id)
        fetches = [_fetch(each) for each in zoom_reports.history(connection, session_id)]
        row = connection.execute(select(sessions).where(sessions.c.id == session_id)).one()
        next_at = due_reports.next_ask(connection, row) if house.settings.has_zoom_api else None
    if as_json:
        print_json({"session": session_id, "next_at": next_at, "fetches": fetches})
        return
    print_rows(fetches, as_json=False)
    click.echo(f"Zoom is asked next at {next_at.isoformat()}" if next_at else "Zoom is not asked again.")


@click.command()
@session_argument
@click.option("--reason", required=True, help="Why no report is to be expected; kept in the audit log.")
def waive(session_id: int, reason: str) -> None:
    """Wait no longer for the reports that Zoom does not give of a class: what the webhooks told must do.

    From a day after class on. Days in doubt still want a review; a report that comes after all still counts.
    """
    with open_house() as house, house.database.write() as connection:
        count = waivers.waive(connection, session_id, actor="cli", reason=reason, now=house.clock())
    click.echo(f"reports no longer waited for: {count}; the attendance of live session {session_id} is settled next")


def _tell(house: House, session_id: int, outcomes: Sequence[Outcome], as_json: bool) -> None:
    with house.database.read() as connection:
        session = live_sessions.show(connection, session_id)
        people = [_person(each) for each in days.of_session(connection, session_id)]
    instances = [_instance(each) for each in outcomes]
    if as_json:
        state = {"id": session.id, "module": session.module_id, "state": session.state}
        print_json({"session": state, "instances": instances, "people": people})
        return
    click.echo(f"live session {session.id}, module {session.module_id}: {session.state}")
    print_rows(instances, as_json=False)
    print_rows(people, as_json=False)


def _instance(outcome: Outcome) -> dict[str, Any]:
    code = (outcome.refusal.code if outcome.refusal else due_reports.NO_INSTANCE) if outcome.rows is None else None
    return {
        "uuid": outcome.meeting_uuid,
        "source": outcome.source,
        "rows": outcome.rows,
        "settled": outcome.settled,
        "code": code,
    }


def _person(day: AttendedDay) -> dict[str, Any]:
    compared = day.day.get("report") or {}
    seconds = ("webhook_seconds", "report_seconds", "difference_seconds")
    return {
        "trainee": day.trainee_id,
        "name": day.display_name,
        **{name: compared.get(name) for name in seconds},
        "reasons": compared.get("reasons", []),
        "flags": list(day.flags),
    }


def _fetch(fetch: zoom_reports.Fetch) -> dict[str, Any]:
    return {
        "fetched_at": fetch.fetched_at,
        "uuid": fetch.meeting_uuid,
        "source": fetch.source,
        "rows": fetch.rows,
        "report": fetch.report_id,
        "settled": fetch.settled,
        "code": fetch.code,
    }
