"""What a trainee can do next, most pressing first (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lti_tool.gates.situation import short_name
from lti_tool.programme.model import Programme, Series
from lti_tool.sessions.days import AttendedDay
from lti_tool.sessions.live_sessions import LiveSession
from lti_tool.trainee.offerings import ModuleLine

MOST = 4


@dataclass(frozen=True, slots=True)
class Step:
    """A sentence and where it leads; `starts_at` and `zone` where it speaks of a live session."""

    says: str
    to: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    zone: str = ""


def of(
    programme: Programme,
    series: Sequence[tuple[Series, Sequence[ModuleLine]]],
    upcoming: Sequence[LiveSession],
    attended: Sequence[AttendedDay],
    requests: Sequence[Any],
) -> list[Step]:
    """The next steps of one person; empty when there is nothing to do."""
    lines = [line for _, all_lines in series for line in all_lines]
    taken = {line.module.id for line in lines if line.taken_on}
    steps = [
        *_questions(programme, requests),
        *_sessions(programme, [each for each in upcoming if each.module_id not in taken]),
        *_unfinished(programme, attended, taken),
        *_first_module(programme, lines),
    ]
    return steps[:MOST]


def _questions(programme: Programme, requests: Sequence[Any]) -> list[Step]:
    asked = [each.target for each in requests if each.state == "more_info"]
    says = "The training team has a question about your request in place of"
    return [Step(f"{says} {short_name(programme, target)}.", f"/equivalency/{target}") for target in asked]


def _sessions(programme: Programme, upcoming: Sequence[LiveSession]) -> list[Step]:
    return [
        Step(
            f"Your next live session: {programme.offering_title(each.module_id)}",
            f"/modules/{each.module_id}#dates",
            each.starts_at,
            each.ends_at,
            each.zone,
        )
        for each in upcoming[:1]
    ]


def _unfinished(programme: Programme, attended: Sequence[AttendedDay], taken: set[str]) -> list[Step]:
    """Sessions that were not enough, of modules not completed otherwise."""
    return [
        Step(
            f"{programme.offering_title(each.module_id)} is not completed: see what is missing.",
            f"/sessions/{each.session_id}",
        )
        for each in attended
        if not each.completed and not each.is_running and each.module_id not in taken
    ][:1]


def _first_module(programme: Programme, lines: Sequence[ModuleLine]) -> list[Step]:
    """The open module that opens others, while it is not taken."""
    needed = {
        str(node.params.get("module"))
        for line in lines
        for node in line.decision.unmet()
        if node.condition == "completed"
    }
    return [
        Step(
            f"{short_name(programme, line.module.id)} opens further modules: see its dates.",
            f"/modules/{line.module.id}#dates",
        )
        for line in lines
        if line.decision.open and line.taken_on is None and line.module.id in needed
    ][:1]
