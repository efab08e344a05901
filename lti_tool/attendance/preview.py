"""What would change: a person's minutes before and after a link or a correction, computed and not written (ce.md Y2).

The stretches of a stored day are the evidence here. Settlement looks at the evidence itself, so it has the last word.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from lti_tool.attendance import live_sessions, matching, queries
from lti_tool.attendance.corrections import interval_of
from lti_tool.attendance.evidence import PersonPresence, PresenceInterval
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.matching import Claim
from lti_tool.attendance.queries import IN_PROGRESS, AttendedDay, Measured
from lti_tool.attendance.settlement import open_round
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.live_sessions import live_sessions as sessions

# Flags that say how a day stood, and would not stand after new evidence.
PASSING = frozenset({IN_PROGRESS, "evidence_withdrawn"})


@dataclass(frozen=True, slots=True)
class Effect:
    """What one session would look like for one trainee. `before` is None where nothing is on record; `moved_seconds` is
    instruction that unmatched people attended and that would move. A locked session stays as it is."""

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
    """Session by session, what linking this to that trainee would do."""
    return [_of_match(connection, each.session_id, claim, trainee_id) for each in matching.touched(connection, claim)]


def of_correction(connection: Connection, correction: Row[Any]) -> Effect:
    """What this correction would do once it is in force."""
    session_id, trainee_id = correction.live_session_id, correction.trainee_id
    return _effect(connection, session_id, trainee_id, [interval_of(correction)])


def _of_match(connection: Connection, session_id: int, claim: Claim, trainee_id: int) -> Effect:
    rows = connection.execute(
        select(attendances.c.day, attendances.c.flags, attendances.c.seconds_present)
        .join(sessions)
        .where(
            attendances.c.is_current,
            attendances.c.trainee_id.is_(None),
            attendances.c.live_session_id == session_id,
            matching.meant_by(connection, claim),
        )
    ).all()
    moved = [interval for row in rows for interval in _intervals(row.day)]
    flags = {flag for row in rows for flag in row.flags}
    return _effect(connection, session_id, trainee_id, moved, flags, sum(row.seconds_present for row in rows))


def _effect(
    connection: Connection,
    session_id: int,
    trainee_id: int,
    added: Sequence[PresenceInterval],
    flags: Set[str] = frozenset(),
    moved_seconds: int = 0,
) -> Effect:
    session = live_sessions.show(connection, session_id)
    before = queries.of_trainee_in(connection, trainee_id, session_id)
    intervals = (*(_intervals(before.day) if before else ()), *added)
    kept = tuple(sorted({*(before.flags if before else ()), *flags} - PASSING))
    person = PersonPresence(f"trainee:{trainee_id}", trainee_id, None, None, None, intervals, kept)
    return Effect(session, before, open_round(connection, session, ended=True).measure(person), moved_seconds)


def _intervals(day: Mapping[str, Any]) -> Iterator[PresenceInterval]:
    """The stretches of a stored day. One of which no second counts proves nothing about teaching either way."""
    for each in day["intervals"]:
        start, end = datetime.fromisoformat(each["from"]), datetime.fromisoformat(each["to"])
        yield PresenceInterval(start, end, each["evidence"], each["counted_seconds"] > 0, "day")
