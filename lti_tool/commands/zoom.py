"""`gatehouse zoom`: what Zoom delivered and reports, whether it is unchanged, and what is derived from it."""

from datetime import datetime
from typing import Any

import click
from sqlalchemy import func, select

from lti_tool.attendance import evidence_gaps, live_sessions, queries
from lti_tool.attendance.queries import AttendedDay
from lti_tool.commands.console import (
    INSTANT,
    Columns,
    json_option,
    listed,
    open_context,
    print_fields,
    print_json,
    print_rows,
    progress,
    session_argument,
)
from lti_tool.context import AppContext
from lti_tool.errors import BadInput, GatehouseError
from lti_tool.tables.live_sessions import attendances
from lti_tool.worker import settle_now, zoom_api
from zoom_adapter import hash_chain, presence
from zoom_adapter import health as zoom_health
from zoom_adapter import reports as zoom_reports
from zoom_adapter.hash_chain import WORDS, Head
from zoom_adapter.reconcile import ReportReader
from zoom_adapter.recovery import LogReader


def _compared(name: str) -> Any:
    """A column of the comparison of webhooks and report; None where no settled report covers the person."""

    def value(day: AttendedDay) -> Any:
        return day.day.report and getattr(day.day.report, name)

    return value


COMPARED: Columns = {
    "trainee": "trainee_id",
    "name": "name",
    "name_in_zoom": "display_name",
    "webhook_seconds": _compared("webhook_seconds"),
    "report_seconds": _compared("report_seconds"),
    "difference_seconds": _compared("difference_seconds"),
    "reasons": lambda day: list(day.day.report.reasons) if day.day.report else [],
    "flags": lambda day: list(day.flags),
}
OUTCOME: Columns = {"uuid": "meeting_uuid", "source": "source", "rows": "rows", "settled": "settled", "code": "code"}
FETCH: Columns = {
    "fetched_at": "fetched_at",
    "uuid": "meeting_uuid",
    "source": "source",
    "rows": "rows",
    "report": "report_id",
    "settled": "settled",
    "code": "code",
}
VERDICT: Columns = {
    "sealed": lambda verdict: verdict.head.position,
    "last": lambda verdict: str(verdict.head) if verdict.head.position else None,
    "waiting": "waiting",
    "signatures": lambda verdict: {kind: verdict.signatures[kind] for kind in ("valid", "secret_gone", "unsigned")},
    "broken": "broken",
}
BREAK: Columns = {
    "position": "position",
    "delivery": "inbox_id",
    "code": "code",
    "says": lambda each: WORDS[each.code],
}
GAP: Columns = {
    "code": "code",
    "about": "subject",
    "is_wrong": lambda gap: gap.words.is_wrong,
    "since": "since",
    "count": "count",
    "details": lambda gap: dict(gap.details),
    "says": lambda gap: gap.words.says,
    "next_step": lambda gap: gap.words.next_step,
}


@click.group()
def zoom() -> None:
    """Zoom's deliveries: are they coming in, are they unchanged, and what follows from them."""


@zoom.command()
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@json_option
@click.pass_context
def replay(ctx: click.Context, dry_run: bool, as_json: bool) -> None:
    """Rebuild everything that is derived from the evidence: who registered, and everybody's attendance.

    Deliveries, reports, links and corrections are never changed. Where nothing is new, nothing is written; where an
    attendance is, completions, claims and scores follow. `changed` counts the people of a session with a new version.
    Locked and cancelled sessions stay as they are. Exit code 1 if a session could not be settled; the others are.
    """
    with open_context() as context:
        with context.database.read() as connection:
            registrations = presence.registration_deliveries(connection)
        with progress("registrations", len(registrations)) as more:
            changed = presence.rebuild_registrants(
                context.database, registrations, context.clock(), dry_run=dry_run, progress=more
            )
        if changed:
            says = "would change; attendance may follow" if dry_run else "changed"
            click.echo(f"registrants: {changed} {says}", err=True)
        with context.database.read() as connection:
            sessions = presence.sessions_with_evidence(connection)
        with progress("sessions", len(sessions)) as more:
            rows = []
            for session_id in sessions:
                rows.append({"session": session_id, **_replay(context, session_id, dry_run)})
                more(1)
    print_rows(rows, as_json)
    if any(row["changed"] is None for row in rows):
        ctx.exit(1)


