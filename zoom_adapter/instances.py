"""The instances of a class: the meetings (by uuid) whose reports it must have.

A class is held in one meeting id, which serves for months. What belongs to it is found by time, never "the latest".
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, case, func, or_, select

from lti_tool.tables.evidence import zoom_inbox, zoom_report_fetches
from zoom_adapter import reports

BEFORE_START = timedelta(minutes=30)
# Of a meeting id of which neither the inbox nor Zoom knows an instance of this class, Zoom is asked under this name.
NO_UUID = ""
ENDS = ("meeting.ended", "webinar.ended")

Session = Row[*tuple[Any, ...]]


def of_class(connection: Connection, session: Session) -> list[str]:
    """The uuids of the instances that overlap the scheduled class (a row of `live_sessions`), as far as the inbox knows
    or a report was asked for.

    What was over before the class or began after it (a test by the host, a click on the link in the evening) has no
    part in it, though it may lie inside the wider window in which presence is looked for.
    """
    at, uuid = zoom_inbox.c.happened_at, zoom_inbox.c.meeting_uuid
    ended_at = func.max(case((zoom_inbox.c.event.in_(ENDS), at)))
    over_before = and_(ended_at.is_not(None), ended_at <= session.starts_at)
    delivered = (
        select(uuid)
        .where(zoom_inbox.c.meeting_id == session.zoom_meeting_id, at.is_not(None), uuid.is_not(None))
        .group_by(uuid)
        .having(and_(func.min(at) < session.ends_at, func.max(at) >= session.starts_at - BEFORE_START))
        .having(or_(ended_at.is_(None), ~over_before))
    )
    fetches = zoom_report_fetches.c
    asked = select(fetches.meeting_uuid).where(
        fetches.live_session_id == session.id, fetches.source.in_(reports.ATTENDANCE), fetches.meeting_uuid != ""
    )
    found = {*connection.execute(delivered).scalars(), *connection.execute(asked).scalars()}
    return sorted(each for each in found if each)


def has_settled_reports(connection: Connection, session: Session, ended_at: datetime | None = None) -> bool:
    """Whether every instance of the class has a settled report that was fetched after the class was over, or staff wait
    for it no longer. Without any known instance only they can say so. `ended_at` is an end that is news."""
    return not unsettled(connection, session, ended_at)


def known_end(session: Session, ended_at: datetime | None = None) -> datetime | None:
    """When the class was over as far as anybody has said: on record, or by this news."""
    return max((at for at in (session.ended_at, ended_at) if at is not None), default=None)


def without_agreement(connection: Connection, session: Session) -> list[str]:
    """The instances of the class of which Zoom has not said the same twice, or said something else since."""
    uuids = of_class(connection, session)
    settled, told = reports.last_settled(connection, session.id), reports.last_answers(connection, session.id)
    shaken = [uuid for uuid in uuids if uuid in settled and uuid in told and not told[uuid].settled]
    return sorted({*unsettled(connection, session), *shaken})


def unsettled(connection: Connection, session: Session, ended_at: datetime | None = None) -> list[str]:
    """The instances of the class without a settled report; [""] where no instance is known. What agreed before the end
    that is known now is no report of the whole class."""
    settled, since = reports.last_settled(connection, session.id), known_end(session, ended_at)
    held = {uuid for uuid, each in settled.items() if since is None or each.fetched_at >= since}
    return [uuid for uuid in of_class(connection, session) or [NO_UUID] if uuid not in held]


def unheard_of(told: Sequence[tuple[str, datetime]], session: Session, known: Sequence[str]) -> list[str]:
    """Of the instances (uuid, start) that Zoom lists for the meeting id, those of this class that nobody told us of."""
    opens = session.starts_at - BEFORE_START
    return [uuid for uuid, started_at in told if opens <= started_at < session.ends_at and uuid not in known]
