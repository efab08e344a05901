"""What a delivery says, read from its raw body into one flat value.

PURE. Unknown keys are ignored, a number is as good as a text, a missing or odd field is an empty text: new fields and
types come without notice, and a delivery that is half understood is still evidence. Shapes: zoom.md §3.

Zoom's own log of what it delivered, read into deliveries for the inbox.

PURE. A row's `request_body` is text, and not always JSON: Zoom's own sample lacks a bracket, and long bodies may be cut
short. It is kept as it came either way; what cannot be read is counted and says nothing.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

LONGEST_TEXT = 200
# What lies outside is a clock that was never set, or a placeholder such as the year 1.
FIRST_YEAR, LAST_YEAR = 2000, 2199
URL_VALIDATION = "endpoint.url_validation"

# What follows "meeting." or "webinar.": the kind of notice and the fields that may hold its time. A meeting that was
# converted keeps its id and gets the other prefix: both are one class, so the prefix is not looked at.
_PARTICIPANT_EVENTS = {
    "participant_joined": ("joined", ("join_time",)),
    "participant_left": ("left", ("leave_time",)),
    "participant_joined_waiting_room": ("waiting", ("date_time",)),
    "participant_put_in_waiting_room": ("put_waiting", ("date_time",)),
    "participant_left_waiting_room": ("waited", ("date_time",)),
    "participant_admitted": ("waited", ("date_time",)),
    "participant_joined_breakout_room": ("room_joined", ("join_time",)),
    "participant_left_breakout_room": ("room_left", ("leave_time",)),
    "participant_role_changed": ("role", ("date_time",)),
    "participant_bind": ("bind", ("date_time", "join_time")),
    # Before the host is there: evidence of trying, never of presence, so their time is not read.
    "participant_jbh_waiting": ("tried", ()),
    "participant_jbh_joined": ("tried", ()),
    "participant_jbh_waiting_left": ("tried", ()),
}
_INSTANCE_EVENTS = {"started": ("started", ("start_time",)), "ended": ("ended", ("end_time",))}
# What happens to the meeting itself, not in an instance of it: known, and no part of any class.
_MEETING_EVENTS = {
    "converted_to_webinar": "converted",
    "converted_to_meeting": "converted",
    "created": "created",
    "updated": "updated",
    "deleted": "deleted",
}
# What only some events say of a participant.
_MORE = {
    "room_joined": ("parent_user_id",),
    "room_left": ("parent_user_id",),
    "role": ("old_role", "new_role"),
    "bind": ("bind_user_id", "bind_participant_uuid"),
}
# How a registration stands after each event; the first one says it itself.
_REGISTRATION_EVENTS = {
    "registration_created": "",
    "registration_approved": "approved",
    "registration_denied": "denied",
    "registration_cancelled": "cancelled",
}


class Notice(NamedTuple):
    """One delivery. Texts are never None; `at` is when it happened (aware UTC, None if it does not say)."""

    event: str = ""
    kind: str = ""
    event_ts: str = ""
    meeting_id: str = ""
    meeting_uuid: str = ""
    instance_start: datetime | None = None
    at: datetime | None = None
    participant_uuid: str = ""
    user_id: str = ""
    registrant_id: str = ""
    registrant_status: str = ""
    email: str = ""
    name: str = ""
    phone: str = ""
    room: str = ""
    parent_user_id: str = ""
    is_host: bool = False
    old_role: str = ""
    new_role: str = ""
    bind_user_id: str = ""
    bind_participant_uuid: str = ""
    plain_token: str = ""
    stale: bool = False
    from_log: bool = False  # nobody delivered it: Zoom's own log had it


def read_notice(body: bytes, *, stale: bool = False) -> Notice:
    """The notice in these bytes; an empty one where they are not a JSON object."""
    try:
        delivery = json.loads(body)
    except (ValueError, RecursionError):
        return Notice(stale=stale)
    envelope = _mapping(delivery)
    payload = _mapping(envelope.get("payload"))
    subject = _mapping(payload.get("object"))
    event = text(envelope.get("event"))
    family, _, name = event.partition(".")
    return Notice(
        event=sys.intern(event),
        event_ts=text(envelope.get("event_ts")),
        meeting_id=sys.intern(text(subject.get("id"))),
        meeting_uuid=sys.intern(text(subject.get("uuid"))),
        plain_token=text(payload.get("plainToken")) if event == URL_VALIDATION else "",
        stale=stale,
        **_details(name, subject) if family in ("meeting", "webinar") else {},
    )


def _details(name: str, subject: Mapping[str, Any]) -> dict[str, Any]:
    """What one kind of event says beyond the others."""
    if name in _PARTICIPANT_EVENTS:
        kind, times = _PARTICIPANT_EVENTS[name]
        return _of_participant(kind, times, subject)
    if name in _INSTANCE_EVENTS:
        kind, times = _INSTANCE_EVENTS[name]
        return {"kind": kind, "at": _first_instant(subject, times), "instance_start": _start(subject)}
    if name in _REGISTRATION_EVENTS:
        return _of_registrant(_REGISTRATION_EVENTS[name], _mapping(subject.get("registrant")))
    return {"kind": _MEETING_EVENTS.get(name, "")}


def _of_participant(kind: str, times: tuple[str, ...], subject: Mapping[str, Any]) -> dict[str, Any]:
    participant = _mapping(subject.get("participant"))
    account = text(participant.get("id"))
    return {
        "kind": kind,
        "at": _first_instant(participant, times),
        "instance_start": _start(subject),
        "participant_uuid": text(participant.get("participant_uuid")),
        "user_id": text(participant.get("user_id")),
        "registrant_id": text(participant.get("registrant_id")),
        "email": _address(participant.get("email")),
        "name": text(participant.get("user_name")),
        "phone": text(participant.get("phone_number")),
        "room": text(subject.get("breakout_room_uuid")),
        "is_host": bool(account) and account == text(subject.get("host_id")),
        **{name: text(participant.get(name)) for name in _MORE.get(kind, ())},
    }


def _of_registrant(status: str, registrant: Mapping[str, Any]) -> dict[str, Any]:
    names = (text(registrant.get("first_name")), text(registrant.get("last_name")))
    return {
        "kind": "registration",
        "registrant_id": text(registrant.get("id")),
        "registrant_status": status or text(registrant.get("status")),
        "email": _address(registrant.get("email")),
        "name": text(" ".join(filter(None, names))),
    }


def content_key(notice: Notice, body: bytes) -> str:
    """SHA-256 (hex) of what makes a delivery the same one again: equal for retries and for overlapping subscriptions
    (zoom.md §2). A stale copy, and one from Zoom's log, have keys of their own: a fresh one after the first still
    counts, and a signed one after the second is the better proof."""
    parts = _content(notice)
    digest = sha256(body if parts is None else "|".join(parts).encode())
    kind = b"stale|" if notice.stale else b"log|" if notice.from_log else b""
    return sha256(kind + digest.digest()).hexdigest() if kind else digest.hexdigest()


def _content(notice: Notice) -> tuple[str, ...] | None:
    """The parts of the key, or None where the delivery lacks one and only its bytes can tell."""
    if notice.kind == "registration":
        parts = (notice.meeting_id, notice.event, notice.registrant_id, notice.event_ts)
        return parts if all(parts) else None
    if not (notice.at and notice.meeting_uuid):
        return None
    time = notice.at.isoformat()
    if notice.kind in ("started", "ended"):
        return (notice.meeting_uuid, notice.event, time)
    if not (notice.participant_uuid or notice.user_id):
        return None
    extra = (notice.room, notice.new_role, notice.bind_user_id)
    return (notice.meeting_uuid, notice.participant_uuid, notice.user_id, notice.event, time, *extra)


def text(value: object) -> str:
    """A JSON scalar as text that any database stores: no NUL, no half of a character pair, at most 200 long."""
    if value is None or value == "":
        return ""  # as most fields are in most events
    if isinstance(value, str):
        clean = value if value.isascii() else value.encode("utf-8", "replace").decode()
        return clean.replace("\0", "").strip()[:LONGEST_TEXT]
    return str(value)[:LONGEST_TEXT] if isinstance(value, int) and not isinstance(value, bool) else ""


def instant(value: object) -> datetime | None:
    """An ISO 8601 text as an aware UTC instant; without a zone it is UTC, as Zoom means it. None for anything else, and
    for a year in which there was no Zoom."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if FIRST_YEAR <= at.year <= LAST_YEAR else None


