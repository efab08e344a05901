"""`gatehouse zoom`: what Zoom delivered, whether it is as it came, and what is derived from it.

`gatehouse zoom recover`: deliveries that were lost, from Zoom's own log of them.

`gatehouse zoom reconcile` and `gatehouse zoom reports`: what Zoom itself says about who was there.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
from sqlalchemy import func, select

from lti_tool.attendance import evidence_gaps, live_sessions, queries
from lti_tool.attendance.evidence_gaps import Gap
from lti_tool.attendance.queries import AttendedDay
from lti_tool.commands.console import INSTANT, json_option, open_house, print_fields, print_json, print_rows, progress
from lti_tool.context import House
from lti_tool.errors import BadInput, GatehouseError
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.live_sessions import live_sessions as sessions
from lti_tool.worker import settle_now, zoom_api
from zoom_adapter import hash_chain
from zoom_adapter import health as gaps
from zoom_adapter import health as inbox_health
from zoom_adapter import replay as replaying
from zoom_adapter import reports as due_reports
from zoom_adapter import reports as waivers
from zoom_adapter import reports as zoom_reports
from zoom_adapter.hash_chain import WORDS, Head, Verdict
from zoom_adapter.reconcile import Outcome, ReportReader
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
        _tell_report(house, session_id, outcomes, as_json)
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
        count = waivers.waive_report(connection, session_id, actor="cli", reason=reason, now=house.clock())
    click.echo(f"reports no longer waited for: {count}; the attendance of live session {session_id} is settled next")


def _tell_report(house: House, session_id: int, outcomes: Sequence[Outcome], as_json: bool) -> None:
    with house.database.read() as connection:
        session = live_sessions.show(connection, session_id)
        people = [_person(each) for each in queries.of_session(connection, session_id)]
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
    compared = day.day.report
    seconds = ("webhook_seconds", "report_seconds", "difference_seconds")
    return {
        "trainee": day.trainee_id,
        "name": day.display_name,
        **{name: compared and getattr(compared, name) for name in seconds},
        "reasons": list(compared.reasons) if compared else [],
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


@click.group()
def zoom() -> None:
    """Zoom's deliveries: are they coming in, are they as they came, and what follows from them."""


for _verb in (reconcile, reports, waive, recover):
    zoom.add_command(_verb)


@zoom.command()
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@json_option
@click.pass_context
def replay(context: click.Context, dry_run: bool, as_json: bool) -> None:
    """Rebuild everything that is derived from the evidence: who registered, and everybody's attendance.

    Deliveries, reports, links and corrections are never changed. Where nothing is new, nothing is written; where an
    attendance is, completions, claims and scores follow. `changed` counts the people of a session with a new version.
    Locked and cancelled sessions stay as they are. Exit code 1 if a session could not be settled; the others are.
    """
    with open_house() as house:
        _rebuild_registrants(house, dry_run)
        with house.database.read() as connection:
            sessions = replaying.sessions(connection)
        with progress("sessions", len(sessions)) as more:
            rows = []
            for session_id in sessions:
                rows.append({"session": session_id, **_replay(house, session_id, dry_run)})
                more(1)
    print_rows(rows, as_json)
    if any(row["changed"] is None for row in rows):
        context.exit(1)


def _rebuild_registrants(house: House, dry_run: bool) -> None:
    with house.database.read() as connection:
        ids = replaying.registrations(connection)
    with progress("registrations", len(ids)) as more:
        changed = replaying.rebuild_registrants(house.database, ids, house.clock(), dry_run=dry_run, progress=more)
    if changed:
        says = "would change; attendance may follow" if dry_run else "changed"
        click.echo(f"registrants: {changed} {says}", err=True)


def _replay(house: House, session_id: int, dry_run: bool) -> dict[str, Any]:
    """What came of one session: "settled", or with `dry_run` "same" or "would_change", or the code of the refusal."""
    try:
        if dry_run:
            changed = len(replaying.would_change(house.database, session_id, house.clock()))
            return {"result": "would_change" if changed else "same", "changed": changed}
        before = _count_versions(house, session_id)
        settle_now(house, session_id)
        return {"result": "settled", "changed": _count_versions(house, session_id) - before}
    except GatehouseError as error:
        click.echo(f"error: {error.message} ({error.code})", err=True)
        return {"result": error.code, "changed": None}


def _count_versions(house: House, session_id: int) -> int:
    with house.database.read() as connection:
        return connection.scalar(select(func.count()).where(attendances.c.live_session_id == session_id)) or 0


