"""Facts and programmes for the tests of the gates: short ways to say what is known of an invented person."""

from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from lti_tool.gates.decision import Decision, Node
from lti_tool.gates.evaluate import evaluate
from lti_tool.gates.facts import Completion, EquivalencyRequest, Facts, Licence, RetreatRecord, StaffException
from lti_tool.programme.loader import read_programme
from lti_tool.programme.model import Gate, Programme

AT = datetime(2024, 8, 1, 16, 0, tzinfo=UTC)
BEFORE = datetime(2024, 7, 1, 16, 0, tzinfo=UTC)
RETREAT = date(2024, 9, 4)


@cache
def demo() -> Programme:
    """config/demo.yaml."""
    document = (Path(__file__).parents[3] / "config" / "demo.yaml").read_text(encoding="utf-8")
    programme = read_programme(document, "demo.yaml").programme
    assert programme is not None
    return programme


def with_gate(rule: Any, *, target: str = "F2", mode: Any = "required", recommended: Any = None) -> Programme:
    """The demonstration's programme with another gate at `target`."""
    gate = Gate(target, mode, rule, recommended, refs=("S0:1",), approver="head of training", path=f"gates.{target}")
    return replace(demo(), gates={**demo().gates, target: gate})


def completed(module: str, *, number: int = 1, **changes: Any) -> Completion:
    values = {
        "id": number,
        "recorded_at": BEFORE,
        "module": module,
        "completed_on": BEFORE.date(),
        "origin": "attendance",
    }
    return Completion(**(values | changes))


def request(target: str, state: str, *, number: int = 7, **changes: Any) -> EquivalencyRequest:
    decided = BEFORE if state in ("approved", "declined", "expired", "revoked") else None
    values = {
        "id": number,
        "recorded_at": BEFORE,
        "target": target,
        "state": state,
        "submitted_at": None if state == "draft" else BEFORE,
        "decided_at": decided,
        "changed_at": BEFORE,
    }
    return EquivalencyRequest(**(values | changes))


def licence(*, number: int = 12, **changes: Any) -> Licence:
    values = {
        "id": number,
        "recorded_at": BEFORE,
        "type": "LMFT",
        "jurisdiction": "CA",
        "issued_on": date(2020, 1, 1),
        "expires_on": date(2026, 3, 31),
        "status": "active",
        "verified": False,
    }
    return Licence(**(values | changes))


def roster_entry(retreat: str, outcome: str, *, number: int = 3, **changes: Any) -> RetreatRecord:
    values = {
        "id": number,
        "recorded_at": BEFORE,
        "retreat": retreat,
        "starts_on": date(2024, 3, 1),
        "outcome": outcome,
    }
    return RetreatRecord(**(values | changes))


def exception(offering: str, *, number: int = 5, **changes: Any) -> StaffException:
    values = {"id": number, "recorded_at": BEFORE, "offering": offering, "expires_on": date(2024, 9, 1)}
    return StaffException(**(values | changes))


def facts(*records: Any, **changes: Any) -> Facts:
    """Facts of trainee 7 from records of any kind."""
    kinds = {
        Completion: "completions",
        EquivalencyRequest: "equivalencies",
        Licence: "licences",
        RetreatRecord: "retreats",
        StaffException: "exceptions",
    }
    found: dict[str, tuple[Any, ...]] = {}
    for record in records:
        kind = kinds[type(record)]
        found[kind] = (*found.get(kind, ()), record)
    return Facts(7, **found, **changes)


def decide(offering: str, *records: Any, programme: Programme | None = None, at: datetime = AT) -> Decision:
    start = RETREAT if offering.startswith("RT_") else None
    return evaluate(programme or demo(), 3, offering, facts(*records), at, start)


def judged(rule: Any, *records: Any, start: date | None = None, **changes: Any) -> Node:
    """The root node of a rule for some facts."""
    known = replace(facts(*records), **changes)
    decision = evaluate(with_gate(rule), 3, "F2", known, AT, start)
    assert decision.tree is not None, decision.reason
    return decision.tree
