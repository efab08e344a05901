"""One person's day as lists and shapes a page can draw: what counted, what did not, and why.

Pure: reads the plain JSON of `attendance.Attendance.day()`. Picture and table come from the same stretches, so they
cannot disagree.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

Kind = Literal["counted", "missed", "pause", "outside"]
Day = Mapping[str, Any]

# How much of a stay before the first and after the last segment the picture still shows.
MARGIN = timedelta(minutes=30)
WIDTH = 640

# What is said of a stretch to the person it is about, and about that person to staff.
WHY = {
    "counted": "You were in the session.",
    "absent": "You were not seen in the session.",
    "before_arrival": "Before you arrived.",
    "away": "You were not in the session.",
    "left_early": "After you had left.",
    "waiting_room": "You were in the waiting room, which is not the session.",
    "unconfirmed": "We cannot tell from Zoom's records that you were in the session.",
}
WHY_OF_ANOTHER = {
    "counted": "In the session.",
    "absent": "Not seen in the session.",
    "before_arrival": "Before arriving.",
    "away": "Not in the session.",
    "left_early": "After leaving.",
    "waiting_room": "In the waiting room, which is not the session.",
    "unconfirmed": "Zoom's records do not tell whether the person was in the session.",
}
EVIDENCE = {
    "webhook": "Zoom, live",
    "report": "Zoom's report afterwards",
    "both": "Zoom, live and in its report",
    "estimated": "estimated",
}
FLAGS = {
    "estimated": "Some of this time is an estimate, because Zoom's records have a gap.",
    "unconfirmed": "Some time could not be counted, because Zoom's records do not confirm it.",
    "concurrent": "You were connected with two devices at once. The time counts once.",
    "stale": "Some of Zoom's messages arrived late.",
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """One row of the day: from–to, what it is part of, and what it earned. `says` is a full sentence."""

    from_at: datetime
    to_at: datetime
    kind: Kind
    title: str
    says: str

    @property
    def seconds(self) -> int:
        return round((self.to_at - self.from_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Shape:
    """A rectangle of the picture; x and width in units of `WIDTH`."""

    x: float
    width: float
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Two lanes over one axis: the agenda above, the presence below."""

    agenda: tuple[Shape, ...]
    presence: tuple[Shape, ...]
    ticks: tuple[Tick, ...]


def stretches(day: Day, why: Mapping[str, str] = WHY) -> tuple[Stretch, ...]:
    """The whole day in order, every minute of the agenda exactly once, and presence around it. `why` are the words: WHY
    or WHY_OF_ANOTHER."""
    segments = day["segments"]
    if not segments:
        return ()
    inside = [each for segment in segments for each in _of_segment(segment, why)]
    first, last = inside[0].from_at, inside[-1].to_at
    before = [_outside(start, min(end, first)) for start, end in _presence(day) if start < first]
    after = [_outside(max(start, last), end) for start, end in _presence(day) if end > last]
    return (*before, *inside, *after)


def draw(day: Day, zone: str) -> Picture | None:
    """The picture, None for a day without an agenda. `zone` is the IANA zone of the axis."""
    rows = stretches(day)
    if not rows:
        return None
    scale = _Scale(*_bounds(day))
    return Picture(
        agenda=tuple(_agenda_shape(scale, segment) for segment in day["segments"]),
        presence=tuple(_presence_shapes(scale, day, rows)),
        ticks=tuple(_ticks(scale, zone)),
    )


def missing_seconds(day: Day) -> int:
    """How many seconds more would have completed the module; 0 when it is completed."""
    return max(0, int(day["seconds_required"]) - int(day["seconds_present"]))


@dataclass(frozen=True, slots=True)
class _Scale:
    start: datetime
    end: datetime

    def x(self, at: datetime) -> float:
        share = (at - self.start) / (self.end - self.start)
        return round(min(1.0, max(0.0, share)) * WIDTH, 1)

    def shape(self, start: datetime, end: datetime, kind: str, label: str) -> Shape:
        left = self.x(start)
        return Shape(left, round(self.x(end) - left, 1), kind, label)


def _of_segment(segment: Mapping[str, Any], why: Mapping[str, str]) -> Iterator[Stretch]:
    start, end, title = _at(segment["from"]), _at(segment["to"]), segment["title"]
    if not segment["instructional"]:
        yield Stretch(start, end, "pause", title, "A break: it counts for nobody, and leaving costs nothing.")
        return
    at = start
    for gap in segment["missed"]:
        gap_start, gap_end = _at(gap["from"]), _at(gap["to"])
        if at < gap_start:
            yield Stretch(at, gap_start, "counted", title, why["counted"])
        yield Stretch(gap_start, gap_end, "missed", title, why.get(gap["why"], "Not counted."))
        at = gap_end
    if at < end:
        yield Stretch(at, end, "counted", title, why["counted"])


def _outside(start: datetime, end: datetime) -> Stretch:
    return Stretch(start, end, "outside", "Outside the agenda", "Only teaching on the agenda counts.")


def _presence(day: Day) -> list[tuple[datetime, datetime]]:
    return [(_at(each["from"]), _at(each["to"])) for each in day["intervals"]]


def _bounds(day: Day) -> tuple[datetime, datetime]:
    first, last = _at(day["segments"][0]["from"]), _at(day["segments"][-1]["to"])
    starts = [start for start, _ in _presence(day)]
    ends = [end for _, end in _presence(day)]
    return max(first - MARGIN, min([first, *starts])), min(last + MARGIN, max([last, *ends]))


def _agenda_shape(scale: _Scale, segment: Mapping[str, Any]) -> Shape:
    kind = "teaching" if segment["instructional"] else "pause"
    return scale.shape(_at(segment["from"]), _at(segment["to"]), kind, segment["title"])


def _presence_shapes(scale: _Scale, day: Day, rows: tuple[Stretch, ...]) -> Iterator[Shape]:
    """Missing and counted teaching from the table's own rows; presence in breaks and around the day as uncounted."""
    for start, end in _presence(day):
        if scale.x(start) < scale.x(end):
            yield scale.shape(start, end, "uncounted", "not counted")
    for row in rows:
        if row.kind == "counted":
            yield scale.shape(row.from_at, row.to_at, "counted", "counted")
        elif row.kind == "missed":
            yield scale.shape(row.from_at, row.to_at, "missing", "missed")


def _ticks(scale: _Scale, zone: str) -> Iterator[Tick]:
    """A mark at every full hour of the zone."""
    at = scale.start.astimezone(ZoneInfo(zone))
    at = (at + timedelta(minutes=59, seconds=59)).replace(minute=0, second=0, microsecond=0)
    while at <= scale.end:
        yield Tick(scale.x(at), f"{at.hour % 12 or 12} {'am' if at.hour < 12 else 'pm'}")
        at = (at.astimezone(UTC) + timedelta(hours=1)).astimezone(ZoneInfo(zone))


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
