"""Zoom's own log of what it delivered, read into deliveries for the inbox.

PURE. A row's `request_body` is text, and not always JSON: Zoom's own sample lacks a bracket, and long bodies may be cut
short. It is kept as it came either way; what cannot be read is counted and says nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoom_adapter.schemas import URL_VALIDATION, Notice, content_key, read_notice, text

# How a row of the inbox says that it came from Zoom's log: nobody signed it, so no secret's position fits.
VIA = {"via": "webhook-log"}
NO_SECRET = -1
# Zoom writes this where it kept no body.
NO_BODY = ("", "N/A")


@dataclass(frozen=True, slots=True)
class Logged:
    """One event of the log: what it says, its bytes, and the key by which the inbox knows it if it was delivered."""

    key: str
    notice: Notice
    body: bytes
    request_id: str


@dataclass(slots=True)
class LogReading:
    """The log's events, each once, in its order; how many rows there were, how many of the events are `unreadable`, and
    how many rows had no body."""

    rows: int = 0
    without_body: int = 0
    events: dict[str, Logged] = field(default_factory=dict)

    @property
    def unreadable(self) -> int:
        return sum(not each.notice.event for each in self.events.values())


def read_log(rows: Iterable[Mapping[str, Any]]) -> LogReading:
    """The events of these rows. Zoom tries a delivery up to four times, and each try is a row; a challenge is no
    evidence and is left out."""
    reading = LogReading()
    for row in rows:
        reading.rows += 1
        body = row.get("request_body")
        if not isinstance(body, str) or body.strip() in NO_BODY:
            reading.without_body += 1
        else:
            _add(reading, body.encode("utf-8", "surrogatepass"), row)
    return reading


def _add(reading: LogReading, body: bytes, row: Mapping[str, Any]) -> None:
    notice = read_notice(body)
    if URL_VALIDATION in (notice.event, row.get("event")):
        return
    key = content_key(notice, body)
    reading.events.setdefault(key, Logged(key, notice._replace(from_log=True), body, text(row.get("request_id"))))
