"""Registers people in Zoom meetings and cancels registrations, as the gate decides.

A worker leases a few places of one meeting and tells Zoom outside of any transaction: in one batch call, or person by
person where a batch fails or leaves people out. If the worker dies, the lease runs out and another worker repeats the
work. Nothing is done twice: Zoom gives the same address the same registration again, and where an answer was lost, the
list of registrants at Zoom is read first.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, and_, case, exists, literal, null, or_, select, update

from lti_tool.attendance import matching
from lti_tool.db import Database
from lti_tool.errors import NoAnswer, OutboundError
from lti_tool.leases import RELEASED, Lease, claim_rows, is_held
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import zoom_places
from lti_tool.tables.types import UtcDateTime
from lti_tool.tables.zoom import registrants
from lti_tool.tasks import Clock, backoff
from lti_tool.text import email_address
from zoom_adapter import places
from zoom_adapter.api import MAX_REGISTRANTS_PER_CALL, Kind, NewRegistrant, Registered, ZoomApi
from zoom_adapter.api_calls import next_day
from zoom_adapter.api_errors import ZoomRefused, text_of
from zoom_adapter.registrants import not_approved, record_place, record_status, trainees_by_email

log = logging.getLogger(__name__)

# Longer than a batch that falls back to single calls takes.
LEASE = timedelta(minutes=3)
# Zoom's limits for one registrant on one day (UTC).
MAX_ADDS_PER_DAY, MAX_CHANGES_PER_DAY = 3, 10
# Fewer people who are waiting to join are registered one by one, which Zoom answers sooner than a batch.
MIN_WAITING_FOR_BATCH = 5
# After so many attempts people are registered one by one: one of them may cause Zoom's error.
MAX_BATCH_ATTEMPTS = 3
MAX_NAME_LENGTH = 64
RETRY_AFTER = timedelta(minutes=30)
# The longest wait while Zoom is silent: a class may be about to begin when it answers again.
MAX_PAUSE = timedelta(minutes=5)

# States in which Zoom has a registration, or may have one: the answer to a request was lost.
HELD = ("registered", "pending")
# After these errors it is unknown whether Zoom did what it was asked.
UNKNOWN_OUTCOME = ("no_answer", "zoom_unavailable", "zoom_answer_unreadable", "answer_too_large")
# Errors about one person's registration that stay until staff remove the cause.
PERMANENT = ("zoom_host_cannot_register", "zoom_request_invalid")
# Errors about the meeting, which staff can fix at Zoom.
OF_MEETING = ("zoom_registrants_full", "zoom_not_found", "zoom_not_permitted")
# After these errors single calls would fail as the batch did.
OF_EVERYONE = (*OF_MEETING, "zoom_token_refused")

Act = Literal["register", "cancel"]


@dataclass(frozen=True, slots=True)
class DuePlace:
    """One leased place. `email` is the address of the registration at Zoom; `is_unsure`: an earlier answer was lost, so
    Zoom may have the registration already."""

    id: int
    trainee_id: int
    registrant_id: str
    email: str = field(repr=False)
    name: str = field(repr=False)
    attempts: int
    is_unsure: bool


@dataclass(frozen=True, slots=True)
class Job:
    """Places of one meeting that need the same call to Zoom, under one lease."""

    lease: Lease
    act: Act
    kind: Kind
    meeting_id: str
    places: tuple[DuePlace, ...]


def claim(database: Database, now: datetime) -> Job | None:
    """Lease up to thirty places of one meeting, people who are waiting to join first; None if nothing is due."""
    while True:
        with database.read() as connection:
            if connection.execute(select(zoom_places.c.id).where(_is_due(now)).limit(1)).first() is None:
                return None
        with database.write() as connection:
            rows = _needing_calls(connection, _candidates(connection, now), now)
            job = _take(connection, rows, now) if rows else None
        if job is not None:
            return job


def still_held(connection: Connection, job: Job, place: DuePlace, now: datetime) -> bool:
    """Whether the job still holds this place; renews the lease of every place that it holds."""
    held = places.hold(connection, job.lease.ours)
    if held:
        job.lease.renew(connection, now)
    return place.id in held


def registered(
    connection: Connection, job: Job, place: DuePlace, registrant_id: str, join_url: str, now: datetime
) -> None:
    """Record that Zoom has registered the person; a registration that belongs to another trainee is refused."""
    is_own = record_place(
        connection, job.meeting_id, registrant_id, place.trainee_id, email=place.email, name=place.name, now=now
    )
    if not is_own:
        refused(connection, job, place, "registrant_of_another", now)
        return
    done = {"state": "registered", "registrant_id": registrant_id, "join_url": join_url}
    _release(connection, job, place, {**done, "attempts": 0, "last_code": None}, None, now)


def refused(connection: Connection, job: Job, place: DuePlace, code: str, now: datetime) -> None:
    """Record that Zoom refused for good; staff see the reason."""
    _release(connection, job, place, {"state": "refused", "last_code": code}, None, now)


def put_off(
    connection: Connection, job: Job, place: DuePlace, code: str, until: datetime, now: datetime, *, was_asked: bool
) -> None:
    """Try again at `until`.

    If Zoom was not asked, or the outcome is unknown, the attempt does not count against the person's calls of the day:
    otherwise a short outage would lock people out until midnight, and Zoom itself refuses calls over its limit.
    """
    is_lost = was_asked and code in UNKNOWN_OUTCOME
    used = zoom_places.c.adds if job.act == "register" else zoom_places.c.changes
    given_back = {} if was_asked and not is_lost else {used.name: case((used > 0, used - 1), else_=0)}
    state = {"state": "none"} if job.act == "register" and not (is_lost or place.is_unsure) else {}
    changes = {"last_code": code, "attempts": place.attempts, **given_back, **state}
    _release(connection, job, place, changes, until, now)


def _release(
    connection: Connection, job: Job, place: DuePlace, changes: dict[str, Any], due_at: datetime | None, now: datetime
) -> None:
    """Write the result and end the lease; the place is due again now if the gate has changed its decision meanwhile.

    A worker that has lost the lease changes nothing.
    """
    again = literal(due_at, UtcDateTime) if due_at else null()
    is_meant = zoom_places.c.wanted.is_(job.act == "register")
    row = {"due_at": case((is_meant, again), else_=literal(now, UtcDateTime)), "updated_at": now}
    job.lease.finish(connection, {**changes, **row}, zoom_places.c.id == place.id)


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Due and not leased. A person without an address cannot be registered yet."""
    addressed = exists().where(trainees.c.id == zoom_places.c.trainee_id, ~places.has_no_address())
    return and_(
        zoom_places.c.due_at <= now, ~is_held(zoom_places, now), or_(zoom_places.c.wanted.is_(False), addressed)
    )


