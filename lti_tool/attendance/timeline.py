"""One person's attendance as rows and shapes a page can draw: what counted, what did not, why, and where it was.

PURE. Picture and tables come from the same rows, so they cannot disagree. Every code that a stored day may hold has
its words here; a code that is newer than the words is shown as it is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from lti_tool import times
from lti_tool.attendance.agenda import Segment, taught
from lti_tool.attendance.evidence import ReportComparison, RoomInterval
from lti_tool.attendance.minutes import Attendance, forgiven_gaps
from lti_tool.intervals import Interval, common, union
from lti_tool.languages import N_, gettext, translated

WHY = {
    "counted": N_("You were in the session."),
    "absent": N_("Zoom did not record you in the session."),
    "before_arrival": N_("Before you arrived."),
    "away": N_("You were not in the session."),
    "left_early": N_("After you had left."),
    "waiting_room": N_("You were in the waiting room, which is not the session."),
    "unconfirmed": N_("Zoom's records do not show that you were in the session."),
    "staff_role": N_("You ran the session during this time, so it does not count as attendance."),
    "corrected": N_("The training team removed this time and recorded the reason."),
}
WHY_OF_ANOTHER = {
    "counted": "In the session.",
    "absent": "Not recorded in the session.",
    "before_arrival": "Before arriving.",
    "away": "Not in the session.",
    "left_early": "After leaving.",
    "waiting_room": "In the waiting room, which is not the session.",
    "unconfirmed": "Zoom's records do not show whether the person was in the session.",
    "staff_role": "Ran the session during this time, so it does not count as attendance.",
    "corrected": "Removed by staff, with a reason.",
}
EVIDENCE = {
    "webhook": N_("Zoom, live"),
    "report": N_("Zoom's report afterwards"),
    "both": N_("Zoom, live and in its report"),
    "estimated": N_("estimated"),
    "manual": N_("the training team"),
}
FLAGS = {
    "estimated": N_("Some of this time is an estimate, because Zoom's records have a gap."),
    "unconfirmed": N_("Some time could not be counted, because Zoom's records do not confirm it."),
    "concurrent": N_("You were connected with two devices at once. The time counts once."),
    "stale": N_("Some of Zoom's messages arrived late."),
    "webhook_log": N_("Some of Zoom's messages were lost and were read from Zoom's own log later."),
    "interrupted": N_("Your connection dropped for a while, or Zoom's messages from that time were lost."),
    "open": N_("Zoom has not reported when one of your connections ended, so it does not count yet."),
    "conflict": N_("Zoom's records name two different people for one connection. The training team checks it."),
    "report_differs": N_(
        "Zoom's live messages and its report show different times for you. The training team checks it."
    ),
    "report_missing": N_("Zoom's report does not list you. The training team checks it."),
    "report_only": N_("Only Zoom's report lists you; its live messages do not. The training team checks it."),
    "phone": N_("Some of this time was by phone."),
    "manual": N_("The training team recorded some of this time by hand."),
    "corrected": N_("The training team corrected this day and recorded the reason."),
    "evidence_withdrawn": N_("The records that showed you here turned out to be about another person."),
    "identity_differs": N_(
        "Zoom's records now name another person for some of this day. You keep what you have earned; "
        "the training team checks it."
    ),
    "taught_while_joined": N_(
        "Your account was joined with another one on this day, and has been separated since. You "
        "keep what you have earned; the training team checks whose time this is."
    ),
}
STAFF_FLAGS = {
    "estimated": "partly estimated",
    "unconfirmed": "partly unconfirmed",
    "concurrent": "two devices at once",
    "stale": "late messages",
    "webhook_log": "partly from Zoom's log",
    "open": "a connection without an end",
    "interrupted": "connection interrupted",
    "conflict": "two registrations on one connection",
    "repeated": "the same connection reported twice",
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
    "identity_differs": "settled for this trainee, but the evidence now names another person",
    "taught_while_joined": "taught while joined with another account, which has been separated since",
    "in_progress": "running values",
}
REASONS = {
    "report_lacks": N_("the report lacks time that the live messages prove"),
    "webhooks_lack": N_("the report shows time without any live message"),
    "estimate_unconfirmed": N_("the report does not confirm what was estimated"),
    "completed_by_report": N_("the report fills a gap in the live messages"),
    "waiting_room_in_report": N_("the report counts time in the waiting room"),
    "room_unclear_in_report": N_("the report shows this address in a breakout room, which alone proves no presence"),
    "rounding": N_("the two round to different seconds"),
}
DIFFERENCE_TOLD = N_("The two are kept side by side; neither replaces the other by itself.")


def flags_in_words(flags: Iterable[str]) -> list[str]:
    """The short notes that staff read beside a person's minutes."""
    return [STAFF_FLAGS.get(flag, flag.replace("_", " ")) for flag in flags]


