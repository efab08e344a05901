"""The rows of `attendances`: one version of one person's attendance of one session each; corrections are new versions.

Pages read the current version with its session; every earlier version stays readable (ce.md T12). Settlement reads the
versions without their days, and writes new ones.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from lti_tool.attendance.evidence import (
    EVIDENCE_WITHDRAWN,
    IDENTITY_DIFFERS,
    IDENTITY_FLAGS,
    STAFF_ROLE,
    PersonPresence,
    needs_review,
)
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.minutes import Attendance, SettledDay
from lti_tool.errors import NotFound
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import attendance_reviews

# The flag of values measured before the session has ended. Nothing rests on them, so they are replaced in place.
IN_PROGRESS = "in_progress"

_SESSION, _PERSON = live_sessions.c, attendances.c
# The session's state as it holds for one day: a person who could not be settled is not reconciled with the others.
STATE_OF_DAY = case(
    (and_(_SESSION.state == "reconciled", _PERSON.settled_at < _SESSION.reconciled_at), "provisional"),
    else_=_SESSION.state,
)
# Whether the evidence of a row turned out to be about another person.
IS_WITHDRAWN = cast(_PERSON.flags, Text).contains(f'"{EVIDENCE_WITHDRAWN}"', autoescape=True)
# Whether a row says that the person was in the class for some of its instruction.
WAS_IN_CLASS = and_(_PERSON.is_current.is_(True), _PERSON.seconds_present > 0, ~IS_WITHDRAWN)
# Joins a row of `attendances` with the review of exactly this evidence.
REVIEW_OF_THIS = and_(
    attendance_reviews.c.live_session_id == _PERSON.live_session_id,
    attendance_reviews.c.person_key == _PERSON.person_key,
    attendance_reviews.c.input_digest == _PERSON.input_digest,
)
# A session may have ended before everybody in it is settled. Until then, values from before the end are not final.
FINAL = and_(
    _PERSON.is_current,
    _SESSION.ended_at.is_not(None),
    ~cast(_PERSON.flags, Text).contains(f'"{IN_PROGRESS}"', autoescape=True),
)


@dataclass(frozen=True, slots=True)
class AttendedDay:
    """One row of `attendances` with its session. `is_reviewed`: staff looked at exactly this evidence (`input_digest`)
    and let it stand. `display_name` and `email` are Zoom's, which hides both for some accounts; `trainee_name` and
    `trainee_email` are the platform's. `former_seconds` and `former_flags` are those of the version before, where
    `show` compared them.
    """

    id: int
    session_id: int
    module_id: str
    starts_at: datetime
    ends_at: datetime
    zone: str
    session_state: str
    person_key: str
    version: int
    is_current: bool
    trainee_id: int | None
    display_name: str | None
    email: str | None
    trainee_name: str | None
    trainee_email: str | None
    registrant_id: str | None
    seconds_present: int
    seconds_instructional: int
    seconds_required: int
    completed: bool
    day: Attendance
    flags: Sequence[str]
    settled_at: datetime
    input_digest: str
    is_reviewed: bool
    former_seconds: int | None = None
    former_flags: Sequence[str] | None = None

    @property
    def is_identity_in_doubt(self) -> bool:
        """Whether the day is settled for a trainee though it may be another's."""
        return self.trainee_id is not None and not IDENTITY_FLAGS.isdisjoint(self.flags)

    @property
    def name(self) -> str | None:
        """The trainee's own name; the one in Zoom while the person is unmatched."""
        return self.display_name if self.trainee_id is None else self.trainee_name

    @property
    def address(self) -> str | None:
        """The trainee's own e-mail; the one in Zoom while the person is unmatched."""
        return self.email if self.trainee_id is None else self.trainee_email

    @property
    def in_zoom(self) -> str:
        """Name and address in Zoom, as far as they are not the trainee's own."""
        pairs = ((self.display_name, self.name), (self.email, self.address))
        return ", ".join(each for each, own in pairs if each and each.casefold() != (own or "").casefold())

    @property
    def missing_seconds(self) -> int:
        """How many more seconds would have completed the module."""
        return self.day.missing_seconds

    @property
    def is_running(self) -> bool:
        """Whether these are values measured before Zoom reported the end of the session."""
        return IN_PROGRESS in self.flags

    @property
    def only_ran_session(self) -> bool:
        """Whether the person ran the meeting all the time, and so is no attendee."""
        return STAFF_ROLE in self.flags and not self.seconds_present

    @property
    def needs_review(self) -> bool:
        """Whether the evidence leaves a doubt that staff must look at, or had to."""
        return needs_review(self.flags)

    @property
    def is_provisional(self) -> bool:
        """Until the session is reconciled, and until staff have looked at what is doubtful."""
        return self.session_state not in ("reconciled", "locked") or (self.needs_review and not self.is_reviewed)

    @property
    def difference_seconds(self) -> int:
        """How many seconds more than the version before."""
        return 0 if self.former_seconds is None else self.seconds_present - self.former_seconds

    @property
    def new_flags(self) -> list[str]:
        return [each for each in self.flags if each not in (self.former_flags or ())]

    @property
    def lost_flags(self) -> list[str]:
        return [each for each in self.former_flags or () if each not in self.flags]


