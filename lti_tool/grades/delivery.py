"""Delivery: every waiting score of the ledger is sent until the platform has it, or until staff must look at it.

What was sent without an answer goes out again with the same timestamp, so a platform that has it can say so
(openedx.md §5). Where the gradebook can be read, a score that is not the first is preceded by a look: what somebody
else entered there meanwhile is never overwritten.
"""

import logging
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from lti_tool.db import Database
from lti_tool.errors import AddressRefused, GatehouseError, OutboundError, PlatformRefused
from lti_tool.grades import due_scores
from lti_tool.grades.ags import Verdict, interpret, score_body
from lti_tool.grades.due_scores import REGRADED, DueScore, claim_due, record, waiting_platforms
from lti_tool.grades.seen import MAXIMUM_WHEN_UNSAID, Value, compare
from lti_tool.lti.platform_api import PlatformApi
from lti_tool.lti.results import fetch_result
from lti_tool.tasks import Clock

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
            renewed = due_scores.renew(connection, due, self.clock())
        if renewed is None:
            raise LeaseLostError
        return renewed

    def _record_arrival(self, due: DueScore) -> None:
        with self.database.write() as connection:
            due_scores.record_arrival(connection, due, self.clock())


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