def evidence_in_words(grades: Iterable[str]) -> str:
    """The records that show something: "Zoom, live; estimated"."""
    return "; ".join(translated(EVIDENCE.get(grade, grade)) for grade in grades)


def reasons_in_words(report: ReportComparison) -> str:
    """Why the two records of a day differ, empty where that is unknown."""
    return "; ".join(translated(REASONS.get(each, each.replace("_", " "))) for each in report.reasons)


def room_name(room: str, names: Mapping[str, str]) -> str:
    """The name that staff gave a room; else a short mark of Zoom's id, which is the same on every page."""
    if not room:
        return gettext("A breakout room")
    mark = "".join(letter for letter in room if letter.isalnum() and letter.isascii())[:4].upper()
    return names.get(room) or gettext("Room %(mark)s", mark=mark)


Kind = Literal["counted", "forgiven", "missed", "pause", "outside"]
# The kinds that the picture of a day labels.
KINDS = {"counted": N_("counted"), "forgiven": N_("forgiven"), "missed": N_("missed")}

# How much presence before the first and after the last segment the picture still shows.
MARGIN = timedelta(minutes=30)
WIDTH = 640
# Labels are written into the parts of a bar that is this wide, or wider; in percent, two hours stand this far apart.
NARROWEST_BAR, MARK_DISTANCE = 500, 10
# The approximate width of a letter of the picture's text, in the units of the picture.
LETTER = 7.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """One row of the day: from–to, the part of the agenda, and what it earned. `says` is a full sentence; `evidence` is
    the grade of what counted, empty elsewhere."""

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
        return frozenset(each.grade or each.kind for each in (*self.agenda, *self.presence, *self.rooms))


def stretches(day: Attendance, why: Mapping[str, str] = WHY, grace_seconds: int = 0) -> tuple[Stretch, ...]:
    """The whole day in order: every minute of the agenda exactly once, and presence around it.

    `why` are the words, WHY or WHY_OF_ANOTHER; `grace_seconds` is how long an absence the programme forgives.
    """
    if not day.segments:
        return ()
    forgiven = set(forgiven_gaps(day.segments, grace_seconds)) if day.seconds_forgiven else set()
    rows: list[Stretch] = []
    for part in day.segments:
        segment, title = part.segment, part.segment.title
        if not segment.instructional:
            says = gettext("A break: it does not count, and leaving costs nothing.")
            rows.append(Stretch(segment.starts_at, segment.ends_at, "pause", title, says))
            continue
        at = segment.starts_at
        for gap in part.missed:
            rows += _counted(at, gap.from_at, title, day, translated(why["counted"]))
            if gap in forgiven:
                says = gettext("A short absence, which the rules forgive. It is not presence.")
                rows.append(Stretch(gap.from_at, gap.to_at, "forgiven", title, says))
            else:
                rows.append(
                    Stretch(gap.from_at, gap.to_at, "missed", title, translated(why.get(gap.why, N_("Not counted."))))
                )
            at = gap.to_at
        rows += _counted(at, segment.ends_at, title, day, translated(why["counted"]))
    first, last = rows[0].from_at, rows[-1].to_at
    before = [_outside(start, min(end, first)) for start, end in _presence(day) if start < first]
    after = [_outside(max(start, last), end) for start, end in _presence(day) if end > last]
    return (*before, *rows, *after)


