"""Reads the raw body of a delivery, or a row of Zoom's own delivery log, into one flat value.

PURE. Zoom adds fields and event types unannounced (zoom.md §3): unknown keys are ignored, a number is as good as a
text, and a missing or odd field becomes an empty text, because a delivery that is half understood is still evidence.
The log keeps a body as text that isn't always JSON: Zoom's own sample lacks a bracket, and long bodies may be cut.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from lti_tool.text import clean, email_address

LONGEST_TEXT = 200
# A year outside comes from a clock that was never set, or is a placeholder such as the year 1.
FIRST_YEAR, LAST_YEAR = 2000, 2199
URL_VALIDATION = "endpoint.url_validation"
# Marks an inbox row that was read from Zoom's log. It has no signature, so no secret's position fits.
VIA = {"via": "webhook-log"}
NO_SECRET = -1
# Zoom's log has one of these where it kept no body.
NO_BODY = ("", "N/A")

# Event name without "meeting." or "webinar." → kind of event and the fields that may hold its time. Both prefixes
# mean the same, since a converted meeting keeps its id and changes the prefix.
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
# Fields of the participant that only some kinds have.
_KIND_FIELDS = {
    "room_joined": ("parent_user_id",),
    "room_left": ("parent_user_id",),
    "role": ("old_role", "new_role"),
    "bind": ("bind_user_id", "bind_participant_uuid"),
}
_INSTANCE_EVENTS = {"started": "start_time", "ended": "end_time"}
# Known events of the meeting itself that say nothing about an instance of it.
_MEETING_EVENTS = {
    "converted_to_webinar": "converted",
    "converted_to_meeting": "converted",
    "created": "created",
    "updated": "updated",
    "deleted": "deleted",
}
# The registrant's status after each event; the first event carries it in its body.
_REGISTRATION_EVENTS = {
    "registration_created": "",
    "registration_approved": "approved",
    "registration_denied": "denied",
    "registration_cancelled": "cancelled",
}


class ZoomEvent(NamedTuple):
    """One event. Texts are never None; `at` is when it happened (aware UTC; None if the body doesn't say)."""

    event_type: str = ""
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
    from_log: bool = False  # read from Zoom's log, never delivered


def read_event(body: bytes, *, stale: bool = False) -> ZoomEvent:
    """The event in these bytes; an empty one if they are not a JSON object."""
    try:
        delivery = json.loads(body)
    except (ValueError, RecursionError):
        return ZoomEvent(stale=stale)
    envelope = _mapping(delivery)
    payload = _mapping(envelope.get("payload"))
    subject = _mapping(payload.get("object"))
    event_type = text(envelope.get("event"))
    family, _, name = event_type.partition(".")
    return ZoomEvent(
        event_type=sys.intern(event_type),
        event_ts=text(envelope.get("event_ts")),
        meeting_id=sys.intern(text(subject.get("id"))),
        meeting_uuid=sys.intern(text(subject.get("uuid"))),
        plain_token=text(payload.get("plainToken")) if event_type == URL_VALIDATION else "",
        stale=stale,
        **_details(name, subject) if family in ("meeting", "webinar") else {},
    )


def _details(name: str, subject: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that only this kind of event has."""
    if name in _PARTICIPANT_EVENTS:
        kind, times = _PARTICIPANT_EVENTS[name]
        participant = _mapping(subject.get("participant"))
        account = text(participant.get("id"))
        return {
            "kind": kind,
            "at": next((at for time in times if (at := instant(participant.get(time)))), None),
            "instance_start": instant(subject.get("start_time")),
            "participant_uuid": text(participant.get("participant_uuid")),
            "user_id": text(participant.get("user_id")),
            "registrant_id": text(participant.get("registrant_id")),
            "email": address(participant.get("email")),
            "name": clean(text(participant.get("user_name"))),
            "phone": clean(text(participant.get("phone_number"))),
            "room": text(subject.get("breakout_room_uuid")),
            "is_host": bool(account) and account == text(subject.get("host_id")),
            **{each: text(participant.get(each)) for each in _KIND_FIELDS.get(kind, ())},
        }
    if name in _INSTANCE_EVENTS:
        at, start = instant(subject.get(_INSTANCE_EVENTS[name])), instant(subject.get("start_time"))
        return {"kind": name, "at": at, "instance_start": start}
    if name in _REGISTRATION_EVENTS:
        registrant = _mapping(subject.get("registrant"))
        names = (text(registrant.get("first_name")), text(registrant.get("last_name")))
        return {
            "kind": "registration",
            "registrant_id": text(registrant.get("id")),
            "registrant_status": _REGISTRATION_EVENTS[name] or text(registrant.get("status")),
            "email": address(registrant.get("email")),
            "name": clean(text(" ".join(names))),
        }
    return {"kind": _MEETING_EVENTS.get(name, "")}


def content_key(event: ZoomEvent, body: bytes) -> str:
    """The SHA-256 (hex) that is equal for retries and for overlapping subscriptions (zoom.md §2). A stale copy and one
    from Zoom's log have other keys: a fresh copy still counts after a stale one, and a signed copy is better proof than
    one from the log."""
    parts = _key_parts(event)
    digest = sha256("|".join(parts).encode() if parts else body)
    prefix = b"stale|" if event.stale else b"log|" if event.from_log else b""
    return sha256(prefix + digest.digest()).hexdigest() if prefix else digest.hexdigest()


def _key_parts(event: ZoomEvent) -> tuple[str, ...]:
    """What identifies the event; empty if a part is missing and only the bytes of the body can identify it."""
    if event.kind == "registration":
        parts = (event.meeting_id, event.event_type, event.registrant_id, event.event_ts)
        return parts if all(parts) else ()
    if not (event.at and event.meeting_uuid):
        return ()
    time = event.at.isoformat()
    if event.kind in _INSTANCE_EVENTS:
        return (event.meeting_uuid, event.event_type, time)
    if not (event.participant_uuid or event.user_id):
        return ()
    extra = (event.room, event.new_role, event.bind_user_id)
    return (event.meeting_uuid, event.participant_uuid, event.user_id, event.event_type, time, *extra)


def text(value: object) -> str:
    """A JSON scalar as text that any database stores: no NUL, no lone surrogate, at most 200 characters."""
    if value is None or value == "":
        return ""  # the usual case
    if isinstance(value, str):
        clean = value if value.isascii() else value.encode("utf-8", "replace").decode()
        return clean.replace("\0", "").strip()[:LONGEST_TEXT]
    return str(value)[:LONGEST_TEXT] if isinstance(value, int) and not isinstance(value, bool) else ""


def instant(value: object) -> datetime | None:
    """An ISO 8601 text as an aware UTC instant; without a zone it is UTC, as in Zoom's own times. None for anything
    else, and for a year before or long after Zoom."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if FIRST_YEAR <= at.year <= LAST_YEAR else None


def address(value: object) -> str:
    """An e-mail address as it is compared; an empty text for anything that is not one address."""
    return email_address(text(value)) or ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Logged:
    """One event of Zoom's log. `key` is the content key that the inbox has if the event was delivered."""

    key: str
    event: ZoomEvent
    body: bytes
    request_id: str


@dataclass(slots=True)
class LogReading:
    """The events of Zoom's log, each once and in its order. `rows` counts all rows, `without_body` those without a
    body."""

    rows: int = 0
    without_body: int = 0
    events: dict[str, Logged] = field(default_factory=dict)

    @property
    def unreadable(self) -> int:
        return sum(not each.event.event_type for each in self.events.values())


def read_log(rows: Iterable[Mapping[str, Any]]) -> LogReading:
    """The events of these rows. Zoom tries a delivery up to four times and logs each try as a row. Challenges are left
    out, because they are no evidence."""
    reading = LogReading()
    for row in rows:
        reading.rows += 1
        raw = row.get("request_body")
        if not isinstance(raw, str) or raw.strip() in NO_BODY:
            reading.without_body += 1
            continue
        body = raw.encode("utf-8", "surrogatepass")
        event = read_event(body)
        if URL_VALIDATION not in (event.event_type, row.get("event")):
            key = content_key(event, body)
            logged = Logged(key, event._replace(from_log=True), body, text(row.get("request_id")))
            reading.events.setdefault(key, logged)
    return reading
