"""Who attended a retreat, as staff there recorded it; payment, registration and confirmation do not count.

`attended` may open further gates. It is no completion of a module, no credit and no grade (retreats.md H11).
"""

from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, select, update

from lti_tool import audit, people
from lti_tool.db import insert_ignoring
from lti_tool.errors import Conflict
from lti_tool.people import refuse_alone, refuse_own
from lti_tool.programme.model import Programme
from lti_tool.retreats.applications import date_of, may_become, retreat_of
from lti_tool.tables.people import trainees
from lti_tool.tables.retreats import retreat_applications as applications
from lti_tool.tables.retreats import retreat_attendances as roster
from lti_tool.text import clean_lines, reason_given
from lti_tool.times import day_of

Outcome = Literal["attended", "no_show"]


def mark_attended(
    connection: Connection,
    programme: Programme,
    *,
    trainee_id: int,
    retreat_id: str,
    starts_on: date,
    actor: str,
    now: datetime,
) -> int:
    """Record attendance on the first day or later; returns the roster entry's id. Recording it again changes nothing.

    Raises NotFound for an unknown trainee, retreat or date, Conflict "roster_too_early", Conflict
    "roster_outcome_stands" if a no_show is recorded, AccessDenied "own_case".
    """
    _verify(connection, programme, trainee_id, retreat_id, starts_on, actor)
    if day_of(now, programme.zone) < starts_on:
        raise Conflict("roster_too_early", "The retreat has not begun.", "Mark attendance on its first day or later.")
    return _mark(connection, trainee_id, retreat_id, starts_on, "attended", actor, now)


def mark_no_show(
    connection: Connection,
    programme: Programme,
    *,
    trainee_id: int,
    retreat_id: str,
    starts_on: date,
    reason: str = "",
    confirmed_by: str | None = None,
    actor: str,
    now: datetime,
) -> int:
    """Record absence after the first day. It replaces `attended` only with a reason and a second person who confirms.

    Raises as mark_attended, BadInput "reason_missing", AccessDenied "second_person_needed".
    """
    _verify(connection, programme, trainee_id, retreat_id, starts_on, actor)
    if day_of(now, programme.zone) <= starts_on:
        raise Conflict("roster_too_early", "The first day of the retreat is not over.", "Mark absence on a later day.")
    attended = _entry(connection, trainee_id, retreat_id, starts_on)
    if attended is not None and attended.outcome == "attended":
        refuse_alone(connection, actor, confirmed_by, trainee_id)
        why = reason_given(reason, "Say how you know that this person was not there.")
        in_force = (roster.c.id == attended.id, roster.c.ended_at.is_(None))
        connection.execute(update(roster).where(*in_force).values(ended_at=now))
        audit.record(
            connection, actor=actor, act="retreat_attended_ended", subject=f"roster:{attended.id}", at=now,
            reason=why, confirmed_by=confirmed_by,
        )  # fmt: skip
    return _mark(connection, trainee_id, retreat_id, starts_on, "no_show", actor, now, clean_lines(reason) or None)


def entries(connection: Connection, retreat_id: str | None = None) -> list[Row[Any]]:
    """The roster entries in force, of one retreat or of all, by date, with the trainee's name and address."""
    wanted = (
        select(roster, trainees.c.name, trainees.c.email)
        .join(trainees, trainees.c.id == roster.c.trainee_id)
        .where(roster.c.ended_at.is_(None))
        .order_by(roster.c.starts_on, roster.c.id)
    )
    return list(connection.execute(wanted if retreat_id is None else wanted.where(roster.c.retreat_id == retreat_id)))


def _verify(
    connection: Connection, programme: Programme, trainee_id: int, retreat_id: str, starts_on: date, actor: str
) -> None:
    people.trainee(connection, trainee_id)
    date_of(retreat_of(programme, retreat_id), starts_on)
    refuse_own(connection, actor, trainee_id)


def _mark(
    connection: Connection,
    trainee_id: int,
    retreat_id: str,
    starts_on: date,
    outcome: Outcome,
    actor: str,
    now: datetime,
    reason: str | None = None,
) -> int:
    row = {"trainee_id": trainee_id, "retreat_id": retreat_id, "starts_on": starts_on, "outcome": outcome}
    row |= {"origin": "roster", "recorded_by": actor, "recorded_at": now}
    made = connection.scalar(insert_ignoring(connection, roster).values(row).returning(roster.c.id))
    if made is None:
        entry = _entry(connection, trainee_id, retreat_id, starts_on)
        if entry is None or entry.outcome != outcome:
            message = "Another outcome is recorded for this person and date."
            raise Conflict("roster_outcome_stands", message, "Check the roster first.")
        return int(entry.id)
    audit.record(
        connection, actor=actor, act=f"retreat_{outcome}", subject=f"roster:{made}", at=now, reason=reason,
        trainee=trainee_id, retreat=retreat_id, starts_on=starts_on.isoformat(),
    )  # fmt: skip
    # A confirmed application follows the roster. Attendance counts without an application too.
    connection.execute(
        update(applications)
        .where(
            applications.c.trainee_id == trainee_id,
            applications.c.retreat_id == retreat_id,
            applications.c.starts_on == starts_on,
            applications.c.state.in_(may_become(outcome, "roster")),
        )
        .values(state=outcome, updated_at=now)
    )
    return int(made)


def _entry(connection: Connection, trainee_id: int, retreat_id: str, starts_on: date) -> Row[Any] | None:
    same = (roster.c.trainee_id == trainee_id) & (roster.c.retreat_id == retreat_id) & (roster.c.starts_on == starts_on)
    return connection.execute(select(roster).where(same, roster.c.ended_at.is_(None))).first()
