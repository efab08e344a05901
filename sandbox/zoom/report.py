"""The participant report that Zoom's REST interface gives of a day: one row for each stay, and for the waiting room."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sandbox.zoom.behaviours import Visit
from sandbox.zoom.notices import text
from sandbox.zoom.people import Attendee
from sandbox.zoom.stays import RoomInterval

Row = dict[str, Any]


def rows_of_visit(attendee: Attendee, visit: Visit, stays: Sequence[RoomInterval], *, merged: bool) -> Iterator[Row]:
    """The rows of one connection in one instance; with `merged` stays that touch are one row. No row names the
    connection."""
    if visit.waits:
        since = stays[0].starts - timedelta(seconds=visit.waits)
        yield row(attendee, visit, stays[0].user_id, since, stays[0].starts, status="in_waiting_room")
    for stay, following in zip(stays, [*stays[1:], None], strict=True):
        if stay.put_waiting and following:
            yield row(attendee, visit, stay.user_id, stay.ends, following.starts, status="in_waiting_room")
    for stay in _merged(stays) if merged else stays:
        yield row(attendee, visit, stay.user_id, stay.starts, stay.ends, room=stay.room)


def row(
    attendee: Attendee,
    visit: Visit,
    user_id: str,
    since: datetime,
    until: datetime,
    *,
    room: str = "",
    status: str = "in_meeting",
) -> Row:
    name, email, registrant_id = attendee.shown(visit)
    return {
        "id": "",
        "user_id": user_id,
        "name": name,
        "user_email": email,
        "join_time": text(since),
        "leave_time": text(until),
        "duration": int((until - since).total_seconds()),
        "registrant_id": registrant_id,
        "status": status,
        "failover": False,
        "bo_mtg_id": room,
        "participant_user_id": "",
        "customer_key": "",
    }


def _merged(stays: Iterable[RoomInterval]) -> Iterator[RoomInterval]:
    current: RoomInterval | None = None
    for stay in stays:
        if current and stay.starts == current.ends:
            current = current._replace(ends=stay.ends)
        else:
            if current:
                yield current
            current = stay._replace(room="")
    if current:
        yield current


def by_connection(stays: Iterable[RoomInterval]) -> Iterator[list[RoomInterval]]:
    """The stays of each connection, which stand together in a day's list."""
    for _, group in groupby(stays, key=lambda stay: stay.connection):
        yield list(group)
