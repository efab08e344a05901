"""How many people were in a class over its day, as a line a page can draw. PURE."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from lti_tool.sessions.day_picture import Tick
from lti_tool.sessions.live_board import LiveBoard

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
