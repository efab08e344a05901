"""The inbox: what Zoom delivered, durable before Zoom is told so.

One thread writes. It takes everything that waits, writes it in one transaction, and wakes the requests once that is
committed: a burst costs one commit a group, not one a delivery.
"""

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, Full, Queue
from typing import Any, Literal

from sqlalchemy import Connection, Dialect

from lti_tool.db import Database
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
        self._insertion = _Insertion(database.engine.dialect)
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

    def _insert(self, rows: Sequence[dict[str, Any]]) -> set[str]:
        """Insert in one transaction; the keys that were new. A group in which all is new, as nearly always, needs no
        question which ones are."""
        unique = {row["dedupe_key"]: row for row in reversed(rows)}
        try:
            self._insert_new(list(unique.values()))
        except _SomeKnownError:
            return self._insert_singly(unique.values())
        return set(unique)

    def _insert_new(self, rows: list[dict[str, Any]]) -> None:
        with self._database.write() as connection:
            if self._insertion.execute(connection, rows) < len(rows):
                raise _SomeKnownError

    def _insert_singly(self, rows: Iterable[dict[str, Any]]) -> set[str]:
        with self._database.write() as connection:
            return {row["dedupe_key"] for row in rows if self._insertion.execute(connection, [row])}


class _SomeKnownError(Exception):
    """Some row of a group was there already: nothing of the group has been written."""


class _Insertion:
    """One INSERT … ON CONFLICT DO NOTHING for a whole group.

    Each call of the database driver lets the other threads run and then waits for its turn again, so a group is one
    call. SQLAlchemy would build such a statement anew each time; here its text is made once for each size.
    """

    def __init__(self, dialect: Dialect) -> None:
        columns = [column for column in zoom_inbox.c if column.name not in ("id", "taken_at")]
        self._names = [column.name for column in columns]
        self._processors = [each.type.dialect_impl(dialect).bind_processor(dialect) for each in columns]
        self._placeholder = "?" if dialect.paramstyle == "qmark" else "%s"
        self._texts: dict[int, str] = {}

    def execute(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert these rows; how many were new."""
        text = self._texts.setdefault(len(rows), self._text(len(rows)))
        return connection.exec_driver_sql(text, tuple(value for row in rows for value in self._values(row))).rowcount

    def _values(self, row: Mapping[str, Any]) -> Iterator[Any]:
        for name, process in zip(self._names, self._processors, strict=True):
            yield process(row[name]) if process else row[name]

    def _text(self, size: int) -> str:
        row = f"({', '.join([self._placeholder] * len(self._names))})"
        values = ", ".join([row] * size)
        return f"INSERT INTO {zoom_inbox.name} ({', '.join(self._names)}) VALUES {values} ON CONFLICT DO NOTHING"


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
