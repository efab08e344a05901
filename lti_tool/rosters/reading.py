"""Reading the rosters that are due: on threads of its own, since a platform may be slow, and never inside a
transaction.

One roster read from its platform: all of its pages or nothing (facts: lti.md §7, openedx.md §7, moodle.md §6).

What is kept of a roster: its members, who came and who left, and why it could not be read.

People are made known by it, with name and address, before they ever launch. What a launch has said of somebody is not
replaced by a roster, and nobody's records change because a roster does not list them (lti.md NR-7).
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, islice
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from lti_tool import people
from lti_tool.db import Database, upsert
from lti_tool.errors import NoAnswer, OutboundError, PlatformRefused
from lti_tool.lti.nrps import Member, RosterPage, fetch_differences, fetch_groups, fetch_roster
from lti_tool.lti.platform_api import PlatformApi
from lti_tool.lti.roles import role_of
from lti_tool.people import Told
from lti_tool.rosters import schedule
from lti_tool.rosters.schedule import LEASE, WHOLE_EVERY, CourseKey, DueRoster, is_of
from lti_tool.tables.courses import enrolments, roster_members, rosters
from lti_tool.tasks import Clock

log = logging.getLogger(__name__)

# However many activities a course has: a few that cannot be asked about are enough to give up names.
MOST_LINKS_TRIED = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """What a platform said: the members by their user id, of the whole course or (`is_whole` false) those who changed
    since the last read; `group_names` by group id, None where the platform was not asked or did not answer."""

    members: Mapping[str, Member]
    is_whole: bool
    differences_url: str | None = None
    resource_link_id: str | None = None
    group_names: Mapping[str, str] | None = None

    @property
    def active(self) -> dict[str, Member]:
        """Who belongs to the course now, by user id."""
        return {user_id: member for user_id, member in self.members.items() if member.status == "Active"}


def read(api: PlatformApi, due: DueRoster, clock: Clock) -> Reading:
    """Ask the platform for what has changed, or for the whole roster. Call it outside of a transaction.

    Raises OutboundError with a code of `lti.nrps`, when any page could not be read, and PlatformRefused
    `roster_too_slow` when the lease ran out before the last one came.
    """
    reading = (_changes(api, due, clock) if due.may_ask_differences else None) or _whole(api, due, clock)
    return replace(reading, group_names=_group_names(api, due))


def _changes(api: PlatformApi, due: DueRoster, clock: Clock) -> Reading | None:
    """None when the platform does not know that address any more: then the whole is read."""
    assert due.differences_url
    try:
        pages = list(_in_time(due, clock, fetch_differences(api, due.key.registration_id, due.differences_url)))
    except PlatformRefused as error:
        log.info("differences of a roster refused", extra={"registration": due.key.registration_id, "code": error.code})
        return None
    return _reading(pages, is_whole=False)


def _whole(api: PlatformApi, due: DueRoster, clock: Clock) -> Reading:
    reading = _reading(list(_pages(api, due, clock)), is_whole=True)
    asks_for_names = _is_nameless(reading) and due.registration.profile.name == "moodle"
    return _named(api, due, clock, reading) if asks_for_names else reading


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
    """The readers are few: a platform that goes on and on must not keep one from all others."""
    for page in pages:
        if clock() >= due.taken_at + LEASE:
            raise PlatformRefused(
                "roster_too_slow", "The platform's roster had no end in a quarter of an hour.", answered=200
            )
        yield page


def _reading(pages: list[RosterPage], *, is_whole: bool) -> Reading:
    """The first address of differences counts: it knows of what changes while the later pages are read."""
    members: dict[str, Member] = {}
    for member in chain.from_iterable(page.members for page in pages):
        before = members.get(member.user_id)
        members[member.user_id] = member if before is None or not is_whole else _as_one(before, member)
    return Reading(members, is_whole, next((page.differences_url for page in pages if page.differences_url), None))


def _as_one(first: Member, other: Member) -> Member:
    """A person whom a whole roster lists twice (one entry for each role, or on two pages) has all that either says; of
    differences the last one holds."""
    if first.status != other.status:
        return first if first.status == "Active" else other
    return replace(
        other,
        roles=tuple(dict.fromkeys(first.roles + other.roles)),
        name=other.name or first.name,
        email=other.email or first.email,
        group_ids=tuple(dict.fromkeys(first.group_ids + other.group_ids)),
    )


def _is_nameless(reading: Reading) -> bool:
    return bool(reading.members) and not any(each.name or each.email for each in reading.members.values())


def _named(api: PlatformApi, due: DueRoster, clock: Clock, reading: Reading) -> Reading:
    """Moodle sends names that teachers decide about only to who asks for one activity (`rlid`), and then lists only the
    people who see that activity: names are taken from there, membership is not."""
    for link in due.resource_link_ids[:MOST_LINKS_TRIED]:
        try:
            told = _reading(list(_pages(api, due, clock, link)), is_whole=True)
        except OutboundError as error:
            log.info("names of a roster refused", extra={"registration": due.key.registration_id, "code": error.code})
            continue
        if not _is_nameless(told) and told.members:
            return replace(reading, members=_with_names(reading, told), resource_link_id=link)
    return reading


def _with_names(reading: Reading, told: Reading) -> dict[str, Member]:
    return {
        user_id: replace(member, name=told.members[user_id].name, email=told.members[user_id].email)
        if user_id in told.members
        else member
        for user_id, member in reading.members.items()
    }


def _group_names(api: PlatformApi, due: DueRoster) -> dict[str, str] | None:
    """A course without readable groups still has its roster."""
    if due.groups_url is None:
        return None
    try:
        return {each.id: each.name for each in fetch_groups(api, due.key.registration_id, due.groups_url)}
    except OutboundError as error:
        log.info("groups of a course not read", extra={"registration": due.key.registration_id, "code": error.code})
        return None


IDS_IN_ONE_QUERY = 500
# A roster that shrinks by more than half, from more than this many, is believed only when it is read so twice.
FEW = 10
SHRANK = "roster_shrank"
READ_FAILED = "roster_not_read"


def has_shrunk(due: DueRoster, reading: Reading) -> bool:
    """Whether this whole roster misses so many that it is read once more before it is believed."""
    count = len(reading.active)
    is_suspicious = 2 * count < due.members and (due.members > FEW or count == 0)
    return reading.is_whole and is_suspicious and due.code != SHRANK


def record(database: Database, due: DueRoster, reading: Reading, now: datetime, next_at: datetime) -> bool:
    """Keep what was read, as of the moment the roster was taken: people and roster in one transaction, so that nobody
    meets half of either. False when the lease was lost meanwhile: then all stays as another reader left it.

    On SQLite other writers wait less than a second where 5,000 people are new, and not noticeably for a class.
    """
    with database.write() as connection:
        news: dict[str, Any] = {
            "code": "",
            "memberships_url": due.memberships_url,
            "differences_url": reading.differences_url,
        }
        if reading.is_whole:
            news |= {"read_at": due.taken_at, "resource_link_id": reading.resource_link_id}
        if not _give_back(connection, due, news | {"next_at": next_at}):
            return False
        _keep_members(connection, due, reading, _make_known(connection, due, reading.active, now), now)
        count = select(func.count()).where(is_of(roster_members, due.key), roster_members.c.left_at.is_(None))
        connection.execute(update(rosters).where(is_of(rosters, due.key)).values(members=connection.scalar(count)))
    return True


def fail(connection: Connection, due: DueRoster, code: str, next_at: datetime) -> bool:
    """Keep why a roster could not be read; its members stay as they were."""
    return _give_back(connection, due, {"code": code, "memberships_url": due.memberships_url, "next_at": next_at})


def _give_back(connection: Connection, due: DueRoster, values: Mapping[str, Any]) -> bool:
    ours = (is_of(rosters, due.key), rosters.c.lease_owner == due.owner)
    given = {**values, "lease_owner": None, "leased_until": None}
    return bool(connection.execute(update(rosters).where(*ours).values(given)).rowcount)


def _make_known(connection: Connection, due: DueRoster, members: Mapping[str, Member], now: datetime) -> dict[str, int]:
    """User id → trainee id of these members; who was unknown is added."""
    issuer, said = (
        due.registration.issuer,
        {each.user_id: people.told(each.name, each.email) for each in members.values()},
    )
    known = people.add_missing(connection, issuer, said, now)
    differing = {user_id: row for user_id, row in known.items() if _news(said[user_id], row, is_launched=False)}
    if differing:
        # Looked at once more while nobody else can change them: a launch may just have spoken.
        people.hold(connection, [row.id for row in differing.values()])
        now_known = people.of_identities(connection, issuer, list(differing))
        launched = _launched(connection, [row.id for row in now_known.values()])
        news = {row.id: _news(said[user_id], row, is_launched=row.id in launched) for user_id, row in now_known.items()}
        people.change(connection, {trainee_id: each for trainee_id, each in news.items() if each is not None})
    return {user_id: int(row.id) for user_id, row in known.items()}


def _news(said: Told, kept: Row[Any], *, is_launched: bool) -> Told | None:
    """What the roster tells of a person that may be written; None for nothing. What a launch said is never replaced: it
    may be newer than this roster, and evidence was matched by it."""
    name, email = (
        None if new == old or (is_launched and old is not None) else new
        for new, old in zip(said, (kept.name, kept.email), strict=True)
    )
    return Told(name, email) if name or email else None


def _launched(connection: Connection, trainee_ids: Sequence[int]) -> set[int]:
    """Those of these people who have launched anything."""
    found: set[int] = set()
    for some in _portions(trainee_ids, IDS_IN_ONE_QUERY):
        seen = enrolments.c.trainee_id.in_(some) & enrolments.c.last_launch_at.is_not(None)
        found |= set(connection.scalars(select(enrolments.c.trainee_id).where(seen)))
    return found


def _keep_members(
    connection: Connection, due: DueRoster, reading: Reading, trainee_ids: Mapping[str, int], now: datetime
) -> None:
    known = {
        row.user_id: row for row in connection.execute(select(roster_members).where(is_of(roster_members, due.key)))
    }
    rows = [_row(due, member, trainee_ids[user_id], reading, known) for user_id, member in reading.active.items()]
    # In one order, as everybody holds several people.
    changed = sorted((row for row in rows if _is_news(row, known.get(row["user_id"]))), key=itemgetter("trainee_id"))
    _write_members(connection, changed, now)
    _enrol(connection, changed, now)
    present = {user_id for user_id, row in known.items() if row.left_at is None}
    gone = present - set(reading.active) if reading.is_whole else present & (set(reading.members) - set(reading.active))
    _leave(connection, due.key, gone, now)
    still = (is_of(roster_members, due.key), roster_members.c.left_at.is_(None))
    connection.execute(update(roster_members).where(*still).values(last_seen_at=now))


def _row(due: DueRoster, member: Member, trainee_id: int, reading: Reading, known: Mapping[str, Any]) -> dict[str, Any]:
    """A member as the table has it; groups stay as they were where the platform did not name them."""
    names = reading.group_names
    before = known[member.user_id].groups if member.user_id in known else []
    groups = before if names is None else sorted(names[each] for each in member.group_ids if each in names)
    return {
        "registration_id": due.key.registration_id,
        "context_id": due.key.context_id,
        "user_id": member.user_id,
        "trainee_id": trainee_id,
        "role": role_of(member.roles, old_roles=due.registration.old_roles),
        "groups": groups,
    }


def _is_news(row: Mapping[str, Any], known: Any | None) -> bool:
    same = ("trainee_id", "role", "groups")
    return known is None or known.left_at is not None or any(getattr(known, name) != row[name] for name in same)


def _write_members(connection: Connection, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    if not rows:
        return
    new = upsert(connection, roster_members)
    kept = {name: new.excluded[name] for name in ("trainee_id", "role", "groups", "left_at")}
    statement = new.on_conflict_do_update(index_elements=["registration_id", "context_id", "user_id"], set_=kept)
    seen = {"first_seen_at": now, "last_seen_at": now, "left_at": None}
    connection.execute(statement, [{**row, **seen} for row in rows])


def _enrol(connection: Connection, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Members count as enrolled, so that a score finds them before they launch; who has launched keeps the launch's
    role (lti.md RO-6)."""
    if not rows:
        return
    new = upsert(connection, enrolments)
    statement = new.on_conflict_do_update(
        index_elements=["registration_id", "context_id", "trainee_id"],
        set_={"role": new.excluded.role},
        where=enrolments.c.last_launch_at.is_(None),
    )
    names = ("registration_id", "context_id", "trainee_id", "user_id", "role")
    connection.execute(statement, [{**{name: row[name] for name in names}, "listed_at": now} for row in rows])


