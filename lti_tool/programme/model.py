"""The programme as immutable values: what a published document says, in the trainers' own words.

Nothing here reads, checks or stores anything: `reader` builds these values from YAML, `gates.rules` reads the rule
trees. A value of None means that the sources do not say; the word UNSET means that a named person must still choose.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from typing import Any, Literal

UNSET = "UNSET"

GateMode = Literal["required", "recommended", "none", "UNSET"]
DateConfidence = Literal["printed", "confirmed", "high", "medium", "none"]


@dataclass(frozen=True, slots=True)
class AgendaPart:
    """One segment of an agenda in wall time of the programme's zone; only instructional parts count for anybody."""

    starts: time
    ends: time
    title: str
    instructional: bool


@dataclass(frozen=True, slots=True)
class Agenda:
    """The segments of one live session; they do not overlap and cover it from first to last minute (ce.md T2)."""

    id: str
    parts: tuple[AgendaPart, ...]

    @property
    def instructional_minutes(self) -> int:
        return sum(
            (part.ends.hour - part.starts.hour) * 60 + part.ends.minute - part.starts.minute
            for part in self.parts
            if part.instructional
        )


@dataclass(frozen=True, slots=True)
class Series:
    id: str
    catalogue: str
    title: str
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Module:
    """One module of one catalogue version. `agenda` is None while nobody has set it; `credits` maps a body's id to the
    credits offered, None while not announced (never 0 or 8 by default, C17)."""

    id: str
    catalogue: str
    series: str | None
    number: int | None
    title: str
    subtitle: str | None
    length: str | None
    agenda: str | None
    credits: Mapping[str, Decimal | None]
    topics: tuple[str, ...] = ()
    objectives: tuple[str, ...] | None = None
    refs: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """'Module 1: Introduction …', the words people use; without a number just the title."""
        return f"Module {self.number}: {self.title}" if self.number else self.title


@dataclass(frozen=True, slots=True)
class PlannedSession:
    """A date of the catalogue. Only `printed` and `confirmed` dates are ever shown to a trainee (C22)."""

    id: str
    module: str
    date: date | None
    starts: time | None
    ends: time | None
    confidence: DateConfidence
    raw: str


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may open one offering. `rule` and `recommended` are trees of the grammar gates.md A1, still unparsed."""

    target: str
    mode: GateMode
    rule: Mapping[str, Any] | None
    recommended: Mapping[str, Any] | None = None
    status: str = ""
    refs: tuple[str, ...] = ()
    approver: str | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class EquivalencyProvider:
    """One training elsewhere and what the programme says of it. `reason` is shown when it is not accepted."""

    id: str
    name: str
    decision: Literal["accepted", "not_accepted", "discretionary"]
    review: Literal["fast_track", "full"] | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Equivalency:
    """Which providers may stand for one module or retreat (`target`)."""

    target: str
    providers: tuple[EquivalencyProvider, ...]
    contact: str

    def provider(self, provider_id: str) -> EquivalencyProvider | None:
        return next((each for each in self.providers if each.id == provider_id), None)


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


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """One row of the table licence × jurisdiction → body (ce.md §2). The first matching row wins; a row with
    `decided` False awards nothing."""

    licences: tuple[str, ...]
    jurisdiction: str
    body: str | None
    document: Literal["ce_certificate", "attendance_certificate"]
    notice: str | None
    decided: bool


@dataclass(frozen=True, slots=True)
class CompletionPolicy:
    """What 'has taken the module' means: the share of instructional time that must be attended (ce.md T1)."""

    share: Decimal


@dataclass(frozen=True, slots=True)
class ScorePolicy:
    """What a platform's single line item means (`completion` or `ce`), and whether awards may rest on webhooks alone
    (`provisional`) or need the reconciled report (`reconciled`, ce.md T9)."""

    single_line_item: Literal["completion", "ce"]
    award_evidence: Literal["provisional", "reconciled"]


@dataclass(frozen=True, slots=True)
class RetreatDate:
    starts_on: date
    ends_on: date
    place: str
    confidence: DateConfidence


@dataclass(frozen=True, slots=True)
class Retreat:
    id: str
    catalogue: str
    title: str
    subtitle: str | None
    stated_days: int | None
    prerequisite_as_printed: str | None
    screening_steps: tuple[str, ...] | None
    attestation_required: bool | None
    dates: tuple[RetreatDate, ...]


@dataclass(frozen=True, slots=True)
class Contraindications:
    """The list shown, as printed, before an application; answers per item exist nowhere (retreats.md H1.3)."""

    version: str
    instruction: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Contact:
    purpose: str
    address: str


@dataclass(frozen=True, slots=True)
class Programme:
    """One whole programme document, every reference resolved by id."""

    title: str
    provider: str
    zone: str
    catalogue: str
    contacts: Mapping[str, Contact]
    series: tuple[Series, ...]
    sets: Mapping[str, tuple[str, ...] | None]
    agendas: Mapping[str, Agenda]
    modules: Mapping[str, Module]
    sessions: tuple[PlannedSession, ...]
    gates: Mapping[str, Gate]
    equivalencies: Mapping[str, Equivalency]
    bodies: Mapping[str, CreditBody]
    document_matrix: tuple[DocumentRow, ...]
    completion: CompletionPolicy | None
    scores: ScorePolicy
    retreats: Mapping[str, Retreat]
    contraindications: Contraindications | None
    legacy_to_current: Mapping[str, str] = field(default_factory=dict)
    made_for_demonstration: tuple[str, ...] = ()

    def offering_title(self, offering_id: str) -> str:
        """The title of a module or retreat as people know it; the id itself for one the programme does not have."""
        module = self.modules.get(offering_id)
        if module is not None:
            return module.label
        retreat = self.retreats.get(offering_id)
        return retreat.title if retreat is not None else offering_id
