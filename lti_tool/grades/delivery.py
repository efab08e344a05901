"""Delivery: every waiting score of the ledger is sent until the platform has it, or until staff must decide.

A score that got no answer goes out again with the same timestamp, so a platform that has it can say so (openedx.md §5).
Where the gradebook can be read, every score but the first is preceded by a look: a grade that a person entered there
meanwhile is never overwritten.

A worker leases a score before it sends it; a worker that lost the lease records nothing. One score is in flight per
(line item, user). Each has a later timestamp than the one before, recorded before anything is sent.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select, tuple_

from lti_tool.db import Database
from lti_tool.errors import AddressRefused, GatehouseError, OutboundError, PlatformRefused
from lti_tool.grades import line_item_search, line_items
from lti_tool.grades.ags import (
    MAXIMUM_WHEN_UNSAID,
    Outcome,
    Value,
    Verdict,
    compare,
    interpret,
    next_reading,
    next_timestamp,
    score_body,
)
from lti_tool.http import spread
from lti_tool.leases import FARTHEST_AHEAD, Lease, LeaseLostError, claim_rows, is_held
from lti_tool.lti.line_items import RESULT_SCOPE, fetch_result, load_line_item
from lti_tool.lti.platform_api import LONGEST_CALL, PlatformApi
from lti_tool.lti.quirks import PROFILES, Profile
from lti_tool.tables.courses import placements
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import line_items as columns
from lti_tool.tables.scores import scores
from lti_tool.tasks import Clock, JobPool, backoff

log = logging.getLogger(__name__)

SENDERS = 12
# With a pause that grows to an hour: about two days of a platform that is away.
MOST_ATTEMPTS = 56
# A platform that refuses a fresh timestamp this often holds something newer than we know of.
MOST_TIMESTAMPS = 5
# Platforms that compare whole seconds need one between two scores of a person (lti.md AG-8).
PAUSE = timedelta(seconds=1)
# Answers of a results service that may change by themselves.
PASSING = (408, 425, 429)
REGRADED = "regraded"
# The results can be reached but not understood: a person's grade may be among them.
UNREADABLE = "results_unreadable"
NOT_BOUND = "column_not_bound"
ARRIVED = Verdict("delivered", "seen in the results")


@dataclass(frozen=True, slots=True)
class DueScore:
    """One claimed score: the desired version as it was claimed, and the lease under which its result is recorded.

    `timestamp` is None until one is chosen. Where the gradebook can be read, it is chosen after a look at it, unless
    nothing was ever sent. `sent` is what went out last, without an answer so far; `ours` is everything of ours that the
    gradebook may show.
    """

    id: int
    lease: Lease
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
    column: Row[Any] | None
    column_maximum: float | None

    def is_delivered(self, shown: Value) -> bool:
        """Whether this is what the platform had taken before."""
        return self.delivered is not None and shown.is_same(self.delivered)

    def is_ours(self, shown: Value) -> bool:
        return compare(shown, (*self.ours, self.value)) == "same"


class Deliverer:
    """Sends due scores with a few threads. One thread calls `deliver_due` again and again.

    One platform gets half of the threads at most, so that a platform that hangs does not hold up the others.
    """

    def __init__(self, database: Database, api: PlatformApi, clock: Clock, *, senders: int = SENDERS) -> None:
        self._database = database
        self._sender = Sender(database, api, clock)
        self._clock = clock
        self._share = max(senders // 2, 1)
        self._lock = Lock()
        self._in_flight: Counter[int] = Counter()  # by registration
        self._pool = JobPool("score", senders, self._claim, self._deliver)

    def deliver_due(self) -> bool:
        """Start what is due as far as threads are free; False once all is quiet."""
        return self._pool.step()

    def deliver_all(self) -> None:
        """Deliver until nothing is due."""
        self._pool.run()

    def _claim(self, limit: int) -> Sequence[DueScore]:
        now = self._clock()
        claimed: list[DueScore] = []
        for registration_id in waiting_platforms(self._database, now):
            room = min(limit - len(claimed), self._share - self._in_flight[registration_id])
            found = claim_due(self._database, now, room, registration_id)
            with self._lock:
                self._in_flight[registration_id] += len(found)
            claimed += found
        return claimed

    def _deliver(self, due: DueScore) -> None:
        try:
            self._sender.deliver(due)
        finally:
            with self._lock:
                self._in_flight[due.registration_id] -= 1


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends one claimed score, in the thread that calls it."""

    database: Database
    api: PlatformApi
    clock: Clock

    def deliver(self, due: DueScore) -> None:
        """Look at the gradebook where it is needed, send the score, and record the result."""
        verdict: Verdict | None = None
        try:
            if due.column is not None and due.column.checked_at is None:
                due, verdict = self._check_column(due, due.column)
            if verdict is None and due.timestamp is None:
                verdict = self._verdict_before(due)
                if verdict is None:
                    with self.database.write() as connection:
                        due = choose_timestamp(connection, due, self.clock())
            if verdict is None:
                verdict = self.send(due)
                if verdict.outcome == "look":
                    verdict = self._verdict_after(due, verdict)
        except LeaseLostError:
            return
        except Exception as error:
            verdict = verdict_of(error)
        with self.database.write() as connection:
            record(connection, due, verdict, self.clock())
        if verdict.outcome != "delivered":
            log.warning("score not delivered", extra={"score": due.id, "outcome": verdict.outcome})

    def send(self, due: DueScore) -> Verdict:
        """Post the score, out of the column's own maximum, and read the platform's answer. Open edX scales each score
        by the maximum that comes with it, and makes a unit's own column of whole numbers (openedx.md §5)."""
        assert due.timestamp is not None
        is_scaled = due.profile.whole_number_maximum
        maximum = due.value.maximum if is_scaled else due.column_maximum or due.value.maximum
        body = score_body(
            user_id=due.user_id,
            given=due.value.given if maximum == due.value.maximum else due.value.out_of(maximum),
            maximum=maximum,
            comment=due.comment,
            timestamp=due.timestamp,
        )
        answer = self.api.post_score(due.registration_id, due.line_item_url, body)
        verdict = interpret(due.profile, answer.status, answer.body_start, resent=due.resent)
        return replace(verdict, retry_at=answer.retry_at)

    def _check_column(self, due: DueScore, column: Row[Any]) -> tuple[DueScore, Verdict | None]:
        """Before the first score for a column that a launch named: whether it is the unit's own, as far as the tool may
        read it. A verdict if nothing is sent."""
        with self.database.read() as connection:
            (unit,) = line_items.units(connection, placements.c.id == column.placement_id)
        if not any("/scope/lineitem" in scope for scope in unit.scopes):
            return due, None
        try:
            item = load_line_item(self.api, due.registration_id, due.line_item_url, offered=unit.scopes)
        except PlatformRefused as error:
            if error.code != line_item_search.GONE:
                raise
            return due, None  # the answer to the score says so too
        with self.database.write() as connection:
            line_item_search.note(connection, unit, column, item, self.clock())
        if line_item_search.is_bound_to(unit, item, column.meaning) is False:
            return due, Verdict("parked", NOT_BOUND)
        return replace(due, column_maximum=item.maximum), None

    def _verdict_before(self, due: DueScore) -> Verdict | None:
        """What the gradebook shows before anything is sent; None when the score may be sent."""
        shown = self._shown(due)
        if shown is None or shown.given is None:
            return None
        if due.sent is not None and shown.is_same(due.sent) and not due.is_delivered(shown):
            if due.resent:
                return ARRIVED
            with self.database.write() as connection:
                record_arrival(connection, due, self.clock())
        return None if due.is_ours(shown) else Verdict("regraded", REGRADED, shown)

    def _verdict_after(self, due: DueScore, refused: Verdict) -> Verdict:
        """What the gradebook shows after the platform said that it holds something newer."""
        shown = self._shown(due)
        if shown is None or shown.given is None:
            return Verdict("again", refused.says)
        if shown.is_same(due.value) and (due.resent or not due.is_delivered(shown)):
            return ARRIVED
        return Verdict("again", refused.says) if due.is_ours(shown) else Verdict("regraded", REGRADED, shown)

    def _shown(self, due: DueScore) -> Value | None:
        """What the results show of this person; None where they may not be read. Raises OutboundError when there was no
        answer, or an answer that may change by itself."""
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


