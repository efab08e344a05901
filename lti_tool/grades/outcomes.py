"""What follows from a settled attendance: completion, credit claims, awards, desired scores."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from lti_tool.attendance.settlement import SettledPerson
from lti_tool.credit import awards, claims
from lti_tool.credit.awards import SettledDay
from lti_tool.credit.settled_attendance import completed_day, hold
from lti_tool.gates.completions import complete_by_attendance, end_completion
from lti_tool.grades import scores
from lti_tool.programme.versions import version
from lti_tool.tables.gates import completions


def follow_attendance(connection: Connection, people: Sequence[SettledPerson], now: datetime) -> None:
    """What follows from the settled attendance of several people of one session, in the transaction that settled it:
    completion, credit claims, awards, desired scores. Nothing follows before the session has ended."""
    days = [_settled_day(each) for each in people if each.ended]
    if not days:
        return
    hold(connection, [each.trainee_id for each in days])
    _follow_completions(connection, days, now)
    claims.decide(connection, version(connection, days[0].programme_version).programme, days, now)
    scores.desire(connection, [each.trainee_id for each in days], days[0].module_id, now)


def reconsider(connection: Connection, trainee_id: int, session_id: int, now: datetime) -> None:
    """Decide a person's claims of one session again and bring the scores in line."""
    day = claims.reconsider(connection, trainee_id, session_id, now)
    if day is not None:
        scores.desire(connection, [trainee_id], day.module_id, now)


def _settled_day(person: SettledPerson) -> SettledDay:
    session = person.session
    return SettledDay(
        trainee_id=person.trainee_id,
        session_id=session.id,
        module_id=session.module_id,
        programme_version=session.programme_version,
        held_on=session.held_on,
        session_state=session.state,
        ended=person.ended,
        attendance_id=person.attendance_id,
        day=person.attendance,
        flags=person.flags,
        is_in_doubt=person.is_in_doubt,
    )


def _follow_completions(connection: Connection, days: Sequence[SettledDay], now: datetime) -> None:
    """Completed: recorded once. No longer completed: this session's record ends, unless credit rests on it, and another
    session that completes the module takes its place."""
    _complete(connection, [day for day in days if day.day.completed], now)
    fallen = {day.trainee_id: day for day in days if not day.day.completed}
    for trainee_id, completion_id in _completions_of(connection, days[0].session_id, list(fallen)):
        if not _credit_rests_on(connection, fallen[trainee_id]):
            reason = "The corrected attendance of this session no longer reaches the completion threshold."
            end_completion(connection, completion_id, reason=reason, actor="system", now=now)
            other = completed_day(connection, trainee_id, fallen[trainee_id].module_id)
            if other is not None:
                _complete(connection, [other], now)


def _complete(connection: Connection, days: Sequence[SettledDay], now: datetime) -> None:
    """Record what these people, all of one session, have taken."""
    if days:
        module_id, held_on, session_id = days[0].module_id, days[0].held_on, days[0].session_id
        people = [each.trainee_id for each in days]
        complete_by_attendance(connection, people, module_id, held_on, live_session_id=session_id, now=now)


def _completions_of(connection: Connection, session_id: int, trainee_ids: Sequence[int]) -> Sequence[tuple[int, int]]:
    """(trainee id, completion id) of the completions in force that rest on this session."""
    query = select(completions.c.trainee_id, completions.c.id).where(
        completions.c.live_session_id == session_id,
        completions.c.trainee_id.in_(trainee_ids),
        completions.c.ended_at.is_(None),
    )
    return [(row.trainee_id, row.id) for row in connection.execute(query)]


def _credit_rests_on(connection: Connection, day: SettledDay) -> bool:
    awarded = awards.in_force(connection, day.trainee_id, day.module_id)
    return any(row.live_session_id == day.session_id for row in awarded)
