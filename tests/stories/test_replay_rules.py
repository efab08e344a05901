"""Open edX's own answers to scores sent twice, too late or without a right: what its profile says of them holds."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import select

from lti_tool.context import AppContext, build_context
from lti_tool.grades.ags import interpret, score_body
from lti_tool.lti.platform_api import scores_url
from lti_tool.lti.quirks import PROFILES
from lti_tool.settings import load_settings
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.people import trainees
from sandbox.story import Story

OPENEDX = PROFILES["openedx"]
SENT_AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def context(story: Story) -> Iterator[AppContext]:
    """The tool's parts in this process, on the database of the stage."""
    story.visit("lucia", "module1")
    context = build_context(load_settings(story.stage.environment))
    yield context
    context.database.close()


@pytest.fixture(scope="module")
def place(context: AppContext) -> Any:
    """Lucia's line item in Module 1, and who she is there."""
    query = (
        select(placements.c.registration_id, placements.c.line_item_url, enrolments.c.user_id)
        .join(enrolments, enrolments.c.context_id == placements.c.context_id)
        .join(trainees, trainees.c.id == enrolments.c.trainee_id)
        .where(placements.c.module_id == "F1", trainees.c.email == "lucia@example.org")
    )
    with context.database.read() as connection:
        return connection.execute(query).one()


def post(context: AppContext, place: Any, at: datetime, given: float = 40.0) -> Any:
    body = score_body(user_id=place.user_id, given=given, maximum=100, comment="", timestamp=at)
    return context.platform_api.post_score(place.registration_id, place.line_item_url, body)


def test_a_score_sent_again_with_its_timestamp_was_delivered(context: AppContext, place: Any) -> None:
    first, second = post(context, place, SENT_AT), post(context, place, SENT_AT)
    assert (first.status, second.status) == (201, OPENEDX.already_exists_status)
    assert interpret(OPENEDX, second.status, second.body_start, resent=True).outcome == "delivered"
    assert interpret(OPENEDX, second.status, second.body_start, resent=False).outcome == "again"


def test_an_older_score_is_refused_and_needs_a_later_timestamp(context: AppContext, place: Any) -> None:
    post(context, place, SENT_AT + timedelta(hours=1))
    older = post(context, place, SENT_AT, given=10.0)
    assert older.status == OPENEDX.older_timestamp_status
    assert interpret(OPENEDX, older.status, older.body_start, resent=False).outcome == "again"
    assert post(context, place, SENT_AT + timedelta(hours=2), given=10.0).status == 201


def test_a_bad_token_is_answered_with_403(place: Any) -> None:
    answer = requests.post(scores_url(place.line_item_url), headers={"Authorization": "Bearer worn-out"}, timeout=10)
    assert answer.status_code == 403
    assert interpret(OPENEDX, answer.status_code, "", resent=False).outcome == "later"
