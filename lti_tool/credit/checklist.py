"""What a credit claim rests on, and the checklist that its decision is (ce.md E1.1).

PURE. Every line is an independent fact with its evidence; learner and staff see the same list.

The conditions of a credit claim, one function a line (ce.md E1.1).

PURE. `satisfied` is True, False, or None while it is not known yet. Sentences are for the learner and for the desk;
they hold no name and no licence number.

One credit claim, decided: the checklist of ce.md E1 for a (learner, live session, body).

PURE. A claim pays the full credits of the offering or nothing (E1.9), and never in advance of a licence (E1.3).

The time a credit body sees: what was missed of a day, under that body's policy.

PURE. Estimated presence earns no credit: it is missed until the platform's report or a reviewer confirms it
(zoom.md §4), so every sum exists twice, without and with what is still unconfirmed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Literal

from lti_tool import times
from lti_tool.attendance.minutes import Attendance, CountedInterval
from lti_tool.attendance.minutes import Missed as MissedInstruction
from lti_tool.programme.model import CreditBody, CreditPolicy, DocumentRow, Programme

ClaimState = Literal["open", "ready"]


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence as recorded; a correction is another record. `status` is what the board says."""

    id: int
    type: str
    jurisdiction: str
    number: str
    name: str
    issued_on: date
    expires_on: date
    status: str
    verified: bool

    def covers(self, day: date) -> bool:
        return self.issued_on <= day <= self.expires_on


@dataclass(frozen=True, slots=True)
class StaffFact:
    """A fee paid or waived, an evaluation handed in, as staff recorded it."""

    recorded_by: str
    recorded_at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True)
class ClaimCase:
    """Everything one claim rests on.

    `held_on` is the session's date in its own zone, `session_state` how far its evidence is settled, `day` the
    attendance; `is_in_doubt`: staff must look at it first. `credited_in` is another
    session for which this offering's credit of this body has been awarded already.
    """

    module_id: str
    body_id: str
    held_on: date
    ended: bool
    session_state: str
    day: Attendance
    flags: tuple[str, ...]
    licences: tuple[Licence, ...]
    fee: StaffFact | None = None
    evaluation: StaffFact | None = None
    credited_in: int | None = None
    is_in_doubt: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One condition: met, not met, or (None) not known yet. `says` is for the learner, `staff` for the desk."""

    name: str
    satisfied: bool | None
    says: str
    staff: str
    next_step: str = ""
    evidence: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "satisfied": self.satisfied,
            "says": self.says,
            "staff": self.staff,
            "next_step": self.next_step,
            "evidence": dict(self.evidence or {}),
        }


@dataclass(frozen=True, slots=True)
class Checklist:
    """The decision. `credits` is what the claim pays once it is ready, None while the programme names no number;
    `licence` the licence it rests on."""

    lines: tuple[Line, ...]
    credits: Decimal | None
    licence: Licence | None

    @property
    def state(self) -> ClaimState:
        return "ready" if all(line.satisfied is True for line in self.lines) else "open"

    def to_json(self) -> list[dict[str, Any]]:
        return [line.to_json() for line in self.lines]


Kind = Literal["proven", "unproven", "absent"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Instructional seconds of one kind, starting at `from_at`; stretches of a day are disjoint."""

    from_at: datetime
    seconds: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Missed:
    """Seconds of instruction missed: before the arrival, in one go at most, and in all."""

    late: int
    longest: int
    total: int

    def meets(self, policy: CreditPolicy) -> bool:
        """Whether a body with this policy still gives credit. A limit nobody has set allows nothing."""
        return (
            self.late <= 60 * (policy.late_arrival_minutes or 0)
            and self.longest <= 60 * (policy.max_missed_consecutive_minutes or 0)
            and self.total <= 60 * (policy.max_missed_total_minutes or 0)
        )


def stretches(day: Attendance) -> tuple[Stretch, ...]:
    """The instructional time of a day in order."""
    found = [*_present(day.intervals), *_absent(day.missed)]
    return tuple(sorted(found, key=lambda each: each.from_at))


def missed(day: Iterable[Stretch], policy: CreditPolicy, *, unproven_counts: bool) -> Missed:
    """What was missed. Breaks do not divide an absence; absences up to the body's reconnect gap are not counted."""
    runs: list[tuple[bool, int]] = [
        (present, sum(each.seconds for each in run))
        for present, run in groupby(day, key=lambda each: _is_present(each, unproven_counts))
    ]
    absences = [seconds for present, seconds in runs if not present and seconds > policy.reconnect_gap_seconds]
    late = runs[0][1] if runs and not runs[0][0] and runs[0][1] > policy.reconnect_gap_seconds else 0
    return Missed(late=late, longest=max(absences, default=0), total=sum(absences))


