"""Instants and durations as people read them: "Tue 1 Dec 2026, 9:00 am – 5:00 pm PST"; in Spanish "mar 1 dic 2026".

Pure but for the reader's language: instant and zone are arguments. Instants are aware; a zone is an IANA name such as
America/Los_Angeles.
"""

from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from lti_tool.languages import N_, gettext, ngettext, translated

# Messages of the catalogue, so that a page never depends on the locale of the machine.
_WEEKDAYS = (N_("Mon"), N_("Tue"), N_("Wed"), N_("Thu"), N_("Fri"), N_("Sat"), N_("Sun"))
_MONTHS = (
    N_("Jan"), N_("Feb"), N_("Mar"), N_("Apr"), N_("May"), N_("Jun"),
    N_("Jul"), N_("Aug"), N_("Sep"), N_("Oct"), N_("Nov"), N_("Dec"),
)  # fmt: skip

_ZONE_WORDS = {
    "America/Los_Angeles": N_("Pacific"),
    "America/Denver": N_("Mountain"),
    "America/Chicago": N_("Central"),
    "America/New_York": N_("Eastern"),
}


def day(value: date) -> str:
    """'1 Dec 2026'."""
    return f"{value.day} {_month(value)} {value.year}"


def weekday(value: date) -> str:
    """'Tue 1 Dec 2026'."""
    return f"{_weekday(value)} {day(value)}"


def clock(at: datetime, zone: str) -> str:
    """'9:00 am': the wall time of an instant in a zone."""
    return _clock(_wall(at, zone))


def wall_clock(at: time) -> str:
    """'9:00 am': a time of the day, whatever the zone."""
    return _clock(at)


def exact_clock(at: datetime, zone: str) -> str:
    """'9:00:05 am', and '9:00 am' on a full minute: presence is told to the second."""
    wall = _wall(at, zone)
    if not wall.second:
        return _clock(wall)
    return f"{_hour(wall)}:{wall.minute:02}:{wall.second:02} {_half(wall)}"


def instant(at: datetime, zone: str) -> str:
    """'Tue 1 Dec 2026, 9:00 am PST'."""
    wall = _wall(at, zone)
    return f"{weekday(wall)}, {_clock(wall)} {abbreviation(at, zone)}"


def date_of(at: datetime, zone: str) -> str:
    """'1 Dec 2026': the day of an instant in a zone."""
    return day(_wall(at, zone))


def span(starts_at: datetime, ends_at: datetime, zone: str) -> str:
    """'Tue 1 Dec 2026, 9:00 am – 5:00 pm PST'; names the second day too where the end lies on another one."""
    first, last = _wall(starts_at, zone), _wall(ends_at, zone)
    if first.date() == last.date():
        return f"{weekday(first)}, {_clock(first)} – {_clock(last)} {abbreviation(ends_at, zone)}"
    return f"{instant(starts_at, zone)} – {instant(ends_at, zone)}"


