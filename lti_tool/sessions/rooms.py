"""What staff call the breakout rooms of a live session: Zoom tells an id of each, never a name (zoom.md §4)."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from lti_tool import audit
from lti_tool.errors import BadInput
from lti_tool.sessions import live_sessions
from lti_tool.tables.evidence import room_labels as table
from lti_tool.tables.live_sessions import attendances

LONGEST_LABEL = 100


def labels(connection: Connection, session_id: int) -> dict[str, str]:
    """Zoom's id of a room → what staff call it, for the rooms that have a name."""
    query = select(table.c.room, table.c.label).where(table.c.live_session_id == session_id)
    return {row.room: row.label for row in connection.execute(query)}


def seen(connection: Connection, session_id: int) -> tuple[str, ...]:
    """Zoom's ids of the rooms that somebody was in, as last settled, in the order in which they were first entered."""
    current = attendances.c.is_current & (attendances.c.live_session_id == session_id)
    first: dict[str, str] = {}
    for day in connection.scalars(select(attendances.c.day).where(current)):
        for stay in day.get("rooms", ()):
            if stay["room"]:
                first[stay["room"]] = min(stay["from"], first.get(stay["room"], stay["from"]))
    return tuple(sorted(first, key=lambda room: (first[room], room)))


def name(connection: Connection, session_id: int, given: Mapping[str, str], *, actor: str, now: datetime) -> int:
    """Give rooms the names in `given` (by Zoom's id; an empty one takes the name away) and return how many changed.

    Only rooms that somebody was in or that have a name already can be named. Raises NotFound "session_unknown",
    BadInput "room_label_wrong" or "room_unknown".
    """
    live_sessions.show(connection, session_id)
    known = labels(connection, session_id)
    wanted = {room: _label(text) for room, text in given.items()}
    if not wanted.keys() <= {*known, *seen(connection, session_id)}:
        raise BadInput("room_unknown", "Nobody was in this breakout room.", "Open the page again; it lists the rooms.")
    changed = {room: label for room, label in wanted.items() if label != known.get(room, "")}
    for room, label in changed.items():
        _write(connection, session_id, room, label, actor, now)
    if changed:
        subject = f"session:{session_id}"
        audit.record(connection, actor=actor, act="rooms_named", subject=subject, at=now, rooms=len(changed))
    return len(changed)


def _label(text: str) -> str:
    label = " ".join(text.split())
    if len(label) > LONGEST_LABEL or not label.isprintable():
        raise BadInput(
            "room_label_wrong", "This name of a room cannot be used.", f"Use up to {LONGEST_LABEL} printable letters."
        )
    return label


def _write(connection: Connection, session_id: int, room: str, label: str, actor: str, now: datetime) -> None:
    this = (table.c.live_session_id == session_id, table.c.room == room)
    if not label:
        connection.execute(delete(table).where(*this))
        return
    about = {"label": label, "labelled_by": actor, "labelled_at": now}
    if not connection.execute(update(table).where(*this).values(about)).rowcount:
        connection.execute(insert(table).values(live_session_id=session_id, room=room, **about))
