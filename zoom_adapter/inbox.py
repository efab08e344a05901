"""The inbox: it makes Zoom's deliveries durable before Zoom gets an answer, and counts the refused ones.

Deliveries are appended in groups (lti_tool/group_commit.py). Refusals are counted in memory and written every few
seconds, since anyone can cause one: a flood of refused requests must not become a flood of writes.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Connection, func, select

from lti_tool.db import Database, upsert
from lti_tool.errors import GatehouseError
from lti_tool.group_commit import NotStored, group_inserter
from lti_tool.intervals import Interval
from lti_tool.tables.zoom import zoom_inbox, zoom_refusals
from zoom_adapter.events import ZoomEvent, content_key

log = logging.getLogger(__name__)

# Our clock is no evidence of presence (zoom.md §4), but an event further ahead of it than this has not happened.
FURTHEST_AHEAD = timedelta(days=1)
FLUSH_SECONDS = 5.0
# Counted apart: after six challenges without a good answer Zoom stops sending.
CHALLENGE_WRONG = "zoom_challenge_wrong"
# Counted, though not refused: Zoom got a 2xx, because the delivery was stored before.
DUPLICATE = "duplicate"

Stored = Literal["stored", "duplicate"]


class InboxUnavailable(GatehouseError):
    """The delivery could not be made durable in time. Zoom sends again after a 503, and after nothing below 500."""

    status = 503


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery with a valid signature, or one event from Zoom's own log.

    `headers` are those that prove it or help to find it at Zoom. `secret_position` is 0 for the current secret and 1
    for the previous one; `secret_mark` is its fingerprint, None if the event was read from the log.
    """

    event: ZoomEvent
    body: bytes
    headers: Mapping[str, str]
    secret_position: int
    received_at: datetime
    secret_mark: str | None = None

    def row(self) -> dict[str, Any]:
        """The values of its row in `zoom_inbox`."""
        at = self.event.at
        return {
            "dedupe_key": content_key(self.event, self.body),
            "event": self.event.event_type[:96],
            "meeting_id": self.event.meeting_id[:32] or None,
            "meeting_uuid": self.event.meeting_uuid[:128] or None,
            "happened_at": at if at and at <= self.received_at + FURTHEST_AHEAD else None,
            "body": self.body,
            "headers": dict(self.headers),
            "secret_position": self.secret_position,
            "secret_mark": self.secret_mark,
            "stale": self.event.stale,
            "received_at": self.received_at,
        }


class Inbox:
    """Appends deliveries to the table `zoom_inbox`. May be used by any number of threads."""

    def __init__(self, database: Database) -> None:
        self._rows = group_inserter(database, zoom_inbox, key="dedupe_key", without=("id", "taken_at"))

    def append(self, delivery: Delivery, timeout: float = -1) -> Stored:
        """Return once the delivery is on disk: "stored", or "duplicate" if its content was there before.

        Raises InboxUnavailable after `timeout` seconds (-1: never), or at once if the database refuses.
        """
        try:
            return "stored" if self._rows.submit(delivery.row(), timeout) else "duplicate"
        except NotStored as error:
            raise InboxUnavailable(
                "zoom_inbox_unavailable", "The delivery could not be stored.", "Send it again later; nothing was lost."
            ) from error

    def close(self) -> None:
        """Write all waiting deliveries, then stop. Later ones are refused."""
        self._rows.close()


@dataclass(slots=True)
class _Count:
    number: int
    last_at: datetime


class Refusals:
    """Counts refusals by day (UTC) and code. May be used by any number of threads; `close` writes the rest."""

    def __init__(self, database: Database, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._database = database
        self._flush_seconds = flush_seconds
        self._counts: dict[tuple[date, str], _Count] = {}
        self._timer: threading.Timer | None = None
        self._closed = False
        self._lock = threading.Lock()

    def count(self, code: str, now: datetime) -> None:
        """Count one more of this code. Never waits for the database and never raises."""
        self._add({(now.date(), code): _Count(1, now)})

    def flush(self) -> None:
        """Write the counts. Counts that cannot be written are kept for the next time."""
        with self._lock:
            counts, self._counts, self._timer = self._counts, {}, None
        if not counts:
            return
        rows = [
            {"day": day, "code": code, "count": each.number, "last_at": each.last_at}
            for (day, code), each in sorted(counts.items())
        ]
        try:
            with self._database.write() as connection:
                new = upsert(connection, zoom_refusals).values(rows)
                more = {"count": zoom_refusals.c.count + new.excluded.count, "last_at": new.excluded.last_at}
                connection.execute(new.on_conflict_do_update(index_elements=["day", "code"], set_=more))
        except Exception as error:
            log.error("refusals could not be counted", extra={"error": type(error).__name__, "count": len(counts)})
            self._add(counts)

    def close(self) -> None:
        """Write the counts, and start no more timers."""
        with self._lock:
            self._closed, timer = True, self._timer
        if timer:
            timer.cancel()
        self.flush()

    def _add(self, more: Mapping[tuple[date, str], _Count]) -> None:
        """Add these counts, and start the timer that writes them."""
        with self._lock:
            for key, each in more.items():
                known = self._counts.setdefault(key, _Count(0, each.last_at))
                known.number += each.number
                known.last_at = max(known.last_at, each.last_at)
            if self._timer is None and not self._closed:
                self._timer = threading.Timer(self._flush_seconds, self.flush)
                self._timer.daemon = True
                self._timer.start()


def instance_bounds(connection: Connection, meeting_id: str) -> dict[str, Interval]:
    """From the first to the last event of each instance of a meeting id, by uuid; registrations have no time.

    An id has the instances of many months, and each of them a day's events. So this goes in steps through the index:
    from uuid to uuid, and to both ends of each.
    """
    uuid, at = zoom_inbox.c.meeting_uuid, zoom_inbox.c.happened_at
    of_meeting = zoom_inbox.c.meeting_id == meeting_id
    first = select(func.min(uuid).label("uuid")).where(of_meeting)
    step = first.cte(recursive=True)
    following = first.where(uuid > step.c.uuid).scalar_subquery()
    found = step.union_all(select(following).where(step.c.uuid.is_not(None)))
    ends = (select(end(at)).where(of_meeting, uuid == found.c.uuid).scalar_subquery() for end in (func.min, func.max))
    rows = connection.execute(select(found.c.uuid, *ends).where(found.c.uuid.is_not(None)))
    return {uuid: Interval(first_at, last_at) for uuid, first_at, last_at in rows if first_at is not None}


def since(connection: Connection, day: date) -> dict[str, tuple[int, datetime]]:
    """Code → how often since the beginning of this day (UTC), and when last; only counts already written."""
    table = zoom_refusals
    query = select(table.c.code, func.sum(table.c.count), func.max(table.c.last_at)).where(table.c.day >= day)
    return {code: (int(count), last) for code, count, last in connection.execute(query.group_by(table.c.code))}
