"""What follows from a settled attendance: completion, credit claims, awards, desired scores."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from lti_tool import people
from lti_tool.attendance import live_sessions, person_joins, queries
from lti_tool.attendance.evidence import IDENTITY_DIFFERS
from lti_tool.attendance.minutes import SettledDay
from lti_tool.credit import claims
from lti_tool.gates.completions import complete_by_attendance, end_completion
from lti_tool.grades import scores
from lti_tool.programme.versions import version
from lti_tool.tables.gates import completions

NO_LONGER_COMPLETE = "The corrected attendance of this session no longer reaches the completion threshold."


def follow_attendance(connection: Connection, settled: Sequence[SettledDay], now: datetime) -> None:
    """Bring everything in line that rests on the settled attendance of these people of one session, in the transaction
    that settled it and holds them. Nothing follows before the session has ended, and a doubt about who someone was ends
    nothing."""
    days = [day for day in settled if day.ended]
    if not days:
        return
    complete(connection, [day for day in days if day.day.completed], now)
    end_completions(connection, [day for day in days if not (day.day.completed or IDENTITY_DIFFERS in day.flags)], now)
    claims.decide(connection, version(connection, days[0].programme_version).programme, days, now)
    scores.desire(connection, [day.trainee_id for day in days], days[0].module_id, now)


def reconsider(connection: Connection, trainee_id: int, session_id: int, now: datetime) -> None:
    """Decide a person's claims of one session again, after a licence, a fee, an evaluation or a review was recorded,
    and bring the scores in line."""
    live_sessions.hold(connection, session_id)
    people.hold(connection, [trainee_id])
    day = queries.attended_day(connection, trainee_id, session_id)
    if day is None or not day.ended:
        return
    claims.decide(connection, version(connection, day.programme_version).programme, [day], now)
    scores.desire(connection, [trainee_id], day.module_id, now)


def separate(connection: Connection, join_id: int, *, reason: str, actor: str, now: datetime) -> None:
    """Separate two joined people, and give the scores of each to their own accounts. Raises as `person_joins.undo`."""
    person_joins.undo(connection, join_id, reason=reason, actor=actor, now=now)
    row = person_joins.show(connection, join_id)
    scores.separate(connection, row.kept_id, row.joined_id, now)


def complete(connection: Connection, days: Sequence[SettledDay], now: datetime) -> None:
    """Record that these people, all of one session, have completed its module. It is recorded once."""
    if days:
        trainee_ids = [day.trainee_id for day in days]
        session_id, module_id, held_on = days[0].session_id, days[0].module_id, days[0].held_on
        complete_by_attendance(connection, trainee_ids, module_id, held_on, live_session_id=session_id, now=now)


def end_completions(connection: Connection, days: Sequence[SettledDay], now: datetime) -> None:
    """End the completions that rest on these days, unless credit rests on them too. Another session that completes the
    module takes their place."""
    by_trainee = {day.trainee_id: day for day in days}
    resting = select(completions.c.trainee_id, completions.c.id).where(
        completions.c.live_session_id.in_({day.session_id for day in days}),
        completions.c.trainee_id.in_(by_trainee),
        completions.c.ended_at.is_(None),
    )
    for trainee_id, completion_id in connection.execute(resting).all():
        day = by_trainee[trainee_id]
        awarded = claims.awards_in_force(connection, trainee_id, day.module_id)
        if any(row.live_session_id == day.session_id for row in awarded):
            continue
        end_completion(connection, completion_id, reason=NO_LONGER_COMPLETE, actor="system", now=now)
        other = queries.completed_day(connection, trainee_id, day.module_id)
        if other is not None:
            complete(connection, [other], now)
