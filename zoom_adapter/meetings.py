"""Zoom meetings of classes to come: people who registered at Zoom itself, and the meeting's settings.

The worker approves, denies or cancels those registrants as the gate decides, and reads the settings. Staff see how the
settings compare with what a credit class needs (zoom.md §8).
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select, update

from lti_tool.attendance import live_sessions
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.db import Database, chunks, insert_ignoring
from lti_tool.errors import OutboundError
from lti_tool.leases import Lease, LeaseKeeper, claim_rows, is_held
from lti_tool.programme.model import Programme
from lti_tool.tables.live_sessions import live_sessions as live_sessions_table
from lti_tool.tables.presence import zoom_meetings, zoom_places
from lti_tool.tables.zoom import registrants
from lti_tool.tasks import Clock
from zoom_adapter.api import MAX_REGISTRANTS_PER_CALL, Action, Kind, ZoomApi
from zoom_adapter.api_errors import ZoomRefused
from zoom_adapter.bound_connections import Identity
from zoom_adapter.registrants import directory, record_status

log = logging.getLogger(__name__)

# Zoom's names of the settings that Gatehouse checks, and their values.
CHECKED_SETTINGS = (
    "allow_multiple_devices",
    "approval_type",
    "audio",
    "join_before_host",
    "registration_type",
    "waiting_room",
)
APPROVAL_AUTOMATIC, APPROVAL_MANUAL = 0, 1
REGISTER_ONCE = 1
NO_PHONE = "voip"

LEASE = timedelta(minutes=3)
# How often the settings are read: on the last day before a class, and before that.
READ_SOON, READ_DAILY = timedelta(hours=1), timedelta(hours=24)
# The pause after Zoom refused a decision or did not answer.
PAUSE = timedelta(minutes=5)
# Errors that may concern only one of several registrants.
OF_ONE = ("zoom_not_found", "zoom_refused", "zoom_registrant_limit", "zoom_request_invalid")
STATUS_AFTER: Mapping[Action, str] = {"approve": "approved", "deny": "denied", "cancel": "cancelled"}

# The people among these whom the gate admits to the classes to come in a meeting, at an instant.
Admits = Callable[[Connection, Collection[int], str, datetime], set[int]]
AnyRow = Row[*tuple[Any, ...]]
# (registrant id, e-mail) by action.
Verdicts = dict[Action, list[tuple[str, str]]]


class Demand(NamedTuple):
    """One setting: what a credit class needs, whether it is met (None: check manually), and why or what to do."""

    asks: str
    met: bool | None
    says: str


def demands(kind: str, found: Mapping[str, Any], *, is_series: bool, phone_counts: bool) -> list[Demand]:
    """Each demand on the meeting or webinar of a class, whose settings Zoom gave as `found`.

    `is_series`: it holds several classes. `phone_counts`: some credit body accepts people who only phoned in.
    """
    every = [_registration(found.get("approval_type"))]
    if is_series:
        once = "People register once and can attend any class of the series with one link."
        is_once = found.get("registration_type") == REGISTER_ONCE
        every.append(
            Demand("One registration for the whole series", is_once, once if is_once else f"Choose it. {once}")
        )
    every += [
        _off(found, "allow_multiple_devices", "One device per person", "Two devices at once look like two people."),
        _off(found, "join_before_host", "Joining before the host is off", "Time before the class does not count."),
    ]
    if not phone_counts:
        is_met = found.get("audio") == NO_PHONE
        why = "No credit body here accepts people who only phoned in."
        every.append(Demand("Computer audio only", is_met, why if is_met else f"Switch telephone audio off. {why}"))
    is_meeting = kind == "meeting"
    rooms = "Zoom reports breakout rooms for meetings." if is_meeting else "Zoom reports no breakout rooms of webinars."
    return [
        *every,
        Demand("A meeting, not a webinar", is_meeting or None, rooms),
        Demand("Waiting room", True, "On or off, as you like: time in it does not count."),
        Demand("Anonymous polls off", None, "Zoom does not report this. Anonymous answers do not count."),
    ]


def _registration(approval: object) -> Demand:
    asks = "Registration with automatic approval"
    if approval == APPROVAL_AUTOMATIC:
        return Demand(asks, True, "Each person has a personal link, so Zoom can tell people apart.")
    if approval == APPROVAL_MANUAL:
        return Demand(asks, False, "Approval is manual. Choose automatic approval: the gate decides who is registered.")
    return Demand(asks, False, "Registration is off, so only e-mail addresses tell people apart. Switch it on.")


def _off(found: Mapping[str, Any], name: str, asks: str, why: str) -> Demand:
    is_off = found.get(name) is False
    return Demand(asks, is_off, why if is_off else f"Switch it off at Zoom ({name.replace('_', ' ')}). {why}")


@dataclass(frozen=True, slots=True)
class MeetingJob:
    """One leased meeting."""

    lease: Lease
    kind: Kind
    meeting_id: str
    starts_at: datetime


@dataclass
class MeetingDecider:
    """Decides about registrants and reads settings; `plan` is a periodic job, a worker pool calls `claim` and `do`.

    `admits` is None if Zoom decides alone about people who register there.
    """

    database: Database
    api: ZoomApi
    clock: Clock
    admits: Admits | None
    leases: LeaseKeeper = field(init=False)
    _paused_until: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.leases = LeaseKeeper(self.database, self.clock)

    def plan(self) -> bool:
        """Periodic job: add new meetings, and bring forward those with registrants to decide about.

        Always returns False: nothing is left to do.
        """
        now = self.clock()
        with self.database.read() as connection:
            known = set(connection.scalars(select(zoom_meetings.c.meeting_id)))
            coming = {row.zoom_meeting_id for row in _coming(connection, now)}
            waiting = [
                meeting_id
                for meeting_id in coming
                if self._paused_until.get(meeting_id, now) <= now
                and any(self._verdicts(connection, meeting_id, now).values())
            ]
        if coming - known or waiting:
            with self.database.write() as connection:
                for meeting_id in sorted(coming - known):
                    _add(connection, meeting_id, now)
                these = zoom_meetings.c.meeting_id.in_(waiting)
                connection.execute(update(zoom_meetings).where(these, zoom_meetings.c.due_at > now).values(due_at=now))
        return False

    def claim(self, limit: int) -> list[MeetingJob]:
        """Lease up to `limit` meetings that are due."""
        now = self.clock()
        with self.database.read() as connection:
            due = select(zoom_meetings.c.meeting_id).where(_is_due(now))
            rows = _coming(connection, now, live_sessions_table.c.zoom_meeting_id.in_(due))[:limit]
        jobs = []
        for row in rows:
            this = zoom_meetings.c.meeting_id == row.zoom_meeting_id
            with self.database.write() as connection:
                lease = claim_rows(connection, zoom_meetings, this, LEASE, now, _is_due(now))
            if lease is not None:
                jobs.append(MeetingJob(lease, row.zoom_kind, row.zoom_meeting_id, row.starts_at))
        return jobs

    def do(self, job: MeetingJob) -> None:
        """Decide about people who registered at Zoom, then read the settings. A refusal pauses the decisions."""
        with self.leases.keep(job.lease):
            code = self._decide(job)
            found, settings_code = dict[str, Any](), ""
            try:
                found = self.api.meeting_settings(job.kind, job.meeting_id)
            except OutboundError as error:
                settings_code = error.code
                log.warning("settings could not be read", extra={"meeting": job.meeting_id, "code": error.code})
        now = self.clock()
        if code:
            self._paused_until[job.meeting_id] = now + PAUSE
        is_soon = settings_code or job.starts_at - now < READ_DAILY
        due_at = now + (READ_SOON if is_soon else READ_DAILY)
        changes: dict[str, Any] = {"settings_code": settings_code, "due_at": due_at}
        if not settings_code:
            checked = {name: found[name] for name in CHECKED_SETTINGS if name in found}
            changes |= {"settings": checked, "settings_at": now}
        with self.database.write() as connection:
            job.lease.finish(connection, changes)

    def _verdicts(self, connection: Connection, meeting_id: str, now: datetime) -> Verdicts:
        return {} if self.admits is None else verdicts(connection, meeting_id, self.admits, now)

    def _decide(self, job: MeetingJob) -> str:
        """Tell Zoom every decision; return the code of a refusal, "" if there is none."""
        with self.database.read() as connection:
            decided = self._verdicts(connection, job.meeting_id, self.clock())
        portions = [(action, some) for action, who in decided.items() for some in chunks(who, MAX_REGISTRANTS_PER_CALL)]
        try:
            codes = [self._change_status(job, action, some) for action, some in portions]
        except OutboundError as error:
            log.warning("registrants could not be decided", extra={"meeting": job.meeting_id, "code": error.code})
            return error.code
        return next(filter(None, codes), "")

    def _change_status(self, job: MeetingJob, action: Action, who: Sequence[tuple[str, str]]) -> str:
        """Change the status of registrants at Zoom; return the code of a refusal, "" if there is none.

        Zoom takes all of them or none, so if one may be the cause, each is tried alone.
        """
        try:
            self.api.change_status(job.kind, job.meeting_id, action, who)
        except ZoomRefused as error:
            if error.code not in OF_ONE:
                raise
            if len(who) > 1:
                return next(filter(None, [self._change_status(job, action, [each]) for each in who]), "")
            log.warning("a registrant could not be decided", extra={"meeting": job.meeting_id, "code": error.code})
            return error.code
        with self.database.write() as connection:
            record_status(connection, job.meeting_id, [registrant_id for registrant_id, _ in who], STATUS_AFTER[action])
        ids = {"meeting": job.meeting_id, "outcome": STATUS_AFTER[action], "count": len(who)}
        log.info("the gate decided about registrants", extra=ids)
        return ""


def verdicts(connection: Connection, meeting_id: str, admits: Admits, now: datetime) -> Verdicts:
    """What the gate decides about people who registered at Zoom itself.

    Registrants who are no known trainee are left to staff.
    """
    rows = _registered_directly(connection, meeting_id)
    if not rows:
        return {}
    known_people = directory(connection, meeting_id, ())
    known = {row: known_people.identify(Identity(row.registrant_id, row.email)) for row in rows}
    people = {each for each in known.values() if each is not None}
    admitted = admits(connection, people, meeting_id, now) if people else set()
    found: Verdicts = {"approve": [], "deny": [], "cancel": []}
    for row, trainee_id in known.items():
        who = (row.registrant_id, row.email)
        if trainee_id is not None and row.status == "pending":
            found["approve" if trainee_id in admitted else "deny"].append(who)
        elif trainee_id is not None and trainee_id not in admitted:
            found["cancel"].append(who)
    return found


def _registered_directly(connection: Connection, meeting_id: str) -> Sequence[AnyRow]:
    """Pending or approved registrants with an address who have no place from Gatehouse.

    A person whose place was cancelled may register again at Zoom, and gets the same registration.
    """
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
    """The Zoom meetings of classes to come: number, kind, and the start of the next class in each."""
    c = live_sessions_table.c
    first = (func.min(c.zoom_kind).label("zoom_kind"), func.min(c.starts_at).label("starts_at"))
    query = select(c.zoom_meeting_id, *first).where(c.state != "cancelled", c.ends_at > now, *conditions)
    return connection.execute(query.group_by(c.zoom_meeting_id)).all()


def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(zoom_meetings.c.due_at <= now, ~is_held(zoom_meetings, now))


def _add(connection: Connection, meeting_id: str, now: datetime) -> None:
    new = {"meeting_id": meeting_id, "settings_code": "", "due_at": now}
    connection.execute(insert_ignoring(connection, zoom_meetings).values(new))


@dataclass(frozen=True, slots=True)
class Checked:
    """The settings of one session's meeting against the demands; no demands if they were never read.

    `code` says why the last attempt failed ("" if it succeeded); `read_at` is when they were last read.
    """

    demands: tuple[Demand, ...]
    code: str
    read_at: datetime | None

    @property
    def unmet(self) -> list[Demand]:
        return [each for each in self.demands if each.met is False]


def of_session(connection: Connection, session: LiveSession, programme: Programme) -> Checked:
    """How the meeting of this session meets the demands."""
    here = zoom_meetings.c.meeting_id == session.zoom_meeting_id
    row = connection.execute(select(zoom_meetings).where(here)).first()
    if row is None or row.settings is None:
        return Checked((), row.settings_code if row else "", None)
    is_series = len(live_sessions.of_meeting(connection, session.zoom_meeting_id)) > 1
    policies = [body.policy for body in programme.bodies.values() if body.policy]
    phone_counts = any(each.phone_only_counts for each in policies)
    found = demands(session.zoom_kind, row.settings, is_series=is_series, phone_counts=phone_counts)
    return Checked(tuple(found), row.settings_code, row.settings_at)


def reread_settings(connection: Connection, meeting_id: str, now: datetime) -> None:
    """Have the worker read the settings as soon as it is free."""
    _add(connection, meeting_id, now)
    connection.execute(update(zoom_meetings).where(zoom_meetings.c.meeting_id == meeting_id).values(due_at=now))
