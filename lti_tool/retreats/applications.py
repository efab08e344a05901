"""Applications to retreats: who may apply, their states, and how trainees apply and withdraw (retreats.md H4).

The gate is the same as everywhere, asked for the first day of a date.

An application holds no health answer: only which list of conditions was read, and when (retreats.md H1.3).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row, select, update

from lti_tool import audit, people
from lti_tool.audit import trainee_of
from lti_tool.db import insert_ignoring
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.gates import decide
from lti_tool.gates.decision import Decision
from lti_tool.programme.catalogue import Retreat, RetreatDate
from lti_tool.programme.model import UNSET, Programme
from lti_tool.programme.versions import Published
from lti_tool.tables.people import trainees
from lti_tool.tables.retreats import retreat_applications as applications
from lti_tool.times import day_of


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether one trainee may apply for one date of a retreat. `is_offered` is false while applications are closed for
    everyone; `place` is None while no date is announced."""

    retreat: Retreat
    place: RetreatDate | None
    decision: Decision
    is_offered: bool

    @property
    def may_apply(self) -> bool:
        """True if the gate is open, or pending only on a decision (retreats.md H4.6)."""
        return self.is_offered and self.place is not None and (self.decision.open or self.decision.is_pending)


def eligibility(
    connection: Connection,
    published: Published,
    trainee_id: int,
    retreat_id: str,
    at: datetime,
    *,
    starts_on: date | None = None,
) -> Eligibility:
    """Whether this trainee may apply for `starts_on`; by default for the next date, or the last if all are past.

    Raises NotFound "retreat_unknown" or "retreat_date_unknown".
    """
    programme = published.programme
    retreat = retreat_of(programme, retreat_id)
    place = date_of(retreat, starts_on) if starts_on else next_date(retreat, day_of(at, programme.zone))
    start = place.starts_on if place else None
    decision = decide.ask(connection, published, trainee_id, retreat_id, at, offering_start=start)
    return Eligibility(retreat, place, decision, is_offered(programme, retreat_id))


def eligibility_for_all(
    connection: Connection, published: Published, trainee_id: int, at: datetime
) -> list[Eligibility]:
    """Whether this trainee may apply for each retreat: for its next date, or the last if all are past."""
    programme = published.programme
    places = {name: next_date(each, day_of(at, programme.zone)) for name, each in programme.retreats.items()}
    starts = {name: place.starts_on for name, place in places.items() if place}
    asked = decide.ask_each(connection, published, trainee_id, list(places), at, starts=starts)
    return [
        Eligibility(programme.retreats[name], places[name], decision, is_offered(programme, name))
        for name, decision in asked.items()
    ]


def retreat_of(programme: Programme, retreat_id: str) -> Retreat:
    """Raises NotFound "retreat_unknown"."""
    retreat = programme.retreats.get(retreat_id)
    if retreat is None:
        raise NotFound("retreat_unknown", "The programme has no such retreat.", "See the list of retreats.")
    return retreat


def shown_dates(retreat: Retreat) -> tuple[RetreatDate, ...]:
    """The dates that are certain, in order; others are never shown (programme.yaml C22)."""
    certain = (each for each in retreat.dates if each.confidence in ("printed", "confirmed"))
    return tuple(sorted(certain, key=lambda each: each.starts_on))


def date_of(retreat: Retreat, starts_on: date) -> RetreatDate:
    """Raises NotFound "retreat_date_unknown"."""
    for each in shown_dates(retreat):
        if each.starts_on == starts_on:
            return each
    raise NotFound("retreat_date_unknown", "The retreat has no date that starts on this day.", "Choose a listed date.")


def next_date(retreat: Retreat, today: date) -> RetreatDate | None:
    """The next date that has not begun, else the last one; None if no date is announced."""
    dates = shown_dates(retreat)
    return next((each for each in dates if each.starts_on >= today), dates[-1] if dates else None)


def is_offered(programme: Programme, retreat_id: str) -> bool:
    """Whether applications are open at all: the retreat is published and its gate is decided."""
    gate = programme.gates.get(retreat_id)
    return programme.is_published(retreat_id) and gate is not None and gate.mode != UNSET


