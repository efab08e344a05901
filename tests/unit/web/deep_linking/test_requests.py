"""Open requests in the database: of two answers at once one wins, and old ones go."""

from threading import Thread

import pytest
from sqlalchemy import func, select

from lti_tool.db import Database
from lti_tool.errors import Conflict, GatehouseError, RefusedLaunch
from lti_tool.lti.claims import DL, load_launch
from lti_tool.lti.deep_linking import DeepLinkRequest, answer, begin, forget_requests, load
from lti_tool.lti.registration import Registrations
from lti_tool.tables.browser_sessions import deep_link_requests
from tests.clock import TestClock
from tests.platform import ABSENT, Platform
from tests.training_day import add_trainee


@pytest.fixture
def platform(database: Database, clock: TestClock) -> Platform:
    return Platform().register(database, clock())


def begun(database: Database, platform: Platform, clock: TestClock) -> DeepLinkRequest:
    """A request of trainee 1 in course-1."""
    registration = Registrations(database).load_active(platform.registration_id, clock())
    launched = load_launch(platform.deep_linking_claims("nonce", clock(), settings_data="d"), registration)
    with database.write() as connection:
        trainee_id = add_trainee(connection, 1, clock())
        request_id = begin(connection, launched, trainee_id, clock())
        return load(
            connection,
            request_id,
            trainee_id=trainee_id,
            registration_id=registration.id,
            context_id="course-1",
            now=clock(),
        )


def test_what_was_asked_is_kept_as_it_came(database: Database, platform: Platform, clock: TestClock) -> None:
    request = begun(database, platform, clock)
    assert request.deployment_id == "1"
    assert request.settings.return_url == "https://lms.example.org/deep-linking/return"
    assert request.settings.accept_types == ("ltiResourceLink", "link")
    assert (request.settings.accept_multiple, request.settings.accept_line_item) == (True, None)
    assert request.settings.data == "d"


def test_a_message_without_settings_asks_for_nothing(database: Database, platform: Platform, clock: TestClock) -> None:
    registration = Registrations(database).load_active(platform.registration_id, clock())
    claims = platform.deep_linking_claims("nonce", clock(), **{DL + "deep_linking_settings": ABSENT})
    launched = load_launch(claims, registration)
    with database.write() as connection, pytest.raises(RefusedLaunch) as refused:
        begin(connection, launched, 1, clock())
    assert refused.value.code == "deep_linking_incomplete"


def test_of_answers_at_the_same_moment_one_gets_through(
    database: Database, platform: Platform, clock: TestClock
) -> None:
    request = begun(database, platform, clock)
    codes: list[str] = []

    def send() -> None:
        try:
            with database.write() as connection:
                answer(connection, request, clock())
            codes.append("sent")
        except GatehouseError as refusal:
            codes.append(refusal.code)

    threads = [Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == ["deep_link_answered"] * 5 + ["sent"]
    with database.read() as connection:
        row = connection.execute(select(deep_link_requests)).one()
    assert (row.return_url, row.data) == ("", None), "the platform's address may hold a key of the teacher's session"


def test_a_visit_that_is_not_the_teachers_finds_nothing(
    database: Database, platform: Platform, clock: TestClock
) -> None:
    request = begun(database, platform, clock)
    mine = {"trainee_id": 1, "registration_id": platform.registration_id, "context_id": "course-1"}
    for changed in ({"trainee_id": 2}, {"registration_id": 99}, {"context_id": None}, {"context_id": "course-2"}):
        with database.read() as connection, pytest.raises(GatehouseError) as refused:
            load(connection, request.id, **(mine | changed), now=clock())
        assert refused.value.code == "deep_link_missing"


def test_requests_are_forgotten_a_day_after_they_expired(
    database: Database, platform: Platform, clock: TestClock
) -> None:
    request = begun(database, platform, clock)
    forget_requests(database, clock.advance(hours=24))
    with database.read() as connection, pytest.raises(Conflict) as late:
        load(
            connection,
            request.id,
            trainee_id=1,
            registration_id=platform.registration_id,
            context_id="course-1",
            now=clock(),
        )
    assert late.value.code == "deep_link_expired"
    forget_requests(database, clock.advance(hours=2))
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(deep_link_requests)).scalar_one() == 0
