"""Places in Zoom meetings: who is to be registered, who is, why not, and how pages say it.

The gate decides who is wanted, and the worker tells Zoom later. A place records both: `wanted` is what the gate
decided, `state` is what Zoom has. Whatever happens in between stays visible and is put right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, literal, or_, select, update

from lti_tool import audit
from lti_tool.db import chunks, insert_ignoring, upsert
from lti_tool.errors import NotFound
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import zoom_places
from lti_tool.tables.types import UtcDateTime
from lti_tool.tables.zoom import registrants

MAX_IDS_PER_QUERY = 500

# Why Zoom did not register or cancel a person, and what staff can do.
RETRIED = "Gatehouse tries again automatically."
AFTER_MIDNIGHT = "Gatehouse continues after midnight UTC."
REASONS = {
    "no_answer": f"Zoom did not answer. {RETRIED}",
    "zoom_unavailable": f"Zoom has a technical problem. {RETRIED}",
    "zoom_answer_unreadable": f"Zoom's answer could not be read. {RETRIED}",
    "zoom_rate_limited": f"Zoom takes no more calls from this account at the moment. {RETRIED}",
    "zoom_daily_limit": f"Zoom's daily limit of calls is used up. {AFTER_MIDNIGHT}",
    "zoom_registrant_limit": f"Zoom takes no more changes to this registration today. {AFTER_MIDNIGHT}",
    "zoom_adds_used": f"Zoom allows three registrations of a person a day. {AFTER_MIDNIGHT}",
    "zoom_changes_used": f"Zoom allows ten changes to a registration a day. {AFTER_MIDNIGHT}",
    "zoom_scope_missing": "The Zoom app lacks a scope. Add the scopes that the operations guide lists, then try again.",
    "zoom_not_permitted": "Zoom does not allow it. Check that the meeting belongs to this account and that its host "
    "has a paid licence.",
    "zoom_token_refused": "Zoom does not accept the credentials of the app. Check them in the settings.",
    "zoom_not_found": "Zoom does not know this meeting, or registration is off for it. Check the meeting number of the "
    "session, and the meeting's settings at Zoom.",
    "zoom_registrants_full": "The meeting has reached Zoom's limit of registrants. Cancel places that are no longer "
    "needed, or hold the class in a second meeting.",
    "zoom_host_cannot_register": "Zoom does not register the host or an alternative host. You need not do anything: "
    "they join with their own Zoom account.",
    "zoom_request_invalid": "Zoom does not accept the person's name or address. Check the address on the platform.",
    "address_shared": "Several people here have this address, and Zoom would treat them as one person. Give each their "
    "own address on the platform.",
    "registrant_of_another": "Zoom's registration under this address belongs to another person here. Check the matches "
    "and the addresses of both.",
}
OTHER_REASON = f"Zoom refused it for another reason. {RETRIED}"
IN_PROGRESS = "It takes a few seconds."
NO_ADDRESS = "This person has no e-mail address, which Zoom needs. The platform can provide it."


@dataclass(frozen=True, slots=True)
class Place:
    """One person's registration for one Zoom meeting.

    `state` at Zoom: none, pending (requested, answer unknown), registered, cancelled or refused. `due_at` is when the
    worker acts next (None: nothing to do), `last_code` why it failed; `asked_at` is when the person last asked to join.
    """

    id: int
    meeting_id: str
    zoom_kind: str
    trainee_id: int
    wanted: bool
    state: str
    registrant_id: str | None
    join_url: str | None = field(repr=False)
    due_at: datetime | None
    attempts: int
    last_code: str | None
    asked_at: datetime | None
    updated_at: datetime

    @property
    def is_ready(self) -> bool:
        """Whether the person can use the personal join link: Zoom has what the gate wants."""
        return self.wanted and self.state == "registered" and self.due_at is None and bool(self.join_url)

    def is_put_off(self, now: datetime) -> bool:
        """Whether waiting a few seconds is useless: Zoom refused, or is asked again later."""
        is_later = self.last_code is not None and self.due_at is not None and self.due_at > now
        return self.state == "refused" or is_later


@dataclass(frozen=True, slots=True)
class ListedPlace:
    """A place with its person, for staff."""

    place: Place
    name: str
    email: str | None


class Standing(NamedTuple):
    """A sign, a word, and what it means or what staff can do; `can_try`: trying again may help."""

    kind: str
    word: str
    says: str
    can_try: bool = False


COLUMNS = tuple(Place.__dataclass_fields__)
PLACES = select(*(zoom_places.c[name] for name in COLUMNS))


def of(connection: Connection, trainee_id: int, meeting_id: str) -> Place | None:
    """The person's place in this meeting; None if there never was one."""
    query = PLACES.where(zoom_places.c.trainee_id == trainee_id, zoom_places.c.meeting_id == meeting_id)
    row = connection.execute(query).first()
    return None if row is None else _load(row)


