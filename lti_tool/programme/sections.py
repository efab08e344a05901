"""Reading what is neither an offering nor credit: head, contacts, sets, gates, equivalencies, people, notes.

One mapping of the document while it is being read, and what a single value may look like.

Every key is asked for; what nobody asked for is an unknown key. A wrong value is reported with its path and reading
goes on, so that one run shows all errors; a document with errors is never used.

Reading credit bodies, their policies, the document matrix and the policies of completion and scores.

Reading modules, series, agendas, dates, prices and retreats out of the document.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any, NamedTuple, Self, TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lti_tool.programme.catalogue import (
    Agenda,
    AgendaPart,
    Contraindications,
    Length,
    Module,
    Package,
    PlannedSession,
    Price,
    Retreat,
    RetreatDate,
    Series,
)
from lti_tool.programme.model import (
    UNSET,
    Acknowledgement,
    BoardAcceptance,
    CompletionPolicy,
    Contact,
    Contradiction,
    CreditBody,
    CreditPolicy,
    DocumentRow,
    EarlierModule,
    Equivalency,
    EquivalencyProvider,
    Gate,
    ScorePolicy,
    Teacher,
)
from lti_tool.programme.yaml_source import Problem

T = TypeVar("T")
Parse = Callable[[Any], T]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


class Report:
    """What was found so far: problems, and the paths that say UNSET."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.unset: list[str] = []

    def error(self, code: str, message: str, path: str) -> None:
        self.problems.append(Problem("error", code, message, path))


