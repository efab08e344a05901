"""Access tokens and scores over the wire."""

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
import requests
import responses

from lti_tool.db import Database
from lti_tool.errors import AddressRefused, NoAnswer, PlatformRefused
from lti_tool.http import Http
from lti_tool.lti import registration
from lti_tool.lti.keys import ToolKeys
from lti_tool.lti.platform_api import PlatformApi, scores_url
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


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def platform(database: Database, clock: TestClock) -> Platform:
    return Platform().register(database, clock())


@pytest.fixture
def keys(database: Database, clock: TestClock) -> ToolKeys:
    return ToolKeys(database, clock)


@pytest.fixture
def api(database: Database, keys: ToolKeys, clock: TestClock) -> PlatformApi:
    return PlatformApi(database, Http(), keys, clock)


def form_of(call: Any) -> dict[str, str]:
    body = call.request.body
    return {name: values[0] for name, values in parse_qs(body if isinstance(body, str) else body.decode()).items()}


def assertion_of(call: Any, keys: ToolKeys) -> dict[str, Any]:
    text = form_of(call)["client_assertion"]
    assert jwt.get_unverified_header(text)["kid"] == keys.signing_key().kid
    public = keys.signing_key().private_key.public_key()
    claims: dict[str, Any] = jwt.PyJWT().decode(
        text, public, ["RS256"], options={"verify_aud": False, "verify_exp": False, "verify_iat": False}
    )
    return claims


def test_a_token_is_asked_for_as_the_standard_says(
    api: PlatformApi, platform: Platform, wire: responses.RequestsMock, keys: ToolKeys, clock: TestClock
) -> None:
    platform.serve_token(wire)
    assert api.token(platform.registration_id, [f"{SCOPE}score"]) == "token-1"
    form, claims = form_of(wire.calls[0]), assertion_of(wire.calls[0], keys)
    assert form["grant_type"] == "client_credentials"
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert form["scope"] == f"{SCOPE}score"
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("client-1", "client-1", platform.token_url)
    assert claims["iat"] == int(clock().timestamp()) - 5
    assert 0 < claims["exp"] - claims["iat"] <= 300
    assert "nbf" not in claims
    assert claims["jti"]


def test_the_audience_may_be_set_for_a_platform(
    api: PlatformApi,
    platform: Platform,
    wire: responses.RequestsMock,
    keys: ToolKeys,
    database: Database,
    clock: TestClock,
) -> None:
    with database.write() as connection:
        audience = {"token_audience": "https://audience.example.org"}
        registration.change(connection, platform.registration_id, audience, [], actor="cli", now=clock())
    platform.serve_token(wire)
    api.token(platform.registration_id, [f"{SCOPE}score"])
    assert assertion_of(wire.calls[0], keys)["aud"] == "https://audience.example.org"


def test_every_assertion_is_its_own(
    api: PlatformApi, platform: Platform, wire: responses.RequestsMock, keys: ToolKeys, clock: TestClock
) -> None:
    platform.serve_token(wire)
    api.token(platform.registration_id, [f"{SCOPE}score"])
    clock.advance(hours=1)
    api.token(platform.registration_id, [f"{SCOPE}score"])
    first, second = (assertion_of(call, keys)["jti"] for call in wire.calls)
    assert first != second


def test_a_token_is_kept_until_a_minute_before_it_expires(
    api: PlatformApi, platform: Platform, wire: responses.RequestsMock, clock: TestClock
) -> None:
    asked = platform.serve_token(wire, expires_in=3600)
    for _ in range(3):
        api.token(platform.registration_id, [f"{SCOPE}score"])
    clock.advance(seconds=3539)
    api.token(platform.registration_id, [f"{SCOPE}score"])
    assert asked.call_count == 1
    clock.advance(seconds=1)
    api.token(platform.registration_id, [f"{SCOPE}score"])
    assert asked.call_count == 2


def test_tokens_of_registrations_that_share_an_issuer_are_kept_apart(
    api: PlatformApi, platform: Platform, wire: responses.RequestsMock, database: Database, clock: TestClock
) -> None:
    other = Platform(client_id="client-2").register(database, clock())
    asked = platform.serve_token(wire)
    api.token(platform.registration_id, [f"{SCOPE}score"])
    api.token(other.registration_id, [f"{SCOPE}score"])
    assert asked.call_count == 2


def test_many_threads_ask_for_one_token(api: PlatformApi, platform: Platform, wire: responses.RequestsMock) -> None:
    asked = platform.serve_token(wire)
    threads = [threading.Thread(target=api.token, args=(platform.registration_id, [f"{SCOPE}score"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked.call_count == 1


@pytest.mark.parametrize("scope", ["", f"{SCOPE}result.readonly", f"{SCOPE}scores"])
def test_a_token_without_the_scope_is_not_used(
    scope: str, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
) -> None:
    platform.serve_token(wire, scope=scope)
    with pytest.raises(PlatformRefused) as refused:
        api.token(platform.registration_id, [f"{SCOPE}score"])
    assert refused.value.code == "scope_refused"


@pytest.mark.parametrize(
    "changed",
    [
        {"token_type": "mac"},
        {"access_token": None},
        {"access_token": ""},
        {"access_token": "a\r\nb"},
        {"access_token": "é"},
    ],
)
def test_an_answer_that_is_no_bearer_token_is_refused(
    changed: dict[str, Any], api: PlatformApi, platform: Platform, wire: responses.RequestsMock
) -> None:
    platform.serve_token(wire, **changed)
    with pytest.raises(PlatformRefused) as refused:
        api.token(platform.registration_id, [f"{SCOPE}score"])
    assert refused.value.code == "token_refused"
    assert refused.value.body_start == ""


@pytest.mark.parametrize("said", ["soon", None, -5, 1e300])
def test_a_strange_life_of_a_token_does_no_harm(
    said: Any, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
) -> None:
    platform.serve_token(wire, expires_in=said)
    assert api.token(platform.registration_id, [f"{SCOPE}score"]) == "token-1"


def test_the_platforms_words_are_kept_when_it_refuses_a_token(
    api: PlatformApi, platform: Platform, wire: responses.RequestsMock
) -> None:
    wire.post(platform.token_url, json={"error": "invalid_client"}, status=400)
    with pytest.raises(PlatformRefused) as refused:
        api.token(platform.registration_id, [f"{SCOPE}score"])
    assert (refused.value.code, refused.value.answered) == ("token_refused", 400)
    assert "invalid_client" in refused.value.body_start


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
