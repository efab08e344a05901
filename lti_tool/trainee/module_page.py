"""What the page of a module shows, open or locked, put together from gates, sessions and grades."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from lti_tool import people, times
from lti_tool.gates import equivalency, sentences
from lti_tool.gates.addresses import address_of
from lti_tool.gates.situation import short_name
from lti_tool.gates.tree import Decision, blocking, walk
from lti_tool.grades import shown_claims
from lti_tool.programme.model import Module, PlannedSession, Programme
from lti_tool.publication import Published
from lti_tool.sessions import days, live_sessions
from lti_tool.sessions.agenda import instructional_seconds
from lti_tool.sessions.live_sessions import LiveSession
from lti_tool.sessions.meetings import places
from lti_tool.trainee.offerings import announced


@dataclass(frozen=True, slots=True)
class AgendaLine:
    """One part of the day; the instants are known once a live session is scheduled."""

    starts: str
    ends: str
    title: str
    instructional: bool
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AgendaTable:
    caption: str
    parts: tuple[AgendaLine, ...]
    rule: str


def open_page(
    connection: Connection, published: Published, decision: Decision, now: datetime, *, registers: bool
) -> dict[str, Any]:
    """The content of an open module, for the person of the decision. `registers`: people are registered at Zoom."""
    programme, trainee_id = published.programme, decision.trainee_id
    module = programme.modules[decision.offering]
    upcoming = live_sessions.upcoming(connection, module.id, now)
    attended = [each for each in days.of_trainee(connection, trainee_id) if each.module_id == module.id]
    return {
        **words(programme, decision),
        "module": module,
        "series": next((each for each in programme.series if each.id == module.series), None),
        "attended": attended,
        "own_claims": _claims(connection, programme, trainee_id, attended),
        "upcoming": upcoming,
        "planned": announced(programme, module.id, now.astimezone(ZoneInfo(programme.zone)).date()),
        "agenda": agenda_of(programme, module, upcoming[0] if upcoming else None),
        "rule_words": sentences.gate_in_words(programme, module.id),
        "learner_view": _learner_view(decision),
        "registers": registers,
        "own_places": places.of_trainee(connection, trainee_id) if registers and upcoming else {},
        "own_address": people.trainee(connection, trainee_id).email,
    }


def locked_page(connection: Connection, published: Published, decision: Decision, now: datetime) -> dict[str, Any]:
    """What is missing and how to get it; nothing of the locked offering but its title (gates.md A6)."""
    programme = published.programme
    title = programme.offering_title(decision.offering)
    return {
        **words(programme, decision),
        "title": title,
        "headline": sentences.heading(decision, programme),
        "rule_words": sentences.gate_in_words(programme, decision.offering),
        "attended": _attended(connection, decision),
        "needed_dates": list(_needed_dates(connection, programme, decision, now)),
        "elsewhere": list(_elsewhere(connection, programme, decision)),
    }


def words(programme: Programme, decision: Decision) -> dict[str, Any]:
    """The decision and how its nodes are said and linked; the template draws the tree from these."""
    return {
        "decision": decision,
        "says": partial(sentences.learner_sentence, programme=programme),
        "address": address_of,
    }


def agenda_of(programme: Programme, module: Module, session: LiveSession | None) -> AgendaTable | None:
    """The agenda of the next session, else of the module; None while nobody has set it."""
    if session is not None:
        day = times.weekday(session.held_on)
        parts = tuple(
            AgendaLine(
                times.clock(each.starts_at, programme.zone),
                times.clock(each.ends_at, programme.zone),
                each.title,
                each.instructional,
                each.starts_at,
                each.ends_at,
            )
            for each in session.segments
        )
        return AgendaTable(f"The day of {day}", parts, _rule(programme, instructional_seconds(session.segments)))
    agenda = programme.agendas.get(module.agenda or "")
    if agenda is None:
        return None
    lines = tuple(
        AgendaLine(_wall(each.starts), _wall(each.ends), each.title, each.instructional) for each in agenda.parts
    )
    return AgendaTable("A day of this module", lines, _rule(programme, agenda.instructional_minutes * 60))


def _rule(programme: Programme, seconds: int) -> str:
    if programme.completion is None:
        return ""
    share = programme.completion.share
    needed = times.minutes(int(-(-(share * seconds) // 1)))
    return f"Completing the module takes {needed} of the {times.minutes(seconds)} of teaching ({share:.0%})."


def _wall(at: time) -> str:
    return f"{at.hour % 12 or 12}:{at.minute:02} {'am' if at.hour < 12 else 'pm'}"


def _claims(
    connection: Connection, programme: Programme, trainee_id: int, attended: Sequence[days.AttendedDay]
) -> list[shown_claims.ShownClaim]:
    sessions = [each.session_id for each in attended if not each.is_running]
    return [each for one in sessions for each in shown_claims.of_session(connection, programme, trainee_id, one)]


def _learner_view(decision: Decision) -> str:
    if decision.open:
        return "A learner with your records would see this page too."
    waiting = " and that an answer is awaited" if decision.is_pending else ""
    return f"A learner with your records would see that it is locked{waiting}, and why."


def _attended(connection: Connection, decision: Decision) -> list[days.AttendedDay]:
    """The days of the missing modules that were attended in part: what already counts, and how much is missing."""
    missing = _named(decision, "completed", "module")
    return [each for each in days.of_trainee(connection, decision.trainee_id) if each.module_id in missing]


def _needed_dates(
    connection: Connection, programme: Programme, decision: Decision, now: datetime
) -> Iterator[tuple[str, str, list[LiveSession], list[PlannedSession]]]:
    """The next dates of every module that would help: id, name, what is scheduled, what is announced."""
    for module_id in _named(decision, "completed", "module"):
        sessions = live_sessions.upcoming(connection, module_id, now)
        today = now.astimezone(ZoneInfo(programme.zone)).date()
        held = {each.held_on for each in sessions}
        planned = [each for each in announced(programme, module_id, today) if each.date not in held]
        yield module_id, short_name(programme, module_id), sessions, planned


def _elsewhere(connection: Connection, programme: Programme, decision: Decision) -> Iterator[tuple[str, str, Any]]:
    """Each thing that training elsewhere may stand for here, with this person's latest request for it."""
    requests = equivalency.of_trainee(connection, decision.trainee_id)
    for condition in ("equivalency", "retreat_equivalency"):
        for target in _named(decision, condition, "for"):
            latest = max((each for each in requests if each.target == target), key=lambda each: each.id, default=None)
            yield target, short_name(programme, target), latest


def _named(decision: Decision, condition: str, field: str) -> list[str]:
    """The offerings that shut conditions of one kind name, each once, in order."""
    shut = blocking(decision.tree) if decision.tree else ()
    named = [str(node.params[field]) for each in shut for node in walk(each) if node.condition == condition]
    return list(dict.fromkeys(named))
