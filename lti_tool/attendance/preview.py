"""The effect of a link or a correction on a person's minutes, computed and not written (ce.md Y2).

The intervals of a stored day are the evidence here. Settlement reads the evidence itself, so it has the last word.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from lti_tool.attendance import live_sessions, matching, queries
from lti_tool.attendance.corrections import interval_of
from lti_tool.attendance.evidence import PersonPresence, PresenceInterval
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.matching import Claim
from lti_tool.attendance.minutes import Attendance
from lti_tool.attendance.queries import IN_PROGRESS, AttendedDay, Measured
from lti_tool.attendance.settlement import Round, open_round
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.live_sessions import live_sessions as sessions

# Flags of a stored day that would not stand after new evidence.
PASSING = frozenset({IN_PROGRESS, "evidence_withdrawn"})


@dataclass(frozen=True, slots=True)
class Effect:
    """One session as it would be for one trainee. `before` is None where nothing is on record; `moved_seconds` is the
    instruction attended by unmatched people, or settled for another trainee, that would move. A locked session stays as
    it is."""

    session: LiveSession
    before: AttendedDay | None
    after: Measured
    moved_seconds: int = 0

    @property
    def is_locked(self) -> bool:
        return self.session.state == "locked"

    @property
    def seconds_before(self) -> int:
        return self.before.seconds_present if self.before else 0

    @property
    def seconds_after(self) -> int:
        return self.after.attendance.seconds_present

    @property
    def completed_before(self) -> bool:
        return self.before is not None and self.before.completed

    @property
    def completed_after(self) -> bool:
        return self.after.attendance.completed


def of_match(connection: Connection, claim: Claim, trainee_id: int) -> list[Effect]:
    """The effect of linking this claim to that trainee, session by session."""
    effects, another = [], attendances.c.trainee_id != trainee_id
    for touched in matching.touched(connection, claim):
        rows = connection.execute(
            select(attendances.c.day, attendances.c.flags, attendances.c.seconds_present)
            .join(sessions)
            .where(
                attendances.c.is_current,
                attendances.c.trainee_id.is_(None) | another & matching.settled_by(claim),
                attendances.c.live_session_id == touched.session_id,
                matching.identified_by(connection, claim),
            )
        ).all()
        moved = [interval for row in rows for interval in _intervals(Attendance.from_json(row.day))]
        flags = {flag for row in rows for flag in row.flags}
        seconds = sum(row.seconds_present for row in rows)
        before = queries.of_trainee_in(connection, trainee_id, touched.session_id)
        effects.append(_effect(_round(connection, touched.session_id), before, trainee_id, moved, flags, seconds))
    return effects


def of_correction(connection: Connection, correction: Row[Any]) -> Effect:
    """The effect of this correction once it is in force."""
    return of_corrections(connection, [correction])[correction.id]


def of_corrections(connection: Connection, corrections: Sequence[Row[Any]]) -> dict[int, Effect]:
    """By id, the effect of each of these corrections by itself. The statements grow with the sessions they concern."""
    rounds = {each: _round(connection, each) for each in {row.live_session_id for row in corrections}}
    days = queries.of_trainees_in(connection, [(row.live_session_id, row.trainee_id) for row in corrections])
    return {
        row.id: _effect(
            rounds[row.live_session_id],
            days.get((row.live_session_id, row.trainee_id)),
            row.trainee_id,
            [interval_of(row)],
        )
        for row in corrections
    }


def _round(connection: Connection, session_id: int) -> Round:
    return open_round(connection, live_sessions.show(connection, session_id), ended=True)


def _effect(
    this: Round,
    before: AttendedDay | None,
    trainee_id: int,
    added: Sequence[PresenceInterval],
    flags: Set[str] = frozenset(),
    moved_seconds: int = 0,
) -> Effect:
    intervals = (*(_intervals(before.day) if before else ()), *added)
    kept = tuple(sorted({*(before.flags if before else ()), *flags} - PASSING))
    person = PersonPresence(f"trainee:{trainee_id}", trainee_id, None, None, None, intervals, kept)
    return Effect(this.session, before, this.measure(person), moved_seconds)


def _intervals(day: Attendance) -> Iterator[PresenceInterval]:
    """The intervals of a stored day. One without a counted second proves nothing about instruction either way."""
    for each in day.intervals:
        yield PresenceInterval(each.from_at, each.to_at, each.evidence, each.counted_seconds > 0, "day")
