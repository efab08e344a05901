"""Credit claims: one per (learner, live session, body), decided again whenever something they rest on changes.

open → awarded when every line of the checklist is met. An award never disappears: when the evidence under it changes,
the claim is marked as contested and staff decide.

Credit claims as pages show them: the checklist, its state, and what was awarded.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Row, String, and_, bindparam, cast, literal, or_, select, union, update

from lti_tool import audit
from lti_tool.credit import awards
from lti_tool.credit.awards import ReadyClaim, SettledDay
from lti_tool.credit.checklist import Checklist, ClaimCase, Licence, Line, StaffFact, body_name, decide_claim
from lti_tool.credit.settled_attendance import attended_day, hold, hold_session
from lti_tool.db import insert_ignoring
from lti_tool.errors import BadInput, Conflict
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.tables.credit import claim_facts, claims
from lti_tool.tables.people import licences
from lti_tool.tables.presence import attendance_reviews

FACTS = ("fee", "evaluation")
CONTESTED = Line(
    "contested",
    None,
    "The evidence under this credit has changed since it was awarded. Staff decide; nothing is taken back unasked.",
    "The claim would not be awarded on the present evidence. Keep the award or void it, with a reason.",
)


@dataclass(slots=True)
class _Known:
    """What is on record for the claims of one person in one session."""

    licences: list[Licence] = field(default_factory=list)
    facts: dict[tuple[str, str], StaffFact] = field(default_factory=dict)
    credited_in: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    claims: dict[str, Row[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Decided:
    day: SettledDay
    body_id: str
    checklist: Checklist
    before: Row[Any] | None

    @property
    def was(self) -> str:
        return self.before.state if self.before is not None else "open"

    @property
    def is_due(self) -> bool:
        """Whether credit is to be awarded now: a claim that lapsed or was voided is opened by staff alone
        (ce.md E1.2)."""
        return self.was == "open" and self.checklist.state == "ready"


def decide(connection: Connection, programme: Programme, days: Sequence[SettledDay], now: datetime) -> None:
    """Decide the claims of several people in one session, for every body whose credit the module names, and award those
    that are ready."""
    module = programme.modules.get(days[0].module_id) if days else None
    if module is None or not module.credits:
        return
    known = _known(connection, days)
    decided = [_decide(programme, day, body_id, known[day.trainee_id]) for day in days for body_id in module.credits]
    due = [ReadyClaim(each.day, programme.bodies[each.body_id], each.checklist) for each in decided if each.is_due]
    awarded = awards.award_credits(connection, due, now)
    overtaken = {each.day.trainee_id for each in due} - {trainee_id for trainee_id, _ in awarded}
    _write(connection, [each for each in decided if each.day.trainee_id not in overtaken], now)
    # Another session of this module was faster by a moment: what is on record has changed.
    decide(connection, programme, [day for day in days if day.trainee_id in overtaken], now)


def try_out(
    connection: Connection, programme: Programme, days: Sequence[SettledDay]
) -> dict[tuple[int, str], Checklist]:
    """How the claims of these people (all of one session) would be decided under this programme, by trainee and body.
    Nothing is written."""
    module = programme.modules.get(days[0].module_id) if days else None
    if module is None or not module.credits:
        return {}
    known = _known(connection, days)
    decided = [_decide(programme, day, body_id, known[day.trainee_id]) for day in days for body_id in module.credits]
    return {(each.day.trainee_id, each.body_id): each.checklist for each in decided}


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
    if not reason.strip():
        raise BadInput("reason_missing", "A fact of a claim needs a reason.", "Say how you know it.")
    if fact not in FACTS:
        raise BadInput("fact_unknown", "Staff record the fee or the evaluation of a claim.", "Use fee or evaluation.")
    row = {"trainee_id": trainee_id, "live_session_id": session_id, "body_id": body_id, "fact": fact}
    written = connection.execute(
        insert_ignoring(connection, claim_facts).values(
            **row, recorded_by=actor, reason=reason.strip(), recorded_at=now
        )
    )
    if not written.rowcount:
        raise Conflict("fact_recorded", f"The {fact} of this claim is on record already.")
    audit.record(
        connection,
        actor=actor,
        act=f"credit_{fact}_recorded",
        subject=f"trainee:{trainee_id}",
        at=now,
        reason=reason.strip(),
        session=session_id,
        body=body_id,
    )


def reconsider(connection: Connection, trainee_id: int, session_id: int, now: datetime) -> SettledDay | None:
    """Decide a person's claims of a session again, after a licence, a fee or an evaluation was recorded.

    The attendance that was decided on, or None while there is none or the session has not ended."""
    hold_session(connection, session_id)
    hold(connection, [trainee_id])
    attended = attended_day(connection, trainee_id, session_id)
    if attended is None or not attended.ended:
        return None
    programme = versions.version(connection, attended.programme_version).programme
    decide(connection, programme, [attended], now)
    return attended


def outdated(connection: Connection, limit: int = 100) -> list[tuple[int, int]]:
    """(trainee id, session id) of claims whose person had a licence recorded or ended since they were decided: open
    ones, and awarded ones, which the licence may no longer carry; and of those whose odd day staff let stand since."""
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


def _decide(programme: Programme, day: SettledDay, body_id: str, known: _Known) -> _Decided:
    elsewhere = [each for each in known.credited_in[body_id] if each != day.session_id]
    case = ClaimCase(
        module_id=day.module_id,
        body_id=body_id,
        held_on=day.held_on,
        ended=day.ended,
        session_state=day.session_state,
        day=day.day,
        flags=day.flags,
        licences=tuple(known.licences),
        fee=known.facts.get((body_id, "fee")),
        evaluation=known.facts.get((body_id, "evaluation")),
        credited_in=elsewhere[0] if elsewhere else None,
        is_in_doubt=day.is_in_doubt,
    )
    return _Decided(day, body_id, decide_claim(programme, case), known.claims.get(body_id))


def _write(connection: Connection, decided: Sequence[_Decided], now: datetime) -> None:
    rows = [(each, _row(connection, each, now)) for each in decided]
    added = [row for each, row in rows if each.before is None]
    changed = [{**row, "claim": each.before.id} for each, row in rows if each.before is not None]
    if added:
        connection.execute(insert_ignoring(connection, claims), added)
    if changed:
        connection.execute(update(claims).where(claims.c.id == bindparam("claim")), changed)


def _row(connection: Connection, decided: _Decided, now: datetime) -> dict[str, Any]:
    return {
        "trainee_id": decided.day.trainee_id,
        "live_session_id": decided.day.session_id,
        "module_id": decided.day.module_id,
        "body_id": decided.body_id,
        "state": "awarded" if decided.is_due else decided.was,
        "checklist": _lines(connection, decided, now),
        "updated_at": now,
    }


def _lines(connection: Connection, decided: _Decided, now: datetime) -> list[dict[str, Any]]:
    lines = decided.checklist.to_json()
    if decided.was != "awarded" or decided.checklist.state == "ready":
        return lines
    if decided.before is None or not any(line["name"] == CONTESTED.name for line in decided.before.checklist):
        subject, session_id = f"trainee:{decided.day.trainee_id}", decided.day.session_id
        audit.record(connection, actor="system", act="award_contested", subject=subject, at=now, session=session_id)
    return [*lines, CONTESTED.to_json()]


def _known(connection: Connection, days: Sequence[SettledDay]) -> dict[int, _Known]:
    """What is on record for each of these people; all of them were in the same session."""
    known = {day.trainee_id: _Known() for day in days}
    people, session_id = list(known), days[0].session_id
    held = select(licences).where(licences.c.trainee_id.in_(people), licences.c.ended_at.is_(None))
    for row in connection.execute(held.order_by(licences.c.id)):
        known[row.trainee_id].licences.append(_licence(row))
    facts = select(claim_facts).where(claim_facts.c.trainee_id.in_(people), claim_facts.c.live_session_id == session_id)
    for row in connection.execute(facts):
        fact = StaffFact(row.recorded_by, row.recorded_at, row.reason)
        known[row.trainee_id].facts[row.body_id, row.fact] = fact
    for trainee_id, rows in awards.in_force_of(connection, people, days[0].module_id).items():
        for row in rows:
            known[trainee_id].credited_in[row.body_id].append(row.live_session_id)
    before = select(claims).where(claims.c.trainee_id.in_(people), claims.c.live_session_id == session_id)
    for row in connection.execute(before):
        known[row.trainee_id].claims[row.body_id] = row
    return known


def _licence(row: Row[Any]) -> Licence:
    return Licence(
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


@dataclass(frozen=True, slots=True)
class ShownClaim:
    """One claim; `checklist` holds its lines as JSON, `credits` what this session earned, if anything."""

    id: int
    session_id: int
    body_name: str
    state: str
    credits: Decimal | None
    checklist: Sequence[Mapping[str, Any]]


def of_session(connection: Connection, programme: Programme, trainee_id: int, session_id: int) -> list[ShownClaim]:
    """The claims of one person in one session, one for each credit body."""
    rows = of_trainee(connection, trainee_id, session_id)
    module_id = rows[0].module_id if rows else ""
    awarded = {
        row.body_id: row.credits
        for row in awards.in_force(connection, trainee_id, module_id)
        if row.live_session_id == session_id
    }
    return [
        ShownClaim(
            id=row.id,
            session_id=session_id,
            body_name=body_name(programme.bodies.get(row.body_id), row.body_id),
            state=row.state,
            credits=awarded.get(row.body_id),
            checklist=row.checklist,
        )
        for row in rows
    ]
