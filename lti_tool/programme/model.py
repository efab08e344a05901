"""The programme as immutable values: what a published document says, in the trainers' own words.

PURE. `loader` reads these values from YAML by their fields and types (`entries`), `gates` reads the rule trees. None
means that the sources do not say; UNSET means that a named person must still choose. What the programme offers is in
`catalogue`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from lti_tool.programme.catalogue import (
    Agenda,
    Contraindications,
    Length,
    Module,
    Package,
    PlannedSession,
    Retreat,
    Series,
)
from lti_tool.programme.values import UNSET as UNSET  # other rooms know it as part of the model
from lti_tool.programme.values import Address, Key, Mark, Name, Passage, Refs, Share, Zone

GateMode = Literal["required", "recommended", "none", "UNSET"]
SET_KINDS = ("modules", "licences", "professions")


@dataclass(frozen=True, slots=True)
class PrintedText:
    """A text that stands word for word on the programme's pages, with its place."""

    text: Passage
    refs: Refs


@dataclass(frozen=True, slots=True)
class CompletionPolicy:
    """What 'has taken the module' means: the share of instructional time that must be attended (ce.md T1), and
    the share of presence checks and polls that must be answered (None: no part)."""

    share: Annotated[Share, Mark.OPEN]
    participation_share: Share | None = None
    grace_seconds: int = 0
    """Absences between two times of presence that are at most this long are forgiven; measured time stays as it is."""
    staff_earn: bool = False
    """Whether the time in which a person ran the meeting (host, co-host, panelist) is that person's attendance."""


@dataclass(frozen=True, slots=True)
class ScorePolicy:
    """What a platform's single line item means (`completion` or `ce`), whether awards may rest on webhooks alone
    (`provisional`) or need the reconciled report (`reconciled`, ce.md T9), and whether a course gets a column for
    credit beside its columns for attendance (`ce_column`)."""

    single_line_item: Literal["completion", "ce"]
    award_evidence: Literal["provisional", "reconciled"]
    ce_column: bool = False


@dataclass(frozen=True, slots=True)
class CreditPolicy:
    """By what a body measures a live session; durations in minutes unless the name says seconds (ce.md §3)."""

    minutes_per_credit: Annotated[int, Mark.OPEN]
    credit_step: Annotated[Decimal, Mark.OPEN]
    late_arrival_minutes: int | None
    max_missed_total_minutes: int | None
    max_missed_consecutive_minutes: int | None
    reconnect_gap_seconds: int = 0
    evaluation_required: bool = True
    fee_required: bool = True
    phone_only_counts: bool = False
    participation_share: Share | None = None
    """The share of presence checks and polls that must be answered; None: they play no part."""
    evaluation_window_days: int | None = None
    issue_by_days: int | None = None
    retention_years: int | None = None


@dataclass(frozen=True, slots=True)
class BoardAcceptance:
    """A licensing board that takes the credits of a body for these licences, though it is not that body."""

    board: str
    licences: tuple[str, ...]
    refs: Refs = ()


@dataclass(frozen=True, slots=True)
class CreditBody:
    """An accrediting body. `policy` is None while it is unset: then no credit of this body can be awarded."""

    id: Name
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
    refs: Refs = ()

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
    refs: Refs = ()


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may open one offering. `rule` and `recommended` are trees of the grammar gates.md A1, still unparsed; `path`
    is the place of this gate in the document, and its rule is at `path` + `.rule`."""

    target: Annotated[str, Key("for")]
    mode: GateMode
    rule: Mapping[str, Any] | None
    recommended: Mapping[str, Any] | None = None
    status: str = ""
    refs: Refs = ()
    approver: Annotated[str | None, Key("approved_by")] = None
    path: str = ""
    question: str | None = None
    """What is still open about this gate, for staff."""
    suggested_rule: Mapping[str, Any] | None = None
    as_printed: tuple[PrintedText, ...] = ()
    """The rule in the programme's own words."""


@dataclass(frozen=True, slots=True)
class EquivalencyProvider:
    """One training elsewhere and what the programme says of it. `reason` is shown when it is not accepted."""

    id: Name
    name: str
    decision: Literal["accepted", "not_accepted", "discretionary"]
    review: Literal["fast_track", "full"] | None
    reason: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    refs: Refs = ()


@dataclass(frozen=True, slots=True)
class Equivalency:
    """Which providers may stand for one module or retreat (`target`). `contact` is the address to write to."""

    target: Name
    providers: tuple[EquivalencyProvider, ...]
    contact: str
    needs: str | None = None
    self_service: bool = False
    as_printed: tuple[PrintedText, ...] = ()
    """What the programme's pages say of it."""

    def provider(self, provider_id: str) -> EquivalencyProvider | None:
        return next((each for each in self.providers if each.id == provider_id), None)


