"""Awarded credit: once per (learner, module, body), with everything it rests on; voided, never deleted."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from lti_tool import audit
from lti_tool.attendance.minutes import SettledDay
from lti_tool.credit.checklist import Checklist
from lti_tool.db import insert_ignoring
from lti_tool.programme.model import CreditBody
from lti_tool.tables.credit import awards


@dataclass(frozen=True, slots=True)
class DecidedClaim:
    """A claim with its checklist; `before` is the claim on record, if there is one."""

    day: SettledDay
    body_id: str
    checklist: Checklist
    before: Row[Any] | None

    @property
    def was(self) -> str:
        return self.before.state if self.before is not None else "open"

    @property
    def is_due(self) -> bool:
        """Whether credit is to be awarded now. Only staff reopen a claim that lapsed or was voided (ce.md E1.2)."""
        return self.was == "open" and self.checklist.state == "ready"


def in_force(connection: Connection, trainee_id: int, module_id: str) -> Sequence[Row[Any]]:
    """The awards of a person for a module that have not been voided."""
    return in_force_of(connection, [trainee_id], module_id).get(trainee_id, [])


def in_force_of(connection: Connection, trainee_ids: Collection[int], module_id: str) -> dict[int, list[Row[Any]]]:
    """The awards of several people for a module that have not been voided, by trainee id."""
    query = select(awards).where(
        awards.c.trainee_id.in_(trainee_ids), awards.c.module_id == module_id, awards.c.state == "awarded"
    )
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query.order_by(awards.c.body_id)):
        found[row.trainee_id].append(row)
    return dict(found)


def award_credits(
    connection: Connection, bodies: Mapping[str, CreditBody], due: Sequence[DecidedClaim], now: datetime
) -> set[tuple[int, str]]:
    """Award claims that are due. Returns (trainee id, body id) of each credit awarded now; a credit that is in force
    already is left out (the unique index decides)."""
    if not due:
        return set()
    insert = insert_ignoring(connection, awards).returning(awards.c.trainee_id, awards.c.body_id)
    written = connection.execute(insert, [award_row(each, bodies[each.body_id], now) for each in due])
    awarded = {(row.trainee_id, row.body_id) for row in written}
    acts = [
        (
            f"trainee:{each.day.trainee_id}",
            {
                "session": each.day.session_id,
                "module": each.day.module_id,
                "body": each.body_id,
                "credits": str(each.checklist.credits),
            },
        )
        for each in due
        if (each.day.trainee_id, each.body_id) in awarded
    ]
    audit.record_all(connection, acts, actor="system", act="credit_awarded", at=now)
    return awarded


def award_row(claim: DecidedClaim, body: CreditBody, now: datetime) -> dict[str, Any]:
    """An award with a copy of what it rests on: later edits of policy, statement or licence change nothing here."""
    attended, licence, policy = claim.day, claim.checklist.licence, body.policy
    assert claim.is_due
    assert licence is not None
    assert policy is not None
    return {
        "trainee_id": attended.trainee_id,
        "module_id": attended.module_id,
        "live_session_id": attended.session_id,
        "body_id": claim.body_id,
        "credits": claim.checklist.credits,
        "seconds_present": attended.day.seconds_present,
        "attendance_id": attended.attendance_id,
        "licence_id": licence.id,
        "programme_version": attended.programme_version,
        "basis": {
            "held_on": attended.held_on.isoformat(),
            "evidence": attended.session_state,
            "seconds_present": attended.day.seconds_present,
            "seconds_instructional": attended.day.seconds_instructional,
            "policy": {**asdict(policy), "credit_step": str(policy.credit_step)},
            "statement": {
                "programme_version": attended.programme_version,
                "digest": hashlib.sha256((body.statement or "").encode()).hexdigest(),
            },
            "licence": {"id": licence.id, "type": licence.type, "state": licence.jurisdiction},
            "checklist": claim.checklist.to_json(),
        },
        "state": "awarded",
        "awarded_at": now,
    }
