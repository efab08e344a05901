"""The second way back for lost deliveries: Zoom's own log of them (zoom.md §6).

Every hour Zoom is asked what failed; after a class, for everything it delivered during that class. An event that the
inbox lacks is put into it, marked as read from the log, and counts like a delivery. Each reading is on record, so a
restart neither loses nor repeats one.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select

from lti_tool.attendance.settlement import LAST_WORD
from lti_tool.db import Database
from lti_tool.errors import BadInput, GatehouseError
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.zoom import zoom_inbox, zoom_log_reads
from lti_tool.tasks import enqueue
from zoom_adapter.api import ZoomApi
from zoom_adapter.events import NO_SECRET, VIA, Logged, LogReading, content_key, read_log
from zoom_adapter.inbox import Delivery, Inbox
from zoom_adapter.reports import BEFORE_START, RECONCILABLE, Session, over_at

log = logging.getLogger(__name__)

RECOVER = "recover"
EVERY = timedelta(hours=1)
# Zoom keeps seven days; the few minutes are for the way there.
KEPT = timedelta(days=7) - timedelta(minutes=5)
# What was read last time is read again by so much: a row may be written late.
OVERLAP = timedelta(minutes=15)
# A class is looked up soon after its end, and once more when Zoom's last retry has come.
STEPS = (timedelta(minutes=10), LAST_WORD + timedelta(minutes=5))
# How long an event may wait for its place in the inbox: nobody is at the other end.
APPEND_SECONDS = 20.0
KEYS_IN_ONE_QUERY = 500


class Recovery(NamedTuple):
    """What one reading of the log gave: its rows, events that the inbox has, those it lacked (`added`, by event), and
    bodies that cannot be read."""

    rows: int
    known: int
    added: Mapping[str, int]
    unreadable: int


class Window(NamedTuple):
    """A part of the log that is to be read: what failed in it or, of a live session, everything."""

    since: datetime
    until: datetime
    session_id: int | None = None


@dataclass(frozen=True, slots=True)
class LogReader:
    """Reads Zoom's log by the plan. `plan` is a periodic job, `read_due` the handler of the tasks it makes; without
    credentials, or without the app's id, there is no log to be read."""

    database: Database
    api: ZoomApi | None
    clock: Callable[[], datetime]

    def plan(self) -> bool:
        """Ask for a task for everything that is due. Never asks to be run again at once."""
        if self.api is None or not self.api.has_log:
            return False
        now = self.clock()
        with self.database.read() as connection:
            found = due(connection, now)
        if found:
            with self.database.write() as connection:
                for each in found:
                    payload = {"session_id": each.session_id}
                    enqueue(connection, RECOVER, f"session:{each.session_id or 'none'}", payload, now=now)
        return False

    def read_due(self, payload: Mapping[str, Any]) -> None:
        """Read what is due of one live session, or of what failed. What was read in the meantime is not read again, and
        a refusal is on record: the plan comes back to it."""
        with self.database.read() as connection:
            found = [each for each in due(connection, self.clock()) if each.session_id == payload["session_id"]]
        for window in found:
            try:
                self._read_on_record(window)
            except GatehouseError as refusal:
                self._record(window, code=refusal.code)
                log.warning("zoom's log could not be read", extra={"code": refusal.code, "session": window.session_id})

    def recover(self, since: datetime | None = None, *, dry_run: bool = False) -> Recovery:
        """Read everything since an instant (seven days ago at most, and by default) up to now; with `dry_run` only say
        what is missing.

        Raises BadInput "zoom_api_unset", ZoomRefused, NoAnswer, InboxUnavailable.
        """
        now = self.clock()
        opens = max(since or now - KEPT, now - KEPT)
        reading = self._fetch(Window(opens, now), failed_only=False)
        missing = self._missing(reading)
        if not dry_run:
            self._append(missing)
        return _recovery(reading, missing)

    def _read_on_record(self, window: Window) -> None:
        reading = self._fetch(window, failed_only=window.session_id is None)
        missing = self._missing(reading)
        self._append(missing)
        self._record(window, row_count=reading.rows, added=len(missing), unreadable=reading.unreadable)
        if missing:
            log.warning("deliveries were lost; zoom's log had them", extra={"count": len(missing)})

    def _fetch(self, window: Window, *, failed_only: bool) -> LogReading:
        if self.api is None:
            raise BadInput(
                "zoom_api_unset",
                "Zoom cannot be asked: the tool has no credentials for its REST interface.",
                "Set GATEHOUSE_ZOOM_ACCOUNT_ID, GATEHOUSE_ZOOM_CLIENT_ID and GATEHOUSE_ZOOM_CLIENT_SECRET.",
            )
        return read_log(self.api.webhook_log(window.since, window.until, failed_only=failed_only))

    def _missing(self, reading: LogReading) -> list[Logged]:
        """What was neither delivered nor read from the log before."""
        keys = {each: {key, content_key(each.notice, each.body)} for key, each in reading.events.items()}
        with self.database.read() as connection:
            known = _known(connection, list(chain.from_iterable(keys.values())))
        return [each for each, own in keys.items() if known.isdisjoint(own)]

    def _append(self, missing: Collection[Logged]) -> None:
        """Through the inbox, as deliveries come: one of them may arrive by itself at this very moment."""
        inbox = Inbox(self.database)
        try:
            for each in missing:
                headers = {**VIA, "x-zm-request-id": each.request_id}
                delivery = Delivery(each.notice, each.body, headers, NO_SECRET, self.clock())
                inbox.append(delivery, APPEND_SECONDS)
        finally:
            inbox.close()

    def _record(self, window: Window, **found: Any) -> None:
        row = {"live_session_id": window.session_id, "since": window.since, "until": window.until}
        with self.database.write() as connection:
            connection.execute(insert(zoom_log_reads).values(**row, **found, read_at=self.clock()))


