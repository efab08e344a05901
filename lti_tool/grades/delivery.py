"""Delivery: every waiting score of the ledger is sent until the platform has it, or until staff must look at it.

What was sent without an answer goes out again with the same timestamp, so a platform that has it can say so
(openedx.md §5). Where the gradebook can be read, a score that is not the first is preceded by a look: what somebody
else entered there meanwhile is never overwritten.

Which scores are due, who sends them, and what became of them: the database's side of delivery.

A score is claimed by a conditional UPDATE with a lease; whoever lost the lease records nothing. One score is in flight
per (line item, user), each with a timestamp later than the one before, on record before anything is sent.
"""

import logging
import uuid
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select, tuple_, update

from lti_tool.db import Database
from lti_tool.errors import AddressRefused, GatehouseError, OutboundError, PlatformRefused
from lti_tool.grades.ags import (
    MAXIMUM_WHEN_UNSAID,
    Value,
    Verdict,
    compare,
    interpret,
    next_look,
    next_timestamp,
    score_body,
)
from lti_tool.http import CONNECT_SECONDS, READ_SECONDS, WHOLE_ANSWER_SECONDS
from lti_tool.lti.line_items import RESULT_SCOPE, fetch_result
from lti_tool.lti.platform_api import PlatformApi
from lti_tool.lti.quirks import PROFILES, Profile
from lti_tool.tables.courses import placements
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import scores
from lti_tool.tasks import Clock, backoff

# Longer than one request can be under way: a token, the request, and both once more after a 401, each as slow as we put
# up with. Who asks for more than one renews the lease in between.
LEASE = 4 * timedelta(seconds=CONNECT_SECONDS + READ_SECONDS + WHOLE_ANSWER_SECONDS)
# With a pause that grows to an hour: about two days of a platform that is away.
MOST_ATTEMPTS = 56
# A platform that refuses a fresh timestamp this often holds something newer than we know of.
MOST_TIMESTAMPS = 5
# Platforms that compare whole seconds need one between two scores of a person (lti.md AG-8).
PAUSE = timedelta(seconds=1)
# Nothing of ours lies further ahead: what does was written while our clock was, and is not waited for.
FARTHEST_AHEAD = timedelta(hours=2)
REGRADED = "regraded"


@dataclass(frozen=True, slots=True)
class DueScore:
    """One claimed score: the desired version as it was claimed, and the lease under which it is recorded.

    `timestamp` is None until one is chosen: where the gradebook can be read, that is after a look at it, unless nothing
    was ever sent. `ours` is everything of ours that the gradebook may show; `sent` is what went out last, without an
    answer so far.
    """

    id: int
    owner: str
    registration_id: int
    profile: Profile
    line_item_url: str
    user_id: str
    version: int
    value: Value
    comment: str
    is_readable: bool
    delivered: Value | None
    sent: Value | None
    ours: tuple[Value, ...]
    timestamp: datetime | None
    resent: bool
    attempts: int


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
    """Lease up to `limit` scores whose time has come, of all platforms or of one."""
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
        held = _hold(connection, {(row.line_item_url, row.user_id) for row in pairs})
        claimed = (_lease(connection, row, held, now) for row in held)
        return [each for each in claimed if each is not None]


def renew(connection: Connection, due: DueScore, now: datetime) -> DueScore | None:
    """Choose the timestamp of a score that was looked for first, with a whole lease ahead; None when the lease was
    lost."""
    held = _hold(connection, {(due.line_item_url, due.user_id)})
    row = next((each for each in held if each.id == due.id and each.lease_owner == due.owner), None)
    if row is None:
        return None
    timestamp, resent = _timestamp(row, held, due.version, now)
    values = {"leased_until": now + LEASE, **_sent(due, timestamp)}
    connection.execute(update(scores).where(scores.c.id == due.id).values(values))
    return replace(due, timestamp=timestamp, resent=resent)


