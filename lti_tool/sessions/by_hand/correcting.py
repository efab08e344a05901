"""How presence by hand comes about: one of the staff proposes it with reason and evidence, another one confirms it."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Row, insert, update

from lti_tool import audit, people
from lti_tool.actors import refuse_alone, refuse_own
from lti_tool.errors import BadInput, Conflict
from lti_tool.sessions import live_sessions
from lti_tool.sessions.by_hand.corrections import WAITING, show
from lti_tool.sessions.by_hand.words import read_text, reason_given
from lti_tool.sessions.live_sessions import LiveSession, real_wall_time
from lti_tool.sessions.rounds import open_round
from lti_tool.sessions.settle_tasks import ask_for
from lti_tool.sessions.settlement import verify_settleable
from lti_tool.tables.presence import attendance_corrections as corrections


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
    """Put a correction before a second person; its id. Nothing counts yet.

    `from_at` and `to_at` are aware instants within the agenda; `counts` says whether the time counts from then on or is
    taken away. Raises BadInput "reason_missing", "evidence_missing", "correction_times_wrong"; NotFound
    "session_unknown", "trainee_unknown"; Conflict "session_locked", "session_cancelled", "completion_unset";
    AccessDenied "own_case".
    """
    session = live_sessions.show(connection, session_id)
    verify_settleable(session)
    people.trainee(connection, trainee_id)
    refuse_own(actor, trainee_id)
    _verify_times(session, from_at, to_at, now)
    open_round(connection, session, ended=True)  # a session that nothing can measure takes no correction
    why = reason_given(reason)
    shown_by = read_text(
        evidence,
        BadInput(
            "evidence_missing",
            "Presence by hand needs evidence; it is missing, unreadable or longer than 2000 characters.",
            "Name what shows it, and where it is kept.",
        ),
    )
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
        wall = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadInput(
            "wall_time_wrong",
            "This is not a time of day.",
            "Give the times as the clock on the wall showed them, like 2026-12-01T09:00.",
        ) from error
    return real_wall_time(wall, zone).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def confirm(connection: Connection, correction_id: int, *, actor: str, now: datetime) -> None:
    """Put a correction in force, as the second person, and ask for the settlement.

    Raises NotFound "correction_unknown"; AccessDenied "second_person_needed", "own_case"; Conflict "correction_state",
    "session_locked", "session_cancelled".
    """
    row = _settleable(connection, correction_id)
    refuse_own(actor, row.trainee_id)
    refuse_alone(row.proposed_by, actor, row.trainee_id)
    _change(connection, row, WAITING, {"confirmed_by": actor, "confirmed_at": now})
    _note(connection, row.id, "correction_confirmed", actor, now, None, proposed_by=row.proposed_by)
    ask_for(connection, row.live_session_id, now)


def undo(connection: Connection, correction_id: int, *, reason: str, actor: str, now: datetime) -> None:
    """Turn a proposal down, or take a correction in force back; then the session is settled again.

    Raises BadInput "reason_missing"; NotFound "correction_unknown"; AccessDenied "own_case"; Conflict
    "correction_state", "session_locked", "session_cancelled".
    """
    why = reason_given(reason)
    row = _settleable(connection, correction_id)
    refuse_own(actor, row.trainee_id)
    values = {"undone_by": actor, "undone_reason": why, "undone_at": now}
    _change(connection, row, corrections.c.undone_at.is_(None), values)
    _note(connection, row.id, "correction_undone", actor, now, why, was_in_force=row.confirmed_at is not None)
    ask_for(connection, row.live_session_id, now)


def _settleable(connection: Connection, correction_id: int) -> Row[Any]:
    row = show(connection, correction_id)
    verify_settleable(live_sessions.show(connection, row.live_session_id))
    return row


def _verify_times(session: LiveSession, from_at: datetime, to_at: datetime, now: datetime) -> None:
    over = max(now, session.ended_at or now)  # Zoom's clock may be ahead of ours
    if not session.starts_at <= from_at < to_at <= min(session.ends_at, over):
        raise BadInput(
            "correction_times_wrong",
            "The times are not in order, lie outside the session's agenda, or in the future.",
            "Give a start and a later end between the first and the last minute of the agenda.",
        )


def _change(connection: Connection, row: Row[Any], where: ColumnElement[bool], values: dict[str, Any]) -> None:
    """Of two people at once, the first decides."""
    changed = connection.execute(update(corrections).where(corrections.c.id == row.id, where).values(values))
    if not changed.rowcount:
        raise Conflict(
            "correction_state",
            "Somebody has confirmed this correction or taken it back already.",
            "Look at the list of corrections again.",
        )


def _note(
    connection: Connection, made: int, act: str, actor: str, now: datetime, reason: str | None, **details: Any
) -> None:
    audit.record(connection, actor=actor, act=act, subject=f"correction:{made}", at=now, reason=reason, **details)
