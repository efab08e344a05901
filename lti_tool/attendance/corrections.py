"""Presence that staff add or take away by hand: one of them proposes it with evidence, a second one confirms it.

A correction is in force once a second person has confirmed it (ce.md T11). What is taken away outranks everything;
what is added has the grade "manual" and is shown as such wherever it appears.
"""

from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from lti_tool import audit, people
from lti_tool.attendance import live_sessions
from lti_tool.attendance.evidence import PresenceInterval
from lti_tool.attendance.live_sessions import completion_policy, real_wall_time, request_settlement, verify_settleable
from lti_tool.attendance.matching import was_in_force
from lti_tool.attendance.queries import Version
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.people import refuse_alone, refuse_own
from lti_tool.tables.live_sessions import live_sessions as live_sessions_table
from lti_tool.tables.people import trainees
from lti_tool.tables.presence import attendance_corrections as corrections
from lti_tool.text import MAX_STATEMENT, clean, read_lines, reason_given

State = Literal["waiting", "in_force", "undone"]

WAITING = corrections.c.confirmed_at.is_(None) & corrections.c.undone_at.is_(None)


def in_force(connection: Connection, session_id: int) -> dict[int, tuple[PresenceInterval, ...]]:
    """The confirmed corrections of a session by trainee id, in order of time. `counts` false: taken away."""
    found: dict[int, list[PresenceInterval]] = defaultdict(list)
    query = select(corrections).where(
        corrections.c.live_session_id == session_id,
        corrections.c.confirmed_at.is_not(None),
        corrections.c.undone_at.is_(None),
    )
    for row in connection.execute(query.order_by(corrections.c.from_at, corrections.c.id)):
        found[row.trainee_id].append(interval_of(row))
    return {trainee_id: tuple(intervals) for trainee_id, intervals in found.items()}


def interval_of(row: Row[Any]) -> PresenceInterval:
    """The presence that a correction adds or takes away, once it is in force."""
    return PresenceInterval(row.from_at, row.to_at, "manual", row.counts, f"correction:{row.id}")


def show(connection: Connection, correction_id: int) -> Row[Any]:
    """One correction. Raises NotFound "correction_unknown"."""
    row = connection.execute(select(corrections).where(corrections.c.id == correction_id)).first()
    if row is None:
        raise NotFound("correction_unknown", "There is no such correction.", "Choose one from the list of corrections.")
    return row


def state_of(row: Row[Any]) -> State:
    if row.undone_at is not None:
        return "undone"
    return "waiting" if row.confirmed_at is None else "in_force"


def waiting(connection: Connection) -> list[Row[Any]]:
    """Proposals without a second person, the first proposed first."""
    return _listed(connection, WAITING, corrections.c.proposed_at)


def some(connection: Connection, correction_ids: Collection[int]) -> list[Row[Any]]:
    """These corrections, the first proposed first."""
    return _listed(connection, corrections.c.id.in_(correction_ids), corrections.c.proposed_at)


def decided(connection: Connection, limit: int = 50) -> list[Row[Any]]:
    """Corrections that were confirmed, turned down or taken back, the latest first."""
    return _listed(connection, ~WAITING, corrections.c.id.desc(), limit)


def of_person(connection: Connection, session_id: int, trainee_id: int) -> list[Row[Any]]:
    """All corrections of one person's day, the latest first."""
    theirs = (corrections.c.live_session_id == session_id) & (corrections.c.trainee_id == trainee_id)
    return _listed(connection, theirs, corrections.c.id.desc())


def _listed(connection: Connection, which: ColumnElement[bool], order: Any, limit: int | None = None) -> list[Row[Any]]:
    """Corrections with the person's name, and the session as pages show it."""
    session = live_sessions_table.c
    columns = (
        trainees.c.name,
        session.module_id,
        session.starts_at,
        session.zone,
        session.state.label("session_state"),
    )
    query = select(corrections, *columns).join_from(corrections, trainees).join(live_sessions_table)
    return list(connection.execute(query.where(which).order_by(order, corrections.c.id).limit(limit)))


def undone_for(connection: Connection, session_id: int, versions: Collection[Version]) -> set[str]:
    """The person keys of those of these versions that rested on presence added by hand which staff took back since."""
    added = select(corrections).where(corrections.c.live_session_id == session_id, corrections.c.counts)
    rows = connection.execute(added).all()
    return {
        each.person_key
        for each in versions
        for row in rows
        if row.trainee_id == each.trainee_id and was_in_force(each.settled_at, row.confirmed_at, row.undone_at)
    }


