"""Days as they come: the same seed gives the same day. What people do is drawn from what is known of live traffic."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sandbox.zoom.behaviours import Pause, Visit
from sandbox.zoom.people import Attendee
from sandbox.zoom.training_day import TrainingDay, registrant_id

MEETING = "86400001234"
PACIFIC = "America/Los_Angeles"
FULL, HALF = timedelta(hours=8), timedelta(hours=4)

# Where and when a class may begin: over midnight UTC in winter and in summer, on the days on which the clocks change,
# across the change itself (at night), across the turn of a year, and where the day is another one than in UTC.
BEGINNINGS = (
    (PACIFIC, "2026-12-01T09:00"),
    (PACIFIC, "2026-07-14T09:00"),
    (PACIFIC, "2026-11-01T09:00"),
    (PACIFIC, "2027-03-14T09:00"),
    (PACIFIC, "2026-11-01T00:30"),
    (PACIFIC, "2027-03-14T00:30"),
    (PACIFIC, "2026-12-31T12:00"),
    ("Europe/Berlin", "2026-10-25T09:00"),
    ("Asia/Tokyo", "2026-09-08T08:00"),
    ("Asia/Kolkata", "2026-09-08T09:00"),
)
NAMES = ("Ada Lindholm", "Élodie Moreau", "Bo Nwosu", "佐藤 ゆき", "Sam O’Hara", "Ada Lindholm", "Guest")


class Occasion(NamedTuple):
    """A day and how it is scheduled: the wall time of its beginning in its zone, and whether it is half a day."""

    day: TrainingDay
    zone: str
    starts: datetime
    is_half: bool


class Round(NamedTuple):
    """Small groups from `opens` to `closes`; `tells` says whether Zoom tells that the host closed them."""

    opens: int
    closes: int
    tells: bool


def random_day(seed: int, people: int | None = None, meeting_id: str = MEETING) -> Occasion:
    """A day of 5 to 25 people, or of so many as are asked for, and a host."""
    chance = random.Random(f"day {seed}")
    zone, wall = chance.choice(BEGINNINGS)
    is_half = chance.random() < 0.3
    starts = datetime.fromisoformat(wall)
    ends = starts + (HALF if is_half else FULL)
    opens_at, closes_at = (each.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) for each in (starts, ends))
    casting = _Casting(chance, int((closes_at - opens_at).total_seconds()), meeting_id, chance.random() < 0.15)
    cast = [casting.anybody(number) for number in range(people or chance.randint(5, 25))]
    day = TrainingDay(
        meeting_id,
        opens_at,
        closes_at,
        (*cast, casting.host()),
        kind="webinar" if casting.is_webinar else "meeting",
        topic=chance.choice(("Training day – live", "Практика 🌿", "Training day")),
        seed=seed,
        restarts=casting.restarts(),
        shared_user_ids=chance.choice((0, 0, 0, 3)),
    )
    return Occasion(day, zone, starts, is_half)


def full_day(people: int, seed: int = 0, rounds: int = 6, meeting_id: str = MEETING) -> TrainingDay:
    """A day of so many people in the same rounds of small groups, as big classes are: everybody registered, some late,
    some gone early, some reconnecting."""
    length = int(FULL.total_seconds())
    casting = _Casting(random.Random(f"full day {seed}"), length, meeting_id)
    step = length // (rounds + 1)
    casting.rounds = [Round(step * (number + 1) - 1500, step * (number + 1), tells=True) for number in range(rounds)]
    opens_at = datetime(2026, 12, 1, 17, tzinfo=UTC)
    cast = tuple(casting.registered(number) for number in range(people))
    return TrainingDay(meeting_id, opens_at, opens_at + FULL, cast, seed=seed)


class _Casting:
    """Draws what people do on one day of `length` seconds."""

    def __init__(self, chance: random.Random, length: int, meeting_id: str, is_webinar: bool = False) -> None:
        self.chance = chance
        self.length = length
        self.meeting_id = meeting_id
        self.is_webinar = is_webinar
        self.rounds = list(self._rounds())

    def _rounds(self) -> Iterator[Round]:
        at = self.chance.randint(1200, 4000)
        while at < self.length - 3000 and self.chance.random() < 0.8:
            closes = at + self.chance.randint(600, 2400)
            yield Round(at, closes, tells=self.chance.random() < 0.75)
            at = closes + self.chance.randint(900, 5400)

    def restarts(self) -> tuple[tuple[int, int], ...]:
        """Now and then the host ends the meeting by mistake and begins it again."""
        if self.chance.random() < 0.75:
            return ()
        at = self.chance.randint(self.length // 4, self.length // 2)
        return ((at, at + self.chance.randint(20, 900)),)

    def host(self) -> Attendee:
        """Zoom cannot register the host. Some leave at noon and let somebody else go on."""
        ends = self.length + 120 if self.chance.random() < 0.7 else self.length // 2
        return Attendee("The host", visits=(Visit(-700, ends, roles=((ends - 30, "attendee"),)),))

    def anybody(self, number: int) -> Attendee:
        """Registered as nearly everybody, known by the address only, or a guest with nothing but a name."""
        visits = tuple(self._visits())
        name = self.chance.choice(NAMES)
        email = f"person{number}@example.org"
        sort = self.chance.random()
        if sort < 0.8:
            shows = self.chance.random() < 0.5
            return Attendee(name, email, registrant_id(self.meeting_id, email), visits=visits, shows_email=shows)
        return Attendee(name, email if sort < 0.9 else "", visits=visits)

    def registered(self, number: int) -> Attendee:
        email = f"person{number}@example.org"
        starts, ends = self._there()
        spans = self._reconnecting(starts, ends) if self.chance.random() < 0.1 else [(starts, ends)]
        visits = tuple(self._in_rounds(*span) for span in spans)
        return Attendee(f"Person {number}", email, registrant_id(self.meeting_id, email), visits=visits)

    def _visits(self) -> Iterator[Visit]:
        starts, ends = self._there()
        habit = self.chance.random()
        if habit < 0.05:
            return
        if habit < 0.25:
            spans = self._reconnecting(starts, ends)
        elif habit < 0.35:
            away = self.chance.randint(starts + 600, ends - 600)
            spans = [(starts, away), (min(away + self.chance.randint(600, 5400), ends - 60), ends)]
        else:
            spans = [(starts, ends)]
        visits = [self._interrupted(self._in_rounds(*span)) for span in spans]
        yield from visits
        yield from self._second_device(visits[0])

    def _there(self) -> tuple[int, int]:
        early, late = -self.chance.randint(1, 900), self.chance.randint(0, self.length // 3)
        stays, leaves = self.length + self.chance.randint(0, 600), self.chance.randint(self.length // 2, self.length)
        return self.chance.choice((early, early, late)), self.chance.choice((stays, self.length, leaves))

    def _reconnecting(self, starts: int, ends: int) -> list[tuple[int, int]]:
        """The connection is lost; the new one begins up to 90 s before the old one is given up, or up to half an hour
        later."""
        spans = []
        while ends - starts > 4000 and len(spans) < 4:
            lost = self.chance.randint(starts + 300, ends - 2400)
            spans.append((starts, lost))
            overlap, soon = -self.chance.randint(1, 90), self.chance.randint(5, 120)
            starts = lost + self.chance.choice((overlap, soon, self.chance.randint(60, 1900)))
        return [*spans, (starts, ends)]

    def _in_rounds(self, starts: int, ends: int) -> Visit:
        """In and out of the small groups, a few seconds after the host opens and closes them. Who comes in the middle
        of a round stays in the main room."""
        moves, unseen = [], []
        for each in self.rounds:
            into, out = each.opens + self.chance.randint(0, 20), each.closes + self.chance.randint(0, 60)
            if starts < into and out < ends:
                moves.append(into)
                (moves if each.tells else unseen).append(out)
        waits = 0 if self.is_webinar else self.chance.choice((0, 0, self.chance.randint(5, 1500)))
        return Visit(starts, ends, tuple(moves), waits, unseen=tuple(unseen))

    def _interrupted(self, visit: Visit) -> Visit:
        """Put back in the waiting room, or a short drop that leaves the connection its id."""
        sort = self.chance.random()
        if sort > 0.16 or visit.ends - visit.starts < 1800:
            return visit
        at = self.chance.randint(visit.starts + 60, visit.ends - 900)
        waits = sort < 0.08 and not self.is_webinar
        pause = Pause(at, at + self.chance.randint(5, 600), waits=waits, tells=sort > 0.04 or not waits)
        return replace(visit, pauses=(pause,))

    def _second_device(self, first: Visit) -> Iterator[Visit]:
        """A telephone bound to the computer, one that nobody bound, or another computer."""
        sort = self.chance.random()
        if sort > 0.2 or first.ends - first.starts < 1200:
            return
        starts = self.chance.randint(first.starts, first.ends - 600)
        ends = starts + self.chance.randint(300, 9000)
        if sort < 0.08 and not first.pauses:
            yield Visit(starts, ends, phone=True, bound_to=0)
        elif sort < 0.11:
            yield Visit(starts, ends, phone=True)
        else:
            yield self._in_rounds(starts, ends)
