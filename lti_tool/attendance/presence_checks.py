"""Presence checks and polls: the questions put in a live session, and who answered them.

Staff ask "Are you there?" during a session, and trainees answer with one tap in the frame. A poll in Zoom is known by
its answers alone: it could be answered from the first of them to the last. An answer never makes presence; a policy may
ask for a share of them.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, insert, select

from lti_tool import audit, people
from lti_tool.attendance import live_sessions, settled_identities
from lti_tool.attendance.live_sessions import request_settlement_when_over
from lti_tool.attendance.matching import in_force
from lti_tool.attendance.minutes import Question
from lti_tool.db import insert_ignoring
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.intervals import Interval
from lti_tool.tables.live_sessions import live_sessions as live_sessions_table
from lti_tool.tables.presence import poll_answers as polls
from lti_tool.tables.presence import presence_check_answers as answers
from lti_tool.tables.presence import presence_checks as checks
from lti_tool.tables.zoom import registrants

# How long a check stays open: long enough to reach the screen, short enough to mean presence.
SHORTEST, LONGEST = timedelta(seconds=30), timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Check:
    """One check: open from `opens_at` until before `closes_at` (aware UTC)."""

    id: int
    session_id: int
    opens_at: datetime
    closes_at: datetime

    def is_open(self, now: datetime) -> bool:
        return self.opens_at <= now < self.closes_at


@dataclass(frozen=True, slots=True)
class Asked:
    """A check and how many answered it. `answered_at` is when one person answered, where the query names a person."""

    check: Check
    answers: int = 0
    answered_at: datetime | None = None


def ask(connection: Connection, session_id: int, *, open_for: timedelta, actor: str, now: datetime) -> int:
    """Open a check in a session that is going on; returns its id.

    Raises NotFound "session_unknown"; BadInput "check_length_wrong"; Conflict "session_not_running", "check_open".
    """
    if not SHORTEST <= open_for <= LONGEST:
        raise BadInput("check_length_wrong", "A check stays open for half a minute to 15 minutes.", "Choose a length.")
    session = live_sessions.hold(connection, session_id)
    if session.state == "cancelled" or not session.starts_at <= now < session.ends_at:
        raise Conflict(
            "session_not_running", f"Live session {session_id} is not going on.", "Open a check during the session."
        )
    if any(each.check.is_open(now) for each in of_session(connection, session_id)):
        raise Conflict("check_open", "A check is open already.", "Wait until it closes.")
    row = {"live_session_id": session_id, "opens_at": now, "closes_at": now + open_for, "opened_by": actor}
    check_id: int = connection.execute(insert(checks).values(row).returning(checks.c.id)).scalar_one()
    audit.record(connection, actor=actor, act="presence_check_opened", subject=f"session:{session_id}", at=now)
    return check_id


def answer(connection: Connection, check_id: int, trainee_id: int, now: datetime) -> None:
    """Record this person's answer, and request the settlement that may rest on it; a second answer changes nothing.

    Raises NotFound "check_unknown"; Conflict "check_closed".
    """
    query = (
        select(checks, live_sessions_table.c.ends_at, live_sessions_table.c.state)
        .join(live_sessions_table)
        .where(checks.c.id == check_id)
    )
    row = connection.execute(query).first()
    if row is None:
        raise NotFound("check_unknown", "There is no such question.", "Open the page of your sessions again.")
    if row.state == "cancelled" or not row.opens_at <= now < row.closes_at:
        raise Conflict(
            "check_closed", "The time for this answer is over.", "If you were there, write to the training team."
        )
    mine = {"check_id": check_id, "trainee_id": trainee_id, "answered_at": now}
    if connection.execute(insert_ignoring(connection, answers).values(mine)).rowcount:
        request_settlement_when_over(connection, row.live_session_id, row.ends_at, now)


def of_session(connection: Connection, session_id: int) -> list[Asked]:
    """The checks of a session in order of time, with how many answered."""
    count = select(func.count()).where(answers.c.check_id == checks.c.id).scalar_subquery()
    query = select(checks, count.label("answers")).where(checks.c.live_session_id == session_id)
    rows = connection.execute(query.order_by(checks.c.opens_at, checks.c.id))
    return [Asked(Check(row.id, session_id, row.opens_at, row.closes_at), row.answers) for row in rows]


def open_for(connection: Connection, trainee_id: int, now: datetime) -> list[Asked]:
    """The checks that are open now, except in cancelled sessions, with this person's answer."""
    mine = (answers.c.check_id == checks.c.id) & (answers.c.trainee_id == trainee_id)
    query = select(checks, answers.c.answered_at).join(live_sessions_table).outerjoin(answers, mine)
    is_open = (checks.c.opens_at <= now, checks.c.closes_at > now, live_sessions_table.c.state != "cancelled")
    rows = connection.execute(query.where(*is_open).order_by(checks.c.id))
    return [
        Asked(Check(row.id, row.live_session_id, row.opens_at, row.closes_at), answered_at=row.answered_at)
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions of one session: by key the kind and times, and by trainee when each was answered."""

    put: Mapping[str, Question]
    answered: Mapping[int, Mapping[str, datetime]]

    def of(self, trainee_id: int | None) -> list[Question]:
        """All questions of the session as they stand for this person; an unmatched person has no answers."""
        mine = self.answered.get(trainee_id, {}) if trainee_id is not None else {}
        return [replace(each, answered_at=mine.get(key)) for key, each in self.put.items()]


def load(connection: Connection, session_id: int) -> Questions:
    """The questions of one session with all answers."""
    put: dict[str, Question] = {}
    answered: dict[int, dict[str, datetime]] = defaultdict(dict)
    asked = select(checks.c.id, checks.c.opens_at, checks.c.closes_at).where(checks.c.live_session_id == session_id)
    for row in connection.execute(asked.order_by(checks.c.id)):
        put[f"check:{row.id}"] = Question("check", row.opens_at, row.closes_at)
    for row in connection.execute(select(answers).join(checks).where(checks.c.live_session_id == session_id)):
        answered[row.trainee_id][f"check:{row.check_id}"] = row.answered_at

    known = polls.c.live_session_id == session_id, polls.c.answered_at.is_not(None)
    rows = connection.execute(select(polls).where(*known).order_by(polls.c.id)).all()
    times: dict[str, list[datetime]] = defaultdict(list)
    for row in rows:
        times[f"poll:{row.meeting_uuid}:{row.poll}"].append(row.answered_at)
    put |= {key: Question("poll", min(each), max(each)) for key, each in times.items()}
    owners = _owners(connection, session_id, {row.email for row in rows})
    for row in rows:
        if row.email in owners:
            answered[owners[row.email]][f"poll:{row.meeting_uuid}:{row.poll}"] = row.answered_at
    return Questions(put, answered)


def _owners(connection: Connection, session_id: int, emails: Collection[str]) -> dict[str, int]:
    """The trainee behind each address: the one it was settled for in this session or registered for in this meeting,
    else the one trainee who had it then, and the one whom staff linked it to. An address with several candidates is
    left out."""
    columns = (live_sessions_table.c[name] for name in ("zoom_meeting_id", "starts_at", "ends_at"))
    session = connection.execute(select(*columns).where(live_sessions_table.c.id == session_id)).one()
    meeting_id = session.zoom_meeting_id
    linked, settled = in_force(connection, meeting_id), settled_identities.load(connection, session_id).email
    registered: dict[str, set[int | None]] = defaultdict(set)
    places = select(registrants).where(registrants.c.meeting_id == meeting_id, registrants.c.email.in_(emails))
    for row in connection.execute(places):
        registered[row.email].add(linked.registrant.get(row.registrant_id, row.trainee_id))
    theirs = people.owners(connection, emails, Interval(session.starts_at, session.ends_at))
    for email in theirs.keys() - {each for each, ids in registered.items() if ids - {None}}:
        registered[email] |= theirs[email].trainee_ids
    known = {each: {settled.get(each)} - {None} or registered[each] | {linked.email.get(each)} for each in emails}
    claimed = {email: [each for each in owners if each is not None] for email, owners in known.items()}
    return {email: owners[0] for email, owners in claimed.items() if len(owners) == 1}
