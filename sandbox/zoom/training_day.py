"""A training day with known truth: what people do, and the webhook deliveries Zoom would make of it.

The one generator of the demo, the tests and the benchmarks. Shapes follow Zoom's documented samples; the oddities
follow what is known of live traffic: a breakout move is LEFT and JOIN in the same second in either order, `id` is a
number in some events and a text in others, a guest's address is blank, a delivery may come twice and in any order.
"""

import base64
import hmac
import json
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any

from sandbox.zoom.behaviours import BEHAVIOURS, Visit, pattern

Event = dict[str, Any]
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Attendee:
    """One person of the day. `registrant_id` and `email` may be empty, as for a guest; `visits` given by the caller
    replace those of the behaviour."""

    name: str
    email: str = ""
    registrant_id: str = ""
    behaviour: str = "all_day"
    visits: tuple[Visit, ...] | None = None

    @property
    def registers(self) -> bool:
        return bool(self.registrant_id) and (self.visits is not None or BEHAVIOURS[self.behaviour].registers)

    @property
    def shown_email(self) -> str:
        """The address Zoom shows for this person, if any."""
        if self.visits is not None or BEHAVIOURS[self.behaviour].registers:
            return self.email
        return f"practice.{self.email}" if self.email and BEHAVIOURS[self.behaviour].alias else ""


@dataclass(frozen=True, slots=True)
class TrainingDay:
    """One instance of one meeting, from `opens_at` to `closes_at` (aware UTC). The same day has the same deliveries,
    byte by byte."""

    meeting_id: str
    opens_at: datetime
    closes_at: datetime
    attendees: tuple[Attendee, ...]
    kind: str = "meeting"
    topic: str = "Training day – live, not recorded"
    seed: int = 0
    uuid: str = field(init=False)

    def __post_init__(self) -> None:
        octets = sha256(f"{self.meeting_id}|{self.opens_at.isoformat()}|{self.seed}".encode()).digest()[:16]
        object.__setattr__(self, "uuid", base64.b64encode(octets).decode())

    def visits_of(self, attendee: Attendee) -> tuple[Visit, ...]:
        """What this attendee does on this day."""
        if attendee.visits is not None:
            return attendee.visits
        return pattern(attendee.behaviour, int((self.closes_at - self.opens_at).total_seconds()))

    def truth(self) -> list[tuple[Span, ...]]:
        """For each attendee the spans in which they were in the meeting: disjoint, in order, whole seconds."""
        return [tuple(_union(self._span(visit) for visit in self.visits_of(each))) for each in self.attendees]

    def registrations(self) -> list[Event]:
        """`registration_created` of everybody who has a registrant id."""
        registered = (each for each in self.attendees if each.registers)
        return [self._registration(each, number) for number, each in enumerate(registered)]

    def events(self) -> list[Event]:
        """The day in order of time: started, everybody's edges, ended."""
        chance = random.Random(f"{self.uuid}|events")
        edges = [edge for number, each in enumerate(self.attendees) for edge in self._edges(number, each, chance)]
        edges.sort(key=lambda edge: edge[0])
        first = min([edge[0] for edge in edges], default=self.opens_at)
        last = max([edge[0] for edge in edges], default=self.closes_at)
        opened = self._whole("started", min(first, self.opens_at), id=_number(self.meeting_id))
        ended = self._whole("ended", last, end_time=_text(last))
        return [opened, *(event for _, event in edges), ended]

    def _span(self, visit: Visit) -> Span:
        return self._at(visit.starts), self._at(visit.ends)

    def _at(self, seconds: int) -> datetime:
        return self.opens_at + timedelta(seconds=seconds)

    def _edges(self, number: int, attendee: Attendee, chance: random.Random) -> Iterator[tuple[datetime, Event]]:
        for count, visit in enumerate(self.visits_of(attendee)):
            connection = str(uuid.UUID(int=chance.getrandbits(128), version=4)).upper()
            first_user = 16_778_240 + number * 65_536 + count * 1024
            who = _who(attendee, visit, connection)
            yield from self._waiting(visit, who, first_user)
            yield from self._stays(visit, who, first_user, chance)

    def _waiting(self, visit: Visit, who: Event, user: int) -> Iterator[tuple[datetime, Event]]:
        if visit.waits:
            for name, seconds in (
                ("participant_joined_waiting_room", visit.starts - visit.waits),
                ("participant_admitted", visit.starts),
                ("participant_left_waiting_room", visit.starts),
            ):
                at = self._at(seconds)
                yield at, self._of(name, at, {**who, "user_id": str(user), "date_time": _text(at)})

    def _stays(self, visit: Visit, who: Event, user: int, chance: random.Random) -> Iterator[tuple[datetime, Event]]:
        inside = sorted({move for move in visit.moves if visit.starts < move < visit.ends})
        borders = [visit.starts, *inside, visit.ends]
        for number, (starts, ends) in enumerate(pairwise(borders)):
            stay = {**who, "user_id": str(user + number)}
            yield self._join(stay, self._at(starts))
            yield self._leave(stay, self._at(ends))
            if number % 2 and self.kind == "meeting":
                yield from self._breakout(stay, self._at(starts), self._at(ends), chance)

    def _join(self, stay: Event, at: datetime) -> tuple[datetime, Event]:
        known = {name: value for name, value in stay.items() if name != "registrant_id" or value}
        return at, self._of("participant_joined", at, {**known, "join_time": _text(at)})

    def _leave(self, stay: Event, at: datetime) -> tuple[datetime, Event]:
        reason = f"{stay['user_name']} left the meeting."
        return at, self._of("participant_left", at, {**stay, "leave_time": _text(at), "leave_reason": reason})

    def _breakout(
        self, stay: Event, start: datetime, end: datetime, chance: random.Random
    ) -> Iterator[tuple[datetime, Event]]:
        """Labels only. The address in them may be another person's, as seen in live traffic."""
        room = base64.b64encode(chance.randbytes(16)).decode()
        stray = chance.choice(self.attendees).email
        odd = {
            **stay,
            "user_id": f"{stay['user_id']}{int(start.timestamp())}",
            "parent_user_id": stay["user_id"],
            "email": stray,
        }
        for name, field_name, at in (("joined", "join_time", start), ("left", "leave_time", end)):
            event = self._of(f"participant_{name}_breakout_room", at, {**odd, field_name: _text(at)})
            event["payload"]["object"]["breakout_room_uuid"] = room
            yield at, event

    def _of(self, name: str, at: datetime, participant: Event) -> Event:
        return self._whole(name, at, participant=participant)

    def _whole(self, name: str, at: datetime, **more: Any) -> Event:
        subject = {
            "id": self.meeting_id,
            "uuid": self.uuid,
            "host_id": "x1yCzABCDEfg23HiJKl4mN",
            "topic": self.topic,
            "type": 8 if self.kind == "meeting" else 5,
            "start_time": _text(self.opens_at - timedelta(minutes=12)),
            "timezone": "America/Los_Angeles",
            "duration": int((self.closes_at - self.opens_at).total_seconds() // 60),
            **more,
        }
        return {
            "event": f"{self.kind}.{name}",
            "event_ts": int((at + timedelta(seconds=1.2)).timestamp() * 1000),
            "payload": {"account_id": "AAAAAABBBB", "object": subject},
        }

    def _registration(self, attendee: Attendee, number: int) -> Event:
        given, _, family = attendee.name.partition(" ")
        registrant = {
            "id": attendee.registrant_id,
            "first_name": given,
            "last_name": family,
            "email": attendee.email,
            "status": "approved",
            "custom_questions": [],
            "participant_pin_code": 380_303 + number,
        }
        at = self.opens_at - timedelta(days=7, seconds=-number)
        more = {"id": _number(self.meeting_id), "start_time": _text(self.opens_at), "registrant": registrant}
        return self._whole("registration_created", at, **more)


def registrant_id(meeting_id: str, email: str) -> str:
    """A registrant id as Zoom's look: one for each person and meeting series."""
    return base64.urlsafe_b64encode(sha256(f"{meeting_id}|{email}".encode()).digest()).decode()[:22]


def encode(event: Event) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def signed(body: bytes, secret: str, now: datetime) -> dict[str, str]:
    """The headers of a delivery at `now`, with Zoom's signature over the raw bytes."""
    timestamp = str(int(now.timestamp()))
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, sha256).hexdigest()
    return {
        "Content-Type": "application/json; charset=utf-8",
        "x-zm-request-timestamp": timestamp,
        "x-zm-signature": f"v0={digest}",
        "x-zm-request-id": f"{digest[:8]}_{digest[8:12]}_{digest[12:16]}_{digest[16:20]}_{digest[20:32]}",
    }


