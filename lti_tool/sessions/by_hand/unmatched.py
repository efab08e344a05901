"""People whom Zoom saw and nobody has matched: who they were for Zoom, and by what they could be linked to a trainee.

Nobody is suggested here. Who somebody is, a person of the staff says (ce.md T8).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from lti_tool.errors import Conflict, NotFound
from lti_tool.sessions import days, live_sessions
from lti_tool.sessions.by_hand.links import NUMBERED, Claim
from lti_tool.sessions.by_hand.reviews import REVIEWED
from lti_tool.sessions.days import AttendedDay
from lti_tool.tables.evidence import registrants
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.live_sessions import live_sessions as sessions


@dataclass(frozen=True, slots=True)
class Seen:
    """Somebody unmatched in one live session; `id` is of the row of `attendances`."""

    id: int
    day: AttendedDay

    @property
    def first_at(self) -> datetime | None:
        return min((datetime.fromisoformat(each["from"]) for each in self._spans), default=None)

    @property
    def last_at(self) -> datetime | None:
        return max((datetime.fromisoformat(each["to"]) for each in self._spans), default=None)

    @property
    def by_phone(self) -> bool:
        return "phone" in self.day.flags

    @property
    def _spans(self) -> list[dict[str, str]]:
        return [*self.day.day["intervals"], *self.day.day.get("waiting", ())]


def everybody(connection: Connection) -> list[Seen]:
    """Whoever is still to be matched, the latest session first; without those whom staff have looked at and left alone,
    and without sessions that are locked."""
    waiting = [each for each in days.unmatched(connection) if not each.is_reviewed and each.session_state != "locked"]
    ids = _ids(connection)
    # On PostgreSQL a settlement may have matched somebody between the two queries.
    known = [(ids.get((each.session_id, each.person_key)), each) for each in waiting]
    return [Seen(attendance_id, each) for attendance_id, each in known if attendance_id is not None]


def waiting_since(connection: Connection) -> list[datetime]:
    """Since when each of them waits."""
    nobody = attendances.c.is_current & attendances.c.trainee_id.is_(None) & ~REVIEWED
    query = select(attendances.c.settled_at).join(sessions).where(nobody, sessions.c.state != "locked")
    return list(connection.scalars(query))


def seen(connection: Connection, attendance_id: int) -> Seen:
    """Somebody unmatched as the evidence has it now, by any version of their attendance.

    Raises NotFound "attendance_unknown", Conflict "match_settled".
    """
    named = select(attendances.c.live_session_id, attendances.c.person_key).where(attendances.c.id == attendance_id)
    row = connection.execute(named).first()
    if row is None:
        raise NotFound("attendance_unknown", "There is no such record.", "Choose from the list of unmatched people.")
    found = [each for each in days.of_session(connection, row.live_session_id) if each.person_key == row.person_key]
    if not found or found[0].trainee_id is not None:
        raise Conflict(
            "match_settled",
            "This person has been matched, or the evidence speaks of somebody else by now.",
            "Look at the list of unmatched people again.",
        )
    return Seen(attendance_id, found[0])


def claims_of(connection: Connection, day: AttendedDay) -> list[Claim]:
    """By what this person could be linked, the narrowest first: the registration, the address, else the connection."""
    meeting_id = live_sessions.show(connection, day.session_id).zoom_meeting_id
    return list(dict.fromkeys(_claims(connection, day, meeting_id)))


def _claims(connection: Connection, day: AttendedDay, meeting_id: str) -> Iterator[Claim]:
    kind, _, key = day.person_key.partition(":")
    if kind == "connection":
        if not key.startswith(NUMBERED):
            yield Claim("connection", key, meeting_id)
        return
    if day.registrant_id:
        yield Claim("registrant", day.registrant_id, meeting_id)
    for email in (day.email, _registered_with(connection, day.registrant_id, meeting_id)):
        if email:
            yield Claim("email", email, "")


def _registered_with(connection: Connection, registrant_id: str | None, meeting_id: str) -> str | None:
    where = {"meeting_id": meeting_id, "registrant_id": registrant_id or ""}
    return connection.scalar(select(registrants.c.email).filter_by(**where))


def _ids(connection: Connection) -> dict[tuple[int, str], int]:
    columns = (attendances.c.id, attendances.c.live_session_id, attendances.c.person_key)
    query = select(*columns).where(attendances.c.is_current, attendances.c.trainee_id.is_(None))
    return {(row.live_session_id, row.person_key): row.id for row in connection.execute(query)}
