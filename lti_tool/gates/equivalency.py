"""Requests to accept training elsewhere in place of a module or retreat (gates.md A3).

An approval only opens gates: it is never attendance, completion, credit, a certificate or a grade (gates.md A3.7).
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, bindparam, select, true, update

from lti_tool import audit, people
from lti_tool.audit import trainee_of
from lti_tool.db import insert_ignoring
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.gates import decide
from lti_tool.gates.condition_checks import short_name
from lti_tool.languages import N_, gettext, translated
from lti_tool.outbox import occasions
from lti_tool.people import refuse_alone, refuse_own
from lti_tool.programme.model import Equivalency, EquivalencyProvider, Programme
from lti_tool.programme.versions import Published
from lti_tool.tables.gates import equivalency_requests as requests
from lti_tool.tables.people import trainees
from lti_tool.text import clean_lines, read_line, read_lines
from lti_tool.times import day_of, machine

State = Literal["draft", "submitted", "more_info", "approved", "declined", "withdrawn", "expired", "revoked"]

# All changes of gates.md A3.3; any other is refused.
TRANSITIONS: Mapping[State, tuple[State, ...]] = {
    "draft": ("submitted", "withdrawn"),
    "submitted": ("more_info", "approved", "declined", "withdrawn"),
    "more_info": ("submitted", "withdrawn"),
    "approved": ("expired", "revoked"),
    "declined": (),
    "withdrawn": (),
    "expired": (),
    "revoked": (),
}
# What the learner gets a message about, when a reviewer moves the request to this state.
MESSAGES: Mapping[State, occasions.Kind] = {
    "more_info": "equivalency_question",
    "approved": "equivalency_approved",
    "declined": "equivalency_declined",
}
# gates.md A3.4: cmi5's four reasons for a waiver, and our reasons to decline.
APPROVAL_REASONS = ("equivalent_outside", "equivalent_inside", "tested_out", "administrative")
DECLINE_REASONS = ("not_equivalent", "provider_not_accepted", "evidence_missing", "administrative")
IS_TO_BE_REVOKED = (requests.c.state == "approved") & requests.c.revocation_by.is_not(None)
MAX_TITLE = 255
MAX_NOTE = 4000
MOST_A_DAY = 5  # roles.md RL12


def submit(
    connection: Connection,
    programme: Programme,
    *,
    trainee_id: int,
    target: str,
    provider_id: str,
    course_title: str,
    evidence_note: str,
    completed_on: date | None = None,
    provider_name: str | None = None,
    as_full_review: bool = False,
    actor: str,
    now: datetime,
) -> int:
    """Submit a request for review; returns its id.

    `provider_name` names the provider if `provider_id` is a general one. Raises Conflict "equivalency_not_accepted"
    with the programme's reason for a provider that it does not accept, unless a full review is requested; Conflict
    "equivalency_open" for a second open request for the target, "requests_too_many" for too many of a trainee in one
    day; BadInput "equivalency_target_unknown",
    "equivalency_provider_unknown", "equivalency_incomplete" or "equivalency_date_wrong".
    """
    people.trainee(connection, trainee_id)
    if actor == f"trainee:{trainee_id}":
        people.refuse_too_many(connection, requests, trainee_id, MOST_A_DAY, now)
    provider = _accepted_provider(programme, target, provider_id, as_full_review)
    if completed_on is not None and completed_on > day_of(now, programme.zone):
        raise BadInput(
            "equivalency_date_wrong",
            "The training ends in the future.",
            "Send the request after you have completed it.",
        )
    row = {
        "trainee_id": trainee_id,
        "target": target,
        "provider_id": provider_id,
        "provider_name": read_line(
            provider_name or provider.name, "equivalency_incomplete", "The name of the provider", MAX_TITLE
        ),
        "course_title": read_line(course_title, "equivalency_incomplete", "The title of the course", MAX_TITLE),
        "completed_on": completed_on,
        "evidence_note": _note(evidence_note, N_("What shows that you took it")),
        "state": "submitted",
        "submitted_at": now,
        "created_at": now,
        "updated_at": now,
    }
    # If two are submitted at once, the unique index on open requests lets one in.
    request_id = connection.scalar(insert_ignoring(connection, requests).values(row).returning(requests.c.id))
    if request_id is None:
        raise Conflict("equivalency_open", "There is already an open request for this.", "Wait for its decision.")
    audit.record(
        connection, actor=actor, act="equivalency_submitted", subject=f"equivalency:{request_id}", at=now,
        target=target, provider=provider_id,
    )  # fmt: skip
    occasions.enqueue(connection, "equivalency_received", trainee_id, request_id, "submitted", now=now)
    return int(request_id)


def ask_more(connection: Connection, request_id: int, *, question: str, actor: str, now: datetime) -> None:
    """Ask the learner a question; the gate stays pending."""
    _review(connection, request_id, "more_info", actor, now, question=_note(question, "The question"))


def answer(connection: Connection, request_id: int, *, text: str, actor: str, now: datetime) -> None:
    """Add the learner's answer; the request returns to its old place in the queue."""
    request = _own(connection, request_id, actor)
    whole = f"{request.evidence_note}\n\n{_note(text, N_('The answer'))}"
    note = read_lines(whole, "equivalency_incomplete", "What you told us, with all answers,", 4 * MAX_NOTE)
    _move(connection, request, "submitted", actor=actor, now=now, evidence_note=note)


