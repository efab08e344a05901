"""Who ran the meeting, and when: the roles of one connection over time.

PURE. Zoom says who scheduled the meeting and tells every change of a role; its report tells none (zoom.md §4).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from zoom_adapter.connections import Connection

# By the letters of what Zoom says ("co-host", "Co-Host", "cohost"). Everybody else only attends.
STAFF_ROLES = {"host": "host", "cohost": "co-host", "alternativehost": "host", "panelist": "panelist"}

ALWAYS = datetime.min.replace(tzinfo=UTC)
FOREVER = datetime.max.replace(tzinfo=UTC)


class RoleSpan(NamedTuple):
    """A staff role from `start` to `end`."""

    start: datetime
    end: datetime
    role: str


def roles_of(connection: Connection) -> list[RoleSpan]:
    """The times in which somebody on this connection ran the meeting, in order."""
    return [RoleSpan(start, end, STAFF_ROLES[role]) for start, end, role in _history(connection) if role in STAFF_ROLES]


def _history(connection: Connection) -> Iterator[tuple[datetime, datetime, str]]:
    changes = sorted(connection.roles)
    before = "host" if connection.is_host else _letters(changes[0].old) if changes else ""
    roles = [(ALWAYS, before), *((each.at, _letters(each.new)) for each in changes), (FOREVER, "")]
    for (start, role), (end, _) in pairwise(roles):
        yield start, end, role


def _letters(role: str) -> str:
    return "".join(filter(str.isalpha, role)).lower()
