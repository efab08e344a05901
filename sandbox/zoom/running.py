"""A class that is on: each of its deliveries is sent when the clock of the class reaches it."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, NamedTuple

from sandbox.zoom.behaviours import Visit
from sandbox.zoom.training_day import Event, TrainingDay, encode

PACES = (1, 20)
LOOK_EVERY_SECONDS = 1.0


class Stretch(NamedTuple):
    """From `since` on, at `second` of the class, its clock runs so many times as fast as ours."""

    since: datetime
    second: float
    pace: int


class ClassClock:
    """Which second of the class it is. Its past never changes."""

    def __init__(self, opens_at: datetime) -> None:
        self._stretches = [Stretch(opens_at, 0.0, PACES[0])]

    @property
    def pace(self) -> int:
        return self._stretches[-1].pace

    def turn(self, pace: int, now: datetime) -> None:
        """Run at this pace from now on."""
        self._stretches.append(Stretch(now, self.second(now), pace))

    def second(self, now: datetime) -> float:
        since, second, pace = self._stretches[-1]
        return second + (now - since).total_seconds() * pace

    def moment(self, second: float) -> datetime:
        """When that second of the class was, or will be at the present pace."""
        passed = list(takewhile(lambda each: each.second <= second, self._stretches[1:]))
        since, begun, pace = passed[-1] if passed else self._stretches[0]
        return since + timedelta(seconds=(second - begun) / pace)


@dataclass
class RunningClass:
    """One class under way. `day` is its plan in seconds of the class; `send` delivers one event to the tool."""

    day: TrainingDay
    title: str
    send: Callable[[Event], None]
    clock: ClassClock = field(init=False)
    ended: bool = False
    _sent: set[bytes] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.clock = ClassClock(self.day.opens_at)

    def as_held(self) -> TrainingDay:
        """The day at the times at which it happened so far, and will happen at the present pace."""
        held = [tuple(map(self._at_its_time, self.day.visits_of(each))) for each in self.day.attendees]
        return replace(self.day, visits=tuple(held))

    def tell(self, now: datetime) -> int:
        """Send what has happened by now and was not sent before; how much that was. What is past keeps its bytes."""
        with self._lock:
            told = self.as_held().told()
            new = [(each, body) for each in told if each.at <= now and (body := encode(each.event)) not in self._sent]
            for each, body in new:
                self.send(each.event)
                self._sent.add(body)
                self.ended = self.ended or each.kind == "ended"
            return len(new)

    def turn(self, pace: int, now: datetime) -> None:
        with self._lock:
            self.clock.turn(pace, now)

    def report(self, now: datetime) -> dict[str, Any]:
        """{"title", "minutes" since its beginning, "pace", "sent", "ended"}."""
        minutes = int(min(self.clock.second(now), self.day.seconds) // 60)
        sent = len(self._sent)
        return {"title": self.title, "minutes": minutes, "pace": self.clock.pace, "sent": sent, "ended": self.ended}

    def _at_its_time(self, visit: Visit) -> Visit:
        def at(second: float) -> int:
            return int((self.clock.moment(second) - self.day.opens_at).total_seconds())

        return replace(
            visit,
            starts=at(visit.starts),
            ends=at(visit.ends),
            waits=at(visit.starts) - at(visit.starts - visit.waits),
            moves=tuple(map(at, visit.moves)),
            unseen=tuple(map(at, visit.unseen)),
            pauses=tuple(replace(each, starts=at(each.starts), ends=at(each.ends)) for each in visit.pauses),
            roles=tuple((at(second), role) for second, role in visit.roles),
        )


def keep_telling(running: RunningClass, clock: Callable[[], datetime], at_the_end: Callable[[], None]) -> None:
    """Tell until the class has ended, in a thread of its own."""

    def work() -> None:
        pause = threading.Event()
        while not running.ended:
            pause.wait(LOOK_EVERY_SECONDS)
            running.tell(clock())
        at_the_end()

    threading.Thread(target=work, daemon=True).start()
