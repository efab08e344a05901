"""Access tokens: how they are asked for, how long they are kept, what a refusal means, and who waits for whom."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
import responses

from lti_tool.db import Database
from lti_tool.errors import NoAnswer, PlatformRefused
from lti_tool.http import Http
from lti_tool.lti import registration
from lti_tool.lti.claims import LTI
from lti_tool.lti.keys import ToolKeys
from lti_tool.lti.platform_api import PlatformApi, Tokens
from lti_tool.lti.service_log import AnswerBook
from tests.clock import TestClock
from tests.platform import SCOPE, Platform
from tests.waiting import until

pytestmark = pytest.mark.databases("sqlite")

SCORE, RESULT = f"{SCOPE}score", f"{SCOPE}result.readonly"


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


def refusal(api: PlatformApi, platform: Platform) -> PlatformRefused:
    with pytest.raises(PlatformRefused) as refused:
        api.token(platform.registration_id, [SCORE])
    return refused.value


class TestTheRequest:
    def test_a_token_is_asked_for_as_the_standard_says(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock, keys: ToolKeys, clock: TestClock
    ) -> None:
        platform.serve_token(wire)
        assert api.token(platform.registration_id, [SCORE]) == "token-1"
        form, claims = form_of(wire.calls[0]), assertion_of(wire.calls[0], keys)
        assert form["grant_type"] == "client_credentials"
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert form["scope"] == SCORE
        assert (claims["iss"], claims["sub"], claims["aud"]) == ("client-1", "client-1", platform.token_url)
        assert claims["iat"] == int(clock().timestamp()) - 5
        assert 0 < claims["exp"] - claims["iat"] <= 300
        assert "nbf" not in claims
        assert claims["jti"]

    def test_several_scopes_are_asked_for_in_one_order(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        asked = platform.serve_token(wire, scope=f"{SCORE} {RESULT}")
        api.token(platform.registration_id, [SCORE, RESULT])
        api.token(platform.registration_id, [RESULT, SCORE, SCORE])
        assert form_of(wire.calls[0])["scope"] == f"{RESULT} {SCORE}"
        assert asked.call_count == 1

    def test_the_audience_may_be_set_for_a_platform(
        self,
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
        api.token(platform.registration_id, [SCORE])
        assert assertion_of(wire.calls[0], keys)["aud"] == "https://audience.example.org"

    def test_the_only_deployment_is_named_and_of_several_none(
        self,
        api: PlatformApi,
        platform: Platform,
        wire: responses.RequestsMock,
        keys: ToolKeys,
        database: Database,
        clock: TestClock,
    ) -> None:
        platform.serve_token(wire, expires_in=0)
        api.token(platform.registration_id, [SCORE])
        with database.write() as connection:
            registration.change(connection, platform.registration_id, {}, ["2"], actor="cli", now=clock())
        api.token(platform.registration_id, [SCORE])
        first, second = (assertion_of(call, keys) for call in wire.calls)
        assert first[f"{LTI}deployment_id"] == "1"
        assert f"{LTI}deployment_id" not in second

    def test_every_assertion_is_its_own(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock, keys: ToolKeys, clock: TestClock
    ) -> None:
        platform.serve_token(wire)
        api.token(platform.registration_id, [SCORE])
        clock.advance(hours=1)
        api.token(platform.registration_id, [SCORE])
        first, second = (assertion_of(call, keys)["jti"] for call in wire.calls)
        assert first != second


class TestKeeping:
    def test_a_token_is_kept_until_a_minute_before_it_expires(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock, clock: TestClock
    ) -> None:
        asked = platform.serve_token(wire, expires_in=3600)
        for _ in range(3):
            api.token(platform.registration_id, [SCORE])
        clock.advance(seconds=3539)
        api.token(platform.registration_id, [SCORE])
        assert asked.call_count == 1
        clock.advance(seconds=1)
        api.token(platform.registration_id, [SCORE])
        assert asked.call_count == 2

    def test_tokens_of_registrations_that_share_an_issuer_are_kept_apart(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock, database: Database, clock: TestClock
    ) -> None:
        other = Platform(client_id="client-2").register(database, clock())
        asked = platform.serve_token(wire)
        api.token(platform.registration_id, [SCORE])
        api.token(other.registration_id, [SCORE])
        assert asked.call_count == 2

    def test_tokens_of_different_scopes_are_kept_apart(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        asked = platform.serve_token(wire, scope=f"{SCORE} {RESULT}")
        for scopes in ([SCORE], [RESULT], [SCORE, RESULT]):
            api.token(platform.registration_id, scopes)
        assert asked.call_count == 3

    @pytest.mark.parametrize("said", ["soon", None, -5, 1e300, [], "1e5"])
    def test_a_strange_life_of_a_token_does_no_harm(
        self, said: Any, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        platform.serve_token(wire, expires_in=said)
        assert api.token(platform.registration_id, [SCORE]) == "token-1"


class TestTheAnswer:
    @pytest.mark.parametrize("scope", ["", RESULT, f"{SCORE}s", [], [RESULT], [7], {"a": 1}, 5])
    def test_a_token_without_the_scope_is_not_used(
        self, scope: Any, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        platform.serve_token(wire, scope=scope)
        assert refusal(api, platform).code == "scope_refused"

    @pytest.mark.parametrize("scope", [None, f"{RESULT} {SCORE}", [SCORE]])
    def test_a_token_with_more_scopes_or_unsaid_ones_is_used(
        self, scope: Any, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        platform.serve_token(wire, scope=scope)
        assert api.token(platform.registration_id, [SCORE]) == "token-1"

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
        self, changed: dict[str, Any], api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        platform.serve_token(wire, **changed)
        assert refusal(api, platform).code == "token_refused"

    @pytest.mark.parametrize(
        ("status", "said", "code"),
        [
            (400, {"error": "invalid_client"}, "tool_keys_unreadable"),
            (401, {"error": "invalid_client", "error_description": "unknown key"}, "tool_keys_unreadable"),
            (400, {"error": "invalid_scope"}, "scope_refused"),
            (400, {"error": "unidentified_error"}, "assertion_expired"),
            (400, {"error": "Expired token"}, "assertion_expired"),
            (400, {"error": "invalid_client", "error_description": "The JWT has EXPIRED"}, "assertion_expired"),
            (400, {"error": "Cannot handle token with iat prior to 2026-12-01"}, "assertion_expired"),
            (404, {"error": "unknown"}, "token_url_wrong"),
            (405, {}, "token_url_wrong"),
            (400, {"error": "invalid_request"}, "token_refused"),
            (400, {"error": "Signature verification failed"}, "token_refused"),
            (400, {"error": {"code": [1]}}, "token_refused"),
            (500, {}, "token_refused"),
            (503, [], "token_refused"),
        ],
    )
    def test_a_refusal_says_what_is_wrong(
        self, status: int, said: Any, code: str, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        wire.post(platform.token_url, json=said, status=status)
        refused = refusal(api, platform)
        assert (refused.code, refused.answered) == (code, status)

    def test_nothing_of_a_refusal_but_its_code_is_kept(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        wire.post(platform.token_url, body="secret", status=400)
        assert "secret" not in f"{vars(refusal(api, platform))}"

    def test_a_page_instead_of_a_token_is_refused(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        wire.post(platform.token_url, body="<html>Please log in</html>")
        assert refusal(api, platform).code == "token_refused"


class Slow:
    """A real platform whose token service answers when it is told to."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.asked: list[str] = []

    def running(self) -> ThreadingHTTPServer:
        slow = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                slow.asked.append(self.path)
                if self.path == "/slow/token":
                    slow.may_answer.wait(60)
                body = json.dumps({"access_token": f"token-{len(slow.asked)}", "token_type": "bearer"}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def slow() -> Iterator[tuple[Slow, str]]:
    platform = Slow()
    with platform.running() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield platform, f"http://127.0.0.1:{server.server_address[1]}"
        platform.may_answer.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def open_api(database: Database, keys: ToolKeys, clock: TestClock) -> PlatformApi:
    return PlatformApi(database, Http(allow_private_addresses=True), keys, clock)


class TestWhoWaits:
    def test_many_threads_ask_for_one_token(
        self, open_api: PlatformApi, database: Database, clock: TestClock, slow: tuple[Slow, str]
    ) -> None:
        platform = Platform(origin=f"{slow[1]}/slow").register(database, clock())
        with ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(open_api.token, platform.registration_id, [SCORE]) for _ in range(8)]
            until(lambda: slow[0].asked == ["/slow/token"])
            slow[0].may_answer.set()
            assert {each.result(60) for each in waiting} == {"token-1"}
        assert slow[0].asked == ["/slow/token"]

    def test_a_platform_that_hangs_holds_up_no_other_one(
        self, open_api: PlatformApi, database: Database, clock: TestClock, slow: tuple[Slow, str]
    ) -> None:
        hanging = Platform(origin=f"{slow[1]}/slow").register(database, clock())
        other = Platform(origin=f"{slow[1]}/quick", client_id="client-2").register(database, clock())
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(open_api.token, hanging.registration_id, [SCORE]) for _ in range(4)]
            until(lambda: slow[0].asked == ["/slow/token"])
            assert open_api.token(other.registration_id, [SCORE]) == "token-2"
            assert not any(each.done() for each in waiting)
            slow[0].may_answer.set()

    def test_nobody_waits_for_another_threads_token_for_ever(
        self, database: Database, keys: ToolKeys, clock: TestClock, slow: tuple[Slow, str]
    ) -> None:
        hanging = Platform(origin=f"{slow[1]}/slow").register(database, clock())
        with database.read() as connection:
            registered = registration.load(connection, hanging.registration_id)
        answers = AnswerBook(database, clock)
        tokens = Tokens(Http(allow_private_addresses=True), keys, clock, answers, wait_seconds=0.1)
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(tokens.token, registered, [SCORE])
            until(lambda: slow[0].asked == ["/slow/token"])
            with pytest.raises(NoAnswer) as refused:
                tokens.token(registered, [SCORE])
            slow[0].may_answer.set()
            assert first.result(60) == "token-1"
        assert refused.value.code == "token_awaited"

    def test_who_waited_for_a_refusal_is_refused_too_and_the_next_one_asks_anew(
        self, api: PlatformApi, platform: Platform, wire: responses.RequestsMock
    ) -> None:
        refusing = wire.post(platform.token_url, status=503)
        with ThreadPoolExecutor(4) as pool:
            tries = [pool.submit(api.token, platform.registration_id, [SCORE]) for _ in range(4)]
            assert {type(each.exception(60)) for each in tries} == {PlatformRefused}
        wire.remove(refusing)
        platform.serve_token(wire)
        assert api.token(platform.registration_id, [SCORE]) == "token-1"
