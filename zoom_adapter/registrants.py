"""Matches Zoom's registrants with trainees.

A registrant id identifies a person within one meeting series. It belongs to the trainee for whom Gatehouse made a
place, to the trainee whom staff have matched, or to the only trainee who had the exact e-mail of the registration. No
event ever changes the first two. Within a session, whoever it was settled for stays, whatever is known later.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, bindparam, select, tuple_, update

from lti_tool import people
from lti_tool.attendance import matching
from lti_tool.attendance.matching import Links
from lti_tool.db import chunks, insert_ignoring
from lti_tool.intervals import Interval
from lti_tool.people import AddressOwners
from lti_tool.tables.zoom import registrants
from zoom_adapter.bound_connections import Identity, Recognition
from zoom_adapter.events import ZoomEvent
from zoom_adapter.reports import Session

MAX_IDS_PER_QUERY = 500
BY_EMAIL = "email"
BY_GATE = "gate"
MAX_EVENT_TS_LENGTH = 15
MAX_EVENT_TS = 4_102_444_800_000  # the year 2100: a later event has a wrong clock
MAX_MEETING_ID_LENGTH, MAX_REGISTRANT_ID_LENGTH = 32, 128
NO_LINKS = Links({}, {}, {})
NO_OWNERS = AddressOwners(frozenset())
AddressHistory = Mapping[str, Sequence[Row[Any]]]
# The status of a registrant; of two events at the same moment, the one later in this list counts.
STATUSES = ("pending", "approved", "denied", "cancelled")
KEY = (registrants.c.meeting_id, registrants.c.registrant_id)
# Writes whole rows; the values are named new_….
_UPDATE = (
    update(registrants)
    .where(*(column == bindparam(f"new_{column.name}") for column in KEY))
    .values({column.name: bindparam(f"new_{column.name}") for column in registrants.c if column not in KEY})
)


class Registrant(NamedTuple):
    """The person of a registrant id: a trainee, or only the e-mail of the registration.

    `is_sure`: the trainee is known by more than that e-mail.
    """

    trainee_id: int | None
    email: str
    is_sure: bool = False


@dataclass(frozen=True, slots=True)
class Directory:
    """The people of one meeting series: registrants with their trainee or e-mail, trainees by e-mail, the matches that
    staff made, and who was settled in the session."""

    registered: Mapping[str, Registrant]
    by_email: Mapping[str, AddressOwners]
    linked: Links = NO_LINKS
    settled: Links = NO_LINKS

    def identify(self, identity: Identity) -> int | None:
        """The trainee, or None (the unmatched list)."""
        return self.recognise(identity).trainee_id

    def recognise(self, identity: Identity) -> Recognition:
        """The trainee and how they are known.

        In this order: staff's match of the registration or the address, who it was settled for in this session, the
        place, a matched address or the exact e-mail of one trainee, staff's match of a connection. Where the evidence
        does not name whom it was settled for, staff's match of a connection comes before both.
        """
        linked = self.linked.registrant.get(identity.registrant_id)
        if linked is not None:
            return Recognition(linked, "link")
        found = self._by_evidence(identity)
        settled = self._settled_for(identity)
        if settled is None or found.known_by == "link":
            return found
        if found.trainee_id != settled and (linked := self._linked_by_connection(identity)) is not None:
            return Recognition(linked, "link")
        return Recognition(settled, "settled", differs=found.trainee_id not in (None, settled))

    def _by_evidence(self, identity: Identity) -> Recognition:
        registrant = self.registered.get(identity.registrant_id, Registrant(None, ""))
        if registrant.is_sure:
            return Recognition(registrant.trainee_id, "place")
        email = registrant.email
        owners = self._owners(email, registrant.trainee_id)
        if not owners:
            email = identity.email
            owners = self._owners(email)
        if (owner := _only(owners)) is not None:
            return Recognition(owner, "link" if email in self.linked.email else "address")
        linked = self._linked_by_connection(identity)
        return Recognition(linked, "link" if linked is not None else "")

    def _linked_by_connection(self, identity: Identity) -> int | None:
        """A connection that staff matched to several people matches none of them."""
        links = self.linked.connection
        return _only({links[key] for key in identity.connections if key in links})

    def _settled_for(self, identity: Identity) -> int | None:
        """By the connections, which are this person's alone; else by the registrant; without one by the address."""
        settled = self.settled
        connections = {settled.connection[key] for key in identity.connections if key in settled.connection}
        if connections:
            return _only(connections)
        if identity.registrant_id:
            return settled.registrant.get(identity.registrant_id)
        return settled.email.get(identity.email)

    def _owners(self, email: str, matched: int | None = None) -> Set[int]:
        """The trainees who had this address, or were matched by it earlier. If staff matched it, only another trainee
        who had it at that time speaks against them."""
        owners = self.by_email.get(email, NO_OWNERS)
        linked = self.linked.email.get(email)
        if linked is not None:
            return {linked} if owners.came_later else owners.trainee_ids | {linked}
        return owners.trainee_ids if matched is None else {matched}