def record_arrival(connection: Connection, due: DueScore, now: datetime) -> None:
    """The gradebook shows what went out last and was never answered: it was delivered."""
    arrived = and_(
        scores.c.id == due.id,
        scores.c.lease_owner == due.owner,
        scores.c.sent_version > scores.c.delivered_version,
    )
    values = {
        "delivered_version": scores.c.sent_version,
        "delivered_given": scores.c.sent_given,
        "delivered_maximum": scores.c.sent_maximum,
        "delivered_at": now,
    }
    connection.execute(update(scores).where(arrived).values(values))


def record(connection: Connection, due: DueScore, verdict: Verdict, now: datetime) -> bool:
    """Write what became of a claimed score; False when the lease was lost and somebody else answers for it."""
    is_wanted = scores.c.desired_version == due.version
    values: dict[str, Any] = {
        "lease_owner": None,
        "leased_until": None,
        "last_answer": verdict.says,
        # A value that was desired meanwhile is sent whatever became of the older one.
        "status": case((is_wanted, _status(due, verdict)), else_="waiting"),
        "attempts": case((is_wanted, _tries(due, verdict)), else_=scores.c.attempts),
        "next_attempt_at": now + _pause(due, verdict),
        **_outcome(due, verdict, now),
    }
    if verdict.outcome == "regraded":
        values["status"] = "parked"
    ours = and_(scores.c.id == due.id, scores.c.lease_owner == due.owner)
    return bool(connection.execute(update(scores).where(ours).values(values)).rowcount)


def _outcome(due: DueScore, verdict: Verdict, now: datetime) -> dict[str, Any]:
    """What is known of the platform's side now."""
    if verdict.outcome == "delivered":
        return {
            "delivered_version": due.version,
            "delivered_given": due.value.given,
            "delivered_maximum": due.value.maximum,
            "delivered_at": now,
            "seen": "unread",
            "seen_given": None,
            "look_at": next_look(now, now) if due.is_readable else None,
        }
    if verdict.outcome == "regraded":
        assert verdict.seen is not None
        maximum = (due.delivered or due.value).maximum
        return {"seen": "differs", "seen_given": verdict.seen.out_of(maximum), "seen_at": now}
    return {"sent_version": None} if verdict.outcome == "again" else {}


def _tries(due: DueScore, verdict: Verdict) -> int:
    """How often in a row this has been the outcome. Only after `again` a score goes out with another timestamp."""
    is_fresh = due.timestamp is not None and not due.resent
    is_another = {"again": due.resent, "later": is_fresh}.get(verdict.outcome, False)
    return 1 if is_another else due.attempts


def _status(due: DueScore, verdict: Verdict) -> str:
    if verdict.outcome == "delivered":
        return "delivered"
    most = MOST_TIMESTAMPS if verdict.outcome == "again" else MOST_ATTEMPTS
    return "parked" if verdict.outcome == "parked" or _tries(due, verdict) >= most else "waiting"


def _pause(due: DueScore, verdict: Verdict) -> timedelta:
    return backoff(min(_tries(due, verdict), 12)) if verdict.outcome == "later" else PAUSE


def is_live(leased_until: Any, now: datetime) -> ColumnElement[bool]:
    """Whether a lease still holds."""
    return and_(leased_until >= now, leased_until <= now + FARTHEST_AHEAD)


def _due(now: datetime) -> ColumnElement[bool]:
    active = select(placements.c.id).join(registrations).where(registrations.c.status == "active")
    return and_(
        scores.c.status == "waiting",
        or_(scores.c.next_attempt_at <= now, scores.c.next_attempt_at > now + FARTHEST_AHEAD),
        or_(scores.c.lease_owner.is_(None), ~is_live(scores.c.leased_until, now)),
        scores.c.placement_id.in_(active),
    )


def _hold(connection: Connection, pairs: set[tuple[str, str]]) -> list[Row[Any]]:
    """All rows of these (line item, user) pairs are held, so that two workers cannot take two rows of one pair."""
    if not pairs:
        return []
    query = (
        select(scores, placements.c.registration_id, placements.c.ags_scopes, registrations.c.profile)
        .join(placements, placements.c.id == scores.c.placement_id)
        .join(registrations, registrations.c.id == placements.c.registration_id)
        .where(tuple_(scores.c.line_item_url, scores.c.user_id).in_(pairs))
        .order_by(scores.c.id)
        .with_for_update(of=scores)
    )
    return list(connection.execute(query))


