"""Staff exceptions: one gate open for one person until a last day, with a reason (gates.md A4).

An exception is ended, never edited or deleted.
"""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from lti_tool import audit, people
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.people import refuse_own
from lti_tool.programme.model import Programme
from lti_tool.tables.gates import exceptions
from lti_tool.tables.people import trainees
from lti_tool.text import clean_lines, reason_given
from lti_tool.times import day_of

MIN_REASON_LETTERS = 10
DEFAULT_DURATION = timedelta(days=90)


def grant(
    connection: Connection,
    programme: Programme,
    *,
    trainee_id: int,
    offering_id: str,
    reason: str,
    expires_on: date | None = None,
    actor: str,
    now: datetime,
) -> int:
    """Open one gate for one person until the end of `expires_on`, by default for 90 days; returns the exception's id.

    It never replaces screening or the statement (gates.md A4.4). Raises NotFound "offering_unknown", BadInput
    "exception_reason_short" or "exception_date_wrong", AccessDenied "own_case" if staff grant it to themselves.
    """
    people.trainee(connection, trainee_id)
    refuse_own(connection, actor, trainee_id)
    today = day_of(now, programme.zone)
    last = expires_on or today + DEFAULT_DURATION
    if offering_id not in programme.modules and offering_id not in programme.retreats:
        raise NotFound("offering_unknown", "The programme has no such module or retreat.")
    why = clean_lines(reason)
    if len(why) < MIN_REASON_LETTERS:
        raise BadInput(
            "exception_reason_short", f"An exception needs a reason of {MIN_REASON_LETTERS} characters or more."
        )
    if last < today:
        raise BadInput("exception_date_wrong", "The last day of the exception is in the past.", "Choose a later day.")
    row = {
        "trainee_id": trainee_id,
        "offering_id": offering_id,
        "reason": why,
        "granted_by": actor,
        "granted_at": now,
        "expires_on": last,
    }
    granted: int = connection.execute(insert(exceptions).values(row).returning(exceptions.c.id)).scalar_one()
    audit.record(
        connection, actor=actor, act="exception_granted", subject=f"exception:{granted}", at=now,
        trainee=trainee_id, offering=offering_id, until=last.isoformat(),
    )  # fmt: skip
    return granted


def end(
    connection: Connection,
    exception_id: int,
    *,
    reason: str,
    actor: str,
    now: datetime,
    trainee_id: int | None = None,
) -> None:
    """End an exception early; with `trainee_id` only one of this person.

    Raises BadInput "reason_missing", NotFound "exception_unknown", Conflict "exception_ended".
    """
    why = reason_given(reason, "Say why the exception ends.")
    theirs = [exceptions.c.id == exception_id]
    if trainee_id is not None:
        theirs.append(exceptions.c.trainee_id == trainee_id)
    in_force = update(exceptions).where(*theirs, exceptions.c.ended_at.is_(None))
    if not connection.execute(in_force.values(ended_at=now, ended_reason=why)).rowcount:
        if connection.scalar(select(exceptions.c.id).where(*theirs)) is None:
            raise NotFound("exception_unknown", "There is no such exception.")
        raise Conflict("exception_ended", "This exception has already been ended.")
    subject = f"exception:{exception_id}"
    audit.record(connection, actor=actor, act="exception_ended", subject=subject, at=now, reason=why)


def active(connection: Connection, today: date) -> list[Row[Any]]:
    """The exceptions in force on this day in the programme's zone, the first to expire first, with the trainee's name
    and address."""
    wanted = (
        select(exceptions, trainees.c.name, trainees.c.email)
        .join(trainees, trainees.c.id == exceptions.c.trainee_id)
        .where(exceptions.c.ended_at.is_(None), exceptions.c.expires_on >= today)
        .order_by(exceptions.c.expires_on, exceptions.c.id)
    )
    return list(connection.execute(wanted))
