"""The class that is going on, for one trainee: the day so far, the minutes, and the presence check."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from lti_tool.attendance import presence_checks, timeline
from lti_tool.attendance.agenda import Segment
from lti_tool.attendance.live_board import SoFar, so_far
from lti_tool.attendance.live_sessions import LiveSession
from lti_tool.attendance.presence_checks import Asked
from lti_tool.attendance.timeline import DayBar
from lti_tool.programme import versions
from lti_tool.programme.model import Programme
from lti_tool.web.staff.live_board import BoardOf


@dataclass(frozen=True, slots=True)
class ClassNow:
    """One running session for one person. `part` is the part of the agenda that is going on; `mine` is None while the
    programme does not say what completes a session; `allowed_minutes` may be missed for credit (None: no credit is
    offered, or no limit is set); `check` is the presence check that is open."""

    session: LiveSession
    part: Segment | None
    mine: SoFar | None
    bar: DayBar | None
    allowed_minutes: int | None
    check: Asked | None


def load_class(
    connection: Connection, session: LiveSession, trainee_id: int, board_of: BoardOf, now: datetime
) -> ClassNow:
    """The class as of `now`. What it counts is a view of the messages so far; attendance is settled elsewhere."""
    programme = versions.version(connection, session.programme_version).programme
    people = board_of(connection, session, now).people
    person = next((each for each in people if each.trainee_id == trainee_id), None)
    mine = so_far(person, session.segments, programme.completion, now) if programme.completion else None
    asked = presence_checks.open_for(connection, trainee_id, now)
    return ClassNow(
        session=session,
        part=next((each for each in session.segments if each.starts_at <= now < each.ends_at), None),
        mine=mine,
        bar=timeline.bar(
            session.segments, session.zone, mine.present if mine else (), mine.missed if mine else (), now
        ),
        allowed_minutes=_allowed_minutes(programme, session.module_id),
        check=next((each for each in asked if each.check.session_id == session.id), None),
    )


def _allowed_minutes(programme: Programme, module_id: str) -> int | None:
    """How many minutes may be missed by the strictest body that gives credit for the module."""
    module = programme.modules.get(module_id)
    offered = [body_id for body_id, credits in module.credits.items() if credits] if module else []
    policies = [programme.bodies[each].policy for each in offered if each in programme.bodies]
    limits = [each.max_missed_total_minutes for each in policies if each and each.max_missed_total_minutes is not None]
    return min(limits, default=None)
