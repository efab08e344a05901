"""Settlement: what everybody's presence in one live session amounts to, as versioned rows.

The same evidence always gives the same rows: a person whose input has not changed is left alone, a changed one gets a
new version, and a trainee of whom the evidence no longer speaks gets a version of zero seconds rather than a deletion.
Nothing is decided on our own clock: results are final only once the conference system has said that the class is over.

One settlement of one session: by what everybody is measured, and what the result rests on.

The evidence of one session beside what is on record: who is new, changed, known under another name, or gone.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import InterfaceError, OperationalError

from lti_tool.attendance import corrections, live_sessions, participation, presence_checks, queries
from lti_tool.attendance.agenda import taught, to_json
from lti_tool.attendance.evidence import PersonPresence, PresenceInterval
from lti_tool.attendance.live_sessions import LiveSession, completion_policy, verify_settleable
from lti_tool.attendance.minutes import Attendance, attend
from lti_tool.attendance.presence_checks import Questions
from lti_tool.attendance.queries import Measured, Version
from lti_tool.attendance.reviews import needs_review
from lti_tool.db import Database
from lti_tool.errors import Conflict
from lti_tool.programme.model import CompletionPolicy
from lti_tool.tables.live_sessions import live_sessions as table
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import attendance_reviews


@dataclass(slots=True)
class Round:
    """The session with its policy, the questions put in it, and the digests of the evidence that staff let stand.
    `basis` is what everybody's result rests on."""

    session: LiveSession
    policy: CompletionPolicy
    questions: Questions
    ended: bool
    basis: str
    reviewed: frozenset[str]
    digests: dict[str, str] = field(default_factory=dict)

    def digest(self, person: PersonPresence) -> str:
        """Of everything the result rests on; the same digest means the same result."""
        if person.person_key not in self.digests:
            told = f"{self.basis}{_told_of(person)}{self._questions_of(person)}"
            self.digests[person.person_key] = hashlib.sha256(told.encode()).hexdigest()
        return self.digests[person.person_key]

    def measure(self, person: PersonPresence) -> Measured:
        attendance = attend(
            person.intervals,
            self.session.segments,
            self.policy.share,
            grace_seconds=self.policy.grace_seconds,
            staff_earn=self.policy.staff_earn,
            rooms=person.rooms,
            report=person.report,
        )
        present = participation.in_class(attendance.present, taught(self.session.segments))
        answered = participation.of_day(self.questions.of(person.trainee_id), present)
        if not participation.is_enough(answered, self.policy.participation_share):
            attendance = replace(attendance, completed=False)
        day = {**attendance.day(), "participation": answered}
        return Measured(person, attendance, day, self.digest(person), self.ended)

    def _questions_of(self, person: PersonPresence) -> str:
        asked = self.questions.of(person.trainee_id)
        return json.dumps([[each.kind, str(each.from_at), str(each.to_at), str(each.answered_at)] for each in asked])


def open_round(connection: Connection, session: LiveSession, *, ended: bool) -> Round:
    """Raises Conflict "completion_unset"."""
    policy = completion_policy(connection, session)
    measures = [str(policy.share), str(policy.participation_share), policy.grace_seconds, policy.staff_earn]
    basis = json.dumps([to_json(session.segments), measures, ended, session.state])
    return Round(
        session, policy, presence_checks.load(connection, session.id), ended, basis, _reviewed(connection, session.id)
    )


def _reviewed(connection: Connection, session_id: int) -> frozenset[str]:
    query = select(attendance_reviews.c.input_digest).where(attendance_reviews.c.live_session_id == session_id)
    return frozenset(connection.execute(query).scalars())


def corrected(connection: Connection, session_id: int, people: Sequence[PersonPresence]) -> list[PersonPresence]:
    """These people with what staff corrected; a trainee of whom nothing else is known appears by the correction."""
    added = corrections.in_force(connection, session_id)
    seen = {each.trainee_id for each in people}
    unseen = _unseen(connection, [trainee_id for trainee_id in sorted(added) if trainee_id not in seen])
    return [_with(each, added.get(each.trainee_id or 0, ())) for each in (*people, *unseen)]


