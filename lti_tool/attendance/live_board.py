"""Who is in a live session right now, as the conference system's messages tell it so far: plain values.

PURE. Nothing rests on a board: attendance is settled from the whole evidence, and never from our own clock.

How many people were in a class over its day, as a line a page can draw. PURE.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from lti_tool.attendance.timeline import Tick

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


WIDTH, HEIGHT = 640, 120
AROUND = timedelta(minutes=30)


class Session(Protocol):
    """What is asked of a live session."""

    @property
    def starts_at(self) -> datetime: ...
    @property
    def ends_at(self) -> datetime: ...
    @property
    def zone(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Curve:
    """`line` are the points of a polyline "x,y x,y …" within WIDTH × HEIGHT; `enrolled_y` the height of the number of
    enrolled people, None where it is unknown; `now_x` how far the day has come. `most` and `most_at` are the highest
    number and when it was reached; `told` are some of the points in words."""

    line: str
    enrolled_y: float | None
    now_x: float
    starts_x: float
    ends_x: float
    top: int
    most: int
    most_at: datetime
    ticks: tuple[Tick, ...]
    told: tuple[tuple[datetime, int], ...]


def draw(board: LiveBoard, session: Session, enrolled: int | None) -> Curve | None:
    """The line from half an hour before the class to half an hour after it; None before there is anything to draw."""
    opens, closes = session.starts_at - AROUND, session.ends_at + AROUND
    points = board.curve(opens, closes)
    if not points or not board.people:
        return None
    most = max(number for _, number in points)
    top = max(most, enrolled or 0, 1)

    def x(at: datetime) -> float:
        return round((at - opens) / (closes - opens) * WIDTH, 1)

    def y(number: int) -> float:
        return round(HEIGHT - number / top * HEIGHT, 1)

    return Curve(
        line=" ".join(f"{x(at)},{y(number)}" for at, number in points),
        enrolled_y=None if enrolled is None else y(enrolled),
        now_x=x(points[-1][0]),
        starts_x=x(session.starts_at),
        ends_x=x(session.ends_at),
        top=top,
        most=most,
        most_at=next(at for at, number in points if number == most),
        ticks=tuple(Tick(x(at), _clock(at, session.zone)) for at in _hours(opens, closes, session.zone)),
        told=tuple(points[:: max(1, len(points) // 16)]),
    )


def _hours(opens: datetime, closes: datetime, zone: str) -> list[datetime]:
    """Every full hour between two instants, on the wall of the zone."""
    wall = opens.astimezone(ZoneInfo(zone))
    first = opens + (timedelta(hours=1) - timedelta(minutes=wall.minute, seconds=wall.second)) % timedelta(hours=1)
    return [first + timedelta(hours=number) for number in range(int((closes - first) / timedelta(hours=1)) + 1)]


def _clock(at: datetime, zone: str) -> str:
    hour = at.astimezone(ZoneInfo(zone)).hour
    return f"{hour % 12 or 12} {'am' if hour < 12 else 'pm'}"