def verdict_of(error: Exception) -> Verdict:
    """The verdict on a score whose sending ended in an error instead of an answer."""
    if isinstance(error, AddressRefused):
        return Verdict("parked", error.code)
    if isinstance(error, PlatformRefused):  # the platform gave no token, or redirected, which is never followed
        outcome: Outcome = "parked" if 300 <= error.answered < 400 else "later"
        return Verdict(outcome, f"{error.answered} {error.code}", retry_at=error.retry_at)
    if isinstance(error, OutboundError):
        return Verdict("later", error.code, retry_at=error.retry_at)
    if isinstance(error, GatehouseError):
        return Verdict("parked", error.code)
    # A fault of ours: it backs off and is parked in the end like any other.
    return Verdict("later", type(error).__name__)


def waiting_platforms(database: Database, now: datetime) -> list[int]:
    """The registrations that have a score due, the one that has waited longest first."""
    query = (
        select(placements.c.registration_id)
        .join(scores, scores.c.placement_id == placements.c.id)
        .where(_is_due(now))
        .group_by(placements.c.registration_id)
        .order_by(func.min(scores.c.next_attempt_at))
    )
    with database.read() as connection:
        return list(connection.scalars(query))


def claim_due(database: Database, now: datetime, limit: int, registration_id: int | None = None) -> list[DueScore]:
    """Lease up to `limit` scores whose time has come, of all platforms or of one."""
    if limit <= 0:
        return []
    due = _is_due(now)
    if registration_id is not None:
        theirs = select(placements.c.id).where(placements.c.registration_id == registration_id)
        due = and_(due, scores.c.placement_id.in_(theirs))
    with database.write() as connection:
        pairs = connection.execute(
            select(scores.c.line_item_url, scores.c.user_id).where(due).order_by(scores.c.next_attempt_at).limit(limit)
        ).all()
        locked = _lock_pairs(connection, {(row.line_item_url, row.user_id) for row in pairs}) if pairs else []
        claimed = (_claim(connection, row, locked, now) for row in locked)
        return [each for each in claimed if each is not None]


