"""A policy to try out: the sections `completion` and `credit_bodies` of a programme document, alone or in a whole one.

PURE. Written as in the document (docs/programme.md); a body gives only its `policy`, what else it says is passed over.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lti_tool.programme.crediting import read_completion, read_policy
from lti_tool.programme.entry import Entry, Report, mapping
from lti_tool.programme.model import CompletionPolicy, CreditPolicy, Programme
from lti_tool.programme.problems import Problem
from lti_tool.programme.yaml_source import load_yaml

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
