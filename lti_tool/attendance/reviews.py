"""Days with odd evidence, which staff let stand or correct, and the questions that trainees ask about their own day.

A review holds for exactly the evidence that was looked at: any change puts the day back on the list.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Text, cast, exists, literal_column, or_, select

from lti_tool import audit
from lti_tool.attendance import live_sessions
from lti_tool.attendance.evidence import REVIEW_FLAGS, needs_review
from lti_tool.attendance.requests import Requests, read_text
from lti_tool.db import insert_ignoring
from lti_tool.errors import Conflict, NotFound
from lti_tool.people import refuse_own
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.live_sessions import live_sessions as live_sessions_table
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import attendance_requests as requests
from lti_tool.tables.presence import attendance_reviews as reviews
from lti_tool.text import reason_given

ENDED = ("provisional", "reconciled")
QUESTIONS = Requests(requests, "attendance_request", most_a_day=10)  # roles.md RL12
# Condition for rows of `attendances`: staff have looked at exactly this evidence.
REVIEWED = exists().where(
    reviews.c.live_session_id == attendances.c.live_session_id,
    reviews.c.person_key == attendances.c.person_key,
    reviews.c.input_digest == attendances.c.input_digest,
)


def let_stand(
    connection: Connection,
    *,
    session_id: int,
    person_key: str,
    digest: str,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Let a person's day stand as it is, or record that an unmatched person is not a trainee. `digest` names the
    evidence that was looked at. Completion and credit are decided again after the review, elsewhere.

    Raises BadInput "reason_missing"; NotFound "attendance_unknown"; AccessDenied "own_case"; Conflict
    "review_outdated" (the evidence has changed since), "review_made".
    """
    why = reason_given(reason)
    theirs = (attendances.c.live_session_id == session_id) & (attendances.c.person_key == person_key)
    row = connection.execute(select(attendances).where(theirs, attendances.c.is_current)).first()
    if row is None:
        raise NotFound(
            "attendance_unknown",
            "Nothing is on record for this person in this session.",
            "Look at the session's page again: the person may be known under another key now.",
        )
    refuse_own(connection, actor, row.trainee_id or 0)
    if row.input_digest != digest or not (row.trainee_id is None or needs_review(row.flags)):
        raise Conflict(
            "review_outdated",
            "The evidence of this day has changed since you opened the page.",
            "Open the list again: the day may be in order now.",
        )
    review = {"live_session_id": session_id, "person_key": person_key, "input_digest": digest, "reason": why}
    made = connection.execute(insert_ignoring(connection, reviews).values(**review, made_by=actor, made_at=now))
    if not made.rowcount:
        raise Conflict("review_made", "This day has been reviewed already.", "Look at the list again.")
    subject, details = f"attendance:{row.id}", {"session": session_id, "flags": list(row.flags)}
    audit.record(connection, actor=actor, act="attendance_let_stand", subject=subject, at=now, reason=why, **details)


_flagged = attendances.alias("flagged")
# Condition for rows of `attendances`: they are current and have any flag. The few that do are read first, by an index.
FLAGGED = attendances.c.id.in_(
    select(_flagged.c.id).where(_flagged.c.is_current, cast(_flagged.c.flags, Text) != literal_column("'[]'"))
)
# The matched people of ended sessions whose evidence staff must look at.
DUE = (
    attendances.c.is_current,
    FLAGGED,
    attendances.c.trainee_id.is_not(None),
    live_sessions_table.c.state.in_(ENDED),
    or_(*(cast(attendances.c.flags, Text).contains(f'"{flag}"', autoescape=True) for flag in sorted(REVIEW_FLAGS))),
    ~REVIEWED,
)


def due(connection: Connection) -> list[Row[Any]]:
    """The days that staff must look at: the rows' ids, session ids, person keys, flags and since when. The oldest
    first."""
    columns = (attendances.c[name] for name in ("id", "live_session_id", "person_key", "flags", "settled_at"))
    query = select(*columns).join(live_sessions_table).where(*DUE)
    return list(connection.execute(query.order_by(attendances.c.settled_at, attendances.c.id)))


