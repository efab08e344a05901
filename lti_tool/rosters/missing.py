"""Who of the enrolled is missing in a live session: the roster beside the attendance as it stands.

Nothing rests on this list: a roster may leave people out, and a person may come later (lti.md NR-7).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from lti_tool.rosters import lists
from lti_tool.rosters.due import CourseKey, is_placed_in
from lti_tool.rosters.lists import CourseRoster, ListedMember
from lti_tool.sessions import live_sessions
from lti_tool.sessions.live_sessions import LiveSession
from lti_tool.tables.courses import placements, rosters
from lti_tool.tables.gates import completions
from lti_tool.tables.live_sessions import attendances

WITHDRAWN = "evidence_withdrawn"
LATEST = 20


@dataclass(frozen=True, slots=True)
class Seen:
    """Who was seen in a session so far: known people, how many nobody has matched, and when that was looked at (None:
    not yet)."""

    trainee_ids: frozenset[int]
    unmatched: int
    looked_at: datetime | None


@dataclass(frozen=True, slots=True)
class CourseAttendance:
    """One course at one session: how many learners it lists, how many of them were seen, and those who were not; apart
    from them those who have completed the module already and need not come."""

    roster: CourseRoster
    listed: int
    missing: tuple[ListedMember, ...]
    done: tuple[ListedMember, ...]

    @property
    def present(self) -> int:
        return self.listed - len(self.missing) - len(self.done)


def seen_in(connection: Connection, session_id: int) -> Seen:
    """Everybody whom the evidence of this session speaks of, as last settled."""
    query = select(attendances.c.trainee_id, attendances.c.flags, attendances.c.settled_at)
    current = attendances.c.is_current & (attendances.c.live_session_id == session_id)
    rows = [row for row in connection.execute(query.where(current)) if WITHDRAWN not in row.flags]
    return Seen(
        trainee_ids=frozenset(row.trainee_id for row in rows if row.trainee_id is not None),
        unmatched=sum(row.trainee_id is None for row in rows),
        looked_at=max((row.settled_at for row in rows), default=None),
    )


def of_session(connection: Connection, session: LiveSession, seen: Seen, now: datetime) -> list[CourseAttendance]:
    """The session's courses that have a roster, by title."""
    done = _have_completed(connection, session.module_id)
    placed = is_placed_in(rosters.c.registration_id, rosters.c.context_id) & (
        placements.c.module_id == session.module_id
    )
    query = select(rosters.c.registration_id, rosters.c.context_id).join_from(rosters, placements, placed).distinct()
    keys = [CourseKey(*row) for row in connection.execute(query)]
    found = [_of_course(connection, lists.course(connection, key, now), seen, done) for key in keys]
    return sorted(found, key=lambda each: (each.roster.title.casefold(), each.roster.key))


def sessions_of(connection: Connection, key: CourseKey, now: datetime) -> list[LiveSession]:
    """The live sessions of this course's modules that have begun, the latest first."""
    modules = select(placements.c.module_id).where(is_placed_in(*key), placements.c.module_id.is_not(None)).distinct()
    found = [
        session
        for module_id in connection.scalars(modules)
        for session in live_sessions.list_sessions(connection, module_id=module_id)
        if session.starts_at <= now and session.state != "cancelled"
    ]
    return sorted(found, key=lambda each: (each.starts_at, each.id), reverse=True)[:LATEST]


def learners_among(members: Iterable[ListedMember]) -> list[ListedMember]:
    """The learners whom a course lists now: who can be missed (docs/roles.md)."""
    return [each for each in members if each.role == "trainee" and each.left_at is None]


def count_present(
    connection: Connection, sessions: Collection[LiveSession], learners: Iterable[ListedMember]
) -> dict[int, int]:
    """Session id → how many of these learners were seen in it."""
    ids = {each.trainee_id for each in learners}
    return {each.id: len(ids & seen_in(connection, each.id).trainee_ids) for each in sessions}


def _of_course(connection: Connection, roster: CourseRoster, seen: Seen, done: Collection[int]) -> CourseAttendance:
    learners = learners_among(lists.members(connection, roster.key, with_left=False))
    absent = [each for each in learners if each.trainee_id not in seen.trainee_ids]
    return CourseAttendance(
        roster=roster,
        listed=len(learners),
        missing=tuple(each for each in absent if each.trainee_id not in done),
        done=tuple(each for each in absent if each.trainee_id in done),
    )


def _have_completed(connection: Connection, module_id: str) -> set[int]:
    in_force = (completions.c.module_id == module_id, completions.c.ended_at.is_(None))
    return set(connection.scalars(select(completions.c.trainee_id).where(*in_force)))
