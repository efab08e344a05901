"""Settled attendance as credit and scores use it: which of it is final, and who is being decided on now."""

from collections.abc import Collection
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Text, and_, cast, select

from lti_tool.attendance.evidence import IDENTITY_DIFFERS
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.minutes import Attendance
from lti_tool.attendance.queries import IN_PROGRESS, REVIEW_OF_THIS, STATE_OF_DAY
from lti_tool.attendance.reviews import needs_review
from lti_tool.credit.checklist import SettledDay
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import attendance_reviews

# A session may have ended before everybody in it is settled. Until then, values from before the end are not final.
FINAL = and_(
    attendances.c.is_current,
    live_sessions.c.ended_at.is_not(None),
    ~cast(attendances.c.flags, Text).contains(f'"{IN_PROGRESS}"', autoescape=True),
)


def lock_trainees(connection: Connection, trainee_ids: Collection[int]) -> None:
    """Keep other transactions from deciding on these people until this one ends: completions, claims and scores rest
    on all sessions of a module. (Records that merely refer to a person are not held up; SQLite has one writer.)"""
    ours = select(trainees.c.id).where(trainees.c.id.in_(trainee_ids)).order_by(trainees.c.id)
    connection.execute(ours.with_for_update(key_share=True))


def lock_session(connection: Connection, session_id: int) -> None:
    """Keep settlement from writing new attendances of this session until this transaction ends."""
    ours = select(live_sessions.c.id).where(live_sessions.c.id == session_id)
    connection.execute(ours.with_for_update(key_share=True))


def settled_day(
    session: LiveSession,
    trainee_id: int,
    *,
    day: Attendance,
    flags: tuple[str, ...],
    ended: bool,
    attendance_id: int = 0,
    is_in_doubt: bool = False,
) -> SettledDay:
    """The day of a person that settlement has just measured. `attendance_id` is 0 where nothing is written."""
    return SettledDay(
        trainee_id=trainee_id,
        session_id=session.id,
        module_id=session.module_id,
        programme_version=session.programme_version,
        held_on=session.held_on,
        session_state=session.state,
        ended=ended,
        attendance_id=attendance_id,
        day=day,
        flags=flags,
        is_in_doubt=is_in_doubt,
    )


def attended_day(connection: Connection, trainee_id: int, session_id: int) -> SettledDay | None:
    """The current attendance of a person in a session, or None."""
    return next(iter(_days(connection, live_sessions.c.id == session_id, attendances.c.trainee_id == trainee_id)), None)


def completed_day(connection: Connection, trainee_id: int, module_id: str) -> SettledDay | None:
    """The first session of a module whose final attendance completes it for this person, or None."""
    completes = (FINAL, attendances.c.completed, live_sessions.c.module_id == module_id)
    return next(iter(_days(connection, *completes, attendances.c.trainee_id == trainee_id)), None)


def in_doubt_about_identity(connection: Connection, trainee_ids: Collection[int], module_id: str) -> set[int]:
    """Those of these people with a day of this module that is settled for them, though the evidence names another
    person now, or no one."""
    query = (
        select(attendances.c.trainee_id)
        .join(live_sessions)
        .where(
            attendances.c.is_current,
            attendances.c.trainee_id.in_(trainee_ids),
            live_sessions.c.module_id == module_id,
            cast(attendances.c.flags, Text).contains(f'"{IDENTITY_DIFFERS}"', autoescape=True),
        )
    )
    return {trainee_id for trainee_id in connection.scalars(query) if trainee_id is not None}


def _days(connection: Connection, *conditions: ColumnElement[bool]) -> list[SettledDay]:
    """Current attendances, the earliest session first."""
    query = (
        select(
            live_sessions,
            attendances.c.id.label("attendance_id"),
            attendances.c.trainee_id,
            attendances.c.day,
            attendances.c.flags,
            STATE_OF_DAY.label("state_of_day"),
            attendance_reviews.c.id.is_not(None).label("is_reviewed"),
        )
        .join(attendances, attendances.c.live_session_id == live_sessions.c.id)
        .outerjoin(attendance_reviews, REVIEW_OF_THIS)
        .where(attendances.c.is_current, *conditions)
        .order_by(live_sessions.c.starts_at, live_sessions.c.id)
    )
    return [
        SettledDay(
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
        for row in connection.execute(query)
    ]
