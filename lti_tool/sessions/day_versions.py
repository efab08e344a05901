"""The history of one person's attendance of one session: every version stays readable (ce.md T12)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, or_, select

from lti_tool.errors import NotFound
from lti_tool.tables.live_sessions import attendances as table


@dataclass(frozen=True, slots=True)
class DayVersion:
    """One row of `attendances`. `former_seconds` and `former_flags` are those of the version before, None without."""

    id: int
    person_key: str
    version: int
    is_current: bool
    trainee_id: int | None
    display_name: str | None
    email: str | None
    registrant_id: str | None
    seconds_present: int
    seconds_instructional: int
    seconds_required: int
    completed: bool
    day: Mapping[str, Any]
    flags: Sequence[str]
    settled_at: datetime
    former_seconds: int | None = None
    former_flags: Sequence[str] | None = None

    @property
    def difference_seconds(self) -> int:
        """How many seconds more than the version before."""
        return 0 if self.former_seconds is None else self.seconds_present - self.former_seconds

    @property
    def new_flags(self) -> list[str]:
        return [each for each in self.flags if each not in (self.former_flags or ())]

    @property
    def lost_flags(self) -> list[str]:
        return [each for each in self.former_flags or () if each not in self.flags]


_NAMES = (
    "id", "person_key", "version", "is_current", "trainee_id", "display_name", "email", "registrant_id",
    "seconds_present", "seconds_instructional", "seconds_required", "completed", "day", "flags", "settled_at",
)  # fmt: skip


def show(connection: Connection, session_id: int, attendance_id: int) -> tuple[DayVersion, list[DayVersion]]:
    """This version, and all versions about the same person in the session, the latest first.

    Raises NotFound "attendance_unknown".
    """
    found = _select(connection, session_id, table.c.id == attendance_id)
    if not found:
        raise NotFound(
            "attendance_unknown", "There is no such day of attendance.", "Open the session again from the list."
        )
    about = [table.c.person_key == found[0].person_key]
    if found[0].trainee_id is not None:
        about.append(table.c.trainee_id == found[0].trainee_id)
    every = _compared(_select(connection, session_id, or_(*about)))
    return next(each for each in every if each.id == attendance_id), every


def current_ids(connection: Connection, session_id: int) -> dict[str, int]:
    """Person key → the id of the current version, for everybody in a session."""
    here = table.c.is_current & (table.c.live_session_id == session_id)
    query = select(table.c.person_key, table.c.id).where(here)
    return {row.person_key: row.id for row in connection.execute(query)}


def _select(connection: Connection, session_id: int, condition: Any) -> list[DayVersion]:
    columns = (table.c[name] for name in _NAMES)
    query = select(*columns).where(table.c.live_session_id == session_id, condition).order_by(table.c.id.desc())
    return [DayVersion(**row._mapping) for row in connection.execute(query)]


def _compared(latest_first: Sequence[DayVersion]) -> list[DayVersion]:
    """Each version beside the one before it."""
    told = [
        replace(new, former_seconds=old.seconds_present, former_flags=old.flags) for new, old in pairwise(latest_first)
    ]
    return [*told, latest_first[-1]]
