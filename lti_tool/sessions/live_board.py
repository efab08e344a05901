"""Who is in a live session right now, as the conference system's messages tell it so far: plain values.

PURE. Nothing rests on a board: attendance is settled from the whole evidence, and never from our own clock.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

Where = Literal["here", "waiting", "gone"]
Span = tuple[datetime, datetime]

# The end of a stay that goes on.
NO_END = datetime.max.replace(tzinfo=UTC)
# The curve has about this many points: fine enough for a day, small enough for a page.
POINTS = 96


@dataclass(frozen=True, slots=True)
class LivePerson:
    """One person of the board. `trainee_id` is None while nobody has matched the person; `name` is what the conference
    system shows, maybe empty. `since` is when the person came, went, or began to wait; `room` is the id of a breakout
    room, empty in the main room. `spans`: when the person was in the meeting; the last one of somebody here
    ends at NO_END."""

    key: str
    trainee_id: int | None
    name: str
    where: Where
    since: datetime
    room: str
    by_phone: bool
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class LiveBoard:
    """The board as of `at`. `last_event_at` is when the last message came in, None when none has; `ended_at` is set
    once the meeting is over and nobody has started it again."""

    at: datetime
    people: tuple[LivePerson, ...]
    last_event_at: datetime | None
    ended_at: datetime | None

    @property
    def here(self) -> list[LivePerson]:
        return self.those("here")

    @property
    def trainee_ids(self) -> frozenset[int]:
        """Everybody known who came as far as the waiting room."""
        return frozenset(each.trainee_id for each in self.people if each.trainee_id is not None)

    @property
    def unmatched(self) -> list[LivePerson]:
        """Who is here or waits, and is nobody known."""
        return [each for each in self.people if each.trainee_id is None and each.where != "gone"]

    @property
    def quiet_for(self) -> timedelta | None:
        """How long ago the last message came in."""
        return None if self.last_event_at is None else max(self.at - self.last_event_at, timedelta())

    def those(self, where: Where) -> list[LivePerson]:
        """The people in this state, whoever is in it for longest first."""
        found = [each for each in self.people if each.where == where]
        return sorted(found, key=lambda each: (each.since, each.key))

    def rooms(self) -> list[tuple[str, int]]:
        """(room id, how many are in it now), the fullest first; the main room is "" and always there."""
        counted = Counter({"": 0}) + Counter(each.room for each in self.here)
        counted.setdefault("", 0)
        return sorted(counted.items(), key=lambda each: (bool(each[0]), -each[1], each[0]))

    def curve(self, starts_at: datetime, ends_at: datetime) -> list[tuple[datetime, int]]:
        """How many people were in the meeting at instants between these two, as far as the day has come."""
        until = min(self.at, ends_at)
        step = max((ends_at - starts_at) / POINTS, timedelta(minutes=1))
        instants = [starts_at + step * number for number in range(int((until - starts_at) / step) + 1)]
        return list(zip(instants, _counted(instants, self.people), strict=True))


def _counted(instants: Sequence[datetime], people: Sequence[LivePerson]) -> list[int]:
    """Steps up and down at the edges of each person's spans, which never overlap, so one pass counts everybody."""
    steps: Counter[datetime] = Counter()
    for each in people:
        for start, end in each.spans:
            steps[start] += 1
            steps[end] -= 1
    edges = sorted(steps.items())
    counts, number, at = [], 0, 0
    for instant in instants:
        while at < len(edges) and edges[at][0] <= instant:
            number += edges[at][1]
            at += 1
        counts.append(number)
    return counts