def _is_present(stretch: Stretch, unproven_counts: bool) -> bool:
    return stretch.kind == "proven" or (unproven_counts and stretch.kind == "unproven")


def _present(intervals: Iterable[CountedInterval]) -> Iterator[Stretch]:
    for each in intervals:
        if each.counted_seconds:
            kind: Kind = "unproven" if each.evidence == "estimated" else "proven"
            yield Stretch(each.from_at, each.counted_seconds, kind)


def _absent(gaps: Iterable[MissedInstruction]) -> Iterator[Stretch]:
    for each in gaps:
        kind: Kind = "unproven" if each.why == "unconfirmed" else "absent"
        yield Stretch(each.from_at, each.seconds, kind)


def offering(body: CreditBody | None, policy: CreditPolicy | None, credits: Decimal | None, case: ClaimCase) -> Line:
    name = body_name(body, case.body_id)
    if body is None or policy is None:
        staff = f"The policy of {case.body_id} is unset or incomplete: it must be set before credit can be offered."
        return Line("offering", False, f"Credit of {name} is not offered for this module.", staff)
    if credits is None or credits <= 0:
        staff = f"No number of credits of {case.body_id} stands in this session's programme version."
        return Line("offering", None, f"Credits of {name} have not been announced for this module.", staff)
    if body.valid_from is None or body.valid_to is None:
        staff = f"The approval dates of {case.body_id} are unset: they must be set before credit can be offered."
        return Line("offering", False, f"Credit of {name} is not offered for this module.", staff)
    if not body.is_approved_on(case.held_on):
        staff = f"The approval of {case.body_id} does not cover {times.day(case.held_on)}."
        return Line("offering", False, f"Credit of {name} is not offered for this date.", staff)
    says = f"This module carries {credits} credits of {name}."
    return Line("offering", True, says, says, evidence={"credits": str(credits)})


def body_name(body: CreditBody | None, body_id: str) -> str:
    """The short name of a body, or its id in capitals: "SCRC", "APA"."""
    return (body.short_name if body is not None else None) or body_id.upper().replace("_", " ")


def matrix(programme: Programme, held: Licence | None, case: ClaimCase) -> Line:
    if held is None:
        says = "Which document you can get depends on your licence, and none is recorded."
        return Line("matrix", None, says, "No licence is recorded.", "Record your licence.")
    row = document_row(programme.document_matrix, held.type, held.jurisdiction)
    evidence = {"licence": held.id, "type": held.type, "jurisdiction": held.jurisdiction}
    if row is not None and not row.decided:
        says = "It has not been decided yet whether your licence earns this credit."
        staff = f"The row {held.type}/{held.jurisdiction} of the document table is undecided and awards nothing."
        return Line("matrix", None, says, staff, _notice(programme, row), evidence)
    if row is None or row.body != case.body_id:
        says = "This body's credit is not meant for your licence. You can get a certificate of attendance."
        staff = f"The document table does not name {case.body_id} for {held.type}/{held.jurisdiction}."
        return Line("matrix", False, says, staff, _notice(programme, row), evidence)
    says = f"This body's credit is meant for your licence ({held.type}, {held.jurisdiction})."
    return Line("matrix", True, says, says, _notice(programme, row), evidence)


def _notice(programme: Programme, row: DocumentRow | None) -> str:
    return programme.notices.get(row.notice, "") if row is not None and row.notice else ""


def licence(held: Licence | None, case: ClaimCase) -> Line:
    correct = "Correct the licence data if they are wrong."
    if held is None:
        return Line(
            "licence", False, "No licence of yours is recorded.", "No licence is recorded.", "Record your licence."
        )
    day = times.day(case.held_on)
    evidence = {"licence": held.id, "issued_on": str(held.issued_on), "expires_on": str(held.expires_on)}
    evidence |= {"status": held.status, "verified": str(held.verified).lower()}
    if held.issued_on > case.held_on:
        says = f"Your licence was issued on {times.day(held.issued_on)}, after the session on {day}."
        return Line("licence", False, f"{says} Credit is never given in advance.", says, correct, evidence)
    if held.expires_on < case.held_on:
        says = f"Your licence expired on {times.day(held.expires_on)}, before the session on {day}."
        return Line("licence", False, says, says, correct, evidence)
    if held.status == "probation":
        says = "Staff decide about this licence."
        return Line("licence", None, says, "The licence is on probation: staff decide.", "", evidence)
    if held.status != "active":
        return Line("licence", False, "Your licence is not active.", "The licence is not active.", correct, evidence)
    how = "checked by staff" if held.verified else "self-declared"
    return Line("licence", True, f"Your licence was in force on {day} ({how}).", f"In force; {how}.", "", evidence)


