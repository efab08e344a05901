"""Live sessions as scheduled: when, in which Zoom meeting, and under which programme version.

Scheduling fixes the version of the programme for good, and with it the module's agenda, which is kept in UTC. Staff may
edit, move or cancel a session. Each such change raises its calendar sequence, and names the sequence that the person
saw, so that two people cannot overwrite each other's change.
Here too: how a settlement is requested, one task in the transaction that changed its evidence, and the names that staff
give breakout rooms, since Zoom sends an id of each and never a name (zoom.md §4).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, delete, insert, select, update

from lti_tool import audit, times
from lti_tool.attendance.agenda import Segment, from_json, lay_out, to_json
from lti_tool.attendance.minutes import Attendance
from lti_tool.errors import BadInput, Conflict, NotFound
from lti_tool.outbox import occasions
from lti_tool.programme import versions
from lti_tool.programme.model import UNSET, CompletionPolicy, Programme
from lti_tool.programme.versions import Published
from lti_tool.tables.live_sessions import attendances, live_sessions
from lti_tool.tables.zoom import room_labels, zoom_inbox
from lti_tool.tasks import enqueue
from lti_tool.text import clean, meeting_number, reason_given

SETTLE = "settle"
# A session is settled this long after its scheduled end, even if Zoom has not reported the end.
WITHOUT_END = timedelta(minutes=10)
KINDS = ("meeting", "webinar")
LONGEST_LABEL = 100
LONGEST_NOTE = 100


def request_settlement(connection: Connection, session_id: int, now: datetime) -> None:
    """Request the settlement of one live session now."""
    enqueue(connection, SETTLE, f"session:{session_id}", {"session_id": session_id}, now=now)


def request_settlement_when_over(connection: Connection, session_id: int, ends_at: datetime, now: datetime) -> None:
    """Request it for when the scheduled end is past; now if it is past already."""
    over_at = ends_at + WITHOUT_END
    if now >= over_at:
        request_settlement(connection, session_id, now)
    else:
        enqueue(connection, SETTLE, f"session:{session_id}:over", {"session_id": session_id}, now=now, run_at=over_at)


def request_settlement_at(connection: Connection, session_id: int, at: datetime, now: datetime) -> None:
    """Request it for a later moment; nothing if that has passed."""
    if now < at:
        key = f"session:{session_id}:{at:%Y%m%dT%H%M%S}"
        enqueue(connection, SETTLE, key, {"session_id": session_id}, now=now, run_at=at)


@dataclass(frozen=True, slots=True)
class LiveSession:
    """One session in Zoom. `state` is scheduled, cancelled, provisional (settled from webhooks), reconciled or
    locked. `ended_at` is None until settlement knows the end: from Zoom, or from staff where Zoom reported none
    (`ended_by_staff_at`). `note` tells it from other sessions of the module ("evening group")."""

    id: int
    module_id: str
    programme_version: int
    starts_at: datetime
    ends_at: datetime
    zone: str
    segments: tuple[Segment, ...]
    zoom_kind: Literal["meeting", "webinar"]
    zoom_meeting_id: str
    join_url: str | None
    state: str
    ended_at: datetime | None
    ended_by_staff_at: datetime | None
    reconciled_at: datetime | None
    locked_at: datetime | None
    cancelled_reason: str | None
    calendar_sequence: int
    created_at: datetime
    updated_at: datetime
    note: str | None = None

    @property
    def held_on(self) -> date:
        """The day of the session in its own zone: the day a licence must cover."""
        return self.starts_at.astimezone(ZoneInfo(self.zone)).date()


def add(
    connection: Connection,
    published: Published,
    *,
    module_id: str,
    starts: datetime | date,
    zoom_meeting_id: str,
    actor: str,
    now: datetime,
    zone: str | None = None,
    zoom_kind: str = "meeting",
    join_url: str | None = None,
    note: str = "",
) -> int:
    """Schedule a session of a module and return its id.

    Past dates are accepted (imports, replays); if the inbox holds deliveries about the meeting already, the session is
    settled once it is over. `starts` is naive wall time in `zone` (the programme's zone when None); a plain date starts
    when the agenda does.

    Raises NotFound "module_unknown"; Conflict "agenda_unset", "session_overlaps"; BadInput "zone_unknown",
    "wall_time_wrong", "zoom_kind_wrong", "meeting_id_wrong", "join_url_wrong", "session_note_long".
    """
    zone = zone or published.programme.zone
    segments = agenda_on(published.programme, module_id, starts, zone)
    given = _given(zoom_meeting_id, zoom_kind, join_url, note)
    meeting_id = given["zoom_meeting_id"]
    row: dict[str, Any] = {
        "module_id": module_id,
        "programme_version": published.version,
        "starts_at": segments[0].starts_at,
        "ends_at": segments[-1].ends_at,
        "zone": zone,
        "segments": to_json(segments),
        **given,
        "state": "scheduled",
        "calendar_sequence": 0,
        "created_at": now,
        "updated_at": now,
    }
    _refuse_overlap(connection, meeting_id, row["starts_at"], row["ends_at"])
    session_id: int = connection.execute(insert(live_sessions).values(row).returning(live_sessions.c.id)).scalar_one()
    subject = f"session:{session_id}"
    audit.record(connection, actor=actor, act="session_added", subject=subject, at=now, module=module_id)
    occasions.session_scheduled(connection, session_id, now)
    _settle_what_came(connection, session_id, meeting_id, row["ends_at"], now)
    return session_id


def show(connection: Connection, session_id: int) -> LiveSession:
    """One session. Raises NotFound "session_unknown"."""
    found = _select(connection, live_sessions.c.id == session_id)
    if not found:
        raise NotFound("session_unknown", "There is no such live session.", "Choose one from the list of sessions.")
    return found[0]


def hold(connection: Connection, session_id: int) -> LiveSession:
    """The session, locked until the transaction ends (SQLite has one writer anyway). Raises NotFound
    "session_unknown"."""
    this = select(live_sessions.c.id).where(live_sessions.c.id == session_id)
    # Others may refer to the session meanwhile: two who both have done so can still hold it one after the other.
    connection.execute(this.with_for_update(key_share=True))
    return show(connection, session_id)


def list_sessions(connection: Connection, *, module_id: str | None = None) -> list[LiveSession]:
    """All sessions, or those of one module, cancelled ones included; in order of time."""
    return _select(connection, *([live_sessions.c.module_id == module_id] if module_id else []))


def planned(*conditions: ColumnElement[bool]) -> Select[Any]:
    """The rows of the sessions that meet these conditions on the table, for a page that cuts out its part."""
    return select(live_sessions).where(*conditions)


def load(rows: Iterable[Row[Any]]) -> list[LiveSession]:
    """The sessions in these rows of the table."""
    return [LiveSession(**{**row._mapping, "segments": from_json(row.segments)}) for row in rows]


def of_meeting(connection: Connection, meeting_id: str) -> list[LiveSession]:
    """The sessions held in one Zoom meeting id, which may be a series; cancelled ones are left out."""
    return _select(connection, live_sessions.c.zoom_meeting_id == meeting_id, live_sessions.c.state != "cancelled")


def upcoming(connection: Connection, module_id: str, now: datetime) -> list[LiveSession]:
    """The sessions of a module that are not over yet, the next one first."""
    return _load(connection, _UPCOMING, {"module": module_id, "now": now})


def held_between(
    connection: Connection, first_at: datetime, last_at: datetime, *only: ColumnElement[bool]
) -> list[LiveSession]:
    """The sessions that end after the first moment and begin before the last, of all or of `only` these, in order of
    time; no cancelled ones."""
    within = (live_sessions.c.ends_at > first_at, live_sessions.c.starts_at < last_at)
    return _select(connection, *NOT_CANCELLED, *within, *only)


def latest_of(connection: Connection, module_ids: Collection[str], limit: int) -> list[LiveSession]:
    """The latest sessions of these modules, the latest first; no cancelled ones."""
    query = select(live_sessions).where(*NOT_CANCELLED, live_sessions.c.module_id.in_(module_ids))
    return _load(connection, query.order_by(live_sessions.c.starts_at.desc(), live_sessions.c.id).limit(limit), {})


def next_one(connection: Connection, now: datetime, *only: ColumnElement[bool]) -> LiveSession | None:
    """The session that begins next, of all or of `only` these; None without one."""
    found = _load(connection, _IN_ORDER.where(*NOT_CANCELLED, live_sessions.c.starts_at > now, *only).limit(1), {})
    return found[0] if found else None


def last_one(connection: Connection, now: datetime, *only: ColumnElement[bool]) -> LiveSession | None:
    """The session that ended last by its schedule, of all or of `only` these; None without one."""
    latest = select(live_sessions).where(*NOT_CANCELLED, live_sessions.c.ends_at <= now, *only)
    found = _load(connection, latest.order_by(live_sessions.c.ends_at.desc(), live_sessions.c.id).limit(1), {})
    return found[0] if found else None


def coming(connection: Connection, now: datetime) -> dict[str, list[LiveSession]]:
    """The sessions of every module that are not over yet, by module, the next one first."""
    found: dict[str, list[LiveSession]] = {}
    for each in _load(connection, _COMING, {"now": now}):
        found.setdefault(each.module_id, []).append(each)
    return found


def edit(
    connection: Connection,
    session_id: int,
    *,
    sequence: int,
    zoom_meeting_id: str,
    zoom_kind: str,
    join_url: str | None,
    note: str,
    actor: str,
    now: datetime,
) -> None:
    """Change the note, the Zoom meeting and the join link of a session. `sequence` is the calendar sequence that the
    editor saw.

    Once attendance has been settled, the meeting and its kind stay as they are: they say whose evidence counts. The
    audit log names what changed, never a join link.

    Raises NotFound "session_unknown"; BadInput as `add`; Conflict "session_changed", "session_cancelled",
    "session_taught", "session_overlaps".
    """
    session = _hold_unchanged(connection, session_id, sequence)
    given = _given(zoom_meeting_id, zoom_kind, join_url, note)
    changed = sorted(name for name, value in given.items() if value != getattr(session, name))
    if not changed:
        return
    meeting_id = given["zoom_meeting_id"]
    if {"zoom_meeting_id", "zoom_kind"} & set(changed):
        if session.state != "scheduled":
            raise Conflict(
                "session_taught",
                "This session has been taught, so its Zoom meeting can no longer change.",
                "Note and join link can still be changed.",
            )
        _refuse_overlap(connection, meeting_id, session.starts_at, session.ends_at, other_than=session_id)
        _settle_what_came(connection, session_id, meeting_id, session.ends_at, now)
    _change(connection, session_id, now, **given)
    subject = f"session:{session_id}"
    audit.record(connection, actor=actor, act="session_edited", subject=subject, at=now, changed=changed)


def move(
    connection: Connection, session_id: int, *, sequence: int, starts: datetime, reason: str, actor: str, now: datetime
) -> None:
    """Hold a session at another time. `starts` is naive wall time in the session's zone; `sequence` is the calendar
    sequence that the editor saw.

    The agenda is laid out anew by the programme version under which the session was scheduled. Registrations at Zoom
    stay, since they belong to the meeting. A session that has begun is not moved.

    Raises NotFound "session_unknown"; BadInput "reason_missing", "wall_time_wrong", "session_in_past"; Conflict
    "session_changed", "session_cancelled", "session_begun", "session_overlaps".
    """
    why = reason_given(reason, "Say why the session is moved.")
    session = _hold_unchanged(connection, session_id, sequence)
    if session.state != "scheduled" or session.starts_at <= now:
        raise Conflict(
            "session_begun",
            "This session has begun, so it can no longer be moved.",
            "Add another session for the new time.",
        )
    programme = versions.version(connection, session.programme_version).programme
    segments = agenda_on(programme, session.module_id, starts, session.zone)
    starts_at, ends_at = segments[0].starts_at, segments[-1].ends_at
    verify_to_come(starts_at, now)
    _refuse_overlap(connection, session.zoom_meeting_id, starts_at, ends_at, other_than=session_id)
    _change(connection, session_id, now, starts_at=starts_at, ends_at=ends_at, segments=to_json(segments))
    moved = {"from": session.starts_at.isoformat(), "to": starts_at.isoformat()}
    subject = f"session:{session_id}"
    audit.record(connection, actor=actor, act="session_moved", subject=subject, at=now, reason=why, **moved)
    occasions.session_moved(connection, session_id, now)


def cancel(
    connection: Connection, session_id: int, *, reason: str, actor: str, now: datetime, sequence: int | None = None
) -> None:
    """Cancel a scheduled session; calendars learn it by the raised sequence number. `sequence` is the one that the
    editor saw; None: whatever it is.

    Raises NotFound "session_unknown", BadInput "reason_missing", Conflict "session_changed", "session_cancelled" or
    "session_taught".
    """
    why = reason_given(reason, "Say why the session does not take place.")
    session = hold(connection, session_id)
    _verify_sequence(session, session.calendar_sequence if sequence is None else sequence)
    if session.state == "cancelled":
        raise Conflict("session_cancelled", f"Live session {session_id} is cancelled already.")
    if session.state != "scheduled":
        raise Conflict(
            "session_taught",
            f"Live session {session_id} has been taught and cannot be cancelled.",
            "Correct the attendance instead; what was taught stays on record.",
        )
    _change(connection, session_id, now, state="cancelled", cancelled_reason=why)
    subject = f"session:{session_id}"
    audit.record(connection, actor=actor, act="session_cancelled", subject=subject, at=now, reason=why)
    occasions.session_cancelled(connection, session_id, now)


def verify_to_come(starts_at: datetime, now: datetime) -> None:
    """Raises BadInput "session_in_past"."""
    if starts_at <= now:
        raise BadInput("session_in_past", "This time is in the past.", "Choose a date and time to come.")


def _hold_unchanged(connection: Connection, session_id: int, sequence: int) -> LiveSession:
    """The session, held, which takes place and is still as the editor saw it."""
    session = hold(connection, session_id)
    _verify_sequence(session, sequence)
    if session.state == "cancelled":
        raise Conflict("session_cancelled", f"Live session {session.id} is cancelled.")
    return session


def _verify_sequence(session: LiveSession, sequence: int) -> None:
    if session.calendar_sequence != sequence:
        raise Conflict(
            "session_changed",
            "Someone else has changed this session since you opened this page.",
            "Compare your values with the saved ones, then send again.",
        )


def _change(connection: Connection, session_id: int, now: datetime, **values: Any) -> None:
    raised = {"calendar_sequence": live_sessions.c.calendar_sequence + 1, "updated_at": now}
    connection.execute(update(live_sessions).where(live_sessions.c.id == session_id).values(**values, **raised))


NOT_CANCELLED = (live_sessions.c.state != "cancelled",)
_IN_ORDER = select(live_sessions).order_by(live_sessions.c.starts_at, live_sessions.c.id)
# Asked on every page of a module: to build a statement costs more than to run it.
_COMING = _IN_ORDER.where(live_sessions.c.ends_at > bindparam("now"), live_sessions.c.state != "cancelled")
_UPCOMING = _COMING.where(live_sessions.c.module_id == bindparam("module"))


def _select(connection: Connection, *conditions: ColumnElement[bool]) -> list[LiveSession]:
    return _load(connection, _IN_ORDER.where(*conditions), {})


def _load(connection: Connection, query: Select[Any], values: Mapping[str, Any]) -> list[LiveSession]:
    return load(connection.execute(query, values))


def agenda_on(programme: Programme, module_id: str, starts: datetime | date, zone: str) -> Sequence[Segment]:
    """The module's agenda on that day, moved to the start of the session (half days start at 8 or at 9, programme.yaml
    C20). `starts` is naive wall time; a plain date starts when the agenda does. Raises as `add` does."""
    try:
        times.zone_of(zone)
    except ValueError as error:
        raise BadInput("zone_unknown", "This is not a time zone.", "Use an IANA name: America/Los_Angeles.") from error
    module = programme.modules.get(module_id)
    if module is None:
        raise NotFound(
            "module_unknown", f"The programme has no module {module_id}.", "See `gatehouse programme export`."
        )
    agenda = programme.agendas.get(module.agenda or UNSET)
    if agenda is None or not agenda.parts:
        raise Conflict(
            "agenda_unset",
            f"The agenda of module {module_id} is not set, so its instructional minutes are unknown.",
            "Set the agenda in the programme document and publish it.",
        )
    opens = agenda.parts[0].starts
    if not isinstance(starts, datetime):
        starts = datetime.combine(starts, opens)
    wall = real_wall_time(starts, zone)
    day = date(2000, 1, 2)
    later = datetime.combine(day, wall.time()) - datetime.combine(day, opens)

    def moved(at: time) -> time:
        return (datetime.combine(day, at) + later).time()

    parts = tuple(replace(part, starts=moved(part.starts), ends=moved(part.ends)) for part in agenda.parts)
    return lay_out(replace(agenda, parts=parts), wall.date(), zone)


def real_wall_time(wall: datetime, zone: str) -> datetime:
    """The wall time itself. Raises BadInput "wall_time_wrong" for one with an offset, one that the clocks skip, and one
    that they show twice."""
    if wall.tzinfo is not None:
        raise _wrong_wall_time("The start has an offset.")
    there = wall.replace(tzinfo=ZoneInfo(zone), fold=0)
    try:
        shown = there.astimezone(UTC).astimezone(there.tzinfo).replace(tzinfo=None)
    except OverflowError as error:
        raise _wrong_wall_time("This day is outside the calendar.") from error
    if shown != wall:
        raise _wrong_wall_time(f"On that day the clocks in {zone} skip this time.")
    if there.utcoffset() != there.replace(fold=1).utcoffset():
        raise _wrong_wall_time(f"On that day the clocks in {zone} show this time twice.")
    return wall


def _wrong_wall_time(what: str) -> BadInput:
    return BadInput("wall_time_wrong", what, "Give the local time, like 2026-12-01T09:00.")


def _given(meeting: str, kind: str, join_url: str | None, note: str) -> dict[str, Any]:
    """The columns that staff enter, judged."""
    if kind not in KINDS:
        raise BadInput("zoom_kind_wrong", "A session is held in a meeting or in a webinar.", "Use meeting or webinar.")
    meeting_id = meeting_number(meeting)
    if not (meeting_id.isascii() and meeting_id.isdigit() and len(meeting_id) <= 20):
        raise BadInput("meeting_id_wrong", "A Zoom meeting id is a number.", "Copy it from Zoom, like 853 0000 1234.")
    text = clean(note)
    if len(text) > LONGEST_NOTE:
        raise BadInput("session_note_long", "The note is too long.", f"Use up to {LONGEST_NOTE} characters.")
    return {
        "zoom_meeting_id": meeting_id,
        "zoom_kind": kind,
        "join_url": _join_url(join_url),
        "note": text or None,
    }


def _settle_what_came(
    connection: Connection, session_id: int, meeting_id: str, ends_at: datetime, now: datetime
) -> None:
    """Request a settlement if the inbox holds deliveries about the meeting already."""
    if connection.execute(select(zoom_inbox.c.id).where(zoom_inbox.c.meeting_id == meeting_id).limit(1)).first():
        request_settlement_when_over(connection, session_id, ends_at, now)


def _join_url(raw: str | None) -> str | None:
    link = clean(raw or "")
    if not link:
        return None
    try:
        url = urlsplit(link)
    except ValueError:
        url = urlsplit("")
    if url.scheme not in ("https", "http") or not url.hostname:
        raise BadInput("join_url_wrong", "The join link is not a web address.", "Copy the join link from Zoom.")
    return link


def _refuse_overlap(
    connection: Connection, meeting_id: str, starts_at: datetime, ends_at: datetime, other_than: int | None = None
) -> None:
    """One Zoom meeting cannot hold two sessions at once: presence in it could not be told apart."""
    for other in of_meeting(connection, meeting_id):
        if other.id != other_than and other.starts_at < ends_at and starts_at < other.ends_at:
            raise Conflict(
                "session_overlaps",
                f"Another session of {times.span(other.starts_at, other.ends_at, other.zone)} uses the same Zoom "
                "meeting at that time.",
                "Give the session a meeting of its own, or another time.",
            )


def labels(connection: Connection, session_id: int) -> dict[str, str]:
    """Zoom's id of a breakout room → the name that staff gave it, for the rooms that have one."""
    query = select(room_labels.c.room, room_labels.c.label).where(room_labels.c.live_session_id == session_id)
    return {row.room: row.label for row in connection.execute(query)}