def whereabouts(day: Attendance) -> tuple[RoomInterval, ...]:
    """Breakout rooms and waiting rooms in order of time."""
    waits = (RoomInterval(*each, "", is_waiting=True) for each in day.waiting)
    return tuple(sorted((*day.rooms, *waits), key=lambda each: (each.from_at, each.to_at, each.room)))


def grades(day: Attendance) -> tuple[str, ...]:
    """The grades of evidence of the time that counts, in the order in which they first appear."""
    return tuple(dict.fromkeys(each.evidence for each in day.intervals if each.counted_seconds))


def draw(day: Attendance, zone: str, rooms: Mapping[str, str] | None = None, grace_seconds: int = 0) -> Picture | None:
    """The picture, None for a day without an agenda. `zone` is the IANA zone of the axis; `rooms` are the names that
    staff gave the rooms, by Zoom's id."""
    rows = stretches(day, grace_seconds=grace_seconds)
    if not rows:
        return None
    places, presence = whereabouts(day), _presence(day)
    first, last = _agenda(day)
    shown = [*presence, *((each.from_at, each.to_at) for each in places)]
    scale = _Scale(
        max(first - MARGIN, min([first, *(start for start, _ in shown)])),
        min(last + MARGIN, max([last, *(end for _, end in shown)])),
        WIDTH,
    )
    return Picture(
        agenda=tuple(
            _labelled(
                scale.shape(
                    each.segment.starts_at,
                    each.segment.ends_at,
                    "teaching" if each.segment.instructional else "pause",
                    each.segment.title,
                )
            )
            for each in day.segments
        ),
        # Instruction comes from the table's own rows; presence in breaks and around the day does not count.
        presence=(
            *(
                scale.shape(each.from_at, each.to_at, "waiting", gettext("waiting room"))
                for each in places
                if each.is_waiting
            ),
            *(
                scale.shape(start, end, "uncounted", gettext("not counted"))
                for start, end in presence
                if scale.x(start) < scale.x(end)
            ),
            *(scale.row(row) for row in rows if row.kind in ("counted", "forgiven", "missed")),
        ),
        rooms=tuple(
            _labelled(scale.shape(each.from_at, each.to_at, "room", room_name(each.room, rooms or {})))
            for each in places
            if not each.is_waiting
        ),
        ticks=tuple(Tick(scale.x(at), label) for at, label in full_hours(scale.start, scale.end, zone)),
    )


@dataclass(frozen=True, slots=True)
class HourMark:
    """A time of the clock under a bar: `x` in percent, the instant, and its label in the zone of the session."""

    x: float
    at: datetime
    label: str


@dataclass(frozen=True, slots=True)
class DayBar:
    """A day as one bar, in percent of its length: the agenda, what a person attended and missed of the instruction, and
    how far the day has come (`now_x`, None for a day that is not going on)."""

    parts: tuple[Shape, ...]
    present: tuple[Shape, ...]
    missed: tuple[Shape, ...]
    marks: tuple[HourMark, ...]
    now_x: float | None = None