def of_trainee(connection: Connection, trainee_id: int) -> list[AttendedDay]:
    """Everything this person attended, the latest session first."""
    return _load(connection, _OF_TRAINEE, {"trainee": trainee_id})


def of_trainee_in(connection: Connection, trainee_id: int, session_id: int) -> AttendedDay | None:
    """This person's day in one session, None where nothing is recorded."""
    found = _current(connection, _PERSON.trainee_id == trainee_id, _PERSON.live_session_id == session_id)
    return found[0] if found else None


def of_trainees_in(connection: Connection, those: Collection[tuple[int, int]]) -> dict[tuple[int, int], AttendedDay]:
    """The days of these trainees in these sessions, by (session id, trainee id), as far as they are recorded."""
    found = _current(connection, tuple_(_PERSON.live_session_id, _PERSON.trainee_id).in_(those)) if those else []
    return {(each.session_id, each.trainee_id or 0): each for each in found}


def of_people_in(connection: Connection, those: Collection[tuple[int, str]]) -> dict[tuple[int, str], AttendedDay]:
    """The days of these people in these sessions, by (session id, person key), as far as they are current."""
    found = _current(connection, tuple_(_PERSON.live_session_id, _PERSON.person_key).in_(those)) if those else []
    return {(each.session_id, each.person_key): each for each in found}


def of_session(connection: Connection, session_id: int) -> list[AttendedDay]:
    """All people of one session, by name."""
    found = _current(connection, _PERSON.live_session_id == session_id)
    return sorted(found, key=lambda each: ((each.name or each.person_key).casefold(), each.person_key))


def some(connection: Connection, attendance_ids: Collection[int]) -> list[AttendedDay]:
    """These rows, as far as they are current, the latest session first."""
    return _current(connection, _PERSON.id.in_(attendance_ids))


def unmatched(connection: Connection) -> list[AttendedDay]:
    """All people who are not matched to a trainee, the latest session first."""
    return _current(connection, _PERSON.trainee_id.is_(None))


def show(connection: Connection, session_id: int, attendance_id: int) -> tuple[AttendedDay, list[AttendedDay]]:
    """This version, and all versions about the same person in the session, the latest first, each beside the one
    before it.

    Raises NotFound "attendance_unknown".
    """
    here = _DAYS.where(_PERSON.live_session_id == session_id).order_by(_PERSON.id.desc())
    found = _load(connection, here.where(_PERSON.id == attendance_id))
    if not found:
        raise NotFound(
            "attendance_unknown", "There is no such day of attendance.", "Open the session again from the list."
        )
    about = [_PERSON.person_key == found[0].person_key]
    if found[0].trainee_id is not None:
        about.append(_PERSON.trainee_id == found[0].trainee_id)
    versions = _load(connection, here.where(or_(*about)))
    compared = [
        replace(new, former_seconds=old.seconds_present, former_flags=old.flags) for new, old in pairwise(versions)
    ]
    every = [*compared, versions[-1]]
    return next(each for each in every if each.id == attendance_id), every


