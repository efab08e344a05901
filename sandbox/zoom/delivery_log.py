"""Zoom's log of what it delivered to the app, as its REST side shows it."""

import json
import threading
from datetime import UTC, datetime
from typing import Any

# How many tries Zoom makes after the first one.
RETRIES = 3


class DeliveryLog:
    """One row for every try, in order. Safe to use from several threads."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._rows: list[dict[str, Any]] = []

    def note(self, body: bytes, status: int, attempt: int) -> None:
        """A delivery was answered with this status; 0 when no answer came. A day is played in seconds, so the row
        carries the time of the event and not of the playing."""
        event = json.loads(body)
        at = datetime.fromtimestamp(event["event_ts"] / 1000, UTC)
        row = {
            "event": event["event"],
            "status": status or -1,
            "failed_reason_type": 0 if 200 <= status < 300 else 1,
            "user_id": "x1yCzABCDEfg23HiJKl4mN",
            "endpoint": self._endpoint,
            "subscription_id": "9qwt8mkBEW2O6fPuxBpXpA",
            "request_headers": "N/A",
            "request_body": body.decode(),
            "response_headers": "N/A",
            "response_body": "",
            "date_time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "request_id": f"{hash(body) & 0xFFFFFFFF:08x}_0196_4dc8_9f9e_81217d9000e6",
            "retry_num": attempt,
        }
        with self._lock:
            self._rows.append(row)

    def note_lost(self, body: bytes) -> None:
        """A delivery that never reached the tool, however often it was tried."""
        for attempt in range(RETRIES + 1):
            self.note(body, 0, attempt)

    def garble(self, every: int) -> None:
        """Cut short the body of every n-th row, as Zoom's own sample shows it."""
        with self._lock:
            for row in self._rows[every - 1 :: every]:
                row["request_body"] = row["request_body"][:-2]

    def rows(self) -> list[dict[str, Any]]:
        with self._lock:
            return sorted((dict(each) for each in self._rows), key=lambda row: str(row["date_time"]))
