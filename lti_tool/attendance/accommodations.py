"""Accommodations that trainees ask for: what would help, for everything, for one module or for one session.

Only what is needed is asked for, never why. The text and its answer are encrypted in their columns. Some time after a
request is closed or withdrawn both are deleted; that it was made, and when, stays.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, update

from lti_tool.attendance import live_sessions
from lti_tool.attendance.requests import Requests, read_text
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.outbox import occasions
from lti_tool.people import refuse_own
from lti_tool.programme.model import Programme
from lti_tool.tables.live_sessions import live_sessions as live_sessions_table
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import accommodation_requests as requests

MAX_TEXT = 1000
REQUESTS = Requests(requests, "accommodation_request", most_a_day=5)
# What staff still have in mind: not answered yet, or answered and not closed.
IN_FORCE = requests.c.state.in_(("open", "answered"))
HAS_TEXT = requests.c.text.is_not(None)


def ask(
    connection: Connection,
    programme: Programme,
    *,
    trainee_id: int,
    text: str,
    module_id: str | None = None,
    session_id: int | None = None,
    now: datetime,
) -> int:
    """Ask for an accommodation in a module or a session, in everything if neither is named; returns the request's id.

    Raises BadInput "request_text_missing" or "session_over"; NotFound "session_unknown" or "module_unknown"; Conflict
    "request_open" (one at a time), "requests_too_many".
    """
    if session_id is not None:
        session = live_sessions.show(connection, session_id)
        if session.state == "cancelled" or session.ends_at <= now:
            raise BadInput("session_over", "This session is over.", "Choose a session to come.")
        module_id = session.module_id
    if module_id is not None and not programme.is_published(module_id):
        raise NotFound("module_unknown", "The programme has no such module.", "Choose one from the list.")
    row = {
        "trainee_id": trainee_id,
        "module_id": module_id,
        "live_session_id": session_id,
        "text": read_text(text, MAX_TEXT),
        "created_at": now,
    }
    refusal = Conflict(
        "request_open",
        "You have asked already, and the training team has not answered yet.",
        "Wait for the answer, or withdraw your request and write a new one.",
    )
    return REQUESTS.open(connection, row, refusal, module=module_id, session=session_id)


def withdraw(connection: Connection, request_id: int, *, trainee_id: int, now: datetime) -> None:
    """Take the trainee's own request back, answered or not. Raises as `Requests.withdraw` does."""
    states = ("open", "answered")
    REQUESTS.withdraw(connection, request_id, trainee_id=trainee_id, now=now, states=states, ended_at=now)


def answer(connection: Connection, request_id: int, *, text: str, actor: str, now: datetime) -> None:
    """Answer a request, in words that the trainee reads, and tell the trainee by a message that holds none of them.
    Raises as `Requests.answer` does."""
    REQUESTS.answer(connection, request_id, text=text, actor=actor, now=now)
    trainee_id = REQUESTS.show(connection, request_id).trainee_id
    occasions.enqueue(connection, "accommodation_answered", trainee_id, request_id, "answered", now=now)


def close(connection: Connection, request_id: int, *, actor: str, now: datetime) -> None:
    """Close an answered request: the accommodation is no longer needed. Raises NotFound "request_unknown";
    AccessDenied "own_case"; Conflict "request_state"."""
    row = REQUESTS.show(connection, request_id)
    refuse_own(connection, actor, row.trainee_id)
    REQUESTS.move(connection, request_id, ("answered",), {"state": "closed", "ended_at": now}, actor, now)


def some(connection: Connection, request_ids: Collection[int]) -> list[Row[Any]]:
    """These requests, the first asked first, with the person's name and the session's start."""
    return list(connection.execute(listed(requests.c.id.in_(request_ids))))


def of_trainee(connection: Connection, trainee_id: int) -> list[Row[Any]]:
    """This person's requests whose text is still kept, the latest first, likewise."""
    rows = connection.execute(listed((requests.c.trainee_id == trainee_id) & HAS_TEXT))
    return list(rows)[::-1]


def listed(which: ColumnElement[bool]) -> Select[Any]:
    """The query of the requests that `which` chooses, likewise."""
    columns = (live_sessions_table.c.starts_at, live_sessions_table.c.zone)
    query = select(requests, trainees.c.name, *columns).join_from(requests, trainees).outerjoin(live_sessions_table)
    return query.where(which).order_by(requests.c.created_at, requests.c.id)


def close_due(connection: Connection, now: datetime, after_days: int) -> None:
    """Close the answered requests that no one closed: this many days after the end of the session that they are about,
    or after the answer where they name none."""
    ends_at = select(live_sessions_table.c.ends_at).where(live_sessions_table.c.id == requests.c.live_session_id)
    over_at = func.coalesce(ends_at.scalar_subquery(), requests.c.answered_at)
    is_due = (requests.c.state == "answered", over_at <= now - timedelta(days=after_days))
    due = select(requests.c.id).where(*is_due).order_by(requests.c.id)
    for request_id in connection.scalars(due).all():
        REQUESTS.move(connection, request_id, ("answered",), {"state": "closed", "ended_at": now}, "system", now)


def purge(connection: Connection, now: datetime, keep_days: int) -> None:
    """Delete the texts and answers of requests that ended `keep_days` ago."""
    due = HAS_TEXT & (requests.c.ended_at <= now - timedelta(days=keep_days))
    connection.execute(update(requests).where(due).values(text=None, answer=None))
