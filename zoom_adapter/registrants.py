"""Matches Zoom's registrants with trainees.

A registrant id identifies a person within one meeting series. It belongs to the trainee for whom Gatehouse made a
place, to the trainee whom staff have matched, or to the only trainee with the exact e-mail of the registration. No
event ever changes the first two.
"""

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select, update

from lti_tool.attendance import matching
from lti_tool.attendance.matching import Links
from lti_tool.db import insert_ignoring
from lti_tool.tables.people import trainees
from lti_tool.tables.zoom import registrants
from zoom_adapter.api_calls import chunks
from zoom_adapter.bound_connections import Identity
from zoom_adapter.events import ZoomEvent

MAX_IDS_PER_QUERY = 500
BY_EMAIL = "email"
BY_GATE = "gate"
MAX_EVENT_TS_LENGTH = 15
MAX_MEETING_ID_LENGTH, MAX_REGISTRANT_ID_LENGTH = 32, 128
NO_LINKS = Links({}, {}, {})
# The status of a registrant; of two events at the same moment, the one later in this list counts.
STATUSES = ("pending", "approved", "denied", "cancelled")


class Registrant(NamedTuple):
    """The person of a registrant id: a trainee, or only the e-mail of the registration.

    `is_sure`: the trainee is known by more than that e-mail.
    """

    trainee_id: int | None
    email: str
    is_sure: bool = False


@dataclass(frozen=True, slots=True)
class Directory:
    """The people of one meeting series: registrants with their trainee or e-mail, trainees by e-mail, and the matches
    that staff made."""

    registered: Mapping[str, Registrant]
    by_email: Mapping[str, Set[int]]
    linked: Links = NO_LINKS

    def identify(self, identity: Identity) -> int | None:
        """The trainee, or None (the unmatched list).

        In this order: staff's match of the registration, the registrant id, a matched address or the exact e-mail of
        one trainee, staff's match of a connection.
        """
        linked = self.linked.registrant.get(identity.registrant_id)
        if linked is not None:
            return linked
        registrant = self.registered.get(identity.registrant_id, Registrant(None, ""))
        if registrant.is_sure:
            return registrant.trainee_id
        owners = self._owners(registrant.email, registrant.trainee_id) or self._owners(identity.email)
        # Connections that staff matched to several people match nobody.
        links = self.linked.connection
        linked_connections = {links[key] for key in identity.connections if key in links}
        return _only(owners) or _only(linked_connections)

    def _owners(self, email: str, matched: int | None = None) -> Set[int]:
        """The trainees who have this address or were matched by it earlier, and the one to whom staff matched it."""
        known = self.by_email.get(email, frozenset()) if matched is None else {matched}
        linked = self.linked.email.get(email)
        return known if linked is None else known | {linked}


def record_registration(connection: Connection, event: ZoomEvent, now: datetime) -> None:
    """Store who registered and the status at Zoom.

    The newest event counts, in whatever order events arrive; one without an address removes none. The trainee of a
    place and staff's matches stay.
    """
    if not (event.meeting_id and event.registrant_id):
        return
    key = {
        "meeting_id": event.meeting_id[:MAX_MEETING_ID_LENGTH],
        "registrant_id": event.registrant_id[:MAX_REGISTRANT_ID_LENGTH],
    }
    connection.execute(insert_ignoring(connection, registrants).values(**key, recorded_at=now))
    known = connection.execute(select(registrants).filter_by(**key).with_for_update()).one()
    given = {"email": event.email or None, "name": event.name or None, "event_ts": _milliseconds(event.event_ts)}
    changes = _status(known, event)
    if _rank(given) > _rank(known._asdict()):
        changes |= given | _match(connection, known, event.email) | {"recorded_at": now}
    if changes:
        connection.execute(update(registrants).filter_by(**key).values(changes))


def record_place(
    connection: Connection,
    meeting_id: str,
    registrant_id: str,
    trainee_id: int,
    *,
    email: str,
    name: str | None,
    now: datetime,
) -> bool:
    """Store that this registration was made for this trainee; False, storing nothing, if it belongs to another."""
    key = {"meeting_id": meeting_id, "registrant_id": registrant_id}
    new = {**key, "trainee_id": trainee_id, "matched_by": BY_GATE, "email": email, "name": name, "recorded_at": now}
    if connection.execute(insert_ignoring(connection, registrants).values(new)).rowcount:
        return True
    known = connection.execute(select(registrants).filter_by(**key).with_for_update()).one()
    linked = matching.in_force(connection, meeting_id).registrant.get(registrant_id, trainee_id)
    if linked != trainee_id or known.trainee_id not in (None, trainee_id):
        return False
    if known.matched_by != BY_GATE or known.status != "approved":
        changes = {"trainee_id": trainee_id, "matched_by": BY_GATE, "email": known.email or email, "status": "approved"}
        connection.execute(update(registrants).filter_by(**key).values(**changes, recorded_at=now))
    return True