def record_registrations(connection: Connection, events: Iterable[ZoomEvent], now: datetime) -> None:
    """Store who registered and the status at Zoom, with a few statements for all of these events.

    The newest event counts, in whatever order events arrive; one without an address removes none. The trainee of a
    place and staff's matches stay.
    """
    by_key: dict[tuple[str, str], list[ZoomEvent]] = defaultdict(list)
    for event in events:
        if event.meeting_id and event.registrant_id:
            key = event.meeting_id[:MAX_MEETING_ID_LENGTH], event.registrant_id[:MAX_REGISTRANT_ID_LENGTH]
            by_key[key].append(event)
    history = people.address_history(connection, {each.email for some in by_key.values() for each in some} - {""})
    for keys in chunks(sorted(by_key), MAX_IDS_PER_QUERY):
        new = [{"meeting_id": meeting, "registrant_id": registrant, "recorded_at": now} for meeting, registrant in keys]
        connection.execute(insert_ignoring(connection, registrants), new)
        these = tuple_(registrants.c.meeting_id, registrants.c.registrant_id).in_(keys)
        rows = connection.execute(select(registrants).where(these).order_by(*KEY).with_for_update()).all()
        changed = []
        for row in rows:
            known = row._asdict()
            for event in by_key[row.meeting_id, row.registrant_id]:
                known |= _changes(known, event, history, now)
            if known != row._asdict():
                changed.append({f"new_{name}": value for name, value in known.items()})
        if changed:
            connection.execute(_UPDATE, changed)


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


def directory_of(
    connection: Connection, session: Session, identities: Collection[Identity], settled: Links
) -> Directory:
    """What is known about these identities in one live session: addresses are those of that time, and `settled` is
    who has been settled in it."""
    during = Interval(session.starts_at, session.ends_at)
    known = directory(connection, session.zoom_meeting_id, identities, during)
    return replace(known, settled=settled)


def directory(
    connection: Connection, meeting_id: str, identities: Collection[Identity], during: Interval | None = None
) -> Directory:
    """What is known about these identities in one meeting series, during this time or now."""
    columns = (registrants.c.registrant_id, registrants.c.trainee_id, registrants.c.email, registrants.c.matched_by)
    rows = connection.execute(select(*columns).where(registrants.c.meeting_id == meeting_id))
    registered = {}
    for row in rows:
        is_sure = row.trainee_id is not None and row.matched_by not in (None, BY_EMAIL)
        registered[row.registrant_id] = Registrant(row.trainee_id, row.email or "", is_sure)
    emails = {each.email for each in identities} | {each.email for each in registered.values()}
    known = emails - {""}
    by_email = people.owners(connection, known, during) if during else people.owners_now(connection, known)
    return Directory(registered, by_email, matching.in_force(connection, meeting_id))


def trainees_by_email(connection: Connection, emails: Collection[str]) -> dict[str, int]:
    """Trainees by e-mail (as `text.email_address` gives it), for addresses that exactly one trainee has now."""
    found = people.owners_now(connection, emails)
    owners = {email: _only(each.trainee_ids) for email, each in found.items()}
    return {email: trainee_id for email, trainee_id in owners.items() if trainee_id is not None}


def _only(found: Set[int]) -> int | None:
    """The only member; None for none or several."""
    return next(iter(found)) if len(found) == 1 else None


def _changes(known: Mapping[str, Any], event: ZoomEvent, history: AddressHistory, now: datetime) -> dict[str, Any]:
    """What this event changes about a registrant; `history` is who had which address when."""
    given = {"email": event.email or None, "name": event.name or None, "event_ts": _milliseconds(event.event_ts)}
    changes = _status(known, event)
    if _rank(given) > _rank(known):
        changes |= given | _match(known, event, history, now) | {"recorded_at": now}
    return changes


def _status(known: Mapping[str, Any], event: ZoomEvent) -> dict[str, Any]:
    """The new status, if this event is the newest about it; an event without a time changes nothing."""
    status = event.event_type.rpartition("registration_")[2]
    if status == "created":
        status = event.registrant_status if event.registrant_status in STATUSES else "pending"
    at = _milliseconds(event.event_ts)
    newest = known["status_ts"], STATUSES.index(known["status"]) if known["status_ts"] else -1
    if not at or status not in STATUSES or (at, STATUSES.index(status)) <= newest:
        return {}
    return {"status": status, "status_ts": at}


def _rank(given: Mapping[str, Any]) -> tuple[bool, int, str, str]:
    """The event that ranks higher counts. Equal ones differ in nothing that is stored."""
    return bool(given["email"]), given["event_ts"], given["email"] or "", given["name"] or ""


def _match(known: Mapping[str, Any], event: ZoomEvent, history: AddressHistory, now: datetime) -> dict[str, Any]:
    """The match of this address at the time of the event; empty if a place identifies the person, or this address has
    matched already."""
    email, at = event.email, _milliseconds(event.event_ts)
    is_matched = known["trainee_id"] is not None
    if known["matched_by"] not in (None, BY_EMAIL) or (is_matched and known["email"] == email):
        return {}
    happened_at = datetime.fromtimestamp(at / 1000, UTC) if 0 < at < MAX_EVENT_TS else now
    owners = people.owners_during(history.get(email, ()), Interval(happened_at, happened_at))
    trainee_id = _only(owners.trainee_ids)
    return {"trainee_id": trainee_id, "matched_by": None if trainee_id is None else BY_EMAIL}


def _milliseconds(event_ts: str) -> int:
    """The time of an event; 0, older than any, if it is not a number."""
    return int(event_ts) if event_ts.isascii() and event_ts.isdigit() and len(event_ts) <= MAX_EVENT_TS_LENGTH else 0