def identity(held: Licence | None) -> Line:
    if held is None:
        return Line("identity", None, "Your licence data are missing.", "No licence data.", "Record your licence.")
    given = {
        "type": held.type,
        "number": held.number,
        "state": held.jurisdiction,
        "name on the licence": held.name,
    }
    missing = [name for name, value in given.items() if not value.strip()]
    if missing:
        says = f"Your licence data lack: {', '.join(missing)}."
        return Line("identity", False, says, f"Missing: {', '.join(missing)}.", "Complete the licence data.")
    return Line("identity", True, "Your licence data are complete.", "Type, number, state and name are there.")


def fee(policy: CreditPolicy | None, paid: StaffFact | None, contact: str) -> Line:
    if policy is not None and not policy.fee_required:
        return Line("fee", True, "No fee is asked for this credit.", "The policy asks for no fee.")
    if paid is None:
        return Line(
            "fee",
            None,
            "The fee for this credit is open.",
            "No payment or waiver is recorded.",
            f"Pay the fee.{contact}",
        )
    return Line("fee", True, "The fee is settled.", "Paid or waived.", evidence=_recorded(paid))


def evaluation(policy: CreditPolicy | None, handed_in: StaffFact | None) -> Line:
    if policy is not None and not policy.evaluation_required:
        return Line("evaluation", True, "No evaluation is asked for.", "The policy asks for no evaluation.")
    if handed_in is None:
        says = "Your evaluation of the session is missing."
        return Line("evaluation", None, says, "No evaluation is recorded.", "Hand in the evaluation.")
    return Line("evaluation", True, "Your evaluation is here.", "Handed in.", evidence=_recorded(handed_in))


def _recorded(fact: StaffFact) -> dict[str, str]:
    return {"recorded_by": fact.recorded_by, "recorded_at": fact.recorded_at.isoformat(), "reason": fact.reason or ""}


def attendance(policy: CreditPolicy | None, case: ClaimCase) -> Line:
    """Full attendance as the body sees it. Unproven presence keeps the line open where it would tip the scales."""
    if policy is None:
        return Line(
            "attendance", None, "There is no rule to measure your attendance by.", "The body's policy is unset."
        )
    day = stretches(case.day)
    proven = missed(day, policy, unproven_counts=False)
    hoped_for = missed(day, policy, unproven_counts=True)
    evidence = {"missed_seconds": proven.total, "longest_seconds": proven.longest, "late_seconds": proven.late}
    says = _attendance_in_words(case, proven, policy)
    by_phone = "phone_only" in case.flags and not policy.phone_only_counts
    if proven.meets(policy) and case.day.seconds_present and not by_phone:
        return Line("attendance", True, says, says, "", evidence)
    ask = "See your minutes; ask for a correction if they are wrong."
    if by_phone:
        by_phone_says = "You took part by phone only, which this body does not count."
        return Line("attendance", False, by_phone_says, by_phone_says, ask, evidence)
    if hoped_for.meets(policy) and case.day.seconds_present + _unproven(case):
        says = f"{says} Part of your presence is not proven yet."
        return Line("attendance", None, says, f"{says} The platform's report or a reviewer decides.", ask, evidence)
    return Line("attendance", False, says, says, ask, evidence)


def _unproven(case: ClaimCase) -> int:
    return sum(each.seconds for each in stretches(case.day) if each.kind == "unproven")


def _attendance_in_words(case: ClaimCase, proven: Missed, policy: CreditPolicy) -> str:
    present, total = case.day.seconds_present, case.day.seconds_instructional
    limits = f"{policy.max_missed_total_minutes} min in all, {policy.max_missed_consecutive_minutes} min at a time"
    lost = f"Missed for this credit: {times.minutes(proven.total)}, {times.minutes(proven.longest)} of it at a time"
    late = f"; late by {times.minutes(proven.late)} (allowed: {policy.late_arrival_minutes} min)" if proven.late else ""
    return f"{times.minutes(present)} of {times.minutes(total)} attended. {lost} (allowed: {limits}){late}."