def bar(
    segments: Sequence[Segment],
    zone: str,
    present: Iterable[tuple[datetime, datetime]] = (),
    missed: Iterable[tuple[datetime, datetime]] = (),
    now: datetime | None = None,
) -> DayBar | None:
    """The bar of an agenda; None without one. `present` and `missed` lie in its instruction."""
    if not segments:
        return None
    scale = _Scale(segments[0].starts_at, segments[-1].ends_at, 100)

    def part(each: Segment) -> Shape:
        shape = scale.shape(each.starts_at, each.ends_at, "teaching" if each.instructional else "pause", each.title)
        has_room = len(each.title) * LETTER <= shape.width * NARROWEST_BAR / 100
        return replace(shape, text=each.title) if has_room else shape

    longest = max((each for each in segments if not each.instructional), key=lambda each: each.seconds, default=None)
    edges = [scale.start, *((longest.starts_at, longest.ends_at) if longest else ()), scale.end]
    marks: list[HourMark] = []
    for at in edges:
        x = scale.x(at)
        if not marks or x - marks[-1].x >= MARK_DISTANCE:
            marks.append(HourMark(x, at, times.clock(at, zone).replace(":00", "")))
    return DayBar(
        parts=tuple(part(each) for each in segments),
        present=tuple(scale.shape(start, end, "present", "present") for start, end in present),
        missed=tuple(scale.shape(start, end, "missed", "missed") for start, end in missed),
        marks=tuple(marks),
        now_x=scale.x(now) if now is not None and scale.start <= now <= scale.end else None,
    )


def bar_of(day: Attendance, zone: str) -> DayBar | None:
    """The bar of a day that is over."""
    segments = [each.segment for each in day.segments]
    present = common(union((each.from_at, each.to_at) for each in day.intervals if each.counts), taught(segments))
    return bar(segments, zone, present, [(gap.from_at, gap.to_at) for gap in day.missed])


def strip(day: Attendance, width: int) -> tuple[Shape, ...]:
    """The instruction of a day in one thin line, counted and missed, for a list of many people."""
    if not day.segments:
        return ()
    scale = _Scale(*_agenda(day), width)
    return tuple(scale.row(row) for row in stretches(day) if row.kind in ("counted", "missed"))


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

    def row(self, row: Stretch) -> Shape:
        kind = "missing" if row.kind == "missed" else row.kind
        return self.shape(row.from_at, row.to_at, kind, translated(KINDS.get(row.kind, row.kind)), row.evidence)


def _counted(start: datetime, end: datetime, title: str, day: Attendance, says: str) -> Iterator[Stretch]:
    """What counted between two gaps: one row for each grade of evidence, where intervals that touch are one."""
    at = start
    graded: list[tuple[datetime, datetime, str]] = []
    for each in day.intervals:
        first = each.from_at
        if graded and graded[-1][1:] == (first, each.evidence):
            first = graded.pop()[0]
        graded.append((first, each.to_at, each.evidence))
    for first, last, grade in graded:
        first, last = max(first, at), min(last, end)
        if first < last:
            if at < first:
                yield Stretch(at, first, "counted", title, says)
            yield Stretch(first, last, "counted", title, says, grade)
            at = last
    if at < end:
        yield Stretch(at, end, "counted", title, says)


def _outside(start: datetime, end: datetime) -> Stretch:
    title, says = gettext("Outside the agenda"), gettext("Only teaching on the agenda counts.")
    return Stretch(start, end, "outside", title, says)


def _presence(day: Attendance) -> list[Interval]:
    """Time in the meeting, whatever the grade."""
    return union((each.from_at, each.to_at) for each in day.intervals)


def _agenda(day: Attendance) -> Interval:
    return Interval(day.segments[0].segment.starts_at, day.segments[-1].segment.ends_at)


def _labelled(shape: Shape) -> Shape:
    """The shape with its label written into it, if there is room."""
    return replace(shape, text=shape.label) if len(shape.label) * LETTER + 6 <= shape.width else shape


def full_hours(start: datetime, end: datetime, zone: str) -> Iterator[tuple[datetime, str]]:
    """Every full hour of the zone between two instants, with its label ("9 am")."""
    at = start.astimezone(ZoneInfo(zone))
    at = (at + timedelta(minutes=59, seconds=59)).replace(minute=0, second=0, microsecond=0)
    while at <= end:
        yield at, times.clock(at, zone).replace(":00", "")
        at = (at.astimezone(UTC) + timedelta(hours=1)).astimezone(ZoneInfo(zone))
