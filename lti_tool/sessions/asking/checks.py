"""Presence checks: staff ask "are you there?" during a class, and whoever sits there taps once in the frame.

An answer is evidence of its own beside presence and never makes any: a policy may ask for a share of them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, insert, select

from lti_tool import audit
from lti_tool.db import insert_ignoring
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.sessions import live_sessions
from lti_tool.sessions.settle_tasks import ask_when_over
from lti_tool.tables.live_sessions import live_sessions as sessions
from lti_tool.tables.presence import presence_check_answers as answers
from lti_tool.tables.presence import presence_checks as checks

# Long enough to come back from a sip of coffee, short enough to mean presence.
SHORTEST, LONGEST = timedelta(seconds=30), timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Check:
    """One check: open from `opens_at` until before `closes_at` (aware UTC)."""

    id: int
    session_id: int
    opens_at: datetime
    closes_at: datetime

    def is_open(self, now: datetime) -> bool:
        return self.opens_at <= now < self.closes_at


@dataclass(frozen=True, slots=True)
class Asked:
    """A check and how many answered it; `answered_at` is the answer of the one person asked for."""

    check: Check
    answers: int = 0
    answered_at: datetime | None = None


def ask(connection: Connection, session_id: int, *, open_for: timedelta, actor: str, now: datetime) -> int:
    """Open a check in a class that is going on; the id.

    Raises NotFound "session_unknown"; BadInput "check_length_wrong"; Conflict "session_not_running", "check_open".
    """
    if not SHORTEST <= open_for <= LONGEST:
        raise BadInput("check_length_wrong", "A check stays open for half a minute to 15 minutes.", "Choose a length.")
    session = live_sessions.show(connection, session_id)
    connection.execute(select(sessions.c.id).where(sessions.c.id == session_id).with_for_update())
    if session.state == "cancelled" or not session.starts_at <= now < session.ends_at:
        raise Conflict(
            "session_not_running", f"Live session {session_id} is not going on.", "Checks are for the time of class."
        )
    if any(each.check.is_open(now) for each in of_session(connection, session_id)):
        raise Conflict("check_open", "A check is open already.", "Wait until it closes.")
    row = {"live_session_id": session_id, "opens_at": now, "closes_at": now + open_for, "opened_by": actor}
    check_id: int = connection.execute(insert(checks).values(row).returning(checks.c.id)).scalar_one()
    audit.record(connection, actor=actor, act="presence_check_opened", subject=f"session:{session_id}", at=now)
    return check_id


def answer(connection: Connection, check_id: int, trainee_id: int, now: datetime) -> None:
    """Record that this person tapped, and ask for the settlement that may rest on it; a second tap changes nothing.

    Raises NotFound "check_unknown"; Conflict "check_closed".
    """
    query = select(checks, sessions.c.ends_at, sessions.c.state).join(sessions).where(checks.c.id == check_id)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound("check_unknown", "There is no such question.", "Open the page of your sessions again.")
    if row.state == "cancelled" or not row.opens_at <= now < row.closes_at:
        raise Conflict("check_closed", "The time for this answer is over.", "If you were there, write to staff.")
    mine = {"check_id": check_id, "trainee_id": trainee_id, "answered_at": now}
    if connection.execute(insert_ignoring(connection, answers).values(mine)).rowcount:
        ask_when_over(connection, row.live_session_id, row.ends_at, now)


def of_session(connection: Connection, session_id: int) -> list[Asked]:
    """The checks of a session in order of time, with how many answered."""
    count = select(func.count()).where(answers.c.check_id == checks.c.id).scalar_subquery()
    query = select(checks, count.label("answers")).where(checks.c.live_session_id == session_id)
    rows = connection.execute(query.order_by(checks.c.opens_at, checks.c.id))
    return [Asked(Check(row.id, session_id, row.opens_at, row.closes_at), row.answers) for row in rows]


def open_for(connection: Connection, trainee_id: int, now: datetime) -> list[Asked]:
    """The checks open now in any session that has not been called off, with this person's answer."""
    mine = (answers.c.check_id == checks.c.id) & (answers.c.trainee_id == trainee_id)
    query = select(checks, answers.c.answered_at).join(sessions).outerjoin(answers, mine)
    is_open = (checks.c.opens_at <= now, checks.c.closes_at > now, sessions.c.state != "cancelled")
    rows = connection.execute(query.where(*is_open).order_by(checks.c.id))
    return [
        Asked(Check(row.id, row.live_session_id, row.opens_at, row.closes_at), answered_at=row.answered_at)
        for row in rows
    ]
