"""Delivery: every waiting score of the ledger is sent until the platform has it, or until staff must look at it.

A score is claimed by a conditional UPDATE with a lease; whoever lost the lease records nothing. One score is in flight
per (line item, user), each with a timestamp later than the one before. What was sent without an answer goes out again
with the same timestamp, so a platform that has it can say so (openedx.md §5).
"""

import logging
import uuid
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select, tuple_, update

from lti_tool.db import Database
from lti_tool.errors import AddressRefused, GatehouseError, OutboundError, PlatformRefused
from lti_tool.grades.ags import Verdict, interpret, next_timestamp, score_body
from lti_tool.http import CONNECT_SECONDS, READ_SECONDS, WHOLE_ANSWER_SECONDS
from lti_tool.lti.quirks import PROFILES
from lti_tool.tables.courses import placements
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import scores
from lti_tool.tasks import Clock, backoff

log = logging.getLogger(__name__)

# One platform gets half of the senders at most: while it hangs, the others are served.
SENDERS = 12
# Longer than a score can be under way: token, score, and both once more after a 401, each as slow as we put up with.
LEASE = 4 * timedelta(seconds=CONNECT_SECONDS + READ_SECONDS + WHOLE_ANSWER_SECONDS)
# With a pause that grows to an hour: about two days of a platform that is away.
MOST_ATTEMPTS = 56
# A platform that refuses a fresh timestamp this often holds something newer than we know of.
MOST_TIMESTAMPS = 5
# Platforms that compare whole seconds need one between two scores of a person (AG-8).
PAUSE = timedelta(seconds=1)


class ScoreDoor(Protocol):
    """What delivery needs of `lti.platform_api.PlatformApi`."""

    def post_score(self, registration_id: int, line_item_url: str, score: dict[str, Any]) -> Any:
        """An answer with `status` and `body_start`; raises OutboundError when there is none."""


@dataclass(frozen=True, slots=True)
class DueScore:
    """One claimed score: the desired version as it was claimed, and the lease under which it is recorded."""

    id: int
    owner: str
    registration_id: int
    profile: str
    line_item_url: str
    user_id: str
    version: int
    given: float | None
    maximum: float
    comment: str
    timestamp: datetime
    resent: bool
    attempts: int


