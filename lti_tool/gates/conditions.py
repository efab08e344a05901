"""The nodes of a rule tree (gates.md A1) as immutable values: four operators and eleven conditions, a closed list.

Every node knows the path it was read from. A `Members` names its values itself or names a set of the programme.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Literal

GroupOp = Literal["all", "any", "at_least", "not"]


@dataclass(frozen=True, slots=True)
class Members:
    """Some ids or codes: either those listed in `names`, or those of the programme's set called `set_name`."""

    set_name: str | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """`all`, `any` and `at_least` are open when `n` of the children are; `not` has one child and turns it round."""

    op: GroupOp
    n: int
    children: tuple["Rule", ...]
    path: str = ""


@dataclass(frozen=True, slots=True)
class Completed:
    """A completion record of `module` in force. `accept_aliases` lets a confirmed legacy module stand for it."""

    name: ClassVar[str] = "completed"
    module: str
    accept_aliases: bool = True
    path: str = ""


@dataclass(frozen=True, slots=True)
class CompletedAny:
    """Completions of at least `n` different modules of `members`, those in `excluding` not counted."""

    name: ClassVar[str] = "completed_any"
    members: Members
    n: int = 1
    excluding: tuple[str, ...] = ()
    path: str = ""


@dataclass(frozen=True, slots=True)
class EquivalencyOf:
    """An approved request in date that training elsewhere stands for the module `target`."""

    name: ClassVar[str] = "equivalency"
    target: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class AttendedRetreat:
    """A roster entry `attended` of `retreat`; registration, payment and confirmation are none."""

    name: ClassVar[str] = "attended_retreat"
    retreat: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class RetreatEquivalencyOf:
    """An approved request in date that a retreat elsewhere stands for the retreat `target`."""

    name: ClassVar[str] = "retreat_equivalency"
    target: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class LicenceActive:
    """A licence of a listed type with issued <= day <= expiry.

    `at` says which day: "now", "live_session" and "offering_start" (the first day of the offering), or a fixed date.
    No `jurisdictions` means any. `verified` asks for a licence that staff have checked.
    """

    name: ClassVar[str] = "licence_active"
    types: Members
    jurisdictions: tuple[str, ...] = ()
    at: Literal["now", "live_session", "offering_start"] | date = "now"
    verified: bool = False
    path: str = ""


@dataclass(frozen=True, slots=True)
class ProfessionIn:
    """A declared or verified profession code of `members`."""

    name: ClassVar[str] = "profession_in"
    members: Members
    path: str = ""


@dataclass(frozen=True, slots=True)
class DateWindow:
    """The moment of asking is not before `opens` and not after `closes`; wall times of `zone`, a bare date is the
    whole day. No zone means the programme's."""

    name: ClassVar[str] = "date_window"
    opens: date | datetime | None = None
    closes: date | datetime | None = None
    zone: str | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class HealthClearance:
    """Every one of `steps` is cleared, with or without conditions, and in date, for `offering`."""

    name: ClassVar[str] = "health_clearance"
    offering: str
    steps: tuple[str, ...]
    path: str = ""


@dataclass(frozen=True, slots=True)
class AttestationOf:
    """The statement for this version of the list was accepted."""

    name: ClassVar[str] = "attestation"
    list_name: str
    version: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class InvitationTo:
    """An unused or accepted invitation to `offering` for this person."""

    name: ClassVar[str] = "invitation"
    offering: str
    path: str = ""


Condition = (
    Completed
    | CompletedAny
    | EquivalencyOf
    | AttendedRetreat
    | RetreatEquivalencyOf
    | LicenceActive
    | ProfessionIn
    | DateWindow
    | HealthClearance
    | AttestationOf
    | InvitationTo
)
Rule = Group | Condition

# `not` around these is refused (gates.md A1.4): they can be pending, and not-yet-decided must never open a gate.
CAN_BE_PENDING = (EquivalencyOf, RetreatEquivalencyOf, HealthClearance)
# No staff exception stands in for these (gates.md A4.4).
NEVER_EXCEPTED = (HealthClearance, AttestationOf)