def choose_timestamp(connection: Connection, due: DueScore, now: datetime) -> DueScore:
    """Choose the timestamp of a score that was preceded by a look, with a whole lease ahead. Raises LeaseLostError."""
    locked = _lock_pairs(connection, {(due.line_item_url, due.user_id)})
    row = next((each for each in locked if each.id == due.id), None)
    if row is None:
        raise LeaseLostError
    timestamp, resent = _timestamp(row, locked, due.version, now)
    due.lease.renew(connection, now, _sent(due.version, due.value, timestamp))
    return replace(due, timestamp=timestamp, resent=resent)


def record_arrival(connection: Connection, due: DueScore, now: datetime) -> None:
    """The gradebook shows what went out last and was never answered: it was delivered."""
    values = {
        "delivered_version": scores.c.sent_version,
        "delivered_given": scores.c.sent_given,
        "delivered_maximum": scores.c.sent_maximum,
        "delivered_at": now,
    }
    due.lease.write(connection, values, scores.c.sent_version > scores.c.delivered_version)


def record(connection: Connection, due: DueScore, verdict: Verdict, now: datetime) -> bool:
    """Record the result of a claimed score; False when the lease was lost and another worker records it."""
    # Attempts count the same outcome in a row. Only after `again` a score goes out with another timestamp.
    is_first_of_its_kind = (verdict.outcome == "again" and due.resent) or (
        verdict.outcome == "later" and due.timestamp is not None and not due.resent
    )
    attempts = 1 if is_first_of_its_kind else due.lease.attempts
    most = MOST_TIMESTAMPS if verdict.outcome == "again" else MOST_ATTEMPTS
    status = "parked" if verdict.outcome == "parked" or attempts >= most else "waiting"
    # A value that was desired meanwhile is sent whatever the result of the older one.
    is_wanted = scores.c.desired_version == due.version
    pause = backoff(min(attempts, 12)) if verdict.outcome == "later" else PAUSE
    values: dict[str, Any] = {
        "last_answer": verdict.says,
        "status": case((is_wanted, "delivered" if verdict.outcome == "delivered" else status), else_="waiting"),
        "attempts": case((is_wanted, attempts), else_=scores.c.attempts),
        "next_attempt_at": max(now + pause, spread(verdict.retry_at or now, now)),
    }
    if verdict.outcome == "delivered":
        values |= {
            "delivered_version": due.version,
            "delivered_given": due.value.given,
            "delivered_maximum": due.value.maximum,
            "delivered_at": now,
            "seen": "unread",
            "seen_given": None,
            "results_due_at": next_reading(now, now) if due.is_readable else None,
        }
    elif verdict.outcome == "regraded":
        assert verdict.seen is not None
        given = verdict.seen.out_of((due.delivered or due.value).maximum)
        values |= {"status": "parked", "seen": "differs", "seen_given": given, "seen_at": now}
    elif verdict.outcome == "again":
        values["sent_version"] = None
    return due.lease.finish(connection, values)