def _replay(context: AppContext, session_id: int, dry_run: bool) -> dict[str, Any]:
    """What came of one session: "settled", or with `dry_run` "same" or "would_change", or the code of the refusal."""
    try:
        if dry_run:
            changed = len(presence.would_change(context.database, session_id, context.clock()))
            return {"result": "would_change" if changed else "same", "changed": changed}
        before = _count_versions(context, session_id)
        settle_now(context, session_id)
        return {"result": "settled", "changed": _count_versions(context, session_id) - before}
    except GatehouseError as error:
        click.echo(f"error: {error.message} ({error.code})", err=True)
        return {"result": error.code, "changed": None}


def _count_versions(context: AppContext, session_id: int) -> int:
    with context.database.read() as connection:
        return connection.scalar(select(func.count()).where(attendances.c.live_session_id == session_id)) or 0


@zoom.command()
@click.option("--noted", metavar="POSITION:SEAL", help="A seal from the log or from an earlier run that must stand.")
@json_option
@click.pass_context
def verify(ctx: click.Context, noted: str | None, as_json: bool) -> None:
    """Compute every seal of the inbox again, and every signature whose secret is still set.

    `last` is the end of the chain: keep it elsewhere, and give it as --noted later, to know that nothing before it was
    forged. Signatures with a secret that is not set any more cannot be computed again; those rows rest on their
    seals. Exit code 1 if anything has changed since it was sealed; deliveries are named by their number in the inbox.
    """
    position, _, seal = (noted or "").strip().partition(":")
    if noted is not None and not (position.isascii() and position.isdigit() and len(position) < 18 and len(seal) == 64):
        raise BadInput(
            "noted_seal_wrong",
            "This is not a seal as the tool prints it.",
            "Give POSITION:SEAL, as `last` in `gatehouse zoom verify`: a number, a colon and 64 hexadecimal digits.",
        )
    mark = None if noted is None else Head(int(position), seal.lower())
    with (
        open_context() as context,
        context.database.read() as connection,
        progress("deliveries", hash_chain.head(connection).position) as more,
    ):
        verdict = hash_chain.verify(connection, context.settings.zoom_secret_tokens, mark, more)
    about = listed(verdict, VERDICT)
    if as_json:
        print_json(about | {"breaks": [listed(each, BREAK) for each in verdict.breaks]})
    else:
        signatures = ", ".join(f"{count} {kind}" for kind, count in about["signatures"].items())
        print_fields(about | {"signatures": signatures}, as_json)
        for each in verdict.breaks:
            where = f"delivery {each.inbox_id}" if each.inbox_id is not None else "no delivery"
            click.echo(f"BROKEN  {where}, position {each.position or '-'}: {WORDS[each.code]} ({each.code})")
        if len(verdict.breaks) < verdict.broken:
            click.echo(f"… and {verdict.broken - len(verdict.breaks)} more.")
        if not verdict.broken:
            click.echo("Every delivery that was read is unchanged.")
    if verdict.broken:
        ctx.exit(1)


@zoom.command()
@json_option
@click.pass_context
def health(ctx: click.Context, as_json: bool) -> None:
    """When the last delivery and the last challenge came, what is unread or parked, what was turned away, and every gap
    in the evidence with what to do about it.

    A challenge is Zoom asking every 72 hours whether the webhook's address is still ours; after six failures it stops
    sending. `challenge_overdue` means that none came for 80 hours. Exit code 1 if presence is being lost; a gap that is
    only a note does not count.
    """
    with open_context() as context, context.database.read() as connection:
        now = context.clock()
        state = zoom_health.check_health(connection, now)
        present = zoom_health.current_gaps(connection, context.settings.zoom_quiet, now)
        found = evidence_gaps.dated(connection, present, now)
    if as_json:
        print_json({**state, "gaps": [listed(each, GAP) for each in found]})
    else:
        refused = ", ".join(f"{count} {code}" for code, count in state["refused_today"].items())
        print_fields({**state, "refused_today": refused or None}, as_json)
        for gap in found:
            sign = "WRONG" if gap.words.is_wrong else "note "
            details = ", ".join(f"{name} {value}" for name, value in gap.details.items())
            click.echo(f"{sign}  {gap.subject}: {gap.words.says} ({gap.code}, {gap.count}{details and f'; {details}'})")
            click.echo(f"       {gap.words.next_step}")
        if not found:
            click.echo("No gap in the evidence is known.")
    if any(each.words.is_wrong for each in found):
        ctx.exit(1)


