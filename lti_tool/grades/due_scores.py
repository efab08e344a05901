"""Which scores are due, who sends them, and what became of them: the database's side of delivery.

A score is claimed by a conditional UPDATE with a lease; whoever lost the lease records nothing. One score is in flight
per (line item, user), each with a timestamp later than the one before, on record before anything is sent.
"""

import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, or_, select, tuple_, update

from lti_tool.db import Database
from lti_tool.grades.ags import Verdict, next_timestamp
from lti_tool.grades.seen import Value, next_look
from lti_tool.http import CONNECT_SECONDS, READ_SECONDS, WHOLE_ANSWER_SECONDS
from lti_tool.lti.quirks import PROFILES, Profile
from lti_tool.lti.results import RESULT_SCOPE
from lti_tool.tables.courses import placements
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import scores
from lti_tool.tasks import backoff

# Longer than one request can be under way: a token, the request, and both once more after a 401, each as slow as we put
# up with. Who asks for more than one renews the lease in between.
LEASE = 4 * timedelta(seconds=CONNECT_SECONDS + READ_SECONDS + WHOLE_ANSWER_SECONDS)
# With a pause that grows to an hour: about two days of a platform that is away.
MOST_ATTEMPTS = 56
# A platform that refuses a fresh timestamp this often holds something newer than we know of.
MOST_TIMESTAMPS = 5
# Platforms that compare whole seconds need one between two scores of a person (lti.md AG-8).
PAUSE = timedelta(seconds=1)
# Nothing of ours lies further ahead: what does was written while our clock was, and is not waited for.
FARTHEST_AHEAD = timedelta(hours=2)
REGRADED = "regraded"


@dataclass(frozen=True, slots=True)
class DueScore:
    """One claimed score: the desired version as it was claimed, and the lease under which it is recorded.

    `timestamp` is None until one is chosen: where the gradebook can be read, that is after a look at it, unless nothing
    was ever sent. `ours` is everything of ours that the gradebook may show; `sent` is what went out last, without an
    answer so far.
    """

    id: int
    owner: str
    registration_id: int
    profile: Profile
    line_item_url: str
    user_id: str
    version: int
    value: Value
    comment: str
    is_readable: bool
    delivered: Value | None
    sent: Value | None
    ours: tuple[Value, ...]
    timestamp: datetime | None
    resent: bool
    attempts: int


def waiting_platforms(database: Database, now: datetime) -> list[int]:
    """The registrations that have a score due, the one that has waited longest first."""
    with database.read() as connection:
        return list(
            connection.scalars(
                select(placements.c.registration_id)
                .join(scores, scores.c.placement_id == placements.c.id)
                .where(_due(now))
                .group_by(placements.c.registration_id)
                .order_by(func.min(scores.c.next_attempt_at))
            )
        )


def claim_due(database: Database, now: datetime, limit: int, registration_id: int | None = None) -> list[DueScore]:
    """Lease up to `limit` scores whose time has come, of all platforms or of one."""
    if limit <= 0:
        return []
    due = _due(now)
    if registration_id is not None:
        theirs = select(placements.c.id).where(placements.c.registration_id == registration_id)
        due = and_(due, scores.c.placement_id.in_(theirs))
    with database.write() as connection:
        pairs = connection.execute(
            select(scores.c.line_item_url, scores.c.user_id).where(due).order_by(scores.c.next_attempt_at).limit(limit)
        ).all()
        held = _hold(connection, {(row.line_item_url, row.user_id) for row in pairs})
        claimed = (_lease(connection, row, held, now) for row in held)
        return [each for each in claimed if each is not None]


def renew(connection: Connection, due: DueScore, now: datetime) -> DueScore | None:
    """Choose the timestamp of a score that was looked for first, with a whole lease ahead; None when the lease was
    lost."""
    held = _hold(connection, {(due.line_item_url, due.user_id)})
    row = next((each for each in held if each.id == due.id and each.lease_owner == due.owner), None)
    if row is None:
        return None
    timestamp, resent = _timestamp(row, held, due.version, now)
    values = {"leased_until": now + LEASE, **_sent(due, timestamp)}
    connection.execute(update(scores).where(scores.c.id == due.id).values(values))
    return replace(due, timestamp=timestamp, resent=resent)