class Entry:
    """One mapping; `name` is its own key, `path` its place in the document."""

    def __init__(self, value: Mapping[str, Any], path: str, report: Report, name: str = "") -> None:
        self.value = value
        self.path = path
        self.name = name
        self.report = report
        self._asked: set[str] = set()

    def at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        return key in self.value

    def need(self, key: str, parse: Parse[T]) -> T:
        """A value that must be there and be set. When it is not, an error is reported and None stands in its place."""
        if key not in self.value:
            self._asked.add(key)
            self.report.error("missing", f"'{key}' is missing.", self.path or key)
            return cast(T, None)
        if self.value[key] is None or self.value[key] == UNSET:
            self._asked.add(key)
            self.report.error("not_set", f"'{key}' must have a value.", self.at(key))
            return cast(T, None)
        return cast(T, self.may(key, parse))

    def may(self, key: str, parse: Parse[T]) -> T | None:
        """A value that may be absent, null or UNSET: all three are None, and UNSET is remembered."""
        self._asked.add(key)
        raw = self.value.get(key)
        if raw == UNSET:
            self.report.unset.append(self.at(key))
        if raw is None or raw == UNSET:
            return None
        try:
            return parse(raw)
        except ValueError as error:
            self.report.error("wrong_value", f"'{key}' {error}.", self.at(key))
            return None

    def some(self, key: str, parse: Parse[T], otherwise: T) -> T:
        """A value that has a default."""
        value = self.may(key, parse)
        return otherwise if value is None else value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty when there is none."""
        return self.may(key, texts) or ()

    def text_by_name(self, key: str) -> dict[str, str]:
        """Texts by their names, empty when there are none."""
        return self.may(key, text_by_name) or {}

    def child(self, key: str, build: Callable[[Self], T]) -> T | None:
        """A mapping inside this one, or None when it is absent, null or UNSET."""
        inner = self.may(key, mapping)
        return None if inner is None else self._built(inner, self.at(key), key, build)

    def part(self, key: str, build: Callable[[Self], T]) -> T:
        """A mapping inside this one that must be there. When it is not, an error is reported and None stands for it."""
        inner = self.need(key, mapping)
        return cast(T, None) if inner is None else self._built(inner, self.at(key), key, build)

    def named(self, key: str, build: Callable[[Self], T]) -> dict[str, T]:
        """A mapping of named entries, each read by `build`."""
        inner = self.may(key, mapping) or {}
        return {name: self._named(name, each, self.at(key), build) for name, each in inner.items()}

    def each(self, key: str, build: Callable[[Self], T]) -> tuple[T, ...]:
        """A list of entries, each read by `build`."""
        items = enumerate(self.may(key, anything_listed) or [])
        return tuple(self._item(each, f"{self.at(key)}[{index}]", build) for index, each in items)

    def close(self) -> None:
        """Report every key that nobody asked for."""
        for key in self.value:
            if key not in self._asked:
                known = ", ".join(sorted(self._asked))
                self.report.error("unknown_key", f"'{key}' is not known here. Known: {known}.", self.at(key))

    def _named(self, name: str, value: Any, path: str, build: Callable[[Self], T]) -> T:
        if not NAME.fullmatch(name):
            message = f"'{name[:80]}' cannot be a name: use letters, digits, '_' and '-', starting with a letter."
            self.report.error("wrong_name", message, f"{path}.{name}")
        return self._item(value, f"{path}.{name}", build, name)

    def _item(self, value: Any, path: str, build: Callable[[Self], T], name: str = "") -> T:
        if not isinstance(value, dict):
            self.report.error("wrong_value", "Here must stand an entry with keys of its own.", path)
            return cast(T, None)
        return self._built(value, path, name, build)

    def _built(self, value: Mapping[str, Any], path: str, name: str, build: Callable[[Self], T]) -> T:
        entry = type(self)(value, path, self.report, name)
        built = build(entry)
        entry.close()
        return built


def text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError("must be a text; put numbers and true or false in quotes")
    if not raw.strip() or raw.strip().upper() == UNSET:
        raise ValueError("must not be empty; UNSET stands in place of a whole value, in capitals")
    return raw.strip()


def texts(raw: Any) -> tuple[str, ...]:
    """A list of texts; a single text is a list of one."""
    return tuple(text(each) for each in (raw if isinstance(raw, list) else [raw]))


def text_by_name(raw: Any) -> dict[str, str]:
    return {key: text(each) for key, each in mapping(raw).items()}


def flag(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise ValueError("must be true or false")
    return raw


def count(raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or raw < 0:
        raise ValueError("must be a whole number, 0 or more")
    return raw


def amount(raw: Any) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, int | Decimal) or raw < 0:
        raise ValueError("must be a number, 0 or more, such as 6.5")
    return Decimal(raw)


def day(raw: Any) -> date:
    try:
        return date.fromisoformat(raw if isinstance(raw, str) and len(raw) == 10 else "")
    except ValueError as error:
        raise ValueError("must be a date like 2024-07-13") from error


def clock(raw: Any) -> time:
    if not isinstance(raw, str) or not CLOCK.fullmatch(raw):
        raise ValueError('must be a time of day like "09:00"')
    return time.fromisoformat(raw)


def clocks(raw: Any) -> tuple[time, ...]:
    return tuple(clock(each) for each in anything_listed(raw))


def zone(raw: Any) -> str:
    try:
        return ZoneInfo(text(raw)).key
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        raise ValueError("must be an IANA time zone like America/Los_Angeles") from error


def mapping(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise ValueError("must be an entry with keys of its own")
    return raw


def anything_listed(raw: Any) -> list[Any]:
    if not isinstance(raw, list):
        raise ValueError("must be a list")
    return raw


def one_of(choices: Iterable[str]) -> Parse[Any]:
    """A word out of a closed list."""
    allowed = tuple(choices)

    def parse(raw: Any) -> Any:
        if raw not in allowed:
            raise ValueError(f"must be one of: {', '.join(allowed)}")
        return raw

    return parse


SET_KINDS = ("modules", "licences", "professions")


class NamedSet(NamedTuple):
    """A set as read: its kind, its members (None while they are UNSET) and what people call it."""

    kind: str
    members: tuple[str, ...] | None
    title: str | None


def read_head(entry: Entry) -> dict[str, Any]:
    """The section `programme`: the fields of Programme that describe it as a whole."""
    return {
        "title": entry.need("title", text),
        "abbreviation": entry.may("abbreviation", text),
        "provider": entry.need("provider", text),
        "catalogue": entry.need("catalogue", text),
        "zone": entry.need("zone", zone),
        "currency": entry.some("currency", text, "USD"),
        "audience": entry.texts("audience"),
        "about": entry.text_by_name("about"),
    }


def read_contact(entry: Entry) -> Contact:
    return Contact(
        purpose=entry.need("purpose", text),
        address=entry.some("address", text, ""),
        refs=entry.texts("source"),
    )


def read_set(entry: Entry) -> NamedSet:
    """One set: what it holds, its members, and its title."""
    kinds = [kind for kind in SET_KINDS if entry.has(kind)]
    if len(kinds) != 1:
        message = f"A set has exactly one of the keys {', '.join(SET_KINDS)}."
        entry.report.error("set_kind", message, entry.path)
    for kind in kinds[1:]:
        entry.may(kind, texts)
    title = entry.may("title", text)
    return NamedSet(kinds[0], entry.may(kinds[0], texts), title) if kinds else NamedSet("", None, title)


def read_gates(entry: Entry) -> list[Gate]:
    """One gate for each offering that the group names under `for`."""
    rule, suggested, recommended = (entry.may(key, mapping) for key in ("rule", "suggested_rule", "recommended"))
    mode, approver = _gate_mode(entry), entry.may("approved_by", text)
    status, question = entry.some("status", text, ""), entry.may("question", text)
    refs = entry.texts("source")
    return [
        Gate(target, mode, rule, recommended, status, refs, approver, entry.path, question, suggested)
        for target in entry.need("for", texts) or ()
    ]


def _gate_mode(entry: Entry) -> Any:
    """The mode; an absent one is an error, UNSET is a value of its own (gates.md A1.6)."""
    if not entry.has("mode"):
        return entry.need("mode", text)
    return entry.some("mode", one_of(("required", "recommended", "none")), "UNSET")


def read_equivalency(entry: Entry, contacts: Mapping[str, Contact]) -> Equivalency:
    return Equivalency(
        target=entry.name,
        providers=tuple(entry.named("providers", _provider).values()),
        contact=contact_address(entry, contacts),
        needs=entry.may("needs", text),
        self_service=entry.some("self_service", flag, False),
    )


def contact_address(entry: Entry, contacts: Mapping[str, Contact]) -> str:
    """The address of the contact that the entry names."""
    name = entry.need("contact", text)
    if name is not None and name not in contacts:
        entry.report.error("unknown_contact", "This contact is not in 'contacts'.", entry.at("contact"))
    contact = contacts.get(name)
    return contact.address if contact else ""


def _provider(entry: Entry) -> EquivalencyProvider:
    return EquivalencyProvider(
        id=entry.name,
        name=entry.need("name", text),
        decision=entry.need("decision", one_of(("accepted", "not_accepted", "discretionary"))),
        review=entry.may("review", one_of(("fast_track", "full"))),
        reason=entry.may("reason", text),
        valid_from=entry.may("valid_from", day),
        valid_to=entry.may("valid_to", day),
        refs=entry.texts("source"),
    )


def read_teacher(entry: Entry) -> Teacher:
    return Teacher(
        id=entry.name,
        name=entry.need("name", text),
        credentials=entry.may("credentials", text),
        teaches=entry.texts("teaches"),
        also_spelt=entry.texts("also_spelt"),
        vitae_on_file=entry.some("vitae_on_file", flag, False),
        refs=entry.texts("source"),
    )


def read_earlier_module(entry: Entry) -> EarlierModule:
    return EarlierModule(
        earlier=entry.name,
        earlier_title=entry.may("title", text),
        now=entry.need("now", text),
        confidence=entry.need("confidence", one_of(("high", "medium", "low"))),
        why=entry.some("why", text, ""),
        confirmed_by=entry.may("confirmed_by", text),
    )


def read_contradiction(entry: Entry) -> Contradiction:
    return Contradiction(
        id=entry.name,
        area=entry.need("area", text),
        conflict=entry.need("conflict", text),
        held_as=entry.need("held_as", text),
        decide=entry.need("decide", one_of(("staff", "none"))),
        decided_by=entry.may("decided_by", text),
        decision=entry.may("decision", text),
    )


def read_acknowledgement(entry: Entry) -> Acknowledgement:
    return Acknowledgement(
        warning=entry.need("warning", text),
        path=entry.need("path", text),
        reason=entry.need("reason", text),
        by=entry.need("by", text),
    )


def read_format(entry: Entry, known: int) -> None:
    """The version of the document's format, which this reader must know."""
    found = entry.need("format", count)
    if found is not None and found != known:
        message = f"This reader knows format {known}, the document has format {found}."
        entry.report.error("unknown_format", message, "format")