def _lease(connection: Connection, row: Row[Any], held: list[Row[Any]], now: datetime) -> DueScore | None:
    due = _as_due(row, uuid.uuid4().hex)
    values: dict[str, Any] = {
        "lease_owner": due.owner,
        "leased_until": now + LEASE,
        "attempts": scores.c.attempts + 1,
    }
    if not (due.is_readable and due.ours):
        timestamp, resent = _timestamp(row, held, due.version, now)
        due = replace(due, timestamp=timestamp, resent=resent)
        values |= _sent(due, timestamp)
    other = scores.alias()
    in_flight = select(other.c.id).where(
        other.c.line_item_url == row.line_item_url,
        other.c.user_id == row.user_id,
        other.c.lease_owner.is_not(None),
        is_live(other.c.leased_until, now),
    )
    ours = and_(scores.c.id == row.id, _due(now), ~in_flight.exists())
    return due if connection.execute(update(scores).where(ours).values(values)).rowcount else None


def _timestamp(row: Row[Any], held: list[Row[Any]], version: int, now: datetime) -> tuple[datetime, bool]:
    """The timestamp to send with, and whether it has been sent with this very version before."""
    if row.sent_version == version and row.last_timestamp is not None:
        return row.last_timestamp, True
    pair = [each for each in held if (each.line_item_url, each.user_id) == (row.line_item_url, row.user_id)]
    sent = max((each.last_timestamp for each in pair if each.last_timestamp), default=None)
    return next_timestamp(now, sent, whole_seconds=PROFILES[row.profile].whole_second_timestamps), False


def _sent(due: DueScore, timestamp: datetime) -> dict[str, Any]:
    return {
        "last_timestamp": timestamp,
        "sent_version": due.version,
        "sent_given": due.value.given,
        "sent_maximum": due.value.maximum,
    }


def _as_due(row: Row[Any], owner: str) -> DueScore:
    profile = PROFILES[row.profile]
    taken = Value(row.delivered_given, row.delivered_maximum or row.desired_maximum)
    delivered = taken if row.delivered_version else None
    sent = None if row.sent_maximum is None else Value(row.sent_given, row.sent_maximum)
    ours = [delivered, sent, _overruled(row)]
    return DueScore(
        id=row.id,
        owner=owner,
        registration_id=row.registration_id,
        profile=profile,
        line_item_url=row.line_item_url,
        user_id=row.user_id,
        version=row.desired_version,
        value=Value(row.desired_given, row.desired_maximum),
        comment=row.desired_comment,
        is_readable=profile.results_show_gradebook and RESULT_SCOPE in row.ags_scopes,
        delivered=delivered,
        sent=sent,
        ours=tuple(each for each in ours if each is not None),
        timestamp=None,
        resent=row.sent_version == row.desired_version and row.last_timestamp is not None,
        attempts=row.attempts + 1,
    )


def _overruled(row: Row[Any]) -> Value | None:
    """What somebody else had entered, where staff decided to send ours all the same: only then such a score waits."""
    if row.seen != "differs":
        return None
    return Value(row.seen_given, row.delivered_maximum or row.desired_maximum)


log = logging.getLogger(__name__)

# One platform gets half of the senders at most: while it hangs, the others are served.
SENDERS = 12
# Answers of a results service that may be another one in a while.
PASSING = (408, 425, 429)
# Results are there, and say nothing: what stands there may be somebody else's.
UNREADABLE = "results_unreadable"
ARRIVED = Verdict("delivered", "seen in the results")


class Deliverer:
    """Sends due scores with a few threads. `deliver_due` is made to be called again and again by one thread."""

    def __init__(self, database: Database, api: PlatformApi, clock: Clock, *, senders: int = SENDERS) -> None:
        self._database = database
        self._sender = Sender(database, api, clock)
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
                self._in_flight[self._pool.submit(self._sender.deliver, due)] = due.registration_id
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