def verify_offered(programme: Programme, retreat_id: str) -> None:
    """Raises Conflict "retreat_not_offered"."""
    if not is_offered(programme, retreat_id):
        raise Conflict(
            "retreat_not_offered",
            "This retreat cannot be applied for: its requirements are not decided yet.",
            "Write to the training team if you would like to hear when they are.",
        )


State = Literal[
    "draft",
    "gate_blocked",
    "submitted",
    "under_review",
    "screening",
    "waitlisted",
    "offered",
    "confirmed",
    "declined",
    "withdrawn",
    "attended",
    "no_show",
]
STATES: tuple[State, ...] = get_args(State)

# Who may change a state: the learner, a coordinator, staff at the retreat, or the system.
Who = Literal["learner", "coordinator", "roster", "system"]

_LEARNER_MAY_WITHDRAW: tuple[State, ...] = (
    "draft", "gate_blocked", "submitted", "under_review", "screening", "waitlisted", "offered", "confirmed",
)  # fmt: skip
_MAY_BE_DECLINED: tuple[State, ...] = (
    "submitted", "under_review", "screening", "waitlisted", "offered", "confirmed",
)  # fmt: skip

ENDED: tuple[State, ...] = ("declined", "withdrawn", "attended", "no_show")

# Every change there is, and who may make it. Any other is refused.
TRANSITIONS: Mapping[tuple[State | None, State], tuple[Who, ...]] = {
    (None, "draft"): ("learner",),
    ("draft", "gate_blocked"): ("system",),
    ("gate_blocked", "draft"): ("system",),
    ("draft", "submitted"): ("learner",),
    ("submitted", "under_review"): ("coordinator",),
    ("under_review", "screening"): ("coordinator",),
    ("under_review", "offered"): ("coordinator",),
    ("under_review", "waitlisted"): ("coordinator", "system"),
    ("screening", "waitlisted"): ("coordinator", "system"),
    ("screening", "offered"): ("coordinator",),
    ("waitlisted", "screening"): ("coordinator",),
    ("waitlisted", "offered"): ("coordinator",),
    ("offered", "confirmed"): ("learner",),
    ("confirmed", "under_review"): ("coordinator",),
    ("confirmed", "screening"): ("coordinator",),
    ("confirmed", "offered"): ("system",),
    ("declined", "under_review"): ("coordinator",),
    ("withdrawn", "under_review"): ("coordinator",),
    ("confirmed", "attended"): ("roster",),
    ("confirmed", "no_show"): ("roster",),
    ("attended", "no_show"): ("roster",),
    **{(state, "declined"): ("coordinator",) for state in _MAY_BE_DECLINED},
    **{(state, "withdrawn"): ("learner",) for state in _LEARNER_MAY_WITHDRAW},
    ("offered", "withdrawn"): ("learner", "system"),
}


def may_become(to: State, who: Who) -> tuple[State, ...]:
    """The states that `who` may change to `to`."""
    return tuple(state for (state, target), by in TRANSITIONS.items() if state and target == to and who in by)


def apply(
    connection: Connection,
    published: Published,
    *,
    trainee_id: int,
    retreat_id: str,
    starts_on: date,
    statement_version: str | None = None,
    actor: str,
    now: datetime,
) -> int:
    """Submit an application for one date of a retreat; returns its id. The gate is asked again, for that date.

    `statement_version` is the version of the list about which the trainee states "none applies to me"; most retreats
    require it. Raises Conflict "retreat_not_offered", "retreat_date_past", "retreat_gate_closed", "application_exists"
    or "application_closed", BadInput "statement_missing" or "statement_outdated", NotFound for an unknown retreat,
    date or trainee.
    """
    people.trainee(connection, trainee_id)
    asked = eligibility(connection, published, trainee_id, retreat_id, now, starts_on=starts_on)
    verify_offered(published.programme, retreat_id)
    if starts_on < day_of(now, published.programme.zone):
        raise Conflict("retreat_date_past", "This date of the retreat has begun or is past.", "Choose a later date.")
    if not asked.may_apply:
        raise Conflict(
            "retreat_gate_closed",
            "You do not meet a requirement of this retreat yet.",
            "The retreat's page lists what is missing and how to get it.",
        )
    statement = _verified_statement(asked, published.programme, statement_version)
    _refuse_second(connection, trainee_id, retreat_id, starts_on)
    row = {
        "trainee_id": trainee_id,
        "retreat_id": retreat_id,
        "starts_on": starts_on,
        "state": "submitted",
        "statement_version": statement,
        "statement_at": now if statement else None,
        "decision_digest": asked.decision.digest,
        "submitted_at": now,
        "created_at": now,
        "updated_at": now,
    }
    made = connection.scalar(insert_ignoring(connection, applications).values(row).returning(applications.c.id))
    if made is None:
        raise _exists()
    decide.record(connection, asked.decision, "retreat_application")
    subject, digest = f"application:{made}", asked.decision.digest
    audit.record(connection, actor=actor, act="application_submitted", subject=subject, at=now, digest=digest)
    return int(made)


