"""Who a registrant, an address or a connection was in one session, remembered once it is settled.

The identity is written with the first result that rests on it, in the same transaction, and never changes: an address
that changes hands, a second account or a later delivery takes no day away. Only staff decide otherwise, by a link. What
a link says is not remembered here, because the link itself lasts until it is taken back.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, select

from lti_tool.attendance.evidence import PersonPresence
from lti_tool.attendance.matching import KINDS, Links
from lti_tool.db import insert_ignoring
from lti_tool.tables.presence import settled_identities


def load(connection: Connection, session_id: int) -> Links:
    """The settled identities of one session."""
    found: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
    query = select(settled_identities).where(settled_identities.c.live_session_id == session_id)
    for row in connection.execute(query):
        found[row.kind][row.value] = row.trainee_id
    return Links(**found)


def remember(connection: Connection, session_id: int, people: Iterable[PersonPresence], now: datetime) -> None:
    """Remember who these trainees were. What is remembered already stays."""
    rows = [
        {"live_session_id": session_id, "trainee_id": each.trainee_id, **known._asdict(), "settled_at": now}
        for each in people
        if each.trainee_id is not None
        for known in each.known_as
    ]
    if rows:
        connection.execute(insert_ignoring(connection, settled_identities), rows)