EVIDENCE = one_of(("provisional", "reconciled"))


def read_body(entry: Entry) -> CreditBody:
    return CreditBody(
        id=entry.name,
        legal_name=entry.need("legal_name", text),
        role=entry.need("role", text),
        provider_number=entry.may("provider_number", text),
        jurisdiction=entry.need("jurisdiction", text),
        statement=entry.may("statement", text),
        policy=entry.child("policy", read_policy),
        notice_other_states=entry.may("notice_other_states", text),
        short_name=entry.may("short_name", text),
        also_called=entry.texts("also_called"),
        board=entry.may("board", text),
        address=entry.may("address", text),
        accepted_for=entry.texts("accepted_for"),
        accepted_by=entry.each("accepted_by", _acceptance),
        statement_of_body=entry.may("statement_of_body", text),
        valid_from=entry.may("valid_from", day),
        valid_to=entry.may("valid_to", day),
        signatory=entry.may("signatory", text),
        refs=entry.texts("source"),
    )


def _acceptance(entry: Entry) -> BoardAcceptance:
    return BoardAcceptance(
        board=entry.need("board", text),
        licences=entry.need("licences", texts),
        refs=entry.texts("source"),
    )


def read_policy(entry: Entry) -> CreditPolicy | None:
    """The policy, or None while any of it is UNSET: half a policy measures nothing."""
    unset_before = len(entry.report.unset)
    policy = CreditPolicy(
        minutes_per_credit=_set(entry, "minutes_per_credit"),
        credit_step=entry.may("credit_step", amount) or amount(0),
        late_arrival_minutes=entry.may("late_arrival_minutes", count),
        max_missed_total_minutes=_set(entry, "max_missed_total_minutes"),
        max_missed_consecutive_minutes=_set(entry, "max_missed_consecutive_minutes"),
        reconnect_gap_seconds=entry.some("reconnect_gap_seconds", count, 0),
        evaluation_required=entry.some("evaluation_required", flag, True),
        fee_required=entry.some("fee_required", flag, True),
        phone_only_counts=entry.some("phone_only_counts", flag, False),
        participation_share=_share(entry, "participation_share"),
        evaluation_window_days=entry.may("evaluation_window_days", count),
        issue_by_days=entry.may("issue_by_days", count),
        retention_years=entry.may("retention_years", count),
    )
    if len(entry.report.unset) > unset_before:
        return None
    for key in ("minutes_per_credit", "credit_step"):
        if not getattr(policy, key):
            entry.report.error("not_set", f"'{key}' must be more than 0, or UNSET.", entry.at(key))
    return policy


