"""Attendance as pages read it: the current version of each person, with the session it belongs to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, select

from lti_tool.sessions.attendance_versions import IN_PROGRESS
from lti_tool.sessions.by_hand.review_flags import needs_review
from lti_tool.sessions.day_picture import missing_seconds
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.presence import attendance_reviews


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
