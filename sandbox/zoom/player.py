"""Plays a day: sends its deliveries over the wire as Zoom does, several at once, and again after a 5xx or no answer."""

import heapq
import threading
import time
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

from sandbox.zoom.delivery_log import DeliveryLog
from sandbox.zoom.plan import Plan
from sandbox.zoom.training_day import Event, arrivals, encode, signed

SENDERS = 4
ANSWER_SECONDS = 10
# Zoom comes again after 5, 25 and 85 minutes. Here it comes after seconds, and for five minutes: how long a tool takes
# to start again is a matter of the machine.
RETRY_AFTER = (1, 2, *(4,) * 75)
CHALLENGE = {"event": "endpoint.url_validation", "event_ts": 0, "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}


@dataclass(order=True, slots=True)
class _Delivery:
    due: float
    number: int
    body: bytes = field(compare=False)
    attempt: int = field(default=0, compare=False)


@dataclass
class _Run:
    """One day being played."""

    plan: Plan
    waiting: list[_Delivery]
    planned: int
    answers: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    taken: int = 0
    again: int = 0
    refused: int = 0
    in_hand: int = 0

    @property
    def ended(self) -> bool:
        return not self.waiting and not self.in_hand


class Player:
    """Plays one day at a time against one webhook."""

    def __init__(self, webhook_url: str, secret: str) -> None:
        self._url = webhook_url
        self._secret = secret
        self._run: _Run | None = None
        self._changed = threading.Condition()
        self.log = DeliveryLog(webhook_url)

    def play(self, plan: Plan, registered: Collection[str] = ()) -> bool:
        """Begin to play; False while another day is being played. Who is `registered` (by e-mail) is not announced
        again."""
        with self._changed:
            if self._run and not self._run.ended:
                return False
            waiting = _schedule(plan, registered)
            run = self._run = _Run(plan, waiting, len(waiting))
        for body in plan.lost():
            self.log.note_lost(body)
        for _ in range(SENDERS):
            threading.Thread(target=self._send_forever, args=(run,), daemon=True).start()
        return True

    def announce(self, event: Event) -> None:
        """Send one delivery that belongs to no played day, again and again as Zoom does, without being waited for."""
        threading.Thread(target=self.send, args=(event,), daemon=True).start()

    def is_playing(self, uuid: str) -> bool:
        with self._changed:
            return self._run is not None and not self._run.ended and uuid in self._run.plan.day.uuids

    def report(self) -> dict[str, Any]:
        """What the player does: {"state": "idle" | "playing" | "ended", "meeting_id", "date", "planned", "sent",
        "taken" (2xx), "again" (after 5xx or silence), "refused" (for good), "answers", "progress" (0 to 1)}."""
        with self._changed:
            run = self._run
            if run is None:
                return {"state": "idle", "planned": 0, "sent": 0, "taken": 0, "refused": 0, "progress": 0}
            return {
                "state": "ended" if run.ended else "playing",
                "meeting_id": run.plan.day.meeting_id,
                "date": run.plan.day.opens_at.date().isoformat(),
                "planned": run.planned,
                "sent": run.sent,
                "taken": run.taken,
                "again": run.again,
                "refused": run.refused,
                "answers": dict(run.answers),
                "progress": round((run.taken + run.refused) / max(run.planned, 1), 3),
            }

    def _send_forever(self, run: _Run) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while (delivery := self._next(run)) is not None:
                self._note(run, delivery, self._answer(session, delivery.body))

    def send(self, event: Event) -> None:
        """Send one delivery, again and again as Zoom does, until the tool has taken or refused it."""
        body = encode(event)
        with requests.Session() as session:
            session.trust_env = False
            for attempt, pause in enumerate((*RETRY_AFTER, 0)):
                status = self._answer(session, body)
                self.log.note(body, status, attempt)
                if 0 < status < 500:
                    return
                time.sleep(pause)

    def _next(self, run: _Run) -> _Delivery | None:
        """The next delivery once it is due; None when the day is over."""
        with self._changed:
            while not run.ended:
                wait = run.waiting[0].due - time.monotonic() if run.waiting else None
                if wait is not None and wait <= 0:
                    run.in_hand += 1
                    return heapq.heappop(run.waiting)
                self._changed.wait(wait)
            return None

    def _answer(self, session: requests.Session, body: bytes) -> int:
        """The status of the answer; 0 when none came."""
        headers = signed(body, self._secret, datetime.now(UTC))
        try:
            answer = session.post(self._url, data=body, headers=headers, timeout=ANSWER_SECONDS, allow_redirects=False)
        except requests.RequestException:
            return 0
        return answer.status_code

    def _note(self, run: _Run, delivery: _Delivery, status: int) -> None:
        self.log.note(delivery.body, status, delivery.attempt)
        with self._changed:
            run.in_hand -= 1
            run.sent += 1
            run.answers[str(status) if status else "no answer"] += 1
            may_come_again = status == 0 or status >= 500
            if 200 <= status < 300:
                run.taken += 1
            elif may_come_again and delivery.attempt < len(RETRY_AFTER):
                run.again += 1
                due = time.monotonic() + RETRY_AFTER[delivery.attempt]
                heapq.heappush(run.waiting, _Delivery(due, delivery.number, delivery.body, delivery.attempt + 1))
            else:
                run.refused += 1
            self._changed.notify_all()


def _schedule(plan: Plan, registered: Collection[str]) -> list[_Delivery]:
    """The challenge and the registrations at once, then the day spread over the seconds it is given."""
    lost = set(plan.lost())
    all_of_it = arrivals(plan.day.events(), shuffle=plan.shuffle, duplicate=plan.duplicate, seed=plan.day.seed)
    day = [body for body in all_of_it if body not in lost]
    now = time.monotonic()
    challenge = {**CHALLENGE, "event_ts": int(time.time() * 1000)}
    new = [each for each in plan.day.registrations() if _address(each) not in registered]
    first = [encode(each) for each in (challenge, *new)]
    waiting = [_Delivery(now, number, body) for number, body in enumerate(first)]
    for number, body in enumerate(day):
        waiting.append(_Delivery(now + plan.seconds * (number + 1) / len(day), len(first) + number, body))
    heapq.heapify(waiting)
    return waiting


def _address(registration: Event) -> str:
    return str(registration["payload"]["object"]["registrant"]["email"]).lower()
