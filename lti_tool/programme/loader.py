"""The reader: a programme document (YAML) to a `Programme`, or to everything that is wrong with it.

First the shape: YAML, keys, types. A document of good shape becomes a Programme, whose meaning `checks` then judges.
The gates' rules are read by `gates.rules`; `publication.check_document` does both.

A policy to try out: the sections `completion` and `credit_bodies` of a programme document, alone or in a whole one.

PURE. Written as in the document (docs/programme.md); a body gives only its `policy`, what else it says is passed over.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lti_tool.programme.catalogue import Length, Module, PlannedSession, Retreat, Series
from lti_tool.programme.model import CompletionPolicy, CreditPolicy, Gate, Programme
from lti_tool.programme.sections import (
    Entry,
    NamedSet,
    Report,
    mapping,
    read_acknowledgement,
    read_agenda,
    read_body,
    read_completion,
    read_contact,
    read_contradiction,
    read_contraindications,
    read_document_row,
    read_earlier_module,
    read_equivalency,
    read_format,
    read_gates,
    read_head,
    read_length,
    read_module,
    read_package,
    read_policy,
    read_retreat,
    read_scores,
    read_series,
    read_set,
    read_teacher,
    text,
)
from lti_tool.programme.validation import check_meaning
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
        """The same document with these findings added, with file and line; an error takes the programme away."""
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
    read_format(root, FORMAT)
    head = root.part("programme", read_head) or read_head(Entry({}, "programme", Report()))
    catalogue: str = head["catalogue"]
    contacts = root.named("contacts", read_contact)
    return Programme(
        **head,
        **_offerings(root, catalogue),
        **_notes(root),
        contacts=contacts,
        gates=_gates(root),
        equivalencies=root.named("equivalencies", lambda entry: read_equivalency(entry, contacts)),
        bodies=root.named("credit_bodies", read_body),
        document_matrix=root.each("document_matrix", read_document_row),
        completion=root.child("completion", read_completion),
        scores=root.part("scores", read_scores),
        contraindications=root.child("contraindications", read_contraindications),
        certificate_of_attendance=root.may("certificate_of_attendance", text),
        unset=tuple(root.report.unset),
    )


def _offerings(root: Entry, catalogue: str) -> dict[str, Any]:
    lengths = root.named("lengths", read_length)
    series = tuple(root.named("series", lambda entry: read_series(entry, catalogue)).values())
    modules, sessions = _modules(root, catalogue, lengths, series)
    sets = {name: each or NamedSet("", None, None) for name, each in root.named("sets", read_set).items()}
    return {
        "agendas": root.named("agendas", read_agenda),
        "lengths": lengths,
        "series": series,
        "modules": modules,
        "sessions": sessions,
        "packages": tuple(root.named("packages", read_package).values()),
        "sets": {name: each.members for name, each in sets.items()},
        "set_kinds": {name: each.kind for name, each in sets.items()},
        "set_titles": {name: each.title for name, each in sets.items() if each.title},
        "retreats": _retreats(root, catalogue, sets),
    }


def _notes(root: Entry) -> dict[str, Any]:
    earlier = tuple(root.named("earlier_modules", read_earlier_module).values())
    return {
        "earlier_modules": earlier,
        "legacy_to_current": {each.earlier: each.now for each in earlier if each and each.confirmed_by},
        "made_for_demonstration": root.texts("made_for_demonstration"),
        "retreat_aims": root.texts("retreat_aims"),
        "notices": root.text_by_name("notices"),
        "teachers": root.named("faculty", read_teacher),
        "contradictions": tuple(root.named("contradictions", read_contradiction).values()),
        "acknowledged": root.each("acknowledged", read_acknowledgement),
        "sources": root.text_by_name("sources"),
    }


def _modules(
    root: Entry, catalogue: str, lengths: dict[str, Length], series: tuple[Series, ...]
) -> tuple[dict[str, Module], tuple[PlannedSession, ...]]:
    series_of = {module: each.id for each in series if each for module in each.modules or ()}
    read = root.named("modules", lambda entry: read_module(entry, catalogue, lengths, series_of))
    modules = {name: each[0] for name, each in read.items() if each}
    return modules, tuple(session for each in read.values() if each for session in each[1])


def _retreats(root: Entry, catalogue: str, sets: dict[str, NamedSet]) -> dict[str, Retreat]:
    licences = {name: each.members for name, each in sets.items() if each.kind == "licences"}
    return root.named("retreats", lambda entry: read_retreat(entry, catalogue, licences))


def _gates(root: Entry) -> dict[str, Gate]:
    gates: dict[str, Gate] = {}
    for gate in (each for group in root.named("gates", read_gates).values() for each in group or ()):
        if gate.target in gates:
            message = f"{gate.target} has two gates: here and at {gates[gate.target].path}."
            root.report.error("gate_twice", message, gate.path)
        gates[gate.target] = gate
    return gates


SECTIONS = ("completion", "credit_bodies")


@dataclass(frozen=True, slots=True)
class TrialPolicy:
    """What is tried: the completion policy (None: as it is) and the policies of some bodies."""

    completion: CompletionPolicy | None
    bodies: Mapping[str, CreditPolicy]

    def applied_to(self, programme: Programme) -> Programme:
        """The programme as it would be with this policy. Bodies it does not have are left out."""
        bodies = {
            name: replace(body, policy=self.bodies.get(name, body.policy)) for name, body in programme.bodies.items()
        }
        return replace(programme, completion=self.completion or programme.completion, bodies=bodies)


def read_trial_policy(document: str | bytes, source_name: str) -> tuple[TrialPolicy, tuple[Problem, ...]]:
    """The policy in a YAML document of at most 1 MB, and everything that is wrong with it. Never raises."""
    source = load_yaml(document)
    report = Report()
    report.problems += source.problems
    root = Entry(source.value if isinstance(source.value, dict) else {}, "", report)
    trial = TrialPolicy(root.child("completion", read_completion), dict(_bodies(root)))
    if not (report.problems or trial.completion or trial.bodies):
        report.error("missing", "There is neither 'completion' nor a policy in 'credit_bodies'.", "")
    if "programme" not in root.value:
        root.close()
    placed = tuple(
        replace(each, file=source_name, line=each.line or source.line_of(each.path)) for each in report.problems
    )
    return trial, placed


def _bodies(root: Entry) -> Iterator[tuple[str, CreditPolicy]]:
    bodies: Mapping[str, Any] = root.may("credit_bodies", mapping) or {}
    for name, raw in bodies.items():
        if not isinstance(raw, dict):
            root.report.error("wrong_value", "Here must stand an entry with keys of its own.", f"credit_bodies.{name}")
            continue
        policy = Entry(raw, f"credit_bodies.{name}", root.report, name).child("policy", read_policy)
        if policy is not None:
            yield name, policy