class Deliverer:
    """Sends due scores with a few threads. `deliver_due` is made to be called again and again by one thread."""

    def __init__(self, database: Database, platform_api: ScoreDoor, clock: Clock, *, senders: int = SENDERS) -> None:
        self._database = database
        self._door = platform_api
        self._clock = clock
        self._senders = senders
        self._pool = ThreadPoolExecutor(senders, thread_name_prefix="score")
        self._in_flight: dict[Future[None], int] = {}  # and to which registration it goes

    def deliver_due(self) -> bool:
        """Start what is due as far as senders are free, and look after what is under way; False once all is quiet.

        A platform that hangs holds its share of the senders, not the caller.
        """
        self._land()
        now = self._clock()
        for registration_id in waiting_platforms(self._database, now):
            for due in claim_due(self._database, now, self._room(registration_id), registration_id):
                self._in_flight[self._pool.submit(self._deliver, due)] = due.registration_id
        if self._in_flight:
            wait(self._in_flight, timeout=0.05, return_when=FIRST_COMPLETED)
        return bool(self._in_flight)

    def deliver_all(self) -> None:
        """Deliver until nothing is due."""
        while self.deliver_due():
            pass

    def _room(self, registration_id: int) -> int:
        share = max(self._senders // 2, 1) - list(self._in_flight.values()).count(registration_id)
        return min(share, self._senders - len(self._in_flight))

    def _land(self) -> None:
        for done in [each for each in self._in_flight if each.done()]:
            del self._in_flight[done]
            error = done.exception()
            if error is not None:  # the lease runs out and the score is sent again
                log.error("score could not be recorded", extra={"error": type(error).__name__})

    def _deliver(self, due: DueScore) -> None:
        verdict = self._send(due)
        with self._database.write() as connection:
            record(connection, due, verdict, self._clock())
        if verdict.outcome != "delivered":
            log.warning("score not delivered", extra={"score": due.id, "outcome": verdict.outcome})

    def _send(self, due: DueScore) -> Verdict:
        try:
            body = score_body(
                user_id=due.user_id,
                given=due.given,
                maximum=due.maximum,
                comment=due.comment,
                timestamp=due.timestamp,
            )
            answer = self._door.post_score(due.registration_id, due.line_item_url, body)
            return interpret(PROFILES[due.profile], answer.status, answer.body_start, resent=due.resent)
        except AddressRefused as error:
            return Verdict("parked", error.code)
        except PlatformRefused as error:  # no token to be had, or a redirect, which is never followed
            return Verdict("parked" if 300 <= error.answered < 400 else "later", f"{error.answered} {error.code}")
        except OutboundError as error:
            return Verdict("later", error.code)
        except GatehouseError as error:
            return Verdict("parked", error.code)
        except Exception as error:  # a fault of ours: it backs off and is parked in the end like any other
            return Verdict("later", type(error).__name__)


def waiting_platforms(database: Database, now: datetime) -> list[int]:
    """The registrations that have a score due, the one that has waited longest first."""
    with database.read() as connection:
        return list(
            connection.scalars(
                select(placements.c.registration_id)
                .join(scores, scores.c.placement_id == placements.c.id)
                .where(_due(now))
                .group_by(placements.c.registration_id)
                .order_by(func.min(scores.c.next_attempt_at))
            )
        )


def claim_due(database: Database, now: datetime, limit: int, registration_id: int | None = None) -> list[DueScore]:
    """Lease up to `limit` scores whose time has come, of all platforms or of one; their timestamps are on record before
    anything is sent."""
    if limit <= 0:
        return []
    due = _due(now)
    if registration_id is not None:
        theirs = select(placements.c.id).where(placements.c.registration_id == registration_id)
        due = and_(due, scores.c.placement_id.in_(theirs))
    with database.write() as connection:
        pairs = connection.execute(
            select(scores.c.line_item_url, scores.c.user_id).where(due).order_by(scores.c.next_attempt_at).limit(limit)
        ).all()
        return _claim(connection, {(row.line_item_url, row.user_id) for row in pairs}, now)


def record(connection: Connection, due: DueScore, verdict: Verdict, now: datetime) -> bool:
    """Write what became of a claimed score; False when the lease was lost and somebody else answers for it."""
    values: dict[str, Any] = {
        "lease_owner": None,
        "leased_until": None,
        "last_answer": verdict.says,
        # A value that was desired meanwhile is sent whatever became of the older one.
        "status": case((scores.c.desired_version == due.version, _status(due, verdict)), else_="waiting"),
        "attempts": case((scores.c.desired_version == due.version, _tries(due, verdict)), else_=scores.c.attempts),
        "next_attempt_at": now + _pause(due, verdict),
    }
    if verdict.outcome == "delivered":
        values |= {"delivered_version": due.version, "delivered_given": due.given, "delivered_at": now}
    elif verdict.outcome == "again":
        values |= {"sent_version": None}
    ours = and_(scores.c.id == due.id, scores.c.lease_owner == due.owner)
    return bool(connection.execute(update(scores).where(ours).values(values)).rowcount)


def _tries(due: DueScore, verdict: Verdict) -> int:
    """How often in a row this has been the outcome. Only after `again` a score goes out with another timestamp."""
    is_another = {"again": due.resent, "later": not due.resent}.get(verdict.outcome, False)
    return 1 if is_another else due.attempts


def _status(due: DueScore, verdict: Verdict) -> str:
    if verdict.outcome == "delivered":
        return "delivered"
    most = MOST_TIMESTAMPS if verdict.outcome == "again" else MOST_ATTEMPTS
    return "parked" if verdict.outcome == "parked" or _tries(due, verdict) >= most else "waiting"


def _pause(due: DueScore, verdict: Verdict) -> timedelta:
    return backoff(min(_tries(due, verdict), 12)) if verdict.outcome == "later" else PAUSE


def _due(now: datetime) -> ColumnElement[bool]:
    active = select(placements.c.id).join(registrations).where(registrations.c.status == "active")
    return and_(
        scores.c.status == "waiting",
        scores.c.next_attempt_at <= now,
        or_(scores.c.lease_owner.is_(None), scores.c.leased_until < now),
        scores.c.placement_id.in_(active),
    )


def _claim(connection: Connection, pairs: set[tuple[str, str]], now: datetime) -> list[DueScore]:
    """All rows of these (line item, user) pairs are held, so that two workers cannot take two rows of one pair."""
    if not pairs:
        return []
    held = connection.execute(
        select(scores, placements.c.registration_id, registrations.c.profile)
        .join(placements, placements.c.id == scores.c.placement_id)
        .join(registrations, registrations.c.id == placements.c.registration_id)
        .where(tuple_(scores.c.line_item_url, scores.c.user_id).in_(pairs))
        .order_by(scores.c.id)
        .with_for_update(of=scores)
    ).all()
    claimed = (_lease(connection, row, held, now) for row in held)
    return [each for each in claimed if each is not None]


def _lease(connection: Connection, row: Row[Any], held: Any, now: datetime) -> DueScore | None:
    pair = [each for each in held if (each.line_item_url, each.user_id) == (row.line_item_url, row.user_id)]
    resent = row.sent_version == row.desired_version and row.last_timestamp is not None
    sent = max((each.last_timestamp for each in pair if each.last_timestamp), default=None)
    timestamp = row.last_timestamp if resent else next_timestamp(now, sent)
    owner = uuid.uuid4().hex
    other = scores.alias()
    in_flight = select(other.c.id).where(
        other.c.line_item_url == row.line_item_url,
        other.c.user_id == row.user_id,
        other.c.lease_owner.is_not(None),
        other.c.leased_until >= now,
    )
    leased = connection.execute(
        update(scores)
        .where(scores.c.id == row.id, _due(now), ~in_flight.exists())
        .values(
            lease_owner=owner,
            leased_until=now + LEASE,
            attempts=scores.c.attempts + 1,
            last_timestamp=timestamp,
            sent_version=row.desired_version,
        )
    )
    return _as_due(row, owner, timestamp, resent) if leased.rowcount else None


def _as_due(row: Row[Any], owner: str, timestamp: datetime, resent: bool) -> DueScore:
    return DueScore(
        id=row.id,
        owner=owner,
        registration_id=row.registration_id,
        profile=row.profile,
        line_item_url=row.line_item_url,
        user_id=row.user_id,
        version=row.desired_version,
        given=row.desired_given,
        maximum=row.desired_maximum,
        comment=row.desired_comment,
        timestamp=timestamp,
        resent=resent,
        attempts=row.attempts + 1,
    )