def record_status(connection: Connection, meeting_id: str, registrant_ids: Collection[str], status: str) -> None:
    """Store the status that Gatehouse gave these registrants at Zoom, before Zoom's own event arrives."""
    for some in chunks(sorted(registrant_ids), MAX_IDS_PER_QUERY):
        these = (registrants.c.meeting_id == meeting_id, registrants.c.registrant_id.in_(some))
        connection.execute(update(registrants).where(*these).values(status=status))


def not_approved(connection: Connection, meeting_id: str, registrant_ids: Collection[str]) -> list[str]:
    """The registrants among these who are pending or denied, as far as Zoom has reported."""
    held = registrants.c.status.in_(("pending", "denied")) & (registrants.c.meeting_id == meeting_id)
    query = select(registrants.c.registrant_id).where(held)
    return [
        each
        for some in chunks(sorted(registrant_ids), MAX_IDS_PER_QUERY)
        for each in connection.scalars(query.where(registrants.c.registrant_id.in_(some)))
    ]


def directory(connection: Connection, meeting_id: str, identities: Collection[Identity]) -> Directory:
    """What is known about these identities in one meeting series."""
    columns = (registrants.c.registrant_id, registrants.c.trainee_id, registrants.c.email, registrants.c.matched_by)
    rows = connection.execute(select(*columns).where(registrants.c.meeting_id == meeting_id))
    registered = {}
    for row in rows:
        is_sure = row.trainee_id is not None and row.matched_by not in (None, BY_EMAIL)
        registered[row.registrant_id] = Registrant(row.trainee_id, row.email or "", is_sure)
    emails = {each.email for each in identities} | {each.email for each in registered.values()}
    by_email = _owners_by_email(connection, emails - {""})
    return Directory(registered, by_email, matching.in_force(connection, meeting_id))


def trainees_by_email(connection: Connection, emails: Collection[str]) -> dict[str, int]:
    """Trainees by e-mail (as `text.email_address` gives it), for addresses that exactly one trainee has."""
    owners = {email: _only(ids) for email, ids in _owners_by_email(connection, emails).items()}
    return {email: trainee_id for email, trainee_id in owners.items() if trainee_id is not None}


def _owners_by_email(connection: Connection, emails: Collection[str]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for some in chunks(sorted(emails), MAX_IDS_PER_QUERY):
        query = select(trainees.c.email, trainees.c.id).where(trainees.c.email.in_(some))
        for email, trainee_id in connection.execute(query):
            found.setdefault(email, set()).add(trainee_id)
    return found


def _only(found: Set[int]) -> int | None:
    """The only member; None for none or several."""
    return next(iter(found)) if len(found) == 1 else None


def _status(known: Row[Any], event: ZoomEvent) -> dict[str, Any]:
    """The new status, if this event is the newest about it; an event without a time changes nothing."""
    status = event.event_type.rpartition("registration_")[2]
    if status == "created":
        status = event.registrant_status if event.registrant_status in STATUSES else "pending"
    at = _milliseconds(event.event_ts)
    newest = known.status_ts, STATUSES.index(known.status) if known.status_ts else -1
    if not at or status not in STATUSES or (at, STATUSES.index(status)) <= newest:
        return {}
    return {"status": status, "status_ts": at}


def _rank(given: Mapping[str, Any]) -> tuple[bool, int, str, str]:
    """The event that ranks higher counts. Equal ones differ in nothing that is stored."""
    return bool(given["email"]), given["event_ts"], given["email"] or "", given["name"] or ""


def _match(connection: Connection, known: Row[Any], email: str) -> dict[str, Any]:
    """The match of this address; empty if a place identifies the person, or this address has matched already."""
    if known.matched_by not in (None, BY_EMAIL) or (known.trainee_id is not None and known.email == email):
        return {}
    trainee_id = trainees_by_email(connection, [email]).get(email) if email else None
    return {"trainee_id": trainee_id, "matched_by": None if trainee_id is None else BY_EMAIL}


def _milliseconds(event_ts: str) -> int:
    """The time of an event; 0, older than any, if it is not a number."""
    return int(event_ts) if event_ts.isascii() and event_ts.isdigit() and len(event_ts) <= MAX_EVENT_TS_LENGTH else 0
