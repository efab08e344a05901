"""Gaps in Zoom's evidence, looked for by the worker and by `gatehouse zoom health`: of the webhook as a whole.

What is asked here often is asked of indexes only: the inbox may hold millions of bodies.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, func, select, text

from lti_tool.db import Database
from lti_tool.sessions import evidence_gaps
from lti_tool.sessions.evidence_gaps import Gap, in_order
from lti_tool.tables.evidence import NOTABLE, UNTAKEN, zoom_gaps, zoom_inbox, zoom_log_reads
from lti_tool.tables.live_sessions import live_sessions
from zoom_adapter import refusals
from zoom_adapter.refusals import CHALLENGE_WRONG
from zoom_adapter.schemas import URL_VALIDATION
from zoom_adapter.session_gaps import of_sessions

# Zoom asks for a new proof every 72 hours and gives up after six failures (zoom.md §2).
CHALLENGE_EVERY = timedelta(hours=72)
CHALLENGE_OVERDUE = timedelta(hours=80)
UNREAD = timedelta(minutes=5)
NEAR = timedelta(hours=24)
# Zoom's last retry comes after 85 minutes.
RETRIES = timedelta(hours=2)
REMEMBERED = timedelta(days=7)


class Heard(NamedTuple):
    """When deliveries came (aware UTC): the first, the last, the last challenge."""

    first_at: datetime | None
    last_at: datetime | None
    challenge_at: datetime | None


def look(database: Database, quiet: timedelta, now: datetime) -> bool:
    """A periodic job: bring the records of the gaps in line with what is so. `quiet` is for how long nothing may come
    from Zoom during a session. Never asks to be run again at once."""
    with database.read() as connection:
        found = present(connection, quiet, now)
        nothing = not found and connection.execute(select(zoom_gaps.c.code).limit(1)).first() is None
    if not nothing:
        with database.write() as connection:
            evidence_gaps.record(connection, found, now)
    return False


def present(connection: Connection, quiet: timedelta, now: datetime) -> list[Gap]:
    """Every gap there is now: what loses presence first."""
    return in_order([*_of_webhook(connection, now), *of_sessions(connection, quiet, now)])


def heard(connection: Connection) -> Heard:
    """When deliveries came; what was read from Zoom's own log says nothing of the webhook."""
    delivered = zoom_inbox.c.secret_position >= 0
    received, number = zoom_inbox.c.received_at, zoom_inbox.c.id
    challenges = select(func.max(received)).where(text(NOTABLE), zoom_inbox.c.event == URL_VALIDATION)
    return Heard(
        connection.scalar(select(received).where(delivered).order_by(number).limit(1)),
        connection.scalar(select(received).where(delivered).order_by(number.desc()).limit(1)),
        connection.scalar(challenges),
    )


def _of_webhook(connection: Connection, now: datetime) -> Iterator[Gap]:
    known = heard(connection)
    yield from _never_heard(connection, known, now)
    yield from _challenge(known, now)
    yield from _refused(connection, known, now)
    yield from _unread(connection, now)
    yield from _odd(connection, now)
    yield from _log_unreadable(connection)


def _never_heard(connection: Connection, known: Heard, now: datetime) -> Iterator[Gap]:
    near = (live_sessions.c.starts_at < now + NEAR, live_sessions.c.ends_at > now - NEAR)
    if known.first_at is None:
        query = select(live_sessions.c.id).where(*near, live_sessions.c.state != "cancelled").limit(1)
        if connection.execute(query).first() is not None:
            yield Gap("never_heard")


def _challenge(known: Heard, now: datetime) -> Iterator[Gap]:
    asked = known.challenge_at or known.first_at
    if asked is not None and now - asked > CHALLENGE_OVERDUE:
        yield Gap("challenge_overdue", since=asked + CHALLENGE_OVERDUE)
    elif asked is not None and now - asked > CHALLENGE_EVERY:
        yield Gap("challenge_late", since=asked + CHALLENGE_EVERY)


def _refused(connection: Connection, known: Heard, now: datetime) -> Iterator[Gap]:
    """What was turned away, as far as nothing that came later shows that it is mended."""
    counted = refusals.since(connection, (now - REMEMBERED).date())
    mended_by = {
        "zoom_not_configured": ("not_configured", known.last_at),
        "zoom_signature_wrong": ("signatures_wrong", known.last_at),
        CHALLENGE_WRONG: ("challenge_refused", known.challenge_at),
        "zoom_inbox_unavailable": ("storing_failed", now - RETRIES),
    }
    for refusal, (code, mended_at) in mended_by.items():
        count, last_at = counted.get(refusal, (0, now))
        if count and (mended_at is None or last_at > mended_at):
            yield Gap(code, count=count, details={"last_at": last_at.isoformat()})


def _unread(connection: Connection, now: datetime) -> Iterator[Gap]:
    untaken = text(UNTAKEN)
    oldest = connection.scalar(select(zoom_inbox.c.received_at).where(untaken).order_by(zoom_inbox.c.id).limit(1))
    if oldest is not None and now - oldest > UNREAD:
        count = connection.scalar(select(func.count()).select_from(zoom_inbox).where(untaken)) or 0
        yield Gap("deliveries_unread", since=oldest, count=count)


def _odd(connection: Connection, now: datetime) -> Iterator[Gap]:
    """What Zoom signed and nobody can read, or signed at an odd time; forgotten after a while, since nothing mends
    it."""
    received = zoom_inbox.c.received_at
    kinds = (
        ("deliveries_unreadable", zoom_inbox.c.event == "", REMEMBERED),
        ("deliveries_stale", zoom_inbox.c.stale, NEAR),
    )
    for code, is_so, span in kinds:
        query = select(func.count(), func.min(received)).where(text(NOTABLE), received > now - span, is_so)
        count, first_at = connection.execute(query).one()
        if count:
            yield Gap(code, since=first_at, count=count)


def _log_unreadable(connection: Connection) -> Iterator[Gap]:
    query = select(zoom_log_reads.c.code, zoom_log_reads.c.read_at).order_by(zoom_log_reads.c.id.desc()).limit(1)
    last = connection.execute(query).first()
    if last is not None and last.code is not None:
        yield Gap("log_unreadable", since=last.read_at, details={"code": last.code})
