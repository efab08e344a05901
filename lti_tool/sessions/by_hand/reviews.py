"""Days whose evidence is odd: staff look at them and let them stand, or correct them.

A review holds for exactly the evidence that was looked at: whatever changes it puts the day back on the list.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Text, and_, cast, exists, select

from lti_tool import audit
from lti_tool.actors import refuse_own
from lti_tool.db import insert_ignoring
from lti_tool.errors import Conflict, NotFound
from lti_tool.sessions.by_hand.review_flags import needs_review
from lti_tool.sessions.by_hand.words import reason_given
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.presence import attendance_reviews as reviews

ENDED = ("provisional", "reconciled")
# Of rows of `attendances`: somebody has looked at exactly this evidence.
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
    """Say that a person's day stands as it is, or that somebody unmatched is nobody of the training. `digest` names the
    evidence that was looked at. What rests on the day is decided again by those who watch for reviews.

    Raises BadInput "reason_missing"; NotFound "attendance_unknown"; AccessDenied "own_case"; Conflict
    "review_outdated" (the evidence has changed since), "review_made".
    """
    why = reason_given(reason)
    row = _current(connection, session_id, person_key)
    refuse_own(actor, row.trainee_id or 0)
    if row.input_digest != digest or not (row.trainee_id is None or needs_review(row.flags)):
        raise Conflict(
            "review_outdated",
            "The evidence of this day has changed since you opened the page.",
            "Look at the list again: the day may be in order now.",
        )
    review = {"live_session_id": session_id, "person_key": person_key, "input_digest": digest, "reason": why}
    made = connection.execute(insert_ignoring(connection, reviews).values(**review, made_by=actor, made_at=now))
    if not made.rowcount:
        raise Conflict("review_made", "Somebody has reviewed this day already.", "Look at the list again.")
    subject, details = f"attendance:{row.id}", {"session": session_id, "flags": list(row.flags)}
    audit.record(connection, actor=actor, act="attendance_let_stand", subject=subject, at=now, reason=why, **details)


def due(connection: Connection) -> list[Row[Any]]:
    """The known people of ended sessions whose evidence somebody has to look at: the rows' ids, session ids, person
    keys, flags and since when. The oldest first."""
    columns = (attendances.c[name] for name in ("id", "live_session_id", "person_key", "flags", "settled_at"))
    query = (
        select(*columns).join(live_sessions).where(_may_be_due()).order_by(attendances.c.settled_at, attendances.c.id)
    )
    rows: Sequence[Row[Any]] = connection.execute(query).all()
    return [row for row in rows if needs_review(row.flags)]


def of_person(connection: Connection, session_id: int, person_key: str) -> list[Row[Any]]:
    """What was said about a person's day so far, the latest first."""
    theirs = (reviews.c.live_session_id == session_id) & (reviews.c.person_key == person_key)
    return list(connection.execute(select(reviews).where(theirs).order_by(reviews.c.id.desc())))


def _may_be_due() -> ColumnElement[bool]:
    """Known people of ended sessions with any flag, and without a review of this very evidence."""
    known = attendances.c.is_current & attendances.c.trainee_id.is_not(None)
    return and_(known, live_sessions.c.state.in_(ENDED), cast(attendances.c.flags, Text) != "[]", ~REVIEWED)


def _current(connection: Connection, session_id: int, person_key: str) -> Row[Any]:
    query = select(attendances)
    theirs = (attendances.c.live_session_id == session_id) & (attendances.c.person_key == person_key)
    row = connection.execute(query.where(theirs, attendances.c.is_current)).first()
    if row is None:
        raise NotFound(
            "attendance_unknown",
            "Nothing is on record for this person in this session.",
            "Look at the session's page again: the person may be known under another key now.",
        )
    return row
