"""Reading the sections that follow a rule of their own; `entries` reads all others by their dataclasses.

PURE. These rules are: values that depend on another section (length, contact, set), a gate for several offerings, and
policies that count only as a whole.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from lti_tool.programme.catalogue import Length, Module, Package, PlannedSession, Price, Retreat
from lti_tool.programme.entries import Entry
from lti_tool.programme.model import (
    SET_KINDS,
    UNSET,
    CompletionPolicy,
    Contact,
    CreditBody,
    CreditPolicy,
    Equivalency,
    Gate,
    GateMode,
)
from lti_tool.programme.values import one_of, text, texts

# Keys for credit that other offerings have.
CREDIT_KEYS = ("credits", "fees", "credits_as_printed")


class NamedSet(NamedTuple):
    """A set as read: its kind, its members (None while they are UNSET) and its title."""

    kind: str
    members: tuple[str, ...] | None
    title: str | None


def read_set(entry: Entry) -> NamedSet:
    """One set: what it holds, its members, and its title."""
    kinds = [kind for kind in SET_KINDS if entry.has(kind)]
    if len(kinds) != 1:
        message = f"A set has exactly one of the keys {', '.join(SET_KINDS)}."
        entry.report.error("set_kind", message, entry.path)
    members = [entry.may(kind, texts) for kind in kinds]
    title = entry.may("title", text)
    return NamedSet(kinds[0], members[0], title) if kinds else NamedSet("", None, title)


def read_module(
    entry: Entry, catalogue: str, lengths: Mapping[str, Length], series_of: Mapping[str, str]
) -> tuple[Module, tuple[PlannedSession, ...]]:
    """A module and its dates. Agenda, credits and fees are those of its length unless it has its own; so are the times
    of its dates."""
    name = entry.may("length", text)
    if name is not None and name not in lengths:
        entry.error("unknown_length", "This length is not in 'lengths'.", "length")
    length = lengths.get(name or "")
    series = series_of.get(entry.name)
    module = entry.read(Module, catalogue=catalogue, series=series, length=length.id if length else None)
    dates = entry.each("dates", lambda inner: inner.read(PlannedSession, module=entry.name))
    if length is None:
        return module, dates
    inherited = (key for key in ("agenda", "credits", "fees") if not entry.has(key))
    module = replace(module, **{key: getattr(length, key) for key in inherited})
    return module, tuple(
        each and replace(each, starts=each.starts or length.starts, ends=each.ends or length.ends) for each in dates
    )


def read_package(entry: Entry) -> Package:
    """A package; its price is written beside its title."""
    return entry.read(Package, price=entry.read(Price))


def read_gates(entry: Entry) -> list[Gate]:
    """One gate for each offering that the group names under `for`. An absent mode is an error, UNSET is a value of its
    own (gates.md A1.6)."""
    modes = one_of(("required", "recommended", "none"))
    mode: GateMode = entry.some("mode", modes, UNSET) if entry.has("mode") else entry.need("mode", modes)
    gate = entry.read(Gate, target="", mode=mode, path=entry.path)
    return [replace(gate, target=target) for target in entry.need("for", texts) or ()]


def read_equivalency(entry: Entry, contacts: Mapping[str, Contact]) -> Equivalency:
    """Who may stand for a module, with the address of the contact that the entry names."""
    name = entry.need("contact", text)
    if name is not None and name not in contacts:
        entry.error("unknown_contact", "This contact is not in 'contacts'.", "contact")
    contact = contacts.get(name)
    return entry.read(Equivalency, contact=contact.address if contact else "")


def read_retreat(entry: Entry, catalogue: str, licence_sets: Mapping[str, tuple[str, ...] | None]) -> Retreat:
    """A retreat; its licence types are a list, or the name of a set. Retreats earn no credit (S2:83), and a document
    that asks for it is told so."""
    for key in CREDIT_KEYS:
        if entry.may(key, lambda raw: raw) is not None:
            message = "A retreat earns no CE credit (printed at S2:83), so none can be set here."
            entry.error("credit_on_retreat", message, key)
    retreat = entry.read(Retreat, catalogue=catalogue)
    named = retreat.licence_types or ()
    is_set = len(named) == 1 and named[0] in licence_sets
    return replace(retreat, licence_types=licence_sets[named[0]]) if is_set else retreat


def read_body(entry: Entry) -> CreditBody:
    return entry.read(CreditBody, policy=entry.child("policy", read_policy))


def read_policy(entry: Entry) -> CreditPolicy | None:
    """The policy, or None while any of it is UNSET: half a policy measures nothing."""
    unset_before = len(entry.report.unset)
    policy = entry.read(CreditPolicy)
    missing = {
        key
        for key in ("minutes_per_credit", "credit_step", "max_missed_total_minutes", "max_missed_consecutive_minutes")
        if entry.value.get(key) is None
    }
    for key in sorted(missing):
        entry.error("not_set", f"'{key}' must have a value, or UNSET.", key)
    if len(entry.report.unset) > unset_before:
        return None
    for key in ("minutes_per_credit", "credit_step"):
        if key not in missing and not getattr(policy, key):
            entry.error("not_set", f"'{key}' must be more than 0, or UNSET.", key)
    return policy


def read_completion(entry: Entry) -> CompletionPolicy | None:
    """The policy, or None while its share is not set."""
    policy = entry.read(CompletionPolicy)
    return None if policy.share is None else policy
