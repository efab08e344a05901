"""One person's attendance of one module, for staff who come from the gradebook (lti.md AG-13)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint
from sqlalchemy import Connection, Row, and_, exists, select

from lti_tool import people
from lti_tool.attendance import live_sessions, queries, timeline
from lti_tool.attendance.queries import AttendedDay
from lti_tool.attendance.timeline import Picture, Stretch
from lti_tool.credit import claims
from lti_tool.credit.claims import ShownClaim
from lti_tool.errors import RefusedLaunch
from lti_tool.grades import ags, wording
from lti_tool.lti.claims import Launch
from lti_tool.programme import versions
from lti_tool.rights import SEE_PEOPLE
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.platforms import registrations
from lti_tool.tables.scores import line_items, scores
from lti_tool.web.page import show
from lti_tool.web.request import connection
from lti_tool.web.session import access, is_ours, only_course, record_visit

blueprint = Blueprint("submission_review", __name__, url_prefix="/desk/review")


@dataclass(frozen=True, slots=True)
class ReviewedDay:
    """One session that the person attended: its intervals, the picture, and the credit decided for it."""

    attended: AttendedDay
    rows: Sequence[Stretch]
    picture: Picture | None
    claims: Sequence[ShownClaim]


@blueprint.get("/<module_id>")
@access(SEE_PEOPLE)
def unknown_person(module_id: str) -> str:
    """The page for a gradebook user whom no launch and no roster has named."""
    return show("staff/review.html", versions.current(connection()).programme, module_id=module_id, person=None)


@blueprint.get("/<module_id>/<int:trainee_id>")
@access(SEE_PEOPLE)
def person(module_id: str, trainee_id: int) -> str:
    """One person's attendance of one module, with credit and scores. The visit is logged."""
    who = people.trainee(connection(), trainee_id)
    record_visit("attendance_reviewed", f"trainee:{trainee_id}", module=module_id)
    launched = (enrolments.c.trainee_id == trainee_id) & enrolments.c.last_launch_at.is_not(None)
    return show(
        "staff/review.html",
        versions.current(connection()).programme,
        module_id=module_id,
        person=who,
        name=who.name or f"Person {who.id}",
        has_launched=bool(connection().scalar(select(exists().where(launched)))),
        days=days_of(connection(), trainee_id, module_id),
        scores=[
            each
            for each in scores_of(connection(), trainee_id, module_id)
            if is_ours(each.registration_id, each.context_id, SEE_PEOPLE)
        ],
        sees_all=only_course(SEE_PEOPLE) is None,
        state_of=ags.state_of,
        words=wording,
    )


def module_of(connection: Connection, launched: Launch) -> str:
    """The module of the gradebook column that a submission review names: found by the tool's own line item, then by a
    unit's line item, then by the unit itself. Raises RefusedLaunch `review_module_unknown`."""
    line_item = launched.ags.line_item_url if launched.ags else None
    same_unit = and_(
        placements.c.deployment_id == launched.deployment_id,
        placements.c.resource_link_id == launched.resource_link_id,
    )
    ways = (
        (line_item, and_(line_items.c.url == line_item, line_items.c.retired_at.is_(None))),
        (line_item, placements.c.line_item_url == line_item),
        (launched.resource_link_id, same_unit),
    )
    here = and_(placements.c.registration_id == launched.registration_id, placements.c.module_id.is_not(None))
    query = select(placements.c.module_id).outerjoin(line_items, line_items.c.placement_id == placements.c.id)
    for named, where in ways:
        found = list(connection.scalars(query.where(here, where).distinct().limit(2))) if named is not None else []
        if len(found) == 1:
            return str(found[0])
    raise RefusedLaunch(
        "review_module_unknown",
        "Gatehouse knows no module for this gradebook column.",
        "Open a unit of the module once from the course, then try again. Or look for the person on the desk.",
        status=404,
    )


def days_of(connection: Connection, trainee_id: int, module_id: str) -> list[ReviewedDay]:
    """This person's days in the module's sessions, the latest first."""
    days = []
    for attended in queries.of_trainee(connection, trainee_id):
        if attended.module_id == module_id:
            session = live_sessions.show(connection, attended.session_id)
            programme = versions.version(connection, session.programme_version).programme
            rows = timeline.stretches(attended.day, timeline.WHY_OF_ANOTHER)
            picture = timeline.draw(attended.day, attended.zone)
            credit = claims.of_session(connection, programme, trainee_id, attended.session_id)
            days.append(ReviewedDay(attended, rows, picture, credit))
    return days


def scores_of(connection: Connection, trainee_id: int, module_id: str) -> list[Row[Any]]:
    """This person's scores for the module, with the course's title and the platform's profile."""
    query = (
        select(
            scores,
            placements.c.registration_id,
            placements.c.context_id,
            placements.c.context_title,
            registrations.c.profile,
        )
        .join_from(scores, placements)
        .join(registrations, registrations.c.id == placements.c.registration_id)
        .where(scores.c.trainee_id == trainee_id, placements.c.module_id == module_id)
    )
    return list(connection.execute(query.order_by(scores.c.id)))
