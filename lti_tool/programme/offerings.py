"""Reading modules, series, agendas, dates, prices and retreats out of the document."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from lti_tool.programme.entry import Entry, amount, clock, clocks, count, day, flag, one_of, text, texts
from lti_tool.programme.model import (
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
