"""Credit claims: one per (learner, live session, body), decided again whenever something they rest on changes.

A claim is open, and becomes awarded when every line of its checklist is met. An award never disappears: when the
evidence under it changes, the claim is marked as contested and staff decide. Credit is awarded once per (learner,
module, body), with a copy of everything it rests on; it is voided, never deleted.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, String, and_, bindparam, cast, literal, or_, select, union, update

from lti_tool import audit
from lti_tool.attendance.minutes import SettledDay
from lti_tool.credit.checklist import (
    Checklist,
    ClaimCase,
    Licence,
    Line,
    StaffFact,
    body_name,
    decide_claim,
)
from lti_tool.db import insert_ignoring
from lti_tool.errors import BadInput, Conflict
from lti_tool.programme.model import CreditBody, Programme
from lti_tool.tables.credit import awards, claim_facts, claims
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.people import licences
from lti_tool.tables.presence import attendance_reviews
from lti_tool.text import reason_given

FACTS = ("fee", "evaluation")
MAX_OUTDATED_AT_ONCE = 100
CONTESTED = Line(
    "contested",
    None,
    "The evidence under this credit has changed since it was awarded. Staff decide; until then you keep the credit.",
    "The claim would not be awarded on the present evidence. It stays awarded while staff look into it.",
)


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


def decide(connection: Connection, programme: Programme, days: Sequence[SettledDay], now: datetime) -> None:
    """Decide the claims of several people in one session, for every body whose credit the module names, and award those
    that are ready."""
    decided = _decide_each(connection, programme, days)
    due = [each for each in decided if each.is_due]
    awarded = award_credits(connection, programme.bodies, due, now)
    overtaken = {each.day.trainee_id for each in due} - {trainee_id for trainee_id, _ in awarded}
    rows = [(each.before, _row(connection, each, now)) for each in decided if each.day.trainee_id not in overtaken]
    added = [row for before, row in rows if before is None]
    changed = [{**row, "claim": before.id} for before, row in rows if before is not None]
    if added:
        connection.execute(insert_ignoring(connection, claims), added)
    if changed:
        connection.execute(update(claims).where(claims.c.id == bindparam("claim")), changed)
    if overtaken:  # another session of this module was awarded first: what is on record has changed
        decide(connection, programme, [day for day in days if day.trainee_id in overtaken], now)


def try_out(
    connection: Connection, programme: Programme, days: Sequence[SettledDay]
) -> dict[tuple[int, str], Checklist]:
    """How the claims of these people (all of one session) would be decided under this programme, by trainee and body.
    Nothing is written."""
    return {(each.day.trainee_id, each.body_id): each.checklist for each in _decide_each(connection, programme, days)}


def _decide_each(connection: Connection, programme: Programme, days: Sequence[SettledDay]) -> list[DecidedClaim]:
    """The claims of these people, all of one session, decided on what is on record for each of them."""
    module = programme.modules.get(days[0].module_id) if days else None
    if module is None or not module.credits:
        return []
    people, session_id = [day.trainee_id for day in days], days[0].session_id
    held: dict[int, list[Licence]] = defaultdict(list)
    in_force = select(licences).where(licences.c.trainee_id.in_(people), licences.c.ended_at.is_(None))
    for row in connection.execute(in_force.order_by(licences.c.id)):
        held[row.trainee_id].append(
            Licence(
                id=row.id,
                type=row.type,
                jurisdiction=row.jurisdiction,
                number=row.number,
                name=row.name_on_licence,
                issued_on=row.issued_on,
                expires_on=row.expires_on,
                status=row.status,
                verified=row.verified,
            )
        )
    recorded = select(claim_facts).where(
        claim_facts.c.trainee_id.in_(people), claim_facts.c.live_session_id == session_id
    )
    facts = {
        (row.trainee_id, row.body_id, row.fact): StaffFact(row.recorded_by, row.recorded_at, row.reason)
        for row in connection.execute(recorded)
    }
    credited_in = {
        (trainee_id, row.body_id): row.live_session_id
        for trainee_id, rows in awards_in_force_of(connection, people, days[0].module_id).items()
        for row in rows
        if row.live_session_id != session_id
    }
    on_record = select(claims).where(claims.c.trainee_id.in_(people), claims.c.live_session_id == session_id)
    before = {(row.trainee_id, row.body_id): row for row in connection.execute(on_record)}
    decided = []
    for day in days:
        for body_id in module.credits:
            key = (day.trainee_id, body_id)
            case = ClaimCase(
                attended=day,
                body_id=body_id,
                licences=tuple(held[day.trainee_id]),
                fee=facts.get((*key, "fee")),
                evaluation=facts.get((*key, "evaluation")),
                credited_in=credited_in.get(key),
            )
            decided.append(DecidedClaim(day, body_id, decide_claim(programme, case), before.get(key)))
    return decided


def _row(connection: Connection, decided: DecidedClaim, now: datetime) -> dict[str, Any]:
    """The claim as it is written; the audit log keeps the moment in which an award became contested."""
    day, lines = decided.day, decided.checklist.to_json()
    if decided.was == "awarded" and decided.checklist.state != "ready":
        lines.append(CONTESTED.to_json())
        if decided.before is None or not any(line["name"] == CONTESTED.name for line in decided.before.checklist):
            subject = f"trainee:{day.trainee_id}"
            audit.record(
                connection, actor="system", act="award_contested", subject=subject, at=now, session=day.session_id
            )
    return {
        "trainee_id": day.trainee_id,
        "live_session_id": day.session_id,
        "module_id": day.module_id,
        "body_id": decided.body_id,
        "state": "awarded" if decided.is_due else decided.was,
        "checklist": lines,
        "updated_at": now,
    }


def awards_in_force(connection: Connection, trainee_id: int, module_id: str) -> Sequence[Row[Any]]:
    """The awards of a person for a module that have not been voided."""
    return awards_in_force_of(connection, [trainee_id], module_id).get(trainee_id, [])


def awards_in_force_of(
    connection: Connection, trainee_ids: Collection[int], module_id: str
) -> dict[int, list[Row[Any]]]:
    """The awards of several people for a module that have not been voided, by trainee id."""
    query = select(awards).where(
        awards.c.trainee_id.in_(trainee_ids), awards.c.module_id == module_id, awards.c.state == "awarded"
    )
    found: dict[int, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query.order_by(awards.c.body_id)):
        found[row.trainee_id].append(row)
    return dict(found)


def awards_of(connection: Connection, trainee_id: int) -> Sequence[Row[Any]]:
    """The awards of a person that have not been voided, with the day and zone of their sessions, the latest first."""
    query = (
        select(awards, live_sessions.c.starts_at, live_sessions.c.zone)
        .join_from(awards, live_sessions)
        .where(awards.c.trainee_id == trainee_id, awards.c.state == "awarded")
    )
    return connection.execute(query.order_by(live_sessions.c.starts_at.desc(), awards.c.body_id)).all()


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


def of_trainee(connection: Connection, trainee_id: int, session_id: int | None = None) -> Sequence[Row[Any]]:
    """The claims of a person, newest session first; `checklist` holds the lines."""
    query = select(claims).where(claims.c.trainee_id == trainee_id)
    if session_id is not None:
        query = query.where(claims.c.live_session_id == session_id)
    return connection.execute(query.order_by(claims.c.live_session_id.desc(), claims.c.body_id)).all()


def record_fact(
    connection: Connection,
    *,
    trainee_id: int,
    session_id: int,
    body_id: str,
    fact: str,
    reason: str,
    actor: str,
    now: datetime,
) -> None:
    """Record that a fee is paid or waived, or that an evaluation was handed in; a staff act with a reason (ce.md E1.8).

    Raises BadInput "reason_missing", "fact_unknown"; Conflict "fact_recorded".
    """
    why = reason_given(reason, "Say how you know that this is settled.")
    if fact not in FACTS:
        raise BadInput(
            "fact_unknown", "Only the fee or the evaluation of a claim can be recorded.", "Use fee or evaluation."
        )
    row = {"trainee_id": trainee_id, "live_session_id": session_id, "body_id": body_id, "fact": fact}
    written = connection.execute(
        insert_ignoring(connection, claim_facts).values(**row, recorded_by=actor, reason=why, recorded_at=now)
    )
    if not written.rowcount:
        raise Conflict("fact_recorded", f"The {fact} of this claim is already recorded.")
    audit.record(
        connection,
        actor=actor,
        act=f"credit_{fact}_recorded",
        subject=f"trainee:{trainee_id}",
        at=now,
        reason=why,
        session=session_id,
        body=body_id,
    )


def outdated(connection: Connection, limit: int = MAX_OUTDATED_AT_ONCE) -> list[tuple[int, int]]:
    """(trainee id, session id) of open or awarded claims that must be decided again: since they were decided, a licence
    was recorded or ended, or staff reviewed the day."""
    by_licence = (
        select(claims.c.trainee_id, claims.c.live_session_id)
        .join(licences, licences.c.trainee_id == claims.c.trainee_id)
        .where(
            claims.c.state.in_(("open", "awarded")),
            or_(licences.c.recorded_at > claims.c.updated_at, licences.c.ended_at > claims.c.updated_at),
        )
    )
    by_review = (
        select(claims.c.trainee_id, claims.c.live_session_id)
        .join(
            attendance_reviews,
            and_(
                attendance_reviews.c.live_session_id == claims.c.live_session_id,
                attendance_reviews.c.person_key == literal("trainee:") + cast(claims.c.trainee_id, String),
            ),
        )
        .where(claims.c.state.in_(("open", "awarded")), attendance_reviews.c.made_at > claims.c.updated_at)
    )
    return [(row[0], row[1]) for row in connection.execute(union(by_licence, by_review).limit(limit))]


@dataclass(frozen=True, slots=True)
class ShownClaim:
    """One claim as pages show it: `checklist` holds its lines as JSON, `credits` what this session earned."""

    id: int
    session_id: int
    body_name: str
    state: str
    credits: Decimal | None
    checklist: Sequence[Mapping[str, Any]]


def of_session(connection: Connection, programme: Programme, trainee_id: int, session_id: int) -> list[ShownClaim]:
    """The claims of one person in one session, one for each credit body."""
    return _shown(connection, programme, of_trainee(connection, trainee_id, session_id))


def of_module(connection: Connection, programme: Programme, trainee_id: int, module_id: str) -> list[ShownClaim]:
    """The claims of one person in every session of a module, the newest session first."""
    rows = of_trainee(connection, trainee_id)
    return _shown(connection, programme, [each for each in rows if each.module_id == module_id])


def _shown(connection: Connection, programme: Programme, rows: Sequence[Row[Any]]) -> list[ShownClaim]:
    """Claims of one person for one module, with what they earned."""
    awarded = {
        (row.live_session_id, row.body_id): row.credits
        for row in (awards_in_force(connection, rows[0].trainee_id, rows[0].module_id) if rows else ())
    }
    return [
        ShownClaim(
            id=row.id,
            session_id=row.live_session_id,
            body_name=body_name(programme.bodies.get(row.body_id), row.body_id),
            state=row.state,
            credits=awarded.get((row.live_session_id, row.body_id)),
            checklist=row.checklist,
        )
        for row in rows
    ]