def arrivals(events: Sequence[Event], *, shuffle: bool, duplicate: bool, seed: int = 0) -> list[bytes]:
    """The bodies as they arrive: with `duplicate` every fifth comes twice, with `shuffle` in any order."""
    bodies = [encode(event) for event in events]
    if duplicate:
        bodies += bodies[::5]
    if shuffle:
        random.Random(seed).shuffle(bodies)
    return bodies


def _who(attendee: Attendee, visit: Visit, connection: str) -> Event:
    """How Zoom names a participant: by telephone not at all, a guest by the name only."""
    return {
        "user_name": "+1 ***-***-0142" if visit.phone else attendee.name,
        "id": "",
        "participant_user_id": "",
        "participant_uuid": connection,
        "email": "" if visit.phone else attendee.shown_email,
        "registrant_id": "" if visit.phone or not attendee.registers else attendee.registrant_id,
        "phone_number": "15550100142" if visit.phone else "",
        "public_ip": "192.0.2.7",
    }


def _union(spans: Iterator[Span]) -> Iterator[Span]:
    current: Span | None = None
    for start, end in sorted(spans):
        if current and start <= current[1]:
            current = (current[0], max(end, current[1]))
        else:
            if current:
                yield current
            current = (start, end)
    if current:
        yield current


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _number(meeting_id: str) -> int | str:
    return int(meeting_id) if meeting_id.isdigit() else meeting_id