class LeaseLostError(Exception):
    """Somebody else has the score in hand by now, and answers for it."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends one claimed score, in the thread that calls it."""

    database: Database
    api: PlatformApi
    clock: Clock

    def deliver(self, due: DueScore) -> None:
        """Look where it is needed, send, and record what became of it."""
        try:
            due, verdict = self._attempt(due)
        except LeaseLostError:
            return
        with self.database.write() as connection:
            record(connection, due, verdict, self.clock())
        if verdict.outcome != "delivered":
            log.warning("score not delivered", extra={"score": due.id, "outcome": verdict.outcome})

    def _attempt(self, due: DueScore) -> tuple[DueScore, Verdict]:
        if due.timestamp is None:
            try:
                verdict = self._look_first(due)
            except Exception as error:
                verdict = verdict_of(error)
            if verdict is not None:
                return due, verdict
            due = self._renew(due)
        try:
            verdict = self._send(due)
            return due, self._look_after(due, verdict) if verdict.outcome == "look" else verdict
        except Exception as error:
            return due, verdict_of(error)

    def _look_first(self, due: DueScore) -> Verdict | None:
        """What the gradebook shows before anything is sent: None when the way is free."""
        shown = self._shown(due)
        if shown is None or shown.given is None:
            return None
        if due.sent is not None and shown.is_same(due.sent) and not _is_delivered(due, shown):
            if due.resent:
                return ARRIVED
            self._record_arrival(due)
        return None if _is_ours(due, shown) else Verdict("regraded", REGRADED, shown)

    def _look_after(self, due: DueScore, refused: Verdict) -> Verdict:
        """What the gradebook shows after the platform said that it holds something newer."""
        shown = self._shown(due)
        if shown is None or shown.given is None:
            return Verdict("again", refused.says)
        if shown.is_same(due.value) and (due.resent or not _is_delivered(due, shown)):
            return ARRIVED
        return Verdict("again", refused.says) if _is_ours(due, shown) else Verdict("regraded", REGRADED, shown)

    def _shown(self, due: DueScore) -> Value | None:
        """What the results show of this person; None where they may not be read. Raises OutboundError when there was no
        answer, or one that may be another in a while."""
        if not due.is_readable:
            return None
        try:
            result = fetch_result(self.api, due.registration_id, due.line_item_url, due.user_id)
        except PlatformRefused as error:
            if error.answered >= 500 or error.answered in PASSING or error.code == UNREADABLE:
                raise
            return None
        if result is None:
            return Value(None, due.value.maximum)
        return Value(result.given, result.maximum or MAXIMUM_WHEN_UNSAID)

    def _send(self, due: DueScore) -> Verdict:
        assert due.timestamp is not None
        body = score_body(
            user_id=due.user_id,
            given=due.value.given,
            maximum=due.value.maximum,
            comment=due.comment,
            timestamp=due.timestamp,
        )
        answer = self.api.post_score(due.registration_id, due.line_item_url, body)
        return interpret(due.profile, answer.status, answer.body_start, resent=due.resent)

    def _renew(self, due: DueScore) -> DueScore:
        with self.database.write() as connection:
            renewed = renew(connection, due, self.clock())
        if renewed is None:
            raise LeaseLostError
        return renewed

    def _record_arrival(self, due: DueScore) -> None:
        with self.database.write() as connection:
            record_arrival(connection, due, self.clock())


def _is_delivered(due: DueScore, shown: Value) -> bool:
    """Whether this is what the platform had taken before."""
    return due.delivered is not None and shown.is_same(due.delivered)


def _is_ours(due: DueScore, shown: Value) -> bool:
    return compare(shown, (*due.ours, due.value)) == "same"


def verdict_of(error: Exception) -> Verdict:
    """What becomes of a score that met an error instead of an answer."""
    if isinstance(error, AddressRefused):
        return Verdict("parked", error.code)
    if isinstance(error, PlatformRefused):  # no token to be had, or a redirect, which is never followed
        return Verdict("parked" if 300 <= error.answered < 400 else "later", f"{error.answered} {error.code}")
    if isinstance(error, OutboundError):
        return Verdict("later", error.code)
    if isinstance(error, GatehouseError):
        return Verdict("parked", error.code)
    # A fault of ours: it backs off and is parked in the end like any other.
    return Verdict("later", type(error).__name__)