@zoom.command()
@session_argument
@json_option
def reconcile(session_id: int, as_json: bool) -> None:
    """Ask Zoom now, outside the plan, who was in a session that is over, and settle the attendance with its answer.

    Shows for each person how many seconds the report differs from the webhooks, and why. Two equal answers settle a
    report if Zoom was asked for the second after it gave the first; on the day of the session five minutes must lie
    between. Exit code 1 if Zoom gave no report of a part of the session; its reports of the other parts are kept.
    """
    with open_context() as context:
        outcomes = ReportReader(context.database, zoom_api(context), context.clock).read_now(session_id)
        settle_now(context, session_id)
        with context.database.read() as connection:
            session = live_sessions.show(connection, session_id)
            people = [listed(each, COMPARED) for each in queries.of_session(connection, session_id)]
    instances = [listed(each, OUTCOME) for each in outcomes]
    if as_json:
        about = {"id": session.id, "module": session.module_id, "state": session.state}
        print_json({"session": about, "instances": instances, "people": people})
    else:
        click.echo(f"live session {session.id}, module {session.module_id}: {session.state}")
        print_rows(instances, as_json)
        print_rows(people, as_json)
    refused = next((each.refusal for each in outcomes if each.rows is None and each.refusal), None)
    if refused:
        raise refused


@zoom.command()
@session_argument
@json_option
def reports(session_id: int, as_json: bool) -> None:
    """List every time Zoom was asked for the reports of a live session: what came, or the code of the refusal."""
    with open_context() as context, context.database.read() as connection:
        session = live_sessions.show(connection, session_id)
        fetches = [listed(each, FETCH) for each in zoom_reports.history(connection, session_id)]
        next_at = zoom_reports.next_ask(connection, session) if context.settings.has_zoom_api else None
    if as_json:
        print_json({"session": session_id, "next_at": next_at, "fetches": fetches})
        return
    print_rows(fetches, as_json)
    click.echo(f"Zoom is asked next at {next_at.isoformat()}" if next_at else "Zoom is not asked again.")


@zoom.command()
@session_argument
@click.option("--reason", required=True, help="Why no report is to be expected; kept in the audit log.")
def waive(session_id: int, reason: str) -> None:
    """Stop waiting for the reports that Zoom does not give of a live session, and use the webhooks alone.

    Possible from a day after the session. Doubtful attendance still needs a review; a late report still counts.
    """
    with open_context() as context, context.database.write() as connection:
        count = zoom_reports.waive_report(connection, session_id, actor="cli", reason=reason, now=context.clock())
    click.echo(f"reports no longer waited for: {count}; the attendance of live session {session_id} is settled next")


@zoom.command()
@click.option(
    "--since", type=INSTANT, help="From this moment on, such as 2026-12-01T17:00:00Z; usually seven days ago."
)
@click.option("--dry-run", is_flag=True, help="Say what is missing, and change nothing.")
@json_option
def recover(since: datetime | None, dry_run: bool, as_json: bool) -> None:
    """Look up in Zoom's log of deliveries what never arrived here, and put it into the inbox.

    Zoom keeps the log for seven days. `missing` are the events that the inbox lacked, by kind; without --dry-run they
    are in it now, marked as read from the log, and the worker settles the sessions that they touch. `unreadable` are
    bodies that Zoom's log holds in part only: they are kept as they came and are not read. The worker does the same by
    itself, every hour for what failed and after each session for all of it.
    """
    with open_context() as context:
        found = LogReader(context.database, zoom_api(context), context.clock).recover(since, dry_run=dry_run)
    columns: Columns = {
        "rows": "rows",
        "known": "known",
        "missing": lambda each: dict(each.added),
        "unreadable": "unreadable",
        "dry_run": lambda _: dry_run,
    }
    print_fields(found, as_json, columns)