def rooms_entered(connection: Connection, session_id: int) -> tuple[str, ...]:
    """Zoom's ids of the rooms that people were in, as last settled, in the order in which they were first entered."""
    current = attendances.c.is_current & (attendances.c.live_session_id == session_id)
    first: dict[str, datetime] = {}
    for day in connection.scalars(select(attendances.c.day).where(current)):
        for each in Attendance.from_json(day).rooms:
            if each.room:
                first[each.room] = min(each.from_at, first.get(each.room, each.from_at))
    return tuple(sorted(first, key=lambda room: (first[room], room)))


def name_rooms(connection: Connection, session_id: int, given: Mapping[str, str], *, actor: str, now: datetime) -> int:
    """Give rooms the names in `given` (by Zoom's id; an empty one removes the name) and return how many changed.

    Only rooms that people were in or that have a name already can be named. Raises NotFound "session_unknown", BadInput
    "room_label_wrong" or "room_unknown".
    """
    show(connection, session_id)
    known = labels(connection, session_id)
    wanted = {room: clean(text) for room, text in given.items()}
    if any(len(label) > LONGEST_LABEL for label in wanted.values()):
        raise BadInput("room_label_wrong", "The name of a room is too long.", f"Use up to {LONGEST_LABEL} characters.")
    if not wanted.keys() <= {*known, *rooms_entered(connection, session_id)}:
        raise BadInput("room_unknown", "The session has no such breakout room.", "Open the page again for its rooms.")
    changed = {room: label for room, label in wanted.items() if label != known.get(room, "")}
    for room, label in changed.items():
        this = (room_labels.c.live_session_id == session_id, room_labels.c.room == room)
        about = {"label": label, "labelled_by": actor, "labelled_at": now}
        if not label:
            connection.execute(delete(room_labels).where(*this))
        elif not connection.execute(update(room_labels).where(*this).values(about)).rowcount:
            connection.execute(insert(room_labels).values(live_session_id=session_id, room=room, **about))
    if changed:
        subject = f"session:{session_id}"
        audit.record(connection, actor=actor, act="rooms_named", subject=subject, at=now, rooms=len(changed))
    return len(changed)


def verify_settleable(session: LiveSession) -> None:
    """Raises Conflict "session_locked" or "session_cancelled"."""
    if session.state == "locked":
        raise Conflict("session_locked", f"Live session {session.id} is locked, so its attendance cannot change.")
    if session.state == "cancelled":
        raise Conflict("session_cancelled", f"Live session {session.id} is cancelled.")


def completion_policy(connection: Connection, session: LiveSession) -> CompletionPolicy:
    """What completes this session, by the programme version it was scheduled under.

    Raises Conflict "completion_unset".
    """
    policy = versions.version(connection, session.programme_version).programme.completion
    if policy is None:
        raise Conflict(
            "completion_unset",
            "The programme does not say which share of a session completes it.",
            "Set the completion share in the programme document; sessions added after publishing use it.",
        )
    return policy