def propose(
    connection: Connection,
    *,
    session_id: int,
    trainee_id: int,
    from_at: datetime,
    to_at: datetime,
    counts: bool,
    reason: str,
    evidence: str,
    actor: str,
    now: datetime,
) -> int:
    """Propose a correction to a second person; returns its id. Nothing counts yet.

    `from_at` and `to_at` are aware instants within the agenda; `counts` says whether the time is added or taken away.
    Raises BadInput "reason_missing", "evidence_missing", "correction_times_wrong"; NotFound "session_unknown",
    "trainee_unknown"; Conflict "session_locked", "session_cancelled", "completion_unset"; AccessDenied "own_case".
    """
    session = live_sessions.hold(connection, session_id)  # against a lock, which asks for open cases
    verify_settleable(session)
    people.trainee(connection, trainee_id)
    refuse_own(connection, actor, trainee_id)
    latest = max(now, session.ended_at or now)  # Zoom's clock may be ahead of ours
    if not session.starts_at <= from_at < to_at <= min(session.ends_at, latest):
        raise BadInput(
            "correction_times_wrong",
            "The times are not in order, lie outside the session's agenda, or lie in the future.",
            "Give a start and a later end between the first and the last minute of the agenda.",
        )
    completion_policy(connection, session)  # a session without a policy cannot be settled, so it takes no correction
    why = reason_given(reason)
    shown_by = read_lines(evidence, "evidence_missing", "The evidence", MAX_STATEMENT)
    row = {
        "live_session_id": session_id,
        "trainee_id": trainee_id,
        "from_at": from_at,
        "to_at": to_at,
        "counts": counts,
        "reason": why,
        "evidence": shown_by,
        "proposed_by": actor,
        "proposed_at": now,
    }
    made: int = connection.execute(insert(corrections).values(row).returning(corrections.c.id)).scalar_one()
    details = {"session": session_id, "trainee": trainee_id, "counts": counts}
    _note(connection, made, "correction_proposed", actor, now, why, **details)
    return made


def instant_on_wall(text: str, zone: str) -> datetime:
    """The instant (aware UTC) of a wall time such as 2026-12-01T09:00:05 in this zone. Raises BadInput
    "wall_time_wrong"."""
    try:
        wall = datetime.fromisoformat(clean(text))
    except ValueError as error:
        raise BadInput(
            "wall_time_wrong",
            "This is not a time of day.",
            "Give local times, like 2026-12-01T09:00.",
        ) from error
    return real_wall_time(wall, zone).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def confirm(connection: Connection, correction_id: int, *, actor: str, now: datetime) -> None:
    """Put a correction in force, as the second person, and request the settlement.

    Raises NotFound "correction_unknown"; AccessDenied "second_person_needed", "own_case"; Conflict "correction_state",
    "session_locked", "session_cancelled".
    """
    row = _held(connection, correction_id)
    refuse_own(connection, actor, row.trainee_id)
    refuse_alone(connection, row.proposed_by, actor, row.trainee_id, row.proposed_at)
    if row.confirmed_at is not None:
        raise _decided_already()
    _change(connection, row, {"confirmed_by": actor, "confirmed_at": now})
    _note(connection, row.id, "correction_confirmed", actor, now, None, proposed_by=row.proposed_by)
    request_settlement(connection, row.live_session_id, now)


def undo(connection: Connection, correction_id: int, *, reason: str, actor: str, now: datetime) -> None:
    """Turn a proposal down, or take back a correction in force; then request the settlement.

    Raises BadInput "reason_missing"; NotFound "correction_unknown"; AccessDenied "own_case"; Conflict
    "correction_state", "session_locked", "session_cancelled".
    """
    why = reason_given(reason)
    row = _held(connection, correction_id)
    refuse_own(connection, actor, row.trainee_id)
    values = {"undone_by": actor, "undone_reason": why, "undone_at": now}
    _change(connection, row, values)
    _note(connection, row.id, "correction_undone", actor, now, why, was_in_force=row.confirmed_at is not None)
    request_settlement(connection, row.live_session_id, now)


def _held(connection: Connection, correction_id: int) -> Row[Any]:
    """The correction; its session is held from now on. A lock that is under way comes first and refuses this act, and
    none begins until it ends."""
    row = show(connection, correction_id)
    verify_settleable(live_sessions.hold(connection, row.live_session_id))
    return row


def _change(connection: Connection, row: Row[Any], values: dict[str, Any]) -> None:
    """Change the correction if it still is in the state of this row: of two people at once, the first decides."""
    as_it_was = corrections.c.undone_at.is_(None) & corrections.c.confirmed_at.is_not_distinct_from(row.confirmed_at)
    changed = connection.execute(update(corrections).where(corrections.c.id == row.id, as_it_was).values(values))
    if not changed.rowcount:
        raise _decided_already()


def _decided_already() -> Conflict:
    return Conflict(
        "correction_state",
        "This correction has been confirmed or taken back already.",
        "Look at the list of corrections again.",
    )


def _note(
    connection: Connection, made: int, act: str, actor: str, now: datetime, reason: str | None, **details: Any
) -> None:
    audit.record(connection, actor=actor, act=act, subject=f"correction:{made}", at=now, reason=reason, **details)
