"""Places in Zoom meetings: who is to be registered there, who is, and what stands in the way.

The gate decides who is wanted; Zoom is told by the worker, later. A place says both, so whatever happens in between can
be seen and is made good: `wanted` is the gate's word, `state` is Zoom's.

How a place in a Zoom meeting is said to people (pure): a word for its state, a sentence for what is in its way.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, literal, or_, select, update

from lti_tool import audit
from lti_tool.db import insert_ignoring, upsert
from lti_tool.errors import NotFound
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import zoom_places
from lti_tool.tables.types import UtcDateTime
from lti_tool.tables.zoom import registrants

IDS_IN_ONE_QUERY = 500


@dataclass(frozen=True, slots=True)
class Place:
    """One person's registration for one Zoom meeting. `state` at Zoom: none, pending (asked for, and the answer is not
    known), registered, cancelled or refused; `due_at` is when the worker looks after it next (None: nothing is to be
    done), `last_code` why it did not succeed; `asked_at` is when the person last asked to join."""

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
        """Whether the person can be sent to the own join link: Zoom has it as the gate wants it."""
        return self.wanted and self.state == "registered" and self.due_at is None and bool(self.join_url)

    def is_put_off(self, now: datetime) -> bool:
        """Whether waiting a few seconds is of no use: Zoom said no, or is to be left alone for a while."""
        if self.state == "refused":
            return True
        return self.last_code is not None and self.due_at is not None and self.due_at > now


@dataclass(frozen=True, slots=True)
class ListedPlace:
    """A place with its person, for staff."""

    place: Place
    name: str
    email: str | None


def of(connection: Connection, trainee_id: int, meeting_id: str) -> Place | None:
    """The person's place in this meeting, None where nobody ever wanted one."""
    query = _places.where(zoom_places.c.trainee_id == trainee_id, zoom_places.c.meeting_id == meeting_id)
    row = connection.execute(query).first()
    return None if row is None else _load(row)


def of_trainee(connection: Connection, trainee_id: int) -> dict[str, Place]:
    """The person's places by meeting id."""
    rows = connection.execute(_places.where(zoom_places.c.trainee_id == trainee_id))
    return {row.meeting_id: _load(row) for row in rows}


def own_links(connection: Connection, trainee_id: int) -> dict[str, str]:
    """The person's own join links by meeting id, as far as Zoom has them as the gate wants."""
    every = of_trainee(connection, trainee_id)
    return {meeting_id: each.join_url for meeting_id, each in every.items() if each.is_ready and each.join_url}


def listed(connection: Connection, meeting_id: str) -> list[ListedPlace]:
    """Everybody who has or had a place in this meeting, by name."""
    query = _places.add_columns(trainees.c.name, trainees.c.email).join_from(zoom_places, trainees)
    here = zoom_places.c.meeting_id == meeting_id
    rows = connection.execute(query.where(here).order_by(trainees.c.name, trainees.c.id))
    return [ListedPlace(_load(row), row.name or f"Person {row.trainee_id}", row.email) for row in rows]


def strangers(connection: Connection, meeting_id: str) -> list[Row[Any]]:
    """Who registered at Zoom and waits there, and is nobody we know: registrant id, name, e-mail. Never guessed."""
    columns = (registrants.c.registrant_id, registrants.c.name, registrants.c.email)
    nobody = registrants.c.trainee_id.is_(None) & (registrants.c.status == "pending")
    query = select(*columns).where(registrants.c.meeting_id == meeting_id, nobody)
    return list(connection.execute(query.order_by(registrants.c.name, registrants.c.registrant_id)))


def wanted(connection: Connection, meeting_id: str) -> dict[int, datetime | None]:
    """Who is to have a place in this meeting: trainee id → when the person last asked for it."""
    query = select(zoom_places.c.trainee_id, zoom_places.c.asked_at)
    rows = connection.execute(query.where(zoom_places.c.meeting_id == meeting_id, zoom_places.c.wanted))
    return {row.trainee_id: row.asked_at for row in rows}


