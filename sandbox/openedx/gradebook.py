"""Reads grades: what blocks published to the gradebook, and what the package's own results table holds.

The two differ: a score can be accepted and show in the results while nothing reaches the gradebook.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from lti_consumer.models import LtiAgsScore

from sandbox.openedx.models import Course, ExternalId, PublishedGrade, Unit

Place = tuple[int, int]  # user id, unit id


@dataclass(frozen=True)
class Cell:
    """What the gradebook shows for one person in one unit."""

    value: float | None
    max_value: float | None
    comment: str
    published_at: Any

    @property
    def percent(self) -> int | None:
        if self.value is None or not self.max_value:
            return None
        return round(100 * self.value / self.max_value)


def current_grades() -> dict[Place, PublishedGrade]:
    """The newest published grade of each person and unit."""
    rows = PublishedGrade.objects.select_related("user", "unit")
    return {(row.user_id, row.unit_id): row for row in rows}


def cells_of(course: Course) -> dict[Place, Cell]:
    """Published grades of a course with the comment of the latest score for that unit."""
    comments = _comments()
    return {
        place: Cell(row.value, row.max_value, comments.get((row.user_id, row.unit.usage_key), ""), row.published_at)
        for place, row in current_grades().items()
        if row.unit.course_id == course.id
    }


def table_of(course: Course) -> list[tuple[User, list[Cell | None]]]:
    """One line for each enrolled person, one cell for each scored unit."""
    units = scored_units(course)
    cells = cells_of(course)
    people = User.objects.filter(enrolments__course=course).select_related("profile").order_by("profile__id")
    return [(person, [cells.get((person.id, unit.id)) for unit in units]) for person in people]


def scored_units(course: Course) -> list[Unit]:
    """The columns: units marked as scored, and those that were when a grade came in."""
    graded = set(PublishedGrade.objects.filter(unit__course=course).values_list("unit_id", flat=True))
    return [unit for unit in course.units.all() if unit.is_scored or unit.id in graded]


def published(rows: list[PublishedGrade]) -> list[dict[str, Any]]:
    """Gradebook rows as JSON, `user_id` being the id the tool knows."""
    lti_ids = _lti_ids()
    return [
        {
            "username": row.user.username,
            "user_id": lti_ids[row.user_id],
            "unit": row.unit.block_id,
            "value": row.value,
            "max_value": row.max_value,
            "published_at": row.published_at.isoformat(),
        }
        for row in rows
    ]


def lti_results() -> list[dict[str, Any]]:
    """The package's own table of scores, from which it answers `/results`."""
    names = {lti_id: User.objects.get(id=user_id).username for user_id, lti_id in _lti_ids().items()}
    blocks = dict(Unit.objects.values_list("usage_key", "block_id"))
    scores = LtiAgsScore.objects.select_related("line_item__lti_configuration").order_by("id")
    return [_result(score, names, blocks) for score in scores]


def _result(score: LtiAgsScore, names: dict[str, str], blocks: dict[str, str]) -> dict[str, Any]:
    return {
        "username": names.get(score.user_id),
        "user_id": score.user_id,
        "unit": blocks.get(str(score.line_item.lti_configuration.location)),
        "line_item": score.line_item_id,
        "line_item_label": score.line_item.label,
        "score_given": score.score_given,
        "score_maximum": score.score_maximum,
        "comment": score.comment or "",
        "activity_progress": score.activity_progress,
        "grading_progress": score.grading_progress,
        "timestamp": score.timestamp.isoformat(),
    }


def _comments() -> dict[tuple[int, str], str]:
    user_ids = {lti_id: user_id for user_id, lti_id in _lti_ids().items()}
    scores = LtiAgsScore.objects.select_related("line_item").order_by("timestamp")
    return {
        (user_ids[score.user_id], str(score.line_item.resource_link_id)): score.comment or ""
        for score in scores
        if score.user_id in user_ids
    }


def _lti_ids() -> dict[int, str]:
    rows = ExternalId.objects.filter(external_id_type__name="lti")
    return {row.user_id: str(row.external_user_id) for row in rows}
