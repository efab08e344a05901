"""The inbox: what Zoom delivered, durable before Zoom is told so.

One thread writes. It takes everything that waits, writes it in one transaction, and wakes the requests once that is
committed: a burst costs one commit a group, not one a delivery.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, Full, Queue
from typing import Any, Literal

from lti_tool.db import Database, insert_ignoring
from lti_tool.errors import GatehouseError
from lti_tool.tables.evidence import zoom_inbox
from zoom_adapter.schemas import Notice, content_key

log = logging.getLogger(__name__)

# Zoom waits three seconds for an answer; what is left is for the way there and back.
APPEND_SECONDS = 2.0
MOST_IN_ONE_COMMIT = 256
MOST_WAITING = 10_000

Stored = Literal["stored", "duplicate"]


class InboxUnavailable(GatehouseError):
    """The delivery could not be made durable in time. Zoom retries after a 503, and after nothing below 500."""

    status = 503


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery with a valid signature. `body` is kept as it came; `headers` are the few that are worth keeping;
    `secret_position` is 0 for the current secret and 1 for the previous one."""

    notice: Notice
    body: bytes
    headers: Mapping[str, str]
    secret_position: int
    received_at: datetime


class Inbox:
    """Appends deliveries to the table `zoom_inbox`. May be used by any number of threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: Queue[tuple[dict[str, Any], Future[Stored]] | None] = Queue(MOST_WAITING)
        self._writer: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    def append(self, delivery: Delivery, timeout: float = APPEND_SECONDS) -> Stored:
        """Return once the delivery is on disk: "stored", or "duplicate" if its content is there already.

        Raises InboxUnavailable after `timeout` seconds, or at once when the database refuses.
        """
        answer: Future[Stored] = Future()
        try:
            self._enqueue((_row(delivery), answer))
            return answer.result(timeout)
        except (Full, FutureTimeout) as error:
            answer.cancel()
            raise _unavailable() from error

    def close(self) -> None:
        """Write what waits, then stop. What comes later is refused."""
        with self._lock:
            self._closed = True
            writer = self._writer
        if writer:
            self._waiting.put(None)
            writer.join()

    def _enqueue(self, item: tuple[dict[str, Any], Future[Stored]]) -> None:
        with self._lock:
            if self._closed:
                raise _unavailable()
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_forever, name="zoom-inbox", daemon=True)
                self._writer.start()
            self._waiting.put_nowait(item)

    def _write_forever(self) -> None:
        while (group := self._next_group()) is not None:
            # A request that has given up was answered 503 and comes again.
            current = [item for item in group if item[1].set_running_or_notify_cancel()]
            if current:
                self._write_group(current)

    def _next_group(self) -> list[tuple[dict[str, Any], Future[Stored]]] | None:
        """Wait for a delivery and take what waits behind it; None once the inbox is closed and empty."""
        first = self._waiting.get()
        if first is None:
            return None
        group = [first]
        while len(group) < MOST_IN_ONE_COMMIT:
            try:
                item = self._waiting.get_nowait()
            except Empty:
                break
            if item is None:
                self._waiting.put(None)
                break
            group.append(item)
        return group

    def _write_group(self, group: Sequence[tuple[dict[str, Any], Future[Stored]]]) -> None:
        try:
            stored = self._insert([row for row, _ in group])
        except Exception as error:
            log.error("deliveries could not be stored", extra={"error": type(error).__name__, "count": len(group)})
            for _, answer in group:
                answer.set_exception(_unavailable())
            return
        for row, answer in group:
            new = row["dedupe_key"] in stored
            stored.discard(row["dedupe_key"])
            answer.set_result("stored" if new else "duplicate")

    def _insert(self, rows: list[dict[str, Any]]) -> set[str]:
        """Insert in one transaction; the keys that were new."""
        unique = {row["dedupe_key"]: row for row in reversed(rows)}
        with self._database.write() as connection:
            statement = insert_ignoring(connection, zoom_inbox).returning(zoom_inbox.c.dedupe_key)
            return set(connection.execute(statement, list(unique.values())).scalars())


def _row(delivery: Delivery) -> dict[str, Any]:
    notice = delivery.notice
    return {
        "dedupe_key": content_key(notice, delivery.body),
        "event": notice.event[:96],
        "meeting_id": notice.meeting_id[:32] or None,
        "meeting_uuid": notice.meeting_uuid[:128] or None,
        "happened_at": notice.at,
        "body": delivery.body,
        "headers": dict(delivery.headers),
        "secret_position": delivery.secret_position,
        "stale": notice.stale,
        "received_at": delivery.received_at,
    }


def _unavailable() -> InboxUnavailable:
    return InboxUnavailable(
        "zoom_inbox_unavailable",
        "The delivery could not be stored.",
        "Send it again later; nothing was lost.",
    )
