"""Who a registrant is: Zoom's registrant ids beside the trainees of the launches.

A registrant id is the person within one meeting series. It becomes a trainee by the place that was made for somebody,
by a link of staff, or by the exact e-mail of the registration, if exactly one trainee has it. No event ever changes the
first two.
"""

from collections.abc import Collection, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select, update

from lti_tool.attendance import matching
from lti_tool.attendance.matching import Links
from lti_tool.db import insert_ignoring
from lti_tool.tables.people import trainees
from lti_tool.tables.zoom import registrants
from zoom_adapter.bound_connections import Identity
from zoom_adapter.events import Notice

IDS_IN_ONE_QUERY = 500
BY_EMAIL = "email"
BY_GATE = "gate"
LONGEST_EVENT_TS = 15
NOBODY = Links({}, {}, {})
# What a notice says of a registrant; of two at the same moment the later one in this list is believed.
STATUSES = ("pending", "approved", "denied", "cancelled")


class Registrant(NamedTuple):
    """Who stands behind a registrant id: a trainee, or only the e-mail of the registration. `is_sure`: the trainee is
    known by more than that e-mail."""

    trainee_id: int | None
    email: str
    is_sure: bool = False


@dataclass(frozen=True, slots=True)
class Directory:
    """Who is who in one meeting series: registrants with their trainee or e-mail, every trainee who has an address, and
    what staff have linked."""

    registered: Mapping[str, Registrant]
    by_email: Mapping[str, Set[int]]
    linked: Links = NOBODY

    def identify(self, identity: Identity) -> int | None:
        """The trainee, or None (the unmatched list): by the link of a registration, by registrant id, by a linked
        address or the exact e-mail of one trainee, and where none of these says who it is by the link of a connection.
        """
        linked = self.linked.registrant.get(identity.registrant_id)
        if linked is not None:
            return linked
        registrant = self.registered.get(identity.registrant_id, Registrant(None, ""))
        if registrant.is_sure:
            return registrant.trainee_id
        owners = self._owners(registrant.email, registrant.trainee_id) or self._owners(identity.email)
        return _one(owners) or self._linked_connection(identity)

    def _owners(self, email: str, matched: int | None = None) -> Set[int]:
        """Whose address this is: those who have it, or whom it was matched to once, and the one's whom staff linked it
        to. Where these are two people, nobody is chosen."""
        known = self.by_email.get(email, frozenset()) if matched is None else {matched}
        linked = self.linked.email.get(email)
        return known if linked is None else known | {linked}

    def _linked_connection(self, identity: Identity) -> int | None:
        """Whose connections these are; nobody's where links contradict each other."""
        return _one({self.linked.connection[key] for key in identity.connections if key in self.linked.connection})


def record_registration(connection: Connection, notice: Notice, now: datetime) -> None:
    """Keep who registered, and how that stands at Zoom: what the newest notice says holds, in whatever order they come,
    and one without an address takes none away. A place of ours and a link made by staff stay."""
    if not (notice.meeting_id and notice.registrant_id):
        return
    key = {"meeting_id": notice.meeting_id[:32], "registrant_id": notice.registrant_id[:128]}
    connection.execute(insert_ignoring(connection, registrants).values(**key, recorded_at=now))
    known = connection.execute(select(registrants).filter_by(**key).with_for_update()).one()
    told = {"email": notice.email or None, "name": notice.name or None, "event_ts": _number(notice.event_ts)}
    news = _status(known, notice)
    if _rank(told) > _rank(known._asdict()):
        news |= told | _match(connection, known, notice.email) | {"recorded_at": now}
    if news:
        connection.execute(update(registrants).filter_by(**key).values(news))


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
    """Keep that this registration was made for this trainee. False, and nothing kept, where it is somebody else's: two
    people are never made one."""
    key = {"meeting_id": meeting_id, "registrant_id": registrant_id}
    new = {**key, "trainee_id": trainee_id, "matched_by": BY_GATE, "email": email, "name": name, "recorded_at": now}
    if connection.execute(insert_ignoring(connection, registrants).values(new)).rowcount:
        return True
    known = connection.execute(select(registrants).filter_by(**key).with_for_update()).one()
    linked = matching.in_force(connection, meeting_id).registrant.get(registrant_id, trainee_id)
    if linked != trainee_id or known.trainee_id not in (None, trainee_id):
        return False
    if known.matched_by != BY_GATE or known.status != "approved":
        news = {"trainee_id": trainee_id, "matched_by": BY_GATE, "email": known.email or email, "status": "approved"}
        connection.execute(update(registrants).filter_by(**key).values(**news, recorded_at=now))
    return True


