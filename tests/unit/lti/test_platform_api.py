"""Calls to platforms' services over the wire: the token, where it may go, what is noted, and scores."""

import pytest
import requests
import responses
from sqlalchemy import text

from lti_tool.db import Database
from lti_tool.errors import AddressRefused, NoAnswer, PlatformRefused
from lti_tool.http import Reply
from lti_tool.lti import registration
from lti_tool.lti.platform_api import PlatformApi, Question, scores_url
from lti_tool.lti.service_log import of_registration
from tests.clock import TestClock
from tests.platform import SCOPE, Platform

SCORE = {"userId": "user-1", "scoreGiven": 1, "scoreMaximum": 1}
SCORES_URL = "https://lms.example.org/lineitems/7/scores"
FOREIGN_LINE_ITEMS = [
    "https://evil.example/lineitems/7",
    "https://lms.example.org.evil.example/lineitems/7",
    "https://lms.example.org@evil.example/lineitems/7",
    "https://lms.example.org:8443/lineitems/7",
    "http://lms.example.org/lineitems/7",
    "//lms.example.org/lineitems/7",
    "https://[::1",
    "https://lms.example.org:port/",
    "",
]


pytestmark = pytest.mark.databases("sqlite")


def outcomes(database: Database, platform: Platform) -> dict[str, tuple[int, str]]:
    """What is noted of each service: status and code."""
    with database.read() as connection:
        answers = of_registration(connection, platform.registration_id)
    return {each.service: (each.status, each.code) for each in answers}