@dataclass(frozen=True, slots=True)
class Contact:
    """The contact for one purpose; the address (an e-mail, or a page) is empty where none is printed."""

    purpose: str
    address: Address = ""
    person: str | None = None
    refs: Refs = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A question that trainees ask often, and its answer."""

    question: Passage
    answer: Passage
    topic: Literal["modules", "retreats"]
    refs: Refs = ()


@dataclass(frozen=True, slots=True)
class Teacher:
    """One person of the faculty; which offerings they teach stands in `teaches`."""

    id: Name
    name: str
    credentials: str | None
    teaches: tuple[str, ...] = ()
    also_spelt: tuple[str, ...] = ()
    biography: Passage | None = None
    vitae_on_file: bool = False
    refs: Refs = ()


@dataclass(frozen=True, slots=True)
class EarlierModule:
    """A module or retreat of an earlier catalogue and what it may stand for here. Counts only with `confirmed_by`."""

    earlier: Name
    earlier_title: Annotated[str | None, Key("title")]
    now: str
    confidence: Literal["high", "medium", "low"]
    why: str = ""
    confirmed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A place where the sources disagree, and how this document holds both. Checking the document warns of it until
    staff have decided; `decide` "none" means that there is nothing to decide."""

    id: Name
    area: str
    conflict: str
    held_as: str
    decide: Literal["staff", "none"]
    decided_by: str | None = None
    decision: str | None = None


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A warning that a named person has read and accepts, with the reason (ce.md T4, programme.yaml C10)."""

    warning: str
    path: str
    reason: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The section `programme`: what describes the programme as a whole."""

    title: str
    provider: str
    zone: Zone
    catalogue: str
    abbreviation: str | None = None
    currency: str = "USD"
    audience: tuple[str, ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme(Head):
    """One whole programme document, every reference resolved by id."""

    contacts: Mapping[str, Contact]
    series: tuple[Series, ...]
    sets: Mapping[str, tuple[str, ...] | None]
    agendas: Mapping[str, Agenda]
    modules: Mapping[str, Module]
    sessions: tuple[PlannedSession, ...]
    gates: Mapping[str, Gate]
    equivalencies: Mapping[str, Equivalency]
    bodies: Annotated[Mapping[str, CreditBody], Key("credit_bodies")]
    document_matrix: tuple[DocumentRow, ...]
    completion: CompletionPolicy | None
    scores: ScorePolicy
    retreats: Mapping[str, Retreat]
    contraindications: Contraindications | None
    legacy_to_current: Mapping[str, str] = field(default_factory=dict)
    """Only what a named person has confirmed: earlier id → id of this catalogue."""
    made_for_demonstration: tuple[str, ...] = ()
    retreat_aims: tuple[str, ...] = ()
    lengths: Mapping[str, Length] = field(default_factory=dict)
    packages: tuple[Package, ...] = ()
    notices: Mapping[str, str] = field(default_factory=dict)
    teachers: Annotated[Mapping[str, Teacher], Key("faculty")] = field(default_factory=dict)
    earlier_modules: tuple[EarlierModule, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    acknowledged: tuple[Acknowledgement, ...] = ()
    certificate_of_attendance: str | None = None
    ce_policy: tuple[PrintedText, ...] = ()
    """Who may receive CE credit, as printed."""
    faq: tuple[Question, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    set_kinds: Mapping[str, str] = field(default_factory=dict)
    """What each set holds: one of SET_KINDS."""
    set_titles: Mapping[str, str] = field(default_factory=dict)
    """The titles of the sets that have one."""
    unset: tuple[str, ...] = ()
    """The paths that say UNSET: what a named person must still choose."""

    def is_published(self, offering_id: str) -> bool:
        """Whether the offering is published; an unknown one is not."""
        offering = self.modules.get(offering_id) or self.retreats.get(offering_id)
        return offering is not None and offering.publish

    def contact(self, purpose: str) -> str | None:
        """The e-mail address for a purpose ("training", "credits"), else the first in the programme; None without
        any."""
        every = [self.contacts[purpose]] if purpose in self.contacts else []
        found = (each.address for each in (*every, *self.contacts.values()))
        return next((each for each in found if "@" in each and not each.startswith("https://")), None)

    def set_title(self, name: str) -> str:
        """The title of a set, or its name with spaces."""
        return self.set_titles.get(name) or name.replace("_", " ")

    def offering_title(self, offering_id: str) -> str:
        """The title of a module or retreat as people know it, or the id itself if the programme does not have it."""
        module = self.modules.get(offering_id)
        if module is not None:
            return module.label
        retreat = self.retreats.get(offering_id)
        return retreat.title if retreat is not None else offering_id