def _unseen(connection: Connection, trainee_ids: Sequence[int]) -> list[PersonPresence]:
    query = select(trainees.c.id, trainees.c.name, trainees.c.email).where(trainees.c.id.in_(trainee_ids))
    return [
        PersonPresence(f"trainee:{row.id}", row.id, row.name, row.email, None, ())
        for row in connection.execute(query.order_by(trainees.c.id))
    ]


def _with(person: PersonPresence, intervals: tuple[PresenceInterval, ...]) -> PersonPresence:
    """`manual`: staff vouch for presence; `corrected`: they took some away."""
    if not intervals:
        return person
    flags = {"manual" if each.counts else "corrected" for each in intervals}
    return replace(person, intervals=person.intervals + intervals, flags=tuple(sorted({*person.flags, *flags})))


def _told_of(person: PersonPresence) -> str:
    evidence = sorted(
        [
            each.from_at.isoformat(),
            each.to_at.isoformat(),
            each.evidence,
            each.counts,
            each.source,
            each.from_evidence or each.evidence,
            each.to_evidence or each.evidence,
            each.role,
        ]
        for each in person.intervals
    )
    rooms = sorted([each.from_at.isoformat(), each.to_at.isoformat(), each.room] for each in person.rooms)
    report = person.report and [person.report.webhook_seconds, person.report.report_seconds, *person.report.reasons]
    about = [person.trainee_id, person.display_name, person.email, person.registrant_id, sorted(person.flags)]
    return json.dumps([evidence, rooms, report, about])


@dataclass(frozen=True, slots=True)
class Compared:
    """Everybody of whom the evidence or the record speaks; the current versions; new key → old keys of people who were
    known under other names before somebody matched them; the keys of nobody in particular of whom no evidence speaks
    any more."""

    everybody: Sequence[PersonPresence]
    current: Mapping[str, Version]
    aliases: Mapping[str, list[str]]
    nobodies: Sequence[str]

    def news(self, this: Round) -> list[PersonPresence]:
        """Those whose result is new, or whose name is."""
        return [each for each in self.everybody if self._is_news(this, each)]

    def _is_news(self, this: Round, person: PersonPresence) -> bool:
        version = self.current.get(person.person_key)
        return version is None or version.input_digest != this.digest(person) or person.person_key in self.aliases


def compare(people: Sequence[PersonPresence], current: Mapping[str, Version]) -> Compared:
    """These people beside the current versions of the session, by key. A trainee of whom no evidence speaks any more is
    among everybody, with none."""
    aliases = _aliases(people, current)
    gone = _gone(people, current, aliases)
    nobodies = sorted(key for key in gone if current[key].trainee_id is None)
    withdrawn = [_withdrawn(current[key]) for key in sorted(gone.difference(nobodies))]
    return Compared([*people, *withdrawn], current, aliases, nobodies)


def _aliases(people: Sequence[PersonPresence], current: Mapping[str, Version]) -> dict[str, list[str]]:
    present = {each.person_key for each in people}
    aliases: dict[str, list[str]] = {}
    for person in people:
        known = sorted(key for key in set(person.former_keys) if key in current and key not in present)
        if known:
            aliases[person.person_key] = known
    return aliases


def _gone(
    people: Sequence[PersonPresence], current: Mapping[str, Version], aliases: Mapping[str, list[str]]
) -> set[str]:
    """The current keys of whom the evidence no longer speaks under any name."""
    return current.keys() - {each.person_key for each in people} - {old for olds in aliases.values() for old in olds}


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
        known = compare(corrected(connection, session_id, people), queries.current(connection, session_id))
        this.result.withdrawn = queries.retire(connection, session_id, known.nobodies)
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
        known = compare(corrected(connection, session_id, people), queries.current(connection, session_id))
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
    latest = queries.latest(connection, this.session.id, [each.person_key for each in people])
    news = [replace(each, latest=latest.get(each.person_key)) for each in people]
    changed = [each for each in news if not each.is_known]
    ids = queries.write(connection, this.session.id, changed, now=this.now)
    former = [key for each in people for key in aliases.get(each.person_key, ())]
    retired = queries.retire(connection, this.session.id, former)
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
