"""The rows of `attendances`: one version of one person's attendance each; corrections are new versions (ce.md T12)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from lti_tool.sessions.attendance import Attendance, PersonPresence
from lti_tool.tables.live_sessions import attendances

# Running values of a session that has not ended. Nothing rests on them, so they are replaced where they stand.
IN_PROGRESS = "in_progress"


@dataclass(frozen=True, slots=True)
class Version:
    """What settlement needs to know of a row."""

    id: int
    person_key: str
    trainee_id: int | None
    version: int
    is_current: bool
    input_digest: str
    display_name: str | None
    email: str | None
    registrant_id: str | None
    in_progress: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """One person's attendance as it was just computed, beside the latest version on record."""

    person: PersonPresence
    attendance: Attendance
    day: Mapping[str, Any]
    digest: str
    ended: bool
    latest: Version | None = None

    @property
    def person_key(self) -> str:
        return self.person.person_key

    @property
    def trainee_id(self) -> int | None:
        return self.person.trainee_id

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple(sorted({*self.person.flags, *self.attendance.flags} | (set() if self.ended else {IN_PROGRESS})))

    @property
    def is_known(self) -> bool:
        """Whether this is what the current version says already."""
        return self.latest is not None and self.latest.is_current and self.latest.input_digest == self.digest

    @property
    def replaces_running_values(self) -> bool:
        return self.latest is not None and self.latest.is_current and self.latest.in_progress and not self.ended

    @property
    def latest_id(self) -> int:
        assert self.latest is not None
        return self.latest.id

    def values(self, now: datetime) -> dict[str, Any]:
        """The columns of the row that do not say whose it is."""
        return {
            "trainee_id": self.person.trainee_id,
            "input_digest": self.digest,
            "display_name": self.person.display_name,
            "email": self.person.email,
            "registrant_id": self.person.registrant_id,
            "seconds_present": self.attendance.seconds_present,
            "seconds_instructional": self.attendance.seconds_instructional,
            "seconds_required": self.attendance.seconds_required,
            "completed": self.attendance.completed,
            "day": self.day,
            "flags": list(self.flags),
            "settled_at": now,
        }


_COLUMNS = (
    attendances.c.id,
    attendances.c.person_key,
    attendances.c.trainee_id,
    attendances.c.version,
    attendances.c.is_current,
    attendances.c.input_digest,
    attendances.c.display_name,
    attendances.c.email,
    attendances.c.registrant_id,
    attendances.c.flags,
)


def current(connection: Connection, session_id: int) -> dict[str, Version]:
    """The current version of everybody in a session, by person key."""
    query = select(*_COLUMNS).where(attendances.c.live_session_id == session_id, attendances.c.is_current)
    return {row.person_key: _load(row) for row in connection.execute(query)}


def latest(connection: Connection, session_id: int, person_keys: Collection[str]) -> dict[str, Version]:
    """The highest version of each of these people, current or not, by person key."""
    query = (
        select(*_COLUMNS)
        .where(attendances.c.live_session_id == session_id, attendances.c.person_key.in_(person_keys))
        .order_by(attendances.c.version)
    )
    return {row.person_key: _load(row) for row in connection.execute(query)}


def write(connection: Connection, session_id: int, news: Sequence[Measured], *, now: datetime) -> list[int]:
    """Make these the current attendances of their people; the rows' ids in the same order."""
    replaced = [each for each in news if each.replaces_running_values]
    added = [each for each in news if not each.replaces_running_values]
    for each in replaced:
        connection.execute(update(attendances).where(attendances.c.id == each.latest_id), each.values(now))
    _close(connection, [each.latest_id for each in added if each.latest is not None and each.latest.is_current])
    ids = {each.person_key: each.latest_id for each in replaced} | _insert(connection, session_id, added, now)
    return [ids[each.person_key] for each in news]


def _close(connection: Connection, row_ids: Collection[int]) -> None:
    if row_ids:
        connection.execute(update(attendances).where(attendances.c.id.in_(row_ids)).values(is_current=False))


def _insert(connection: Connection, session_id: int, news: Sequence[Measured], now: datetime) -> dict[str, int]:
    if not news:
        return {}
    rows = [
        {
            **each.values(now),
            "live_session_id": session_id,
            "person_key": each.person_key,
            "version": 1 if each.latest is None else each.latest.version + 1,
            "is_current": True,
        }
        for each in news
    ]
    written = connection.execute(insert(attendances).returning(attendances.c.person_key, attendances.c.id), rows)
    return {row.person_key: row.id for row in written}


def retire(connection: Connection, session_id: int, person_keys: Collection[str]) -> int:
    """The keys name people who are known under another key now: their versions stay readable, none is current."""
    if not person_keys:
        return 0
    return connection.execute(
        update(attendances)
        .where(
            attendances.c.live_session_id == session_id,
            attendances.c.person_key.in_(person_keys),
            attendances.c.is_current,
        )
        .values(is_current=False)
    ).rowcount


def _load(row: Any) -> Version:
    fields = {**row._mapping}
    return Version(**{name: fields[name] for name in fields if name != "flags"}, in_progress=IN_PROGRESS in row.flags)
