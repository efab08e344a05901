"""What is to be done about a meeting as a whole while classes in it are to come: people who registered at Zoom itself
are approved, denied or cancelled as the gate decides, and its settings are read for staff.

What a credit class asks of the settings of its Zoom meeting (pure; zoom.md §8).

How the Zoom meetings of classes to come are set, as last read by the worker, against what a credit class asks.
"""

import logging
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select, update

from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.db import Database, insert_ignoring
from lti_tool.errors import OutboundError
from lti_tool.programme.model import Programme
from lti_tool.tables.live_sessions import live_sessions as live_sessions_table
from lti_tool.tables.presence import zoom_meetings, zoom_places
from lti_tool.tables.zoom import registrants
from lti_tool.tasks import Clock
from zoom_adapter.api import MAX_REGISTRANTS_PER_CALL, Action, Kind, ZoomApi
from zoom_adapter.api_calls import chunks
from zoom_adapter.api_errors import ZoomRefused
from zoom_adapter.bound_connections import Identity
from zoom_adapter.registrants import directory, record_status

# The settings of a meeting that are looked at, as Zoom names them.
LOOKED_AT = (
    "allow_multiple_devices",
    "approval_type",
    "audio",
    "join_before_host",
    "registration_type",
    "waiting_room",
)
AUTOMATIC, BY_HAND = 0, 1
ONCE_FOR_ALL = 1
NO_PHONE = "voip"


class Demand(NamedTuple):
    """One setting: what is asked, whether it is met (None: Zoom does not tell, look yourself), and why it matters or
    what to do."""

    asks: str
    met: bool | None
    says: str


def demands(kind: str, found: Mapping[str, Any], *, is_series: bool, phone_counts: bool) -> list[Demand]:
    """Each demand on the meeting or webinar of a class; `found` are its settings as Zoom gave them. `is_series`: it
    holds several classes. `phone_counts`: some credit body takes people who only phoned in."""
    return [
        _registration(found.get("approval_type")),
        *([_once(found.get("registration_type"))] if is_series else []),
        _off(found, "allow_multiple_devices", "One device a person", "Two devices at once look like two people."),
        _off(found, "join_before_host", "Nobody joins before the host", "Time before the class counts for nobody."),
        *_phone(found.get("audio"), phone_counts),
        _kind(kind),
        Demand("Waiting room", True, "On or off, as you like: time in it counts for nobody."),
        Demand("Anonymous polls off", None, "Zoom does not tell. An anonymous answer is nobody's; look at your polls."),
    ]


def _registration(approval: object) -> Demand:
    asks = "Registration with automatic approval"
    if approval == AUTOMATIC:
        return Demand(asks, True, "Everybody has a link of their own, so Zoom says who is who.")
    if approval == BY_HAND:
        return Demand(
            asks, False, "Approval is by hand. Choose automatic approval: the gate decides who is registered."
        )
    return Demand(asks, False, "Registration is off, so people are known by their e-mail address only. Switch it on.")


def _once(registration: object) -> Demand:
    says = "People register once and attend any class of the series, with one link."
    if registration == ONCE_FOR_ALL:
        return Demand("One registration for the whole series", True, says)
    return Demand("One registration for the whole series", False, f"Choose: {says[0].lower()}{says[1:]}")


def _off(found: Mapping[str, Any], name: str, asks: str, why: str) -> Demand:
    is_off = found.get(name) is False
    return Demand(asks, is_off, why if is_off else f"Switch it off at Zoom ({name.replace('_', ' ')}). {why}")


def _phone(audio: object, phone_counts: bool) -> Iterator[Demand]:
    if not phone_counts:
        is_off = audio == NO_PHONE
        says = "No credit body here takes people who only phoned in."
        yield Demand("Computer audio only", is_off, says if is_off else f"Switch telephone audio off. {says}")


def _kind(kind: str) -> Demand:
    if kind == "meeting":
        return Demand("A meeting, not a webinar", True, "Zoom tells of breakout rooms in meetings.")
    return Demand(
        "A meeting, not a webinar", None, "A webinar is fine without breakout rooms; of those Zoom tells nothing."
    )


log = logging.getLogger(__name__)

LEASE = timedelta(minutes=3)
# How old the settings on the desk may be: on the last day before a class, and before that.
FRESH, STALE = timedelta(hours=1), timedelta(hours=24)
# After Zoom refused something, or did not answer.
REST = timedelta(minutes=5)
# What may be wrong with one of several registrants.
OF_ONE = ("zoom_not_found", "zoom_refused", "zoom_registrant_limit", "zoom_request_invalid")
BECOMES = {"approve": "approved", "deny": "denied", "cancel": "cancelled"}

