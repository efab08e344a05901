"""Who a registrant is: Zoom's registrant ids beside the trainees of the launches.

A registrant id is the person within one meeting series. It becomes a trainee by the exact e-mail of the registration,
if exactly one trainee has it, or by a link made by staff, which no event ever changes.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select, update

from lti_tool.db import insert_ignoring
from lti_tool.tables.evidence import registrants
from lti_tool.tables.people import trainees
from zoom_adapter.persons import Identity
from zoom_adapter.schemas import Notice

IDS_IN_ONE_QUERY = 500
BY_EMAIL = "email"
LONGEST_EVENT_TS = 15


class Registrant(NamedTuple):
    """Who stands behind a registrant id: a trainee, or only the e-mail of the registration."""

    trainee_id: int | None
    email: str


@dataclass(frozen=True, slots=True)
class Directory:
    """Who is who in one meeting series: registrants with their trainee or e-mail, and trainees by e-mail."""

    registered: Mapping[str, Registrant]
    by_email: Mapping[str, int]

    def identify(self, identity: Identity) -> int | None:
        """The trainee: by registrant id, else by the exact e-mail of one trainee, else None (the unmatched list)."""
        registrant = self.registered.get(identity.registrant_id, Registrant(None, ""))
        if registrant.trainee_id is not None:
            return registrant.trainee_id
        return self.by_email.get(registrant.email) or self.by_email.get(identity.email)


def record_registration(connection: Connection, notice: Notice, now: datetime) -> None:
    """Keep who registered: what the newest notice says holds, in whatever order they come, and one without an address
    takes none away. A link made by staff stays."""
    if not (notice.meeting_id and notice.registrant_id):
        return
    key = {"meeting_id": notice.meeting_id[:32], "registrant_id": notice.registrant_id[:128]}
    connection.execute(insert_ignoring(connection, registrants).values(**key, recorded_at=now))
    known = connection.execute(select(registrants).filter_by(**key).with_for_update()).one()
    told = {"email": notice.email or None, "name": notice.name or None, "event_ts": _number(notice.event_ts)}
    if _rank(told) > _rank(known._asdict()):
        news = told | _match(connection, known, notice.email) | {"recorded_at": now}
        connection.execute(update(registrants).filter_by(**key).values(news))


def _rank(told: Mapping[str, Any]) -> tuple[bool, int, str, str]:
    """Whichever of two notices ranks higher is believed. Equal ones differ in nothing that is kept."""
    return bool(told["email"]), told["event_ts"], told["email"] or "", told["name"] or ""


def _match(connection: Connection, known: Row[Any], email: str) -> dict[str, Any]:
    """Whom this address matches; nothing where staff have linked, or where the address is the one that matched."""
    if known.matched_by not in (None, BY_EMAIL) or (known.trainee_id is not None and known.email == email):
        return {}
    trainee_id = _trainees_by_email(connection, [email]).get(email) if email else None
    return {"trainee_id": trainee_id, "matched_by": None if trainee_id is None else BY_EMAIL}


def _number(event_ts: str) -> int:
    """Milliseconds; 0, older than anything, for what is no such number."""
    return int(event_ts) if event_ts.isascii() and event_ts.isdigit() and len(event_ts) <= LONGEST_EVENT_TS else 0


def directory(connection: Connection, meeting_id: str, identities: Collection[Identity]) -> Directory:
    """What is known of these identities in one meeting series."""
    columns = (registrants.c.registrant_id, registrants.c.trainee_id, registrants.c.email)
    rows = connection.execute(select(*columns).where(registrants.c.meeting_id == meeting_id))
    registered = {row.registrant_id: Registrant(row.trainee_id, row.email or "") for row in rows}
    emails = {each.email for each in identities} | {each.email for each in registered.values()}
    return Directory(registered, _trainees_by_email(connection, sorted(emails - {""})))


def _trainees_by_email(connection: Connection, emails: Collection[str]) -> dict[str, int]:
    """Trainees by e-mail (lower-cased, exact), only where one trainee alone has it."""
    found: dict[str, set[int]] = {}
    for some in _portions(emails):
        query = select(trainees.c.email, trainees.c.id).where(trainees.c.email.in_(some))
        for email, trainee_id in connection.execute(query):
            found.setdefault(email, set()).add(trainee_id)
    return {email: next(iter(ids)) for email, ids in found.items() if len(ids) == 1}


def _portions(values: Collection[str]) -> Iterator[list[str]]:
    rest = iter(values)
    while portion := list(islice(rest, IDS_IN_ONE_QUERY)):
        yield portion
