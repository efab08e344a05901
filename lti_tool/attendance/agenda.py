"""The agenda of a live session as instants: which seconds of it are instruction.

PURE. Wall times become UTC through the IANA zone of the session, so a day on which the clocks change has its real
length. Segments do not overlap and are in order of time (ce.md T2).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from lti_tool.intervals import Interval, union
from lti_tool.programme.catalogue import Agenda


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a live session, from `starts_at` to `ends_at` (aware UTC). Only instructional segments count."""

    starts_at: datetime
    ends_at: datetime
    title: str
    instructional: bool

    @property
    def seconds(self) -> int:
        return int((self.ends_at - self.starts_at).total_seconds())


def lay_out(agenda: Agenda, day: date, zone: str) -> tuple[Segment, ...]:
    """Returns the agenda on one day in one zone.

    A wall time that is earlier than the one before it belongs to the next day. A part that lies wholly in the hour
    that summer time skips is left out; a part that lies partly in it is shorter.
    """
    segments = []
    wall = datetime.combine(day, time.min)
    for part in agenda.parts:
        starts = _next_wall(wall, part.starts)
        wall = _next_wall(starts, part.ends)
        starts_at, ends_at = _instant(starts, zone), _instant(wall, zone)
        if starts_at < ends_at:
            segments.append(Segment(starts_at, ends_at, part.title, part.instructional))
    return tuple(segments)


def instructional_seconds(segments: Iterable[Segment]) -> int:
    return sum(segment.seconds for segment in segments if segment.instructional)


def taught(segments: Iterable[Segment]) -> list[Interval]:
    """The times of instruction, in order; segments that touch are one interval."""
    return union((each.starts_at, each.ends_at) for each in segments if each.instructional)


def to_json(segments: Iterable[Segment]) -> list[dict[str, Any]]:
    """Plain values for a JSON column; instants as ISO 8601 in UTC."""
    return [
        {
            "starts_at": segment.starts_at.astimezone(UTC).isoformat(),
            "ends_at": segment.ends_at.astimezone(UTC).isoformat(),
            "title": segment.title,
            "instructional": segment.instructional,
        }
        for segment in segments
    ]


def from_json(raw: Sequence[Mapping[str, Any]]) -> tuple[Segment, ...]:
    """The segments that `to_json` wrote."""
    return tuple(
        Segment(
            datetime.fromisoformat(each["starts_at"]),
            datetime.fromisoformat(each["ends_at"]),
            each["title"],
            each["instructional"],
        )
        for each in raw
    )


def _next_wall(previous: datetime, at: time) -> datetime:
    wall = datetime.combine(previous.date(), at)
    return wall if wall >= previous else wall + timedelta(days=1)


def _instant(wall: datetime, zone: str) -> datetime:
    """The instant of a wall time: the first of two where the clocks show it twice; where they skip it, the moment of
    the change (to the second), so that parts stay in order and do not overlap."""
    there = ZoneInfo(zone)
    after = wall.replace(tzinfo=there).astimezone(UTC)
    if after.astimezone(there).replace(tzinfo=None) == wall:
        return after
    before = wall.replace(tzinfo=there, fold=1).astimezone(UTC)
    offset = before.astimezone(there).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(there).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
