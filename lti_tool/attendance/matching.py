"""Which trainee a person in Zoom is, as staff say: by an address, a registration, or one connection.

A link is made by one of the staff with a reason and holds until it is taken back. It never makes two trainees one: what
belongs to one trainee cannot be linked to another, and names are never compared (ce.md T8). People whom Zoom recorded
and no link or record identifies are listed here with what they could be linked by; nothing is suggested.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, false, func, select, tuple_, update

from lti_tool import audit, people
from lti_tool.attendance import live_sessions, queries
from lti_tool.attendance.evidence import NUMBERED
from lti_tool.attendance.live_sessions import request_settlement
from lti_tool.attendance.queries import AttendedDay, Version
from lti_tool.attendance.reviews import REVIEWED
from lti_tool.db import insert_ignoring
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.people import refuse_own
from lti_tool.tables.live_sessions import attendances
from lti_tool.tables.live_sessions import live_sessions as live_sessions_table
from lti_tool.tables.people import person_join_rows, person_joins, trainees
from lti_tool.tables.presence import person_links, settled_identities, zoom_places
from lti_tool.tables.zoom import registrants
from lti_tool.text import email_address, meeting_number, reason_given

NARROWEST_FIRST: Final = ("connection", "registrant", "email")
KINDS: Final = ("email", "registrant", "connection")
LONGEST_VALUE = 200


class Claim(NamedTuple):
    """What a link identifies. `meeting_id` is empty for an address, which is the same person everywhere."""

    kind: str
    value: str
    meeting_id: str


class Touched(NamedTuple):
    """A live session whose evidence a link concerns."""

    session_id: int
    is_locked: bool


class Decisions(NamedTuple):
    """How often staff have said who a person is, and have taken it back. Evidence that was read under other numbers may
    name the wrong trainee."""

    links: int
    links_undone: int
    joins: int
    joins_undone: int


@dataclass(frozen=True, slots=True)
class Links:
    """The links that apply in one meeting: registrant id, address (as `text.email_address` gives it) and connection →
    trainee id."""

    registrant: Mapping[str, int]
    email: Mapping[str, int]
    connection: Mapping[str, int]


def link(
    connection: Connection,
    *,
    kind: str,
    value: str,
    meeting_id: str,
    trainee_id: int,
    reason: str,
    actor: str,
    now: datetime,
) -> int:
    """Link a claim to a trainee, and request the settlement of every session it concerns; returns the link's id.

    Repeating a link changes nothing. A locked session stays as it is (`touched` says which).

    Raises BadInput "link_wrong", "reason_missing"; NotFound "trainee_unknown"; AccessDenied "own_case"; Conflict
    "link_taken" (linked to another trainee), "link_known" (another trainee has it already), "link_contradicts" (another
    link says otherwise), "link_numbered" (a connection without an id).
    """
    claim = read_claim(kind, value, meeting_id)
    why = reason_given(reason)
    people.trainee(connection, trainee_id)
    refuse_own(connection, actor, trainee_id)
    verify_free(connection, claim, trainee_id)
    row = {**claim._asdict(), "trainee_id": trainee_id, "reason": why, "made_by": actor, "made_at": now}
    # The unique index on links in force decides between two people at once.
    link_id = connection.scalar(insert_ignoring(connection, person_links).values(row).returning(person_links.c.id))
    if link_id is None:
        query = select(person_links.c.id, person_links.c.trainee_id).filter_by(**claim._asdict())
        first = connection.execute(query.where(person_links.c.undone_at.is_(None))).one()
        if first.trainee_id != trainee_id:
            raise _taken()
        return int(first.id)
    _note(connection, link_id, "person_linked", actor, now, why, kind=kind, trainee=trainee_id)
    _ask(connection, touched(connection, claim), now)
    return int(link_id)


def undo(connection: Connection, link_id: int, *, reason: str, actor: str, now: datetime) -> None:
    """Take a link back: what was counted for the trainee by it returns to the unmatched people.

    Raises BadInput "reason_missing"; NotFound "link_unknown"; AccessDenied "own_case"; Conflict "link_undone".
    """
    why = reason_given(reason)
    row = show(connection, link_id)
    refuse_own(connection, actor, row.trainee_id)
    taken_back = connection.execute(
        update(person_links)
        .where(person_links.c.id == link_id, person_links.c.undone_at.is_(None))
        .values(undone_by=actor, undone_reason=why, undone_at=now)
    )
    if not taken_back.rowcount:
        raise Conflict("link_undone", "This link has been taken back already.", "Look at the list of links again.")
    _note(connection, link_id, "person_unlinked", actor, now, why, kind=row.kind, trainee=row.trainee_id)
    _ask(connection, touched(connection, claim_of(row), row.trainee_id), now)


def in_force(connection: Connection, meeting_id: str) -> Links:
    """The links that apply in this meeting."""
    here = person_links.c.meeting_id.in_((meeting_id, ""))
    query = select(person_links.c.kind, person_links.c.value, person_links.c.trainee_id)
    found: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
    for row in connection.execute(query.where(here, person_links.c.undone_at.is_(None))):
        found[row.kind][row.value] = row.trainee_id
    return Links(**found)


def decisions(connection: Connection) -> Decisions:
    """All links and joins so far. Read them before the evidence that rests on them."""
    links = connection.execute(select(func.count(), func.count(person_links.c.undone_at))).one()
    joins = connection.execute(select(func.count(), func.count(person_joins.c.undone_at))).one()
    return Decisions(*links, *joins)


def verify_decisions(connection: Connection, known: Decisions) -> None:
    """No link or join was made or undone since these were read. Raises Conflict "identities_changed"."""
    if decisions(connection) != known:
        raise Conflict(
            "identities_changed",
            "Staff linked, joined or separated people while the session was being settled.",
            "Settle the session again.",
        )


def unlinked_by_staff(
    connection: Connection, session_id: int, meeting_id: str, versions: Collection[Version]
) -> set[str]:
    """The person keys of those of these versions from which staff took evidence since they were settled: by taking back
    a link that they rested on, or by linking all connections, registrations or addresses by which the trainee was known
    in this session to others."""
    here = person_links.c.meeting_id.in_((meeting_id, ""))
    links = connection.execute(select(person_links).where(here)).all()
    settled: dict[int | None, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in connection.execute(select(settled_identities).filter_by(live_session_id=session_id)):
        settled[row.trainee_id][row.kind].add(row.value)
    known = {each.registrant_id for each in versions}.union(*(each["registrant"] for each in settled.values())) - {None}
    registered = select(registrants.c.registrant_id, registrants.c.email).where(
        registrants.c.meeting_id == meeting_id, registrants.c.registrant_id.in_(known)
    )
    emails = {row.registrant_id: row.email for row in connection.execute(registered)}
    # Whom a link identified was in this session under a key that names what was linked.
    named = {f"{link.kind}:{link.value}" for link in links}
    keys = select(attendances.c.person_key).where(
        attendances.c.live_session_id == session_id, attendances.c.person_key.in_(named)
    )
    unmatched_before = set(connection.scalars(keys))
    explained = set()
    for each in versions:
        by_kind = settled[each.trainee_id]
        own = {each.email, each.registrant_id, emails.get(each.registrant_id), *chain(*by_kind.values())}
        taken_back, given_away = False, set[str]()
        for link in links:
            if link.trainee_id == each.trainee_id:
                is_named = link.value in own or f"{link.kind}:{link.value}" in unmatched_before
                taken_back |= is_named and was_in_force(each.settled_at, link.made_at, link.undone_at)
            elif link.undone_at is None and link.made_at >= each.settled_at:
                given_away.add(link.value)
        # A link of one of several connections decides nothing about the others.
        given_kinds = (
            all({value, emails.get(value)} & given_away for value in some) for some in by_kind.values() if some
        )
        if taken_back or (any(given_kinds) if any(by_kind.values()) else given_away & own):
            explained.add(each.person_key)
    return explained


def joined(connection: Connection) -> dict[int, int]:
    """The trainees who are joined to another one now, each with the trainee kept for both."""
    in_force = select(person_joins.c.joined_id, person_joins.c.kept_id).where(person_joins.c.undone_at.is_(None))
    return {row.joined_id: row.kept_id for row in connection.execute(in_force)}


def separated_by_staff(connection: Connection, session_id: int, versions: Collection[Version]) -> set[str]:
    """The person keys of those of these versions whose evidence in this session the undoing of a join gave back to
    another trainee since they were settled."""
    about = person_joins.c.kept_id.in_({each.trainee_id for each in versions}) & person_joins.c.undone_at.is_not(None)
    joins = connection.execute(select(person_joins).where(about)).all()
    here = [row for row in joins if _moved_here(connection, row.id, session_id)]
    return {
        each.person_key
        for each in versions
        for row in here
        if each.trainee_id == row.kept_id and was_in_force(each.settled_at, row.made_at, row.undone_at)
    }


def joined_during(connection: Connection, starts_at: datetime, ends_at: datetime) -> set[int]:
    """The trainees whose account was joined with another one at some time between these, and has been separated since:
    what was settled for them then may be the other's."""
    during = (person_joins.c.made_at < ends_at) & (person_joins.c.undone_at > starts_at)
    return set(connection.scalars(select(person_joins.c.kept_id).where(during)))