_DAYS = (
    select(
        _SESSION.id.label("session_id"),
        STATE_OF_DAY.label("session_state"),
        *(_SESSION[name] for name in ("module_id", "starts_at", "ends_at", "zone")),
        *(_PERSON[name] for name in ("id", "person_key", "version", "is_current", "trainee_id")),
        *(_PERSON[name] for name in ("display_name", "email", "registrant_id", "settled_at", "input_digest")),
        *(_PERSON[name] for name in ("seconds_present", "seconds_instructional", "seconds_required", "completed")),
        *(_PERSON[name] for name in ("day", "flags")),
        trainees.c.name.label("trainee_name"),
        trainees.c.email.label("trainee_email"),
        attendance_reviews.c.id.is_not(None).label("is_reviewed"),
    )
    .join_from(attendances, live_sessions)
    .outerjoin(trainees, trainees.c.id == _PERSON.trainee_id)
    .outerjoin(attendance_reviews, REVIEW_OF_THIS)
)


_LATEST_FIRST = _DAYS.where(_PERSON.is_current).order_by(_SESSION.starts_at.desc(), _PERSON.id)
# Asked on every page of a trainee: to build a statement costs more than to run it.
_OF_TRAINEE = _LATEST_FIRST.where(_PERSON.trainee_id == bindparam("trainee"))


def _current(connection: Connection, *conditions: ColumnElement[bool]) -> list[AttendedDay]:
    return _load(connection, _LATEST_FIRST.where(*conditions))


def _load(connection: Connection, query: Select[Any], values: Mapping[str, Any] | None = None) -> list[AttendedDay]:
    rows = connection.execute(query, values or {})
    return [AttendedDay(**{**row._mapping, "day": Attendance.from_json(row.day)}) for row in rows]


def attended_day(connection: Connection, trainee_id: int, session_id: int) -> SettledDay | None:
    """The current attendance of a person in a session as credit and scores use it, or None."""
    return next(_settled(connection, trainee_id, _SESSION.id == session_id), None)


def completed_day(connection: Connection, trainee_id: int, module_id: str) -> SettledDay | None:
    """The first session of a module whose final attendance completes it for this person, or None."""
    return next(_settled(connection, trainee_id, FINAL, _PERSON.completed, _SESSION.module_id == module_id), None)


def _settled(connection: Connection, trainee_id: int, *conditions: ColumnElement[bool]) -> Iterator[SettledDay]:
    """Current attendances of a person, the earliest session first."""
    query = (
        select(
            live_sessions,
            _PERSON.id.label("attendance_id"),
            *(_PERSON[name] for name in ("trainee_id", "day", "flags")),
            STATE_OF_DAY.label("state_of_day"),
            attendance_reviews.c.id.is_not(None).label("is_reviewed"),
        )
        .join_from(attendances, live_sessions)
        .outerjoin(attendance_reviews, REVIEW_OF_THIS)
        .where(_PERSON.is_current, _PERSON.trainee_id == trainee_id, *conditions)
        .order_by(_SESSION.starts_at, _SESSION.id)
    )
    for row in connection.execute(query):
        yield SettledDay(
            trainee_id=row.trainee_id,
            session_id=row.id,
            module_id=row.module_id,
            programme_version=row.programme_version,
            held_on=row.starts_at.astimezone(ZoneInfo(row.zone)).date(),
            session_state=row.state_of_day,
            ended=row.ended_at is not None and IN_PROGRESS not in row.flags,
            attendance_id=row.attendance_id,
            day=Attendance.from_json(row.day),
            flags=tuple(row.flags),
            is_in_doubt=needs_review(row.flags) and not row.is_reviewed,
        )


def in_doubt_about_identity(connection: Connection, trainee_ids: Collection[int], module_id: str) -> set[int]:
    """Those of these people with a day of this module that is settled for them, though the evidence names another
    person now, or no one."""
    query = (
        select(_PERSON.trainee_id)
        .join_from(attendances, live_sessions)
        .where(
            _PERSON.is_current,
            _PERSON.trainee_id.in_(trainee_ids),
            _SESSION.module_id == module_id,
            cast(_PERSON.flags, Text).contains(f'"{IDENTITY_DIFFERS}"', autoescape=True),
        )
    )
    return {trainee_id for trainee_id in connection.scalars(query) if trainee_id is not None}


@dataclass(frozen=True, slots=True)
class Version:
    """What settlement needs to know of a row."""

    id: int
    person_key: str
    trainee_id: int | None
    version: int
    is_current: bool
    input_digest: str
    display_name: str | None
    email: str | None
    registrant_id: str | None
    flags: Sequence[str]
    settled_at: datetime


