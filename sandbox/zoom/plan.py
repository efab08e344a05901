"""What the player is asked to play: one meeting on one day, and who does what."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sandbox.zoom.behaviours import BEHAVIOURS
from sandbox.zoom.training_day import Attendee, TrainingDay, encode, registrant_id

ZONE = "America/Los_Angeles"
HOURS = {"starts": "09:00", "ends": "17:00"}

# What each of the sandbox's people does unless somebody chooses otherwise. Whoever is not named is there all day.
CAST = {
    "maya": "breakouts",
    "greta": "two_devices",
    "noor": "reconnects",
    "priya": "leaves_at_lunch",
    "anneke": "away_for_lunch",
    "lucia": "late",
    "saoirse": "other_address",
    "jomo": "two_devices",
    "hiro": "reconnects",
    "tomas": "no_show",
    "wendell": "no_show",
    "stellan": "no_show",
    "bea": "no_show",
    "otis": "no_show",
}


class PlanError(ValueError):
    """The plan cannot be played; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A day to play within `seconds`; `shuffle` and `duplicate` say how its deliveries arrive, and of every `lose` of
    them the last one never does (0: all arrive)."""

    day: TrainingDay
    shuffle: bool
    duplicate: bool
    seconds: float
    lose: int = 0

    def lost(self) -> list[bytes]:
        """The deliveries that never arrive, in order of time."""
        return [encode(each) for each in self.day.events()[self.lose - 1 :: self.lose]] if self.lose else []


def read_plan(raw: object) -> Plan:
    """A plan from JSON: {meeting_id, date, people: [{email, name, registrant_id?, behaviour}], starts?, ends?, zone?,
    shuffle?, duplicate?, lose?, speed_seconds?}. The same people on the same date are the same instance, byte by byte.

    Raises PlanError.
    """
    if not isinstance(raw, dict):
        raise PlanError("the plan should be a JSON object")
    meeting_id = _words(raw, "meeting_id")
    opens_at, closes_at = _times(raw)
    people = _people(raw, meeting_id)
    seed = int(sha256(json.dumps(raw["people"], sort_keys=True).encode()).hexdigest()[:8], 16)
    return Plan(
        TrainingDay(meeting_id, opens_at, closes_at, people, seed=seed),
        shuffle=bool(raw.get("shuffle", True)),
        duplicate=bool(raw.get("duplicate", True)),
        seconds=_seconds(raw.get("speed_seconds", 8)),
        lose=_every(raw.get("lose", 0)),
    )


def read_class(raw: object) -> tuple[str, TrainingDay]:
    """Title and day of a class that is under way: {title, meeting_id, opens_at, minutes?, people}. With an empty
    registrant_id somebody joins by the general link.

    Raises PlanError."""
    if not isinstance(raw, dict):
        raise PlanError("the class should be a JSON object")
    meeting_id = _words(raw, "meeting_id")
    try:
        opens_at = datetime.fromisoformat(_words(raw, "opens_at")).astimezone(UTC)
        closes_at = opens_at + timedelta(minutes=int(raw.get("minutes", 480)))
    except (ValueError, OverflowError) as error:
        raise PlanError(f"the time cannot be read: {error}") from error
    return _words(raw, "title"), TrainingDay(meeting_id, opens_at, closes_at, _people(raw, meeting_id))


def _people(raw: Mapping[str, Any], meeting_id: str) -> tuple[Attendee, ...]:
    return tuple(_attendee(each, meeting_id) for each in _list(raw, "people"))


def _times(raw: Mapping[str, Any]) -> tuple[datetime, datetime]:
    try:
        day = date.fromisoformat(_words(raw, "date"))
        zone = ZoneInfo(str(raw.get("zone") or ZONE))
        walls = [time.fromisoformat(str(raw.get(name) or default)) for name, default in HOURS.items()]
        opens_at, closes_at = (datetime.combine(day, wall, zone).astimezone(UTC) for wall in walls)
    except (ValueError, OverflowError, ZoneInfoNotFoundError) as error:
        raise PlanError(f"the date or its times cannot be read: {error}") from error
    if closes_at <= opens_at:
        raise PlanError("the day should end after it starts")
    return opens_at, closes_at


def _attendee(raw: object, meeting_id: str) -> Attendee:
    if not isinstance(raw, dict):
        raise PlanError("each of the people should be an object with email, name and behaviour")
    behaviour = str(raw.get("behaviour") or "all_day")
    if behaviour not in BEHAVIOURS:
        raise PlanError(f"nobody can {behaviour!r}; there are {', '.join(BEHAVIOURS)}")
    email = str(raw.get("email") or "")
    registrant = str(raw.get("registrant_id", registrant_id(meeting_id, email) if email else ""))
    return Attendee(str(raw.get("name") or "Somebody"), email, registrant, behaviour)


def _words(raw: Mapping[str, Any], name: str) -> str:
    value = str(raw.get(name) or "").strip()
    if not value:
        raise PlanError(f"the plan lacks {name}")
    return value


def _list(raw: Mapping[str, Any], name: str) -> list[Any]:
    value = raw.get(name)
    if not isinstance(value, list):
        raise PlanError(f"{name} should be a list")
    return value


def _every(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise PlanError("lose should be a whole number: of so many deliveries one is lost")
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 600:
        raise PlanError("speed_seconds should be a number from 0 to 600")
    return float(value)
