"""One person's day as lists and shapes a page can draw: what counted, what did not, why, and where it was.

PURE: reads the plain JSON of `attendance.Attendance.day()`. Picture and tables come from the same stretches, so they
cannot disagree. Days stored by an earlier release say nothing of rooms, waiting rooms or reports.

What is said of a day of presence, to the person it is about and about that person to staff.

PURE. Every code that a stored day may hold has its words here; a code that is newer than the words says something
general, never nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from lti_tool.attendance.minutes import forgiven_stretches

WHY = {
    "counted": "You were in the session.",
    "absent": "You were not seen in the session.",
    "before_arrival": "Before you arrived.",
    "away": "You were not in the session.",
    "left_early": "After you had left.",
    "waiting_room": "You were in the waiting room, which is not the session.",
    "unconfirmed": "We cannot tell from Zoom's records that you were in the session.",
    "staff_role": "You ran the session in this time, which is work and no attendance.",
    "corrected": "The training team took this time away and wrote down why.",
}
WHY_OF_ANOTHER = {
    "counted": "In the session.",
    "absent": "Not seen in the session.",
    "before_arrival": "Before arriving.",
    "away": "Not in the session.",
    "left_early": "After leaving.",
    "waiting_room": "In the waiting room, which is not the session.",
    "unconfirmed": "Zoom's records do not tell whether the person was in the session.",
    "staff_role": "Ran the session in this time, which is no attendance.",
    "corrected": "Taken away by staff, with a reason.",
}
EVIDENCE = {
    "webhook": "Zoom, live",
    "report": "Zoom's report afterwards",
    "both": "Zoom, live and in its report",
    "estimated": "estimated",
    "manual": "the training team",
}
FLAGS = {
    "estimated": "Some of this time is an estimate, because Zoom's records have a gap.",
    "unconfirmed": "Some time could not be counted, because Zoom's records do not confirm it.",
    "concurrent": "You were connected with two devices at once. The time counts once.",
    "stale": "Some of Zoom's messages arrived late.",
    "webhook_log": "Some of Zoom's messages were lost on the way and read from Zoom's own log later.",
    "interrupted": "Your connection was away for a while, or Zoom's messages of that time were lost.",
    "open": "Zoom has not told when one of your stays ended, so it does not count yet.",
    "conflict": "Zoom's records name two different people for one connection, so somebody looks at it.",
    "report_differs": "Zoom's live messages and its report tell different times for you, so somebody looks at it.",
    "report_missing": "Zoom's report does not list you, so somebody looks at it.",
    "report_only": "Only Zoom's report shows you; its live messages did not. Somebody looks at it.",
    "phone": "Some of this time was by phone.",
    "manual": "Some of this time rests on what the training team recorded.",
    "corrected": "The training team corrected this day and wrote down why.",
    "evidence_withdrawn": "What showed you here turned out to be about somebody else.",
}
STAFF_FLAGS = {
    "estimated": "partly estimated",
    "unconfirmed": "partly unconfirmed",
    "concurrent": "two devices at once",
    "stale": "late messages",
    "webhook_log": "partly from Zoom's log",
    "open": "a stay without an end",
    "interrupted": "connection interrupted",
    "conflict": "two registrations on one connection",
    "repeated": "the same stay told twice",
    "reversed": "left before joining",
    "report_differs": "report differs",
    "report_missing": "not in the report",
    "report_only": "only in the report",
    "phone": "by phone",
    "phone_only": "by phone only",
    "no_connection_id": "connection without an id",
    "manual": "partly recorded by staff",
    "corrected": "corrected by staff",
    "staff_role": "ran the session",
    "evidence_withdrawn": "evidence withdrawn",
    "in_progress": "running values",
}
REASONS = {
    "report_lacks": "the report lacks time that the live messages prove",
    "webhooks_lack": "the report shows time of which no live message came",
    "estimate_unconfirmed": "the report does not confirm what was estimated",
    "completed_by_report": "the report fills a gap in the live messages",
    "waiting_room_in_report": "the report counts time in the waiting room",
    "room_unclear_in_report": "the report shows this address in a breakout room, which alone proves nobody's presence",
    "rounding": "the two round to different seconds",
}
DIFFERENCE_TOLD = "The two are kept side by side; neither replaces the other by itself."


def flags_in_words(flags: Iterable[str]) -> list[str]:
    """The short notes that staff read beside somebody's minutes."""
    return [STAFF_FLAGS.get(flag, flag.replace("_", " ")) for flag in flags]


def evidence_in_words(grades: Iterable[str]) -> str:
    """By which records something is known: "Zoom, live; estimated"."""
    return "; ".join(EVIDENCE.get(grade, grade) for grade in grades)


def reasons_in_words(report: Mapping[str, Any]) -> str:
    """Why the two records of a day differ, as far as that is known; empty where it is not."""
    return "; ".join(REASONS.get(each, each.replace("_", " ")) for each in report["reasons"])


def room_name(room: str, names: Mapping[str, str]) -> str:
    """What staff call a room; else a short mark of Zoom's id, which is the same on every page."""
    if not room:
        return "A breakout room"
    mark = "".join(letter for letter in room if letter.isalnum() and letter.isascii())[:4].upper()
    return names.get(room) or f"Room {mark}"