def withdraw(connection: Connection, application_id: int, *, actor: str, now: datetime) -> None:
    """Withdraw an application. Raises NotFound "application_unknown", Conflict "application_transition"."""
    application = load(connection, application_id)
    if actor.startswith("trainee:") and trainee_of(actor) != application.trainee_id:
        raise _unknown()
    changed = connection.execute(
        update(applications)
        .where(applications.c.id == application_id, applications.c.state.in_(may_become("withdrawn", "learner")))
        .values(state="withdrawn", updated_at=now)
    )
    if not changed.rowcount:
        raise Conflict("application_transition", "This application has already ended.", "Check its state first.")
    subject, details = f"application:{application_id}", {"from": application.state}
    audit.record(connection, actor=actor, act="application_withdrawn", subject=subject, at=now, **details)


def load(connection: Connection, application_id: int) -> Row[Any]:
    """One application. Raises NotFound "application_unknown"."""
    row = connection.execute(select(applications).where(applications.c.id == application_id)).first()
    if row is None:
        raise _unknown()
    return row


def of_trainee(connection: Connection, trainee_id: int) -> list[Row[Any]]:
    """All applications of one trainee, newest first, ended ones included (retreats.md H4.3)."""
    theirs = select(applications).where(applications.c.trainee_id == trainee_id)
    return list(connection.execute(theirs.order_by(applications.c.id.desc())))


def list_applications(connection: Connection, retreat_id: str | None = None) -> list[Row[Any]]:
    """Applications in the order of submission, of one retreat or of all, with the trainee's name and address."""
    columns = [column for column in applications.c if column.name != "decision_digest"]
    wanted = (
        select(*columns, trainees.c.name, trainees.c.email)
        .join(trainees, trainees.c.id == applications.c.trainee_id)
        .order_by(applications.c.submitted_at, applications.c.id)
    )
    return list(
        connection.execute(wanted if retreat_id is None else wanted.where(applications.c.retreat_id == retreat_id))
    )


def _verified_statement(asked: Eligibility, programme: Programme, version: str | None) -> str | None:
    """The version of the list that the statement is about; None only if the retreat requires no statement."""
    if asked.retreat.attestation_required is False:
        return None
    shown = programme.contraindications
    if version is None or shown is None:
        message = "The statement about the list of conditions is missing."
        raise BadInput("statement_missing", message, "Read the list and make the statement, or write to us.")
    if version != shown.version:
        message = "The list of conditions has changed since it was shown."
        raise BadInput("statement_outdated", message, "Please read the list again.")
    return version


def _refuse_second(connection: Connection, trainee_id: int, retreat_id: str, starts_on: date) -> None:
    """One application per trainee and date; only a coordinator may reopen it after its end (retreats.md H4.3)."""
    same = (
        (applications.c.trainee_id == trainee_id)
        & (applications.c.retreat_id == retreat_id)
        & (applications.c.starts_on == starts_on)
    )
    states = set(connection.scalars(select(applications.c.state).where(same)))
    if states - set(ENDED):
        raise _exists()
    if states:
        message = "An earlier application for this date has ended."
        raise Conflict("application_closed", message, "Write to the training team if you would like it reopened.")


def _exists() -> Conflict:
    return Conflict("application_exists", "There is already an application for this date.", "See your applications.")


def _unknown() -> NotFound:
    return NotFound("application_unknown", "There is no such application.")
