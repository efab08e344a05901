"""Places that Zoom is to be told of: who takes which, and what became of them.

A worker takes a few places of one meeting by a lease and tells Zoom outside of any transaction. If it dies in between,
the lease runs out and another does the same again: what Zoom has done already is found there.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, case, exists, literal, null, or_, select, update

from lti_tool.db import Database
from lti_tool.sessions.meetings import places
from lti_tool.tables.evidence import registrants
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import zoom_places
from lti_tool.tables.types import UtcDateTime
from zoom_adapter.client import MOST_IN_ONE_BATCH, Kind
from zoom_adapter.limits import next_day
from zoom_adapter.registrants import record_place, record_status

# Longer than a batch that falls back to single calls takes.
LEASE = timedelta(minutes=3)
# For one registrant on one (UTC) day.
MOST_ADDS, MOST_CHANGES = 3, 10
# Fewer people than this at the door are served one by one, which Zoom answers sooner than a batch.
CROWD = 5
# States in which Zoom has a registration, or may have one: somebody asked for it, and the answer is not known.
HELD = ("registered", "pending")
# After these nobody knows whether Zoom has done it.
UNKNOWN_OUTCOME = ("no_answer", "zoom_unavailable", "zoom_answer_unreadable", "answer_too_large")

Act = Literal["register", "cancel"]


@dataclass(frozen=True, slots=True)
class DuePlace:
    """One place in a worker's hands. `email` is what Zoom knows or is to know the person by; `is_unsure`: somebody may
    have told Zoom before, and the answer was lost."""

    id: int
    trainee_id: int
    registrant_id: str
    email: str = field(repr=False)
    name: str = field(repr=False)
    attempts: int
    is_unsure: bool


@dataclass(frozen=True, slots=True)
class Job:
    """Places of one meeting of which Zoom is to be told the same, taken by `owner`."""

    owner: str
    act: Act
    kind: Kind
    meeting_id: str
    places: tuple[DuePlace, ...]

    @property
    def intends(self) -> bool:
        """What the gate wanted of these places when they were taken."""
        return self.act == "register"


def claim(database: Database, now: datetime) -> Job | None:
    """Take up to thirty places of one meeting, people at the door first; None where nothing is due."""
    while _is_any_due(database, now):
        with database.write() as connection:
            rows = _candidates(connection, now)
            rows = _postpone_spent(connection, _settle_idle(connection, rows, now), now)
            job = _take(connection, rows, now) if rows else None
        if job is not None:
            return job
    return None


def still_held(connection: Connection, job: Job, place: DuePlace, now: datetime) -> bool:
    """Whether nobody else has taken this place meanwhile; the lease of all that the job still holds begins anew."""
    ids = [each.id for each in job.places]
    these = and_(zoom_places.c.id.in_(ids), zoom_places.c.lease_owner == job.owner)
    places.hold(connection, these)
    held = update(zoom_places).where(these).values(leased_until=now + LEASE)
    return place.id in connection.scalars(held.returning(zoom_places.c.id)).all()


def registered(
    connection: Connection, job: Job, place: DuePlace, registrant_id: str, join_url: str, now: datetime
) -> None:
    """Zoom has registered the person. A registration that is somebody else's here is refused, never shared."""
    its_own = record_place(
        connection, job.meeting_id, registrant_id, place.trainee_id, email=place.email, name=place.name, now=now
    )
    if not its_own:
        refused(connection, job, place, "registrant_of_another", now)
        return
    done = {"state": "registered", "registrant_id": registrant_id, "join_url": join_url}
    _release(connection, job, place, {**done, "attempts": 0, "last_code": None}, None, now)


def cancelled(connection: Connection, job: Job, done: Sequence[DuePlace], now: datetime) -> None:
    """Zoom has cancelled these registrations."""
    record_status(connection, job.meeting_id, [each.registrant_id for each in done], "cancelled")
    for place in done:
        _release(connection, job, place, {"state": "cancelled", "attempts": 0, "last_code": None}, None, now)


