"""What is kept of a roster: its members, who came and who left, and why it could not be read.

People are made known by it, with name and address, before they ever launch. What a launch has said of somebody is not
replaced by a roster, and nobody's records change because a roster does not list them (lti.md NR-7).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from lti_tool import people
from lti_tool.db import Database, upsert
from lti_tool.lti.nrps import Member
from lti_tool.lti.roles import role_of
from lti_tool.people import Told
from lti_tool.rosters.due import CourseKey, DueRoster, is_of
from lti_tool.rosters.reading import Reading
from lti_tool.tables.courses import enrolments, roster_members, rosters

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
