"""One person's attendance of one module, for staff who come from the gradebook (lti.md AG-13)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, select

from lti_tool.attendance import live_sessions, queries, timeline
from lti_tool.attendance.queries import AttendedDay
from lti_tool.attendance.timeline import Picture, Stretch
from lti_tool.credit import claims as shown_claims
from lti_tool.credit.claims import ShownClaim
from lti_tool.errors import RefusedLaunch
from lti_tool.lti.claims import Launch
from lti_tool.programme import versions
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import line_items, scores


@dataclass(frozen=True, slots=True)
class ReviewedDay:
    """One session that the person attended: every stretch of it, the picture, and the credit decided for it."""

    attended: AttendedDay
    rows: Sequence[Stretch]
    picture: Picture | None
    claims: Sequence[ShownClaim]


def module_of(connection: Connection, launched: Launch) -> str:
    """The module behind the gradebook's column that a submission review names: by its line item, which is the tool's
    own or a unit's, else by its unit. Raises RefusedLaunch `review_module_unknown`."""
    for where in _ways(launched):
        query = select(placements.c.module_id).outerjoin(line_items, line_items.c.placement_id == placements.c.id)
        here = and_(placements.c.registration_id == launched.registration_id, placements.c.module_id.is_not(None))
        found = list(connection.scalars(query.where(here, where).distinct().limit(2)))
        if len(found) == 1:
            return str(found[0])
    raise RefusedLaunch(
        "review_module_unknown",
        "This column of the gradebook belongs to no module that Gatehouse knows.",
        "Open a unit of the module once from the course, then try again; or find the person at the desk.",
        status=404,
    )


def _ways(launched: Launch) -> Iterator[ColumnElement[bool]]:
    """How the column's placement may be found, the surest way first."""
    line_item = launched.ags.line_item_url if launched.ags else None
    if line_item is not None:
        yield and_(line_items.c.url == line_item, line_items.c.retired_at.is_(None))
        yield placements.c.line_item_url == line_item
    if launched.resource_link_id is not None:
        yield and_(
            placements.c.deployment_id == launched.deployment_id,
            placements.c.resource_link_id == launched.resource_link_id,
        )


def has_launched(connection: Connection, trainee_id: int) -> bool:
    """Whether this person ever came from a course; a roster may have named somebody who has not."""
    came = (enrolments.c.trainee_id == trainee_id) & enrolments.c.last_launch_at.is_not(None)
    return bool(connection.scalar(select(exists().where(came))))


def days_of(connection: Connection, trainee_id: int, module_id: str) -> list[ReviewedDay]:
    """This person's days in the module's sessions, the latest first."""
    attended = [each for each in queries.of_trainee(connection, trainee_id) if each.module_id == module_id]
    return [_reviewed(connection, trainee_id, each) for each in attended]


def _reviewed(connection: Connection, trainee_id: int, attended: AttendedDay) -> ReviewedDay:
    taught = live_sessions.show(connection, attended.session_id)
    programme = versions.version(connection, taught.programme_version).programme
    return ReviewedDay(
        attended=attended,
        rows=timeline.stretches(attended.day, timeline.WHY_OF_ANOTHER),
        picture=timeline.draw(attended.day, attended.zone),
        claims=shown_claims.of_session(connection, programme, trainee_id, attended.session_id),
    )


def scores_of(connection: Connection, trainee_id: int, module_id: str) -> list[Row[Any]]:
    """The ledger's rows of this person for the module, with the course's title and the kind of platform."""
    query = (
        select(scores, placements.c.context_title, registrations.c.profile)
        .join_from(scores, placements)
        .join(registrations, registrations.c.id == placements.c.registration_id)
        .where(scores.c.trainee_id == trainee_id, placements.c.module_id == module_id)
    )
    return list(connection.execute(query.order_by(scores.c.id)))