def refused(connection: Connection, job: Job, place: DuePlace, code: str, now: datetime) -> None:
    """It cannot be done, and asking again changes nothing: staff see why."""
    _release(connection, job, place, {"state": "refused", "last_code": code}, None, now)


def put_off(
    connection: Connection, job: Job, place: DuePlace, code: str, until: datetime, now: datetime, *, was_asked: bool
) -> None:
    """It is tried again at `until`. None of the person's calls of the day is used where Zoom was not asked at all, nor
    where nobody knows: a short trouble would lock people out until midnight, and Zoom says when it has enough."""
    is_lost = was_asked and code in UNKNOWN_OUTCOME
    used = zoom_places.c.adds if job.act == "register" else zoom_places.c.changes
    given_back = {} if was_asked and not is_lost else {used.name: case((used > 0, used - 1), else_=0)}
    state = {"state": "none"} if job.act == "register" and not (is_lost or place.is_unsure) else {}
    _release(connection, job, place, {"last_code": code, **given_back, **state}, until, now)


def hold_back(connection: Connection, meeting_id: str, code: str, until: datetime) -> None:
    """Nobody else is registered for this meeting before `until`: it would be refused for the same reason."""
    is_waiting = and_(zoom_places.c.wanted, zoom_places.c.state != "registered", zoom_places.c.due_at < until)
    these = and_(zoom_places.c.meeting_id == meeting_id, is_waiting, zoom_places.c.lease_owner.is_(None))
    places.hold(connection, these)
    connection.execute(update(zoom_places).where(these).values(due_at=until, last_code=code))


