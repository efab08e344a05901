"""Server-to-Server OAuth: how the token is asked for, how long it is kept, where it may be sent, who waits for whom."""

import threading
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
import responses

from lti_tool.errors import NoAnswer
from lti_tool.http import Http
from lti_tool.settings import Settings
from tests.clock import TestClock
from zoom_adapter.api_calls import ZoomTokens
from zoom_adapter.api_errors import ZoomRefused

pytestmark = pytest.mark.databases("sqlite")

TOKEN_URL = "https://zoom.us/oauth/token"
API = "https://api.zoom.us/v2"
ANSWER = {"access_token": "token-1", "token_type": "bearer", "expires_in": 3600, "scope": "a:b c:d"}


def public(name: str, port: int) -> list[str]:
    """Every name leads to a public address, so that only the name decides."""
    return ["93.184.216.34"]


@pytest.fixture
def tokens_of(settings: Settings, clock: TestClock) -> Callable[..., ZoomTokens]:
    own = {"zoom_account_id": "account", "zoom_client_id": "client", "zoom_client_secret": "a secret"}

    def tokens(**given: Any) -> ZoomTokens:
        changed = {name: value for name, value in given.items() if name.startswith("zoom_")}
        rest = {name: value for name, value in given.items() if name not in changed}
        return ZoomTokens(Http(resolve=public), replace(settings, **own, **changed), clock, **rest)

    return tokens


def test_a_token_is_asked_for_with_account_client_and_secret(tokens_of, wire: responses.RequestsMock) -> None:
    wire.post(TOKEN_URL, json=ANSWER)
    assert tokens_of().token().value == "token-1"
    request = wire.calls[0].request
    assert request.headers["Authorization"] == f"Basic {b64encode(b'client:a secret').decode()}"
    assert parse_qs(request.body) == {"grant_type": ["account_credentials"], "account_id": ["account"]}


def test_a_token_is_kept_until_a_minute_before_it_expires(tokens_of, wire, clock: TestClock) -> None:
    asked = wire.post(TOKEN_URL, json=ANSWER)
    tokens = tokens_of()
    first = tokens.token()
    clock.advance(minutes=58, seconds=59)
    assert tokens.token() is first
    assert asked.call_count == 1
    clock.advance(seconds=1)
    tokens.token()
    assert asked.call_count == 2


@pytest.mark.parametrize("life", [None, "soon", "1e400", {}, "NaN"])
def test_a_life_that_cannot_be_read_is_a_short_one(tokens_of, wire, clock: TestClock, life: object) -> None:
    wire.post(TOKEN_URL, json={**ANSWER, "expires_in": life})
    assert tokens_of().token().usable_until <= clock().replace(hour=18, minute=59)


def test_a_refused_token_is_dropped_and_a_newer_one_stays(tokens_of, wire) -> None:
    wire.post(TOKEN_URL, json=ANSWER)
    wire.post(TOKEN_URL, json={**ANSWER, "access_token": "token-2"})
    tokens = tokens_of()
    first = tokens.token()
    tokens.forget(first)
    second = tokens.token()
    tokens.forget(first)
    assert tokens.token() is second
    assert second.value == "token-2"


