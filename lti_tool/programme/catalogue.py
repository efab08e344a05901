"""What the programme offers: series, modules with their agendas and dates, packages, retreats.

PURE. Immutable values, read from the document by their fields and types (`entries`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from typing import Annotated, Literal

from lti_tool.languages import gettext
from lti_tool.programme.values import Key, Link, Name, Passage, Refs

DateConfidence = Literal["printed", "confirmed", "high", "medium", "none"]
ScreeningStep = Literal["medical", "psychological"]

AsPrinted = Annotated[str, Key("printed")]


@dataclass(frozen=True, slots=True)
class AgendaPart:
    """One segment of an agenda in wall time of the programme's zone; only instructional parts count as attendance."""

    starts: Annotated[time, Key("from")]
    ends: Annotated[time, Key("to")]
    title: str
    instructional: bool


@dataclass(frozen=True, slots=True)
class Agenda:
    """The segments of one live session; they do not overlap and cover it from first to last minute (ce.md T2)."""

    id: Name
    parts: tuple[AgendaPart, ...]

    @property
    def instructional_minutes(self) -> int:
        return sum(
            (part.ends.hour - part.starts.hour) * 60 + part.ends.minute - part.starts.minute
            for part in self.parts
            if part.instructional
        )


@dataclass(frozen=True, slots=True)
class Length:
    """How long a module of this length lasts, and the agenda and credits its modules have unless they say otherwise."""

    id: Name
    title: str
    starts: time | None
    ends: time | None
    start_choices: tuple[time, ...] = ()
    training_hours: Decimal | None = None
    agenda: str | None = None
    credits: Mapping[str, Decimal | None] = field(default_factory=dict)
    fees: Mapping[str, Decimal | None] = field(default_factory=dict)
    refs: Refs = ()


@dataclass(frozen=True, slots=True)
class Series:
    """Modules that belong together, in the order of the page; `in_order`: it is recommended to take them so."""

    id: Name
    catalogue: str
    title: str
    modules: tuple[str, ...]
    about: str | None = None
    printed_count: int | None = None
    also_called: str | None = None
    in_order: bool = False
    refs: Refs = ()


@dataclass(frozen=True, slots=True)
class Price:
    """What a module, retreat or package costs, in the programme's currency. None: not printed. Never summed up: `total`
    is what the page prints."""

    tuition: Decimal | None
    admin_fee: Decimal | None = None
    total: Decimal | None = None
    refs: Refs = ()


@dataclass(frozen=True, slots=True)
class Package:
    """Several modules sold as one; its price is its own and never computed from the parts (programme.yaml C12)."""

    id: Name
    title: str
    modules: tuple[str, ...]
    price: Price
    training_hours: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Module:
    """One module of one catalogue version. `agenda` is None while it isn't set; `credits` maps a body's id to the
    credits offered, None while not announced (never 0 or 8 by default, programme.yaml C17). Agenda, credits and fees
    are those of the module's length unless it has its own."""

    id: Name
    catalogue: str
    series: str | None
    number: int | None
    title: str
    subtitle: str | None
    length: str | None
    agenda: str | None
    credits: Mapping[str, Decimal | None]
    about: Passage | None = None
    """What the module is, in a few sentences."""
    topics: tuple[str, ...] = ()
    objectives: tuple[str, ...] | None = None
    refs: Refs = ()
    publish: bool = True
    """False: kept in the catalogue but not offered; its gate may still be UNSET and it stays locked."""
    also_called: tuple[str, ...] = ()
    certificate_title: str | None = None
    fees: Mapping[str, Decimal | None] = field(default_factory=dict)
    """What a body's credits cost; absent: no fee is printed."""
    credits_as_printed: str | None = None
    price: Price | None = None
    teachers: tuple[str, ...] = ()
    promotion: Link | None = None
    """The page that advertises the module."""
    note: str | None = None

    @property
    def label(self) -> str:
        """'Module 1: Introduction …', the words people use; without a number just the title."""
        if not self.number:
            return self.title
        return gettext("Module %(number)s: %(title)s", number=self.number, title=self.title)


@dataclass(frozen=True, slots=True)
class PlannedSession:
    """A date of the catalogue. Only `printed` and `confirmed` dates are ever shown to a trainee
    (programme.yaml C22)."""

    id: str
    module: str
    date: date | None
    starts: time | None
    ends: time | None
    confidence: DateConfidence
    raw: AsPrinted = ""
    takes_attendance: bool = False
    refs: Refs = ()

    @property
    def is_certain(self) -> bool:
        return self.date is not None and self.confidence in ("printed", "confirmed")


@dataclass(frozen=True, slots=True)
class RetreatDate:
    """One date of a retreat, first and last day included."""

    starts_on: date
    ends_on: date
    place: str
    confidence: DateConfidence
    raw: AsPrinted = ""
    refs: Refs = ()

    @property
    def calendar_days(self) -> int:
        return (self.ends_on - self.starts_on).days + 1


@dataclass(frozen=True, slots=True)
class Retreat:
    """One retreat. It cannot be published while a value that retreats.md H3.1 asks for is None; with `publish` False it
    takes no applications. It has no field for credit: retreats earn none (S2:83)."""

    id: Name
    catalogue: str
    title: str
    subtitle: str | None
    stated_days: int | None
    prerequisite_as_printed: str | None
    screening_steps: tuple[ScreeningStep, ...] | None
    attestation_required: bool | None
    dates: tuple[RetreatDate, ...]
    publish: bool
    also_called: tuple[str, ...] = ()
    format: str | None = None
    stated_nights: int | None = None
    partner: str | None = None
    about: str | None = None
    who_as_printed: str | None = None
    audience: tuple[str, ...] | None = None
    licence_types: tuple[str, ...] | None = None
    capacity: int | None = None
    contact: str | None = None
    retention_days: int | None = None
    price: Price | None = None
    refs: Refs = ()


@dataclass(frozen=True, slots=True)
class Contraindications:
    """The list shown, as printed, before an application; answers to single items are never asked (retreats.md H1.3)."""

    version: str
    instruction: str
    items: tuple[str, ...]
    not_exhaustive: str | None = None
    refs: Refs = ()