def _set(entry: Entry, key: str) -> int:
    """A number the policy cannot do without: there, or UNSET; never null."""
    if entry.value.get(key) is None:
        entry.report.error("not_set", f"'{key}' must have a value, or UNSET.", entry.at(key))
    return entry.may(key, count) or 0


def read_document_row(entry: Entry) -> DocumentRow:
    return DocumentRow(
        licences=entry.need("licences", texts),
        jurisdiction=entry.need("jurisdiction", text),
        body=entry.may("body", text),
        document=entry.need("document", one_of(("ce_certificate", "attendance_certificate"))),
        notice=entry.may("notice", text),
        decided=entry.need("decided", flag),
        refs=entry.texts("source"),
    )


def read_completion(entry: Entry) -> CompletionPolicy | None:
    share = _share(entry, "share")
    participation_share = _share(entry, "participation_share")
    grace_seconds = entry.some("grace_seconds", count, 0)
    staff_earn = entry.some("staff_earn", flag, False)
    return None if share is None else CompletionPolicy(share, participation_share, grace_seconds, staff_earn)


def _share(entry: Entry, key: str) -> Decimal | None:
    share = entry.may(key, amount)
    if share is not None and not 0 < share <= 1:
        message = f"'{key}' must be more than 0 and at most 1; 0.80 means 80 %."
        entry.report.error("wrong_value", message, entry.at(key))
    return share