def _moved_here(connection: Connection, join_id: int, session_id: int) -> bool:
    """Whether a join moved attendance of this session, or who was settled in it."""
    moved: dict[str, list[Any]] = {settled_identities.name: [], attendances.name: []}
    of_join = person_join_rows.c.join_id == join_id, person_join_rows.c.table_name.in_(moved)
    for name, key in connection.execute(
        select(person_join_rows.c.table_name, person_join_rows.c.row_key).where(*of_join)
    ):
        moved[name].append(key)
    if any(key["live_session_id"] == session_id for key in moved[settled_identities.name]):
        return True
    here = select(attendances.c.id).where(attendances.c.live_session_id == session_id)
    return not {key["id"] for key in moved[attendances.name]}.isdisjoint(connection.scalars(here))


def was_in_force(at: datetime, made_at: datetime | None, undone_at: datetime | None) -> bool:
    """Whether an act of staff was in force at this time and was taken back later. Only then can a result of that time
    have rested on it."""
    return made_at is not None and undone_at is not None and made_at <= at <= undone_at


def show(connection: Connection, link_id: int) -> Row[Any]:
    """One link. Raises NotFound "link_unknown"."""
    row = connection.execute(select(person_links).where(person_links.c.id == link_id)).first()
    if row is None:
        raise NotFound("link_unknown", "There is no such link.", "Choose one from the list of links.")
    return row


