"""What a link or a correction would change, with the credit that hangs on it: read before deciding (ce.md Y2)."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from lti_tool import publication
from lti_tool.grades import claims
from lti_tool.grades.awards import SettledDay
from lti_tool.grades.checklist import Checklist
from lti_tool.grades.claim_lines import body_name
from lti_tool.sessions.by_hand.effects import Effect
from lti_tool.sessions.by_hand.review_flags import needs_review


@dataclass(frozen=True, slots=True)
class CreditChange:
    """One credit body and what would become of the claim there. `gains` is None where nothing changes hands;
    `missing` are the lines of the checklist that keep it open."""

    body_name: str
    says: str
    gains: bool | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One session before and after, for one trainee."""

    effect: Effect
    credit: tuple[CreditChange, ...]


def with_credit(connection: Connection, effect: Effect) -> Change:
    """The effect with what would become of the trainee's claims, as far as is known now. Nothing is written."""
    if effect.is_locked:
        return Change(effect, ())
    return Change(effect, tuple(_credit(connection, effect)))


def _credit(connection: Connection, effect: Effect) -> Iterator[CreditChange]:
    programme = publication.version(connection, effect.session.programme_version).programme
    day = _day(effect)
    held = {row.body_id: row.state for row in claims.of_trainee(connection, day.trainee_id, day.session_id)}
    for (_, body_id), checklist in claims.try_out(connection, programme, [day]).items():
        name = body_name(programme.bodies.get(body_id), body_id)
        yield _change(name, held.get(body_id, "open"), checklist)


def _change(name: str, state: str, checklist: Checklist) -> CreditChange:
    is_ready = checklist.state == "ready"
    if state == "awarded":
        return CreditChange(name, "stays awarded") if is_ready else CreditChange(name, "would be contested", False)
    if state != "open":
        return CreditChange(name, f"stays {state}")
    if is_ready:
        return CreditChange(name, f"{checklist.credits} credits would be awarded", True)
    return CreditChange(
        name, "stays open", missing=tuple(line.name for line in checklist.lines if line.satisfied is not True)
    )


def _day(effect: Effect) -> SettledDay:
    """The day as it would be settled."""
    session, after = effect.session, effect.after
    assert after.trainee_id is not None
    return SettledDay(
        trainee_id=after.trainee_id,
        session_id=session.id,
        module_id=session.module_id,
        programme_version=session.programme_version,
        held_on=session.held_on,
        session_state=session.state,
        ended=session.ended_at is not None,
        attendance_id=0,
        day=after.day,
        flags=after.flags,
        is_in_doubt=needs_review(after.flags),
    )
