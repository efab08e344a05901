"""Reads the rows of Zoom's participant report into flat values.

PURE. A row is one or several intervals of one connection and doesn't name the connection (zoom.md §6). Its `duration`
is ignored, because Zoom's own sample contradicts its times. Time in the waiting room is not presence.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from lti_tool.text import clean
from zoom_adapter.events import address, instant, text

WAITING_STATUS = "in_waiting_room"


class ReportRow(NamedTuple):
    """One usable row. Texts are never None; the instants are aware UTC, in whole seconds."""

    user_id: str
    registrant_id: str
    email: str
    name: str
    join_at: datetime
    leave_at: datetime
    room: str

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        return self.join_at, self.leave_at


def read_rows(raw: Iterable[Mapping[str, Any]]) -> tuple[list[ReportRow], Counter[str]]:
    """The usable rows, each once and in order, and how many were left out by reason: `waiting_room`, `no_times`,
    `no_length`, `repeated`, `not_a_row`."""
    rows: set[ReportRow] = set()
    dropped: Counter[str] = Counter()
    for each in raw:
        row = _row_or_reason(each)
        if isinstance(row, str):
            dropped[row] += 1
        elif row in rows:
            dropped["repeated"] += 1
        else:
            rows.add(row)
    return sorted(rows), dropped


def _row_or_reason(raw: object) -> ReportRow | str:
    if not isinstance(raw, Mapping):
        return "not_a_row"
    if text(raw.get("status")) == WAITING_STATUS:
        return "waiting_room"
    joined, left = instant(raw.get("join_time")), instant(raw.get("leave_time"))
    if joined is None or left is None:
        return "no_times"
    joined, left = joined.replace(microsecond=0), left.replace(microsecond=0)
    if left <= joined:
        return "no_length"
    user_id, room = text(raw.get("user_id")), text(raw.get("bo_mtg_id"))
    return ReportRow(
        user_id=user_id,
        registrant_id=text(raw.get("registrant_id")),
        email=address(raw.get("user_email")),
        name=clean(text(raw.get("name"))),
        join_at=joined,
        leave_at=left,
        room="" if room == user_id else room,  # In Zoom's own sample both are equal, and there is no breakout room.
    )