@dataclass(frozen=True, slots=True)
class Measured:
    """One person's attendance as it was just computed, beside the latest version on record. `ended` false: the session
    goes on, so the values are replaced by the next settlement."""

    person: PersonPresence
    attendance: Attendance
    digest: str
    ended: bool
    latest: Version | None = None

    @property
    def person_key(self) -> str:
        return self.person.person_key

    @property
    def trainee_id(self) -> int | None:
        return self.person.trainee_id

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple(sorted({*self.person.flags, *self.attendance.flags} | (set() if self.ended else {IN_PROGRESS})))

    @property
    def is_known(self) -> bool:
        """Whether this is what the current version says already."""
        return self.latest is not None and self.latest.is_current and self.latest.input_digest == self.digest

    @property
    def replaces(self) -> Version | None:
        """The version that is overwritten, which only values in progress are; None where a version is added."""
        latest = self.latest
        is_running = latest is not None and latest.is_current and IN_PROGRESS in latest.flags and not self.ended
        return latest if is_running else None

    def settled_in(self, session: LiveSession, *, attendance_id: int = 0, is_in_doubt: bool = False) -> SettledDay:
        """The day of this trainee, for all that rests on it. `attendance_id` is 0 where nothing is written."""
        assert self.trainee_id is not None
        return SettledDay(
            trainee_id=self.trainee_id,
            session_id=session.id,
            module_id=session.module_id,
            programme_version=session.programme_version,
            held_on=session.held_on,
            session_state=session.state,
            ended=self.ended,
            attendance_id=attendance_id,
            day=self.attendance,
            flags=self.flags,
            is_in_doubt=is_in_doubt,
        )

    def values(self, now: datetime) -> dict[str, Any]:
        """The columns of the row that do not say whose it is."""
        return {
            "trainee_id": self.person.trainee_id,
            "input_digest": self.digest,
            "display_name": self.person.display_name,
            "email": self.person.email,
            "registrant_id": self.person.registrant_id,
            "seconds_present": self.attendance.seconds_present,
            "seconds_instructional": self.attendance.seconds_instructional,
            "seconds_required": self.attendance.seconds_required,
            "completed": self.attendance.completed,
            "day": self.attendance.to_json(),
            "flags": list(self.flags),
            "settled_at": now,
        }


def current(connection: Connection, session_id: int) -> dict[str, Version]:
    """The current version of all people of a session, by person key."""
    return _versions(connection, _PERSON.live_session_id == session_id, _PERSON.is_current)


def latest(connection: Connection, session_id: int, person_keys: Collection[str]) -> dict[str, Version]:
    """The highest version of each of these people, current or not, by person key."""
    return _versions(connection, _PERSON.live_session_id == session_id, _PERSON.person_key.in_(person_keys))


def _versions(connection: Connection, *conditions: ColumnElement[bool]) -> dict[str, Version]:
    query = select(*(_PERSON[each.name] for each in fields(Version))).where(*conditions).order_by(_PERSON.version)
    return {row.person_key: Version(*row) for row in connection.execute(query)}


def write(connection: Connection, session_id: int, people: Sequence[Measured], *, now: datetime) -> list[int]:
    """Make these the current attendances of their people; returns the rows' ids in the same order."""
    ids: dict[str, int] = {}
    outdated, added = [], []
    for each in people:
        if replaced := each.replaces:
            connection.execute(update(attendances).where(_PERSON.id == replaced.id), each.values(now))
            ids[each.person_key] = replaced.id
            continue
        former = each.latest
        if former is not None and former.is_current:
            outdated.append(former.id)
        added.append(
            {
                **each.values(now),
                "live_session_id": session_id,
                "person_key": each.person_key,
                "version": 1 if former is None else former.version + 1,
                "is_current": True,
            }
        )
    if outdated:
        connection.execute(update(attendances).where(_PERSON.id.in_(outdated)).values(is_current=False))
    if added:
        written = connection.execute(insert(attendances).returning(_PERSON.person_key, _PERSON.id), added)
        ids |= {row.person_key: row.id for row in written}
    return [ids[each.person_key] for each in people]


def retire(connection: Connection, session_id: int, person_keys: Collection[str]) -> int:
    """Keep the versions under these keys readable, none of them current; returns how many were current. The evidence
    speaks of these people under another key now, or no longer at all."""
    if not person_keys:
        return 0
    theirs = (_PERSON.live_session_id == session_id) & _PERSON.person_key.in_(person_keys) & _PERSON.is_current
    return connection.execute(update(attendances).where(theirs).values(is_current=False)).rowcount