def of_trainee(connection: Connection, trainee_id: int) -> dict[str, Place]:
    """The person's places by meeting id."""
    rows = connection.execute(PLACES.where(zoom_places.c.trainee_id == trainee_id))
    return {row.meeting_id: _load(row) for row in rows}


def listed(connection: Connection, meeting_id: str) -> list[ListedPlace]:
    """All people who have or had a place in this meeting, by name."""
    query = PLACES.add_columns(trainees.c.name, trainees.c.email).join_from(zoom_places, trainees)
    here = zoom_places.c.meeting_id == meeting_id
    rows = connection.execute(query.where(here).order_by(trainees.c.name, trainees.c.id))
    return [ListedPlace(_load(row), row.name or f"Person {row.trainee_id}", row.email) for row in rows]


def strangers(connection: Connection, meeting_id: str) -> list[Row[Any]]:
    """Pending registrants at Zoom who match no trainee: registrant id, name, e-mail."""
    columns = (registrants.c.registrant_id, registrants.c.name, registrants.c.email)
    is_unmatched = registrants.c.trainee_id.is_(None) & (registrants.c.status == "pending")
    query = select(*columns).where(registrants.c.meeting_id == meeting_id, is_unmatched)
    return list(connection.execute(query.order_by(registrants.c.name, registrants.c.registrant_id)))


def wanted(connection: Connection, meeting_id: str) -> dict[int, datetime | None]:
    """The people who are to have a place in this meeting: trainee id → when the person last asked for it."""
    query = select(zoom_places.c.trainee_id, zoom_places.c.asked_at)
    rows = connection.execute(query.where(zoom_places.c.meeting_id == meeting_id, zoom_places.c.wanted))
    return {row.trainee_id: row.asked_at for row in rows}


def want(connection: Connection, trainee_ids: Sequence[int], meeting_id: str, kind: str, now: datetime) -> None:
    """Give these people, for whom the gate is open, a place in this meeting; a place that exists stays as it is."""
    if not trainee_ids:
        return
    new = upsert(connection, zoom_places)
    times = {"due_at": now, "wanted_at": now, "updated_at": now}
    again = {"wanted": True, "zoom_kind": kind, "attempts": 0, "last_code": None, **times}
    statement = new.on_conflict_do_update(
        index_elements=["meeting_id", "trainee_id"], set_=again, where=zoom_places.c.wanted.is_(False)
    )
    connection.execute(statement, [_new(each, meeting_id, kind, now) for each in sorted(trainee_ids)])


def drop(connection: Connection, trainee_ids: Sequence[int], meeting_id: str, now: datetime) -> None:
    """Have the places of these people cancelled: the gate is shut for them, or their class is cancelled."""
    times = {"asked_at": None, "due_at": now, "wanted_at": now, "updated_at": now}
    unwanted = {"wanted": False, "attempts": 0, "last_code": None, **times}
    for some in chunks(sorted(trainee_ids), MAX_IDS_PER_QUERY):
        these = zoom_places.c.trainee_id.in_(some) & (zoom_places.c.meeting_id == meeting_id)
        hold(connection, these)
        connection.execute(update(zoom_places).where(these, zoom_places.c.wanted).values(unwanted))


