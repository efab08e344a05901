"""Settlement: the attendance of all people in one live session, as versioned rows.

The same evidence always gives the same rows: a person whose input has not changed is left alone, a changed one gets a
new version, and a trainee whose evidence was withdrawn gets a version of zero seconds rather than a deletion. Nothing
is decided on our own clock: results are final only once the conference system has reported the end of the session.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import InterfaceError, OperationalError

from lti_tool.attendance import corrections, live_sessions, matching, presence_checks, queries, settled_identities
from lti_tool.attendance.agenda import to_json
from lti_tool.attendance.evidence import (
    EVIDENCE_WITHDRAWN,
    IDENTITY_DIFFERS,
    TAUGHT_WHILE_JOINED,
    PersonPresence,
    needs_review,
)
from lti_tool.attendance.live_sessions import LiveSession, completion_policy, verify_settleable
from lti_tool.attendance.minutes import SettledDay, attend
from lti_tool.attendance.presence_checks import Questions
from lti_tool.attendance.queries import IN_PROGRESS, Measured, Version
from lti_tool.db import Database, chunks
from lti_tool.errors import Conflict
from lti_tool.people import hold
from lti_tool.programme.model import CompletionPolicy
from lti_tool.tables.live_sessions import live_sessions as table
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import attendance_reviews

log = logging.getLogger(__name__)

# A commit waits for the disk, and a statement for many people costs little more than one for one person, so people are
# settled in groups: one transaction each, short enough that a webhook waiting for the same file hardly notices.
PEOPLE_PER_COMMIT = 100
# Zoom's last retry comes 85 minutes after the first try; until then more may arrive.
LAST_WORD = timedelta(minutes=90)
# The end of a meeting may come before the leave events of its people: events come in any order, and the leave event of
# a client that died up to a minute and a half late (zoom.md §4). Until then nothing is given that they might take back.
AFTER_THE_END = timedelta(minutes=2)


After = Callable[[Connection, Sequence[SettledDay]], None]


@dataclass(slots=True)
class SettleResult:
    """How many people got a new version, kept theirs, lost their evidence, or became known under another key."""

    ended: bool
    written: int = 0
    unchanged: int = 0
    withdrawn: int = 0
    superseded: int = 0


def settle(
    database: Database,
    session_id: int,
    people: Sequence[PersonPresence],
    ended_at: datetime | None,
    now: datetime,
    after: After,
    *,
    reports_settled: bool = False,
    decisions: matching.Decisions | None = None,
) -> SettleResult:
    """Bring the attendance rows of a session in line with the evidence and with the corrections of staff.

    Safe to repeat and to run twice at once. `ended_at` is when the conference system reported the end of the session,
    None while it has not; an end recorded by staff is read here, for it may change meanwhile. `reports_settled`: the
    reports of all parts of the session are final. `decisions`: what staff had said of identities before `people` were
    read; None means now. Once it has changed, nothing more is written. `after` is called with the new days of the
    matched people of a group, who are held, in the transaction that writes them. A person whose settlement fails keeps
    the former version, and the others are settled all the same.

    Raises NotFound "session_unknown"; Conflict "session_locked", "session_cancelled", "completion_unset",
    "settlement_incomplete", "identities_changed".
    """
    with database.write() as connection:
        this = _begin(connection, session_id, ended_at, now, reports_settled)
        known_then = decisions or matching.decisions(connection)
        matching.verify_decisions(connection, known_then)
        known = _compare_with_record(connection, this.session, people)
        withdrawn = queries.retire(connection, session_id, known.unmatched_gone)
    changed = known.changed(this)
    result = SettleResult(this.ended, unchanged=len(known.people) - len(changed), withdrawn=withdrawn)
    settlement = _Settlement(this, known_then, known.aliases, now, after, result)
    for some in chunks(changed, PEOPLE_PER_COMMIT):
        measured = [this.measure(each) for each in some]
        with database.write() as connection:
            settlement.settle_group(connection, measured)
    if settlement.failures:
        raise Conflict(
            "settlement_incomplete",
            f"{len(settlement.failures)} people of live session {session_id} could not be settled.",
            "The others are settled; the task is tried again.",
        ) from settlement.failures[0]
    return result


def preview(
    database: Database,
    session_id: int,
    people: Sequence[PersonPresence],
    ended_at: datetime | None,
    now: datetime,
    *,
    reports_settled: bool = False,
) -> list[str]:
    """Returns the keys of the people whose attendance `settle` would write anew or take back. Nothing is changed.

    Raises as `settle` does, except for "settlement_incomplete".
    """
    with database.write() as connection, connection.begin_nested() as unwritten:
        this = _begin(connection, session_id, ended_at, now, reports_settled)
        known = _compare_with_record(connection, this.session, people)
        unwritten.rollback()
    return sorted([*known.unmatched_gone, *(each.person_key for each in known.changed(this))])


@dataclass(frozen=True, slots=True)
class Round:
    """One settlement of one session: the policy, the questions put in it, and the digests of the evidence that staff
    let stand. `basis` is what all results rest on."""

    session: LiveSession
    policy: CompletionPolicy
    questions: Questions
    ended: bool
    basis: str
    reviewed: frozenset[str]
    digests: dict[str, str] = field(default_factory=dict)

    def digest(self, person: PersonPresence) -> str:
        """The digest of everything that the result rests on; the same digest means the same result."""
        if person.person_key not in self.digests:
            asked = [
                [each.kind, str(each.from_at), str(each.to_at), str(each.answered_at)]
                for each in self.questions.of(person.trainee_id)
            ]
            text = f"{self.basis}{_evidence_text(person)}{json.dumps(asked)}"
            self.digests[person.person_key] = hashlib.sha256(text.encode()).hexdigest()
        return self.digests[person.person_key]

    def measure(self, person: PersonPresence) -> Measured:
        attendance = attend(
            person.intervals,
            self.session.segments,
            self.policy.share,
            grace_seconds=self.policy.grace_seconds,
            staff_earn=self.policy.staff_earn,
            questions=self.questions.of(person.trainee_id),
            participation_share=self.policy.participation_share,
            rooms=person.rooms,
            report=person.report,
        )
        return Measured(person, attendance, self.digest(person), self.ended)


def open_round(connection: Connection, session: LiveSession, *, ended: bool) -> Round:
    """Raises Conflict "completion_unset"."""
    policy = completion_policy(connection, session)
    measures = [str(policy.share), str(policy.participation_share), policy.grace_seconds, policy.staff_earn]
    reviewed = select(attendance_reviews.c.input_digest).where(attendance_reviews.c.live_session_id == session.id)
    return Round(
        session,
        policy,
        presence_checks.load(connection, session.id),
        ended,
        json.dumps([to_json(session.segments), measures, ended, session.state]),
        frozenset(connection.scalars(reviewed)),
    )


def corrected(connection: Connection, session_id: int, people: Sequence[PersonPresence]) -> list[PersonPresence]:
    """These people with the corrections of staff; a trainee without any other evidence appears by the correction.

    The flag `manual` says that staff vouch for presence, `corrected` that they took some away.
    """
    added = corrections.in_force(connection, session_id)
    absent = added.keys() - {each.trainee_id for each in people}
    query = select(trainees.c.id, trainees.c.name, trainees.c.email).where(trainees.c.id.in_(sorted(absent)))
    everyone = [
        *people,
        *(
            PersonPresence(f"trainee:{row.id}", row.id, row.name, row.email, None, ())
            for row in connection.execute(query.order_by(trainees.c.id))
        ),
    ]
    for number, person in enumerate(everyone):
        if intervals := added.get(person.trainee_id or 0, ()):
            flags = {"manual" if each.counts else "corrected" for each in intervals}
            everyone[number] = replace(
                person, intervals=person.intervals + intervals, flags=tuple(sorted({*person.flags, *flags}))
            )
    return everyone


def _evidence_text(person: PersonPresence) -> str:
    """All evidence about a person in one text, whatever order it came in."""
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
    """The evidence of one session beside its current versions.

    `people` are all people of the evidence or the record. `aliases` maps a new key to the old keys of people who were
    known under other names before they were matched. `unmatched_gone` are the keys of unmatched people without
    evidence.
    """

    people: Sequence[PersonPresence]
    current: Mapping[str, Version]
    aliases: Mapping[str, list[str]]
    unmatched_gone: Sequence[str]

    def changed(self, this: Round) -> list[PersonPresence]:
        """The people whose result is new, or whose key is."""
        return [
            each
            for each in self.people
            if each.person_key in self.aliases
            or (version := self.current.get(each.person_key)) is None
            or version.input_digest != this.digest(each)
        ]


def _compare_with_record(connection: Connection, session: LiveSession, people: Sequence[PersonPresence]) -> Compared:
    """These people, with the corrections of staff, beside the current versions. A final day of a trainee who is joined
    to another one stays as it is: the evidence names the kept trainee, and a join takes nothing away."""
    joined = matching.joined(connection)
    current = {
        key: version
        for key, version in queries.current(connection, session.id).items()
        if version.trainee_id not in joined or IN_PROGRESS in version.flags
    }
    shared = matching.joined_during(connection, session.starts_at, session.ends_at)
    return compare(
        [_marked(each) if each.trainee_id in shared else each for each in corrected(connection, session.id, people)],
        current,
        lambda gone: (
            matching.unlinked_by_staff(connection, session.id, session.zoom_meeting_id, gone)
            | matching.separated_by_staff(connection, session.id, gone)
            | corrections.undone_for(connection, session.id, gone)
        ),
    )


def _marked(person: PersonPresence) -> PersonPresence:
    """This person's day may be another's; where staff have linked all of it elsewhere, nothing is left to doubt."""
    return replace(person, flags=tuple(sorted({*person.flags, TAUGHT_WHILE_JOINED}))) if person.intervals else person


def compare(
    people: Sequence[PersonPresence],
    current: Mapping[str, Version],
    decided_by_staff: Callable[[Sequence[Version]], Collection[str]],
) -> Compared:
    """These people beside the current versions of the session, by key. A trainee without evidence is among the people,
    with none and the flag `evidence_withdrawn`; and with `identity_differs` if a result was final and no decision of
    staff explains the loss (`decided_by_staff` gives the keys of those it does explain)."""
    absent = current.keys() - {each.person_key for each in people}
    former = {each.person_key: sorted(absent.intersection(each.former_keys)) for each in people}
    aliases = {key: old for key, old in former.items() if old}
    gone = absent.difference(*aliases.values())
    lost = [current[key] for key in sorted(gone) if current[key].trainee_id is not None]
    # A result in progress was not earned yet, and what staff decided once stays decided.
    final = [
        each
        for each in lost
        if IN_PROGRESS not in each.flags and (EVIDENCE_WITHDRAWN not in each.flags or IDENTITY_DIFFERS in each.flags)
    ]
    explained = decided_by_staff(final) if final else ()
    doubted = {each.person_key for each in final} - set(explained)
    withdrawn = [
        PersonPresence(
            each.person_key,
            each.trainee_id,
            each.display_name,
            each.email,
            each.registrant_id,
            intervals=(),
            flags=(EVIDENCE_WITHDRAWN, IDENTITY_DIFFERS) if each.person_key in doubted else (EVIDENCE_WITHDRAWN,),
        )
        for each in lost
    ]
    unmatched_gone = sorted(key for key in gone if current[key].trainee_id is None)
    return Compared([*people, *withdrawn], current, aliases, unmatched_gone)


def _begin(
    connection: Connection, session_id: int, ended_at: datetime | None, now: datetime, reports_settled: bool
) -> Round:
    session = live_sessions.hold(connection, session_id)
    verify_settleable(session)
    over_at = ended_at or session.ended_by_staff_at
    # An end in the middle of the day may be followed by a new start, so it is believed once the day is over too.
    ended = session.ended_at is not None or (over_at is not None and max(over_at, now) >= session.ends_at)
    if ended_at and not session.ended_at and not session.ended_by_staff_at and now < ended_at + AFTER_THE_END:
        ended = False
        live_sessions.request_settlement_at(connection, session_id, ended_at + AFTER_THE_END, now)
    if ended:
        session = _mark_ended(connection, session, ended_at, now, reports_settled)
    return open_round(connection, session, ended=ended)


def _mark_ended(
    connection: Connection, session: LiveSession, ended_at: datetime | None, now: datetime, reports_settled: bool
) -> LiveSession:
    """Record the end of a session, and how far its evidence is settled.

    A later end (a restart) moves the end; an ended session never becomes open again. An end recorded by staff holds
    only until the conference system reports one. A session is reconciled once all its reports are settled and no more
    deliveries can come; another part without a report makes it provisional again.
    """
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


@dataclass(slots=True)
class _Settlement:
    """The writing of one round, group by group."""

    round: Round
    decisions: matching.Decisions
    aliases: Mapping[str, list[str]]
    now: datetime
    after: After
    result: SettleResult
    failures: list[Exception] = field(default_factory=list)

    def settle_group(self, connection: Connection, group: Sequence[Measured]) -> None:
        """Settle a group as a whole, and where that fails one by one, so that a failure concerns one person only."""
        session_id = self.round.session.id
        verify_settleable(live_sessions.hold(connection, session_id))
        # A join holds both of its trainees, so it is either recorded by now or waits for this transaction to end.
        hold(connection, [each.trainee_id for each in group if each.trainee_id is not None])
        matching.verify_decisions(connection, self.decisions)
        try:
            with connection.begin_nested():
                written, retired = self._write(connection, group)
        except (OperationalError, InterfaceError):
            raise  # the database itself is in trouble: the task is tried again
        except Exception as error:
            if len(group) > 1:
                for each in group:
                    self.settle_group(connection, [each])
                return
            ids = {"session": session_id, "trainee": group[0].trainee_id, "error": type(error).__name__}
            log.error("person could not be settled", extra=ids)
            self.failures.append(error)
        else:
            self.result.written += len(written)
            self.result.unchanged += len(group) - len(written)
            self.result.withdrawn += sum(EVIDENCE_WITHDRAWN in each.person.flags for each in written)
            self.result.superseded += retired

    def _write(self, connection: Connection, group: Sequence[Measured]) -> tuple[list[Measured], int]:
        """Write the new versions and what follows from them; returns them, and how many old keys were retired."""
        this = self.round
        latest = queries.latest(connection, this.session.id, [each.person_key for each in group])
        compared = [replace(each, latest=latest.get(each.person_key)) for each in group]
        written = [each for each in compared if not each.is_known]
        ids = queries.write(connection, this.session.id, written, now=self.now)
        former = [key for each in group for key in self.aliases.get(each.person_key, ())]
        retired = queries.retire(connection, this.session.id, former)
        if this.ended:
            settled_identities.remember(connection, this.session.id, (each.person for each in written), self.now)
        settled = [
            each.settled_in(
                this.session,
                attendance_id=row_id,
                is_in_doubt=needs_review(each.flags) and each.digest not in this.reviewed,
            )
            for each, row_id in zip(written, ids, strict=True)
            if each.trainee_id is not None
        ]
        if settled:
            self.after(connection, settled)
        return written, retired