def want(connection: Connection, trainee_ids: Sequence[int], meeting_id: str, kind: str, now: datetime) -> None:
    """The gate is open for these people: each is to have a place in this meeting. Who has one already keeps it."""
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
    """The gate is shut for these people, or their class is off: their places in this meeting are to be cancelled."""
    times = {"asked_at": None, "due_at": now, "wanted_at": now, "updated_at": now}
    unwanted = {"wanted": False, "attempts": 0, "last_code": None, **times}
    for some in _portions(sorted(trainee_ids)):
        these = zoom_places.c.trainee_id.in_(some) & (zoom_places.c.meeting_id == meeting_id)
        hold(connection, these)
        connection.execute(update(zoom_places).where(these, zoom_places.c.wanted).values(unwanted))


def ask(connection: Connection, trainee_id: int, meeting_id: str, kind: str, now: datetime) -> Place:
    """The person stands at the door and the gate is open: the place is to be made now, before those of others. What
    Zoom has put off stays put off."""
    connection.execute(insert_ignoring(connection, zoom_places).values(_new(trainee_id, meeting_id, kind, now)))
    is_idle = or_(zoom_places.c.last_code.is_(None), zoom_places.c.due_at <= now)
    is_askable = or_(
        zoom_places.c.wanted.is_(False), and_(is_idle, zoom_places.c.state.not_in(("registered", "refused")))
    )
    mine = and_(zoom_places.c.trainee_id == trainee_id, zoom_places.c.meeting_id == meeting_id)
    news = {
        "wanted": True,
        "asked_at": now,
        "due_at": case((is_askable, literal(now, UtcDateTime)), else_=zoom_places.c.due_at),
        "updated_at": now,
    }
    connection.execute(update(zoom_places).where(mine).values(news))
    found = of(connection, trainee_id, meeting_id)
    assert found is not None
    return found


def try_again(connection: Connection, place_id: int, *, actor: str, now: datetime) -> Place:
    """Staff have mended what stood in the way: the place is looked after now. Raises NotFound "place_unknown"."""
    mine = zoom_places.c.id == place_id
    state = case((zoom_places.c.state == "refused", "none"), else_=zoom_places.c.state)
    news = {"state": state, "due_at": now, "attempts": 0, "last_code": None, "updated_at": now}
    if not connection.execute(update(zoom_places).where(mine).values(news)).rowcount:
        raise NotFound("place_unknown", "There is no such place.", "Open the list of places of the session again.")
    audit.record(connection, actor=actor, act="place_tried_again", subject=f"place:{place_id}", at=now)
    return _load(connection.execute(_places.where(mine)).one())


def counts(connection: Connection, meeting_id: str) -> Mapping[str, int]:
    """How many places of this meeting are registered, waiting, refused, no_address, leaving or cancelled."""
    rows = connection.execute(
        select(_standing, func.count())
        .join_from(zoom_places, trainees)
        .where(zoom_places.c.meeting_id == meeting_id)
        .group_by(_standing)
    )
    return {row[0]: row[1] for row in rows}


def hold(connection: Connection, these: ColumnElement[bool]) -> None:
    """Keep others from changing these places until the transaction ends; everybody takes several in this order (SQLite
    has one writer anyway)."""
    order = (zoom_places.c.meeting_id, zoom_places.c.trainee_id)
    connection.execute(select(zoom_places.c.id).where(these).order_by(*order).with_for_update())


def has_no_address() -> ColumnElement[bool]:
    """Rows of trainees whom Zoom cannot register: without an e-mail address."""
    return or_(trainees.c.email.is_(None), trainees.c.email == "")


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
    return Place(**{name: getattr(row, name) for name in _COLUMNS})


def _portions(values: Sequence[int]) -> Iterator[list[int]]:
    rest = iter(values)
    while portion := list(islice(rest, IDS_IN_ONE_QUERY)):
        yield portion


