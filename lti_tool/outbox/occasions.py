"""The occasions on which people get a message, recorded in the transaction that decided them.

One row of the outbox is one message to one person. An occasion that is recorded twice sends once. Who is in a course is
known here; whether the gate is open for them, and what they chose to receive, is looked at when the message is sent.
"""

from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, String, Subquery, exists, func, literal, or_, select, union

from lti_tool.db import insert_ignoring
from lti_tool.tables.courses import enrolments, placements, roster_members
from lti_tool.tables.gates import completions, equivalency_requests
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.mail import mail_preferences, outbox
from lti_tool.tables.people import person_joins, role_grants
from lti_tool.tables.platforms import registrations
from lti_tool.tables.types import UtcDateTime
from lti_tool.tables.zoom import registrants
from lti_tool.times import day_of, machine

# What the digest counts is theirs to decide.
DIGEST_ROLES = ("programme_admin", "coordinator", "registrar")

Kind = Literal[
    "equivalency_received",
    "equivalency_question",
    "equivalency_approved",
    "equivalency_declined",
    "accommodation_answered",
    "session_scheduled",
    "session_moved",
    "session_cancelled",
    "session_reminder",
    "digest",
]
# How long a message is tried that has no session to be in time for.
WORTH_SENDING = timedelta(days=7)
DIGEST_WORTH_SENDING = timedelta(hours=10)
REMINDED_BEFORE = timedelta(hours=24)
# Who was told of a time within this time needs no reminder of it yet.
JUST_TOLD = timedelta(hours=12)
CHANGES: tuple[Kind, ...] = ("session_moved", "session_cancelled")
ABOUT_A_SESSION: tuple[Kind, ...] = ("session_scheduled", "session_moved", "session_reminder")


def enqueue(
    connection: Connection,
    kind: Kind,
    trainee_id: int,
    subject_id: int,
    occasion: str,
    *,
    now: datetime,
    send_before: datetime | None = None,
) -> None:
    """Record one message to one person; nothing if it has been recorded before."""
    row = {
        "kind": kind,
        "subject_id": subject_id,
        "occasion": occasion,
        "trainee_id": trainee_id,
        "state": "waiting",
        "attempts": 0,
        "next_at": now,
        "send_before": send_before or now + WORTH_SENDING,
        "created_at": now,
    }
    connection.execute(insert_ignoring(connection, outbox).values(row))


def session_scheduled(connection: Connection, session_id: int, now: datetime) -> None:
    """A live session was scheduled. Past sessions, such as imported ones, interest no one."""
    _about_session(connection, "session_scheduled", session_id, now)


def session_moved(connection: Connection, session_id: int, now: datetime) -> None:
    """A live session has another time now; its calendar sequence number was raised."""
    _about_session(connection, "session_moved", session_id, now)


def session_cancelled(connection: Connection, session_id: int, now: datetime) -> None:
    """A live session was cancelled; its calendar sequence number was raised."""
    _about_session(connection, "session_cancelled", session_id, now)


def remind(connection: Connection, now: datetime) -> None:
    """Record the reminders of the sessions that start within a day. A session that is moved is reminded of again."""
    query = select(live_sessions.c.id).where(
        live_sessions.c.state == "scheduled",
        live_sessions.c.starts_at > now,
        live_sessions.c.starts_at <= now + REMINDED_BEFORE,
    )
    for session_id in connection.scalars(query).all():
        _about_session(connection, "session_reminder", session_id, now)


def digest_due(connection: Connection, day: date, now: datetime) -> None:
    """Record the digest of one day for those who asked for it and hold a role to which its matters belong."""
    held = role_grants.c
    asked = (
        select(mail_preferences.c.trainee_id)
        .join(role_grants, held.trainee_id == mail_preferences.c.trainee_id)
        .where(mail_preferences.c.digest, held.role.in_(DIGEST_ROLES), held.ended_at.is_(None))
        .where(or_(held.ends_at.is_(None), held.ends_at > now))
        .where(~_is_joined(mail_preferences.c.trainee_id))
    )
    for trainee_id in connection.scalars(asked.distinct()).all():
        before = now + DIGEST_WORTH_SENDING
        enqueue(connection, "digest", trainee_id, 0, day.isoformat(), now=now, send_before=before)


