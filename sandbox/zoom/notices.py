"""The deliveries that Zoom makes of a day. Shapes follow Zoom's documented samples; the oddities follow what is known
of live traffic: a breakout move is LEFT and JOIN in the same second, `id` is a number in some events and a text in
others, a breakout event names its stay in another way and may carry somebody else's address."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sandbox.zoom.behaviours import Visit
from sandbox.zoom.people import Attendee
from sandbox.zoom.stays import RoomInterval

Event = dict[str, Any]

HOST_ID = "x1yCzABCDEfg23HiJKl4mN"


class Told(NamedTuple):
    """One delivery and what it tells: `kind` is joined, left, waiting, put_waiting, admitted, breakout, role, bind,
    registration, started or ended; `stay` is the stay whose edge it is, `person` the number of whom it speaks."""

    at: datetime
    kind: str
    event: Event
    uuid: str
    person: int | None = None
    stay: RoomInterval | None = None


@dataclass(frozen=True, slots=True)
class Teller:
    """What all deliveries of one instance have in common."""

    kind: str
    meeting_id: str
    uuid: str
    topic: str
    started_at: datetime
    minutes: int

    def whole(self, name: str, at: datetime, **more: Any) -> Event:
        subject = {
            "id": self.meeting_id,
            "uuid": self.uuid,
            "host_id": HOST_ID,
            "topic": self.topic,
            "type": 8 if self.kind == "meeting" else 5,
            "start_time": text(self.started_at),
            "timezone": "America/Los_Angeles",
            "duration": self.minutes,
            **more,
        }
        return {
            "event": f"{self.kind}.{name}",
            "event_ts": int((at + timedelta(seconds=1.2)).timestamp() * 1000),
            "payload": {"account_id": "AAAAAABBBB", "object": subject},
        }

    def border(self, name: str, at: datetime) -> Told:
        """The instance started or ended."""
        more: Event = {"id": number(self.meeting_id)} if name == "started" else {"end_time": text(at)}
        return Told(at, name, self.whole(name, at, **more), self.uuid)

    def registration(self, attendee: Attendee, person: int, at: datetime, starts_at: datetime) -> Told:
        given, _, family = attendee.name.partition(" ")
        registrant = {
            "id": attendee.registrant_id,
            "first_name": given,
            "last_name": family,
            "email": attendee.email,
            "status": "approved",
            "custom_questions": [],
            "participant_pin_code": 380_303 + person,
        }
        more = {"id": number(self.meeting_id), "start_time": text(starts_at), "registrant": registrant}
        event = self.whole("registration_created", at, **more)
        return Told(at, "registration", event, self.uuid, person)

    def visit(self, attendee: Attendee, visit: Visit, stays: Sequence[RoomInterval], stray: str) -> Iterator[Told]:
        """One connection: `stays` are its stays in this instance, in order. `stray` is the address that its breakout
        events carry."""
        who = _who(attendee, visit, stays[0].connection)
        if visit.waits:
            since = stays[0].starts - timedelta(seconds=visit.waits)
            yield from self._waited(who, stays[0], "participant_joined_waiting_room", since, stays[0].starts)
        for count, stay in enumerate(stays):
            yield from self._edges(who, stay)
            if stay.put_waiting and count + 1 < len(stays):
                back = stays[count + 1].starts
                yield from self._waited(who, stay, "participant_put_in_waiting_room", stay.ends, back)
            if stay.room:
                yield from self._breakout({**who, "email": stray}, stay)

    def role(self, attendee: Attendee, visit: Visit, stay: RoomInterval, at: datetime, new: str) -> Told:
        """Zoom leaves the registrant id out here."""
        who = _who(attendee, visit, stay.connection)
        del who["registrant_id"]
        roles = {"old_role": "attendee", "new_role": new}
        return self._of("role", "participant_role_changed", at, stay, {**who, **roles, "date_time": text(at)})

    def bind(self, attendee: Attendee, visit: Visit, stay: RoomInterval, to: RoomInterval) -> Told:
        """A phone leg belongs to the connection of the computer."""
        bound = {"bind_user_id": to.user_id, "bind_participant_uuid": to.connection}
        who = _who(attendee, visit, stay.connection)
        at = max(stay.starts, to.starts)
        return self._of("bind", "participant_bind", at, stay, {**who, **bound, "date_time": text(at)})

    def _edges(self, who: Event, stay: RoomInterval) -> Iterator[Told]:
        if stay.joins:
            known = {name: value for name, value in who.items() if name != "registrant_id" or value}
            joined = {**known, "join_time": text(stay.starts)}
            yield self._of("joined", "participant_joined", stay.starts, stay, joined)
        if stay.leaves:
            left = {"leave_time": text(stay.ends), "leave_reason": f"{who['user_name']} left the meeting."}
            yield self._of("left", "participant_left", stay.ends, stay, {**who, **left})

    def _waited(self, who: Event, stay: RoomInterval, name: str, since: datetime, until: datetime) -> Iterator[Told]:
        kind = "put_waiting" if name == "participant_put_in_waiting_room" else "waiting"
        yield self._of(kind, name, since, stay, {**who, "date_time": text(since)})
        for end in ("participant_admitted", "participant_left_waiting_room"):
            yield self._of("admitted", end, until, stay, {**who, "date_time": text(until)})

    def _breakout(self, who: Event, stay: RoomInterval) -> Iterator[Told]:
        odd = {"user_id": f"{stay.user_id}{int(stay.starts.timestamp())}", "parent_user_id": stay.user_id}
        edges = (("joined", "join_time", stay.starts, stay.joins), ("left", "leave_time", stay.ends, stay.leaves))
        for name, field, at, is_told in edges:
            if is_told:
                participant = {**who, **odd, field: text(at)}
                told = self._of("breakout", f"participant_{name}_breakout_room", at, stay, participant)
                told.event["payload"]["object"]["breakout_room_uuid"] = stay.room
                yield told

    def _of(self, kind: str, name: str, at: datetime, stay: RoomInterval, participant: Event) -> Told:
        event = self.whole(name, at, participant={"user_id": stay.user_id, **participant})
        return Told(at, kind, event, self.uuid, stay.person, stay)


def _who(attendee: Attendee, visit: Visit, connection: str) -> Event:
    name, email, registrant_id = attendee.shown(visit)
    return {
        "user_name": name,
        "id": "",
        "participant_user_id": "",
        "participant_uuid": connection,
        "email": email,
        "registrant_id": registrant_id,
        "phone_number": "15550100142" if visit.phone else "",
        "public_ip": "192.0.2.7",
    }


def text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def number(meeting_id: str) -> int | str:
    return int(meeting_id) if meeting_id.isdigit() else meeting_id
