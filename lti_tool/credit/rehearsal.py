"""Policy rehearsal: who would gain or lose completion or credit under another policy. Nothing is written.

Both policies judge the same evidence by the same functions that settle and decide for real.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import Connection, select

from lti_tool.attendance.evidence import PersonPresence
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.settlement import Round, corrected, open_round
from lti_tool.credit import claims
from lti_tool.programme import versions
from lti_tool.programme.loader import TrialPolicy
from lti_tool.programme.model import Programme
from lti_tool.tables.people import trainees

# How final the session's evidence is, is the same under both policies and comes with time.
LEFT_OUT = ("evidence",)

# By the name of a line of the claim, or "completion": whether it is met (None: not known yet).
Answers = Mapping[str, bool | None]

Outcome = Literal["gains", "loses", "opens"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One decision about one person that changes. `about` is "completion" or the id of a credit body; `before` and
    `after` say whether it comes out for the person (None: not known yet). `because` names the lines of the claim that
    change."""

    session_id: int
    trainee_id: int
    name: str | None
    about: str
    because: tuple[str, ...]
    before: bool | None
    after: bool | None
    seconds_present: int

    @property
    def outcome(self) -> Outcome:
        """ "opens": it depends on what is not proven or recorded yet, such as a fee."""
        if self.after is None:
            return "opens"
        return "gains" if self.after else "loses"


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One session: how many people were judged, and every decision that changes."""

    session_id: int
    people: int
    differences: tuple[Difference, ...]


def rehearse(
    connection: Connection, session: LiveSession, people: Sequence[PersonPresence], trial: TrialPolicy
) -> Rehearsed:
    """Judge everybody known in one session under the present policy and under the trial policy: completion, and every
    claim as a whole, with the person's licence, fee and evaluation. `people` is the evidence as the adapter loads it.

    Raises Conflict "completion_unset" where the session's own policy does not say what completes a module.
    """
    programme = versions.version(connection, session.programme_version).programme
    tried = trial.applied_to(programme)
    known = [each for each in corrected(connection, session.id, people) if each.trainee_id is not None]
    present = open_round(connection, session, ended=session.ended_at is not None)
    before = _judge(connection, programme, present, known)
    after = _judge(connection, tried, replace(present, policy=tried.completion or present.policy, digests={}), known)
    columns = select(trainees.c.id, trainees.c.name).where(trainees.c.id.in_({trainee_id for trainee_id, _ in after}))
    names = {row.id: row.name for row in connection.execute(columns)}
    differences = [
        Difference(
            session.id, trainee_id, names.get(trainee_id), about,
            tuple(line for line, met in lines.items() if before[trainee_id, about][0].get(line) is not met),
            _met(before[trainee_id, about][0]), _met(lines), seconds,
        )
        for (trainee_id, about), (lines, seconds) in sorted(after.items(), key=lambda each: each[0])
        if _met(before[trainee_id, about][0]) is not _met(lines)
    ]  # fmt: skip
    return Rehearsed(session.id, len(known), tuple(differences))


def _judge(
    connection: Connection, programme: Programme, this: Round, people: Sequence[PersonPresence]
) -> Mapping[tuple[int, str], tuple[Answers, int]]:
    """By (trainee id, "completion" or body id): the answers, and the seconds present."""
    measured = {each.trainee_id: this.measure(each) for each in people if each.trainee_id is not None}
    found: dict[tuple[int, str], tuple[Answers, int]] = {
        (trainee_id, "completion"): ({"completion": each.attendance.completed}, each.attendance.seconds_present)
        for trainee_id, each in measured.items()
    }
    days = [each.settled_in(this.session) for each in measured.values()]
    for (trainee_id, body_id), checklist in claims.try_out(connection, programme, days).items():
        answers = {line.name: line.satisfied for line in checklist.lines if line.name not in LEFT_OUT}
        found[trainee_id, body_id] = (answers, measured[trainee_id].attendance.seconds_present)
    return found


def _met(answers: Answers) -> bool | None:
    """Whether all are met; None if only unknown ones stand against it."""
    values = answers.values()
    return False if False in values else (None if None in values else True)