def _address(value: object) -> str:
    return text(value).lower()[:LONGEST_TEXT]


def _start(subject: Mapping[str, Any]) -> datetime | None:
    return instant(subject.get("start_time"))


def _first_instant(holder: Mapping[str, Any], names: tuple[str, ...]) -> datetime | None:
    return next((at for name in names if (at := instant(holder.get(name)))), None)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


# How a row of the inbox says that it came from Zoom's log: nobody signed it, so no secret's position fits.
VIA = {"via": "webhook-log"}
NO_SECRET = -1
# Zoom writes this where it kept no body.
NO_BODY = ("", "N/A")


@dataclass(frozen=True, slots=True)
class Logged:
    """One event of the log: what it says, its bytes, and the key by which the inbox knows it if it was delivered."""

    key: str
    notice: Notice
    body: bytes
    request_id: str


@dataclass(slots=True)
class LogReading:
    """The log's events, each once, in its order; how many rows there were, how many of the events are `unreadable`, and
    how many rows had no body."""

    rows: int = 0
    without_body: int = 0
    events: dict[str, Logged] = field(default_factory=dict)

    @property
    def unreadable(self) -> int:
        return sum(not each.notice.event for each in self.events.values())


def read_log(rows: Iterable[Mapping[str, Any]]) -> LogReading:
    """The events of these rows. Zoom tries a delivery up to four times, and each try is a row; a challenge is no
    evidence and is left out."""
    reading = LogReading()
    for row in rows:
        reading.rows += 1
        body = row.get("request_body")
        if not isinstance(body, str) or body.strip() in NO_BODY:
            reading.without_body += 1
        else:
            _add(reading, body.encode("utf-8", "surrogatepass"), row)
    return reading


def _add(reading: LogReading, body: bytes, row: Mapping[str, Any]) -> None:
    notice = read_notice(body)
    if URL_VALIDATION in (notice.event, row.get("event")):
        return
    key = content_key(notice, body)
    reading.events.setdefault(key, Logged(key, notice._replace(from_log=True), body, text(row.get("request_id"))))
