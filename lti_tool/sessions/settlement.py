"""Settlement: what everybody's presence in one live session amounts to, as versioned rows.

The same evidence always gives the same rows: a person whose input has not changed is left alone, a changed one gets a
new version, and a trainee of whom the evidence no longer speaks gets a version of zero seconds rather than a deletion.
Nothing is decided on our own clock: results are final only once the conference system has said that the class is over.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import InterfaceError, OperationalError

from lti_tool import publication
from lti_tool.db import Database
from lti_tool.errors import Conflict
from lti_tool.sessions import attendance_versions as versions
from lti_tool.sessions import live_sessions
from lti_tool.sessions.agenda import to_json
from lti_tool.sessions.attendance import Attendance, PersonPresence, attend
from lti_tool.sessions.attendance_versions import Measured, Version
from lti_tool.sessions.live_sessions import LiveSession
from lti_tool.tables.live_sessions import live_sessions as table

log = logging.getLogger(__name__)

# A commit waits for the disk, and a statement for many people costs little more than one for one person, so people are
# settled in groups: one transaction each, short enough that a webhook waiting for the same file hardly notices.
PEOPLE_PER_COMMIT = 50


@dataclass(frozen=True, slots=True)
class SettledPerson:
    """One matched person whose result is new. With `ended` false it is provisional and nothing may be awarded."""

    session: LiveSession
    trainee_id: int
    attendance_id: int
    attendance: Attendance
    day: Mapping[str, Any]
    flags: tuple[str, ...]
    ended: bool


After = Callable[[Connection, Sequence[SettledPerson]], None]


@dataclass(slots=True)
class SettleResult:
    """How many people got a new version, kept theirs, lost their evidence, or became known under another key."""

    ended: bool
    written: int = 0
    unchanged: int = 0
    withdrawn: int = 0
    superseded: int = 0

    def add(self, other: "SettleResult") -> None:
        self.written += other.written
        self.unchanged += other.unchanged
        self.withdrawn += other.withdrawn
        self.superseded += other.superseded


@dataclass(slots=True)
class _Round:
    """One settlement of one session."""

    session: LiveSession
    agenda: str
    share: Decimal
    ended: bool
    now: datetime
    after: After
    result: SettleResult
    failures: list[Exception] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)

    def digest(self, person: PersonPresence) -> str:
        """Of everything the result rests on; the same digest means the same result."""
        if person.person_key not in self.digests:
            self.digests[person.person_key] = self._digest(person)
        return self.digests[person.person_key]

    def _digest(self, person: PersonPresence) -> str:
        evidence = sorted(
            [each.from_at.isoformat(), each.to_at.isoformat(), each.evidence, each.counts, each.source]
            for each in person.intervals
        )
        about = [person.trainee_id, person.display_name, person.email, person.registrant_id, sorted(person.flags)]
        basis = [evidence, about, str(self.share), self.ended, self.agenda]
        return hashlib.sha256(json.dumps(basis).encode()).hexdigest()


def settle(
    database: Database,
    session_id: int,
    people: Sequence[PersonPresence],
    ended_at: datetime | None,
    now: datetime,
    after: After,
) -> SettleResult:
    """Bring the attendance rows of a session in line with the evidence; safe to repeat and to run twice at once.

    `ended_at` is when the conference system said that the class was over, None while it has not. `after` is called with
    the matched people of a group whose result changed, in the transaction that writes it. A person whose settlement
    fails keeps the former version and the others are settled all the same.

    Raises NotFound "session_unknown"; Conflict "session_locked", "session_cancelled", "completion_unset",
    "settlement_incomplete".
    """
    with database.write() as connection:
        this = _open_round(connection, session_id, ended_at, now, after)
        current = versions.current(connection, session_id)
        aliases = _aliases(people, current)
        missing = _missing(people, current, aliases)
        nobodies = [key for key in missing if current[key].trainee_id is None]
        this.result.withdrawn = versions.retire(connection, session_id, nobodies)
    todo = [each for each in people if _has_news(this, each, current, aliases)]
    lost = [_withdrawn(current[key]) for key in sorted(missing.difference(nobodies))]
    todo += [each for each in lost if _has_news(this, each, current, aliases)]
    this.result.unchanged = len(people) + len(lost) - len(todo)
    for group in _groups(todo):
        measured = [_measure(this, each) for each in group]
        with database.write() as connection:
            _settle_group(connection, this, measured, aliases)
    if this.failures:
        raise Conflict(
            "settlement_incomplete",
            f"{len(this.failures)} people of live session {session_id} could not be settled.",
            "The others are settled; the task is tried again.",
        ) from this.failures[0]
    return this.result


def _open_round(
    connection: Connection, session_id: int, ended_at: datetime | None, now: datetime, after: After
) -> _Round:
    session = _lock(connection, session_id)
    verify_settleable(session)
    ended = session.ended_at is not None or _is_over(session, ended_at, now)
    if ended:
        session = _mark_ended(connection, session, ended_at, now)
    completion = publication.version(connection, session.programme_version).programme.completion
    if completion is None:
        raise Conflict(
            "completion_unset",
            "Nobody has set which share of a session completes it.",
            "Set the completion share in the programme document; sessions added after publishing use it.",
        )
    agenda = json.dumps(to_json(session.segments))
    return _Round(session, agenda, completion.share, ended, now, after, SettleResult(ended))


def _is_over(session: LiveSession, ended_at: datetime | None, now: datetime) -> bool:
    """An end in the middle of the day may be followed by a new start, so it is believed once the day is over too."""
    return ended_at is not None and max(ended_at, now) >= session.ends_at


def _lock(connection: Connection, session_id: int) -> LiveSession:
    """The session, held against other settlements until the end of the transaction (SQLite has one writer anyway)."""
    connection.execute(select(table.c.id).where(table.c.id == session_id).with_for_update())
    return live_sessions.show(connection, session_id)


def verify_settleable(session: LiveSession) -> None:
    """Raises Conflict "session_locked" or "session_cancelled"."""
    if session.state == "locked":
        raise Conflict("session_locked", f"Live session {session.id} is locked: its claim window is over.")
    if session.state == "cancelled":
        raise Conflict("session_cancelled", f"Live session {session.id} is cancelled.")


def _mark_ended(connection: Connection, session: LiveSession, ended_at: datetime | None, now: datetime) -> LiveSession:
    """A later end (a restart) moves the moment on; what has ended never becomes open again. What staff said holds only
    while nothing else is known."""
    by_staff = session.ended_by_staff_at
    known = [at for at in (session.ended_at, ended_at) if at is not None and at != by_staff]
    ended = replace(
        session,
        ended_at=max(known, default=by_staff),
        state="provisional" if session.state == "scheduled" else session.state,
    )
    if ended != session:
        connection.execute(
            update(table)
            .where(table.c.id == session.id)
            .values(ended_at=ended.ended_at, state=ended.state, updated_at=now)
        )
    return ended


def _aliases(people: Sequence[PersonPresence], current: Mapping[str, Version]) -> dict[str, list[str]]:
    """Which keys a person was known under before somebody matched them: new key → old keys still current."""
    present = {each.person_key for each in people}
    aliases: dict[str, list[str]] = {}
    for person in people:
        known = sorted(key for key in set(person.former_keys) if key in current and key not in present)
        if known:
            aliases[person.person_key] = known
    return aliases


def _missing(
    people: Sequence[PersonPresence], current: Mapping[str, Version], aliases: Mapping[str, list[str]]
) -> set[str]:
    """The current keys of whom the evidence no longer speaks under any name."""
    return current.keys() - {each.person_key for each in people} - {old for olds in aliases.values() for old in olds}


def _has_news(
    this: _Round, person: PersonPresence, current: Mapping[str, Version], aliases: Mapping[str, list[str]]
) -> bool:
    version = current.get(person.person_key)
    return version is None or version.input_digest != this.digest(person) or person.person_key in aliases


def _withdrawn(version: Version) -> PersonPresence:
    """The person of a version of whom the evidence no longer speaks."""
    return PersonPresence(
        person_key=version.person_key,
        trainee_id=version.trainee_id,
        display_name=version.display_name,
        email=version.email,
        registrant_id=version.registrant_id,
        intervals=(),
        flags=("evidence_withdrawn",),
    )


def _groups(people: Sequence[PersonPresence]) -> Iterator[Sequence[PersonPresence]]:
    for start in range(0, len(people), PEOPLE_PER_COMMIT):
        yield people[start : start + PEOPLE_PER_COMMIT]


def _settle_group(
    connection: Connection, this: _Round, group: Sequence[Measured], aliases: Mapping[str, list[str]]
) -> None:
    """Settle a group as a whole, and where that fails one by one, so that a failure touches nobody else."""
    verify_settleable(_lock(connection, this.session.id))
    try:
        with connection.begin_nested():
            counted = _settle_people(connection, this, group, aliases)
    except (OperationalError, InterfaceError):
        raise  # the database itself is in trouble: the task is tried again
    except Exception as error:
        if len(group) > 1:
            for each in group:
                _settle_group(connection, this, [each], aliases)
            return
        log.error("person could not be settled", extra=_ids(this, group[0].person, error))
        this.failures.append(error)
    else:
        this.result.add(counted)


def _settle_people(
    connection: Connection, this: _Round, people: Sequence[Measured], aliases: Mapping[str, list[str]]
) -> SettleResult:
    latest = versions.latest(connection, this.session.id, [each.person_key for each in people])
    news = [replace(each, latest=latest.get(each.person_key)) for each in people]
    changed = [each for each in news if not each.is_known]
    ids = versions.write(connection, this.session.id, changed, now=this.now)
    former = [key for each in people for key in aliases.get(each.person_key, ())]
    retired = versions.retire(connection, this.session.id, former)
    told = [_told(this, each, row_id) for each, row_id in zip(changed, ids, strict=True) if each.trainee_id is not None]
    if told:
        this.after(connection, told)
    withdrawn = sum("evidence_withdrawn" in each.person.flags for each in changed)
    return SettleResult(this.ended, len(changed), len(news) - len(changed), withdrawn, retired)


def _measure(this: _Round, person: PersonPresence) -> Measured:
    attendance = attend(person.intervals, this.session.segments, this.share)
    return Measured(person, attendance, attendance.day(), this.digest(person), this.ended)


def _told(this: _Round, news: Measured, attendance_id: int) -> SettledPerson:
    assert news.trainee_id is not None
    return SettledPerson(
        this.session, news.trainee_id, attendance_id, news.attendance, news.day, news.flags, this.ended
    )


def _ids(this: _Round, person: PersonPresence, error: Exception) -> dict[str, Any]:
    return {"session": this.session.id, "trainee": person.trainee_id, "error": type(error).__name__}