def _is_due(now: datetime) -> ColumnElement[bool]:
    active = select(placements.c.id).join(registrations).where(registrations.c.status == "active")
    return and_(
        scores.c.status == "waiting",
        or_(scores.c.next_attempt_at <= now, scores.c.next_attempt_at > now + FARTHEST_AHEAD),
        ~is_held(scores, now),
        scores.c.placement_id.in_(active),
    )


def _lock_pairs(connection: Connection, pairs: set[tuple[str, str]]) -> list[Row[Any]]:
    """All rows of these (line item, user) pairs, locked so that two workers cannot claim two rows of one pair."""
    query = (
        select(scores, placements.c.registration_id, placements.c.ags_scopes, registrations.c.profile)
        .join(placements, placements.c.id == scores.c.placement_id)
        .join(registrations, registrations.c.id == placements.c.registration_id)
        .where(tuple_(scores.c.line_item_url, scores.c.user_id).in_(pairs))
        .order_by(scores.c.id)
        .with_for_update(of=scores)
    )
    return list(connection.execute(query))


def _claim(connection: Connection, row: Row[Any], locked: Sequence[Row[Any]], now: datetime) -> DueScore | None:
    """Lease one score unless another score of its pair is in flight."""
    profile, value = PROFILES[row.profile], Value(row.desired_given, row.desired_maximum)
    known_maximum = row.delivered_maximum or row.desired_maximum
    delivered = Value(row.delivered_given, known_maximum) if row.delivered_version else None
    sent = None if row.sent_maximum is None else Value(row.sent_given, row.sent_maximum)
    # Where a person's grade differs, a score waits only because staff decided to send ours all the same.
    overruled = Value(row.seen_given, known_maximum) if row.seen == "differs" else None
    ours = tuple(each for each in (delivered, sent, overruled) if each is not None)
    is_readable = profile.results_show_gradebook and RESULT_SCOPE in row.ags_scopes
    timestamp, resent = None, row.sent_version == row.desired_version and row.last_timestamp is not None
    values: dict[str, Any] = {}
    if not (is_readable and ours):
        timestamp, resent = _timestamp(row, locked, row.desired_version, now)
        values = _sent(row.desired_version, value, timestamp)
    other = scores.alias()
    in_flight = select(other.c.id).where(
        other.c.line_item_url == row.line_item_url, other.c.user_id == row.user_id, is_held(other, now)
    )
    this = scores.c.id == row.id
    its = (columns.c.placement_id == row.placement_id, columns.c.meaning == row.meaning)
    here = (columns.c.url == row.line_item_url, columns.c.retired_at.is_(None))
    column = connection.execute(select(columns).where(*its, *here)).first()
    lease = claim_rows(connection, scores, this, LONGEST_CALL, now, _is_due(now), ~in_flight.exists(), values=values)
    if lease is None:
        return None
    return DueScore(
        id=row.id,
        lease=lease,
        registration_id=row.registration_id,
        profile=profile,
        line_item_url=row.line_item_url,
        user_id=row.user_id,
        version=row.desired_version,
        value=value,
        comment=row.desired_comment,
        is_readable=is_readable,
        delivered=delivered,
        sent=sent,
        ours=ours,
        timestamp=timestamp,
        resent=resent,
        column=column,
        column_maximum=None if column is None else column.maximum,
    )


def _timestamp(row: Row[Any], locked: Sequence[Row[Any]], version: int, now: datetime) -> tuple[datetime, bool]:
    """The timestamp to send with, and whether it was sent with this very version before."""
    if row.sent_version == version and row.last_timestamp is not None:
        return row.last_timestamp, True
    pair = [each for each in locked if (each.line_item_url, each.user_id) == (row.line_item_url, row.user_id)]
    sent = max((each.last_timestamp for each in pair if each.last_timestamp), default=None)
    return next_timestamp(now, sent, whole_seconds=PROFILES[row.profile].whole_second_timestamps), False


def _sent(version: int, value: Value, timestamp: datetime) -> dict[str, Any]:
    return {
        "last_timestamp": timestamp,
        "sent_version": version,
        "sent_given": value.given,
        "sent_maximum": value.maximum,
    }