def approve(
    connection: Connection,
    request_id: int,
    *,
    reason_code: str = "equivalent_outside",
    text: str = "",
    expires_on: date | None = None,
    actor: str,
    now: datetime,
) -> None:
    """Accept; the gate is open from now on. Raises AccessDenied "own_case" if the reviewer is the learner."""
    if expires_on is not None and expires_on < now.date():
        raise BadInput("equivalency_date_wrong", "The last day of the approval is in the past.", "Choose a later day.")
    decided = _decided(reason_code, APPROVAL_REASONS, text, actor, now)
    _review(connection, request_id, "approved", actor, now, expires_on=expires_on, **decided)


def decline(
    connection: Connection,
    request_id: int,
    *,
    reason_code: str = "not_equivalent",
    text: str,
    actor: str,
    now: datetime,
) -> None:
    """Decline, with a text that tells the learner what to do instead."""
    decided = _decided(reason_code, DECLINE_REASONS, _note(text, "The text for the learner"), actor, now)
    _review(connection, request_id, "declined", actor, now, **decided)


def withdraw(connection: Connection, request_id: int, *, actor: str, now: datetime) -> None:
    """Withdraw a request for its learner."""
    _move(connection, _own(connection, request_id, actor), "withdrawn", actor=actor, now=now)


def propose_revocation(connection: Connection, request_id: int, *, reason: str, actor: str, now: datetime) -> None:
    """Propose to revoke an approval. Nothing changes before a second person confirms it.

    Raises BadInput "equivalency_incomplete"; NotFound "equivalency_unknown"; AccessDenied "own_case"; Conflict
    "equivalency_state" if it is not approved, or if its revocation has been proposed already.
    """
    request = load(connection, request_id)
    refuse_own(connection, actor, request.trainee_id)
    proposed = {"revocation_reason": _note(reason, "The reason"), "revocation_by": actor, "revocation_at": now}
    is_new = requests.c.revocation_by.is_(None)
    _change_proposal(connection, request, "revocation_proposed", actor, now, proposed, is_new)


def confirm_revocation(
    connection: Connection, request_id: int, *, proposed_at: datetime | None, actor: str, now: datetime
) -> None:
    """Revoke an approval as another member of staff proposed. Completions and credit stay as they are. `proposed_at` is
    when the proposal that this actor saw was made.

    Raises NotFound "equivalency_unknown"; AccessDenied "own_case", "second_person_needed"; Conflict "equivalency_state"
    if its revocation is not proposed, or not this one.
    """
    request = load(connection, request_id)
    if request.revocation_by is None or request.revocation_at != proposed_at:
        raise _wrong_state(request)
    refuse_own(connection, actor, request.trainee_id, request.revocation_at)
    refuse_alone(connection, request.revocation_by, actor, request.trainee_id, request.revocation_at)
    as_seen = (requests.c.revocation_by == request.revocation_by) & (requests.c.revocation_at == request.revocation_at)
    decided = {"actor": request.revocation_by, "reason": request.revocation_reason, "confirmed_by": actor}
    _move(connection, request, "revoked", now=now, condition=as_seen, **decided)


