"""Applications to retreats. They hold no health answer: only which list was read, and when (retreats.md H1.3).

The states of an application and every change between them (retreats.md H4). Pure; any other pair is refused.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row, select, update

from lti_tool import audit, people
from lti_tool.audit import trainee_of
from lti_tool.db import insert_ignoring
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.gates import decide
from lti_tool.programme.model import Programme
from lti_tool.programme.versions import Published
from lti_tool.retreats.eligibility import Eligibility, eligibility, verify_offered
from lti_tool.tables.people import trainees
from lti_tool.tables.retreats import retreat_applications as applications
from lti_tool.times import day_of

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

# Who may make a change: the learner, a coordinator, staff on the roster, or the system.
Who = Literal["learner", "coordinator", "roster", "system"]

_LEARNER_MAY_WITHDRAW: tuple[State, ...] = (
    "draft", "gate_blocked", "submitted", "under_review", "screening", "waitlisted", "offered", "confirmed",
)  # fmt: skip
_MAY_BE_DECLINED: tuple[State, ...] = (
    "submitted", "under_review", "screening", "waitlisted", "offered", "confirmed",
)  # fmt: skip

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


def verify_transition(from_state: State | None, to: State, who: Who) -> None:
    """Raises Conflict "application_transition" for a change that is not in the table, or not this person's."""
    if who not in TRANSITIONS.get((from_state, to), ()):
        now = "new" if from_state is None else from_state.replace("_", " ")
        raise Conflict(
            "application_transition",
            f"An application that is {now} cannot become {to.replace('_', ' ')} this way.",
            "Look at the application again.",
        )


def may_become(to: State, who: Who) -> tuple[State, ...]:
    """The states from which `who` may make an application `to`."""
    return tuple(state for (state, target), by in TRANSITIONS.items() if state and target == to and who in by)


ENDED: tuple[State, ...] = ("declined", "withdrawn", "attended", "no_show")


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
    """Submit an application for one date of a retreat; its id. The gate is asked again, for that date.

    `statement_version` is the list that the person says to have read ("none applies to me"), needed where the retreat
    asks for it. Raises Conflict "retreat_not_offered", "retreat_date_past", "retreat_gate_closed", "application_exists"
    or "application_closed", BadInput "statement_missing" or "statement_outdated", NotFound for an unknown retreat,
    date or trainee.
    """
    people.trainee(connection, trainee_id)
    asked = eligibility(connection, published, trainee_id, retreat_id, now, starts_on=starts_on)
    _verify_may_apply(asked, published.programme, starts_on, now)
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
    _note(connection, made, "application_submitted", actor, now, digest=asked.decision.digest)
    return int(made)


def withdraw(connection: Connection, application_id: int, *, actor: str, now: datetime) -> None:
    """The learner takes it back. Raises NotFound "application_unknown", Conflict "application_transition"."""
    application = load(connection, application_id)
    if actor.startswith("trainee:") and trainee_of(actor) != application.trainee_id:
        raise _unknown()
    changed = connection.execute(
        update(applications)
        .where(applications.c.id == application_id, applications.c.state.in_(may_become("withdrawn", "learner")))
        .values(state="withdrawn", updated_at=now)
    )
    if not changed.rowcount:
        raise Conflict("application_transition", "This application has ended already.", "Look at it again.")
    _note(connection, application_id, "application_withdrawn", actor, now, **{"from": application.state})


def load(connection: Connection, application_id: int) -> Row[Any]:
    """One application. Raises NotFound "application_unknown"."""
    row = connection.execute(select(applications).where(applications.c.id == application_id)).first()
    if row is None:
        raise _unknown()
    return row


def of_trainee(connection: Connection, trainee_id: int) -> list[Row[Any]]:
    """All applications of one person, newest first, ended ones too: nobody starts from a blank form
    (retreats.md H4.3)."""
    theirs = select(applications).where(applications.c.trainee_id == trainee_id)
    return list(connection.execute(theirs.order_by(applications.c.id.desc())))


def list_applications(connection: Connection, retreat_id: str | None = None) -> list[Row[Any]]:
    """Applications for staff in the order of submission, of one retreat or of all, with the trainee's name and address.
    Nothing of the statement is among the columns but that it was made."""
    columns = [column for column in applications.c if column.name != "decision_digest"]
    wanted = (
        select(*columns, trainees.c.name, trainees.c.email)
        .join(trainees, trainees.c.id == applications.c.trainee_id)
        .order_by(applications.c.submitted_at, applications.c.id)
    )
    return list(
        connection.execute(wanted if retreat_id is None else wanted.where(applications.c.retreat_id == retreat_id))
    )


def _verify_may_apply(asked: Eligibility, programme: Programme, starts_on: date, now: datetime) -> None:
    verify_offered(programme, asked.retreat.id)
    if starts_on < day_of(now, programme.zone):
        raise Conflict("retreat_date_past", "This date of the retreat has begun or is past.", "Choose a later date.")
    if not asked.may_apply:
        raise Conflict(
            "retreat_gate_closed",
            "A requirement of this retreat is not met yet.",
            "The retreat's page lists what is missing and how to get it.",
        )


def _verified_statement(asked: Eligibility, programme: Programme, version: str | None) -> str | None:
    """The version of the list the statement is about; None only where the retreat asks for no statement."""
    if asked.retreat.attestation_required is False:
        return None
    shown = programme.contraindications
    if version is None or shown is None:
        message = "The statement about the list of conditions was not made."
        raise BadInput("statement_missing", message, "Read the list and make the statement, or write to us.")
    if version != shown.version:
        message = "The list of conditions has changed since it was shown."
        raise BadInput("statement_outdated", message, "Please read the list again.")
    return version


def _refuse_second(connection: Connection, trainee_id: int, retreat_id: str, starts_on: date) -> None:
    """One live application per date, and after its end a new one only by a coordinator who reopens it
    (retreats.md H4.3)."""
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
        raise Conflict("application_closed", message, "Write to the training team to have it looked at again.")


def _exists() -> Conflict:
    return Conflict("application_exists", "There is an application for this date already.", "Look at that one.")


def _unknown() -> NotFound:
    return NotFound("application_unknown", "There is no such application.")


def _note(connection: Connection, application_id: int, act: str, actor: str, now: datetime, **details: Any) -> None:
    audit.record(connection, actor=actor, act=act, subject=f"application:{application_id}", at=now, **details)