def days(first: date, last: date) -> str:
    """'4–8 Sep 2024', '30 Sep – 3 Oct 2024': the first and the last day of a retreat."""
    if first == last:
        return day(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{day(last)}"
    start = day(first) if first.year != last.year else f"{first.day} {_month(first)}"
    return f"{start} – {day(last)}"


def abbreviation(at: datetime, zone: str) -> str:
    """'PST', or the offset where the zone has no letters of its own."""
    name = _wall(at, zone).tzname() or ""
    return name if name.isalpha() else utc_offset(at, zone)


def utc_offset(at: datetime, zone: str) -> str:
    """'UTC−8', 'UTC+5:30', 'UTC'."""
    offset = _wall(at, zone).utcoffset()
    minutes = int(offset.total_seconds()) // 60 if offset is not None else 0
    if not minutes:
        return "UTC"
    sign = "−" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{sign}{hours}:{rest:02}" if rest else f"UTC{sign}{hours}"


def wall(at: datetime, zone: str) -> str:
    """'2026-12-01T09:00': the wall time of an instant in a zone, as a form's field for it takes it."""
    return _wall(at, zone).strftime("%Y-%m-%dT%H:%M")


def short_day(at: datetime, zone: str, now: datetime) -> str:
    """'Mon 30 Nov', or 'Mon 30 Nov 2025' if that is not the year of `now`."""
    wall = _wall(at, zone)
    short = f"{_weekday(wall)} {wall.day} {_month(wall)}"
    return short if wall.year == _wall(now, zone).year else f"{short} {wall.year}"


def clocks(starts_at: datetime, ends_at: datetime, zone: str) -> str:
    """'9:00–11:30 am Pacific', '9:00 am–5:00 pm Pacific'; names the second day where the end lies on another one."""
    first, last = _wall(starts_at, zone), _wall(ends_at, zone)
    end = f"{_clock(last)} {zone_word(ends_at, zone)}"
    if first.date() != last.date():
        return f"{_clock(first)} – {weekday(last)}, {end}"
    return f"{_hours(first) if _half(first) == _half(last) else _clock(first)}–{end}"


def zone_word(at: datetime, zone: str) -> str:
    """'Pacific' for a zone that people call by a name, else its letters or its offset."""
    word = _ZONE_WORDS.get(zone)
    return translated(word) if word else abbreviation(at, zone)


def machine(at: datetime) -> str:
    """'2026-12-01T17:00:00Z', for the `datetime` attribute."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def minutes(seconds: int) -> str:
    """'312 min', '311 min 59 s', '40 s': whole seconds as minutes, nothing rounded away."""
    whole, rest = divmod(seconds, 60)
    if not rest:
        return f"{whole} min"
    return f"{whole} min {rest} s" if whole else f"{rest} s"


def whole_minutes(seconds: int) -> int:
    """207 for 207 minutes and 59 seconds: full minutes, where a page counts them."""
    return seconds // 60


def minutes_up(seconds: int) -> int:
    """208 for 207 minutes and 1 second: how many minutes are needed to make up for these seconds."""
    return -(-seconds // 60)


def age(since: datetime, now: datetime) -> str:
    """'less than a day', '1 day', '12 days': how long something has waited, in full days."""
    waited = (now - since).days
    if waited <= 0:
        return gettext("less than a day")
    return ngettext("%(num)s day", "%(num)s days", waited)


def ago(at: datetime, now: datetime) -> str:
    """'just now', '1 minute ago', '5 hours ago', '12 days ago': how fresh something is, rounded down."""
    minutes_since = int((now - at).total_seconds()) // 60
    if minutes_since < 1:
        return gettext("just now")
    if minutes_since < 60:
        return ngettext("%(num)s minute ago", "%(num)s minutes ago", minutes_since)
    hours_since = minutes_since // 60
    if hours_since < 24:
        return ngettext("%(num)s hour ago", "%(num)s hours ago", hours_since)
    return ngettext("%(num)s day ago", "%(num)s days ago", hours_since // 24)


def ahead(at: datetime, now: datetime) -> str:
    """'in 90 minutes', 'in 5 hours', 'in 14 days': how far away something is, rounded; small enough units that nobody
    comes late by it."""
    minutes_left = max(1, -int((now - at).total_seconds() // 60))
    if minutes_left < 120:
        return ngettext("in %(num)s minute", "in %(num)s minutes", minutes_left)
    hours_left = round(minutes_left / 60)
    if hours_left < 36:
        return ngettext("in %(num)s hour", "in %(num)s hours", hours_left)
    return ngettext("in %(num)s day", "in %(num)s days", round(hours_left / 24))


def ago_exactly(at: datetime, now: datetime) -> str:
    """'12 seconds ago', '3 minutes ago': like `ago`, for what should be fresh to the second."""
    seconds = max(0, int((now - at).total_seconds()))
    if seconds < 120:
        return ngettext("%(num)s second ago", "%(num)s seconds ago", seconds)
    return ago(at, now)


class HasTemplates(Protocol):
    """A web application with Jinja templates."""

    @property
    def jinja_env(self) -> Any: ...


def register(app: HasTemplates) -> None:
    """Let every template of the app write `at | clock(zone)`, `seconds | minutes` and the like."""
    for words in (
        day,
        weekday,
        clock,
        exact_clock,
        date_of,
        days,
        utc_offset,
        machine,
        wall,
        short_day,
        clocks,
        zone_word,
    ):
        app.jinja_env.filters[words.__name__] = words
    app.jinja_env.filters.update(
        minutes=minutes,
        whole_minutes=whole_minutes,
        minutes_up=minutes_up,
        age=age,
        ago=ago,
        ahead=ahead,
        ago_exactly=ago_exactly,
    )


def _wall(at: datetime, zone: str) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a naive datetime has no place on the clock: give an aware instant")
    return at.astimezone(ZoneInfo(zone))


def _clock(wall: datetime | time) -> str:
    return f"{_hours(wall)} {_half(wall)}"


def _hours(wall: datetime | time) -> str:
    return f"{_hour(wall)}:{wall.minute:02}"


def _hour(wall: datetime | time) -> int:
    return wall.hour % 12 or 12


def _half(wall: datetime | time) -> str:
    return gettext("am") if wall.hour < 12 else gettext("pm")


def _weekday(value: date) -> str:
    return translated(_WEEKDAYS[value.weekday()])


def _month(value: date) -> str:
    return translated(_MONTHS[value.month - 1])


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """The IANA time zone of this name. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"{name!r} is no IANA time zone") from error


def day_of(at: datetime, zone: str) -> date:
    """The wall date of an aware instant in a zone."""
    if at.tzinfo is None:
        raise ValueError("a decision needs an aware instant")
    return at.astimezone(zone_of(zone)).date()


def end_of_day(value: date, zone: str) -> datetime:
    """The last instant of this day there."""
    return datetime.combine(value, time.max, zone_of(zone)).astimezone(UTC)