def _candidates(connection: Connection, now: datetime) -> list[Row[Any]]:
    """The most urgent place, and others of its meeting that need the same call."""
    urgency = (zoom_places.c.asked_at.is_(None), zoom_places.c.due_at, zoom_places.c.id)
    first = connection.execute(select(zoom_places).where(_is_due(now)).order_by(*urgency).limit(1)).first()
    if first is None:
        return []
    alike = and_(zoom_places.c.meeting_id == first.meeting_id, zoom_places.c.wanted.is_(first.wanted))
    query = select(zoom_places).where(_is_due(now), alike).order_by(*urgency).limit(MAX_REGISTRANTS_PER_CALL)
    rows = list(connection.execute(query))
    waiting = sum(row.asked_at is not None for row in rows)
    return rows[:1] if 0 < waiting < MIN_WAITING_FOR_BATCH else rows


def _needing_calls(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> list[Row[Any]]:
    """The places that need a call to Zoom and may have one today. Those that are as the gate wants them are no longer
    due; those whose calls of the day are used up are due tomorrow."""
    idle = [row.id for row in rows if (row.state == "registered" if row.wanted else row.state not in HELD)]
    is_so = or_(
        and_(zoom_places.c.wanted, zoom_places.c.state == "registered"),
        and_(~zoom_places.c.wanted, zoom_places.c.state.not_in(HELD)),
    )
    these = and_(zoom_places.c.id.in_(idle), _is_due(now), is_so)
    if idle:
        settled = {"due_at": None, "last_code": None, **RELEASED}
        connection.execute(update(zoom_places).where(these).values(settled))
    found = []
    for row in (each for each in rows if each.id not in idle):
        is_spent = row.adds >= MAX_ADDS_PER_DAY if row.wanted else row.changes >= MAX_CHANGES_PER_DAY
        if row.calls_on == now.date() and is_spent:
            code = "zoom_adds_used" if row.wanted else "zoom_changes_used"
            tomorrow = {"due_at": next_day(now), "last_code": code, **RELEASED}
            connection.execute(update(zoom_places).where(zoom_places.c.id == row.id, _is_due(now)).values(tomorrow))
        else:
            found.append(row)
    return found


def _take(connection: Connection, rows: Sequence[Row[Any]], now: datetime) -> Job | None:
    """Lease the places that no other worker has taken meanwhile, and count one more call for each."""
    first, candidates = rows[0], zoom_places.c.id.in_([row.id for row in rows])
    still_due = and_(_is_due(now), zoom_places.c.wanted.is_(first.wanted))
    places.hold(connection, and_(candidates, still_due))
    is_today = zoom_places.c.calls_on == now.date()
    used = {
        "adds": case((is_today, zoom_places.c.adds), else_=0) + int(first.wanted),
        "changes": case((is_today, zoom_places.c.changes), else_=0) + int(not first.wanted),
    }
    state = {"state": "pending"} if first.wanted else {}
    values = {**used, **state, "calls_on": now.date()}
    lease = claim_rows(connection, zoom_places, candidates, LEASE, now, still_due, values=values)
    if lease is None:
        return None
    taken = connection.execute(select(zoom_places).where(lease.ours))
    failed: dict[int, int] = {row.id: row.attempts for row in taken}
    mine = [row for row in rows if row.id in failed]
    act: Act = "register" if first.wanted else "cancel"
    return Job(lease, act, first.zoom_kind, first.meeting_id, tuple(_due(connection, mine, failed)))


def _due(connection: Connection, rows: Sequence[Row[Any]], failed: Mapping[int, int]) -> Iterable[DuePlace]:
    """The places as they are leased; `failed` counts the attempts before this one."""
    ids = [row.trainee_id for row in rows]
    query = select(trainees.c.id, trainees.c.name, trainees.c.email).where(trainees.c.id.in_(ids))
    people = {row.id: row for row in connection.execute(query)}
    # A registration is cancelled under the address with which it was made.
    to_cancel = [row.registrant_id for row in rows if row.registrant_id and not row.wanted]
    made = select(registrants.c.registrant_id, registrants.c.email).where(
        registrants.c.meeting_id == rows[0].meeting_id, registrants.c.registrant_id.in_(to_cancel)
    )
    addresses = {row.registrant_id: row.email for row in connection.execute(made)} if to_cancel else {}
    for row in rows:
        person = people[row.trainee_id]
        yield DuePlace(
            id=row.id,
            trainee_id=row.trainee_id,
            registrant_id=row.registrant_id or "",
            email=addresses.get(row.registrant_id) or person.email or "",
            name=person.name or "",
            attempts=failed[row.id] + 1,
            is_unsure=row.state == "pending",
        )


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a call failed, and when it is tried again.

    `was_asked`: Zoom may count the call. `is_permanent`: a retry is useless. `is_personal`: calls for others may
    succeed.
    """

    code: str
    until: datetime
    was_asked: bool
    is_permanent: bool = False
    is_personal: bool = False


class Registrar:
    """Makes the due calls to Zoom, a few places of one meeting at a time. A worker pool calls `claim` and `do`."""

    def __init__(self, database: Database, api: ZoomApi, clock: Clock) -> None:
        self._database = database
        self._api = api
        self._clock = clock

    def claim(self, limit: int) -> list[Job]:
        """Lease up to `limit` jobs."""
        return list(islice(iter(lambda: claim(self._database, self._clock()), None), limit))

    def do(self, job: Job) -> None:
        """Make the calls to Zoom, and record the result for each place."""
        places: Sequence[DuePlace] = job.places
        if job.act == "cancel":
            self._cancel(job, places)
            return
        # Zoom would give two people with one address one registration.
        with self._database.read() as connection:
            owners = trainees_by_email(connection, {each.email for each in places})
            linked = matching.in_force(connection, job.meeting_id).email
        own = [each for each in places if linked.get(each.email, owners.get(each.email)) == each.trainee_id]
        self._refuse(job, [each for each in places if each not in own], "address_shared")
        places = own
        if any(each.is_unsure for each in places):
            places = self._adopt(job, places)
        if len(places) > 1 and all(each.attempts <= MAX_BATCH_ATTEMPTS for each in places):
            places = self._register_many(job, places)

        def register(job: Job, place: DuePlace) -> None:
            done = self._api.register(job.kind, job.meeting_id, _person(place))
            self._keep(job, [place], [done._replace(email=place.email)])

        self._one_by_one(job, places, register)

    def run(self) -> None:
        """Do jobs until nothing is due."""
        while jobs := self.claim(1):
            self.do(jobs[0])

    def _adopt(self, job: Job, places: Sequence[DuePlace]) -> list[DuePlace]:
        """Record who is registered at Zoom already, as an answer was lost; return the rest.

        If Zoom refuses the list, registering again does no harm. If it is silent, no call of the day is used up.
        """
        try:
            there = self._registered_at_zoom(job)
        except NoAnswer as error:
            self._stop(job, [], places, _trouble(error, places[0], self._clock()))
            return []
        except OutboundError as error:
            log.warning("registrants could not be listed", extra={"meeting": job.meeting_id, "code": error.code})
            return list(places)
        return self._keep(job, places, there)

    def _registered_at_zoom(self, job: Job) -> list[Registered]:
        rows = self._api.registrants(job.kind, job.meeting_id, "approved")
        found = [
            Registered(text_of(row, "id"), text_of(row, "join_url"), email_address(text_of(row, "email")) or "")
            for row in rows
        ]
        return [each for each in found if all(each)]

    def _register_many(self, job: Job, places: Sequence[DuePlace]) -> list[DuePlace]:
        """Register all with one call; return those that need single calls."""
        try:
            done = self._api.register_many(job.kind, job.meeting_id, [_person(each) for each in places])
        except OutboundError as error:
            if isinstance(error, NoAnswer) or error.code in OF_EVERYONE:
                self._stop(job, places, [], _trouble(error, places[0], self._clock()))
                return []
            log.info("a batch was refused", extra={"meeting": job.meeting_id, "code": error.code})
            return list(places)
        return self._keep(job, places, done)

    def _keep(self, job: Job, places: Sequence[DuePlace], there: Iterable[Registered]) -> list[DuePlace]:
        """Record the registrations of these people; return those who have none."""
        by_email = {each.email: each for each in there}
        found = [(each, by_email[each.email]) for each in places if each.email in by_email]
        with self._database.read() as connection:
            held = not_approved(connection, job.meeting_id, [each.registrant_id for _, each in found])
        approved = [each for each in found if each[1].registrant_id not in held or self._approve(job, *each)]
        now = self._clock()
        with self._database.write() as connection:
            for place, done in approved:
                registered(connection, job, place, done.registrant_id, done.join_url, now)
        return [each for each in places if each.email not in by_email]

    def _approve(self, job: Job, place: DuePlace, found: Registered) -> bool:
        """Approve a registration that was denied while the gate was shut: Zoom gives that registration again.

        If Zoom does not approve it, only this place is put off.
        """
        try:
            self._api.change_status(job.kind, job.meeting_id, "approve", [(found.registrant_id, found.email)])
        except OutboundError as error:
            self._put_off(job, [place], _trouble(error, place, self._clock()), was_asked=True)
            return False
        return True

    def _cancel(self, job: Job, places: Sequence[DuePlace]) -> None:
        unsure = [each for each in places if each.is_unsure]
        known = [each for each in places if not each.is_unsure]
        if unsure:
            # An answer was lost: Zoom says which registration they have, if any.
            try:
                there = {each.email: each.registrant_id for each in self._still_registered(job)}
            except OutboundError as error:
                self._stop(job, [], unsure, _trouble(error, unsure[0], self._clock()))
            else:
                self._keep_cancelled(job, [each for each in unsure if each.email not in there])
                known += [replace(each, registrant_id=there[each.email]) for each in unsure if each.email in there]
        if len(known) > 1:
            try:
                self._cancel_all(job, known)
                return
            except OutboundError as error:
                if isinstance(error, NoAnswer) or error.code == "zoom_token_refused":
                    self._stop(job, known, [], _trouble(error, known[0], self._clock()))
                    return
        self._one_by_one(job, known, self._cancel_one)

    def _cancel_all(self, job: Job, places: Sequence[DuePlace]) -> None:
        who = [(each.registrant_id, each.email) for each in places]
        self._api.change_status(job.kind, job.meeting_id, "cancel", who)
        self._keep_cancelled(job, places)

    def _keep_cancelled(self, job: Job, places: Sequence[DuePlace]) -> None:
        now = self._clock()
        with self._database.write() as connection:
            record_status(connection, job.meeting_id, [each.registrant_id for each in places], "cancelled")
            for place in places:
                _release(connection, job, place, {"state": "cancelled", "attempts": 0, "last_code": None}, None, now)

    def _cancel_one(self, job: Job, place: DuePlace) -> None:
        """Cancel one; if Zoom refuses, the registration may be cancelled already or the meeting deleted."""
        try:
            self._cancel_all(job, [place])
        except ZoomRefused as error:
            if error.code not in ("zoom_not_found", "zoom_request_invalid"):
                raise
            if place.registrant_id in {each.registrant_id for each in self._still_registered(job)}:
                raise
            self._keep_cancelled(job, [place])

    def _still_registered(self, job: Job) -> list[Registered]:
        """The registrations at Zoom; none if the meeting has been deleted."""
        try:
            return self._registered_at_zoom(job)
        except ZoomRefused as error:
            if error.code == "zoom_not_found":
                return []
            raise

    def _one_by_one(self, job: Job, places: Sequence[DuePlace], call: Callable[[Job, DuePlace], None]) -> None:
        """Call Zoom for each place; an error that is not personal puts off the rest."""
        for position, place in enumerate(places):
            with self._database.write() as connection:
                if not still_held(connection, job, place, self._clock()):
                    continue
            try:
                call(job, place)
            except OutboundError as error:
                trouble = _trouble(error, place, self._clock())
                if not trouble.is_personal:
                    self._stop(job, [place], places[position + 1 :], trouble)
                    return
                if trouble.is_permanent and job.act == "register":
                    self._refuse(job, [place], trouble.code)
                else:
                    self._put_off(job, [place], trouble, was_asked=trouble.was_asked)

    def _stop(self, job: Job, asked: Sequence[DuePlace], rest: Sequence[DuePlace], trouble: Trouble) -> None:
        """Put off all: Zoom was asked for some and failed in a way that would affect the rest too."""
        ids = {"meeting": job.meeting_id, "code": trouble.code, "count": len(asked) + len(rest)}
        log.warning("places wait for Zoom", extra=ids)
        self._put_off(job, asked, trouble, was_asked=trouble.was_asked)
        self._put_off(job, rest, trouble, was_asked=False)
        if trouble.code in OF_MEETING and job.act == "register":
            # Zoom would refuse everyone else of the meeting for the same reason.
            others = and_(
                zoom_places.c.meeting_id == job.meeting_id,
                zoom_places.c.wanted,
                zoom_places.c.state != "registered",
                zoom_places.c.due_at < trouble.until,
                zoom_places.c.lease_owner.is_(None),
            )
            put_off_others = update(zoom_places).where(others).values(due_at=trouble.until, last_code=trouble.code)
            with self._database.write() as connection:
                places.hold(connection, others)
                connection.execute(put_off_others)

    def _put_off(self, job: Job, places: Sequence[DuePlace], trouble: Trouble, *, was_asked: bool) -> None:
        now = self._clock()
        with self._database.write() as connection:
            for place in places:
                put_off(connection, job, place, trouble.code, trouble.until, now, was_asked=was_asked)

    def _refuse(self, job: Job, places: Sequence[DuePlace], code: str) -> None:
        if places:
            log.warning("places are refused", extra={"meeting": job.meeting_id, "code": code, "count": len(places)})
            with self._database.write() as connection:
                for place in places:
                    refused(connection, job, place, code, self._clock())


def _trouble(error: OutboundError, place: DuePlace, now: datetime) -> Trouble:
    if isinstance(error, NoAnswer):
        is_personal = error.code != "no_answer" and place.attempts > MAX_BATCH_ATTEMPTS
        until = now + min(backoff(place.attempts), MAX_PAUSE)
        return Trouble(error.code, until, was_asked=True, is_personal=is_personal)
    if not isinstance(error, ZoomRefused):
        return Trouble(error.code, now + RETRY_AFTER, was_asked=True)
    until = max(error.retry_at, now) if error.retry_at else now + RETRY_AFTER
    was_asked = error.answered != 0 and error.code != "zoom_rate_limited"
    is_personal = error.code in (*PERMANENT, "zoom_refused", "zoom_registrant_limit")
    return Trouble(error.code, until, was_asked, is_permanent=error.code in PERMANENT, is_personal=is_personal)


def _person(place: DuePlace) -> NewRegistrant:
    """Zoom needs a first name; without one the host sees the person's number in Gatehouse."""
    *first, last = place.name.split() or ["Participant", str(place.trainee_id)]
    if not first:
        first, last = [last], ""
    return NewRegistrant(place.email, " ".join(first)[:MAX_NAME_LENGTH], last[:MAX_NAME_LENGTH])
