"""The reader: a programme document (YAML) to a `Programme`, or to everything that is wrong with it.

PURE. First the shape: YAML, keys, types. A document of good shape becomes a Programme, whose meaning `validation` then
checks. The gates' rules are read by `gates.validation`; `gates.publication.check_document` does both. A policy to try
out is the sections `completion` and `credit_bodies` of such a document, alone or in a whole one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from lti_tool.programme.catalogue import Length, Series
from lti_tool.programme.entries import Entry, Report, reading
from lti_tool.programme.model import (
    CompletionPolicy,
    Contact,
    CreditPolicy,
    EarlierModule,
    Gate,
    Head,
    Programme,
)
from lti_tool.programme.sections import (
    NamedSet,
    read_body,
    read_completion,
    read_equivalency,
    read_gates,
    read_module,
    read_package,
    read_policy,
    read_retreat,
    read_set,
)
from lti_tool.programme.validation import check_meaning
from lti_tool.programme.values import count, mapping
from lti_tool.programme.yaml_source import Problem, Source, load_yaml

FORMAT = 1


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
