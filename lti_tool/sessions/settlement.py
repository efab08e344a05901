"""Settlement: what everybody's presence in one live session amounts to, as versioned rows.

The same evidence always gives the same rows: a person whose input has not changed is left alone, a changed one gets a
new version, and a trainee of whom the evidence no longer speaks gets a version of zero seconds rather than a deletion.
Nothing is decided on our own clock: results are final only once the conference system has said that the class is over.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import InterfaceError, OperationalError

from lti_tool.db import Database
from lti_tool.errors import Conflict
from lti_tool.sessions import attendance_versions as versions
from lti_tool.sessions import live_sessions
from lti_tool.sessions.attendance import Attendance, PersonPresence
from lti_tool.sessions.attendance_versions import Measured
from lti_tool.sessions.by_hand.review_flags import needs_review
from lti_tool.sessions.comparison import compare
from lti_tool.sessions.live_sessions import LiveSession
from lti_tool.sessions.rounds import Round, corrected, open_round
from lti_tool.tables.live_sessions import live_sessions as table

log = logging.getLogger(__name__)

# A commit waits for the disk, and a statement for many people costs little more than one for one person, so people are
# settled in groups: one transaction each, short enough that a webhook waiting for the same file hardly notices.
PEOPLE_PER_COMMIT = 100
# Zoom's last retry comes 85 minutes after the first try; until then more may still be told.
LAST_WORD = timedelta(minutes=90)


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
    is_in_doubt: bool = False
    """The evidence is odd, and nobody of staff has looked at it yet."""


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
class _Settling:
    """One settlement of one session while it goes on."""

    round: Round
    now: datetime
    after: After
    result: SettleResult
    failures: list[Exception] = field(default_factory=list)

    @property
    def session(self) -> LiveSession:
        return self.round.session

    @property
    def ended(self) -> bool:
        return self.round.ended


def settle(
    database: Database,
    session_id: int,
    people: Sequence[PersonPresence],
    ended_at: datetime | None,
    now: datetime,
    after: After,
    *,
    reports_settled: bool = False,
) -> SettleResult:
    """Bring the attendance rows of a session in line with the evidence and with what staff corrected; safe to repeat
    and to run twice at once.

    `ended_at` is when the conference system said that the class was over, None while it has not; what staff say of it
    is read here, for they may correct it meanwhile. `reports_settled`: its reports of all parts of the class are final.
    `after` is called with the matched people of a group whose result changed, in the transaction that writes it. A
    person whose settlement fails keeps the former version and the others are settled all the same.

    Raises NotFound "session_unknown"; Conflict "session_locked", "session_cancelled", "completion_unset",
    "settlement_incomplete".
    """
    with database.write() as connection:
        this = _open(connection, session_id, ended_at, now, after, reports_settled)
        known = compare(corrected(connection, session_id, people), versions.current(connection, session_id))
        this.result.withdrawn = versions.retire(connection, session_id, known.nobodies)
    todo = known.news(this.round)
    this.result.unchanged = len(known.everybody) - len(todo)
    for group in _groups(todo):
        measured = [this.round.measure(each) for each in group]
        with database.write() as connection:
            _settle_group(connection, this, measured, known.aliases)
    if this.failures:
        raise Conflict(
            "settlement_incomplete",
            f"{len(this.failures)} people of live session {session_id} could not be settled.",
            "The others are settled; the task is tried again.",
        ) from this.failures[0]
    return this.result


def preview(
    database: Database,
    session_id: int,
    people: Sequence[PersonPresence],
    ended_at: datetime | None,
    now: datetime,
    *,
    reports_settled: bool = False,
) -> list[str]:
    """The keys of the people whose attendance `settle` would write anew or take back. Nothing is changed.

    Raises as `settle` does, but for "settlement_incomplete".
    """
    with database.write() as connection, connection.begin_nested() as unwritten:
        this = _open(connection, session_id, ended_at, now, lambda *_: None, reports_settled)
        known = compare(corrected(connection, session_id, people), versions.current(connection, session_id))
        unwritten.rollback()
    return sorted([*known.nobodies, *(each.person_key for each in known.news(this.round))])


def _open(
    connection: Connection,
    session_id: int,
    ended_at: datetime | None,
    now: datetime,
    after: After,
    reports_settled: bool,
) -> _Settling:
    session = _lock(connection, session_id)
    verify_settleable(session)
    ended = session.ended_at is not None or _is_over(session, ended_at or session.ended_by_staff_at, now)
    if ended:
        session = _mark_ended(connection, session, ended_at, now, reports_settled)
    return _Settling(open_round(connection, session, ended=ended), now, after, SettleResult(ended))


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


def _mark_ended(
    connection: Connection, session: LiveSession, ended_at: datetime | None, now: datetime, reports_settled: bool
) -> LiveSession:
    """A later end (a restart) moves the moment on; what has ended never becomes open again. What staff said holds only
    while nothing else is known. Reconciled is what nobody can add to any more: another part of the class of which there
    is no report yet makes it provisional again."""
    by_staff = session.ended_by_staff_at
    known = [at for at in (session.ended_at, ended_at) if at is not None and at != by_staff]
    over_at = max(known, default=by_staff)
    assert over_at is not None
    is_final = reports_settled and now >= over_at + LAST_WORD
    ended = replace(
        session,
        ended_at=over_at,
        state="reconciled" if is_final else "provisional",
        reconciled_at=(session.reconciled_at or now) if is_final else None,
    )
    if ended != session:
        values = {"ended_at": ended.ended_at, "state": ended.state, "reconciled_at": ended.reconciled_at}
        connection.execute(update(table).where(table.c.id == session.id).values(**values, updated_at=now))
    return ended


def _groups(people: Sequence[PersonPresence]) -> Iterator[Sequence[PersonPresence]]:
    for start in range(0, len(people), PEOPLE_PER_COMMIT):
        yield people[start : start + PEOPLE_PER_COMMIT]


def _settle_group(
    connection: Connection, this: _Settling, group: Sequence[Measured], aliases: Mapping[str, list[str]]
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
    connection: Connection, this: _Settling, people: Sequence[Measured], aliases: Mapping[str, list[str]]
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


def _told(this: _Settling, news: Measured, attendance_id: int) -> SettledPerson:
    assert news.trainee_id is not None
    return SettledPerson(
        session=this.session,
        trainee_id=news.trainee_id,
        attendance_id=attendance_id,
        attendance=news.attendance,
        day=news.day,
        flags=news.flags,
        ended=this.ended,
        is_in_doubt=needs_review(news.flags) and news.digest not in this.round.reviewed,
    )


def _ids(this: _Settling, person: PersonPresence, error: Exception) -> dict[str, Any]:
    return {"session": this.session.id, "trainee": person.trainee_id, "error": type(error).__name__}