def drop_revocation(connection: Connection, request_id: int, *, actor: str, now: datetime) -> None:
    """Keep an approval whose revocation is proposed. Raises NotFound "equivalency_unknown"; AccessDenied "own_case";
    Conflict "equivalency_state"."""
    request = load(connection, request_id)
    refuse_own(connection, actor, request.trainee_id, request.revocation_at)
    nothing = dict.fromkeys(("revocation_reason", "revocation_by", "revocation_at"))
    _change_proposal(connection, request, "revocation_dropped", actor, now, nothing, IS_TO_BE_REVOKED)


def shut_by_revoking(connection: Connection, published: Published, request: Row[Any], at: datetime) -> list[str]:
    """The published offerings that are open to the person now and would be shut without this approval."""
    facts = decide.load_facts(connection, [request.trainee_id])[request.trainee_id]
    changed = [replace(each, state="revoked") if each.id == request.id else each for each in facts.equivalencies]
    return decide.shut_without(published, facts, replace(facts, equivalencies=tuple(changed)), at)


def expire_due(connection: Connection, *, today: date, now: datetime) -> int:
    """Mark the approvals whose last day is before `today` as expired; returns their number. Gates check the day
    themselves."""
    due = select(requests).where(requests.c.state == "approved", requests.c.expires_on < today)
    expired = connection.execute(due).all()
    for request in expired:
        _move(connection, request, "expired", actor="system", now=now)
    return len(expired)


def load(connection: Connection, request_id: int) -> Row[Any]:
    """One request. Raises NotFound "equivalency_unknown"."""
    row = connection.execute(select(requests).where(requests.c.id == request_id)).first()
    if row is None:
        raise NotFound("equivalency_unknown", "There is no such request.")
    return row


def queue(connection: Connection) -> list[Row[Any]]:
    """The requests to review, the first submitted first, with the trainee's name and address."""
    return _listed(connection, requests.c.state == "submitted")


def some(connection: Connection, request_ids: Collection[int]) -> list[Row[Any]]:
    """These requests, likewise."""
    return _listed(connection, requests.c.id.in_(request_ids))


def _listed(connection: Connection, which: ColumnElement[bool]) -> list[Row[Any]]:
    named = select(requests, trainees.c.name, trainees.c.email).join(trainees, trainees.c.id == requests.c.trainee_id)
    return list(connection.execute(named.where(which).order_by(requests.c.submitted_at, requests.c.id)))


def of_trainee(connection: Connection, trainee_id: int) -> list[Row[Any]]:
    """All requests of one trainee, newest first, drafts and decided ones included."""
    return list(connection.execute(_of_trainee, {"trainee": trainee_id}))


def offered(programme: Programme, target: str) -> Equivalency:
    """The programme's rules for training elsewhere in place of `target`. Raises BadInput
    "equivalency_target_unknown"."""
    for each in programme.equivalencies.values():
        if each.target == target:
            return each
    raise BadInput("equivalency_target_unknown", "Training elsewhere cannot replace this.", "See the programme.")


def _accepted_provider(
    programme: Programme, target: str, provider_id: str, as_full_review: bool
) -> EquivalencyProvider:
    """The provider with this id, if its training may replace `target` or a full review is requested."""
    provider = offered(programme, target).provider(provider_id)
    if provider is None:
        raise BadInput("equivalency_provider_unknown", "There is no such provider on the list.", "Choose one listed.")
    if provider.decision == "not_accepted" and not as_full_review:
        names = {"provider": provider.name, "title": short_name(programme, target)}
        raise Conflict(
            "equivalency_not_accepted",
            gettext(
                "Training by %(provider)s is not accepted in place of %(title)s: %(reason)s.",
                reason=provider.reason,
                **names,
            )
            if provider.reason
            else gettext("Training by %(provider)s is not accepted in place of %(title)s.", **names),
            gettext(
                "Take %(title)s; its dates are listed. If you still want to ask, send the request as a full review.",
                **names,
            ),
        )
    return provider


