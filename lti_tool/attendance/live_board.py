"""Who is in a live session right now, by the conference system's messages so far, and a curve of how many.

PURE. The board decides nothing: attendance is settled from the whole evidence, and never from our own clock.
"""

import math
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from lti_tool.attendance.agenda import Segment, instructional_seconds, taught
from lti_tool.attendance.evidence import PresenceInterval
from lti_tool.attendance.minutes import Attendance, attend
from lti_tool.attendance.timeline import Tick, full_hours
from lti_tool.intervals import Interval, common, seconds, union, without
from lti_tool.programme.model import CompletionPolicy

if TYPE_CHECKING:
    from lti_tool.attendance.live_sessions import LiveSession

Where = Literal["here", "waiting", "gone"]

# The end of an interval that goes on.
NO_END = datetime.max.replace(tzinfo=UTC)
# The curve has about this many points: fine enough for a day, small enough for a page.
POINTS = 96
WIDTH, HEIGHT = 640, 120
# How much time before and after the session the curve shows.
AROUND = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class LivePerson:
    """One person of the board. `trainee_id` is None while the person is unmatched; `name` is what the conference system
    shows, maybe empty. `since` is when the person came, went, or began to wait; `room` is the id of a breakout room,
    empty in the main room. `runs_it`: by the conference system, this person runs the meeting. `intervals` are the
    disjoint times in the meeting; the last one of a person who is here ends at NO_END."""

    key: str
    trainee_id: int | None
    name: str
    where: Where
    since: datetime
    room: str
    by_phone: bool
    runs_it: bool
    intervals: tuple[tuple[datetime, datetime], ...]


@dataclass(frozen=True, slots=True)
class LiveBoard:
    """The board as of `at`: each person on it is here, in the waiting room, or gone. `last_event_at` is when the last
    message came in, None when none has; `ended_at` is set once the meeting has ended and was not started again."""

    at: datetime
    people: tuple[LivePerson, ...]
    last_event_at: datetime | None
    ended_at: datetime | None

    @property
    def here(self) -> list[LivePerson]:
        return self.those("here")

    @property
    def trainee_ids(self) -> frozenset[int]:
        """The matched people who came at least as far as the waiting room."""
        return frozenset(each.trainee_id for each in self.people if each.trainee_id is not None)

    @property
    def unmatched(self) -> list[LivePerson]:
        """The unmatched people who came, wherever they are now."""
        return [each for each in self.people if each.trainee_id is None]

    def without_staff(self, staff: Set[int]) -> "LiveBoard":
        """The board without these trainees and without unmatched people who run the meeting."""
        people = (each for each in self.people if each.trainee_id not in staff)
        return replace(self, people=tuple(each for each in people if each.trainee_id is not None or not each.runs_it))

    def only(self, trainee_ids: Set[int]) -> "LiveBoard":
        """The board with these trainees and no one else."""
        return replace(self, people=tuple(each for each in self.people if each.trainee_id in trainee_ids))

    @property
    def quiet_for(self) -> timedelta | None:
        """How long ago the last message came in, None without one."""
        return None if self.last_event_at is None else max(self.at - self.last_event_at, timedelta())

    def those(self, where: Where) -> list[LivePerson]:
        """The people in this state, the longest in it first."""
        found = [each for each in self.people if each.where == where]
        return sorted(found, key=lambda each: (each.since, each.key))

    def rooms(self) -> list[tuple[str, int]]:
        """(room id, how many are in it now), the fullest first; the main room is "" and always there."""
        counted = Counter({"": 0}) + Counter(each.room for each in self.here)
        counted.setdefault("", 0)
        return sorted(counted.items(), key=lambda each: (bool(each[0]), -each[1], each[0]))

    def curve(self, starts_at: datetime, ends_at: datetime) -> list[tuple[datetime, int]]:
        """How many people were in the meeting at instants between these two, as far as the day has come; the last one
        is the moment of the board, or the end."""
        until = min(self.at, ends_at)
        step = max((ends_at - starts_at) / POINTS, timedelta(minutes=1))
        changes: Counter[datetime] = Counter()
        for each in self.people:
            for start, end in each.intervals:
                changes[start] += 1
                changes[end] -= 1
        edges = sorted(changes.items(), reverse=True)
        points, number = [], 0
        instants = [starts_at + step * each for each in range(math.ceil((until - starts_at) / step))]
        for instant in [*instants, until] if until >= starts_at else []:
            while edges and edges[-1][0] <= instant:
                number += edges.pop()[1]
            points.append((instant, number))
        return points


