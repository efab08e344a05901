"""Reading what is neither an offering nor credit: head, contacts, sets, gates, equivalencies, people, notes."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from lti_tool.programme.entry import Entry, count, day, flag, mapping, one_of, text, texts, zone
from lti_tool.programme.model import (
    Acknowledgement,
    Contact,
    Contradiction,
    EarlierModule,
    Equivalency,
    EquivalencyProvider,
    Gate,
    Teacher,
)

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