# Those of these people whom the gate lets into the classes to come in a meeting, at an instant.
Admits = Callable[[Connection, Collection[int], str, datetime], set[int]]
AnyRow = Row[*tuple[Any, ...]]
Verdicts = dict[Action, list[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Care:
    """One meeting in a worker's hands."""

    owner: str
    kind: Kind
    meeting_id: str
    starts_at: datetime


@dataclass
class MeetingKeeper:
    """`plan` finds what is due; `claim` and `do` are made for a crew. `admits` is None where registering at Zoom itself
    is left to Zoom."""

    database: Database
    api: ZoomApi
    clock: Clock
    admits: Admits | None
    _resting: dict[str, datetime] = field(default_factory=dict)

    def plan(self) -> bool:
        """Periodic job: begin with new meetings, and bring forward those in which somebody waits for a decision. Never
        asks to be run again at once."""
        now = self.clock()
        with self.database.read() as connection:
            known = set(connection.scalars(select(zoom_meetings.c.meeting_id)))
            coming = {row.zoom_meeting_id for row in _coming(connection, now)}
            waiting = [each for each in coming if self._is_waiting(connection, each, now)]
        if coming - known or waiting:
            with self.database.write() as connection:
                for meeting_id in sorted(coming - known):
                    connection.execute(insert_ignoring(connection, zoom_meetings).values(_new(meeting_id, now)))
                these = zoom_meetings.c.meeting_id.in_(waiting)
                connection.execute(update(zoom_meetings).where(these, zoom_meetings.c.due_at > now).values(due_at=now))
        return False

    def claim(self, limit: int) -> list[Care]:
        """Take up to so many meetings that nobody else has and whose time has come."""
        now = self.clock()
        with self.database.read() as connection:
            rows = _due_rows(connection, now)[:limit]
        found = [self._take(row, now) for row in rows]
        return [each for each in found if each is not None]

    def do(self, care: Care) -> None:
        """Decide about those who registered at Zoom, then read the settings. What Zoom refuses rests for a while."""
        code = self._decide(care)
        found, settings_code = self._read_settings(care)
        now = self.clock()
        if code:
            self._resting[care.meeting_id] = now + REST
        news: dict[str, Any] = {"settings_code": settings_code, "due_at": _next_look(care, settings_code, now)}
        if found is not None:
            news |= {"settings": found, "settings_at": now}
        mine = (zoom_meetings.c.meeting_id == care.meeting_id, zoom_meetings.c.lease_owner == care.owner)
        with self.database.write() as connection:
            connection.execute(update(zoom_meetings).where(*mine).values(**news, lease_owner=None, leased_until=None))

    def _is_waiting(self, connection: Connection, meeting_id: str, now: datetime) -> bool:
        rests = now < self._resting.get(meeting_id, now)
        return not rests and any(self._verdicts(connection, meeting_id, now).values())

    def _verdicts(self, connection: Connection, meeting_id: str, now: datetime) -> Verdicts:
        return {} if self.admits is None else verdicts(connection, meeting_id, self.admits, now)

    def _take(self, row: AnyRow, now: datetime) -> Care | None:
        owner = uuid.uuid4().hex
        lease = {"lease_owner": owner, "leased_until": now + LEASE}
        with self.database.write() as connection:
            mine = update(zoom_meetings).where(zoom_meetings.c.meeting_id == row.zoom_meeting_id, _is_due(now))
            taken = connection.execute(mine.values(lease))
        return Care(owner, row.zoom_kind, row.zoom_meeting_id, row.starts_at) if taken.rowcount else None

    def _decide(self, care: Care) -> str:
        """The code of what Zoom refused, "" when all is done."""
        with self.database.read() as connection:
            decided = self._verdicts(connection, care.meeting_id, self.clock())
        portions = [(action, some) for action, who in decided.items() for some in chunks(who, MAX_REGISTRANTS_PER_CALL)]
        try:
            told = [self._tell(care, action, some) for action, some in portions]
        except OutboundError as error:
            log.warning("registrants could not be decided", extra={"meeting": care.meeting_id, "code": error.code})
            return error.code
        return next(filter(None, told), "")

    def _tell(self, care: Care, action: Action, who: Sequence[tuple[str, str]]) -> str:
        """What Zoom refused, "" when all is done. It takes several people or none of them, so that where one of them
        may be the reason each is told of alone."""
        try:
            self.api.change_status(care.kind, care.meeting_id, action, who)
        except ZoomRefused as error:
            if error.code not in OF_ONE:
                raise
            if len(who) > 1:
                return next(filter(None, [self._tell(care, action, [each]) for each in who]), "")
            log.warning("a registrant could not be decided", extra={"meeting": care.meeting_id, "code": error.code})
            return error.code
        with self.database.write() as connection:
            record_status(connection, care.meeting_id, [registrant_id for registrant_id, _ in who], BECOMES[action])
        ids = {"meeting": care.meeting_id, "outcome": BECOMES[action], "count": len(who)}
        log.info("the gate decided about registrants", extra=ids)
        return ""

    def _read_settings(self, care: Care) -> tuple[dict[str, Any] | None, str]:
        """What matters of the settings, or why they could not be read."""
        try:
            found = self.api.meeting_settings(care.kind, care.meeting_id)
        except OutboundError as error:
            log.warning("settings could not be read", extra={"meeting": care.meeting_id, "code": error.code})
            return None, error.code
        return {name: found[name] for name in LOOKED_AT if name in found}, ""


def verdicts(connection: Connection, meeting_id: str, admits: Admits, now: datetime) -> Verdicts:
    """What the gate says about those who registered at Zoom itself: (registrant id, e-mail) by action. Who is nobody we
    know is left alone, for staff to look at."""
    rows = _registered_directly(connection, meeting_id)
    who = directory(connection, meeting_id, ()) if rows else None
    known = {row: who.identify(Identity(row.registrant_id, row.email)) for row in rows} if who else {}
    people = {each for each in known.values() if each is not None}
    admitted = admits(connection, people, meeting_id, now) if people else set()
    found: Verdicts = {"approve": [], "deny": [], "cancel": []}
    for row, trainee_id in known.items():
        if trainee_id is not None and (action := _action(row.status, trainee_id in admitted)):
            found[action].append((row.registrant_id, row.email))
    return found


def _action(status: str, is_admitted: bool) -> Action | None:
    if status == "pending":
        return "approve" if is_admitted else "deny"
    return None if is_admitted else "cancel"


def _registered_directly(connection: Connection, meeting_id: str) -> Sequence[AnyRow]:
    """Registrants, waiting or approved, who hold no place of ours and have an address to be named by. Whose place was
    cancelled may register again at Zoom, and gets the same registration."""
    ours = and_(
        zoom_places.c.meeting_id == registrants.c.meeting_id,
        zoom_places.c.registrant_id == registrants.c.registrant_id,
        or_(zoom_places.c.wanted, zoom_places.c.state == "registered"),
    )
    query = (
        select(registrants.c.registrant_id, registrants.c.email, registrants.c.status)
        .outerjoin(zoom_places, ours)
        .where(
            registrants.c.meeting_id == meeting_id,
            registrants.c.email.is_not(None),
            or_(
                registrants.c.status == "pending",
                and_(registrants.c.status == "approved", zoom_places.c.id.is_(None)),
            ),
        )
    )
    return connection.execute(query.order_by(registrants.c.registrant_id)).all()


def _coming(connection: Connection, now: datetime, *conditions: ColumnElement[bool]) -> Sequence[AnyRow]:
    """The Zoom meetings of classes to come: number, kind, and when the next class in it begins."""
    c = live_sessions_table.c
    first = (func.min(c.zoom_kind).label("zoom_kind"), func.min(c.starts_at).label("starts_at"))
    query = select(c.zoom_meeting_id, *first).where(c.state != "cancelled", c.ends_at > now, *conditions)
    return connection.execute(query.group_by(c.zoom_meeting_id)).all()


def _due_rows(connection: Connection, now: datetime) -> Sequence[AnyRow]:
    due = select(zoom_meetings.c.meeting_id).where(_is_due(now))
    return _coming(connection, now, live_sessions_table.c.zoom_meeting_id.in_(due))


def _is_due(now: datetime) -> ColumnElement[bool]:
    is_free = or_(zoom_meetings.c.lease_owner.is_(None), zoom_meetings.c.leased_until < now)
    return and_(zoom_meetings.c.due_at <= now, is_free)


def _new(meeting_id: str, now: datetime) -> dict[str, Any]:
    return {"meeting_id": meeting_id, "settings_code": "", "due_at": now}


def _next_look(care: Care, code: str, now: datetime) -> datetime:
    return now + (FRESH if code or care.starts_at - now < STALE else STALE)


@dataclass(frozen=True, slots=True)
class Checked:
    """The settings of one session's meeting. Without `demands` they were never read; `code` says why the last try
    failed, "" when it did not; `read_at` is when they were read last."""

    demands: tuple[Demand, ...]
    code: str
    read_at: datetime | None

    @property
    def unmet(self) -> list[Demand]:
        return [each for each in self.demands if each.met is False]


def of_session(connection: Connection, session: LiveSession, programme: Programme) -> Checked:
    """The demands on the meeting of this session, each met or not."""
    here = zoom_meetings.c.meeting_id == session.zoom_meeting_id
    row = connection.execute(select(zoom_meetings).where(here)).first()
    if row is None or row.settings is None:
        return Checked((), row.settings_code if row else "", None)
    is_series = len(live_sessions.of_meeting(connection, session.zoom_meeting_id)) > 1
    policies = [body.policy for body in programme.bodies.values() if body.policy]
    phone_counts = any(each.phone_only_counts for each in policies)
    found = demands(session.zoom_kind, row.settings, is_series=is_series, phone_counts=phone_counts)
    return Checked(tuple(found), row.settings_code, row.settings_at)


def look_again(connection: Connection, meeting_id: str, now: datetime) -> None:
    """Let the settings be read as soon as the worker is free."""
    new = {"meeting_id": meeting_id, "settings_code": "", "due_at": now}
    connection.execute(insert_ignoring(connection, zoom_meetings).values(new))
    connection.execute(update(zoom_meetings).where(zoom_meetings.c.meeting_id == meeting_id).values(due_at=now))
