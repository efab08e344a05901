"""The gates row: one decision from facts that are loaded."""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from statistics import median

from benchmarks.figures import Figure, at_most, progress, spread
from benchmarks.installation import Bench
from benchmarks.primitives import MACHINE
from benchmarks.servers import ROOT
from lti_tool.gates.evaluate import evaluate
from lti_tool.gates.facts import Completion, Facts, Licence
from lti_tool.programme.loader import read_programme
from lti_tool.programme.model import Programme

AT = datetime(2026, 12, 1, 17, tzinfo=UTC)
ROUNDS = 200


def measure(_bench: Bench) -> Iterator[Figure]:
    """One decision of every gate of the demonstration for a trainee half through: the median of the gates, and the
    dearest one."""
    progress("gates")
    document = (ROOT / "config" / "demo.yaml").read_text(encoding="utf-8")
    programme = read_programme(document, "demo.yaml").programme
    assert programme is not None
    facts = _half_through(programme)
    costs = spread(_one(programme, facts, target) for target in programme.gates)
    yield Figure("gates", "one decision, median of the demonstration's gates", MACHINE, costs, "µs", at_most(100))
    yield Figure("gates", "one decision, the dearest gate", MACHINE, spread([costs.high]), "µs", at_most(100))


def _one(programme: Programme, facts: Facts, target: str) -> float:
    samples = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        evaluate(programme, 1, target, facts, AT)
        samples.append(time.perf_counter() - started)
    return 1e6 * median(samples)


def _half_through(programme: Programme) -> Facts:
    modules = list(programme.modules)
    done = modules[: len(modules) // 2]
    completions = tuple(
        Completion(id=number, recorded_at=AT, module=module, completed_on=AT.date(), origin="attendance")
        for number, module in enumerate(done)
    )
    licence = Licence(
        id=1,
        recorded_at=AT,
        type="LMFT",
        jurisdiction="CA",
        issued_on=date(2020, 1, 1),
        expires_on=date(2028, 3, 31),
        status="active",
        verified=True,
    )
    return Facts(trainee_id=1, completions=completions, licences=(licence,), profession="LMFT")