def ask(connection: Connection, trainee_id: int, meeting_id: str, kind: str, now: datetime) -> Place:
    """Give a person who is waiting to join a place now, before others, unless Zoom has put it off."""
    connection.execute(insert_ignoring(connection, zoom_places).values(_new(trainee_id, meeting_id, kind, now)))
    is_idle = or_(zoom_places.c.last_code.is_(None), zoom_places.c.due_at <= now)
    is_askable = or_(
        zoom_places.c.wanted.is_(False), and_(is_idle, zoom_places.c.state.not_in(("registered", "refused")))
    )
    mine = and_(zoom_places.c.trainee_id == trainee_id, zoom_places.c.meeting_id == meeting_id)
    changes = {
        "wanted": True,
        "asked_at": now,
        "due_at": case((is_askable, literal(now, UtcDateTime)), else_=zoom_places.c.due_at),
        "updated_at": now,
    }
    connection.execute(update(zoom_places).where(mine).values(changes))
    found = of(connection, trainee_id, meeting_id)
    assert found is not None
    return found


def try_again(connection: Connection, place_id: int, *, actor: str, now: datetime) -> Place:
    """Have the place tried again now: staff have removed the cause. Raises NotFound "place_unknown"."""
    mine = zoom_places.c.id == place_id
    state = case((zoom_places.c.state == "refused", "none"), else_=zoom_places.c.state)
    changes = {"state": state, "due_at": now, "attempts": 0, "last_code": None, "updated_at": now}
    if not connection.execute(update(zoom_places).where(mine).values(changes)).rowcount:
        raise NotFound("place_unknown", "This place does not exist.", "Open the list of places of the session again.")
    audit.record(connection, actor=actor, act="place_tried_again", subject=f"place:{place_id}", at=now)
    return _load(connection.execute(PLACES.where(mine)).one())


def counts(connection: Connection, meeting_id: str) -> Mapping[str, int]:
    """How many places of this meeting are registered, waiting, refused, no_address, leaving or cancelled."""
    # The first that holds.
    kind = case(
        (zoom_places.c.state == "refused", "refused"),
        (zoom_places.c.wanted.is_(False) & zoom_places.c.state.in_(("registered", "pending")), "leaving"),
        (zoom_places.c.wanted.is_(False), "cancelled"),
        (zoom_places.c.state == "registered", "registered"),
        (has_no_address(), "no_address"),
        else_="waiting",
    )
    query = select(kind, func.count()).join_from(zoom_places, trainees)
    rows = connection.execute(query.where(zoom_places.c.meeting_id == meeting_id).group_by(kind))
    return {row[0]: row[1] for row in rows}


def hold(connection: Connection, these: ColumnElement[bool]) -> set[int]:
    """Lock these places until the transaction ends, always in the same order (SQLite has one writer anyway); return
    their ids."""
    order = (zoom_places.c.meeting_id, zoom_places.c.trainee_id)
    return set(connection.scalars(select(zoom_places.c.id).where(these).order_by(*order).with_for_update()))


def has_no_address() -> ColumnElement[bool]:
    """Rows of trainees without an e-mail address, whom Zoom cannot register."""
    return or_(trainees.c.email.is_(None), trainees.c.email == "")


def standing(place: Place, email: str | None) -> Standing:
    """How a place stands, for staff."""
    is_held_back = place.last_code is not None
    if place.state == "refused":
        return Standing("stop", "Refused", reason(place.last_code), can_try=True)
    if not place.wanted:
        if place.state in ("registered", "pending"):
            says = reason(place.last_code) if is_held_back else IN_PROGRESS
            return Standing("wait", "Being cancelled", says, can_try=is_held_back)
        return Standing("info", "No place", "The gate is shut, the person left the course, or the class is cancelled.")
    if place.state == "registered":
        return Standing("ok", "Registered", "Joins with a personal link.")
    if not email:
        return Standing("stop", "No address", NO_ADDRESS)
    if is_held_back:
        return Standing("wait", "Not registered yet", reason(place.last_code), can_try=True)
    return Standing("wait", "Being registered", IN_PROGRESS)


def reason(code: str | None) -> str:
    """Why Zoom did not register or cancel, and what staff can do; a general sentence for an unknown code."""
    return REASONS.get(code or "", OTHER_REASON)


def _new(trainee_id: int, meeting_id: str, kind: str, now: datetime) -> dict[str, Any]:
    return {
        "meeting_id": meeting_id,
        "zoom_kind": kind,
        "trainee_id": trainee_id,
        "wanted": True,
        "state": "none",
        "due_at": now,
        "wanted_at": now,
        "updated_at": now,
    }


def _load(row: Row[Any]) -> Place:
    return Place(**{name: getattr(row, name) for name in COLUMNS})