def read_scores(entry: Entry) -> ScorePolicy:
    return ScorePolicy(
        single_line_item=entry.need("single_line_item", one_of(("completion", "ce"))),
        award_evidence=entry.need("award_evidence", EVIDENCE),
    )


CONFIDENCE = one_of(("printed", "confirmed", "high", "medium", "none"))


def read_agenda(entry: Entry) -> Agenda:
    return Agenda(id=entry.name, parts=entry.each("parts", _part))


def _part(entry: Entry) -> AgendaPart:
    return AgendaPart(
        starts=entry.need("from", clock),
        ends=entry.need("to", clock),
        title=entry.need("title", text),
        instructional=entry.need("instructional", flag),
    )


def read_length(entry: Entry) -> Length:
    return Length(
        id=entry.name,
        title=entry.need("title", text),
        starts=entry.may("starts", clock),
        ends=entry.may("ends", clock),
        start_choices=entry.some("start_choices", clocks, ()),
        training_hours=entry.may("training_hours", amount),
        agenda=entry.may("agenda", text),
        credits=_by_body(entry, "credits"),
        fees=_by_body(entry, "fees"),
    )


def _by_body(entry: Entry, key: str) -> dict[str, Decimal | None]:
    """Amounts by credit body; a body that is named with null or UNSET is there with None."""
    return entry.child(key, lambda inner: {body: inner.may(body, amount) for body in inner.value}) or {}


def read_series(entry: Entry, catalogue: str) -> Series:
    return Series(
        id=entry.name,
        catalogue=catalogue,
        title=entry.need("title", text),
        modules=entry.need("modules", texts),
        about=entry.may("about", text),
        printed_count=entry.may("printed_count", count),
        also_called=entry.may("also_called", text),
        refs=entry.texts("source"),
    )


def read_module(
    entry: Entry, catalogue: str, lengths: Mapping[str, Length], series_of: Mapping[str, str]
) -> tuple[Module, tuple[PlannedSession, ...]]:
    """A module and its dates. Agenda, credits and fees are those of its length unless it has its own."""
    length = _length(entry, lengths)
    module = Module(
        id=entry.name,
        catalogue=catalogue,
        series=series_of.get(entry.name),
        number=entry.may("number", count),
        title=entry.need("title", text),
        subtitle=entry.may("subtitle", text),
        length=length.id if length else None,
        agenda=entry.may("agenda", text) if entry.has("agenda") or length is None else length.agenda,
        credits=_by_body(entry, "credits") if entry.has("credits") or length is None else length.credits,
        fees=_by_body(entry, "fees") if entry.has("fees") or length is None else length.fees,
        topics=entry.texts("topics"),
        objectives=entry.may("objectives", texts),
        refs=entry.texts("source"),
        publish=entry.some("publish", flag, True),
        also_called=entry.texts("also_called"),
        certificate_title=entry.may("certificate_title", text),
        credits_as_printed=entry.may("credits_as_printed", text),
        price=entry.child("price", read_price),
        teachers=entry.texts("teachers"),
        note=entry.may("note", text),
    )
    return module, entry.each("dates", lambda inner: _session(inner, entry.name, length))