class TestAsking:
    URL = "https://lms.example.org/list?x=1"

    def ask(self, api: PlatformApi, platform: Platform, url: str = URL, method: str = "GET") -> int:
        question = Question(
            platform.registration_id,
            (f"{SCOPE}score",),
            url,
            "groups",
            url,
            method,
            accept="application/a+json",
            content_type="application/b+json",
            body=b"{}",
        )
        return api.fetch(question, lambda reply: reply.status)

    def test_a_request_goes_out_as_it_was_asked_for(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        platform.serve_token(wire)
        wire.put(self.URL, status=204)
        assert self.ask(api, platform, method="PUT") == 204
        sent = wire.calls[-1].request
        assert (sent.headers["Accept"], sent.headers["Content-Type"]) == ("application/a+json", "application/b+json")
        assert (sent.url, sent.body) == (self.URL, b"{}")

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_token_is_replaced_once_and_the_new_one_kept(
        self, status: int, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        platform.serve_token(wire, "stale")
        fresh = platform.serve_token(wire, "fresh")
        wire.get(self.URL, status=status)
        wire.get(self.URL, status=200)
        assert [self.ask(api, platform) for _ in range(2)] == [200, 200]
        assert wire.calls[-1].request.headers["Authorization"] == "Bearer fresh"
        assert fresh.call_count == 1

    def test_a_refusal_that_is_not_about_the_token_costs_none(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        tokens = platform.serve_token(wire)
        wire.get(self.URL, status=403, body='{"error": "too_large"}')
        question = Question(
            platform.registration_id, (f"{SCOPE}score",), self.URL, "roster", not_the_token=b"too_large"
        )
        assert api.fetch(question, lambda reply: reply.status) == 403
        assert (tokens.call_count, len(wire.calls)) == (1, 2)

    def test_a_token_goes_to_the_platforms_own_hosts_only(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock, database: Database
    ) -> None:
        asked = platform.serve_token(wire)
        for url in FOREIGN_LINE_ITEMS:
            with pytest.raises(AddressRefused) as refused:
                self.ask(api, platform, url)
            assert refused.value.code == "service_foreign"
        assert asked.call_count == 0
        assert outcomes(database, platform) == {"groups": (0, "service_foreign")}

    def test_another_host_may_be_registered_for_services(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock, database: Database, clock: TestClock
    ) -> None:
        with database.write() as connection:
            more = {"service_origins": ["https://services.example.org"]}
            registration.change(connection, platform.registration_id, more, [], actor="cli", now=clock())
        platform.serve_token(wire)
        wire.get("https://services.example.org/groups")
        assert self.ask(api, platform, "https://services.example.org/groups") == 200

    def test_a_platform_that_is_not_in_use_is_not_asked(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock, database: Database, clock: TestClock
    ) -> None:
        with database.write() as connection:
            registration.set_status(connection, platform.registration_id, "disabled", actor="cli", now=clock())
        with pytest.raises(PlatformRefused) as refused:
            self.ask(api, platform)
        assert (refused.value.code, len(wire.calls)) == ("platform_not_in_use", 0)

    def test_what_is_sent_is_in_no_repr(self) -> None:
        assert "secret" not in repr(Question(1, ("scope",), self.URL, "scores", body=b"secret"))


class TestWhatIsNoted:
    URL = TestAsking.URL

    def ask(self, api: PlatformApi, platform: Platform) -> None:
        TestAsking().ask(api, platform)

    def test_what_a_service_answered_is_noted(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock, database: Database
    ) -> None:
        platform.serve_token(wire)
        wire.get(self.URL, status=500)
        wire.get(self.URL)
        self.ask(api, platform)
        assert outcomes(database, platform) == {"token": (200, ""), "groups": (500, "service_refused")}
        self.ask(api, platform)
        assert outcomes(database, platform)["groups"] == (200, "")

    def test_a_refused_token_is_noted_for_both(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock, database: Database
    ) -> None:
        wire.post(platform.token_url, json={"error": "invalid_client"}, status=400)
        with pytest.raises(PlatformRefused):
            self.ask(api, platform)
        refused = (400, "tool_keys_unreadable")
        assert outcomes(database, platform) == {"token": refused, "groups": refused}

    def test_silence_is_noted_as_such(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock, database: Database
    ) -> None:
        platform.serve_token(wire)
        wire.get(self.URL, body=requests.ConnectTimeout())
        with pytest.raises(NoAnswer):
            self.ask(api, platform)
        assert outcomes(database, platform)["groups"] == (0, "no_answer")

    def test_what_a_reader_refuses_is_noted_with_its_code(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock, database: Database
    ) -> None:
        def read(reply: Reply) -> None:
            raise PlatformRefused("roster_unreadable", "Not readable.", answered=reply.status)

        platform.serve_token(wire)
        wire.get(self.URL)
        with pytest.raises(PlatformRefused):
            api.fetch(Question(platform.registration_id, (f"{SCOPE}score",), self.URL, "roster"), read)
        assert outcomes(database, platform)["roster"] == (200, "roster_unreadable")

    def test_a_database_that_is_away_stops_no_call(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock, database: Database
    ) -> None:
        platform.serve_token(wire)
        wire.get(self.URL)
        with database.write() as connection:
            connection.execute(text("DROP TABLE service_answers"))
        self.ask(api, platform)
        assert len(wire.calls) == 2


class TestScores:
    def test_a_score_is_posted_with_its_media_type_and_token(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        platform.serve_token(wire)
        wire.post(SCORES_URL, json={}, status=201)
        answer = api.post_score(platform.registration_id, platform.line_item_url, SCORE)
        sent = wire.calls[1].request
        assert (answer.status, answer.is_ok) == (201, True)
        assert sent.headers["Content-Type"] == "application/vnd.ims.lis.v1.score+json"
        assert sent.headers["Authorization"] == "Bearer token-1"
        assert sent.body == b'{"userId": "user-1", "scoreGiven": 1, "scoreMaximum": 1}'

    @pytest.mark.parametrize("status", [400, 404, 409, 500, 503])
    def test_any_status_is_an_answer_for_the_ledger(
        self, status: int, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        platform.serve_token(wire)
        posted = wire.post(SCORES_URL, body="Score already exists", status=status)
        answer = api.post_score(platform.registration_id, platform.line_item_url, SCORE)
        assert (answer.status, answer.body_start, posted.call_count) == (status, "Score already exists", 1)

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_token_is_replaced_once(
        self, status: int, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        platform.serve_token(wire, "stale")
        platform.serve_token(wire, "fresh")
        wire.post(SCORES_URL, status=status)
        wire.post(SCORES_URL, status=200)
        assert api.post_score(platform.registration_id, platform.line_item_url, SCORE).status == 200
        assert wire.calls[-1].request.headers["Authorization"] == "Bearer fresh"

    def test_a_platform_that_goes_on_refusing_is_left_alone(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        platform.serve_token(wire)
        posted = wire.post(SCORES_URL, status=403)
        assert api.post_score(platform.registration_id, platform.line_item_url, SCORE).status == 403
        assert posted.call_count == 2

    def test_a_token_goes_to_the_platforms_own_hosts_only(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock, subtests: pytest.Subtests
    ) -> None:
        asked = platform.serve_token(wire)
        for url in FOREIGN_LINE_ITEMS:
            with subtests.test(url), pytest.raises(AddressRefused):
                api.post_score(platform.registration_id, url, SCORE)
        assert asked.call_count == 0

    def test_no_answer_is_told_and_not_repeated(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        platform.serve_token(wire)
        posted = wire.post(SCORES_URL, body=requests.ReadTimeout())
        with pytest.raises(NoAnswer):
            api.post_score(platform.registration_id, platform.line_item_url, SCORE)
        assert posted.call_count == 1

    def test_secrets_stay_out_of_the_log(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG", logger="lti_tool")
        platform.serve_token(wire, "secret-token")
        wire.post(SCORES_URL, body=requests.ConnectionError("secret-token"))
        with pytest.raises(NoAnswer):
            api.post_score(platform.registration_id, platform.line_item_url, SCORE)
        assert "secret-token" not in caplog.text


@pytest.mark.parametrize(
    ("line_item", "expected"),
    [
        ("https://lms.example.org/items/2", "https://lms.example.org/items/2/scores"),
        ("https://lms.example.org/items/2/", "https://lms.example.org/items/2/scores"),
        (
            "https://moodle.example.org/lineitems/2/lineitem?type_id=1",
            "https://moodle.example.org/lineitems/2/lineitem/scores?type_id=1",
        ),
        ("https://lms.example.org/Items/A%2Bb", "https://lms.example.org/Items/A%2Bb/scores"),
    ],
)
def test_the_scores_address_keeps_the_query(line_item: str, expected: str) -> None:
    assert scores_url(line_item) == expected
