"""How often the webhook turned something away: counted in memory, written every few seconds.

Nobody knows who sends what is refused, so one request must never cost one write: whoever floods the webhook makes the
tool write once in `FLUSH_SECONDS`, whatever the flood.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, func, select

from lti_tool.db import Database, upsert
from lti_tool.tables.evidence import zoom_refusals

log = logging.getLogger(__name__)

FLUSH_SECONDS = 5.0
# A challenge with a wrong signature; after six that Zoom does not see answered it stops sending.
CHALLENGE_WRONG = "zoom_challenge_wrong"
# Not a refusal: Zoom was told 2xx, because the delivery was there already.
DUPLICATE = "duplicate"


@dataclass(slots=True)
class _Count:
    number: int
    last_at: datetime


class Refusals:
    """Counts by day (UTC) and code. May be used by any number of threads; `close` writes what has not been written."""

    def __init__(self, database: Database, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._database = database
        self._flush_seconds = flush_seconds
        self._counts: dict[tuple[date, str], _Count] = {}
        self._timer: threading.Timer | None = None
        self._closed = False
        self._lock = threading.Lock()

    def count(self, code: str, now: datetime) -> None:
        """One more of this code. Never waits for the database and never raises."""
        self._add({(now.date(), code): _Count(1, now)})

    def flush(self) -> None:
        """Write what was counted. What cannot be written is kept for the next time."""
        with self._lock:
            counts, self._counts, self._timer = self._counts, {}, None
        try:
            if counts:
                self._write(counts)
        except Exception as error:
            log.error("refusals could not be counted", extra={"error": type(error).__name__, "count": len(counts)})
            self._add(counts)

    def close(self) -> None:
        """Write what waits, and start no more timers."""
        with self._lock:
            self._closed, timer = True, self._timer
        if timer:
            timer.cancel()
        self.flush()

    def _add(self, more: Mapping[tuple[date, str], _Count]) -> None:
        """Count these too, and see to it that they are written."""
        with self._lock:
            for key, each in more.items():
                known = self._counts.setdefault(key, _Count(0, each.last_at))
                known.number += each.number
                known.last_at = max(known.last_at, each.last_at)
            if self._timer is None and not self._closed:
                self._timer = threading.Timer(self._flush_seconds, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def _write(self, counts: Mapping[tuple[date, str], _Count]) -> None:
        rows = [
            {"day": day, "code": code, "count": each.number, "last_at": each.last_at}
            for (day, code), each in sorted(counts.items())
        ]
        with self._database.write() as connection:
            new = upsert(connection, zoom_refusals).values(rows)
            more = {"count": zoom_refusals.c.count + new.excluded.count, "last_at": new.excluded.last_at}
            connection.execute(new.on_conflict_do_update(index_elements=["day", "code"], set_=more))


def since(connection: Connection, day: date) -> dict[str, tuple[int, datetime]]:
    """Code → how often since the beginning of this day (UTC), and when last; only what was written so far."""
    table = zoom_refusals
    query = select(table.c.code, func.sum(table.c.count), func.max(table.c.last_at)).where(table.c.day >= day)
    return {code: (int(count), last) for code, count, last in connection.execute(query.group_by(table.c.code))}
