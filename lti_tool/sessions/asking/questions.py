"""The questions put in one session, and who answered: presence checks in the frame, polls in Zoom.

A poll is known by its answers alone: it could be answered from the first of them to the last. Its answers carry an
address, which is somebody's only where nothing speaks for anybody else.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, select

from lti_tool.sessions.asking.participation import Question
from lti_tool.sessions.by_hand.links import in_force
from lti_tool.tables.evidence import registrants
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import poll_answers as polls
from lti_tool.tables.presence import presence_check_answers as answers
from lti_tool.tables.presence import presence_checks as checks


@dataclass(frozen=True, slots=True)
class Questions:
    """By the key of a question: its kind and times, and by trainee when each answered which."""

    put: Mapping[str, Question] = field(default_factory=dict)
    answered: Mapping[int, Mapping[str, datetime]] = field(default_factory=dict)

    def of(self, trainee_id: int | None) -> list[Question]:
        """Every question of the session as it stands for this person; nobody's for somebody unmatched."""
        mine = self.answered.get(trainee_id, {}) if trainee_id is not None else {}
        return [Question(each.kind, each.from_at, each.to_at, mine.get(key)) for key, each in self.put.items()]


def load(connection: Connection, session_id: int) -> Questions:
    """The questions of one session with everybody's answers."""
    put: dict[str, Question] = {}
    answered: dict[int, dict[str, datetime]] = defaultdict(dict)
    _load_checks(connection, session_id, put, answered)
    _load_polls(connection, session_id, put, answered)
    return Questions(put, answered)


def _load_checks(
    connection: Connection, session_id: int, put: dict[str, Question], answered: dict[int, dict[str, datetime]]
) -> None:
    asked = select(checks.c.id, checks.c.opens_at, checks.c.closes_at).where(checks.c.live_session_id == session_id)
    for row in connection.execute(asked.order_by(checks.c.id)):
        put[f"check:{row.id}"] = Question("check", row.opens_at, row.closes_at)
    query = select(answers).join(checks).where(checks.c.live_session_id == session_id)
    for row in connection.execute(query):
        answered[row.trainee_id][f"check:{row.check_id}"] = row.answered_at


def _load_polls(
    connection: Connection, session_id: int, put: dict[str, Question], answered: dict[int, dict[str, datetime]]
) -> None:
    known = polls.c.live_session_id == session_id, polls.c.answered_at.is_not(None)
    rows = connection.execute(select(polls).where(*known).order_by(polls.c.id)).all()
    times: dict[str, list[datetime]] = defaultdict(list)
    for row in rows:
        times[f"poll:{row.meeting_uuid}:{row.poll}"].append(row.answered_at)
    put |= {key: Question("poll", min(each), max(each)) for key, each in times.items()}
    whose = _whose(connection, session_id, {row.email for row in rows})
    for row in rows:
        if row.email in whose:
            answered[whose[row.email]][f"poll:{row.meeting_uuid}:{row.poll}"] = row.answered_at


def _whose(connection: Connection, session_id: int, emails: Collection[str]) -> dict[str, int]:
    """By address: the one person it was registered for in this meeting, else the one trainee who has it, and whom staff
    linked it to. Where that is not one person, it is nobody."""
    meeting_id = connection.scalar(select(live_sessions.c.zoom_meeting_id).where(live_sessions.c.id == session_id))
    linked = in_force(connection, meeting_id or "")
    registered: dict[str, set[int | None]] = defaultdict(set)
    theirs: dict[str, set[int | None]] = defaultdict(set)
    places = select(registrants).where(registrants.c.meeting_id == meeting_id, registrants.c.email.in_(emails))
    for row in connection.execute(places):
        registered[row.email].add(linked.registrant.get(row.registrant_id, row.trainee_id))
    for row in connection.execute(select(trainees.c.email, trainees.c.id).where(trainees.c.email.in_(emails))):
        theirs[row.email].add(row.id)
    known = {each: (registered[each] - {None} or theirs[each]) | {linked.email.get(each)} for each in emails}
    claimed = {email: [each for each in owners if each is not None] for email, owners in known.items()}
    return {email: owners[0] for email, owners in claimed.items() if len(owners) == 1}