def listed(connection: Connection, *, trainee_id: int | None = None) -> list[Row[Any]]:
    """All links with the trainee's name and address, those in force first, then the latest."""
    query = select(person_links, trainees.c.name, trainees.c.email).join(trainees)
    if trainee_id is not None:
        query = query.where(person_links.c.trainee_id == trainee_id)
    return list(connection.execute(query.order_by(person_links.c.undone_at.is_not(None), person_links.c.id.desc())))


def claim_of(row: Row[Any]) -> Claim:
    return Claim(row.kind, row.value, row.meeting_id)


def read_claim(kind: str, value: str, meeting_id: str) -> Claim:
    """The claim as it is stored. Raises BadInput "link_wrong", Conflict "link_numbered"."""
    text = (email_address(value) or "") if kind == "email" else value.strip()
    where = "" if kind == "email" else meeting_number(meeting_id)
    is_sound = text.isprintable() and 0 < len(text) <= LONGEST_VALUE
    if kind not in KINDS or not is_sound or (kind != "email" and not (where.isascii() and where.isdigit())):
        raise BadInput(
            "link_wrong",
            "A link names an e-mail address, or a registration or connection with its meeting.",
            "Choose the person from the list of unmatched people.",
        )
    if kind == "connection" and text.startswith(NUMBERED):
        raise Conflict(
            "link_numbered",
            "Zoom gave this connection no id of its own, so a link could name another person on another day.",
            "Record the person's presence by hand instead.",
        )
    return Claim(kind, text, where[:32])


def verify_free(connection: Connection, claim: Claim, trainee_id: int) -> None:
    """No other trainee has what is to be linked. Raises Conflict "link_taken", "link_known" or "link_contradicts"."""
    taken = _in_force(connection, [claim])
    if taken.get(claim, trainee_id) != trainee_id:
        raise _taken()
    if any(owner != trainee_id for owner in _owners(connection, claim)):
        raise Conflict(
            "link_known",
            "This address or registration belongs to another trainee.",
            "If it is that trainee, no link is needed. Otherwise record the presence by hand.",
        )
    if any(other != trainee_id for other in _in_force(connection, _of_same_registration(connection, claim)).values()):
        raise Conflict(
            "link_contradicts",
            "Another link says that this is another trainee.",
            "Take back the wrong link in the list of links first.",
        )


