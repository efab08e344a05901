"""The inbox: what Zoom delivered, durable before Zoom is told so.

One thread writes. It takes everything that waits, writes it in one transaction, and wakes the requests once that is
committed: a burst costs one commit a group, not one a delivery.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import SimpleQueue
from typing import Any, Literal

from lti_tool.db import Database
from lti_tool.errors import GatehouseError
from zoom_adapter.inbox_table import InboxTable
from zoom_adapter.schemas import Notice, content_key

log = logging.getLogger(__name__)

# Zoom waits three seconds for an answer; what is left is for the way there and back.
APPEND_SECONDS = 2.0
MOST_IN_ONE_COMMIT = 256
# While deliveries come faster than commits, a moment's wait makes fewer and larger groups; a lone one never waits.
GATHER_SECONDS = 0.002
MOST_WAITING = 10_000
# Our clock makes no presence (zoom.md §4), but what lies further ahead of it than this has not happened.
FURTHEST_AHEAD = timedelta(days=1)

Stored = Literal["stored", "duplicate"]


class InboxUnavailable(GatehouseError):
    """The delivery could not be made durable in time. Zoom retries after a 503, and after nothing below 500."""

    status = 503


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery with a valid signature. `body` is kept as it came; `headers` are those that prove it or help to find
    it at Zoom; `secret_position` is 0 for the current secret and 1 for the previous one, and `secret_mark` its
    fingerprint (None: nobody signed it; it was read from Zoom's own log of deliveries)."""

    notice: Notice
    body: bytes
    headers: Mapping[str, str]
    secret_position: int
    received_at: datetime
    secret_mark: str | None = None


@dataclass(slots=True)
class _Waiting:
    """A request that waits for its row: `done` is released once the row's fate is known, `outcome` is None when it
    could not be stored, `given_up` is set when nobody waits any more."""

    row: dict[str, Any]
    done: threading.Lock
    outcome: Stored | None = None
    given_up: bool = False


class Inbox:
    """Appends deliveries to the table `zoom_inbox`. May be used by any number of threads."""

    def __init__(self, database: Database) -> None:
        self._table = InboxTable(database)
        self._waiting: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._writer: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._is_busy = False

    def append(self, delivery: Delivery, timeout: float = APPEND_SECONDS) -> Stored:
        """Return once the delivery is on disk: "stored", or "duplicate" if its content is there already.

        Raises InboxUnavailable after `timeout` seconds, or at once when the database refuses.
        """
        waiting = _Waiting(_row(delivery), threading.Lock())
        waiting.done.acquire()
        self._enqueue(waiting)
        waiting.given_up = not waiting.done.acquire(timeout=timeout)
        if waiting.outcome is None:
            raise _unavailable()
        return waiting.outcome

    def close(self) -> None:
        """Write what waits, then stop. What comes later is refused."""
        with self._lock:
            self._closed = True
            writer = self._writer
        if writer:
            self._waiting.put(None)
            writer.join()
        self._table.close()

    def _enqueue(self, waiting: _Waiting) -> None:
        with self._lock:
            if self._closed or self._waiting.qsize() > MOST_WAITING:
                raise _unavailable()
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_forever, name="zoom-inbox", daemon=True)
                self._writer.start()
            self._waiting.put(waiting)

    def _write_forever(self) -> None:
        while (group := self._next_group()) is not None:
            # A request that has given up was answered 503 and comes again.
            current = [waiting for waiting in group if not waiting.given_up]
            if current:
                self._write_group(current)

    def _next_group(self) -> list[_Waiting] | None:
        """Wait for a delivery and take what waits behind it; None once the inbox is closed and empty."""
        first = self._waiting.get()
        if first is None:
            return None
        if self._is_busy:
            time.sleep(GATHER_SECONDS)
        group = [first]
        while len(group) < MOST_IN_ONE_COMMIT and not self._waiting.empty():
            waiting = self._waiting.get()
            if waiting is None:
                self._waiting.put(None)
                break
            group.append(waiting)
        self._is_busy = len(group) > 1
        return group

    def _write_group(self, group: Sequence[_Waiting]) -> None:
        """Whatever happens, nobody is left waiting."""
        try:
            new = self._insert([waiting.row for waiting in group])
        except Exception as error:
            log.error("deliveries could not be stored", extra={"error": type(error).__name__, "count": len(group)})
        else:
            for waiting in group:
                key = waiting.row["dedupe_key"]
                waiting.outcome = "stored" if key in new else "duplicate"
                new.discard(key)
        for waiting in group:
            waiting.done.release()

    def _insert(self, rows: Sequence[dict[str, Any]]) -> set[str]:
        """Insert in one transaction; the keys that were new. In the order of the keys: overlapping subscriptions give
        two processes the same events in different orders, and on PostgreSQL each would wait for a key that the other
        has just written."""
        unique = {row["dedupe_key"]: row for row in reversed(rows)}
        return self._table.insert([unique[key] for key in sorted(unique)])


def _row(delivery: Delivery) -> dict[str, Any]:
    notice = delivery.notice
    return {
        "dedupe_key": content_key(notice, delivery.body),
        "event": notice.event[:96],
        "meeting_id": notice.meeting_id[:32] or None,
        "meeting_uuid": notice.meeting_uuid[:128] or None,
        "happened_at": notice.at if notice.at and notice.at <= delivery.received_at + FURTHEST_AHEAD else None,
        "body": delivery.body,
        "headers": dict(delivery.headers),
        "secret_position": delivery.secret_position,
        "secret_mark": delivery.secret_mark,
        "stale": notice.stale,
        "received_at": delivery.received_at,
    }


def _unavailable() -> InboxUnavailable:
    return InboxUnavailable(
        "zoom_inbox_unavailable",
        "The delivery could not be stored.",
        "Send it again later; nothing was lost.",
    )