def due(connection: Connection, now: datetime) -> list[Window]:
    """What is to be read now: what failed since the last hourly reading, and each class whose next step has come."""
    failed = _failed(connection, now)
    return [*([failed] if failed else []), *_classes(connection, now)]


def _failed(connection: Connection, now: datetime) -> Window | None:
    """An hour after the last reading, whatever it gave; from where the last good one ended."""
    hourly = zoom_log_reads.c.live_session_id.is_(None)
    asked_at = connection.scalar(select(func.max(zoom_log_reads.c.read_at)).where(hourly))
    if asked_at is not None and now - asked_at < EVERY:
        return None
    read = select(func.max(zoom_log_reads.c.until)).where(hourly, zoom_log_reads.c.code.is_(None))
    until = connection.scalar(read)
    earliest = now - KEPT
    return Window(max(until - OVERLAP, earliest) if until else earliest, now)


def _classes(connection: Connection, now: datetime) -> Iterator[Window]:
    over = live_sessions.c.ends_at.between(now - KEPT, now)
    query = select(live_sessions).where(live_sessions.c.state.in_(RECONCILABLE), over).order_by(live_sessions.c.id)
    sessions = connection.execute(query).all()
    reads = _reads(connection, [each.id for each in sessions])
    for session in sessions:
        if _is_due(session, reads.get(session.id, ()), now):
            window = _window(session, now)
            if window.since < window.until:
                yield window


def _window(session: Session, now: datetime) -> Window:
    """From when people come in until Zoom's last retry, as far as Zoom still knows."""
    since = max(session.starts_at - BEFORE_START, now - KEPT)
    return Window(since, min(now, over_at(session) + STEPS[-1]), session.id)


def _reads(connection: Connection, session_ids: Sequence[int]) -> dict[int, list[tuple[datetime, bool]]]:
    """When the log was read for each of these live sessions, and whether it could be."""
    columns = (zoom_log_reads.c.live_session_id, zoom_log_reads.c.read_at, zoom_log_reads.c.code)
    found: dict[int, list[tuple[datetime, bool]]] = {}
    query = select(*columns).where(zoom_log_reads.c.live_session_id.in_(session_ids))
    for session_id, read_at, code in connection.execute(query):
        found.setdefault(session_id, []).append((read_at, code is None))
    return found


def _is_due(session: Session, reads: Sequence[tuple[datetime, bool]], now: datetime) -> bool:
    """Whether a step has come after which nothing was read yet; after a refusal not before an hour has passed."""
    steps = [at for at in (over_at(session) + step for step in STEPS) if at <= now]
    is_read = any(is_good and read_at >= steps[-1] for read_at, is_good in reads) if steps else True
    is_resting = any(not is_good and now - read_at < EVERY for read_at, is_good in reads)
    return not is_read and not is_resting


def _known(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Which of these keys the inbox has."""
    known: set[str] = set()
    for first in range(0, len(keys), KEYS_IN_ONE_QUERY):
        some = zoom_inbox.c.dedupe_key.in_(keys[first : first + KEYS_IN_ONE_QUERY])
        known |= set(connection.execute(select(zoom_inbox.c.dedupe_key).where(some)).scalars())
    return known


def _recovery(reading: LogReading, missing: Sequence[Logged]) -> Recovery:
    added: dict[str, int] = {}
    for each in missing:
        name = each.notice.event or "unreadable"
        added[name] = added.get(name, 0) + 1
    return Recovery(reading.rows, len(reading.events) - len(missing), added, reading.unreadable)