_COLUMNS = tuple(Place.__dataclass_fields__)
_places = select(*(zoom_places.c[name] for name in _COLUMNS))
# What a place counts as, the first that holds.
_standing = case(
    (zoom_places.c.state == "refused", "refused"),
    (zoom_places.c.wanted.is_(False) & zoom_places.c.state.in_(("registered", "pending")), "leaving"),
    (zoom_places.c.wanted.is_(False), "cancelled"),
    (zoom_places.c.state == "registered", "registered"),
    (has_no_address(), "no_address"),
    else_="waiting",
)


class Standing(NamedTuple):
    """A sign, a word, and what it means or what staff can do; `can_try` where trying again may help."""

    kind: str
    word: str
    says: str
    can_try: bool = False


class PlaceLike(Protocol):
    """What is looked at (sessions.places.Place)."""

    @property
    def wanted(self) -> bool: ...
    @property
    def state(self) -> str: ...
    @property
    def last_code(self) -> str | None: ...


# Why Zoom did not do it, and what staff can do.
REASONS = {
    "no_answer": "Zoom did not answer. It is tried again by itself.",
    "zoom_unavailable": "Zoom has trouble of its own. It is tried again by itself.",
    "zoom_answer_unreadable": "Zoom's answer could not be read. It is tried again by itself.",
    "zoom_rate_limited": "Zoom takes no more calls of this account at the moment. It goes on by itself.",
    "zoom_daily_limit": "Zoom's limit of calls for today is used up. It goes on by itself after midnight UTC.",
    "zoom_registrant_limit": "Zoom takes no more changes of this registration today. It goes on after midnight UTC.",
    "zoom_adds_used": "Zoom allows three registrations of a person a day. It goes on by itself after midnight UTC.",
    "zoom_changes_used": "Zoom allows ten changes of a registration a day. It goes on by itself after midnight UTC.",
    "zoom_scope_missing": "The Zoom app lacks a scope; `gatehouse zoom verify` names it. Add it and try again.",
    "zoom_not_permitted": "Zoom does not allow it: check that the meeting is this account's and its host is licensed.",
    "zoom_token_refused": "Zoom does not accept the credentials of the app. Check them in the settings.",
    "zoom_not_found": "Zoom does not know this meeting, or registration is off for it. Check the session's number, and "
    "the meeting's settings at Zoom.",
    "zoom_registrants_full": "The meeting has as many registrants as Zoom allows. Cancel places that nobody needs, or "
    "hold the class in a second meeting.",
    "zoom_host_cannot_register": "Zoom does not register the host or an alternative host. Nothing is to be done: they "
    "join with their own Zoom account.",
    "zoom_request_invalid": "Zoom does not take the person's name or address. Check the address on the platform.",
    "address_shared": "Several people here have this address, and Zoom would take them for one. Give each an own "
    "address on the platform.",
    "registrant_of_another": "Zoom's registration under this address belongs to somebody else here. Look at the links "
    "and the addresses of both.",
}
SOON = "It takes a few seconds."
OTHERWISE = "Zoom refused it for a reason of its own. It is tried again by itself."
NO_ADDRESS = (
    "We know no e-mail address of this person, and Zoom registers nobody without. It can come from the platform."
)


def standing(place: PlaceLike, email: str | None) -> Standing:
    """How a place stands, for staff."""
    if place.state == "refused":
        return Standing("shut", "Refused", reason(place.last_code), can_try=True)
    if not place.wanted:
        return _unwanted(place)
    if place.state == "registered":
        return Standing("open", "Registered", "Joins by a link of the own.")
    if not email:
        return Standing("shut", "No address", NO_ADDRESS)
    if place.last_code is None:
        return Standing("wait", "Being registered", SOON)
    return Standing("wait", "Not registered yet", reason(place.last_code), can_try=True)


def _unwanted(place: PlaceLike) -> Standing:
    if place.state in ("registered", "pending"):
        stuck = place.last_code is not None
        return Standing("wait", "Being cancelled", reason(place.last_code) if stuck else SOON, can_try=stuck)
    return Standing("note", "No place", "The gate is shut, the person left the course, or the class is off.")


def reason(code: str | None) -> str:
    """What a code means; a plain sentence for one that is not known."""
    return REASONS.get(code or "", OTHERWISE)