def _length(entry: Entry, lengths: Mapping[str, Length]) -> Length | None:
    name = entry.may("length", text)
    if name is not None and name not in lengths:
        entry.report.error("unknown_length", "This length is not in 'lengths'.", entry.at("length"))
    return lengths.get(name or "")


def _session(entry: Entry, module: str, length: Length | None) -> PlannedSession:
    return PlannedSession(
        id=entry.need("id", text),
        module=module,
        date=entry.may("date", day),
        starts=entry.may("starts", clock) or (length.starts if length else None),
        ends=entry.may("ends", clock) or (length.ends if length else None),
        confidence=entry.need("confidence", CONFIDENCE),
        raw=entry.some("printed", text, ""),
        takes_attendance=entry.some("takes_attendance", flag, False),
        refs=entry.texts("source"),
    )


def read_price(entry: Entry) -> Price:
    return Price(
        tuition=entry.may("tuition", amount),
        admin_fee=entry.may("admin_fee", amount),
        refs=entry.texts("source"),
    )


def read_package(entry: Entry) -> Package:
    return Package(
        id=entry.name,
        title=entry.need("title", text),
        modules=entry.need("modules", texts),
        price=read_price(entry),
        training_hours=entry.may("training_hours", amount),
    )


def read_retreat(entry: Entry, catalogue: str, licence_sets: Mapping[str, tuple[str, ...] | None]) -> Retreat:
    """A retreat. There is no key for credit: retreats earn none (S2:83), and asking for it says so."""
    _refuse_credit(entry)
    return Retreat(
        id=entry.name,
        catalogue=catalogue,
        title=entry.need("title", text),
        subtitle=entry.may("subtitle", text),
        stated_days=entry.may("stated_days", count),
        prerequisite_as_printed=entry.may("prerequisite_as_printed", text),
        screening_steps=entry.may("screening_steps", _steps),
        attestation_required=entry.may("attestation_required", flag),
        dates=entry.each("dates", _retreat_date),
        publish=entry.need("publish", flag),
        also_called=entry.texts("also_called"),
        format=entry.may("format", text),
        stated_nights=entry.may("stated_nights", count),
        partner=entry.may("partner", text),
        about=entry.may("about", text),
        who_as_printed=entry.may("who_as_printed", text),
        audience=entry.may("audience", texts),
        licence_types=_licence_types(entry, licence_sets),
        capacity=entry.may("capacity", count),
        contact=entry.may("contact", text),
        retention_days=entry.may("retention_days", count),
        price=entry.child("price", read_price),
        refs=entry.texts("source"),
    )


def _refuse_credit(entry: Entry) -> None:
    for key in ("credits", "fees", "credits_as_printed"):
        if entry.may(key, lambda raw: raw) is not None:
            message = "A retreat earns no CE credit (printed at S2:83), so none can be set here."
            entry.report.error("credit_on_retreat", message, entry.at(key))


def _steps(raw: Any) -> tuple[str, ...]:
    step = one_of(("medical", "psychological"))
    return tuple(step(each) for each in texts(raw))


def _licence_types(entry: Entry, sets: Mapping[str, tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """A list of licence types, or the name of a set of them."""
    named = entry.may("licence_types", texts)
    return sets[named[0]] if named is not None and len(named) == 1 and named[0] in sets else named


def _retreat_date(entry: Entry) -> RetreatDate:
    return RetreatDate(
        starts_on=entry.need("starts_on", day),
        ends_on=entry.need("ends_on", day),
        place=entry.need("place", text),
        confidence=entry.need("confidence", CONFIDENCE),
        raw=entry.some("printed", text, ""),
        refs=entry.texts("source"),
    )


def read_contraindications(entry: Entry) -> Contraindications:
    return Contraindications(
        version=entry.need("version", text),
        instruction=entry.need("instruction", text),
        items=entry.need("items", texts),
        not_exhaustive=entry.may("not_exhaustive", text),
        refs=entry.texts("source"),
    )
