"""Runs tests against a tool over HTTP, one at a time, and says for each what was sent, answered and logged."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from conformance import linking, rostering, scoring
from conformance.cases import Case, Kind
from conformance.launching import Launched, judge, launch
from conformance.parties import Platform
from conformance.results import Finding, Message, Result, is_launch
from conformance.tool import Tool
from conformance.trust import NotTrusted
from lti_tool.errors import GatehouseError
from lti_tool.lti import registration

# How long a log line may take to be written after its answer has left.
LOG_SECONDS = 2.0


@dataclass
class Certification:
    """One tool and one platform, brought together."""

    tool: Tool
    platform: Platform

    def introduce(self) -> None:
        """Register the platform with the tool, as an administrator would."""
        with self.tool.context.database.write() as connection:
            for new, deployment_ids in self.platform.registrations():
                registration.add(connection, new, deployment_ids, actor="certify", now=self.tool.context.clock())

    def run(self, case: Case) -> Result:
        """One test. Whatever goes wrong on the way is a finding that does not hold."""
        mark, before = len(self.tool.log.lines), len(self.platform.heard())
        started_at, began = datetime.now(UTC), time.perf_counter()
        messages: list[Message] = []
        findings: list[Finding] = []
        try:
            for finding in RUNS[case.kind](self, case, messages):
                findings.append(finding)
        except Exception as error:
            findings.append(Finding("The test runs to its end", False, _in_short(error)))
        findings.append(self._arrived(mark, len(messages)))
        took = round((time.perf_counter() - began) * 1000, 1)
        heard, log = tuple(self.platform.heard()[before:]), tuple(self.tool.log.lines[mark:])
        return Result(case, self.platform.title, started_at, took, messages, findings, heard, log)

    def _arrived(self, mark: int, messages: int) -> Finding:
        """The proof the guide asks for: a log line for every message."""
        deadline = time.monotonic() + LOG_SECONDS
        lines = self._launches(mark)
        while len(lines) < messages and time.monotonic() < deadline:
            time.sleep(0.01)
            lines = self._launches(mark)
        seen = f"at {', '.join(lines)} UTC" if lines else "no line"
        return Finding("The tool's log has a line for every message", len(lines) >= max(messages, 1), seen)

    def _launches(self, mark: int) -> list[str]:
        return [str(line["time"])[11:23] for line in self.tool.log.lines[mark:] if is_launch(line)]


def _in_short(error: Exception) -> str:
    """What went wrong, without texts of libraries: they may hold an address with a token in it."""
    told = error if isinstance(error, GatehouseError | LookupError | NotTrusted) else ""
    return f"{type(error).__name__}: {told}".removesuffix(": ")


def _launch(it: Certification, case: Case, messages: list[Message]) -> Iterator[Launched]:
    """The launches of this test, each kept for the evidence as it is made."""
    for change in case.messages:
        launched = launch(it.tool, it.platform, case, change)
        messages.append(launched.message)
        yield launched


def _run_launch(it: Certification, case: Case, messages: list[Message]) -> Iterator[Finding]:
    for launched in _launch(it, case, messages):
        which = f" (message {len(messages)})" if len(case.messages) > 1 else ""
        yield from (replace(each, says=each.says + which) for each in judge(case, launched))


def _run_deep_linking(it: Certification, case: Case, messages: list[Message]) -> Iterator[Finding]:
    for launched in _launch(it, case, messages):
        yield from linking.find(case.number, it.tool, it.platform, launched)


def _run_names_and_roles(it: Certification, case: Case, messages: list[Message]) -> Iterator[Finding]:
    for launched in _launch(it, case, messages):
        yield from rostering.find(case.number, it.tool, it.platform, launched)


def _run_assignment_and_grades(it: Certification, case: Case, messages: list[Message]) -> Iterator[Finding]:
    for launched in _launch(it, case, messages):
        yield from scoring.find(it.tool, it.platform, launched)


Run = Callable[[Certification, Case, list[Message]], Iterator[Finding]]
RUNS: Mapping[Kind, Run] = {
    "launch": _run_launch,
    "deep linking": _run_deep_linking,
    "names and roles": _run_names_and_roles,
    "assignment and grades": _run_assignment_and_grades,
}
