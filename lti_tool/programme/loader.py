"""The reader: a programme document (YAML) to a `Programme`, or to everything that is wrong with it.

PURE. First the shape: YAML, keys, types; `entries` reads most sections by their dataclasses, and those that follow a
rule of their own are read here: values that depend on another section (length, contact, set), a gate for several
offerings, and policies that count only as a whole. A document of good shape becomes a Programme, whose meaning
`validation` then checks. The gates' rules are read by `gates.validation`; `gates.publication.check_document` does both.
A policy to try out is the sections `completion` and `credit_bodies` of such a document, alone or in a whole one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

from lti_tool.programme.catalogue import Length, Module, Package, PlannedSession, Price, Retreat, Series
from lti_tool.programme.entries import Entry, Report, reading
from lti_tool.programme.model import (
    SET_KINDS,
    UNSET,
    CompletionPolicy,
    Contact,
    CreditBody,
    CreditPolicy,
    EarlierModule,
    Equivalency,
    Gate,
    GateMode,
    Head,
    Programme,
)
from lti_tool.programme.validation import check_meaning
from lti_tool.programme.values import count, mapping, one_of, text, texts
from lti_tool.programme.yaml_source import Problem, Source, load_yaml

FORMAT = 1
# Keys for credit that other offerings have.
CREDIT_KEYS = ("credits", "fees", "credits_as_printed")


@dataclass(frozen=True, slots=True)
class Checked:
    """A document after reading: the programme, unless there is an error, and all problems with file and line."""

    programme: Programme | None
    problems: tuple[Problem, ...]
    source: Source = field(default_factory=lambda: Source(None, {}, ()), repr=False)
    source_name: str = ""

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(each for each in self.problems if each.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(each for each in self.problems if each.severity == "warning")

    def with_problems(self, found: Iterable[Problem]) -> "Checked":
        """The same document with these findings added, with file and line; after an error it has no programme."""
        placed = (replace(each, file=self.source_name, line=self.source.line_of(each.path)) for each in found)
        problems = tuple(sorted((*self.problems, *placed), key=lambda each: (each.severity, each.line, each.code)))
        broken = any(each.severity == "error" for each in problems)
        return replace(self, programme=None if broken else self.programme, problems=problems)


def read_programme(document: str | bytes, source_name: str) -> Checked:
    """Read and check one document of at most 1 MB. Never raises: whatever is wrong is a Problem."""
    source = load_yaml(document)
    checked = Checked(None, (), source, source_name)
    if source.problems:
        return replace(checked, problems=tuple(replace(each, file=source_name) for each in source.problems))
    if not isinstance(source.value, dict):
        return checked.with_problems(
            [Problem("error", "wrong_value", "The document must be a mapping of sections (`key: value`).", "")]
        )
    report = Report()
    root = Entry(source.value, "", report)
    programme = _programme(root)
    root.close()
    if report.problems:
        return checked.with_problems(report.problems)
    return replace(checked, programme=programme).with_problems(check_meaning(programme, source.value))


def _programme(root: Entry) -> Programme:
    """Every section in turn. After an error the value is only good for finding more errors."""
    written = root.need("format", count)
    if written not in (None, FORMAT):
        message = f"This reader knows format {FORMAT}, the document has format {written}."
        root.error("unknown_format", message, "format")
    head = root.part("programme", lambda entry: entry.values(Head)) or {each.name: None for each in fields(Head)}
    contacts = root.named("contacts", reading(Contact))
    earlier = tuple(root.named("earlier_modules", reading(EarlierModule)).values())
    programme = root.read(
        Programme,
        **head,
        **_offerings(root, head["catalogue"]),
        contacts=contacts,
        gates=_gates(root),
        equivalencies=root.named("equivalencies", lambda entry: read_equivalency(entry, contacts)),
        bodies=root.named("credit_bodies", read_body),
        completion=root.child("completion", read_completion),
        earlier_modules=earlier,
        legacy_to_current={each.earlier: each.now for each in earlier if each and each.confirmed_by},
        unset=(),
    )
    return replace(programme, unset=tuple(root.report.unset))


def _offerings(root: Entry, catalogue: str) -> dict[str, Any]:
    """Modules with their series, lengths and dates, packages and retreats, and the sets that retreats name."""
    lengths = root.named("lengths", reading(Length))
    series = tuple(root.named("series", reading(Series, catalogue=catalogue)).values())
    series_of = {module: each.id for each in series if each for module in each.modules or ()}
    read = root.named("modules", lambda entry: read_module(entry, catalogue, lengths, series_of))
    modules = {name: each for name, each in read.items() if each}
    sets = {name: each or NamedSet("", None, None) for name, each in root.named("sets", read_set).items()}
    licences = {name: each.members for name, each in sets.items() if each.kind == "licences"}
    return {
        "lengths": lengths,
        "series": series,
        "modules": {name: module for name, (module, _dates) in modules.items()},
        "sessions": tuple(session for _module, dates in modules.values() for session in dates),
        "packages": tuple(root.named("packages", read_package).values()),
        "sets": {name: each.members for name, each in sets.items()},
        "set_kinds": {name: each.kind for name, each in sets.items()},
        "set_titles": {name: each.title for name, each in sets.items() if each.title},
        "retreats": root.named("retreats", lambda entry: read_retreat(entry, catalogue, licences)),
    }


def _gates(root: Entry) -> dict[str, Gate]:
    gates: dict[str, Gate] = {}
    for gate in (each for group in root.named("gates", read_gates).values() for each in group or ()):
        if gate.target in gates:
            message = f"{gate.target} has two gates: here and at {gates[gate.target].path}."
            root.report.error("gate_twice", message, gate.path)
        gates[gate.target] = gate
    return gates


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


@dataclass(frozen=True, slots=True)
class TrialPolicy:
    """What is tried: the completion policy (None: unchanged) and the policies of some bodies."""

    completion: CompletionPolicy | None
    bodies: Mapping[str, CreditPolicy]

    def applied_to(self, programme: Programme) -> Programme:
        """The programme as it would be with this policy. Bodies that it does not have are ignored."""
        bodies = {
            name: replace(body, policy=self.bodies.get(name, body.policy)) for name, body in programme.bodies.items()
        }
        return replace(programme, completion=self.completion or programme.completion, bodies=bodies)


def read_trial_policy(document: str | bytes, source_name: str) -> tuple[TrialPolicy, tuple[Problem, ...]]:
    """The policy in a YAML document of at most 1 MB, and everything that is wrong with it. Never raises.

    Only the `policy` of a credit body is read; its other keys are passed over.
    """
    source = load_yaml(document)
    report = Report()
    report.problems += source.problems
    root = Entry(source.value if isinstance(source.value, dict) else {}, "", report)
    completion = root.child("completion", read_completion)
    bodies: dict[str, CreditPolicy] = {}
    for name, raw in (root.may("credit_bodies", mapping) or {}).items():
        if not isinstance(raw, dict):
            report.error("wrong_value", "This must be an entry with keys of its own.", f"credit_bodies.{name}")
        elif policy := Entry(raw, f"credit_bodies.{name}", report, name).child("policy", read_policy):
            bodies[name] = policy
    if not (report.problems or completion or bodies):
        report.error("missing", "The document has neither 'completion' nor a policy in 'credit_bodies'.", "")
    if "programme" not in root.value:
        root.close()
    placed = (replace(each, file=source_name, line=each.line or source.line_of(each.path)) for each in report.problems)
    return TrialPolicy(completion, bodies), tuple(placed)
