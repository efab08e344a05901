""" "This does not look right": a trainee asks staff to look at the own day, staff answer.

The text is the trainee's and stays where it is: no log line, no audit entry and no address repeats it.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, update

from lti_tool import audit
from lti_tool.actors import refuse_own
from lti_tool.db import insert_ignoring
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.sessions import live_sessions
from lti_tool.sessions.by_hand.words import read_text
from lti_tool.tables.live_sessions import live_sessions as sessions
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import attendance_requests as requests


def open_request(connection: Connection, *, session_id: int, trainee_id: int, text: str, now: datetime) -> int:
    """Ask staff to look at one's own day; the request's id. A locked session may be asked about too.

    Raises NotFound "session_unknown"; BadInput "request_text_missing"; Conflict "request_open" (one at a time),
    "request_early" (the session has not begun), "session_cancelled".
    """
    session = live_sessions.show(connection, session_id)
    if session.state == "cancelled":
        raise Conflict("session_cancelled", f"Live session {session_id} is cancelled.")
    if session.state == "scheduled" and now < session.starts_at:
        raise Conflict("request_early", "This session has not begun yet.", "Look at your day after the session.")
    said = _text(text)
    row = {"live_session_id": session_id, "trainee_id": trainee_id, "text": said, "state": "open", "created_at": now}
    # The unique index on open requests decides between two at once.
    made = connection.scalar(insert_ignoring(connection, requests).values(row).returning(requests.c.id))
    if made is None:
        raise Conflict(
            "request_open",
            "You have asked about this session already, and the training team has not answered yet.",
            "Wait for the answer, or withdraw what you sent and write anew.",
        )
    _note(connection, made, "attendance_request_opened", f"trainee:{trainee_id}", now, session=session_id)
    return int(made)


def withdraw(connection: Connection, request_id: int, *, trainee_id: int, now: datetime) -> Row[Any]:
    """Take one's own request back; the request. Somebody else's does not exist.

    Raises NotFound "request_unknown"; Conflict "request_state".
    """
    row = show(connection, request_id)
    if row.trainee_id != trainee_id:
        raise _unknown()
    _close(connection, request_id, {"state": "withdrawn"})
    _note(connection, request_id, "attendance_request_withdrawn", f"trainee:{trainee_id}", now)
    return row


def answer(connection: Connection, request_id: int, *, text: str, actor: str, now: datetime) -> None:
    """Answer a request, in words that the trainee reads.

    Raises BadInput "request_text_missing"; NotFound "request_unknown"; AccessDenied "own_case"; Conflict
    "request_state".
    """
    said = _text(text)
    row = show(connection, request_id)
    refuse_own(actor, row.trainee_id)
    _close(connection, request_id, {"state": "answered", "answer": said, "answered_by": actor, "answered_at": now})
    _note(connection, request_id, "attendance_request_answered", actor, now, trainee=row.trainee_id)


def show(connection: Connection, request_id: int) -> Row[Any]:
    """One request. Raises NotFound "request_unknown"."""
    row = connection.execute(select(requests).where(requests.c.id == request_id)).first()
    if row is None:
        raise _unknown()
    return row


def queue(connection: Connection) -> list[Row[Any]]:
    """What waits for an answer, first asked first, with the person's name and the session."""
    return _listed(connection, requests.c.state == "open", requests.c.created_at)


def answered(connection: Connection, limit: int = 20) -> list[Row[Any]]:
    """The latest answers."""
    return _listed(connection, requests.c.state == "answered", requests.c.answered_at.desc(), limit)


def of_trainee_in(connection: Connection, trainee_id: int, session_id: int) -> list[Row[Any]]:
    """What this person asked about one session, the latest first."""
    theirs = (requests.c.trainee_id == trainee_id) & (requests.c.live_session_id == session_id)
    return list(connection.execute(select(requests).where(theirs).order_by(requests.c.id.desc())))


def _listed(connection: Connection, which: ColumnElement[bool], order: Any, limit: int | None = None) -> list[Row[Any]]:
    columns = (sessions.c.module_id, sessions.c.starts_at, sessions.c.zone, sessions.c.state.label("session_state"))
    query = select(requests, trainees.c.name, *columns).join_from(requests, trainees).join(sessions)
    return list(connection.execute(query.where(which).order_by(order, requests.c.id).limit(limit)))


def _text(text: str) -> str:
    return read_text(
        text,
        BadInput(
            "request_text_missing",
            "The text is missing, unreadable or longer than 2000 characters.",
            "Go back, write what you want to say in a few sentences, and send it again.",
        ),
    )


def _close(connection: Connection, request_id: int, values: dict[str, Any]) -> None:
    """Of an answer and a withdrawal at once, the first holds."""
    is_open = (requests.c.id == request_id) & (requests.c.state == "open")
    if not connection.execute(update(requests).where(is_open).values(values)).rowcount:
        raise Conflict(
            "request_state", "This request has been answered or withdrawn already.", "Look at the page again."
        )


def _note(connection: Connection, request_id: int, act: str, actor: str, now: datetime, **details: Any) -> None:
    audit.record(connection, actor=actor, act=act, subject=f"attendance_request:{request_id}", at=now, **details)


def _unknown() -> NotFound:
    return NotFound("request_unknown", "There is no such request.", "Open it from the list again.")
