"""Policy rehearsal: who would gain or lose completion or credit under another policy. Nothing is written.

Both policies judge the same evidence by the same functions that settle and decide for real.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import Connection

from lti_tool.attendance.evidence import PersonPresence
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.queries import Measured
from lti_tool.attendance.settlement import Round, corrected, open_round
from lti_tool.credit import claims
from lti_tool.credit.awards import SettledDay
from lti_tool.credit.checklist import Checklist
from lti_tool.programme import versions
from lti_tool.programme.loader import TrialPolicy
from lti_tool.programme.model import Programme

# The lines of a claim that a policy of attendance decides.
LINES = ("attendance", "participation")

Outcome = Literal["gains", "loses", "opens"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One person and one decision that comes out otherwise. `about` is "completion" or the id of a credit body;
    `before` and `after` say whether the limit is met (None: not proven yet)."""

    session_id: int
    trainee_id: int
    about: str
    before: bool | None
    after: bool | None
    seconds_present: int

    @property
    def outcome(self) -> Outcome:
        """ "opens": it depends on evidence that is not proven yet."""
        if self.after is None:
            return "opens"
        return "gains" if self.after else "loses"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One session: how many people were judged, and for whom it comes out otherwise."""

    session_id: int
    people: int
    differences: tuple[Difference, ...]


def rehearse(
    connection: Connection, session: LiveSession, people: Sequence[PersonPresence], trial: TrialPolicy
) -> Rehearsed:
    """Judge everybody known in one session twice: as it is and as it would be. `people` is the evidence as the adapter
    loads it.

    Raises Conflict "completion_unset" where the session's own policy does not say what completes a module.
    """
    programme = versions.version(connection, session.programme_version).programme
    tried = trial.applied_to(programme)
    known = [each for each in corrected(connection, session.id, people) if each.trainee_id is not None]
    ended = session.ended_at is not None
    as_it_is = open_round(connection, session, ended=ended)
    as_tried = replace(as_it_is, policy=tried.completion or as_it_is.policy, digests={})
    before = _judge(connection, programme, as_it_is, known)
    after = _judge(connection, tried, as_tried, known)
    return Rehearsed(session.id, len(known), tuple(_differences(session.id, before, after)))


@dataclass(frozen=True, slots=True)
class _Verdict:
    met: bool | None
    seconds_present: int


def _judge(
    connection: Connection, programme: Programme, this: Round, people: Sequence[PersonPresence]
) -> Mapping[tuple[int, str], _Verdict]:
    """By (trainee, "completion" or body)."""
    measured = {each.trainee_id: this.measure(each) for each in people if each.trainee_id is not None}
    found = {
        (trainee_id, "completion"): _Verdict(each.attendance.completed, each.attendance.seconds_present)
        for trainee_id, each in measured.items()
    }
    days = [_day(this.session, trainee_id, each) for trainee_id, each in measured.items()]
    for (trainee_id, body_id), checklist in claims.try_out(connection, programme, days).items():
        seconds = measured[trainee_id].attendance.seconds_present
        found[trainee_id, body_id] = _Verdict(_attended(checklist), seconds)
    return found


def _attended(checklist: Checklist) -> bool | None:
    answers = [line.satisfied for line in checklist.lines if line.name in LINES]
    return False if False in answers else (None if None in answers else True)


def _differences(
    session_id: int, before: Mapping[tuple[int, str], _Verdict], after: Mapping[tuple[int, str], _Verdict]
) -> Iterator[Difference]:
    for key in sorted(after):
        was, would_be = before[key], after[key]
        if was.met is not would_be.met:
            yield Difference(session_id, *key, was.met, would_be.met, would_be.seconds_present)


def _day(session: LiveSession, trainee_id: int, measured: Measured) -> SettledDay:
    return SettledDay(
        trainee_id=trainee_id,
        session_id=session.id,
        module_id=session.module_id,
        programme_version=session.programme_version,
        held_on=session.held_on,
        session_state=session.state,
        ended=measured.ended,
        attendance_id=0,
        day=measured.attendance,
        flags=measured.flags,
    )
