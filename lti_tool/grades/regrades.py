"""What staff decide about scores: to try a refused one again, and what stands where somebody else entered a grade.

A re-grade is a score whose gradebook differs from what was delivered (`seen` "differs"). It is undecided while the
score is delivered, or parked with a newer value; "waiting" means that staff chose to send ours, "kept" that theirs
stands until somebody decides anew.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select, update

from lti_tool import audit
from lti_tool.errors import Conflict, NotFound
from lti_tool.grades import line_items
from lti_tool.grades.due_scores import REGRADED
from lti_tool.grades.score_states import RETIRED
from lti_tool.tables.scores import scores


def try_parked_again(connection: Connection, now: datetime) -> int:
    """Put every refused score back in line; how many there were. What needs a decision, or has no column any more,
    stays."""
    return connection.execute(update(scores).where(_is_refused()).values(_in_line(now))).rowcount


def try_again(connection: Connection, score_id: int, now: datetime) -> None:
    """Put one score back in line: a refused one, or one that the gradebook does not show.

    Raises NotFound "score_unknown", Conflict "score_not_waiting_for_you".
    """
    _of_id(connection, score_id)
    is_missing = and_(scores.c.status == "delivered", scores.c.seen == "missing", line_items.in_use())
    ours = and_(scores.c.id == score_id, or_(_is_refused(), is_missing))
    if not connection.execute(update(scores).where(ours).values(_in_line(now))).rowcount:
        raise Conflict(
            "score_not_waiting_for_you",
            "This score is on its way, was taken, or needs another decision. Nothing was changed.",
            "Look at the list again.",
        )


def send_ours(connection: Connection, score_id: int, *, actor: str, now: datetime) -> None:
    """Overwrite what somebody else entered with what the attendance says. Raises NotFound "score_unknown", Conflict
    "regrade_missing"."""
    _decide(connection, score_id, "regrade_overruled", _in_line(now), actor=actor, now=now)


def keep_theirs(connection: Connection, score_id: int, *, actor: str, now: datetime) -> None:
    """Let what somebody else entered stand: the score is not sent any more until staff decide otherwise. Raises as
    `send_ours`."""
    _decide(connection, score_id, "regrade_kept", {"status": "kept", "look_at": None}, actor=actor, now=now)


def _decide(
    connection: Connection, score_id: int, act: str, values: dict[str, Any], *, actor: str, now: datetime
) -> None:
    row = _of_id(connection, score_id)
    ours = and_(scores.c.id == score_id, scores.c.seen == "differs", scores.c.status != "waiting", line_items.in_use())
    if not connection.execute(update(scores).where(ours).values(values)).rowcount:
        raise Conflict("regrade_missing", "There is nothing to decide about this score.", "Look at the list again.")
    audit.record(
        connection,
        actor=actor,
        act=act,
        subject=f"trainee:{row.trainee_id}",
        at=now,
        score=score_id,
        desired=row.desired_given,
        delivered=row.delivered_given,
        seen=row.seen_given,
    )


def _is_refused() -> ColumnElement[bool]:
    for_other_reasons = or_(
        scores.c.last_answer.is_(None),
        and_(scores.c.last_answer != REGRADED, ~scores.c.last_answer.startswith(RETIRED, autoescape=True)),
    )
    return and_(scores.c.status == "parked", for_other_reasons)


def _in_line(now: datetime) -> dict[str, Any]:
    return {"status": "waiting", "attempts": 0, "next_attempt_at": now, "sent_version": None}


def _of_id(connection: Connection, score_id: int) -> Row[Any]:
    row = connection.execute(select(scores).where(scores.c.id == score_id)).first()
    if row is None:
        raise NotFound("score_unknown", "There is no such score.", "Look at the list again.")
    return row
