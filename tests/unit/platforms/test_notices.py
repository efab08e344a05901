"""Notices of copied courses: asked for once, taken only with the platform's signature, recorded once."""

import json
from typing import Any

import pytest
import responses
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from lti_tool.context import AppContext
from lti_tool.db import Database
from lti_tool.lti import registration
from lti_tool.lti.claims import LTI
from lti_tool.platforms.course_copies import NoticeAsker
from lti_tool.tables.courses import course_copies, placements
from tests.clock import TestClock
from tests.conftest import PUBLIC_URL
from tests.platform import ABSENT, OTHER_KEY, Platform
from tests.training_day import add_place

SERVICE_URL = "https://lms.example.org/notice-handlers/7"
HANDLER = f"{PUBLIC_URL}/lti/notices"
SCOPE = "https://purl.imsglobal.org/spec/lti/scope/noticehandlers"


@pytest.fixture
def platform(database: Database, clock: TestClock, wire: responses.RequestsMock) -> Platform:
    platform = Platform(profile="canvas").register(database, clock())
    platform.serve_keys(wire)
    platform.serve_token(wire, scope=SCOPE)
    return platform


def copied(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        columns = (course_copies.c.context_id, course_copies.c.origin_context_id)
        return [tuple(row) for row in connection.execute(select(*columns).order_by(*columns))]


class TestTaking:
    """POST /lti/notices, as a platform calls it."""

    @pytest.fixture
    def claims(self, platform: Platform, clock: TestClock) -> dict[str, Any]:
        now = int(clock().timestamp())
        return {
            "iss": platform.issuer,
            "aud": platform.client_id,
            "iat": now,
            "exp": now + 3600,
            "nonce": "notice-nonce-1",
            LTI + "version": "1.3.0",
            LTI + "deployment_id": platform.deployment_id,
            LTI + "notice": {"id": "notice-1", "timestamp": "2026-12-01T18:00:00Z", "type": "LtiContextCopyNotice"},
            LTI + "context": {"id": "course-2027", "title": "The course, run again"},
            LTI + "origin_contexts": ["course-2026"],
        }

    def send(self, client: FlaskClient, *tokens: str) -> TestResponse:
        return client.post("/lti/notices", json={"notices": [{"jwt": token} for token in tokens]})

    def test_a_copy_is_recorded(
        self, client: FlaskClient, platform: Platform, claims: dict[str, Any], database: Database
    ) -> None:
        assert self.send(client, platform.sign(claims)).status_code == 200
        assert copied(database) == [("course-2027", "course-2026")]

    def test_a_batch_is_taken_as_one(
        self, client: FlaskClient, platform: Platform, claims: dict[str, Any], database: Database
    ) -> None:
        other = claims | {"nonce": "notice-nonce-2", LTI + "origin_contexts": ["course-2025", "course-2024"]}
        again = claims | {"nonce": "notice-nonce-3"}
        answer = self.send(client, *(platform.sign(each) for each in (claims, other, again)))
        assert answer.status_code == 200
        assert [origin for _, origin in copied(database)] == ["course-2024", "course-2025", "course-2026"]

    def test_one_that_does_not_stand_spoils_the_delivery(
        self, client: FlaskClient, platform: Platform, claims: dict[str, Any], database: Database
    ) -> None:
        stale = claims | {"nonce": "notice-nonce-2", "exp": claims["iat"] - 3600}
        answer = self.send(client, platform.sign(claims), platform.sign(stale))
        assert (answer.status_code, answer.json["error"]) == (401, "notice_time_wrong")
        assert copied(database) == []

    def test_a_notice_that_came_before_is_refused(
        self, client: FlaskClient, platform: Platform, claims: dict[str, Any], database: Database
    ) -> None:
        token = platform.sign(claims)
        self.send(client, token)
        answer = self.send(client, token)
        assert (answer.status_code, answer.json["error"]) == (401, "nonce_used")
        assert len(copied(database)) == 1

    def test_a_course_is_no_copy_of_itself(
        self, client: FlaskClient, platform: Platform, claims: dict[str, Any], database: Database
    ) -> None:
        claims[LTI + "origin_contexts"] = ["course-2027", "course-2026"]
        assert self.send(client, platform.sign(claims)).status_code == 200
        assert copied(database) == [("course-2027", "course-2026")]

    def test_a_notice_of_another_kind_means_nothing(
        self, client: FlaskClient, platform: Platform, claims: dict[str, Any], database: Database
    ) -> None:
        claims[LTI + "notice"] |= {"type": "LtiHelloWorldNotice"}
        assert self.send(client, platform.sign(claims)).status_code == 200
        assert copied(database) == []

    @pytest.mark.databases("sqlite")
    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"aud": "client-of-others"}, "platform_unknown"),
            ({"iss": "https://evil.example"}, "platform_unknown"),
            ({"nonce": ABSENT}, "notice_nonce_missing"),
            ({LTI + "deployment_id": "2"}, "notice_deployment_unknown"),
            ({LTI + "context": ABSENT}, "notice_contexts_wrong"),
            ({LTI + "origin_contexts": "course-2026"}, "notice_contexts_wrong"),
        ],
    )
    def test_a_notice_that_does_not_fit_records_nothing(
        self,
        client: FlaskClient,
        platform: Platform,
        claims: dict[str, Any],
        database: Database,
        changes: dict[str, Any],
        code: str,
    ) -> None:
        changed = {name: value for name, value in (claims | changes).items() if value is not ABSENT}
        answer = self.send(client, platform.sign(changed))
        assert 400 <= answer.status_code < 500
        assert answer.json["error"] == code
        assert copied(database) == []

    @pytest.mark.databases("sqlite")
    def test_another_key_signs_nothing(
        self, client: FlaskClient, platform: Platform, claims: dict[str, Any], database: Database
    ) -> None:
        forger = Platform(key=OTHER_KEY)
        answer = self.send(client, forger.sign(claims))
        assert (answer.status_code, answer.json["error"]) == (401, "signature_wrong")
        assert copied(database) == []

    @pytest.mark.databases("sqlite")
    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"notices": [{"jwt": 7}]}', b'{"notices": [{"jwt": "a.b"}]}'])
    def test_what_is_no_notice_is_refused(self, client: FlaskClient, platform: Platform, body: bytes) -> None:
        answer = client.post("/lti/notices", data=body, content_type="application/json")
        assert (answer.status_code, answer.json["error"]) == (400, "notice_unreadable")

    @pytest.mark.databases("sqlite")
    def test_a_disabled_platform_tells_nothing(
        self, client: FlaskClient, platform: Platform, claims: dict[str, Any], database: Database, clock: TestClock
    ) -> None:
        with database.write() as connection:
            registration.set_status(connection, platform.registration_id, "disabled", actor="cli", now=clock())
        answer = self.send(client, platform.sign(claims))
        assert (answer.status_code, answer.json["error"]) == (403, "platform_disabled")