def latest_return(
    person: LivePerson | None, segments: Sequence[Segment], share: Decimal, at: datetime
) -> datetime | None:
    """The latest instant at which a person who is away at `at` (None: who never came) could come back, stay to the end
    and still complete by this share of instruction; None where it is too late."""
    instruction = taught(segments)
    came = union((start, min(end, at)) for start, end in (person.intervals if person else ()) if start < at)
    missing = math.ceil(share * instructional_seconds(segments)) - seconds(common(came, instruction))
    for each in reversed(instruction):
        if missing <= seconds([each]):
            back_at = each.end - timedelta(seconds=max(missing, 0))
            return back_at if back_at >= at else None
        missing -= seconds([each])
    return None


@dataclass(frozen=True, slots=True)
class SoFar:
    """One person's session up to `at`, by the conference system's messages so far. `day` is what would count if the
    person left now, `best` what would count if the person stayed to the end; the same rules as for settlement."""

    at: datetime
    day: Attendance
    best: Attendance
    present: tuple[Interval, ...]
    missed: tuple[Interval, ...]
    joined_at: datetime | None
    is_here: bool

    @property
    def missed_seconds(self) -> int:
        return sum(int((end - start).total_seconds()) for start, end in self.missed)

    @property
    def seconds_to_come(self) -> int:
        """The instruction still to come."""
        return self.best.seconds_present - self.day.seconds_present

    @property
    def has_enough(self) -> bool:
        return self.day.missing_seconds == 0

    @property
    def can_complete(self) -> bool:
        """Whether enough instruction is left to complete the module."""
        return self.best.missing_seconds == 0


def so_far(person: LivePerson | None, segments: Sequence[Segment], policy: CompletionPolicy, at: datetime) -> SoFar:
    """What one person has attended at `at`; None: the person has not come yet."""
    stays = [(start, min(end, at)) for start, end in (person.intervals if person else ()) if start < at]

    def measured(*more: tuple[datetime, datetime]) -> Attendance:
        intervals = [PresenceInterval(*each, "webhook", True, "board") for each in (*stays, *more)]
        return attend(intervals, segments, policy.share, grace_seconds=policy.grace_seconds)

    end = segments[-1].ends_at if segments else at
    day, instruction = measured(), taught(segments)
    return SoFar(
        at=at,
        day=day,
        best=measured((at, end)) if at < end else day,
        present=tuple(common(stays, instruction)),
        missed=tuple(without([(start, min(stop, at)) for start, stop in instruction if start < at], stays)),
        joined_at=stays[0][0] if stays else None,
        is_here=person is not None and person.where == "here",
    )


@dataclass(frozen=True, slots=True)
class Curve:
    """`line` are the points of a polyline "x,y x,y …" within WIDTH × HEIGHT; `enrolled_y` the height of the number of
    enrolled people, None where it is unknown; `now_x` how far the day has come, and `now_y` how many people there are
    then (`now_count`). `taught` are the left and right edges of the times of instruction. `most` and `most_at` are the
    highest number and when it was reached; `points` are some of them, for a table."""

    line: str
    enrolled_y: float | None
    now_x: float
    now_y: float
    now_count: int
    taught: tuple[tuple[float, float], ...]
    top: int
    most: int
    most_at: datetime
    ticks: tuple[Tick, ...]
    points: tuple[tuple[datetime, int], ...]


def draw(board: LiveBoard, session: "LiveSession", enrolled: int | None) -> Curve | None:
    """The curve from half an hour before the session to half an hour after it; None without anything to draw."""
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
        now_y=y(points[-1][1]),
        now_count=points[-1][1],
        taught=tuple((x(each.start), x(each.end)) for each in taught(session.segments)),
        top=top,
        most=most,
        most_at=next(at for at, number in points if number == most),
        ticks=tuple(Tick(x(at), label) for at, label in full_hours(opens, closes, session.zone)),
        points=tuple(points[:: max(1, len(points) // 16)]),
    )