def record_arrival(connection: Connection, due: DueScore, now: datetime) -> None:
    """The gradebook shows what went out last and was never answered: it was delivered."""
    arrived = and_(
        scores.c.id == due.id,
        scores.c.lease_owner == due.owner,
        scores.c.sent_version > scores.c.delivered_version,
    )
    values = {
        "delivered_version": scores.c.sent_version,
        "delivered_given": scores.c.sent_given,
        "delivered_maximum": scores.c.sent_maximum,
        "delivered_at": now,
    }
    connection.execute(update(scores).where(arrived).values(values))


def record(connection: Connection, due: DueScore, verdict: Verdict, now: datetime) -> bool:
    """Write what became of a claimed score; False when the lease was lost and somebody else answers for it."""
    is_wanted = scores.c.desired_version == due.version
    values: dict[str, Any] = {
        "lease_owner": None,
        "leased_until": None,
        "last_answer": verdict.says,
        # A value that was desired meanwhile is sent whatever became of the older one.
        "status": case((is_wanted, _status(due, verdict)), else_="waiting"),
        "attempts": case((is_wanted, _tries(due, verdict)), else_=scores.c.attempts),
        "next_attempt_at": now + _pause(due, verdict),
        **_outcome(due, verdict, now),
    }
    if verdict.outcome == "regraded":
        values["status"] = "parked"
    ours = and_(scores.c.id == due.id, scores.c.lease_owner == due.owner)
    return bool(connection.execute(update(scores).where(ours).values(values)).rowcount)


def _outcome(due: DueScore, verdict: Verdict, now: datetime) -> dict[str, Any]:
    """What is known of the platform's side now."""
    if verdict.outcome == "delivered":
        return {
            "delivered_version": due.version,
            "delivered_given": due.value.given,
            "delivered_maximum": due.value.maximum,
            "delivered_at": now,
            "seen": "unread",
            "seen_given": None,
            "look_at": next_look(now, now) if due.is_readable else None,
        }
    if verdict.outcome == "regraded":
        assert verdict.seen is not None
        maximum = (due.delivered or due.value).maximum
        return {"seen": "differs", "seen_given": verdict.seen.out_of(maximum), "seen_at": now}
    return {"sent_version": None} if verdict.outcome == "again" else {}


def _tries(due: DueScore, verdict: Verdict) -> int:
    """How often in a row this has been the outcome. Only after `again` a score goes out with another timestamp."""
    is_fresh = due.timestamp is not None and not due.resent
    is_another = {"again": due.resent, "later": is_fresh}.get(verdict.outcome, False)
    return 1 if is_another else due.attempts


def _status(due: DueScore, verdict: Verdict) -> str:
    if verdict.outcome == "delivered":
        return "delivered"
    most = MOST_TIMESTAMPS if verdict.outcome == "again" else MOST_ATTEMPTS
    return "parked" if verdict.outcome == "parked" or _tries(due, verdict) >= most else "waiting"


def _pause(due: DueScore, verdict: Verdict) -> timedelta:
    return backoff(min(_tries(due, verdict), 12)) if verdict.outcome == "later" else PAUSE


def is_live(leased_until: Any, now: datetime) -> ColumnElement[bool]:
    """Whether a lease still holds."""
    return and_(leased_until >= now, leased_until <= now + FARTHEST_AHEAD)


def _due(now: datetime) -> ColumnElement[bool]:
    active = select(placements.c.id).join(registrations).where(registrations.c.status == "active")
    return and_(
        scores.c.status == "waiting",
        or_(scores.c.next_attempt_at <= now, scores.c.next_attempt_at > now + FARTHEST_AHEAD),
        or_(scores.c.lease_owner.is_(None), ~is_live(scores.c.leased_until, now)),
        scores.c.placement_id.in_(active),
    )


