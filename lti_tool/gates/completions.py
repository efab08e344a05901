"""Completions: records that a trainee took a module (gates.md A8.4).

One is in force per trainee and module. A completion is ended with a reason, never deleted.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, select, update

from lti_tool import audit, people
from lti_tool.db import insert_ignoring
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.people import refuse_alone, refuse_alone_for_all, refuse_own
from lti_tool.programme.model import Programme
from lti_tool.tables.gates import completions
from lti_tool.tables.people import trainees
from lti_tool.text import MAX_STATEMENT, read_lines, reason_given
from lti_tool.times import day_of

# Where a completion without attendance in a live session comes from.
Origin = Literal["imported", "staff"]


def complete(
    connection: Connection,
    trainee_id: int,
    module_id: str,
    completed_on: date,
    origin: Origin,
    *,
    evidence: str | None = None,
    actor: str,
    now: datetime,
) -> int | None:
    """Record that a trainee took a module; returns the completion's id, or None if one is in force already. Never
    changes an existing record."""
    source = {"origin": origin, "live_session_id": None, "evidence": evidence, "recorded_by": actor}
    row = {"trainee_id": trainee_id, "module_id": module_id, "completed_on": completed_on, **source}
    return _record(connection, [row], actor, now).get((trainee_id, module_id))


def complete_imported(
    connection: Connection, rows: Sequence[Mapping[str, Any]], *, import_id: int | None, actor: str, now: datetime
) -> Mapping[tuple[int, str], int]:
    """Record completions from a file, each with trainee_id, module_id, completed_on and evidence; returns the ids of
    those recorded by trainee and module. A completion in force is kept."""
    source = {"origin": "imported", "live_session_id": None, "recorded_by": actor, "import_id": import_id}
    return _record(connection, [{**each, **source} for each in rows], actor, now)


def record_by_staff(
    connection: Connection,
    programme: Programme,
    *,
    trainee_id: int,
    module_id: str,
    completed_on: date,
    evidence: str,
    actor: str,
    now: datetime,
) -> int:
    """Record that a trainee took a module, as one of the staff vouches for; returns the completion's id.

    Raises NotFound "module_unknown"; BadInput "evidence_missing" or "completion_date_wrong"; AccessDenied "own_case";
    Conflict "completion_in_force".
    """
    people.trainee(connection, trainee_id)
    refuse_own(connection, actor, trainee_id)
    if module_id not in programme.modules:
        raise NotFound("module_unknown", "The programme has no such module.", "Choose one from the list.")
    if completed_on > day_of(now, programme.zone):
        raise BadInput("completion_date_wrong", "The module ends in the future.", "Give the day on which it was taken.")
    shown_by = read_lines(evidence, "evidence_missing", "The evidence", MAX_STATEMENT)
    made = complete(connection, trainee_id, module_id, completed_on, "staff", evidence=shown_by, actor=actor, now=now)
    if made is None:
        raise Conflict("completion_in_force", "This module is recorded as taken already.", "Look at the page again.")
    return made


def complete_by_attendance(
    connection: Connection,
    trainee_ids: Collection[int],
    module_id: str,
    held_on: date,
    *,
    live_session_id: int,
    now: datetime,
) -> None:
    """Record that several trainees took a module in one live session. A completion in force is kept."""
    source = {"origin": "attendance", "live_session_id": live_session_id, "evidence": None, "recorded_by": "system"}
    same = {"module_id": module_id, "completed_on": held_on, **source}
    _record(connection, [{"trainee_id": each, **same} for each in trainee_ids], "system", now)


def end_completion(
    connection: Connection,
    completion_id: int,
    *,
    reason: str,
    actor: str,
    confirmed_by: str | None = None,
    now: datetime,
) -> None:
    """End a completion. Staff need a second person who confirms; attendance and credit stay as they are.

    Raises BadInput "reason_missing", NotFound "completion_unknown", Conflict "completion_ended",
    AccessDenied "second_person_needed" or "own_case".
    """
    why = reason_given(reason, "Say why the completion ends.")
    row = connection.execute(select(completions).where(completions.c.id == completion_id)).first()
    if row is None:
        raise NotFound("completion_unknown", "There is no such completion.")
    if actor.startswith("staff:"):
        refuse_alone(connection, actor, confirmed_by, row.trainee_id)
    in_force = update(completions).where(completions.c.id == completion_id, completions.c.ended_at.is_(None))
    if not connection.execute(in_force.values(ended_at=now, ended_reason=why)).rowcount:
        raise Conflict("completion_ended", "This completion has already been ended.")
    audit.record(
        connection,
        actor=actor,
        act="completion_ended",
        subject=f"completion:{completion_id}",
        at=now,
        reason=why,
        confirmed_by=confirmed_by,
    )


def end_imported(
    connection: Connection,
    import_id: int,
    *,
    reason: str,
    actor: str,
    confirmed_by: str,
    proposed_at: datetime,
    now: datetime,
) -> int:
    """End the completions in force that one upload recorded, as two people decide; returns how many.

    Raises AccessDenied "second_person_needed" or "own_case", also if one of them is about one of the two.
    """
    theirs = (completions.c.import_id == import_id) & completions.c.ended_at.is_(None)
    people_of = connection.scalars(select(completions.c.trainee_id).where(theirs).distinct()).all()
    refuse_alone_for_all(connection, actor, confirmed_by, people_of, proposed_at)
    ending = update(completions).where(theirs).values(ended_at=now, ended_reason=reason)
    ended = connection.scalars(ending.returning(completions.c.id)).all()
    acts = [(f"completion:{each}", {"confirmed_by": confirmed_by}) for each in sorted(ended)]
    audit.record_all(connection, acts, actor=actor, act="completion_ended", at=now, reason=reason)
    return len(ended)


def of_trainee(connection: Connection, trainee_id: int, *, ended: bool = False) -> list[Row[Any]]:
    """The completions of one trainee in the order they were recorded; ended ones only if `ended` is true."""
    wanted = select(completions).where(completions.c.trainee_id == trainee_id).order_by(completions.c.id)
    return list(connection.execute(wanted if ended else wanted.where(completions.c.ended_at.is_(None))))


def in_force(connection: Connection, module_id: str | None = None) -> list[Row[Any]]:
    """The completions in force, of one module or of all, with the trainee's name and address."""
    wanted = (
        select(completions, trainees.c.name, trainees.c.email)
        .join(trainees, trainees.c.id == completions.c.trainee_id)
        .where(completions.c.ended_at.is_(None))
        .order_by(completions.c.id)
    )
    return list(connection.execute(wanted if module_id is None else wanted.where(completions.c.module_id == module_id)))


def _record(
    connection: Connection, rows: Sequence[Mapping[str, Any]], actor: str, now: datetime
) -> dict[tuple[int, str], int]:
    """The ids of the completions recorded, by trainee and module. The unique index leaves out those of which one is in
    force."""
    if not rows:
        return {}
    table = completions.c
    written = connection.execute(
        insert_ignoring(connection, completions).returning(table.trainee_id, table.module_id, table.id, table.origin),
        [{**each, "recorded_at": now} for each in rows],
    ).all()
    acts = [
        (f"completion:{row.id}", {"trainee": row.trainee_id, "module": row.module_id, "origin": row.origin})
        for row in written
    ]
    audit.record_all(connection, acts, actor=actor, act="completion_recorded", at=now)
    return {(row.trainee_id, row.module_id): row.id for row in written}