class TestAsking:
    """A platform is asked for its notices once for each deployment."""

    @pytest.fixture
    def asker(self, database: Database, context: AppContext, clock: TestClock) -> NoticeAsker:
        return NoticeAsker(database, context.platform_api, clock, HANDLER)

    @pytest.fixture
    def asked(self, wire: responses.RequestsMock) -> responses.BaseResponse:
        return wire.put(SERVICE_URL, json={"notice_type": "LtiContextCopyNotice", "handler": HANDLER})

    @pytest.fixture(autouse=True)
    def _offered(self, database: Database, platform: Platform, clock: TestClock) -> None:
        with database.write() as connection:
            for unit in ("unit-1", "unit-2"):
                offer = {"resource_link_id": unit, "notices_url": SERVICE_URL}
                add_place(connection, platform.registration_id, clock(), **offer)

    def test_with_our_address_and_the_kind_of_notice(
        self, asker: NoticeAsker, asked: responses.BaseResponse, clock: TestClock
    ) -> None:
        asker.ask_all()
        assert asked.call_count == 1
        assert json.loads(asked.calls[0].request.body) == {"notice_type": "LtiContextCopyNotice", "handler": HANDLER}
        clock.advance(days=30)
        asker.ask_all()
        assert asked.call_count == 1

    def test_again_when_the_tool_has_moved(
        self,
        asker: NoticeAsker,
        asked: responses.BaseResponse,
        database: Database,
        context: AppContext,
        clock: TestClock,
    ) -> None:
        asker.ask_all()
        NoticeAsker(database, context.platform_api, clock, "https://new.example.org/lti/notices").ask_all()
        assert asked.call_count == 2

    def test_again_hours_after_a_refusal(
        self, asker: NoticeAsker, wire: responses.RequestsMock, clock: TestClock
    ) -> None:
        asked = wire.put(SERVICE_URL, status=500)
        asker.ask_all()
        refused = asked.call_count
        clock.advance(hours=5)
        asker.ask_all()
        assert asked.call_count == refused
        clock.advance(hours=1)
        asker.ask_all()
        assert asked.call_count > refused

    def test_on_a_thread_of_its_own(self, asker: NoticeAsker, asked: responses.BaseResponse) -> None:
        assert asker.ask_due() is False
        asker.finish()
        assert asked.call_count == 1
        asker.ask_due()
        asker.finish()
        assert asked.call_count == 1

    def test_not_where_none_are_offered(
        self, asker: NoticeAsker, asked: responses.BaseResponse, database: Database
    ) -> None:
        with database.write() as connection:
            connection.execute(update(placements).values(notices_url=None))
        asker.ask_due()
        asker.finish()
        assert asked.call_count == 0
