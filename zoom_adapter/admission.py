"""Who is to have a place in which Zoom meeting: the gate, asked for everybody of the courses that show the module.

The gate is asked in bulk and often, so that a place follows the records: made when the gate opens, cancelled when it
shuts, when the class is called off or the person leaves the course. Nobody at Zoom is told here (zoom_adapter).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, false, func, or_, select

from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.db import Database
from lti_tool.gates.decide import load_facts, needed_facts
from lti_tool.gates.evaluate import evaluate
from lti_tool.programme import versions
from lti_tool.rosters.schedule import is_placed_in
from lti_tool.tables.courses import enrolments, placements, roster_members
from lti_tool.tables.gates import completions, equivalency_requests, exceptions
from lti_tool.tables.live_sessions import live_sessions as sessions_table
from lti_tool.tables.people import licences
from lti_tool.tables.platforms import registrations
from lti_tool.tables.presence import zoom_places
from lti_tool.tasks import Clock
from zoom_adapter import places

# How often everybody is gone through, and how often those whose records have just changed.
ROUND = timedelta(minutes=1)
GLANCE = timedelta(seconds=5)
# A change that is being committed now may carry an earlier moment; the next round finds what is missed all the same.
OVERLAP = timedelta(seconds=5)
# More people than this at once, as after a class, are left to a round.
A_FEW = 50


@dataclass
class PlacePlan:
    """Keeps what the gate wants of Zoom. `step` is made to be called again and again by one thread: a round takes one
    meeting at a step, so that nothing else waits for long."""

    database: Database
    clock: Clock
    _round_at: datetime = field(default=datetime.min.replace(tzinfo=UTC))
    _glanced_at: datetime = field(default=datetime.min.replace(tzinfo=UTC))
    _meetings: list[str] = field(default_factory=list)

    def step(self) -> bool:
        """Plan one meeting of the round under way, or look whether it is time; whether there is more to do at once."""
        now = self.clock()
        if self._meetings:
            plan(self.database, self._meetings.pop(), now)
        elif not timedelta() <= now - self._round_at < ROUND:
            self._begin_round(now)
        elif not timedelta() <= now - self._glanced_at < GLANCE:
            self._glance(now)
        return bool(self._meetings)

    def _begin_round(self, now: datetime) -> None:
        self._round_at = self._glanced_at = now
        with self.database.read() as connection:
            self._meetings = meetings(connection, now)

    def _glance(self, now: datetime) -> None:
        since, self._glanced_at = self._glanced_at - OVERLAP, now
        with self.database.read() as connection:
            moved = _changed_meetings(connection, since)
            people = _changed_people(connection, since)
            every = meetings(connection, now) if people else []
        self._meetings = moved
        if len(people) > A_FEW:
            self._begin_round(now)
            return
        for meeting_id in every:
            plan(self.database, meeting_id, now, people)


def plan(database: Database, meeting_id: str, now: datetime, only: Collection[int] | None = None) -> None:
    """Bring the places of one meeting in line with the gate, all of them or those of a few people. Once its classes are
    over they stay as they are."""
    with database.read() as connection:
        if meeting_id not in meetings(connection, now):
            return
        coming = upcoming(connection, meeting_id, now)
        wanted = places.wanted(connection, meeting_id)
        asked = [each for each, asked_at in wanted.items() if asked_at is not None]
        if only is not None:
            wanted = {each: wanted[each] for each in wanted if each in only}
        people = enrolled(connection, coming, among=only) | _active(connection, wanted.keys() & set(asked))
        admitted = admits(connection, people, coming, now)
    missing, spare = sorted(admitted - wanted.keys()), sorted(wanted.keys() - admitted)
    if missing or spare:
        with database.write() as connection:
            if missing:
                places.want(connection, missing, meeting_id, coming[0].zoom_kind, now)
            places.drop(connection, spare, meeting_id, now)


def may_register(connection: Connection, trainee_ids: Collection[int], meeting_id: str, now: datetime) -> set[int]:
    """Those of these people whom the gate lets into a class to come in this meeting. Who teaches a course that shows
    its module is let in whatever the gate says."""
    coming = upcoming(connection, meeting_id, now)
    active = _active(connection, trainee_ids)
    return admits(connection, active, coming, now) | enrolled(connection, coming, "staff", trainee_ids)


def meetings(connection: Connection, now: datetime) -> list[str]:
    """The Zoom meetings of classes to come, and those of classes called off in which places are still wanted."""
    has_places = exists().where(zoom_places.c.meeting_id == sessions_table.c.zoom_meeting_id, zoom_places.c.wanted)
    is_meant = and_(sessions_table.c.ends_at > now, or_(sessions_table.c.state != "cancelled", has_places))
    query = select(sessions_table.c.zoom_meeting_id).where(is_meant).distinct()
    return sorted(connection.scalars(query), reverse=True)


def upcoming(connection: Connection, meeting_id: str, now: datetime) -> list[LiveSession]:
    """The classes in this meeting that are not over, in order of time."""
    return [each for each in live_sessions.of_meeting(connection, meeting_id) if each.ends_at > now]


def admits(
    connection: Connection, trainee_ids: Collection[int], coming: Sequence[LiveSession], now: datetime
) -> set[int]:
    """Those of these people to whom the gate of any of these classes is open, by the programme in force."""
    if not coming or not trainee_ids:
        return set()
    published = versions.current(connection)
    kinds = frozenset[str]().union(*(needed_facts(published.programme, each.module_id) for each in coming))
    facts = load_facts(connection, trainee_ids, kinds)
    doors = {(each.module_id, each.held_on) for each in coming}
    return {
        trainee_id
        for trainee_id, known in facts.items()
        if any(
            evaluate(published.programme, published.version, module_id, known, now, held_on).open
            for module_id, held_on in doors
        )
    }


def enrolled(
    connection: Connection,
    coming: Sequence[LiveSession],
    role: str = "trainee",
    among: Collection[int] | None = None,
) -> set[int]:
    """Everybody, or those among some people, who belongs in this role to a course that shows the module of one of these
    classes."""
    shown = placements.c.module_id.in_({each.module_id for each in coming})
    here = is_placed_in(enrolments.c.registration_id, enrolments.c.context_id)
    query = select(enrolments.c.trainee_id).join(placements, here).where(shown, enrolments.c.role == role)
    return _found(connection, query, among) if coming else set()


def _active(connection: Connection, among: Collection[int]) -> set[int]:
    """Those of these people who belong to any course."""
    query = select(enrolments.c.trainee_id).where(enrolments.c.role == "trainee")
    return _found(connection, query, among) if among else set()


def _found(connection: Connection, query: Select[Any], among: Collection[int] | None) -> set[int]:
    """The people of these enrolments as far as they hold; a few people are looked for by their ids."""
    held = query.where(_is_active()).distinct()
    if among is not None and len(among) <= A_FEW:
        held = held.where(enrolments.c.trainee_id.in_(among))
    people = set(connection.scalars(held))
    return people if among is None else people & set(among)


def _is_active() -> ColumnElement[bool]:
    """Whether an enrolment holds: its platform is active, and the person has not left the roster since the last
    launch."""
    of_member = and_(
        roster_members.c.registration_id == enrolments.c.registration_id,
        roster_members.c.context_id == enrolments.c.context_id,
        roster_members.c.user_id == enrolments.c.user_id,
    )
    launched_since = func.coalesce(enrolments.c.last_launch_at > roster_members.c.left_at, false())
    has_left = exists().where(of_member, roster_members.c.left_at.is_not(None), ~launched_since)
    active = select(registrations.c.id).where(registrations.c.status == "active")
    return and_(enrolments.c.registration_id.in_(active), ~has_left)


def _changed_meetings(connection: Connection, since: datetime) -> list[str]:
    """The Zoom meetings of classes that were added or called off since."""
    changed = (sessions_table.c.updated_at >= since, sessions_table.c.ends_at > since)
    return sorted(connection.scalars(select(sessions_table.c.zoom_meeting_id).where(*changed).distinct()))


def _changed_people(connection: Connection, since: datetime) -> set[int]:
    """The people about whom something was recorded since that a gate may look at."""
    moments = {
        completions: (completions.c.recorded_at, completions.c.ended_at),
        equivalency_requests: (equivalency_requests.c.updated_at,),
        exceptions: (exceptions.c.granted_at, exceptions.c.ended_at),
        licences: (licences.c.recorded_at, licences.c.ended_at),
    }
    found: set[int] = set()
    for table, columns in moments.items():
        is_new = or_(*(each >= since for each in columns))
        found |= set(connection.scalars(select(table.c.trainee_id).where(is_new)))
    return found