Kind = Literal["counted", "forgiven", "missed", "pause", "outside"]
Day = Mapping[str, Any]
Span = tuple[datetime, datetime]

# How much of a stay before the first and after the last segment the picture still shows.
MARGIN = timedelta(minutes=30)
WIDTH = 640
# About how wide a letter of the picture's text is, in the units of the picture.
LETTER = 7.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """One row of the day: from–to, what it is part of, and what it earned. `says` is a full sentence; `evidence` is the
    grade of what counted, empty elsewhere."""

    from_at: datetime
    to_at: datetime
    kind: Kind
    title: str
    says: str
    evidence: str = ""

    @property
    def seconds(self) -> int:
        return round((self.to_at - self.from_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Time in one breakout room, or in the waiting room (`is_waiting`). `room` is Zoom's id, empty where unknown."""

    from_at: datetime
    to_at: datetime
    room: str
    is_waiting: bool = False

    @property
    def seconds(self) -> int:
        return round((self.to_at - self.from_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Shape:
    """A rectangle of the picture; x and width in units of `WIDTH`. `grade` is the evidence of what counted; `text` is
    the label where there is room to write it into the shape."""

    x: float
    width: float
    kind: str
    label: str
    grade: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Lanes over one axis: the agenda, the presence below it, and the breakout rooms where there were any."""

    agenda: tuple[Shape, ...]
    presence: tuple[Shape, ...]
    rooms: tuple[Shape, ...]
    ticks: tuple[Tick, ...]

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of shapes and the grades of evidence that the key must explain."""
        shapes = (*self.agenda, *self.presence, *self.rooms)
        return frozenset(each.grade or each.kind for each in shapes)


def stretches(day: Day, why: Mapping[str, str] = WHY, grace_seconds: int = 0) -> tuple[Stretch, ...]:
    """The whole day in order, every minute of the agenda exactly once, and presence around it. `why` are the words:
    day_words.WHY or WHY_OF_ANOTHER; `grace_seconds` is how long an absence the programme forgives."""
    segments = day["segments"]
    if not segments:
        return ()
    forgiven = forgiven_stretches(day, grace_seconds) if day.get("seconds_forgiven") else frozenset()
    inside = [_graced(each, forgiven) for segment in segments for each in _of_segment(segment, day, why)]
    first, last = inside[0].from_at, inside[-1].to_at
    before = [_outside(start, min(end, first)) for start, end in _presence(day) if start < first]
    after = [_outside(max(start, last), end) for start, end in _presence(day) if end > last]
    return (*before, *inside, *after)


def whereabouts(day: Day) -> tuple[Whereabouts, ...]:
    """Breakout rooms and waiting rooms in order of time."""
    rooms = [Whereabouts(*_span(each), each["room"]) for each in day.get("rooms", ())]
    waits = [Whereabouts(*_span(each), "", is_waiting=True) for each in day.get("waiting", ())]
    return tuple(sorted((*rooms, *waits), key=lambda each: (each.from_at, each.to_at, each.room)))


def grades(day: Day) -> tuple[str, ...]:
    """The grades of evidence on which counted time rests, in the order in which they first appear."""
    return tuple(dict.fromkeys(each["evidence"] for each in day["intervals"] if each["counted_seconds"]))


def draw(day: Day, zone: str, rooms: Mapping[str, str] | None = None, grace_seconds: int = 0) -> Picture | None:
    """The picture, None for a day without an agenda. `zone` is the IANA zone of the axis, `rooms` what staff call the
    rooms, by Zoom's id."""
    rows = stretches(day, grace_seconds=grace_seconds)
    if not rows:
        return None
    scale = _Scale(*_bounds(day), WIDTH)
    return Picture(
        agenda=tuple(_agenda_shape(scale, segment) for segment in day["segments"]),
        presence=tuple(_presence_shapes(scale, day, rows)),
        rooms=tuple(_room_shapes(scale, day, rooms or {})),
        ticks=tuple(_ticks(scale, zone)),
    )


def strip(day: Day, width: int) -> tuple[Shape, ...]:
    """The teaching of a day in one thin line: what counted and what was missed, for a list of many people."""
    if not day["segments"]:
        return ()
    scale = _Scale(_at(day["segments"][0]["from"]), _at(day["segments"][-1]["to"]), width)
    return tuple(_row_shape(scale, row) for row in stretches(day) if row.kind in ("counted", "missed"))


def missing_seconds(day: Day) -> int:
    """How many seconds more would have completed the module; 0 when it is completed."""
    counted = int(day["seconds_present"]) + int(day.get("seconds_forgiven", 0))
    return max(0, int(day["seconds_required"]) - counted)


@dataclass(frozen=True, slots=True)
class _Scale:
    start: datetime
    end: datetime
    width: int

    def x(self, at: datetime) -> float:
        share = (at - self.start) / (self.end - self.start)
        return round(min(1.0, max(0.0, share)) * self.width, 1)

    def shape(self, start: datetime, end: datetime, kind: str, label: str, grade: str = "") -> Shape:
        left = self.x(start)
        return Shape(left, round(self.x(end) - left, 1), kind, label, grade)


def _of_segment(segment: Mapping[str, Any], day: Day, why: Mapping[str, str]) -> Iterator[Stretch]:
    start, end = _span(segment)
    title = segment["title"]
    if not segment["instructional"]:
        yield Stretch(start, end, "pause", title, "A break: it counts for nobody, and leaving costs nothing.")
        return
    at = start
    for gap in segment["missed"]:
        gap_start, gap_end = _span(gap)
        yield from _counted(at, gap_start, title, day, why)
        yield Stretch(gap_start, gap_end, "missed", title, why.get(gap["why"], "Not counted."))
        at = gap_end
    yield from _counted(at, end, title, day, why)


def _graced(row: Stretch, forgiven: Set[Span]) -> Stretch:
    if (row.from_at, row.to_at) not in forgiven:
        return row
    return replace(row, kind="forgiven", says="A short absence, which the rules forgive. It is no presence.")


def _counted(start: datetime, end: datetime, title: str, day: Day, why: Mapping[str, str]) -> Iterator[Stretch]:
    """What counted between two gaps, one stretch for each grade of evidence."""
    at, says = start, why["counted"]
    for (first, last), grade in _merged((_span(each), each["evidence"]) for each in day["intervals"]):
        first, last = max(first, at), min(last, end)
        if first < last:
            if at < first:
                yield Stretch(at, first, "counted", title, says)
            yield Stretch(first, last, "counted", title, says, grade)
            at = last
    if at < end:
        yield Stretch(at, end, "counted", title, says)


def _merged(graded: Iterable[tuple[Span, str]]) -> list[tuple[Span, str]]:
    """Touching stretches of one grade are one."""
    found: list[tuple[Span, str]] = []
    for (start, end), grade in graded:
        if found and found[-1][1] == grade and found[-1][0][1] == start:
            start = found.pop()[0][0]
        found.append(((start, end), grade))
    return found


def _outside(start: datetime, end: datetime) -> Stretch:
    return Stretch(start, end, "outside", "Outside the agenda", "Only teaching on the agenda counts.")


def _presence(day: Day) -> list[Span]:
    """Time in the meeting, whatever the grade."""
    return [span for span, _ in _merged((_span(each), "") for each in day["intervals"])]


def _bounds(day: Day) -> Span:
    first, last = _at(day["segments"][0]["from"]), _at(day["segments"][-1]["to"])
    spans = [*_presence(day), *((each.from_at, each.to_at) for each in whereabouts(day))]
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    return max(first - MARGIN, min([first, *starts])), min(last + MARGIN, max([last, *ends]))


def _agenda_shape(scale: _Scale, segment: Mapping[str, Any]) -> Shape:
    kind = "teaching" if segment["instructional"] else "pause"
    return _written(scale.shape(*_span(segment), kind, segment["title"]))


def _written(shape: Shape) -> Shape:
    """With its label written into it where that has room."""
    return replace(shape, text=shape.label) if len(shape.label) * LETTER + 6 <= shape.width else shape


def _presence_shapes(scale: _Scale, day: Day, rows: Sequence[Stretch]) -> Iterator[Shape]:
    """Missing and counted teaching from the table's own rows; presence in breaks and around the day as uncounted."""
    for each in whereabouts(day):
        if each.is_waiting:
            yield scale.shape(each.from_at, each.to_at, "waiting", "waiting room")
    for start, end in _presence(day):
        if scale.x(start) < scale.x(end):
            yield scale.shape(start, end, "uncounted", "not counted")
    for row in rows:
        if row.kind in ("counted", "forgiven", "missed"):
            yield _row_shape(scale, row)


def _row_shape(scale: _Scale, row: Stretch) -> Shape:
    if row.kind == "counted":
        return scale.shape(row.from_at, row.to_at, "counted", "counted", row.evidence)
    if row.kind == "forgiven":
        return scale.shape(row.from_at, row.to_at, "forgiven", "forgiven")
    return scale.shape(row.from_at, row.to_at, "missing", "missed")


def _room_shapes(scale: _Scale, day: Day, names: Mapping[str, str]) -> Iterator[Shape]:
    for each in whereabouts(day):
        if not each.is_waiting:
            yield _written(scale.shape(each.from_at, each.to_at, "room", room_name(each.room, names)))


def _ticks(scale: _Scale, zone: str) -> Iterator[Tick]:
    """A mark at every full hour of the zone."""
    at = scale.start.astimezone(ZoneInfo(zone))
    at = (at + timedelta(minutes=59, seconds=59)).replace(minute=0, second=0, microsecond=0)
    while at <= scale.end:
        yield Tick(scale.x(at), f"{at.hour % 12 or 12} {'am' if at.hour < 12 else 'pm'}")
        at = (at.astimezone(UTC) + timedelta(hours=1)).astimezone(ZoneInfo(zone))


def _span(each: Mapping[str, Any]) -> Span:
    return _at(each["from"]), _at(each["to"])


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
