"""Recovers lost webhook deliveries from Zoom's own delivery log (zoom.md §6).

Every hour Gatehouse reads the deliveries that failed; after a class, everything that Zoom delivered during that class.
An event missing from the inbox is added to it, marked as read from the log, and counts like a delivery. Each reading is
recorded, so a restart neither loses nor repeats one.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select

from lti_tool.attendance.settlement import LAST_WORD
from lti_tool.db import Database, chunks
from lti_tool.errors import GatehouseError
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.zoom import zoom_inbox, zoom_log_reads
from lti_tool.tasks import enqueue
from zoom_adapter.api import ZoomApi, verify_configured
from zoom_adapter.events import NO_SECRET, VIA, Logged, LogReading, content_key, read_log
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.reports import BEFORE_START, RECONCILABLE, over_at

log = logging.getLogger(__name__)

RECOVER = "recover"
EVERY = timedelta(hours=1)
# Zoom keeps its log for seven days; the five minutes allow for the time that a request takes.
KEPT = timedelta(days=7) - timedelta(minutes=5)
# Each hourly reading repeats this much of the one before: Zoom may write a row late.
OVERLAP = timedelta(minutes=15)
# A class is read soon after its end, and again after Zoom's last retry.
READ_AFTER = (timedelta(minutes=10), LAST_WORD + timedelta(minutes=5))
# How long an event may wait for the inbox: no sender is waiting for an answer.
APPEND_SECONDS = 20.0
MAX_KEYS_PER_QUERY = 500


class Recovery(NamedTuple):
    """The result of one reading: its rows, the events that the inbox knew, those it lacked, by event (`added`), and the
    unreadable bodies."""

    rows: int
    known: int
    added: Mapping[str, int]
    unreadable: int


class Window(NamedTuple):
    """A part of the log to read: everything for a live session, else only what failed."""

    since: datetime
    until: datetime
    session_id: int | None = None


@dataclass(frozen=True, slots=True)
class LogReader:
    """Reads Zoom's log by the plan; does nothing without Zoom credentials or without the app's id.

    `plan` is a periodic job; `read_due` handles the tasks that it enqueues.
    """

    database: Database
    api: ZoomApi | None
    clock: Callable[[], datetime]

    def plan(self) -> bool:
        """Enqueue a task for everything that is due. Always returns False: nothing is left to do."""
        if self.api is None or not self.api.has_log:
            return False
        now = self.clock()
        with self.database.read() as connection:
            found = due(connection, now)
        if found:
            with self.database.write() as connection:
                for each in found:
                    payload = {"session_id": each.session_id}
                    key = f"session:{each.session_id or 'none'}"
                    enqueue(connection, RECOVER, key, payload, now=now, unless_in_hand=True)
        return False

    def read_due(self, payload: Mapping[str, Any]) -> None:
        """Read what is due for one live session, or the deliveries that failed.

        What was read in the meantime is not read again. A refusal is recorded, and the plan tries again later.
        """
        with self.database.read() as connection:
            found = [each for each in due(connection, self.clock()) if each.session_id == payload["session_id"]]
        for window in found:
            try:
                reading = self._fetch(window, failed_only=window.session_id is None)
                missing = self._missing(reading)
                self._append(missing)
            except GatehouseError as refusal:
                self._record(window, code=refusal.code)
                log.warning("zoom's log could not be read", extra={"code": refusal.code, "session": window.session_id})
                continue
            self._record(window, row_count=reading.rows, added=len(missing), unreadable=reading.unreadable)
            if missing:
                log.warning("deliveries were lost; zoom's log had them", extra={"count": len(missing)})

    def recover(self, since: datetime | None = None, *, dry_run: bool = False) -> Recovery:
        """Read everything since an instant (by default, and at most, seven days ago); with `dry_run`, add nothing.

        Raises BadInput "zoom_api_unset", ZoomRefused, NoAnswer, InboxUnavailable.
        """
        now = self.clock()
        opens = max(since or now - KEPT, now - KEPT)
        reading = self._fetch(Window(opens, now), failed_only=False)
        missing = self._missing(reading)
        if not dry_run:
            self._append(missing)
        added = Counter(each.event.event_type or "unreadable" for each in missing)
        return Recovery(reading.rows, len(reading.events) - len(missing), added, reading.unreadable)

    def _fetch(self, window: Window, *, failed_only: bool) -> LogReading:
        return read_log(verify_configured(self.api).webhook_log(window.since, window.until, failed_only=failed_only))

    def _missing(self, reading: LogReading) -> list[Logged]:
        """The events that were neither delivered nor read from the log before."""
        keys = {each: {key, content_key(each.event, each.body)} for key, each in reading.events.items()}
        known: set[str] = set()
        with self.database.read() as connection:
            for some in chunks(list(chain.from_iterable(keys.values())), MAX_KEYS_PER_QUERY):
                query = select(zoom_inbox.c.dedupe_key).where(zoom_inbox.c.dedupe_key.in_(some))
                known |= set(connection.scalars(query))
        return [each for each, own in keys.items() if known.isdisjoint(own)]

    def _append(self, missing: Collection[Logged]) -> None:
        """Append through the inbox, as a delivery does: Zoom may deliver the same event at this moment."""
        inbox = Inbox(self.database)
        try:
            for each in missing:
                headers = {**VIA, "x-zm-request-id": each.request_id}
                delivery = Delivery(each.event, each.body, headers, NO_SECRET, self.clock())
                inbox.append(delivery, APPEND_SECONDS)
        finally:
            inbox.close()

    def _record(self, window: Window, **found: Any) -> None:
        row = {"live_session_id": window.session_id, "since": window.since, "until": window.until}
        with self.database.write() as connection:
            connection.execute(insert(zoom_log_reads).values(**row, **found, read_at=self.clock()))


def due(connection: Connection, now: datetime) -> list[Window]:
    """What to read now: what failed since the last hourly reading, and each class whose next step is due."""
    hourly = zoom_log_reads.c.live_session_id.is_(None)
    asked_at = connection.scalar(select(func.max(zoom_log_reads.c.read_at)).where(hourly))
    if asked_at is not None and now - asked_at < EVERY:
        return list(_classes(connection, now))
    read = select(func.max(zoom_log_reads.c.until)).where(hourly, zoom_log_reads.c.code.is_(None))
    until, earliest = connection.scalar(read), now - KEPT
    failed = Window(max(until - OVERLAP, earliest) if until else earliest, now)
    return [failed, *_classes(connection, now)]


def _classes(connection: Connection, now: datetime) -> Iterator[Window]:
    """Each class of which a step has passed without a successful reading since; never within an hour of a refusal."""
    over = live_sessions.c.ends_at.between(now - KEPT, now)
    query = select(live_sessions).where(live_sessions.c.state.in_(RECONCILABLE), over).order_by(live_sessions.c.id)
    sessions = connection.execute(query).all()
    columns = (zoom_log_reads.c.live_session_id, zoom_log_reads.c.read_at, zoom_log_reads.c.code)
    of_sessions = zoom_log_reads.c.live_session_id.in_([each.id for each in sessions])
    reads: dict[int, list[tuple[datetime, bool]]] = {}
    for session_id, read_at, code in connection.execute(select(*columns).where(of_sessions)):
        reads.setdefault(session_id, []).append((read_at, code is None))
    for session in sessions:
        # From the first arrivals until Zoom's last retry, as far back as Zoom still knows.
        since = max(session.starts_at - BEFORE_START, now - KEPT)
        until = min(now, over_at(session) + READ_AFTER[-1])
        steps = [at for at in (over_at(session) + step for step in READ_AFTER) if at <= now]
        made = reads.get(session.id, ())
        is_read = not steps or any(is_good and read_at >= steps[-1] for read_at, is_good in made)
        is_resting = any(not is_good and now - read_at < EVERY for read_at, is_good in made)
        if since < until and not is_read and not is_resting:
            yield Window(since, until, session.id)
