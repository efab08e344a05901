"""What a credit claim rests on, and the checklist that its decision is (ce.md E1.1).

PURE. Every line is an independent fact with its evidence; learner and staff see the same list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

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
    attendance as `Attendance.day()` tells it; `is_in_doubt`: staff must look at it first. `credited_in` is another
    session for which this offering's credit of this body has been awarded already.
    """

    module_id: str
    body_id: str
    held_on: date
    ended: bool
    session_state: str
    day: Mapping[str, Any]
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