def _release(
    connection: Connection, job: Job, place: DuePlace, news: dict[str, Any], due_at: datetime | None, now: datetime
) -> None:
    """Give a place back as it is now; looked after again at once if the gate has changed its mind meanwhile. Whoever
    lost the lease changes nothing."""
    again = literal(due_at, UtcDateTime) if due_at else null()
    is_meant = zoom_places.c.wanted.is_(job.intends)
    row = {"due_at": case((is_meant, again), else_=literal(now, UtcDateTime)), "updated_at": now}
    mine = (zoom_places.c.id == place.id, zoom_places.c.lease_owner == job.owner)
    connection.execute(update(zoom_places).where(*mine).values(**news, **row, lease_owner=None, leased_until=None))


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Its time has come and nobody has it. Somebody without an address waits for one."""
    is_free = or_(zoom_places.c.lease_owner.is_(None), zoom_places.c.leased_until < now)
    addressed = exists().where(trainees.c.id == zoom_places.c.trainee_id, ~places.has_no_address())
    return and_(zoom_places.c.due_at <= now, is_free, or_(zoom_places.c.wanted.is_(False), addressed))


def _is_any_due(database: Database, now: datetime) -> bool:
    with database.read() as connection:
        return connection.execute(select(zoom_places.c.id).where(_is_due(now)).limit(1)).first() is not None


def _candidates(connection: Connection, now: datetime) -> list[Row[Any]]:
    """The most urgent place and others of its meeting of which the gate wants the same."""
    urgency = (zoom_places.c.asked_at.is_(None), zoom_places.c.due_at, zoom_places.c.id)
    first = connection.execute(select(zoom_places).where(_is_due(now)).order_by(*urgency).limit(1)).first()
    if first is None:
        return []
    alike = and_(zoom_places.c.meeting_id == first.meeting_id, zoom_places.c.wanted.is_(first.wanted))
    query = select(zoom_places).where(_is_due(now), alike).order_by(*urgency).limit(MOST_IN_ONE_BATCH)
    rows = list(connection.execute(query))
    at_the_door = sum(row.asked_at is not None for row in rows)
    return rows[:1] if 0 < at_the_door < CROWD else rows


def _settle_idle(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> list[Row[Any]]:
    """Those of which Zoom has to be told; the others are as the gate wants them, and nothing is due any more."""
    idle = [row.id for row in rows if (row.state == "registered" if row.wanted else row.state not in HELD)]
    is_so = or_(
        and_(zoom_places.c.wanted, zoom_places.c.state == "registered"),
        and_(~zoom_places.c.wanted, zoom_places.c.state.not_in(HELD)),
    )
    these = and_(zoom_places.c.id.in_(idle), _is_due(now), is_so)
    if idle:
        news = {"due_at": None, "last_code": None, "lease_owner": None, "leased_until": None}
        connection.execute(update(zoom_places).where(these).values(news))
    return [row for row in rows if row.id not in idle]


def _postpone_spent(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> list[Row[Any]]:
    """Those that Zoom still takes today."""
    spent = [row for row in rows if row.calls_on == now.date() and _used(row) >= _most(row.wanted)]
    for row in spent:
        code = "zoom_adds_used" if row.wanted else "zoom_changes_used"
        tomorrow = {"due_at": next_day(now), "last_code": code, "lease_owner": None, "leased_until": None}
        connection.execute(update(zoom_places).where(zoom_places.c.id == row.id, _is_due(now)).values(tomorrow))
    return [row for row in rows if row not in spent]


def _used(row: Row[Any]) -> int:
    return int(row.adds if row.wanted else row.changes)


def _most(wanted: bool) -> int:
    return MOST_ADDS if wanted else MOST_CHANGES


def _take(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> Job | None:
    """The places that nobody else was quicker to take, with one call more on their account."""
    first, owner = rows[0], uuid.uuid4().hex
    these = and_(zoom_places.c.id.in_([row.id for row in rows]), _is_due(now), zoom_places.c.wanted.is_(first.wanted))
    places.hold(connection, these)
    is_today = zoom_places.c.calls_on == now.date()
    used = {
        "adds": case((is_today, zoom_places.c.adds), else_=0) + int(first.wanted),
        "changes": case((is_today, zoom_places.c.changes), else_=0) + int(not first.wanted),
    }
    lease = {"lease_owner": owner, "leased_until": now + LEASE, "attempts": zoom_places.c.attempts + 1}
    told = {"state": "pending"} if first.wanted else {}
    taken = update(zoom_places).where(these).values(**lease, **used, **told, calls_on=now.date())
    ids = set(connection.scalars(taken.returning(zoom_places.c.id)))
    mine = [row for row in rows if row.id in ids]
    act: Act = "register" if first.wanted else "cancel"
    return Job(owner, act, first.zoom_kind, first.meeting_id, tuple(_due(connection, mine))) if mine else None


def _due(connection: Connection, rows: Sequence[Row[Any]]) -> Iterable[DuePlace]:
    people = _people(connection, [row.trainee_id for row in rows])
    known_as = _known_as(connection, rows)
    for row in rows:
        person = people[row.trainee_id]
        yield DuePlace(
            id=row.id,
            trainee_id=row.trainee_id,
            registrant_id=row.registrant_id or "",
            email=known_as.get(row.registrant_id) or person.email or "",
            name=person.name or "",
            attempts=row.attempts + 1,
            is_unsure=row.state == "pending",
        )


def _people(connection: Connection, ids: Sequence[int]) -> dict[int, Row[*tuple[Any, ...]]]:
    query = select(trainees.c.id, trainees.c.name, trainees.c.email).where(trainees.c.id.in_(ids))
    return {row.id: row for row in connection.execute(query)}


def _known_as(connection: Connection, rows: Sequence[Row[Any]]) -> dict[str, str]:
    """By registrant id, the addresses with which the registrations were made that are to be cancelled."""
    ids = [row.registrant_id for row in rows if row.registrant_id and not row.wanted]
    if not ids:
        return {}
    here = and_(registrants.c.meeting_id == rows[0].meeting_id, registrants.c.registrant_id.in_(ids))
    found = connection.execute(select(registrants.c.registrant_id, registrants.c.email).where(here))
    return {row.registrant_id: row.email for row in found if row.email}
