"""How the Zoom meetings of classes to come are set, as last read by the worker, against what a credit class asks."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from lti_tool.db import insert_ignoring
from lti_tool.programme.model import Programme
from lti_tool.sessions import live_sessions
from lti_tool.sessions.live_sessions import LiveSession
from lti_tool.sessions.meetings.demands import Demand, demands
from lti_tool.tables.presence import zoom_meetings


@dataclass(frozen=True, slots=True)
class Checked:
    """The settings of one session's meeting. Without `demands` they were never read; `code` says why the last try
    failed, "" when it did not; `read_at` is when they were read last."""

    demands: tuple[Demand, ...]
    code: str
    read_at: datetime | None

    @property
    def unmet(self) -> list[Demand]:
        return [each for each in self.demands if each.met is False]


def of_session(connection: Connection, session: LiveSession, programme: Programme) -> Checked:
    """The demands on the meeting of this session, each met or not."""
    here = zoom_meetings.c.meeting_id == session.zoom_meeting_id
    row = connection.execute(select(zoom_meetings).where(here)).first()
    if row is None or row.settings is None:
        return Checked((), row.settings_code if row else "", None)
    is_series = len(live_sessions.of_meeting(connection, session.zoom_meeting_id)) > 1
    policies = [body.policy for body in programme.bodies.values() if body.policy]
    phone_counts = any(each.phone_only_counts for each in policies)
    found = demands(session.zoom_kind, row.settings, is_series=is_series, phone_counts=phone_counts)
    return Checked(tuple(found), row.settings_code, row.settings_at)


def look_again(connection: Connection, meeting_id: str, now: datetime) -> None:
    """Let the settings be read as soon as the worker is free."""
    new = {"meeting_id": meeting_id, "settings_code": "", "due_at": now}
    connection.execute(insert_ignoring(connection, zoom_meetings).values(new))
    connection.execute(update(zoom_meetings).where(zoom_meetings.c.meeting_id == meeting_id).values(due_at=now))
