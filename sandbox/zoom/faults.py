"""What goes wrong between Zoom and its listener: deliveries that are lost, doubled, in any order, late or out of the
trusted time, and reports that fail, lag or lack rows. All of it drawn from a seed."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sandbox.zoom.report import Row
from sandbox.zoom.training_day import Told, TrainingDay, encode

# How Zoom answers when it is asked for the report of one instance, time after time.
REPORTS = ("complete", "merged", "lagging", "missing", "extra", "unsettled", "failing", "never_asked")
SETTLED = REPORTS[:5]
EDGES = ("joined", "left")
# Of these a copy outside the trusted time may be all that comes.
SIGNED_LATE = (*EDGES, "put_waiting", "admitted")


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong on one day; shares are between 0 and 1.

    `lost`: the share that never comes, by kind of delivery (see `Told`). `outages`: seconds after the beginning between
    which nothing gets through. `copied`: the share that comes twice; `swarms`: how many come fifty-fold. `late`: the
    share that comes by a retry after the class was settled for the first time. `stale`: the share of edges and of moves
    into and out of the waiting room of which nothing but a copy outside the trusted time comes; `replayed`: the share
    of which such a copy comes as well. `reports`: what becomes of the report of each instance.
    """

    lost: Mapping[str, float] = field(default_factory=dict)
    outages: tuple[tuple[int, int], ...] = ()
    copied: float = 0.0
    swarms: int = 0
    late: float = 0.0
    stale: float = 0.0
    replayed: float = 0.0
    shuffles: bool = True
    reports: tuple[str, ...] = ("complete",)


class Arrival(NamedTuple):
    """One delivery as it reaches the listener; `stale`: signed outside the time in which one is trusted."""

    body: bytes
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Played:
    """A day after its faults: what arrives before and after the first settlement, the answers to each asking for a
    report (None: a refusal), and what is left of the evidence."""

    day: TrainingDay
    first: list[Arrival]
    late: list[Arrival]
    answers: dict[str, list[list[Row] | None]]
    settled: dict[str, list[Row]]
    fresh: list[Told]
    stale: list[Told]


def random_faults(seed: int, instances: int = 1) -> Faults:
    """A third of all days lose nothing; others lose a little, much, or all of some time."""
    chance = random.Random(f"faults {seed}")
    loses = chance.choice((0.0, 0.0, 0.02, 0.1, 0.3))
    lost = {
        kind: loses * chance.choice((0, 1, 1, 2)) for kind in (*EDGES, "put_waiting", "waiting", "breakout", "bind")
    }
    lost |= {"registration": chance.choice((0, 0, 0, 0.2)), "started": chance.choice((0, 0, 1))}
    lost["ended"] = chance.choice((0, 0, 0, 0, 1))
    lost["admitted"] = lost["waiting"]
    since = chance.randint(-600, 28_000)
    return Faults(
        lost=lost,
        outages=((since, since + chance.randint(60, 5400)),) if chance.random() < 0.15 else (),
        copied=chance.choice((0, 0.2)),
        swarms=chance.choice((0, 0, 2)),
        late=chance.choice((0, 0.1)),
        stale=chance.choice((0, 0, 0.03)),
        replayed=chance.choice((0, 0.1)),
        shuffles=chance.random() < 0.9,
        reports=tuple(chance.choice(REPORTS) for _ in range(instances)),
    )


def play(day: TrainingDay, faults: Faults, seed: int = 0) -> Played:
    """The day as it reaches the listener."""
    chance = random.Random(f"play {seed}")
    fates = [(told, _fate(day, faults, told, chance)) for told in (*day.told_before(), *day.told())]
    fresh = [told for told, fate in fates if fate in ("first", "late")]
    stale = [told for told, fate in fates if fate == "stale"]
    first = [Arrival(encode(told.event), fate == "stale") for told, fate in fates if fate in ("first", "stale")]
    late = [Arrival(encode(told.event)) for told, fate in fates if fate == "late"]
    first += chance.sample(first, k=int(len(first) * faults.copied))
    first += [Arrival(encode(told.event), True) for told in chance.sample(fresh, k=int(len(fresh) * faults.replayed))]
    for swarm in chance.sample(first, k=min(faults.swarms, len(first))):
        first += [swarm] * 49
    if faults.shuffles:
        chance.shuffle(first)
        chance.shuffle(late)
    answers = {
        uuid: list(_answers(day, uuid, report, chance)) for uuid, report in zip(day.uuids, faults.reports, strict=True)
    }
    settled = {
        uuid: answers[uuid][-1] or []
        for uuid, report in zip(day.uuids, faults.reports, strict=True)
        if report in SETTLED
    }
    return Played(day, first, late, answers, settled, fresh, stale)


def _fate(day: TrainingDay, faults: Faults, told: Told, chance: random.Random) -> str:
    """lost, stale, late or first. The instance itself is known in any case: of each something comes through."""
    draw = chance.random()
    if draw < faults.lost.get(told.kind, 0.0) or _in_outage(day, faults, told.at):
        return "lost"
    draw = chance.random()
    if told.kind in SIGNED_LATE and draw < faults.stale:
        return "stale"
    return "late" if draw > 1 - faults.late else "first"


def _in_outage(day: TrainingDay, faults: Faults, at: datetime) -> bool:
    return any(
        day.opens_at + timedelta(seconds=since) <= at < day.opens_at + timedelta(seconds=until)
        for since, until in faults.outages
    )


def _answers(day: TrainingDay, uuid: str, report: str, chance: random.Random) -> Iterator[list[Row] | None]:
    """One after the other. Settled is what Zoom says twice in a row."""
    if report == "never_asked":
        return
    if report == "failing":
        yield from (None, None)
        return
    rows = day.report_rows(uuid, merged=report == "merged")
    if report in ("lagging", "unsettled"):
        yield rows[: len(rows) // 2]
        yield None
    if report == "missing":
        rows = _without_some(rows, chance)
    if report == "extra":
        rows = rows + chance.sample(rows, k=len(rows) // 4) + [_stranger(row) for row in rows[:2]]
    yield rows
    if report != "unsettled":
        yield chance.sample(rows, k=len(rows))


def _without_some(rows: Sequence[Row], chance: random.Random) -> list[Row]:
    """Some rows are missing, and somebody is missing altogether."""
    gone = chance.choice(rows)["registrant_id"] if rows else ""
    return [row for row in rows if chance.random() > 0.1 and not (gone and row["registrant_id"] == gone)]


def _stranger(row: Row) -> Row:
    """Somebody of whom no webhook ever spoke."""
    return {**row, "user_id": f"9{row['user_id']}", "registrant_id": "", "user_email": "", "name": "A stranger"}
