"""How far one trainee is with every module of the programme, loaded once for a page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

from sqlalchemy import Connection

from lti_tool import times
from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.gates import decide
from lti_tool.gates.decision import Decision, walk
from lti_tool.gates.wording import first_step, modules_first, recommendation
from lti_tool.languages import gettext
from lti_tool.programme.catalogue import Module, PlannedSession, Series
from lti_tool.programme.model import Programme
from lti_tool.programme.versions import Published
from lti_tool.web.trainee.next_thing import Request

# What says that a module need not be taken, whether its gate asks for it or not.
ALSO = ("completions", "equivalencies")


@dataclass(frozen=True)
class ModuleProgress:
    """One module for one trainee. `sessions` are not over yet, the next one first; `dates` are announced days that have
    no session yet; `first_step` says what a locked module waits for, `recommendation` what is recommended before an
    open one; both may be empty. `is_waived` says that training elsewhere was accepted in its place."""

    module: Module
    decision: Decision
    completed_on: date | None
    sessions: Sequence[LiveSession]
    dates: Sequence[PlannedSession]
    first_step: str
    recommendation: str
    is_waived: bool

    @property
    def is_open(self) -> bool:
        return self.decision.open

    @property
    def to_take(self) -> bool:
        """Whether the trainee can take it now and still needs it."""
        return self.is_open and self.is_needed

    @property
    def is_needed(self) -> bool:
        """Whether the trainee has neither completed it nor had training elsewhere accepted in its place."""
        return self.completed_on is None and not self.is_waived

    @property
    def needs_modules_only(self) -> bool:
        """Whether nothing but other modules keeps it locked."""
        return bool(modules_first(self.decision))

    def waits_for(self, requests: Iterable[Request]) -> str:
        """What it waits for, where the training team may have asked the trainee something about one of the requests."""
        return asked_back(self.decision, requests) or self.first_step

    @cached_property
    def replaceable(self) -> tuple[str, ...]:
        """The offerings that training elsewhere could replace, so that this one would open."""
        return replaceable(self.decision)


def load_progress(
    connection: Connection, published: Published, trainee_id: int, now: datetime
) -> dict[str, ModuleProgress]:
    """Every published module by id, in the order of the programme, with its decision as of now."""
    programme = published.programme
    coming = live_sessions.coming(connection, now)
    offered = [each for each in programme.modules if programme.is_published(each)]
    starts = {module_id: sessions[0].held_on for module_id, sessions in coming.items()}
    asked = decide.ask_each(connection, published, trainee_id, offered, now, starts=starts, also=ALSO)
    today = times.day_of(now, programme.zone)
    every = {}
    for module_id, decision in asked.items():
        known = decision.facts
        completed = [each for each in known.completions if each.module == module_id and not each.ended_at]
        sessions = coming.get(module_id, [])
        every[module_id] = ModuleProgress(
            module=programme.modules[module_id],
            decision=decision,
            completed_on=max((each.completed_on for each in completed), default=None),
            sessions=sessions,
            dates=announced(programme, module_id, today, sessions),
            first_step=first_step(decision, programme),
            recommendation=recommendation(decision, programme),
            is_waived=any(each.target == module_id and each.is_accepted_on(today) for each in known.equivalencies),
        )
    return every


def asked_back(decision: Decision, requests: Iterable[Request]) -> str:
    """What a pending decision waits for where the training team has a question about one of its requests; else
    empty."""
    asked = {each.target for each in requests if each.state == "more_info"}
    if not decision.is_pending or asked.isdisjoint(replaceable(decision)):
        return ""
    return gettext("Answer the training team’s question first.")


def replaceable(decision: Decision) -> tuple[str, ...]:
    """The offerings that training elsewhere could replace, so that a locked module would open."""
    nodes = [node for each in decision.unmet() for node in walk(each)]
    targets = [str(node.params["for"]) for node in nodes if node.condition in ("equivalency", "retreat_equivalency")]
    return tuple(dict.fromkeys(targets))


def open_modules(connection: Connection, published: Published, trainee_id: int, now: datetime) -> set[str]:
    """The ids of the modules that are open to this person."""
    return {name for name, each in load_progress(connection, published, trainee_id, now).items() if each.is_open}


def by_series(programme: Programme, every: dict[str, ModuleProgress]) -> list[tuple[Series, list[ModuleProgress]]]:
    """The series that offer something, each with its modules in order."""
    offered = [(series, [every[each] for each in series.modules if each in every]) for series in programme.series]
    return [(series, modules) for series, modules in offered if modules]


def announced(
    programme: Programme, module_id: str, after: date, sessions: Sequence[LiveSession] = ()
) -> list[PlannedSession]:
    """The printed or confirmed dates of a module still to come, without those of `sessions`. Others are never shown
    (gates.md A6.6)."""
    held = {each.held_on for each in sessions}
    certain = [each for each in programme.sessions if each.module == module_id and each.is_certain]
    coming = [each for each in certain if each.date and each.date >= after and each.date not in held]
    return sorted(coming, key=lambda each: each.date or after)
