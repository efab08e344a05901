"""Reads the rosters that are due and records them: members, who came, who left, or why a roster could not be read.

Reading happens on its own threads, since a platform may be slow, and outside of any transaction: all pages or nothing
(lti.md §7, openedx.md §7, moodle.md §6). People become known with name and address before they ever launch. What a
launch said about a person is never replaced by a roster, and no records change because a roster leaves a person out
(lti.md NR-7).
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, islice
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, func, select, update

from lti_tool import people
from lti_tool.db import Database, chunks, upsert
from lti_tool.errors import NoAnswer, OutboundError, PlatformRefused
from lti_tool.lti.nrps import Member, RosterPage, fetch_differences, fetch_groups, fetch_roster
from lti_tool.lti.platform_api import PlatformApi
from lti_tool.lti.roles import course_role_of
from lti_tool.people import Person, Profile
from lti_tool.rosters import schedule
from lti_tool.rosters.schedule import LEASE, LONGEST_READING, WHOLE_EVERY, CourseKey, DueRoster, is_of
from lti_tool.tables.courses import enrolments, roster_members, rosters
from lti_tool.tasks import Clock, JobPool, next_try

log = logging.getLogger(__name__)

READERS = 3
# The pause after a failure that may be temporary.
RETRY = timedelta(minutes=15)
# Of the activities of a Moodle course, this many are asked for names.
MAX_LINKS_TRIED = 3
IDS_IN_ONE_QUERY = 500
# A larger roster that loses more than half of its people is accepted only when it is read so twice.
SMALL_ROSTER = 10
SHRANK = "roster_shrank"
READ_FAILED = "roster_not_read"
# How often a command looks whether another reader has finished.
WAIT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Reading:
    """What a platform answered: the members by user id, all of them (`is_whole`) or those who changed since the last
    read. `group_names` is by group id, None if the platform was not asked or did not answer; `skipped` is how many
    entries could not be told from others."""

    members: Mapping[str, Member]
    is_whole: bool
    differences_url: str | None = None
    resource_link_id: str | None = None
    group_names: Mapping[str, str] | None = None
    skipped: int = 0

    @property
    def active(self) -> dict[str, Member]:
        """The members who belong to the course now, by user id."""
        return {user_id: member for user_id, member in self.members.items() if member.status == "Active"}


def read(api: PlatformApi, due: DueRoster, clock: Clock) -> Reading:
    """Fetch the differences or the whole roster. Call it outside of a transaction.

    Raises OutboundError with a code of `lti.nrps` if any page cannot be read, and PlatformRefused `roster_too_slow` if
    the last page has not arrived after `LONGEST_READING`.
    """
    reading = None
    if due.may_ask_differences and due.differences_url:
        try:
            pages = fetch_differences(api, due.key.registration_id, due.differences_url)
            reading = _reading(_in_time(due, clock, pages), is_whole=False)
        except PlatformRefused as error:  # it no longer knows this address: read the whole roster
            _log_refusal("differences of a roster refused", due, error)
    if reading is None:
        reading = _reading(_pages(api, due, clock), is_whole=True)
        if _is_nameless(reading) and due.registration.profile.name == "moodle":
            reading = _with_names(api, due, clock, reading)
    return replace(reading, group_names=_group_names(api, due))


def _pages(api: PlatformApi, due: DueRoster, clock: Clock, resource_link_id: str | None = None) -> Iterator[RosterPage]:
    pages = fetch_roster(
        api,
        due.key.registration_id,
        due.memberships_url,
        resource_link_id=resource_link_id,
        groups=due.groups_url is not None,
    )
    return _in_time(due, clock, pages)


def _in_time(due: DueRoster, clock: Clock, pages: Iterator[RosterPage]) -> Iterator[RosterPage]:
    """Stops a platform that sends pages without end: there are few readers."""
    for page in pages:
        if clock() >= due.taken_at + LONGEST_READING:
            message = "The platform did not finish its roster within ten minutes."
            raise PlatformRefused("roster_too_slow", message, answered=200)
        yield page


def _reading(answered: Iterator[RosterPage], *, is_whole: bool) -> Reading:
    """All pages as one reading. The first address for differences counts: it covers what changes while the later pages
    are read.

    A whole roster may list a person twice, one entry for each role or on two pages: they have all that either says.
    Among differences the last entry counts.
    """
    pages = list(answered)
    members: dict[str, Member] = {}
    for member in chain.from_iterable(page.members for page in pages):
        first = members.get(member.user_id)
        if first is None or not is_whole:
            members[member.user_id] = member
        elif first.status != member.status:
            members[member.user_id] = first if first.status == "Active" else member
        else:
            members[member.user_id] = replace(
                member,
                roles=tuple(dict.fromkeys(first.roles + member.roles)),
                name=member.name or first.name,
                email=member.email or first.email,
                group_ids=tuple(dict.fromkeys(first.group_ids + member.group_ids)),
            )
    differences_url = next((page.differences_url for page in pages if page.differences_url), None)
    return Reading(members, is_whole, differences_url, skipped=sum(page.skipped for page in pages))


def _is_nameless(reading: Reading) -> bool:
    return bool(reading.members) and not any(each.name or each.email for each in reading.members.values())


def _with_names(api: PlatformApi, due: DueRoster, clock: Clock, reading: Reading) -> Reading:
    """The reading with names from one activity (moodle.md §6).

    Where teachers decide about names, Moodle sends them only if asked for one activity (`rlid`), and then lists only
    the people who see that activity. So names come from there, membership does not.
    """
    for link in due.resource_link_ids[:MAX_LINKS_TRIED]:
        try:
            named = _reading(_pages(api, due, clock, link), is_whole=True)
        except OutboundError as error:
            _log_refusal("names of a roster refused", due, error)
            continue
        if named.members and not _is_nameless(named):
            members = dict(reading.members)
            for user_id in members.keys() & named.members.keys():
                source = named.members[user_id]
                members[user_id] = replace(members[user_id], name=source.name, email=source.email)
            return replace(reading, members=members, resource_link_id=link)
    return reading


def _group_names(api: PlatformApi, due: DueRoster) -> dict[str, str] | None:
    """The groups of the course by id; None if they cannot be read, which does not stop the roster."""
    if due.groups_url is None:
        return None
    try:
        return {each.id: each.name for each in fetch_groups(api, due.key.registration_id, due.groups_url)}
    except OutboundError as error:
        _log_refusal("groups of a course not read", due, error)
        return None


def _log_refusal(message: str, due: DueRoster, error: OutboundError) -> None:
    log.info(message, extra={"registration": due.key.registration_id, "code": error.code})


def has_shrunk(due: DueRoster, reading: Reading) -> bool:
    """Whether this roster has lost so many people that it must be read once more before it is accepted."""
    count = len(reading.active)
    is_suspicious = 2 * count < due.members and (due.members > SMALL_ROSTER or count == 0)
    return reading.is_whole and is_suspicious and due.code != SHRANK


def record(database: Database, due: DueRoster, reading: Reading, now: datetime, next_at: datetime) -> bool:
    """Record people and roster in one transaction, as of the time the roster was leased. Returns False, and changes
    nothing, if the lease was lost.

    On SQLite other writers wait less than a second for 5,000 new people, and not noticeably for one course.
    """
    with database.write() as connection:
        values: dict[str, Any] = {
            "code": "",
            "memberships_url": due.memberships_url,
            "differences_url": reading.differences_url,
            "next_at": next_at,
        }
        if reading.is_whole:
            values |= {"read_at": due.taken_at, "resource_link_id": reading.resource_link_id}
        if reading.is_whole or reading.skipped:
            values["skipped"] = reading.skipped
        if not due.lease.finish(connection, values):
            return False
        _record_members(connection, due, reading, _record_people(connection, due, reading.active, now), now)
        count = select(func.count()).where(is_of(roster_members, due.key), roster_members.c.left_at.is_(None))
        connection.execute(update(rosters).where(is_of(rosters, due.key)).values(members=connection.scalar(count)))
    return True


def fail(connection: Connection, due: DueRoster, code: str, next_at: datetime) -> bool:
    """Record why a roster could not be read; its members stay as they were."""
    return due.lease.finish(connection, {"code": code, "memberships_url": due.memberships_url, "next_at": next_at})


def _record_people(
    connection: Connection, due: DueRoster, members: Mapping[str, Member], now: datetime
) -> dict[str, int]:
    """User id → trainee id of these members. Adds the unknown, and names or addresses that launches have not given."""
    issuer = due.registration.issuer
    profiles = {each.user_id: people.profile(each.name, each.email) for each in members.values()}
    known = people.add_missing(connection, issuer, profiles, now)
    differing = {user_id: row for user_id, row in known.items() if _changed(profiles[user_id], row, is_launched=False)}
    if differing:
        # Look again while these people are locked: a launch may have changed one in the meantime.
        people.hold(connection, [row.id for row in differing.values()])
        current = people.of_identities(connection, issuer, list(differing))
        launched: set[int] = set()
        for some in chunks([row.id for row in current.values()], IDS_IN_ONE_QUERY):
            have_launched = enrolments.c.trainee_id.in_(some) & enrolments.c.last_launch_at.is_not(None)
            launched |= set(connection.scalars(select(enrolments.c.trainee_id).where(have_launched)))
        changes = {row.id: _changed(profiles[sub], row, is_launched=row.id in launched) for sub, row in current.items()}
        people.change(connection, {trainee_id: each for trainee_id, each in changes.items() if each is not None}, now)
    return {user_id: int(row.id) for user_id, row in known.items()}


def _changed(profile: Profile, kept: Person, *, is_launched: bool) -> Profile | None:
    """The name and address to write for a person, None if there are none. What a launch said is never replaced: it may
    be newer than this roster, and evidence was matched by it."""
    name, email = (
        None if new == old or (is_launched and old is not None) else new
        for new, old in ((profile.name, kept.name), (profile.email, kept.email))
    )
    return Profile(name, email) if name or email else None


def _record_members(
    connection: Connection, due: DueRoster, reading: Reading, trainee_ids: Mapping[str, int], now: datetime
) -> None:
    ours = is_of(roster_members, due.key)
    known = {row.user_id: row for row in connection.execute(select(roster_members).where(ours))}
    changed = []
    for user_id, member in reading.active.items():
        before, names = known.get(user_id), reading.group_names
        if names is None:
            groups = before.groups if before else []
        else:
            groups = sorted(names[each] for each in member.group_ids if each in names)
        row = {
            **due.key._asdict(),
            "user_id": user_id,
            "trainee_id": trainee_ids[user_id],
            "role": course_role_of(member.roles, old_roles=due.registration.old_roles),
            "groups": groups,
        }
        if before is None or before.left_at is not None or any(getattr(before, name) != row[name] for name in row):
            changed.append(row)
    _upsert_members(connection, changed, now)
    present = {user_id for user_id, row in known.items() if row.left_at is None}
    gone = present - set(reading.active) if reading.is_whole else present & (set(reading.members) - set(reading.active))
    for some in chunks(sorted(gone), IDS_IN_ONE_QUERY):
        left = update(roster_members).where(ours, roster_members.c.user_id.in_(some))
        connection.execute(left.values(left_at=now))
    still = update(roster_members).where(ours, roster_members.c.left_at.is_(None))
    connection.execute(still.values(last_seen_at=now))


def _upsert_members(connection: Connection, rows: list[dict[str, Any]], now: datetime) -> None:
    """Write members, and enrol them so that a score finds them before they launch. The role of a launch is kept
    (lti.md RO-6)."""
    if not rows:
        return
    rows.sort(key=itemgetter("trainee_id"))  # in one order, as everywhere that locks several people
    new = upsert(connection, roster_members)
    kept = {name: new.excluded[name] for name in ("trainee_id", "role", "groups", "left_at")}
    listed = new.on_conflict_do_update(index_elements=["registration_id", "context_id", "user_id"], set_=kept)
    times = {"first_seen_at": now, "last_seen_at": now, "left_at": None}
    connection.execute(listed, [{**row, **times} for row in rows])
    new = upsert(connection, enrolments)
    enrolled = new.on_conflict_do_update(
        index_elements=["registration_id", "context_id", "trainee_id"],
        set_={"role": new.excluded.role},
        where=enrolments.c.last_launch_at.is_(None),
    )
    names = ("registration_id", "context_id", "trainee_id", "user_id", "role")
    connection.execute(enrolled, [{**{name: row[name] for name in names}, "listed_at": now} for row in rows])


class RosterReader:
    """Reads due rosters with a few threads. One thread calls `read_due` again and again."""

    def __init__(self, database: Database, api: PlatformApi, clock: Clock, every: timedelta) -> None:
        self._database = database
        self._api = api
        self._clock = clock
        self._every = every

        def claim(limit: int) -> list[DueRoster]:
            return list(islice(iter(lambda: schedule.claim(database, clock()), None), limit))

        self._pool = JobPool("roster", READERS, claim, self._read_one)

    def read_due(self) -> bool:
        """Start reading what is due, as far as threads are free; False if nothing is being read."""
        return self._pool.step()

    def read_all(self) -> None:
        """Read until nothing is due."""
        self._pool.run()

    def read_now(self, keys: Sequence[CourseKey], *, wait: Callable[[float], object] = time.sleep) -> None:
        """Read these rosters, and return once each has been read since this call: here, or by another reader that took
        it first. A reading that had begun before does not count. Raises NotFound `roster_unknown`."""
        since = self._clock()
        left = list(keys)
        while left:
            with self._database.write() as connection:
                for key in left:
                    schedule.ask_now(connection, key, self._clock())
            self.read_all()
            with self._database.read() as connection:
                left = schedule.unread(connection, left, since)
            if left:
                if self._clock() >= since + LEASE:
                    return
                wait(WAIT_SECONDS)

    def _read_one(self, due: DueRoster) -> None:
        ids = {"registration": due.key.registration_id}
        soon = min(RETRY, self._every)
        try:
            reading = read(self._api, due, self._clock)
        except OutboundError as error:
            self._fail(due, error.code, self._pause_after(error), error)
            return
        except Exception as error:
            log.error("roster could not be read", extra={**ids, "error": type(error).__name__})
            self._fail(due, READ_FAILED, soon)
            return
        if has_shrunk(due, reading):
            self._fail(due, SHRANK, soon)
            return
        now = self._clock()
        if record(self._database, due, reading, now, now + self._every):
            log.info("roster read", extra={**ids, "count": len(reading.members)})
            if reading.skipped:
                log.warning("members of a roster skipped", extra={**ids, "count": reading.skipped})
        else:
            log.warning("roster took too long, another reader has it", extra=ids)

    def _fail(self, due: DueRoster, code: str, pause: timedelta, error: OutboundError | None = None) -> None:
        with self._database.write() as connection:
            fail(connection, due, code, next_try(self._clock(), pause, error))
        log.warning("roster not read", extra={"registration": due.key.registration_id, "code": code})

    def _pause_after(self, error: OutboundError) -> timedelta:
        """Short after a temporary failure; a day if the platform said that the course is too large."""
        if error.code == schedule.TOO_LARGE:
            return max(WHOLE_EVERY, self._every)
        is_temporary = isinstance(error, NoAnswer) or error.answered == 429 or error.answered >= 500
        return min(RETRY, self._every) if is_temporary else self._every
