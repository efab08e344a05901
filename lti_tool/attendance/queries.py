"""Attendance as pages read it: the current version of each person, with the session it belongs to.

The rows of `attendances`: one version of one person's attendance each; corrections are new versions (ce.md T12).

The history of one person's attendance of one session: every version stays readable (ce.md T12).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, insert, or_, select, update

from lti_tool.attendance.evidence import PersonPresence
from lti_tool.attendance.minutes import Attendance
from lti_tool.attendance.reviews import needs_review
from lti_tool.attendance.timeline import missing_seconds
from lti_tool.errors import NotFound
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.live_sessions import attendances as table
from lti_tool.tables.presence import attendance_reviews

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


_VERSION_COLUMNS = (
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
    query = select(*_VERSION_COLUMNS).where(attendances.c.live_session_id == session_id, attendances.c.is_current)
    return {row.person_key: _load(row) for row in connection.execute(query)}


def latest(connection: Connection, session_id: int, person_keys: Collection[str]) -> dict[str, Version]:
    """The highest version of each of these people, current or not, by person key."""
    query = (
        select(*_VERSION_COLUMNS)
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


@dataclass(frozen=True, slots=True)
class AttendedDay:
    """One person's current attendance of one session; `day` is the JSON of `Attendance.day()`. `is_reviewed`: staff
    looked at exactly this evidence (`input_digest`) and let it stand."""

    session_id: int
    module_id: str
    starts_at: datetime
    ends_at: datetime
    zone: str
    session_state: str
    person_key: str
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
    input_digest: str
    is_reviewed: bool

    @property
    def missing_seconds(self) -> int:
        """What is missing for completion, in seconds."""
        return missing_seconds(self.day)

    @property
    def is_running(self) -> bool:
        """Whether Zoom has not yet said that the session is over: then these are running values."""
        return IN_PROGRESS in self.flags

    @property
    def needs_review(self) -> bool:
        """Whether the evidence leaves a doubt that somebody must look at, or had to."""
        return needs_review(self.flags)

    @property
    def is_provisional(self) -> bool:
        """Until the session is reconciled, and as long as nobody has looked at what is doubtful."""
        return self.session_state not in ("reconciled", "locked") or (self.needs_review and not self.is_reviewed)


def of_trainee(connection: Connection, trainee_id: int) -> list[AttendedDay]:
    """Everything this person attended, the latest session first."""
    return _select(connection, attendances.c.trainee_id == trainee_id)


def of_trainee_in(connection: Connection, trainee_id: int, session_id: int) -> AttendedDay | None:
    """This person's day in one session, None where nothing is recorded."""
    found = _select(connection, attendances.c.trainee_id == trainee_id, attendances.c.live_session_id == session_id)
    return found[0] if found else None


def of_session(connection: Connection, session_id: int) -> list[AttendedDay]:
    """Everybody of one session, by name."""
    found = _select(connection, attendances.c.live_session_id == session_id)
    return sorted(found, key=lambda each: ((each.display_name or each.person_key).casefold(), each.person_key))


def unmatched(connection: Connection) -> list[AttendedDay]:
    """Everybody whom nobody has matched to a trainee, the latest session first."""
    return _select(connection, attendances.c.trainee_id.is_(None))


_SESSION = live_sessions.c
_PERSON = attendances.c
# The session's state as it holds for one day: whoever could not be settled is not reconciled with the others.
STATE_OF_DAY = case(
    (and_(_SESSION.state == "reconciled", _PERSON.settled_at < _SESSION.reconciled_at), "provisional"),
    else_=_SESSION.state,
)
_COLUMNS = (
    _SESSION.id.label("session_id"),
    STATE_OF_DAY.label("session_state"),
    *(_SESSION[name] for name in ("module_id", "starts_at", "ends_at", "zone")),
    *(_PERSON[name] for name in ("person_key", "trainee_id", "display_name", "email", "registrant_id")),
    *(_PERSON[name] for name in ("seconds_present", "seconds_instructional", "seconds_required", "completed")),
    *(_PERSON[name] for name in ("day", "flags", "settled_at", "input_digest")),
    attendance_reviews.c.id.is_not(None).label("is_reviewed"),
)
# Joins a row of `attendances` with the review of exactly this evidence.
REVIEW_OF_THIS = and_(
    attendance_reviews.c.live_session_id == _PERSON.live_session_id,
    attendance_reviews.c.person_key == _PERSON.person_key,
    attendance_reviews.c.input_digest == _PERSON.input_digest,
)


def _select(connection: Connection, *conditions: ColumnElement[bool]) -> list[AttendedDay]:
    query = (
        select(*_COLUMNS)
        .join_from(attendances, live_sessions)
        .outerjoin(attendance_reviews, REVIEW_OF_THIS)
        .where(attendances.c.is_current, *conditions)
        .order_by(live_sessions.c.starts_at.desc(), attendances.c.id)
    )
    return [AttendedDay(**row._mapping) for row in connection.execute(query)]


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
    found = _select_version(connection, session_id, table.c.id == attendance_id)
    if not found:
        raise NotFound(
            "attendance_unknown", "There is no such day of attendance.", "Open the session again from the list."
        )
    about = [table.c.person_key == found[0].person_key]
    if found[0].trainee_id is not None:
        about.append(table.c.trainee_id == found[0].trainee_id)
    every = _compared(_select_version(connection, session_id, or_(*about)))
    return next(each for each in every if each.id == attendance_id), every


def current_ids(connection: Connection, session_id: int) -> dict[str, int]:
    """Person key → the id of the current version, for everybody in a session."""
    here = table.c.is_current & (table.c.live_session_id == session_id)
    query = select(table.c.person_key, table.c.id).where(here)
    return {row.person_key: row.id for row in connection.execute(query)}


def _select_version(connection: Connection, session_id: int, condition: Any) -> list[DayVersion]:
    columns = (table.c[name] for name in _NAMES)
    query = select(*columns).where(table.c.live_session_id == session_id, condition).order_by(table.c.id.desc())
    return [DayVersion(**row._mapping) for row in connection.execute(query)]


def _compared(latest_first: Sequence[DayVersion]) -> list[DayVersion]:
    """Each version beside the one before it."""
    told = [
        replace(new, former_seconds=old.seconds_present, former_flags=old.flags) for new, old in pairwise(latest_first)
    ]
    return [*told, latest_first[-1]]