def _leave(connection: Connection, key: CourseKey, gone: Collection[str], now: datetime) -> None:
    for some in _portions(sorted(gone), IDS_IN_ONE_QUERY):
        these = (is_of(roster_members, key), roster_members.c.user_id.in_(some))
        connection.execute(update(roster_members).where(*these).values(left_at=now))


def _portions(values: Sequence[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(values)
    while portion := list(islice(rest, size)):
        yield portion


READERS = 3
# After a trouble that may pass by itself.
RETRY = timedelta(minutes=15)


class RosterReader:
    """Reads due rosters with a few threads. `read_due` is made to be called again and again by one thread."""

    def __init__(self, database: Database, api: PlatformApi, clock: Clock, every: timedelta) -> None:
        self._database = database
        self._api = api
        self._clock = clock
        self._every = every
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="roster")
        self._in_flight: set[Future[None]] = set()

    def read_due(self) -> bool:
        """Start what is due as far as readers are free; False once all is quiet."""
        self._land()
        while len(self._in_flight) < READERS and (taken := schedule.claim(self._database, self._clock())) is not None:
            self._in_flight.add(self._pool.submit(self._read, taken))
        if self._in_flight:
            wait(self._in_flight, timeout=0.05, return_when=FIRST_COMPLETED)
        return bool(self._in_flight)

    def read_all(self) -> None:
        """Read until nothing is due."""
        while self.read_due():
            pass
        self._land()

    def _land(self) -> None:
        for done in [each for each in self._in_flight if each.done()]:
            self._in_flight.remove(done)
            error = done.exception()
            if error is not None:  # the lease runs out and the roster is read again
                log.error("roster could not be recorded", extra={"error": type(error).__name__})

    def _read(self, taken: DueRoster) -> None:
        ids = {"registration": taken.key.registration_id}
        try:
            reading = read(self._api, taken, self._clock)
        except OutboundError as error:
            self._fail(taken, error.code, self._pause(error))
            return
        except Exception as error:
            log.error("roster could not be read", extra={**ids, "error": type(error).__name__})
            self._fail(taken, READ_FAILED, min(RETRY, self._every))
            return
        if has_shrunk(taken, reading):
            self._fail(taken, SHRANK, min(RETRY, self._every))
            return
        now = self._clock()
        if record(self._database, taken, reading, now, now + self._every):
            log.info("roster read", extra={**ids, "count": len(reading.members)})
        else:
            log.warning("roster took too long, another reader has it", extra=ids)

    def _fail(self, taken: DueRoster, code: str, pause: timedelta) -> None:
        with self._database.write() as connection:
            fail(connection, taken, code, self._clock() + pause)
        log.warning("roster not read", extra={"registration": taken.key.registration_id, "code": code})

    def _pause(self, error: OutboundError) -> timedelta:
        """Soon again after what passes by itself; once a day where the platform has said that the course is too large:
        no new token changes that."""
        if error.code == schedule.TOO_LARGE:
            return max(WHOLE_EVERY, self._every)
        answered = error.answered if isinstance(error, PlatformRefused) else 0
        is_passing = isinstance(error, NoAnswer) or answered == 429 or answered >= 500
        return min(RETRY, self._every) if is_passing else self._every
