"""One settlement of one session: by what everybody is measured, and what the result rests on."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, select

from lti_tool import publication
from lti_tool.errors import Conflict
from lti_tool.programme.model import CompletionPolicy
from lti_tool.sessions.agenda import taught, to_json
from lti_tool.sessions.asking import participation, questions
from lti_tool.sessions.asking.questions import Questions
from lti_tool.sessions.attendance import PersonPresence, PresenceInterval, attend
from lti_tool.sessions.attendance_versions import Measured
from lti_tool.sessions.by_hand import corrections
from lti_tool.sessions.live_sessions import LiveSession
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
    policy = publication.version(connection, session.programme_version).programme.completion
    if policy is None:
        raise Conflict(
            "completion_unset",
            "Nobody has set which share of a session completes it.",
            "Set the completion share in the programme document; sessions added after publishing use it.",
        )
    measures = [str(policy.share), str(policy.participation_share), policy.grace_seconds, policy.staff_earn]
    basis = json.dumps([to_json(session.segments), measures, ended, session.state])
    return Round(
        session, policy, questions.load(connection, session.id), ended, basis, _reviewed(connection, session.id)
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