@zoom.command()
@click.option("--noted", metavar="POSITION:SEAL", help="A seal from the log or from an earlier run that must stand.")
@json_option
@click.pass_context
def verify(context: click.Context, noted: str | None, as_json: bool) -> None:
    """Compute every seal of the inbox again, and every signature whose secret is still set.

    `last` is the end of the chain: keep it elsewhere, and give it as --noted later, to know that nothing before it was
    made up anew. Signatures with a secret that is not set any more cannot be computed again; those rows rest on their
    seals. Exit code 1 if anything is not as it was sealed; the deliveries are named by their number in the inbox.
    """
    mark = None if noted is None else _head(noted)
    with (
        open_house() as house,
        house.database.read() as connection,
        progress("deliveries", hash_chain.head(connection).position) as more,
    ):
        verdict = hash_chain.verify(connection, house.settings.zoom_secret_tokens, mark, more)
    if as_json:
        print_json(_as_json(verdict))
    else:
        _tell(verdict)
    if verdict.broken:
        context.exit(1)


def _head(noted: str) -> Head:
    position, _, seal = noted.strip().partition(":")
    if not (position.isascii() and position.isdigit() and len(position) < 18 and len(seal) == 64):
        raise BadInput(
            "noted_seal_wrong",
            "This is not a seal as the tool tells it.",
            "Give POSITION:SEAL, as `last` in `gatehouse zoom verify`: a number, a colon and 64 hexadecimal digits.",
        )
    return Head(int(position), seal.lower())


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "sealed": verdict.head.position,
        "last": str(verdict.head) if verdict.head.position else None,
        "waiting": verdict.waiting,
        "signatures": {kind: verdict.signatures[kind] for kind in ("valid", "secret_gone", "unsigned")},
        "broken": verdict.broken,
        "breaks": [
            {"position": each.position, "delivery": each.inbox_id, "code": each.code, "says": WORDS[each.code]}
            for each in verdict.breaks
        ],
    }


def _tell(verdict: Verdict) -> None:
    told = _as_json(verdict)
    del told["breaks"]
    signatures = ", ".join(f"{count} {kind}" for kind, count in told["signatures"].items())
    print_fields({**told, "signatures": signatures}, as_json=False)
    for each in verdict.breaks:
        where = f"delivery {each.inbox_id}" if each.inbox_id is not None else "no delivery"
        click.echo(f"BROKEN  {where}, position {each.position or '-'}: {WORDS[each.code]} ({each.code})")
    if len(verdict.breaks) < verdict.broken:
        click.echo(f"… and {verdict.broken - len(verdict.breaks)} more.")
    if not verdict.broken:
        click.echo("Every delivery that was read is as it came.")


@zoom.command()
@json_option
@click.pass_context
def health(context: click.Context, as_json: bool) -> None:
    """When the last delivery and the last challenge came, what is unread or parked, what was turned away, and every gap
    in the evidence with what to do about it.

    A challenge is Zoom asking every 72 hours whether the webhook's address is still ours; after six failures it stops
    sending. `challenge_overdue` means that none came for 80 hours. Exit code 1 if presence is being lost; a gap that is
    only a note does not count.
    """
    with open_house() as house, house.database.read() as connection:
        now = house.clock()
        told = inbox_health.check_health(connection, now)
        found = evidence_gaps.dated(connection, gaps.present(connection, house.settings.zoom_quiet, now), now)
    if as_json:
        print_json({**told, "gaps": [_gap(each) for each in found]})
    else:
        _tell_health(told, found)
    if any(each.words.is_wrong for each in found):
        context.exit(1)


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        "code": gap.code,
        "about": gap.subject,
        "is_wrong": gap.words.is_wrong,
        "since": gap.since,
        "count": gap.count,
        "details": dict(gap.details),
        "says": gap.words.says,
        "next_step": gap.words.next_step,
    }


def _tell_health(told: dict[str, Any], found: list[Gap]) -> None:
    refused = ", ".join(f"{count} {code}" for code, count in told["refused_today"].items())
    print_fields({**told, "refused_today": refused or None}, as_json=False)
    for gap in found:
        sign = "WRONG" if gap.words.is_wrong else "note "
        details = ", ".join(f"{name} {value}" for name, value in gap.details.items())
        click.echo(f"{sign}  {gap.subject}: {gap.words.says} ({gap.code}, {gap.count}{details and f'; {details}'})")
        click.echo(f"       {gap.words.next_step}")
    if not found:
        click.echo("No gap in the evidence is known.")
