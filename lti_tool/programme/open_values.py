"""What a programme leaves open: each UNSET value as a question for a named person, with the lines that bear on it.

PURE. A line of a source is told in words: "training programme page, line 16".
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lti_tool.programme.model import Gate, Programme
from lti_tool.programme.values import Refs

# The last key of a place → what is asked there.
QUESTIONS: Mapping[str, str] = {
    "address": "Which address is printed on its certificates?",
    "admin_fee": "What is the administrative fee?",
    "agenda": "What are the parts of the day, and which of them are teaching?",
    "attestation_required": "Must applicants state that none of the listed conditions applies to them?",
    "audience": "Which professions may apply?",
    "capacity": "How many places are there?",
    "certificate_title": "Which title is printed on certificates?",
    "contact": "Who answers questions about it?",
    "ends": "When does it end?",
    "licence_types": "Which licences may apply?",
    "licences": "Which licences belong to this list?",
    "mode": "Who may open it?",
    "modules": "Which modules belong to this list?",
    "objectives": "What are the learning objectives?",
    "policy": "How is attendance measured for this credit?",
    "professions": "Which professions belong to this list?",
    "promotion": "Which page advertises it?",
    "retention_days": "For how many days after the retreat are applications kept?",
    "screening_steps": "Which screening does the clinic do?",
    "share": "Which share of the teaching completes a module?",
    "signatory": "Who signs its certificates?",
    "starts": "When does it start?",
    "tuition": "What is the price?",
    "valid_from": "From which day does the approval run?",
    "valid_to": "Until which day does the approval run?",
}


@dataclass(frozen=True, slots=True)
class OpenValue:
    """One open value: where it stands, what it is about, the question, and the lines of the sources that bear on it."""

    path: str
    about: str
    question: str
    refs: Refs


def open_values(programme: Programme) -> list[OpenValue]:
    """Every UNSET value, and every question that a gate leaves open, in the order of the document."""
    asked = {gate.path: gate for gate in programme.gates.values() if gate.question}
    gates = [OpenValue(gate.path, _titles(programme, gate), gate.question or "", gate.refs) for gate in asked.values()]
    unset = [path for path in programme.unset if path.removesuffix(".mode") not in asked]
    return gates + [_open_value(programme, path) for path in unset]


def open_for(programme: Programme, offering_id: str) -> list[OpenValue]:
    """The open values that bear on one module or retreat: its own, and those of its length, gate and sets. What bears
    on all of them, as the approval of a credit body does, is among `open_values` only."""
    module, gate = programme.modules.get(offering_id), programme.gates.get(offering_id)
    places = [f"{'retreats' if module is None else 'modules'}.{offering_id}"]
    if gate is not None:
        places += [gate.path, *(f"sets.{name}" for name in programme.sets if _names(gate.rule, name))]
    if module is not None:
        places.append(f"lengths.{module.length}")
    return [each for each in open_values(programme) if any(f"{each.path}.".startswith(f"{one}.") for one in places)]


def cited(programme: Programme, refs: Iterable[str]) -> str:
    """The lines of sources in words: "Training programme page, lines 13 and 27; retreats page, line 31"."""
    by_source: dict[str, list[str]] = {}
    for ref in refs:
        name, _, lines = ref.partition(":")
        source = programme.sources.get(name, name).partition(" (")[0]
        by_source.setdefault(source, []).extend(each for each in lines.split(",") if each)
    words = "; ".join(_lines(source, lines) for source, lines in by_source.items())
    return words[:1].upper() + words[1:]


def _lines(source: str, lines: Sequence[str]) -> str:
    if not lines:
        return source
    shown = [each.replace("-", " to ") for each in lines]
    words = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
    return f"{source}, {'line' if len(lines) == 1 and '-' not in lines[0] else 'lines'} {words}"


def _open_value(programme: Programme, path: str) -> OpenValue:
    section, *rest = path.split(".")
    key = re.sub(r"\[\d+\]", "", rest[-1]) if rest else section
    name = rest[0] if rest else ""
    body = programme.bodies.get(key)
    if body is not None and "credits" in rest:
        question = f"How many credits of the {body.legal_name} does it earn?"
    elif body is not None and "fees" in rest:
        question = f"What does the certificate of the {body.legal_name} cost?"
    elif "policy" in rest:
        question = QUESTIONS["policy"]
    else:
        question = QUESTIONS.get(key, f"What is its {key.replace('_', ' ')}?")
    about, refs = _subject(programme, section, name)
    return OpenValue(path, about, question, refs)


def _subject(programme: Programme, section: str, name: str) -> tuple[str, Refs]:
    """What an entry of the document is called, and its sources."""
    records: Mapping[str, Mapping[str, Any]] = {
        "modules": programme.modules,
        "retreats": programme.retreats,
        "lengths": programme.lengths,
        "credit_bodies": programme.bodies,
        "faculty": programme.teachers,
    }
    record = records.get(section, {}).get(name)
    if section in ("modules", "retreats"):
        return programme.offering_title(name), record.refs if record is not None else ()
    if section == "sets":
        refs = [ref for gate in programme.gates.values() if _names(gate.rule, name) for ref in gate.refs]
        return programme.set_title(name).capitalize(), tuple(dict.fromkeys(refs))
    if section == "gates":
        gate = next((each for each in programme.gates.values() if each.path == f"gates.{name}"), None)
        return (_titles(programme, gate), gate.refs) if gate else (name, ())
    if record is not None:
        return str(getattr(record, "legal_name", None) or getattr(record, "title", None) or record.name), record.refs
    return section.replace("_", " ").capitalize(), ()


def _titles(programme: Programme, gate: Gate) -> str:
    """The offerings that share the entry of this gate; a series if they are one."""
    targets = [each.target for each in programme.gates.values() if each.path == gate.path]
    series = next((each for each in programme.series if set(targets) == set(each.modules)), None)
    return series.title if series else ", ".join(programme.offering_title(each) for each in targets)


def _names(rule: Any, name: str) -> bool:
    """Whether a rule, or a part of it, names this set."""
    if isinstance(rule, Mapping):
        return any(_names(each, name) for each in rule.values())
    return any(_names(each, name) for each in rule) if isinstance(rule, list | tuple) else bool(rule == name)