def of_person(connection: Connection, session_id: int, person_key: str) -> list[Row[Any]]:
    """All reviews of a person's day, the latest first."""
    theirs = (reviews.c.live_session_id == session_id) & (reviews.c.person_key == person_key)
    return list(connection.execute(select(reviews).where(theirs).order_by(reviews.c.id.desc())))


def open_request(connection: Connection, *, session_id: int, trainee_id: int, text: str, now: datetime) -> int:
    """Ask staff to look at the trainee's own day; returns the request's id. Locked sessions are allowed too.

    Raises NotFound "session_unknown"; BadInput "request_text_missing"; Conflict "request_open" (one at a time),
    "request_early" (the session has not begun), "session_cancelled", "requests_too_many".
    """
    session = live_sessions.show(connection, session_id)
    if session.state == "cancelled":
        raise Conflict("session_cancelled", f"Live session {session_id} is cancelled.")
    if session.state == "scheduled" and now < session.starts_at:
        raise Conflict("request_early", "This session has not begun yet.", "Look at your day after the session.")
    row = {"live_session_id": session_id, "trainee_id": trainee_id, "text": read_text(text), "created_at": now}
    refusal = Conflict(
        "request_open",
        "You have asked about this session already, and the training team has not answered yet.",
        "Wait for the answer, or withdraw your question and write a new one.",
    )
    return QUESTIONS.open(connection, row, refusal, session=session_id)


def withdraw(connection: Connection, request_id: int, *, trainee_id: int, now: datetime) -> Row[Any]:
    """Take the trainee's own request back; returns it. Raises as `Requests.withdraw` does."""
    return QUESTIONS.withdraw(connection, request_id, trainee_id=trainee_id, now=now)


def answer(connection: Connection, request_id: int, *, text: str, actor: str, now: datetime) -> None:
    """Answer a request, in words that the trainee reads. Raises as `Requests.answer` does."""
    QUESTIONS.answer(connection, request_id, text=text, actor=actor, now=now)


def queue(connection: Connection) -> list[Row[Any]]:
    """The open requests, the first asked first, with the person's name and the session."""
    return _listed(connection, requests.c.state == "open", requests.c.created_at)


def some_requests(connection: Connection, request_ids: Collection[int]) -> list[Row[Any]]:
    """These requests, likewise."""
    return _listed(connection, requests.c.id.in_(request_ids), requests.c.created_at)


def requests_of(connection: Connection, trainee_id: int) -> list[Row[Any]]:
    """Everything this person asked about attendance, the latest first, likewise."""
    return _listed(connection, requests.c.trainee_id == trainee_id, requests.c.created_at.desc())


def answered(connection: Connection, limit: int = 20) -> list[Row[Any]]:
    """The latest answers."""
    return _listed(connection, requests.c.state == "answered", requests.c.answered_at.desc(), limit)


def of_trainee_in(connection: Connection, trainee_id: int, session_id: int) -> list[Row[Any]]:
    """This person's requests about one session, the latest first."""
    theirs = (requests.c.trainee_id == trainee_id) & (requests.c.live_session_id == session_id)
    return list(connection.execute(select(requests).where(theirs).order_by(requests.c.id.desc())))


def of_trainee(connection: Connection, trainee_id: int, limit: int = 20) -> list[Row[Any]]:
    """This person's requests that are open or answered, the latest first, with their sessions."""
    theirs = (requests.c.trainee_id == trainee_id) & (requests.c.state != "withdrawn")
    return _listed(connection, theirs, requests.c.created_at.desc(), limit)


def _listed(connection: Connection, which: ColumnElement[bool], order: Any, limit: int | None = None) -> list[Row[Any]]:
    columns = (
        live_sessions_table.c.module_id,
        live_sessions_table.c.starts_at,
        live_sessions_table.c.zone,
        live_sessions_table.c.state.label("session_state"),
    )
    query = select(requests, trainees.c.name, *columns).join_from(requests, trainees).join(live_sessions_table)
    return list(connection.execute(query.where(which).order_by(order, requests.c.id).limit(limit)))