def _hold(connection: Connection, pairs: set[tuple[str, str]]) -> list[Row[Any]]:
    """All rows of these (line item, user) pairs are held, so that two workers cannot take two rows of one pair."""
    if not pairs:
        return []
    query = (
        select(scores, placements.c.registration_id, placements.c.ags_scopes, registrations.c.profile)
        .join(placements, placements.c.id == scores.c.placement_id)
        .join(registrations, registrations.c.id == placements.c.registration_id)
        .where(tuple_(scores.c.line_item_url, scores.c.user_id).in_(pairs))
        .order_by(scores.c.id)
        .with_for_update(of=scores)
    )
    return list(connection.execute(query))


def _lease(connection: Connection, row: Row[Any], held: list[Row[Any]], now: datetime) -> DueScore | None:
    due = _as_due(row, uuid.uuid4().hex)
    values: dict[str, Any] = {
        "lease_owner": due.owner,
        "leased_until": now + LEASE,
        "attempts": scores.c.attempts + 1,
    }
    if not (due.is_readable and due.ours):
        timestamp, resent = _timestamp(row, held, due.version, now)
        due = replace(due, timestamp=timestamp, resent=resent)
        values |= _sent(due, timestamp)
    other = scores.alias()
    in_flight = select(other.c.id).where(
        other.c.line_item_url == row.line_item_url,
        other.c.user_id == row.user_id,
        other.c.lease_owner.is_not(None),
        is_live(other.c.leased_until, now),
    )
    ours = and_(scores.c.id == row.id, _due(now), ~in_flight.exists())
    return due if connection.execute(update(scores).where(ours).values(values)).rowcount else None


def _timestamp(row: Row[Any], held: list[Row[Any]], version: int, now: datetime) -> tuple[datetime, bool]:
    """The timestamp to send with, and whether it has been sent with this very version before."""
    if row.sent_version == version and row.last_timestamp is not None:
        return row.last_timestamp, True
    pair = [each for each in held if (each.line_item_url, each.user_id) == (row.line_item_url, row.user_id)]
    sent = max((each.last_timestamp for each in pair if each.last_timestamp), default=None)
    return next_timestamp(now, sent, whole_seconds=PROFILES[row.profile].whole_second_timestamps), False


def _sent(due: DueScore, timestamp: datetime) -> dict[str, Any]:
    return {
        "last_timestamp": timestamp,
        "sent_version": due.version,
        "sent_given": due.value.given,
        "sent_maximum": due.value.maximum,
    }


def _as_due(row: Row[Any], owner: str) -> DueScore:
    profile = PROFILES[row.profile]
    taken = Value(row.delivered_given, row.delivered_maximum or row.desired_maximum)
    delivered = taken if row.delivered_version else None
    sent = None if row.sent_maximum is None else Value(row.sent_given, row.sent_maximum)
    ours = [delivered, sent, _overruled(row)]
    return DueScore(
        id=row.id,
        owner=owner,
        registration_id=row.registration_id,
        profile=profile,
        line_item_url=row.line_item_url,
        user_id=row.user_id,
        version=row.desired_version,
        value=Value(row.desired_given, row.desired_maximum),
        comment=row.desired_comment,
        is_readable=profile.results_show_gradebook and RESULT_SCOPE in row.ags_scopes,
        delivered=delivered,
        sent=sent,
        ours=tuple(each for each in ours if each is not None),
        timestamp=None,
        resent=row.sent_version == row.desired_version and row.last_timestamp is not None,
        attempts=row.attempts + 1,
    )


def _overruled(row: Row[Any]) -> Value | None:
    """What somebody else had entered, where staff decided to send ours all the same: only then such a score waits."""
    if row.seen != "differs":
        return None
    return Value(row.seen_given, row.delivered_maximum or row.desired_maximum)
