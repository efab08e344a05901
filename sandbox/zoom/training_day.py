"""A training day with known truth: who is there when, the deliveries Zoom makes of it, and the report it gives of it.

The one generator of the demo, the tests and the benchmarks. The same day has the same deliveries, byte by byte.
"""

import base64
import hmac
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from sandbox.zoom.behaviours import Visit, pattern
from sandbox.zoom.notices import Event as Event
from sandbox.zoom.notices import Teller, Told
from sandbox.zoom.people import Attendee as Attendee
from sandbox.zoom.report import Row, by_connection, rows_of_visit
from sandbox.zoom.stays import Opening, RoomInterval, cut, openings, union
from sandbox.zoom.stays import Span as Span

HOST_IS_EARLY = timedelta(minutes=12)


@dataclass(frozen=True, slots=True)
class TrainingDay:
    """One class of one meeting, from `opens_at` to `closes_at` (aware UTC).

    `restarts` are pairs of seconds after the beginning: the host ended the meeting at the first and began it again at
    the second, which makes another instance. `shared_user_ids` above 0 lets so many people and no more have `user_id`s
    of their own. `visits`, one entry for each attendee, replace what their patterns say.
    """

    meeting_id: str
    opens_at: datetime
    closes_at: datetime
    attendees: tuple[Attendee, ...]
    kind: str = "meeting"
    topic: str = "Training day – live, not recorded"
    seed: int = 0
    restarts: tuple[tuple[int, int], ...] = ()
    shared_user_ids: int = 0
    visits: tuple[tuple[Visit, ...], ...] | None = None
    instances: tuple[Opening, ...] = field(init=False)

    def __post_init__(self) -> None:
        seed = f"{self.meeting_id}|{self.opens_at.isoformat()}|{self.seed}"
        object.__setattr__(self, "instances", tuple(openings(seed, self.restarts)))

    @property
    def uuid(self) -> str:
        """Of the first instance; nearly every day has only one."""
        return self.instances[0].uuid

    @property
    def uuids(self) -> list[str]:
        return [each.uuid for each in self.instances]

    @property
    def seconds(self) -> int:
        return int((self.closes_at - self.opens_at).total_seconds())

    def visits_of(self, attendee: Attendee) -> tuple[Visit, ...]:
        """What this attendee does on this day."""
        if self.visits is not None:
            return self.visits[self.attendees.index(attendee)]
        return pattern(attendee.behaviour, self.seconds) if attendee.visits is None else attendee.visits

    def stays(self) -> list[RoomInterval]:
        """Everybody's stays, person by person and connection by connection. A webinar tells nothing of rooms."""
        found = [
            stay
            for person, each in enumerate(self.attendees)
            for stay in cut(person, self.visits_of(each), self.instances, self.opens_at, shared=self.shared_user_ids)
        ]
        return found if self.kind == "meeting" else [stay._replace(room="") for stay in found]

    def truth(self) -> list[tuple[Span, ...]]:
        """For each attendee the spans in which they were in the meeting: disjoint, in order, whole seconds."""
        spans: dict[int, list[Span]] = defaultdict(list)
        for stay in self.stays():
            spans[stay.person].append(stay.span)
        return [tuple(union(spans[person])) for person in range(len(self.attendees))]

    def registrations(self) -> list[Event]:
        """`registration_created` of everybody who has a registrant id."""
        return [told.event for told in self.told_before()]

    def events(self) -> list[Event]:
        """The day in order of time: for each instance started, everybody's edges, ended."""
        return [told.event for told in self.told()]

    def told_before(self) -> list[Told]:
        teller = self._teller(self.uuid, self.opens_at - HOST_IS_EARLY)
        week_before = self.opens_at - timedelta(days=7)
        registered = [(person, each) for person, each in enumerate(self.attendees) if each.registers]
        return [
            teller.registration(each, person, week_before + timedelta(seconds=count), self.opens_at)
            for count, (person, each) in enumerate(registered)
        ]

    def told(self) -> list[Told]:
        """Like `events`, each with what it tells."""
        stays: dict[str, list[RoomInterval]] = {uuid: [] for uuid in self.uuids}
        for stay in self.stays():
            stays[stay.uuid].append(stay)
        return [told for uuid in self.uuids for told in self._told_of(uuid, stays[uuid])]

    def report_rows(self, uuid: str | None = None, *, merged: bool = False) -> list[Row]:
        """The rows of the participant report of one instance, in order of time; with `merged` Zoom gives one row for
        each connection instead of one for each stay."""
        visits = [self.visits_of(each) for each in self.attendees]
        of_this = [stay for stay in self.stays() if stay.uuid == (uuid or self.uuid)]
        rows: list[Row] = []
        for stays in by_connection(of_this):
            person, visit = stays[0].person, stays[0].visit
            rows += rows_of_visit(self.attendees[person], visits[person][visit], stays, merged=merged)
        return sorted(rows, key=lambda row: (row["join_time"], row["user_id"]))

    def _told_of(self, uuid: str, stays: Sequence[RoomInterval]) -> list[Told]:
        opened, closed = self._times(uuid)
        started = min([opened, *(stay.starts for stay in stays)])
        teller = self._teller(uuid, started)
        edges = sorted(self._edges(teller, stays), key=lambda told: told.at)
        ended = max([each.at for each in edges], default=closed)
        return [teller.border("started", started), *edges, teller.border("ended", ended)]

    def _times(self, uuid: str) -> Span:
        """When the host opened and closed this instance."""
        number = self.uuids.index(uuid)
        opened = self._at(self.restarts[number - 1][1]) if number else self.opens_at - HOST_IS_EARLY
        closed = self._at(self.restarts[number][0]) if number < len(self.restarts) else self.closes_at
        return opened, closed

    def _edges(self, teller: Teller, stays: Sequence[RoomInterval]) -> Iterator[Told]:
        chance = random.Random(f"{teller.uuid}|strays")
        visits = [self.visits_of(each) for each in self.attendees]
        first = {(stays[0].person, stays[0].visit): stays for stays in by_connection(stays)}
        for (person, number), connection in first.items():
            attendee, visit = self.attendees[person], visits[person][number]
            yield from teller.visit(attendee, visit, connection, chance.choice(self.attendees).email)
            yield from self._roles(teller, attendee, visit, connection)
            for computer in first.get((person, visit.bound_to if visit.bound_to is not None else -1), ())[:1]:
                yield teller.bind(attendee, visit, connection[0], computer)

    def _roles(self, teller: Teller, attendee: Attendee, visit: Visit, stays: Sequence[RoomInterval]) -> Iterator[Told]:
        for second, role in visit.roles:
            at = self._at(second)
            yield from (teller.role(attendee, visit, stay, at, role) for stay in stays if stay.starts <= at < stay.ends)

    def _teller(self, uuid: str, started_at: datetime) -> Teller:
        return Teller(self.kind, self.meeting_id, uuid, self.topic, started_at, self.seconds // 60)

    def _at(self, seconds: int) -> datetime:
        return self.opens_at + timedelta(seconds=seconds)


def registrant_id(meeting_id: str, email: str) -> str:
    """A registrant id as Zoom's look: one for each person and meeting series."""
    digest = sha256(f"{meeting_id}|{email}".encode()).digest()
    return base64.urlsafe_b64encode(digest).decode()[:22]


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
