"""Decides who is to have a place in which Zoom meeting, by the gate, for all people of the module's courses.

The gate is evaluated in bulk and often, so that places follow the records: a place is wanted while the gate is open,
and no longer if the gate shuts, the class is cancelled or the person leaves the course. Another module tells Zoom.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, false, func, or_, select, tuple_

from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.db import Database
from lti_tool.gates.decide import load_facts, needed_facts
from lti_tool.gates.evaluate import evaluate
from lti_tool.programme import versions
from lti_tool.rosters.schedule import IS_STAFF, IS_TRAINEE, is_placed_in
from lti_tool.tables.courses import enrolments, placements, roster_members
from lti_tool.tables.gates import completions, equivalency_requests, exceptions
from lti_tool.tables.live_sessions import live_sessions as sessions_table
from lti_tool.tables.people import licences
from lti_tool.tables.platforms import registrations
from lti_tool.tables.presence import zoom_places
from lti_tool.tasks import Clock
from zoom_adapter import places

# How often all people are planned, and how often those whose records have just changed.
FULL_PLAN_EVERY = timedelta(minutes=1)
CHANGES_EVERY = timedelta(seconds=5)
# A change that is being committed may bear an earlier time; the next full plan finds any that is missed.
OVERLAP = timedelta(seconds=5)
# If the records of more people change at once, as after a class, a full plan replaces the plan of the changes.
MAX_PEOPLE_PER_CHANGE = 50
LONG_AGO = datetime.min.replace(tzinfo=UTC)
# Who is no staff may attend as a trainee does, scored or not.
MAY_ATTEND = ~IS_STAFF


@dataclass
class PlacePlan:
    """Keeps the wanted places in line with the gate.

    One thread calls `step` repeatedly. A full plan takes one meeting per step, so that other work does not wait long.
    """

    database: Database
    clock: Clock
    _planned_at: datetime = LONG_AGO
    _changes_read_at: datetime = LONG_AGO
    _meetings: list[str] = field(default_factory=list)

    def step(self) -> bool:
        """Plan the next meeting, or start a plan that is due; return whether there is more to do at once."""
        now = self.clock()
        if self._meetings:
            plan(self.database, self._meetings.pop(), now)
        elif not timedelta() <= now - self._planned_at < FULL_PLAN_EVERY:
            self._start_full_plan(now)
        elif not timedelta() <= now - self._changes_read_at < CHANGES_EVERY:
            self._plan_changes(now)
        return bool(self._meetings)

    def _start_full_plan(self, now: datetime) -> None:
        self._planned_at = self._changes_read_at = now
        with self.database.read() as connection:
            self._meetings = meetings(connection, now)

    def _plan_changes(self, now: datetime) -> None:
        since, self._changes_read_at = self._changes_read_at - OVERLAP, now
        is_changed = (sessions_table.c.updated_at >= since, sessions_table.c.ends_at > since)
        with self.database.read() as connection:
            changed = select(sessions_table.c.zoom_meeting_id).where(*is_changed).distinct()
            self._meetings = sorted(connection.scalars(changed))
            people = _changed_people(connection, since)
            every = meetings(connection, now) if people else []
        if len(people) > MAX_PEOPLE_PER_CHANGE:
            self._start_full_plan(now)
            return
        for meeting_id in every:
            plan(self.database, meeting_id, now, people)


def plan(database: Database, meeting_id: str, now: datetime, only: Collection[int] | None = None) -> None:
    """Bring the places of one meeting in line with the gate: all, or those of the people in `only`.

    Once its classes are over, they stay as they are.
    """
    with database.read() as connection:
        if not meetings(connection, now, only=meeting_id):
            return
        coming = upcoming(connection, meeting_id, now)
        wanted = places.wanted(connection, meeting_id)
        asked = [each for each, asked_at in wanted.items() if asked_at is not None]
        if only is not None:
            wanted = {each: wanted[each] for each in wanted if each in only}
        people = enrolled(connection, coming, MAY_ATTEND, only) | _active(connection, wanted.keys() & set(asked))
        admitted = admits(connection, people, coming, now)
    missing, spare = sorted(admitted - wanted.keys()), sorted(wanted.keys() - admitted)
    if missing or spare:
        with database.write() as connection:
            if missing:
                places.want(connection, missing, meeting_id, coming[0].zoom_kind, now)
            places.drop(connection, spare, meeting_id, now)


def may_register(connection: Connection, trainee_ids: Collection[int], meeting_id: str, now: datetime) -> set[int]:
    """The people among these whom the gate admits to a class to come in this meeting.

    Teachers of a course that shows its module are always admitted.
    """
    coming = upcoming(connection, meeting_id, now)
    active = _active(connection, trainee_ids)
    return admits(connection, active, coming, now) | enrolled(connection, coming, IS_STAFF, trainee_ids)


def meetings(connection: Connection, now: datetime, only: str | None = None) -> list[str]:
    """The Zoom meetings of classes to come, of cancelled classes for which places are still wanted, and those with
    places that no class uses any more, because it was given another meeting. `only`: no other meeting than this."""
    here = zoom_places.c.meeting_id == sessions_table.c.zoom_meeting_id
    has_places = exists().where(here, zoom_places.c.wanted)
    is_meant = and_(sessions_table.c.ends_at > now, or_(sessions_table.c.state != "cancelled", has_places))
    of_classes = select(sessions_table.c.zoom_meeting_id).where(is_meant)
    unused = select(zoom_places.c.meeting_id).where(zoom_places.c.wanted, ~exists().where(here))
    if only is not None:
        of_classes = of_classes.where(sessions_table.c.zoom_meeting_id == only)
        unused = unused.where(zoom_places.c.meeting_id == only)
    return sorted(connection.scalars(of_classes.union(unused)), reverse=True)


def upcoming(connection: Connection, meeting_id: str, now: datetime) -> list[LiveSession]:
    """The classes in this meeting that are not over, by time."""
    return [each for each in live_sessions.of_meeting(connection, meeting_id) if each.ends_at > now]


def admits(
    connection: Connection, trainee_ids: Collection[int], coming: Sequence[LiveSession], now: datetime
) -> set[int]:
    """The people among these for whom the gate of any of these classes is open, by the current programme."""
    if not coming or not trainee_ids:
        return set()
    published = versions.current(connection)
    kinds = frozenset[str]().union(*(needed_facts(published.programme, each.module_id) for each in coming))
    facts = load_facts(connection, trainee_ids, kinds)
    targets = {(each.module_id, each.held_on) for each in coming}
    return {
        trainee_id
        for trainee_id, known in facts.items()
        if any(
            evaluate(published.programme, published.version, module_id, known, now, held_on).open
            for module_id, held_on in targets
        )
    }


def enrolled(
    connection: Connection,
    coming: Sequence[LiveSession],
    who: ColumnElement[bool] = IS_TRAINEE,
    among: Collection[int] | None = None,
) -> set[int]:
    """The people with such an enrolment in a course that shows the module of one of these classes, or those among
    `among`. Only trainees are counted and missed."""
    shown = placements.c.module_id.in_({each.module_id for each in coming})
    here = is_placed_in(enrolments.c.registration_id, enrolments.c.context_id)
    query = select(enrolments.c.trainee_id).join(placements, here).where(shown, who)
    return _found(connection, query, among) if coming else set()


def enrolled_in(connection: Connection, module_ids: Collection[str]) -> dict[str, int]:
    """Module id → how many people `enrolled` has for a class of it; modules without any are left out.

    A person is in one course once, so modules that one course alone shows share its number of rows.
    """
    course = (placements.c.registration_id, func.coalesce(placements.c.context_id, "").label("context_id"))
    query = select(placements.c.module_id, *course).where(placements.c.module_id.in_(module_ids)).distinct()
    courses: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for row in connection.execute(query) if module_ids else ():
        courses[row.module_id].add((row.registration_id, row.context_id))
    alone = {module_id: next(iter(those)) for module_id, those in courses.items() if len(those) == 1}
    numbers = _numbers(connection, set(alone.values()))
    found = {module_id: numbers[where] for module_id, where in alone.items() if where in numbers}
    return found | _numbers_across(connection, courses.keys() - alone.keys())


def _numbers(connection: Connection, courses: Collection[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """How many people are enrolled in each of these courses."""
    course = (enrolments.c.registration_id, enrolments.c.context_id)
    here = tuple_(*course).in_(courses)
    query = select(*course, func.count()).where(here, IS_TRAINEE, _is_active()).group_by(*course)
    return {(row[0], row[1]): row[2] for row in connection.execute(query)} if courses else {}


def _numbers_across(connection: Connection, module_ids: Collection[str]) -> dict[str, int]:
    """How many people are enrolled for each of these modules, which several courses show."""
    here = is_placed_in(enrolments.c.registration_id, enrolments.c.context_id)
    query = (
        select(placements.c.module_id, func.count(enrolments.c.trainee_id.distinct()))
        .join_from(enrolments, placements, here)
        .where(placements.c.module_id.in_(module_ids), IS_TRAINEE, _is_active())
        .group_by(placements.c.module_id)
    )
    return {str(module_id): count for module_id, count in connection.execute(query)} if module_ids else {}


def _active(connection: Connection, among: Collection[int]) -> set[int]:
    """The people among these who may attend as trainees do, in any course."""
    query = select(enrolments.c.trainee_id).where(MAY_ATTEND)
    return _found(connection, query, among) if among else set()


def _found(connection: Connection, query: Select[Any], among: Collection[int] | None) -> set[int]:
    """The people of those enrolments that are active; a small `among` is searched by id."""
    held = query.where(_is_active()).distinct()
    if among is not None and len(among) <= MAX_PEOPLE_PER_CHANGE:
        held = held.where(enrolments.c.trainee_id.in_(among))
    people = set(connection.scalars(held))
    return people if among is None else people & set(among)


def _is_active() -> ColumnElement[bool]:
    """Whether the platform of an enrolment is active, and the person has not left the roster since the last launch."""
    of_member = and_(
        roster_members.c.registration_id == enrolments.c.registration_id,
        roster_members.c.context_id == enrolments.c.context_id,
        roster_members.c.user_id == enrolments.c.user_id,
    )
    launched_since = func.coalesce(enrolments.c.last_launch_at > roster_members.c.left_at, false())
    has_left = exists().where(of_member, roster_members.c.left_at.is_not(None), ~launched_since)
    active = select(registrations.c.id).where(registrations.c.status == "active")
    return and_(enrolments.c.registration_id.in_(active), ~has_left)


def _changed_people(connection: Connection, since: datetime) -> set[int]:
    """The people with a record that was changed since and that a gate may depend on."""
    changed_at = {
        completions: (completions.c.recorded_at, completions.c.ended_at),
        equivalency_requests: (equivalency_requests.c.updated_at,),
        exceptions: (exceptions.c.granted_at, exceptions.c.ended_at),
        licences: (licences.c.recorded_at, licences.c.ended_at),
    }
    found: set[int] = set()
    for table, columns in changed_at.items():
        is_new = or_(*(each >= since for each in columns))
        found |= set(connection.scalars(select(table.c.trainee_id).where(is_new)))
    return found
