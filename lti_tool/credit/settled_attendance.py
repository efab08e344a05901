"""Attendance as credit and scores see it: which of it is final, and whose is being decided on now."""

from collections.abc import Collection
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, Select, Text, and_, cast, select

from lti_tool.attendance.minutes import Attendance
from lti_tool.attendance.queries import IN_PROGRESS, REVIEW_OF_THIS, STATE_OF_DAY
from lti_tool.attendance.reviews import needs_review
from lti_tool.credit.awards import SettledDay
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import attendance_reviews

# A session may have ended before everybody of it is settled: values of before the end stand until then.
FINAL = and_(
    attendances.c.is_current,
    live_sessions.c.ended_at.is_not(None),
    ~cast(attendances.c.flags, Text).contains(f'"{IN_PROGRESS}"', autoescape=True),
)


def hold(connection: Connection, trainee_ids: Collection[int]) -> None:
    """Keep others from deciding on these people until the end of the transaction: completions, claims and scores rest
    on all sessions of a module. (Records that merely refer to a person are not held up; SQLite has one writer anyway.)
    """
    ours = select(trainees.c.id).where(trainees.c.id.in_(trainee_ids)).order_by(trainees.c.id)
    connection.execute(ours.with_for_update(key_share=True))


def hold_session(connection: Connection, session_id: int) -> None:
    """Keep settlement from writing new attendances of this session until the end of the transaction."""
    ours = select(live_sessions.c.id).where(live_sessions.c.id == session_id)
    connection.execute(ours.with_for_update(key_share=True))


def attended_day(connection: Connection, trainee_id: int, session_id: int) -> SettledDay | None:
    """The current attendance of a person in a session, None without one."""
    row = connection.execute(_days_of(session_id).where(attendances.c.trainee_id == trainee_id)).first()
    return None if row is None else _day(row)


def attended_days(connection: Connection, session_id: int) -> list[SettledDay]:
    """The current attendances of everybody known in a session, by trainee."""
    known = _days_of(session_id).where(attendances.c.trainee_id.is_not(None)).order_by(attendances.c.trainee_id)
    return [_day(row) for row in connection.execute(known)]


def _days_of(session_id: int) -> Select[Any]:
    columns = [attendances.c[name] for name in ("trainee_id", "day", "flags")]
    is_reviewed = attendance_reviews.c.id.is_not(None).label("is_reviewed")
    return (
        select(
            live_sessions,
            attendances.c.id.label("attendance_id"),
            STATE_OF_DAY.label("state_of_day"),
            is_reviewed,
            *columns,
        )
        .join(attendances, attendances.c.live_session_id == live_sessions.c.id)
        .outerjoin(attendance_reviews, REVIEW_OF_THIS)
        .where(live_sessions.c.id == session_id, attendances.c.is_current)
    )


def _day(row: Row[Any]) -> SettledDay:
    return SettledDay(
        trainee_id=row.trainee_id,
        session_id=row.id,
        module_id=row.module_id,
        programme_version=row.programme_version,
        held_on=row.starts_at.astimezone(ZoneInfo(row.zone)).date(),
        session_state=row.state_of_day,
        ended=row.ended_at is not None and IN_PROGRESS not in row.flags,
        attendance_id=row.attendance_id,
        day=Attendance.from_json(row.day),
        flags=tuple(row.flags),
        is_in_doubt=needs_review(row.flags) and not row.is_reviewed,
    )


def completed_day(connection: Connection, trainee_id: int, module_id: str) -> SettledDay | None:
    """The first session of a module whose final attendance completes it for this person."""
    session_id = connection.scalar(
        select(live_sessions.c.id)
        .join(attendances, attendances.c.live_session_id == live_sessions.c.id)
        .where(
            FINAL,
            attendances.c.trainee_id == trainee_id,
            attendances.c.completed,
            live_sessions.c.module_id == module_id,
        )
        .order_by(live_sessions.c.starts_at, live_sessions.c.id)
        .limit(1)
    )
    return None if session_id is None else attended_day(connection, trainee_id, session_id)
