"""The checklist of a credit claim: every condition with its evidence, and what the claim pays (ce.md E1.1).

PURE. A claim pays the full credits of the offering or nothing (ce.md E1.9), and never before the licence was issued
(ce.md E1.3). Learner and staff read the same lines. A line holds no name and no licence number.

Estimated presence earns no credit: it counts as missed until the platform's report or a reviewer confirms it
(zoom.md §4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Literal

from lti_tool import times
from lti_tool.attendance.minutes import Attendance, SettledDay
from lti_tool.languages import ENGLISH, N_, gettext, language, translated
from lti_tool.programme.model import CreditBody, CreditPolicy, DocumentRow, Programme
from lti_tool.text import licence_words

RECORDS_LICENCE = N_("The training team records your licence.")
EXPLAINS_PAYMENT = N_("The training team explains how to pay and records the payment.")

ClaimState = Literal["open", "ready"]
Kind = Literal["proven", "unproven", "absent"]


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
    """A fee paid or waived, or an evaluation handed in, as staff recorded it."""

    recorded_by: str
    recorded_at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True)
class ClaimCase:
    """Everything one claim rests on. `credited_in` is another session that already earned this body's credit for the
    module."""

    attended: SettledDay
    body_id: str
    licences: tuple[Licence, ...]
    fee: StaffFact | None = None
    evaluation: StaffFact | None = None
    credited_in: int | None = None


class Said(str):
    """Sentences in English that are kept with their messages and values, to be said again in another language."""

    messages: list[tuple[str, dict[str, Any]]]

    def __add__(self, other: str) -> "Said":
        """These sentences and those after them."""
        both = Said(f"{self} {other}")
        both.messages = [*self.messages, *(other.messages if isinstance(other, Said) else [(other, {})])]
        return both


def say(message: str, **values: Any) -> Said:
    """A sentence with its values, which are plain: days end in `_on`, lengths of time in `_seconds`."""
    said = Said(message % _written(values))
    said.messages = [(message, values)]
    return said


def in_words(line: Mapping[str, Any], part: Literal["says", "next_step"]) -> str:
    """What a line on record says, in the reader's language; in English as it was decided."""
    messages = line.get("words", {}).get(part)
    if not messages or language() == ENGLISH:
        return translated(line[part])
    return " ".join(
        gettext(message, **_written(values)) if values else translated(message) for message, values in messages
    )