def _about_session(connection: Connection, kind: Kind, session_id: int, now: datetime) -> None:
    session = connection.execute(select(live_sessions).where(live_sessions.c.id == session_id)).one()
    if session.starts_at <= now:
        return
    # The start tells whether the message still holds when it is sent. The number tells a move back to an old time, of
    # which people are told again; of one start they are reminded once.
    number = "" if kind == "session_reminder" else f" {session.calendar_sequence}"
    occasion = f"{machine(session.starts_at)}{number}"
    values: dict[str, Any] = {
        "kind": literal(kind, String),
        "subject_id": literal(session_id),
        "occasion": literal(occasion, String),
        "trainee_id": None,
        "state": literal("waiting", String),
        "attempts": literal(0),
        "next_at": literal(now, UtcDateTime),
        "send_before": literal(session.starts_at, UtcDateTime),
        "created_at": literal(now, UtcDateTime),
    }
    people = _recipients(kind, session, now)
    columns = [people.c.trainee_id if name == "trainee_id" else value for name, value in values.items()]
    chosen = select(*columns).where(people.c.trainee_id.is_not(None))
    connection.execute(insert_ignoring(connection, outbox).from_select(list(values), chosen))


def _recipients(kind: Kind, session: Row[Any], now: datetime) -> Subquery:
    """Who is registered for the meeting, or a trainee of a course with a unit of the module who still needs it. A
    change is told to everyone who was told about the session, too."""
    left = select(roster_members.c.trainee_id).where(
        roster_members.c.registration_id == enrolments.c.registration_id,
        roster_members.c.context_id == enrolments.c.context_id,
        roster_members.c.trainee_id == enrolments.c.trainee_id,
        roster_members.c.left_at.is_not(None),
    )
    same_course = (placements.c.registration_id == enrolments.c.registration_id) & (
        func.coalesce(placements.c.context_id, "") == enrolments.c.context_id
    )
    enrolled = (
        select(enrolments.c.trainee_id)
        .join(placements, same_course)
        .join(registrations, registrations.c.id == enrolments.c.registration_id)
        .where(
            placements.c.module_id == session.module_id,
            enrolments.c.role == "trainee",
            registrations.c.status == "active",
            ~left.exists(),
            *_still_needs(session.module_id, day_of(now, session.zone)),
        )
    )
    registered = select(registrants.c.trainee_id).where(
        registrants.c.meeting_id == session.zoom_meeting_id, registrants.c.status.in_(("pending", "approved"))
    )
    about = (outbox.c.subject_id == session.id, outbox.c.kind.in_(ABOUT_A_SESSION))
    told = select(outbox.c.trainee_id).where(*about, outbox.c.state == "sent")
    found = union(enrolled, registered, *([told] if kind in CHANGES else [])).subquery()
    known = [_is_joined(found.c.trainee_id)]
    if kind == "session_reminder":
        known.append(_is_just_told(found.c.trainee_id, session, now))
    return select(found.c.trainee_id).where(found.c.trainee_id.is_not(None), *(~each for each in known)).subquery()


def _still_needs(module_id: str, today: date) -> tuple[ColumnElement[bool], ...]:
    """Whether an enrolled person has neither completed a module nor had training elsewhere accepted in its place."""
    completed = exists().where(
        completions.c.trainee_id == enrolments.c.trainee_id,
        completions.c.module_id == module_id,
        completions.c.ended_at.is_(None),
    )
    request = equivalency_requests.c
    waived = exists().where(
        request.trainee_id == enrolments.c.trainee_id,
        request.target == module_id,
        request.state == "approved",
        request.expires_on.is_(None) | (request.expires_on >= today),
    )
    return ~completed, ~waived


def _is_joined(trainee_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether staff joined this account into another, which gets the messages."""
    return exists().where(person_joins.c.joined_id == trainee_id, person_joins.c.undone_at.is_(None))


def _is_just_told(trainee_id: ColumnElement[Any], session: Row[Any], now: datetime) -> ColumnElement[bool]:
    """Whether this person learned only now that the session starts at this time."""
    return exists().where(
        outbox.c.trainee_id == trainee_id,
        outbox.c.subject_id == session.id,
        outbox.c.kind.in_(("session_scheduled", "session_moved")),
        outbox.c.occasion.startswith(machine(session.starts_at)),
        outbox.c.state.in_(("waiting", "sent")),
        outbox.c.created_at > now - JUST_TOLD,
    )
