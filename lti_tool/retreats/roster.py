"""Who was present at a retreat, as staff there saw it: never from payment, registration or confirmation.

`attended` opens what follows at the next question. It is no completion of a module, no credit and no grade
(retreats.md H11).
"""

from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, select, update

from lti_tool import audit, people
from lti_tool.actors import refuse_alone, refuse_own
from lti_tool.db import insert_ignoring
from lti_tool.errors import BadInput, Conflict
from lti_tool.gates.situation import day_of
from lti_tool.programme.model import Programme
from lti_tool.retreats.eligibility import date_of, retreat_of
from lti_tool.retreats.states import may_become
from lti_tool.tables.people import trainees
from lti_tool.tables.retreats import retreat_applications as applications
from lti_tool.tables.retreats import retreat_attendances as roster

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
    """Record presence, on the first day or later; the roster entry's id. The same again changes nothing.

    Raises NotFound for an unknown trainee, retreat or date, Conflict "roster_too_early" or "roster_outcome_stands" (a
    no_show is not turned round), AccessDenied "own_case".
    """
    _verify(connection, programme, trainee_id, retreat_id, starts_on, actor)
    if day_of(now, programme.zone) < starts_on:
        raise Conflict("roster_too_early", "The retreat has not begun.", "Mark presence from its first day.")
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
    """Record absence, after the first day. Turning an `attended` round needs a reason and a second person.

    Raises as mark_attended, BadInput "reason_missing", AccessDenied "second_person_needed".
    """
    _verify(connection, programme, trainee_id, retreat_id, starts_on, actor)
    if day_of(now, programme.zone) <= starts_on:
        raise Conflict("roster_too_early", "The first day of the retreat is not over.", "Mark absence after it.")
    present = _entry(connection, trainee_id, retreat_id, starts_on)
    if present is not None and present.outcome == "attended":
        _turn_round(connection, present, reason, confirmed_by, actor, now)
    return _mark(connection, trainee_id, retreat_id, starts_on, "no_show", actor, now, reason.strip() or None)


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
    refuse_own(actor, trainee_id)


def _turn_round(
    connection: Connection, present: Row[Any], reason: str, confirmed_by: str | None, actor: str, now: datetime
) -> None:
    refuse_alone(actor, confirmed_by, present.trainee_id)
    if not reason.strip():
        raise BadInput("reason_missing", "Ending a record needs a reason.")
    connection.execute(
        update(roster).where(roster.c.id == present.id, roster.c.ended_at.is_(None)).values(ended_at=now)
    )
    audit.record(
        connection,
        actor=actor,
        act="retreat_attended_ended",
        subject=f"roster:{present.id}",
        at=now,
        reason=reason.strip(),
        confirmed_by=confirmed_by,
    )


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
        return _standing(connection, trainee_id, retreat_id, starts_on, outcome)
    audit.record(
        connection, actor=actor, act=f"retreat_{outcome}", subject=f"roster:{made}", at=now, reason=reason,
        trainee=trainee_id, retreat=retreat_id, starts_on=starts_on.isoformat(),
    )  # fmt: skip
    _close_application(connection, trainee_id, retreat_id, starts_on, outcome, now)
    return int(made)


def _standing(connection: Connection, trainee_id: int, retreat_id: str, starts_on: date, outcome: Outcome) -> int:
    """The entry that is there already, if it says the same."""
    entry = _entry(connection, trainee_id, retreat_id, starts_on)
    if entry is None or entry.outcome != outcome:
        message = "Another outcome is recorded for this person and date."
        raise Conflict("roster_outcome_stands", message, "Look at the roster again.")
    return int(entry.id)


def _entry(connection: Connection, trainee_id: int, retreat_id: str, starts_on: date) -> Row[Any] | None:
    same = (roster.c.trainee_id == trainee_id) & (roster.c.retreat_id == retreat_id) & (roster.c.starts_on == starts_on)
    return connection.execute(select(roster).where(same, roster.c.ended_at.is_(None))).first()


def _close_application(
    connection: Connection, trainee_id: int, retreat_id: str, starts_on: date, outcome: Outcome, now: datetime
) -> None:
    """A confirmed application follows the roster; presence counts without one too."""
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