def record_status(connection: Connection, meeting_id: str, registrant_ids: Collection[str], status: str) -> None:
    """Keep what Zoom was told about these registrants; its own notice follows."""
    for some in _portions(registrant_ids):
        these = (registrants.c.meeting_id == meeting_id, registrants.c.registrant_id.in_(some))
        connection.execute(update(registrants).where(*these).values(status=status))


def not_approved(connection: Connection, meeting_id: str, registrant_ids: Collection[str]) -> list[str]:
    """Those of these registrants who wait for an approval or were denied one, as far as Zoom has said."""
    held = registrants.c.status.in_(("pending", "denied")) & (registrants.c.meeting_id == meeting_id)
    query = select(registrants.c.registrant_id).where(held)
    return [
        each
        for some in _portions(registrant_ids)
        for each in connection.scalars(query.where(registrants.c.registrant_id.in_(some)))
    ]


def directory(connection: Connection, meeting_id: str, identities: Collection[Identity]) -> Directory:
    """What is known of these identities in one meeting series."""
    columns = (registrants.c.registrant_id, registrants.c.trainee_id, registrants.c.email, registrants.c.matched_by)
    rows = connection.execute(select(*columns).where(registrants.c.meeting_id == meeting_id))
    registered = {row.registrant_id: _registrant(row) for row in rows}
    emails = {each.email for each in identities} | {each.email for each in registered.values()}
    by_email = _owners_by_email(connection, sorted(emails - {""}))
    return Directory(registered, by_email, matching.in_force(connection, meeting_id))


def trainees_by_email(connection: Connection, emails: Collection[str]) -> dict[str, int]:
    """Trainees by e-mail (lower-cased, exact), only where one trainee alone has it."""
    owners = {email: _one(ids) for email, ids in _owners_by_email(connection, emails).items()}
    return {email: trainee_id for email, trainee_id in owners.items() if trainee_id is not None}


def _owners_by_email(connection: Connection, emails: Collection[str]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for some in _portions(emails):
        query = select(trainees.c.email, trainees.c.id).where(trainees.c.email.in_(some))
        for email, trainee_id in connection.execute(query):
            found.setdefault(email, set()).add(trainee_id)
    return found


def _one(found: Set[int]) -> int | None:
    """The only one there is."""
    return next(iter(found)) if len(found) == 1 else None


def _registrant(row: Row[*tuple[Any, ...]]) -> Registrant:
    is_sure = row.trainee_id is not None and row.matched_by not in (None, BY_EMAIL)
    return Registrant(row.trainee_id, row.email or "", is_sure)


def _status(known: Row[Any], notice: Notice) -> dict[str, Any]:
    """How the registration stands, where this notice is the newest that says so. One without a time says nothing."""
    said = notice.event.rpartition("registration_")[2]
    if said == "created":
        said = notice.registrant_status if notice.registrant_status in STATUSES else "pending"
    at = _number(notice.event_ts)
    newest = known.status_ts, STATUSES.index(known.status) if known.status_ts else -1
    if not at or said not in STATUSES or (at, STATUSES.index(said)) <= newest:
        return {}
    return {"status": said, "status_ts": at}


def _rank(told: Mapping[str, Any]) -> tuple[bool, int, str, str]:
    """Whichever of two notices ranks higher is believed. Equal ones differ in nothing that is kept."""
    return bool(told["email"]), told["event_ts"], told["email"] or "", told["name"] or ""


def _match(connection: Connection, known: Row[Any], email: str) -> dict[str, Any]:
    """Whom this address matches; nothing where a place says who it is, or where the address is the one that matched."""
    if known.matched_by not in (None, BY_EMAIL) or (known.trainee_id is not None and known.email == email):
        return {}
    trainee_id = trainees_by_email(connection, [email]).get(email) if email else None
    return {"trainee_id": trainee_id, "matched_by": None if trainee_id is None else BY_EMAIL}


def _number(event_ts: str) -> int:
    """Milliseconds; 0, older than anything, for what is no such number."""
    return int(event_ts) if event_ts.isascii() and event_ts.isdigit() and len(event_ts) <= LONGEST_EVENT_TS else 0


def _portions(values: Collection[str]) -> Iterator[list[str]]:
    rest = iter(values)
    while portion := list(islice(rest, IDS_IN_ONE_QUERY)):
        yield portion