def touched(connection: Connection, claim: Claim, trainee_id: int | None = None) -> list[Touched]:
    """The sessions with an unmatched person whom this claim identifies, or with a person for whom it was settled; with
    a trainee, also the sessions in which the claim may have identified the trainee. In order of time; cancelled ones
    are left out."""
    settled = select(settled_identities.c.trainee_id).where(
        settled_identities.c.live_session_id == live_sessions_table.c.id,
        settled_identities.c.trainee_id == attendances.c.trainee_id,
    )
    meant = (attendances.c.trainee_id.is_(None) | settled.exists()) & identified_by(connection, claim)
    if trainee_id is not None:
        of_meeting = live_sessions_table.c.zoom_meeting_id == claim.meeting_id
        theirs = attendances.c.trainee_id == trainee_id
        meant = meant | (theirs if claim.kind == "email" else theirs & of_meeting)
    query = (
        select(live_sessions_table.c.id, live_sessions_table.c.state, live_sessions_table.c.starts_at)
        .join(attendances, attendances.c.live_session_id == live_sessions_table.c.id)
        .where(attendances.c.is_current, live_sessions_table.c.state != "cancelled", meant)
        .distinct()
        .order_by(live_sessions_table.c.starts_at, live_sessions_table.c.id)
    )
    return [Touched(row.id, row.state == "locked") for row in connection.execute(query)]


def settled_by(claim: Claim) -> ColumnElement[bool]:
    """The condition for rows of `attendances` of a trainee for whom the claim was settled in this session."""
    return exists().where(
        settled_identities.c.kind == claim.kind,
        settled_identities.c.value == claim.value,
        settled_identities.c.live_session_id == attendances.c.live_session_id,
        settled_identities.c.trainee_id == attendances.c.trainee_id,
    )


def identified_by(connection: Connection, claim: Claim) -> ColumnElement[bool]:
    """The condition for rows of `attendances`, joined with their live session, that the claim identifies."""
    here = live_sessions_table.c.zoom_meeting_id == claim.meeting_id
    if claim.kind == "registrant":
        return and_(here, (attendances.c.registrant_id == claim.value) | settled_by(claim))
    if claim.kind == "connection":
        return and_(here, (attendances.c.person_key == f"connection:{claim.value}") | settled_by(claim))
    registered = [(each.meeting_id, each.value) for each in _registrations(connection, claim.value)]
    by_registration = tuple_(live_sessions_table.c.zoom_meeting_id, attendances.c.registrant_id).in_(registered)
    by_address = (attendances.c.email == claim.value) | settled_by(claim)
    return by_address | (by_registration if registered else false())


def _owners(connection: Connection, claim: Claim) -> set[int]:
    """The trainees who have this without any link: by launch, roster, or the registration made for them at Zoom."""
    if claim.kind == "email":
        known = set(people.with_email(connection, claim.value))
        return known.union(*(_own(connection, each) for each in _registrations(connection, claim.value)))
    return _own(connection, claim) if claim.kind == "registrant" else set()


def _own(connection: Connection, registration: Claim) -> set[int]:
    """The trainees of a registration: by its place, its record, or its address where one trainee alone has that."""
    here = {"meeting_id": registration.meeting_id, "registrant_id": registration.value}
    places = connection.scalars(select(zoom_places.c.trainee_id).filter_by(**here)).all()
    record = connection.execute(select(registrants.c.trainee_id, registrants.c.email).filter_by(**here)).first()
    if record is None:
        return set(places)
    with_address = people.with_email(connection, record.email or "")
    found = {*places, record.trainee_id, *(with_address if len(with_address) == 1 else ())}
    return {each for each in found if each is not None}


def _of_same_registration(connection: Connection, claim: Claim) -> list[Claim]:
    """Other claims to the same registration: the address of a registration, the registrations of an address."""
    if claim.kind == "email":
        return _registrations(connection, claim.value)
    if claim.kind == "connection":
        return []
    here = {"meeting_id": claim.meeting_id, "registrant_id": claim.value}
    email = connection.scalar(select(registrants.c.email).filter_by(**here))
    return [Claim("email", email, "")] if email else []


def _registrations(connection: Connection, email: str) -> list[Claim]:
    query = select(registrants.c.meeting_id, registrants.c.registrant_id).where(registrants.c.email == email)
    return [Claim("registrant", row.registrant_id, row.meeting_id) for row in connection.execute(query)]