def participation(policy: CreditPolicy | None, case: ClaimCase) -> Line | None:
    """Presence checks and polls, where the body asks for a share of them; None where it does not."""
    if policy is None or policy.participation_share is None:
        return None
    found = case.day.participation
    if not found.put:
        says = "No question was put to you in this session."
        return Line("participation", True, says, "No presence check and no poll while the person was there.")
    says = f"You answered {found.answered} of {found.put} questions; {policy.participation_share:.0%} are needed."
    staff = f"{found.answered} of {found.put} answered; {policy.participation_share:.0%} are needed."
    enough = found.is_enough(policy.participation_share)
    ask = "" if enough else "If you answered and it is not here, ask for a correction."
    return Line("participation", enough, says, staff, ask, {"put": found.put, "answered": found.answered})


def evidence(programme: Programme, case: ClaimCase) -> Line:
    """Awards rest on an ended session, and on the reconciled report where the programme asks for it (ce.md T9)."""
    if not case.ended:
        return Line("evidence", None, "The session has not ended yet.", "No end of the session is known.")
    needed = programme.scores.award_evidence
    if needed == "reconciled" and case.session_state not in ("reconciled", "locked"):
        says = "Your minutes are provisional until they are compared with the platform's report."
        return Line("evidence", None, says, "The session is provisional; awards need it reconciled.")
    if needed == "reconciled" and case.is_in_doubt:
        says = "Something about Zoom's records of your day is unclear. Staff look at it before anything is awarded."
        return Line("evidence", None, says, "The day is in the list of odd days: correct it, or let it stand.")
    staff = f"The session is {case.session_state}; awards rest on {needed} evidence."
    return Line("evidence", True, "The attendance of the session is settled.", staff)


def duplicate(case: ClaimCase) -> Line:
    if case.credited_in is not None:
        says = "You have this credit already, from another session of the same module."
        staff = f"Credited already for live session {case.credited_in}."
        return Line("duplicate", False, says, staff, "See your earlier certificate.", {"session": case.credited_in})
    return Line("duplicate", True, "This credit has not been given to you before.", "No earlier award.")


def document_row(matrix: Sequence[DocumentRow], licence_type: str, jurisdiction: str) -> DocumentRow | None:
    """The first row of the table that fits, otherwise the last one; "other" is every place that no row of the licence
    names."""
    ours = [row for row in matrix if licence_type.casefold() in map(str.casefold, row.licences)]
    named = {row.jurisdiction for row in ours}
    place = jurisdiction if jurisdiction in named else "other"
    return next((row for row in ours if row.jurisdiction in ("any", place)), matrix[-1] if matrix else None)


def decide_claim(programme: Programme, case: ClaimCase) -> Checklist:
    """Decide one claim under the programme version stamped on the session. Asking again gives the same answer."""
    body = programme.bodies.get(case.body_id)
    policy = body.policy if body is not None and _is_complete(body.policy) else None
    credits = _credits(programme, case)
    held = _best_licence(programme, case)
    contact = _contact(programme)
    lines = (
        offering(body, policy, credits, case),
        matrix(programme, held, case),
        licence(held, case),
        identity(held),
        fee(policy, case.fee, contact),
        attendance(policy, case),
        participation(policy, case),
        evidence(programme, case),
        evaluation(policy, case.evaluation),
        duplicate(case),
    )
    return Checklist(tuple(each for each in lines if each is not None), credits, held)


def _is_complete(policy: CreditPolicy | None) -> bool:
    """An empty limit must be set before credit can be offered (ce.md §3)."""
    return policy is not None and None not in (
        policy.late_arrival_minutes,
        policy.max_missed_total_minutes,
        policy.max_missed_consecutive_minutes,
    )


def _credits(programme: Programme, case: ClaimCase) -> Decimal | None:
    module = programme.modules.get(case.module_id)
    return module.credits.get(case.body_id) if module is not None else None


def _contact(programme: Programme) -> str:
    contact = programme.contacts.get("credits")
    return f" Write to {contact.address}." if contact is not None and contact.address else ""


def _best_licence(programme: Programme, case: ClaimCase) -> Licence | None:
    """Of several licences the one that carries this claim furthest."""

    def merit(licence: Licence) -> tuple[bool, bool, bool, int]:
        row = document_row(programme.document_matrix, licence.type, licence.jurisdiction)
        names_body = row is not None and row.body == case.body_id and row.decided
        return names_body, licence.covers(case.held_on), licence.status == "active", licence.id

    return max(case.licences, key=merit, default=None)
