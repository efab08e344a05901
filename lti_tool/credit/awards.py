"""Awarded credit: once per (learner, module, body), with everything it rests on; voided, never deleted."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from lti_tool import audit
from lti_tool.attendance.minutes import Attendance
from lti_tool.credit.checklist import Checklist
from lti_tool.db import insert_ignoring
from lti_tool.programme.model import CreditBody
from lti_tool.tables.credit import awards


@dataclass(frozen=True, slots=True)
class SettledDay:
    """One person's settled attendance of one live session, as credit sees it.

    `held_on` is the session's date in its own zone, `day` the attendance. `ended` false
    means that nothing may be awarded yet.
    """

    trainee_id: int
    session_id: int
    module_id: str
    programme_version: int
    held_on: date
    session_state: str
    ended: bool
    attendance_id: int
    day: Attendance
    flags: tuple[str, ...]
    is_in_doubt: bool = False
    """Something about the evidence is odd, and nobody of staff has looked at it yet."""


@dataclass(frozen=True, slots=True)
class ReadyClaim:
    """A claim that every line of its checklist supports."""

    day: SettledDay
    body: CreditBody
    checklist: Checklist


def in_force(connection: Connection, trainee_id: int, module_id: str) -> Sequence[Row[Any]]:
    """The awards of a person for a module that have not been voided."""
    return in_force_of(connection, [trainee_id], module_id).get(trainee_id, [])


def in_force_of(connection: Connection, trainee_ids: Collection[int], module_id: str) -> dict[int, list[Row[Any]]]:
    """The awards for a module that have not been voided, of several people by their ids."""
    query = select(awards).where(
        awards.c.trainee_id.in_(trainee_ids), awards.c.module_id == module_id, awards.c.state == "awarded"
    )
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query.order_by(awards.c.body_id)):
        found[row.trainee_id].append(row)
    return dict(found)


def award_credits(connection: Connection, ready: Sequence[ReadyClaim], now: datetime) -> set[tuple[int, str]]:
    """Award claims that are ready. Gives (trainee id, body id) of those awarded now; a credit that is in force already
    is left out (the unique index decides)."""
    if not ready:
        return set()
    written = connection.execute(
        insert_ignoring(connection, awards).returning(awards.c.trainee_id, awards.c.body_id),
        [_row(each, now) for each in ready],
    )
    awarded = {(row.trainee_id, row.body_id) for row in written}
    acts = [_act(each) for each in ready if (each.day.trainee_id, each.body.id) in awarded]
    audit.record_all(connection, acts, actor="system", act="credit_awarded", at=now)
    return awarded


def _row(claim: ReadyClaim, now: datetime) -> dict[str, Any]:
    day, checklist = claim.day, claim.checklist
    assert checklist.state == "ready"
    assert checklist.licence is not None
    return {
        "trainee_id": day.trainee_id,
        "module_id": day.module_id,
        "live_session_id": day.session_id,
        "body_id": claim.body.id,
        "credits": checklist.credits,
        "seconds_present": day.day.seconds_present,
        "attendance_id": day.attendance_id,
        "licence_id": checklist.licence.id,
        "programme_version": day.programme_version,
        "basis": _basis(day, claim.body, checklist),
        "state": "awarded",
        "awarded_at": now,
    }


def _basis(attended: SettledDay, body: CreditBody, checklist: Checklist) -> dict[str, Any]:
    """What the award rests on, copied: later edits of policy, statement or licence change nothing here."""
    licence, policy = checklist.licence, body.policy
    assert licence is not None
    assert policy is not None
    statement = body.statement or ""
    return {
        "held_on": attended.held_on.isoformat(),
        "evidence": attended.session_state,
        "seconds_present": attended.day.seconds_present,
        "seconds_instructional": attended.day.seconds_instructional,
        "policy": {**asdict(policy), "credit_step": str(policy.credit_step)},
        "statement": {
            "programme_version": attended.programme_version,
            "digest": hashlib.sha256(statement.encode()).hexdigest(),
        },
        "licence": {"id": licence.id, "type": licence.type, "state": licence.jurisdiction},
        "checklist": checklist.to_json(),
    }


def _act(claim: ReadyClaim) -> tuple[str, dict[str, Any]]:
    """What the audit log tells of this award: of whom, and its details."""
    day, credit = claim.day, str(claim.checklist.credits)
    details = {"session": day.session_id, "module": day.module_id, "body": claim.body.id, "credits": credit}
    return f"trainee:{day.trainee_id}", details