def _written(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a sentence as people read them; a list is one of messages."""
    written = dict(values)
    for name, value in values.items():
        if name.endswith("_on"):
            written[name] = times.day(date.fromisoformat(value))
        elif name.endswith("_seconds"):
            written[name] = times.minutes(value)
        elif isinstance(value, list | tuple):
            written[name] = ", ".join(map(translated, value))
    return written


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
        said = {"says": self.says, "next_step": self.next_step}
        words = {name: text.messages for name, text in said.items() if isinstance(text, Said)}
        return {
            "name": self.name,
            "satisfied": self.satisfied,
            "says": self.says,
            "staff": self.staff,
            "next_step": self.next_step,
            "evidence": dict(self.evidence or {}),
            **({"words": words} if words else {}),
        }


@dataclass(frozen=True, slots=True)
class Checklist:
    """The decision. `credits` is what the claim pays once it is ready, None while the programme names no number;
    `licence` is the licence it rests on."""

    lines: tuple[Line, ...]
    credits: Decimal | None
    licence: Licence | None

    @property
    def state(self) -> ClaimState:
        return "ready" if all(line.satisfied is True for line in self.lines) else "open"

    def to_json(self) -> list[dict[str, Any]]:
        return [line.to_json() for line in self.lines]


def decide_claim(programme: Programme, case: ClaimCase) -> Checklist:
    """Decide one claim under the programme version of its session. The same case always gets the same answer."""
    body = programme.bodies.get(case.body_id)
    module = programme.modules.get(case.attended.module_id)
    credits = module.credits.get(case.body_id) if module is not None else None
    policy = body.policy if body is not None else None
    # An empty limit must be set before credit can be offered (ce.md §3).
    if policy is not None and None in (
        policy.late_arrival_minutes,
        policy.max_missed_total_minutes,
        policy.max_missed_consecutive_minutes,
    ):
        policy = None
    held = best_licence(programme, case)
    lines = (
        offering(body, policy, credits, case),
        matrix(programme, held, case),
        licence(programme, held, case.attended.held_on),
        identity(programme, held),
        fee(programme, policy, case.fee),
        attendance(policy, case.attended),
        participation(policy, case.attended),
        evidence(programme, case.attended),
        evaluation(programme, policy, case.evaluation),
        duplicate(case.credited_in),
    )
    return Checklist(tuple(each for each in lines if each is not None), credits, held)


def best_licence(programme: Programme, case: ClaimCase) -> Licence | None:
    """Of several licences, the one that carries this claim furthest."""

    def merit(licence: Licence) -> tuple[bool, bool, bool, int]:
        row = document_row(programme.document_matrix, licence.type, licence.jurisdiction)
        names_body = row is not None and row.body == case.body_id and row.decided
        return names_body, licence.covers(case.attended.held_on), licence.status == "active", licence.id

    return max(case.licences, key=merit, default=None)


def document_row(matrix: Sequence[DocumentRow], licence_type: str, jurisdiction: str) -> DocumentRow | None:
    """The first row of the table that fits, otherwise the last row. "other" is every place that no row of the licence
    names."""
    ours = [row for row in matrix if licence_type.casefold() in map(str.casefold, row.licences)]
    place = jurisdiction if jurisdiction in {row.jurisdiction for row in ours} else "other"
    return next((row for row in ours if row.jurisdiction in ("any", place)), matrix[-1] if matrix else None)


def body_name(body: CreditBody | None, body_id: str) -> str:
    """The short name of a body, or its id in capitals: "SCRC", "APA"."""
    return (body.short_name if body is not None else None) or body_id.upper().replace("_", " ")


def offering(body: CreditBody | None, policy: CreditPolicy | None, credits: Decimal | None, case: ClaimCase) -> Line:
    name = body_name(body, case.body_id)
    not_offered = say("Credit of %(body)s is not offered for this module.", body=name)
    if body is None or policy is None:
        staff = f"The policy of {name} is unset or incomplete: it must be set before credit can be offered."
        return Line("offering", False, not_offered, staff)
    if credits is None or credits <= 0:
        staff = f"This session's programme version names no number of credits of {name}."
        says = say("Credits of %(body)s have not been announced for this module.", body=name)
        return Line("offering", None, says, staff)
    if body.valid_from is None or body.valid_to is None:
        staff = f"The approval dates of {name} are unset: they must be set before credit can be offered."
        return Line("offering", False, not_offered, staff)
    if not body.is_approved_on(case.attended.held_on):
        staff = f"The approval of {name} does not cover {times.day(case.attended.held_on)}."
        says = say("Credit of %(body)s is not offered for this date.", body=name)
        return Line("offering", False, says, staff)
    says = say("This module carries %(credits)s credits of %(body)s.", credits=str(credits), body=name)
    return Line("offering", True, says, says, evidence={"credits": str(credits)})


def matrix(programme: Programme, held: Licence | None, case: ClaimCase) -> Line:
    if held is None:
        says = N_("Which document you can get depends on your licence, and none is recorded.")
        return Line("matrix", None, says, "No licence is recorded.", _by_staff(programme, RECORDS_LICENCE))
    row = document_row(programme.document_matrix, held.type, held.jurisdiction)
    notice = programme.notices.get(row.notice, "") if row is not None and row.notice else ""
    evidence = {"licence": held.id, "type": held.type, "jurisdiction": held.jurisdiction}
    kind = licence_words(held.type)
    if row is not None and not row.decided:
        says = N_("It has not been decided yet whether your licence earns this credit.")
        staff = f"The row for {kind}, {held.jurisdiction}, of the document table is undecided and awards nothing."
        return Line("matrix", None, says, staff, notice, evidence)
    if row is None or row.body != case.body_id:
        says = N_("Your licence does not earn this body's credit.")
        name = body_name(programme.bodies.get(case.body_id), case.body_id)
        staff = f"The document table does not name {name} for {kind}, {held.jurisdiction}."
        return Line("matrix", False, says, staff, notice, evidence)
    says = say("Your licence (%(type)s, %(place)s) earns this body's credit.", type=kind, place=held.jurisdiction)
    return Line("matrix", True, says, says, notice, evidence)


def licence(programme: Programme, held: Licence | None, held_on: date) -> Line:
    correct = _by_staff(programme, N_("The training team corrects the licence data if they are wrong."))
    if held is None:
        says, staff = N_("No licence of yours is recorded."), "No licence is recorded."
        return Line("licence", False, says, staff, _by_staff(programme, RECORDS_LICENCE))
    evidence = {"licence": held.id, "issued_on": str(held.issued_on), "expires_on": str(held.expires_on)}
    evidence |= {"status": held.status, "verified": str(held.verified).lower()}
    if held.issued_on > held_on:
        says = say(
            "Your licence was issued on %(issued_on)s, after the session on %(held_on)s.",
            issued_on=held.issued_on.isoformat(),
            held_on=held_on.isoformat(),
        )
        never = N_("Credit is never given in advance.")
        return Line("licence", False, says + never, says, correct, evidence)
    if held.expires_on < held_on:
        says = say(
            "Your licence expired on %(expired_on)s, before the session on %(held_on)s.",
            expired_on=held.expires_on.isoformat(),
            held_on=held_on.isoformat(),
        )
        return Line("licence", False, says, says, correct, evidence)
    if held.status == "probation":
        says = N_("Staff decide about this licence.")
        return Line("licence", None, says, "The licence is on probation: staff decide.", "", evidence)
    if held.status != "active":
        return Line("licence", False, "Your licence is not active.", "The licence is not active.", correct, evidence)
    how = "checked by staff" if held.verified else "self-declared"
    in_force = (
        say("Your licence was in force on %(held_on)s (checked by staff).", held_on=held_on.isoformat())
        if held.verified
        else say("Your licence was in force on %(held_on)s (self-declared).", held_on=held_on.isoformat())
    )
    return Line("licence", True, in_force, f"In force; {how}.", "", evidence)


def identity(programme: Programme, held: Licence | None) -> Line:
    if held is None:
        says, staff = N_("Your licence data are missing."), "No licence data."
        return Line("identity", None, says, staff, _by_staff(programme, RECORDS_LICENCE))
    given = {
        N_("type"): held.type,
        N_("number"): held.number,
        N_("state"): held.jurisdiction,
        N_("name on the licence"): held.name,
    }
    missing = [name for name, value in given.items() if not value.strip()]
    if missing:
        says = say("Your licence data lack: %(missing)s.", missing=missing)
        staff = f"Missing: {', '.join(missing)}."
        return Line("identity", False, says, staff, _by_staff(programme, N_("The training team completes the data.")))
    return Line("identity", True, "Your licence data are complete.", "Type, number, state and name are recorded.")


def fee(programme: Programme, policy: CreditPolicy | None, paid: StaffFact | None) -> Line:
    if policy is not None and not policy.fee_required:
        return Line("fee", True, "This credit has no fee.", "The policy asks for no fee.")
    if paid is None:
        says, staff = N_("The fee for this credit is open."), "No payment or waiver is recorded."
        return Line("fee", None, says, staff, _by_staff(programme, EXPLAINS_PAYMENT))
    return Line("fee", True, "The fee is settled.", "Paid or waived.", evidence=_recorded(paid))


def evaluation(programme: Programme, policy: CreditPolicy | None, handed_in: StaffFact | None) -> Line:
    if policy is not None and not policy.evaluation_required:
        return Line("evaluation", True, "This credit needs no evaluation.", "The policy asks for no evaluation.")
    if handed_in is None:
        says = N_("No evaluation of the session by you is recorded.")
        return Line(
            "evaluation",
            None,
            says,
            "No evaluation is recorded.",
            _by_staff(programme, N_("The training team records your evaluation.")),
        )
    return Line("evaluation", True, "You have handed in the evaluation.", "Handed in.", evidence=_recorded(handed_in))


def _by_staff(programme: Programme, does: str) -> str:
    """What the training team does about a line, and where to write."""
    contact = programme.contacts.get("credits")
    if contact is None or not contact.address:
        return does
    return say(does) + say("Write to %(address)s.", address=contact.address)


def _recorded(fact: StaffFact) -> dict[str, str]:
    return {"recorded_by": fact.recorded_by, "recorded_at": fact.recorded_at.isoformat(), "reason": fact.reason or ""}


def attendance(policy: CreditPolicy | None, attended: SettledDay) -> Line:
    """Full attendance as the body defines it. The line stays open where unproven presence would decide it."""
    if policy is None:
        says = N_("There is no rule to measure your attendance by.")
        return Line("attendance", None, says, "The body's policy is unset.")
    present, total = attended.day.seconds_present, attended.day.seconds_instructional
    intervals = credit_intervals(attended.day)
    proven = missed(intervals, policy, unproven_counts=False)
    evidence = {"missed_seconds": proven.total, "longest_seconds": proven.longest, "late_seconds": proven.late}
    says = say(
        "%(present_seconds)s of %(taught_seconds)s attended.", present_seconds=present, taught_seconds=total
    ) + _missed_in_words(proven, policy)
    ask = N_("See your minutes; ask for a correction if they are wrong.")
    if "phone_only" in attended.flags and not policy.phone_only_counts:
        says = N_("You took part by phone only, which this body does not count.")
        return Line("attendance", False, says, says, ask, evidence)
    if proven.meets(policy) and present:
        return Line("attendance", True, says, says, "", evidence)
    at_best = missed(intervals, policy, unproven_counts=True)
    if at_best.meets(policy) and any(each.kind != "absent" for each in intervals):
        says += N_("Part of your presence is not proven yet.")
        return Line("attendance", None, says, f"{says} The platform's report or a reviewer decides.", ask, evidence)
    return Line("attendance", False, says, says, ask, evidence)


def _missed_in_words(proven: "Missed", policy: CreditPolicy) -> Said:
    values = {
        "missed_seconds": proven.total,
        "longest_seconds": proven.longest,
        "all": policy.max_missed_total_minutes,
        "once": policy.max_missed_consecutive_minutes,
    }
    if not proven.late:
        return say(
            "Missed for this credit: %(missed_seconds)s, %(longest_seconds)s of it at a time (allowed: %(all)s min in "
            "all, %(once)s min at a time).",
            **values,
        )
    return say(
        "Missed for this credit: %(missed_seconds)s, %(longest_seconds)s of it at a time (allowed: %(all)s min in all, "
        "%(once)s min at a time); late by %(late_seconds)s (allowed: %(late)s min).",
        **values,
        late_seconds=proven.late,
        late=policy.late_arrival_minutes,
    )


def participation(policy: CreditPolicy | None, attended: SettledDay) -> Line | None:
    """Presence checks and polls, where the body asks for a share of them; None where it does not."""
    if policy is None or policy.participation_share is None:
        return None
    found = attended.day.participation
    if not found.put:
        says = N_("You were asked no question in this session.")
        return Line("participation", True, says, "No presence check and no poll while the person was there.")
    share = f"{policy.participation_share:.0%}"
    says = say(
        "You answered %(answered)s of %(put)s questions; %(share)s are needed.",
        answered=found.answered,
        put=found.put,
        share=share,
    )
    staff = f"{found.answered} of {found.put} answered; {share} are needed."
    enough = found.is_enough(policy.participation_share)
    ask = "" if enough else N_("Ask for a correction if an answer of yours is missing.")
    return Line("participation", enough, says, staff, ask, {"put": found.put, "answered": found.answered})


def evidence(programme: Programme, attended: SettledDay) -> Line:
    """Awards rest on an ended session, and on the reconciled report where the programme asks for it (ce.md T9)."""
    if not attended.ended:
        return Line("evidence", None, "The session has not ended yet.", "No end of the session is known.")
    needed = programme.scores.award_evidence
    if needed == "reconciled" and attended.session_state not in ("reconciled", "locked"):
        says = N_("Your minutes are provisional until they are compared with the platform's report.")
        return Line("evidence", None, says, "The session is provisional; awards need it reconciled.")
    if needed == "reconciled" and attended.is_in_doubt:
        says = N_("Zoom's records of your day are unclear. Staff check them before anything is awarded.")
        return Line("evidence", None, says, "The day needs a review: correct it, or let it stand.")
    staff = f"The session is {attended.session_state}; awards rest on {needed} evidence."
    if attended.session_state in ("reconciled", "locked"):
        return Line("evidence", True, "Your minutes have been compared with the platform's report.", staff)
    says = N_("Your minutes are provisional. This programme gives credit on them and does not wait for the report.")
    return Line("evidence", True, says, staff)


def duplicate(credited_in: int | None) -> Line:
    if credited_in is not None:
        says = N_("You have this credit already, from another session of the same module.")
        staff = f"Credited already for live session {credited_in}."
        return Line("duplicate", False, says, staff, "The page of that session shows it.", {"session": credited_in})
    return Line("duplicate", True, "You have not received this credit before.", "No earlier award.")


@dataclass(frozen=True, slots=True)
class CreditInterval:
    """Instructional seconds of one kind, starting at `from_at`; the intervals of a day are disjoint."""

    from_at: datetime
    seconds: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Missed:
    """Seconds of instruction missed: before the arrival, in the longest absence, and in all."""

    late: int
    longest: int
    total: int

    def meets(self, policy: CreditPolicy) -> bool:
        """Whether a body with this policy still gives credit. An unset limit allows nothing."""
        return (
            self.late <= 60 * (policy.late_arrival_minutes or 0)
            and self.longest <= 60 * (policy.max_missed_consecutive_minutes or 0)
            and self.total <= 60 * (policy.max_missed_total_minutes or 0)
        )


def credit_intervals(day: Attendance) -> list[CreditInterval]:
    """The instructional time of a day in order."""
    intervals = [
        CreditInterval(each.from_at, each.counted_seconds, "unproven" if each.evidence == "estimated" else "proven")
        for each in day.intervals
        if each.counted_seconds
    ]
    intervals += [
        CreditInterval(each.from_at, each.seconds, "unproven" if each.why == "unconfirmed" else "absent")
        for each in day.missed
    ]
    return sorted(intervals, key=lambda each: each.from_at)


def missed(intervals: Sequence[CreditInterval], policy: CreditPolicy, *, unproven_counts: bool) -> Missed:
    """What was missed. Breaks do not divide an absence; absences up to the body's reconnect gap are not counted."""
    counted = {"proven", "unproven"} if unproven_counts else {"proven"}
    runs = [
        (present, sum(each.seconds for each in run))
        for present, run in groupby(intervals, key=lambda each: each.kind in counted)
    ]
    absences = [0 if present or seconds <= policy.reconnect_gap_seconds else seconds for present, seconds in runs]
    return Missed(late=absences[0] if absences else 0, longest=max(absences, default=0), total=sum(absences))