class TestTheAddress:
    @pytest.mark.parametrize(
        ("said", "used"),
        [
            ("https://api-us.zoom.us", "https://api-us.zoom.us/v2"),
            ("https://API-eu.zoom.us/", "https://api-eu.zoom.us/v2"),
            ("https://api.zoomgov.com", "https://api.zoomgov.com/v2"),
            ("https://api.zoom.us", API),
            (None, API),
            ("", API),
            (7, API),
        ],
    )
    def test_the_host_that_comes_with_the_token_is_used(self, tokens_of, wire, said: object, used: str) -> None:
        wire.post(TOKEN_URL, json={**ANSWER, "api_url": said})
        assert tokens_of().token().api_url == used

    @pytest.mark.parametrize(
        "said",
        [
            "http://api-us.zoom.us",
            "https://zoom.us.example.org",
            "https://evilzoom.us",
            "https://example.org/zoom.us",
            "https://zoom.us@example.org",
            "https://user:word@api.zoom.us",
            "https://127.0.0.1",
            "https://[::1",
            "https://api.zoom.us:port",
            "file:///etc/passwd",
            "api.zoom.us",
        ],
    )
    def test_a_foreign_host_never_gets_the_token(self, tokens_of, wire, said: str) -> None:
        wire.post(TOKEN_URL, json={**ANSWER, "api_url": said})
        assert tokens_of().token().api_url == API

    def test_the_configured_host_is_as_good_as_zooms(self, tokens_of, wire) -> None:
        wire.post(TOKEN_URL, json={**ANSWER, "api_url": "https://zoom.example.org:8443"})
        own = "https://zoom.example.org:8443/rest/v2"
        assert tokens_of(zoom_api_url=own).token().api_url == own


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (400, {"reason": "Invalid client_id or client_secret", "error": "invalid_client"}),
            (401, {}),
            (200, {}),
            (200, {"access_token": ""}),
            (200, {"access_token": "tökén"}),
            (200, {"access_token": ["token"]}),
        ],
    )
    def test_no_token_names_the_settings_and_nothing_secret(self, tokens_of, wire, status: int, body: object) -> None:
        wire.post(TOKEN_URL, json=body, status=status)
        with pytest.raises(ZoomRefused) as refused:
            tokens_of().token()
        assert refused.value.code == "zoom_token_refused"
        assert "GATEHOUSE_ZOOM_ACCOUNT_ID" in refused.value.next_step
        assert "a secret" not in f"{refused.value}{refused.value.next_step}"

    def test_a_server_in_trouble_is_silence(self, tokens_of, wire) -> None:
        wire.post(TOKEN_URL, status=503)
        with pytest.raises(NoAnswer, match="zoom_unavailable"):
            tokens_of().token()

    def test_too_many_tokens_say_when_to_come_again(self, tokens_of, wire, clock: TestClock) -> None:
        wire.post(TOKEN_URL, status=429, headers={"Retry-After": "90"})
        with pytest.raises(ZoomRefused) as refused:
            tokens_of().token()
        assert (refused.value.code, refused.value.retry_at) == ("zoom_rate_limited", clock() + timedelta(seconds=90))

    def test_no_token_is_asked_for_before_the_time_that_zoom_names(self, tokens_of, wire, clock: TestClock) -> None:
        refused, tokens = wire.post(TOKEN_URL, status=429, headers={"Retry-After": "90"}), tokens_of()
        for seconds in (0, 89, 1):
            clock.advance(seconds=seconds)
            with pytest.raises(ZoomRefused):
                tokens.token()
        assert refused.call_count == 2

    def test_neither_token_nor_secret_shows_itself(self, tokens_of, wire) -> None:
        wire.post(TOKEN_URL, json=ANSWER)
        tokens = tokens_of()
        assert "token-1" not in repr(tokens.token())


class TestManyAtOnce:
    def test_threads_share_one_request(self, tokens_of, wire) -> None:
        release = threading.Event()

        def answer(_request):
            release.wait(60)
            return (200, {}, '{"access_token": "token-1", "expires_in": 3600}')

        wire.add_callback(responses.POST, TOKEN_URL, answer)
        tokens = tokens_of()
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(tokens.token) for _ in range(8)]
            release.set()
            assert {each.result().value for each in asked} == {"token-1"}
        assert len(wire.calls) == 1

    def test_nobody_waits_for_ever(self, tokens_of, wire) -> None:
        release, begun = threading.Event(), threading.Event()

        def answer(_request):
            begun.set()
            release.wait(60)
            return (200, {}, '{"access_token": "token-1"}')

        wire.add_callback(responses.POST, TOKEN_URL, answer)
        tokens = tokens_of(wait_seconds=0.05)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(tokens.token)
            begun.wait(60)
            with pytest.raises(NoAnswer, match="zoom_token_awaited"):
                tokens.token()
            release.set()
            assert first.result().value == "token-1"


@pytest.mark.parametrize("value", ["se\r\nX-Other: cret", "se\x00cret", "se cret"])
def test_a_token_that_fits_no_header_is_none(value, tokens_of, wire: responses.RequestsMock) -> None:
    """The client of HTTP would quote it in its complaint."""
    wire.post(TOKEN_URL, json=ANSWER | {"access_token": value})
    with pytest.raises(ZoomRefused, match="zoom_token_refused"):
        tokens_of().token()