def _note(text: str, field: str) -> str:
    return read_lines(text, "equivalency_incomplete", field, MAX_NOTE)


def _decided(code: str, known: tuple[str, ...], text: str, actor: str, now: datetime) -> dict[str, Any]:
    if code not in known:
        raise BadInput("equivalency_reason_unknown", "There is no such reason code.", f"Use one of {', '.join(known)}.")
    return {"reason_code": code, "decision_text": clean_lines(text) or None, "decided_by": actor, "decided_at": now}


def _own(connection: Connection, request_id: int, actor: str) -> Row[Any]:
    """A request that this actor may change as its learner. Another trainee's request is NotFound."""
    request = load(connection, request_id)
    if actor.startswith("trainee:") and trainee_of(actor) != request.trainee_id:
        raise NotFound("equivalency_unknown", "There is no such request.")
    return request


def _review(connection: Connection, request_id: int, to: State, actor: str, now: datetime, **values: Any) -> None:
    request = load(connection, request_id)
    refuse_own(connection, actor, request.trainee_id, request.submitted_at)
    _move(connection, request, to, actor=actor, now=now, **values)
    occasions.enqueue(connection, MESSAGES[to], request.trainee_id, request_id, machine(now), now=now)


def _change_proposal(
    connection: Connection,
    request: Row[Any],
    act: str,
    actor: str,
    now: datetime,
    values: Mapping[str, Any],
    condition: ColumnElement[bool],
) -> None:
    """Change what is proposed about an approval, if it still stands as `condition` says."""
    this = (requests.c.id == request.id) & (requests.c.state == "approved") & condition
    if not connection.execute(update(requests).where(this).values(values)).rowcount:
        raise _wrong_state(request)
    reason, subject = values["revocation_reason"], f"equivalency:{request.id}"
    audit.record(connection, actor=actor, act=f"equivalency_{act}", subject=subject, at=now, reason=reason)


_STATES = {
    "draft": N_("draft"),
    "submitted": N_("submitted"),
    "more_info": N_("more info"),
    "approved": N_("approved"),
    "declined": N_("declined"),
    "withdrawn": N_("withdrawn"),
    "expired": N_("expired"),
    "revoked": N_("revoked"),
}


def _wrong_state(request: Row[Any]) -> Conflict:
    message = gettext("This request is %(state)s; that cannot be done now.", state=translated(_STATES[request.state]))
    return Conflict("equivalency_state", message, "Check its state first.")


def _move(
    connection: Connection,
    request: Row[Any],
    to: State,
    *,
    actor: str,
    now: datetime,
    reason: str | None = None,
    confirmed_by: str | None = None,
    condition: ColumnElement[bool] | None = None,
    **values: Any,
) -> None:
    """Change the state by an UPDATE, if the request still stands as `condition` says. Raises Conflict
    "equivalency_state", also for a change not in TRANSITIONS."""
    from_states = [state for state, targets in TRANSITIONS.items() if to in targets]
    changed = connection.execute(
        update(requests)
        .where(
            requests.c.id == request.id, requests.c.state.in_(from_states), true() if condition is None else condition
        )
        .values(state=to, updated_at=now, **values)
    )
    if not changed.rowcount:
        raise _wrong_state(load(connection, request.id))
    details = {"from": request.state, "reason_code": values.get("reason_code"), "confirmed_by": confirmed_by}
    shown = {name: value for name, value in details.items() if value is not None}
    audit.record(
        connection, actor=actor, act=f"equivalency_{to}", subject=f"equivalency:{request.id}", at=now, reason=reason,
        **shown,
    )  # fmt: skip


_of_trainee = select(requests).where(requests.c.trainee_id == bindparam("trainee")).order_by(requests.c.id.desc())