def _in_force(connection: Connection, claims: Iterable[Claim]) -> dict[Claim, int]:
    key = tuple_(person_links.c.kind, person_links.c.value, person_links.c.meeting_id)
    query = select(person_links).where(key.in_(list(claims)), person_links.c.undone_at.is_(None))
    return {claim_of(row): row.trainee_id for row in connection.execute(query)}


def _taken() -> Conflict:
    return Conflict(
        "link_taken",
        "This is linked to another trainee already.",
        "If that link is wrong, take it back in the list of links first.",
    )


def _ask(connection: Connection, sessions: Iterable[Touched], now: datetime) -> None:
    for each in sessions:
        if not each.is_locked:
            request_settlement(connection, each.session_id, now)


def _note(
    connection: Connection, link_id: int, act: str, actor: str, now: datetime, reason: str, **details: Any
) -> None:
    audit.record(connection, actor=actor, act=act, subject=f"link:{link_id}", at=now, reason=reason, **details)


@dataclass(frozen=True, slots=True)
class UnmatchedPerson:
    """A person in one live session who is not matched, or whose match is in doubt; `id` is the row of `attendances`."""

    id: int
    day: AttendedDay

    @property
    def first_at(self) -> datetime | None:
        return min((start for start, _ in self._times), default=None)

    @property
    def last_at(self) -> datetime | None:
        return max((end for _, end in self._times), default=None)

    @property
    def by_phone(self) -> bool:
        return "phone" in self.day.flags

    @property
    def _times(self) -> list[tuple[datetime, datetime]]:
        day = self.day.day
        return [*((each.from_at, each.to_at) for each in day.intervals), *day.waiting]


def unmatched_people(connection: Connection) -> list[UnmatchedPerson]:
    """The people still to be matched, the latest session first; without those whom staff have reviewed and left alone,
    and without locked sessions."""
    return [
        UnmatchedPerson(each.id, each)
        for each in queries.unmatched(connection)
        if not each.is_reviewed and each.session_state != "locked"
    ]


# They as rows of `attendances`, joined with their live session.
UNMATCHED = (
    attendances.c.is_current,
    attendances.c.trainee_id.is_(None),
    ~REVIEWED,
    live_sessions_table.c.state != "locked",
)


def unmatched_person(connection: Connection, attendance_id: int) -> UnmatchedPerson:
    """A person as the evidence is now, by any version of their attendance: unmatched, or settled for a trainee though
    the time may be another's.

    Raises NotFound "attendance_unknown", Conflict "match_settled".
    """
    named = select(attendances.c.live_session_id, attendances.c.person_key).where(attendances.c.id == attendance_id)
    row = connection.execute(named).first()
    if row is None:
        raise NotFound("attendance_unknown", "There is no such record.", "Choose from the list of unmatched people.")
    found = [each for each in queries.of_session(connection, row.live_session_id) if each.person_key == row.person_key]
    if not found or not (found[0].trainee_id is None or found[0].is_identity_in_doubt):
        raise Conflict(
            "match_settled",
            "This person has been matched, or the evidence names another person now.",
            "Look at the list of unmatched people again.",
        )
    return UnmatchedPerson(attendance_id, found[0])


def claims_of(connection: Connection, day: AttendedDay) -> list[Claim]:
    """What this person could be linked by, the narrowest first: the registration, the address, else the connection. Of
    a person who is settled for a trainee, also each connection that was settled, for it may be another's."""
    meeting_id = live_sessions.show(connection, day.session_id).zoom_meeting_id
    kind, _, key = day.person_key.partition(":")
    if kind == "connection":
        return [] if key.startswith(NUMBERED) else [Claim("connection", key, meeting_id)]
    where = {"meeting_id": meeting_id, "registrant_id": day.registrant_id or ""}
    registered_with = connection.scalar(select(registrants.c.email).filter_by(**where))
    claims = [Claim("registrant", day.registrant_id, meeting_id)] if day.registrant_id else []
    claims += [Claim("email", email, "") for email in (day.email, registered_with) if email]
    if day.trainee_id is not None:
        settled = select(settled_identities).filter_by(live_session_id=day.session_id, trainee_id=day.trainee_id)
        rows = connection.execute(settled.order_by(settled_identities.c.value)).all()
        known = [Claim(row.kind, row.value, "" if row.kind == "email" else meeting_id) for row in rows]
        claims += [each for each in known if not each.value.startswith(NUMBERED)]
    return sorted(dict.fromkeys(claims), key=lambda each: NARROWEST_FIRST.index(each.kind))
