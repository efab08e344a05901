"""By what attendance is measured: completion, credit bodies and their policies, licences to documents. Plain values."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True, slots=True)
class CompletionPolicy:
    """What 'has taken the module' means: the share of instructional time that must be attended (ce.md T1), and
    the share of presence checks and polls that must be answered (None: no part)."""

    share: Decimal
    participation_share: Decimal | None = None
    grace_seconds: int = 0
    """Absences between two times of presence that are at most this long are forgiven; measured time stays as it is."""
    staff_earn: bool = False
    """Whether time in which somebody ran the meeting (host, co-host, panelist) is attendance."""


@dataclass(frozen=True, slots=True)
class ScorePolicy:
    """What a platform's single line item means (`completion` or `ce`), and whether awards may rest on webhooks alone
    (`provisional`) or need the reconciled report (`reconciled`, ce.md T9)."""

    single_line_item: Literal["completion", "ce"]
    award_evidence: Literal["provisional", "reconciled"]


@dataclass(frozen=True, slots=True)
class CreditPolicy:
    """By what a body measures a live session; durations in minutes unless the name says seconds (ce.md §3)."""

    minutes_per_credit: int
    credit_step: Decimal
    late_arrival_minutes: int | None
    max_missed_total_minutes: int | None
    max_missed_consecutive_minutes: int | None
    reconnect_gap_seconds: int
    evaluation_required: bool
    fee_required: bool
    phone_only_counts: bool = False
    participation_share: Decimal | None = None
    """The share of presence checks and polls that must be answered; None: they play no part."""
    evaluation_window_days: int | None = None
    issue_by_days: int | None = None
    retention_years: int | None = None


@dataclass(frozen=True, slots=True)
class BoardAcceptance:
    """A licensing board that takes the credits of a body for these licences, though it is not that body."""

    board: str
    licences: tuple[str, ...]
    refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CreditBody:
    """An accrediting body. `policy` is None while it is unset: then no credit of this body can be awarded."""

    id: str
    legal_name: str
    role: str
    provider_number: str | None
    jurisdiction: str
    statement: str | None
    policy: CreditPolicy | None
    notice_other_states: str | None = None
    short_name: str | None = None
    also_called: tuple[str, ...] = ()
    board: str | None = None
    address: str | None = None
    accepted_for: tuple[str, ...] = ()
    accepted_by: tuple[BoardAcceptance, ...] = ()
    statement_of_body: str | None = None
    """The body's own wording of the sponsor statement, against which ours is compared (C19)."""
    valid_from: date | None = None
    valid_to: date | None = None
    signatory: str | None = None
    refs: tuple[str, ...] = ()

    def is_approved_on(self, day: date) -> bool:
        """Whether the approval covers the day; an end that is not set does not bound it."""
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """One row of the table licence × jurisdiction → body (ce.md §2). The first matching row wins; a row with
    `decided` False awards nothing."""

    licences: tuple[str, ...]
    jurisdiction: str
    body: str | None
    document: Literal["ce_certificate", "attendance_certificate"]
    notice: str | None
    """Key of `Programme.notices`."""
    decided: bool
    refs: tuple[str, ...] = ()
