"""What the simulated Zoom account remembers: who is registered for which meeting, and which days were held."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.zoom.training_day import Event, TrainingDay, registrant_id

STATUS_OF = {"approve": "approved", "deny": "denied", "cancel": "cancelled"}
# Polls of every played day, in minutes after its beginning.
POLLS = (75, 165, 300)


@dataclass(frozen=True, slots=True)
class Registrant:
    """One registration for one meeting."""

    id: str
    email: str
    first_name: str
    last_name: str
    status: str
    join_url: str
    created_at: datetime

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "email": self.email,
            "first_name": self.first_name,
            "last_name": self.last_name,
            "status": self.status,
            "join_url": self.join_url,
            "create_time": text(self.created_at),
        }


@dataclass
class Account:
    """One account. Any number is a meeting; `join_address` is where its join links lead."""

    join_address: str = "http://localhost"
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _registered: dict[str, dict[str, Registrant]] = field(default_factory=dict)
    _days: dict[str, TrainingDay] = field(default_factory=dict)

    def register(self, meeting_id: str, person: dict[str, Any], now: datetime) -> tuple[Registrant, bool]:
        """The registration of this address, and whether it is new: whoever is registered already stays so."""
        email = str(person["email"]).strip().lower()
        with self._lock:
            known = self._registered.setdefault(meeting_id, {})
            found = known.get(email)
            if found is not None and found.status != "cancelled":
                return found, False
            number = registrant_id(meeting_id, email)
            first, last = str(person.get("first_name", "")), str(person.get("last_name", ""))
            link = f"{self.join_address}/join/{meeting_id}?tk={number}"
            known[email] = made = Registrant(number, email, first, last, "approved", link, now)
            return made, True

    def change(self, meeting_id: str, action: str, registrants: Sequence[dict[str, Any]]) -> list[Registrant]:
        """Approve, deny or cancel; those whom it changed."""
        changed = []
        with self._lock:
            known = self._registered.get(meeting_id, {})
            for each in registrants:
                found = known.get(str(each.get("email", "")).strip().lower())
                if found is not None and found.status != STATUS_OF[action]:
                    known[found.email] = replace(found, status=STATUS_OF[action])
                    changed.append(known[found.email])
        return changed

    def registrants(self, meeting_id: str, status: str = "") -> list[Registrant]:
        with self._lock:
            found = list(self._registered.get(meeting_id, {}).values())
        return [each for each in found if not status or each.status == status]

    def is_registered(self, meeting_id: str, email: str) -> bool:
        return any(each.email == email.lower() and each.status == "approved" for each in self.registrants(meeting_id))

    def hold(self, day: TrainingDay) -> None:
        """This day has been held, or is being."""
        with self._lock:
            self._days |= dict.fromkeys(day.uuids, day)

    def day(self, uuid: str) -> TrainingDay | None:
        return self._days.get(uuid)

    def instances_of(self, meeting_id: str) -> list[dict[str, str]]:
        """{"uuid", "start_time"} of every instance of a meeting that has been held."""
        with self._lock:
            days = {each.uuid: each for each in self._days.values() if each.meeting_id == meeting_id}
        subjects = [each["payload"]["object"] for day in days.values() for each in day.events() if _is_start(each)]
        return [{name: each[name] for name in ("uuid", "start_time")} for each in subjects]


def registration_event(kind: str, name: str, meeting_id: str, registrant: Registrant, now: datetime) -> Event:
    """`registration_created`, `…_approved`, `…_denied` or `…_cancelled`; the last tells no more than who it was."""
    who = registrant.shown() | {"custom_questions": [], "participant_pin_code": 380_303}
    if name == "registration_cancelled":
        who = {each: who[each] for each in ("id", "first_name", "last_name", "email")}
    subject = {
        "id": int(meeting_id) if meeting_id.isdigit() else meeting_id,
        "uuid": "c2NoZWR1bGVkIG1lZXRpbmc=",
        "host_id": "x1yCzABCDEfg23HiJKl4mN",
        "topic": "Training day – live, not recorded",
        "type": 8,
        "start_time": text(now),
        "duration": 480,
        "timezone": "America/Los_Angeles",
        "registrant": who,
    }
    payload = {"account_id": "AAAAAABBBB", "object": subject}
    return {"event": f"{kind}.{name}", "event_ts": int(now.timestamp() * 1000), "payload": payload}


def row(user_id: str, span: tuple[datetime, datetime], status: str) -> dict[str, Any]:
    """A row of a report about somebody of whom nothing is known."""
    start, end = span
    return {
        "id": "",
        "user_id": user_id,
        "name": "Somebody",
        "user_email": "",
        "join_time": text(start),
        "leave_time": text(end),
        "duration": int((end - start).total_seconds()),
        "registrant_id": "",
        "status": status,
        "failover": False,
        "bo_mtg_id": "",
        "participant_user_id": "",
        "customer_key": "",
    }


def poll_answers(day: TrainingDay) -> Iterator[dict[str, Any]]:
    """Who answered the polls of a day: everybody with an address who was there."""
    for person, spans in zip(day.attendees, day.truth(), strict=True):
        asked = [day.opens_at + timedelta(minutes=minutes) for minutes in POLLS]
        answered = [at for at in asked if any(start <= at < end for start, end in spans)]
        if person.shown_email and answered:
            yield {
                "email": person.shown_email,
                "name": person.name,
                "question_details": [
                    {"answer": "Yes", "date_time": text(at), "polling_id": f"poll-{number}", "question": "Still here?"}
                    for number, at in enumerate(answered, start=1)
                ],
            }


def text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_start(event: Event) -> bool:
    return str(event["event"]).endswith(".started")
