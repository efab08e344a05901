"""What each kind of message opens and leaves behind."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import responses
from flask.testing import FlaskClient
from sqlalchemy import Row, func, insert, select, update

from lti_tool import people
from lti_tool.db import Database
from lti_tool.lti.claims import AGS, GROUPS, LTI, NOTICES
from lti_tool.tables.browser_sessions import deep_link_requests, web_sessions
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.people import trainees
from lti_tool.tables.scores import line_items
from tests.clock import TestClock
from tests.platform import ABSENT, INSTRUCTOR, LEARNER, MEMBERSHIP, Platform, code_of

OWN = "https://gatehouse.example.org"
ASSISTANT = "http://purl.imsglobal.org/vocab/lis/v2/membership/Instructor#TeachingAssistant"

pytestmark = pytest.mark.usefixtures("published")

# What is changed in a learner's launch, the content it is recorded under, and the page it opens.
WAYS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "module:F1", "/modules/F1"),
    ({"custom": {"page": "dashboard"}}, "page:dashboard", "/"),
    ({"custom": {"page": "dashboard"}, "roles": [INSTRUCTOR]}, "page:dashboard", "/"),
    ({"custom": {"page": "calendar"}}, "page:calendar", "/calendar"),
    ({"custom": {"page": "unknown"}}, "", "/"),
    ({"custom": {"retreat_id": "RT_EXP"}}, "retreat:RT_EXP", "/retreats/RT_EXP"),
    ({"custom": {"retreat_id": "RT_EXP", "page": "calendar"}}, "retreat:RT_EXP", "/retreats/RT_EXP"),
    ({"custom": {"module_id": "F2", "retreat_id": "RT_EXP"}}, "module:F2", "/modules/F2"),
    ({"custom": {"module_id": "F2"}, "target_link_uri": f"{OWN}/modules/F1"}, "module:F2", "/modules/F2"),
    ({"custom": {"page": "retreats"}, "target_link_uri": f"{OWN}/modules/F1"}, "page:retreats", "/retreats"),
    ({"custom": {}, "target_link_uri": f"{OWN}/retreats/RT_EXP"}, "retreat:RT_EXP", "/retreats/RT_EXP"),
    ({"custom": {}, "target_link_uri": f"{OWN}/retreats"}, "page:retreats", "/retreats"),
    ({"custom": {}, "target_link_uri": f"{OWN}/modules/F1?utm=1"}, "module:F1", "/modules/F1"),
    ({"custom": {}, "target_link_uri": OWN}, "", "/"),
    ({"custom": {}, "target_link_uri": f"{OWN}/deep-linking/1"}, "", "/"),
    ({"custom": {}, "target_link_uri": f"{OWN}/desk/review/F1/1"}, "", "/"),
    ({"custom": {}, "roles": ["Instructor"]}, "", "/desk"),
    ({"custom": {}, "roles": [f"{MEMBERSHIP}Administrator", LEARNER]}, "", "/desk"),
    ({"custom": {}, "roles": [""]}, "", "/"),
    ({"custom": {}, "roles": [LEARNER, ASSISTANT]}, "", "/"),
    ({"custom": {}, "roles": [INSTRUCTOR, ASSISTANT]}, "", "/"),
    ({"custom": {}, "roles": ["http://purl.imsglobal.org/vocab/lis/v2/institution/person#Instructor"]}, "", "/"),
    ({"context": ABSENT}, "module:F1", "/modules/F1"),
]


@pytest.fixture
def platform(database: Database, clock: TestClock) -> Iterator[Platform]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as wire:
        platform = Platform().register(database, clock())
        platform.serve_keys(wire)
        yield platform


def places(database: Database) -> list[Row[Any]]:
    with database.read() as connection:
        return list(connection.execute(select(placements).order_by(placements.c.id)))


def latest_visit(database: Database) -> Row[Any]:
    with database.read() as connection:
        return connection.execute(select(web_sessions).order_by(web_sessions.c.created_at.desc())).first()


class TestAUnit:
    def test_content_and_page_follow_from_the_claims(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock, subtests: pytest.Subtests
    ) -> None:
        for number, (changed, content, path) in enumerate(WAYS):
            with subtests.test(changed=str(changed)):
                link = {"resource_link": {"id": f"unit-{number}"}}
                response = platform.launch(client, clock(), **changed, **link)
                assert response.headers["Location"] == path
                assert places(database)[-1].content == content

    def test_a_link_of_several_contents_has_a_placement_for_each(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        for custom in ({"module_id": "F1"}, {"module_id": "F2"}, {"page": "retreats"}, {"module_id": "F1"}):
            platform.launch(client, clock(), custom=custom)
        assert [(each.content, each.module_id) for each in places(database)] == [
            ("module:F1", "F1"),
            ("module:F2", "F2"),
            ("page:retreats", None),
        ]

    def test_a_retreat_that_the_programme_does_not_have_is_told(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        for changed in ({"custom": {"retreat_id": "F1"}}, {"custom": {}, "target_link_uri": f"{OWN}/retreats/none"}):
            response = platform.launch(client, clock(), **changed)
            assert (code_of(response), response.status_code) == ("retreat_of_link_unknown", 404)
        assert [(each.module_id, each.refused_trainee_id is None) for each in places(database)] == [(None, False)] * 2

    def test_a_module_that_staff_assigned_is_opened_and_kept(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        bare = {"custom": {}}
        assert platform.launch(client, clock(), **bare).headers["Location"] == "/"
        with database.write() as connection:
            connection.execute(update(placements).values(module_id="F2", confirmed_by="staff:1"))
        assert platform.launch(client, clock(), **bare).headers["Location"] == "/modules/F2"
        moved = bare | {"context": {"id": "course-1", "title": "Renamed"}}
        assert platform.launch(client, clock(), **moved, roles=[INSTRUCTOR]).headers["Location"] == "/modules/F2"
        assert platform.launch(client, clock(), custom={"page": "retreats"}).headers["Location"] == "/retreats"
        kept, _ = places(database)
        assert (kept.module_id, kept.context_title, kept.confirmed_by) == ("F2", "Renamed", "staff:1")

    def test_what_the_launch_offers_is_recorded(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        offered = {
            GROUPS: {"context_groups_url": "https://lms.example.org/groups"},
            NOTICES: {"platform_notification_service_url": "https://lms.example.org/notices"},
            "resource_link": {"id": "unit-1", "title": "Module one"},
            "custom": {"module_id": "F1", "score": "ce"},
        }
        platform.launch(client, clock(), **offered)
        (place,) = places(database)
        assert (place.groups_url, place.notices_url) == (
            "https://lms.example.org/groups",
            "https://lms.example.org/notices",
        )
        assert (place.resource_link_title, place.score_meaning) == ("Module one", "ce")
        platform.launch(client, clock(), custom={"module_id": "F1", "score": "everything"})
        (place,) = places(database)
        assert (place.groups_url, place.notices_url, place.resource_link_title, place.score_meaning) == (None,) * 4

    def test_only_learners_show_whether_names_and_addresses_are_shared(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        def shared(**changed: Any) -> tuple[bool | None, bool | None]:
            platform.launch(client, clock(), **changed)
            (place,) = places(database)
            return place.shares_name, place.shares_email

        assert shared(roles=[INSTRUCTOR]) == (None, None)
        assert shared(name=ABSENT) == (False, True)
        assert shared(roles=[INSTRUCTOR], email=ABSENT) == (False, True)
        assert shared(email="") == (True, False)

    def test_a_launch_that_changes_nothing_writes_nothing_of_the_place(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        first: datetime = clock()
        platform.launch(client, first)
        platform.launch(client, clock.advance(hours=1))
        platform.launch(client, clock.advance(hours=1), roles=[INSTRUCTOR], name=ABSENT)
        assert [each.updated_at for each in places(database)] == [first]

    def test_a_launch_in_another_course_replaces_the_first_and_takes_nothing_over(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        platform.launch(client, clock(), roles=[INSTRUCTOR])
        assert client.get("/desk", base_url="https://localhost").status_code == 200
        second = {"context": {"id": "course-2"}, "resource_link": {"id": "unit-2"}}
        platform.launch(client, clock.advance(minutes=1), **second)
        assert client.get("/desk", base_url="https://localhost").status_code == 403
        visit = latest_visit(database)
        assert (visit.role, visit.context_id, visit.placement_id) == ("trainee", "course-2", places(database)[1].id)
        with database.read() as connection:
            rows = connection.execute(select(enrolments.c.context_id, enrolments.c.role))
            roles = {row.context_id: row.role for row in rows}
        assert roles == {"course-1": "staff", "course-2": "trainee"}


class TestDeepLinking:
    def test_the_message_decides_and_not_the_address(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        to_a_module = {"target_link_uri": f"{OWN}/modules/F1", "custom": {"module_id": "F1"}}
        response = platform.launch(client, clock(), message=platform.deep_linking_claims, **to_a_module)
        assert (response.status_code, response.headers["Location"]) == (303, "/deep-linking/1")
        assert places(database) == []

    def test_the_request_is_kept_and_the_visit_has_no_placement(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        data = ' a "b" <c> é\n'
        platform.launch(client, clock(), message=platform.deep_linking_claims, settings_data=data)
        with database.read() as connection:
            request = connection.execute(select(deep_link_requests)).one()
        visit = latest_visit(database)
        assert (request.trainee_id, request.context_id, request.data) == (
            visit.trainee_id,
            "course-1",
            ' a "b" <c> é\n',
        )
        assert (visit.role, visit.context_id, visit.placement_id) == ("staff", "course-1", None)

    def test_a_learner_may_not_pick_and_leaves_nothing(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock
    ) -> None:
        response = platform.launch(client, clock(), message=platform.deep_linking_claims, roles=[LEARNER])
        assert (code_of(response), response.status_code) == ("deep_linking_for_staff", 403)
        with database.read() as connection:
            assert connection.scalar(select(func.count()).select_from(trainees)) == 0


class TestSubmissionReview:
    @pytest.fixture
    def learner(self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock) -> int:
        """Who launched module F1 once; the id."""
        platform.launch(client, clock(), user="user-2")
        with database.read() as connection:
            return int(people.of_identities(connection, platform.issuer, ["user-2"])["user-2"].id)

    def opened(self, client: FlaskClient, platform: Platform, clock: TestClock, **changed: Any) -> str:
        response = platform.launch(client, clock(), message=platform.review_claims, **changed)
        return response.headers.get("Location") or code_of(response)

    def test_the_line_item_of_a_unit_names_the_module(
        self, client: FlaskClient, platform: Platform, clock: TestClock, learner: int
    ) -> None:
        assert self.opened(client, platform, clock, resource_link=ABSENT) == f"/desk/review/F1/{learner}"

    def test_a_line_item_that_the_tool_made_names_the_module(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock, learner: int
    ) -> None:
        made = f"{platform.origin}/lineitems/made"
        row = {"registration_id": 1, "placement_id": 1, "meaning": "ce", "url": made, "origin": "made"}
        with database.write() as connection:
            connection.execute(insert(line_items).values(**row, made_at=clock()))
        column = {AGS: {"lineitem": made, "scope": []}, "resource_link": {"id": "unit-of-the-gradebook"}}
        assert self.opened(client, platform, clock, **column) == f"/desk/review/F1/{learner}"

    def test_a_unit_or_a_custom_parameter_names_the_module_where_no_line_item_does(
        self, client: FlaskClient, platform: Platform, clock: TestClock, learner: int
    ) -> None:
        assert self.opened(client, platform, clock, **{AGS: ABSENT}) == f"/desk/review/F1/{learner}"
        asked = {AGS: ABSENT, "custom": {"module_id": "F2"}}
        assert self.opened(client, platform, clock, **asked) == f"/desk/review/F2/{learner}"

    def test_a_unit_of_several_modules_does_not_decide(
        self, client: FlaskClient, platform: Platform, clock: TestClock, learner: int
    ) -> None:
        platform.launch(client, clock(), custom={"module_id": "F2"})
        assert self.opened(client, platform, clock, **{AGS: ABSENT}) == "review_module_unknown"

    def test_a_column_of_nobody_is_told(self, client: FlaskClient, platform: Platform, clock: TestClock) -> None:
        assert self.opened(client, platform, clock) == "review_module_unknown"

    def test_a_line_item_of_another_platform_says_nothing_here(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock, learner: int
    ) -> None:
        other = Platform(origin="https://other.example.org").register(database, clock())
        with database.write() as connection:
            connection.execute(update(placements).values(registration_id=other.registration_id))
        assert self.opened(client, platform, clock) == "review_module_unknown"

    def test_somebody_who_never_came_is_opened_as_nobody(
        self, client: FlaskClient, platform: Platform, clock: TestClock, learner: int
    ) -> None:
        assert self.opened(client, platform, clock, **{LTI + "for_user": {"user_id": "user-9"}}) == "/desk/review/F1"

    def test_the_review_is_no_visit_of_a_unit(
        self, client: FlaskClient, platform: Platform, database: Database, clock: TestClock, learner: int
    ) -> None:
        clock.advance(minutes=1)
        self.opened(client, platform, clock, **{AGS: {"lineitem": platform.line_item_url, "scope": []}})
        assert latest_visit(database).placement_id is None
        (place,) = places(database)
        assert place.line_items_url == f"{platform.origin}/lineitems"
