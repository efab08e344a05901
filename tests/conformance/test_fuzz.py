"""The two launch endpoints under fire, as long as the profile or `--fuzz-seconds` says: whatever arrives is answered
with a page that names a stable code, never with a fault of ours, and what is refused leaves nothing behind."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import responses
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from jwt.utils import base64url_encode
from sqlalchemy import Select, func, select, union_all
from werkzeug.test import TestResponse

from lti_tool.db import Database
from lti_tool.tables.types import metadata
from tests.clock import TestClock
from tests.conformance import hostile
from tests.conftest import DEMO_PROGRAMME, FIELD_KEY, PUBLIC_URL
from tests.platform import TARGET, Platform, code_of, parameters_of
from tests.profiles import present_profile
from tests.serving import Served, serving

CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
EXAMPLES_AT_ONCE = 100
# How many there are on a machine that is too slow for more.
FEWEST = 50
SOCKET_SECONDS = 2
Attack = Callable[[Any], None]

pytestmark = pytest.mark.databases("sqlite")


@pytest.fixture
def seconds(request: pytest.FixtureRequest) -> float:
    """How long each of the two endpoints is attacked: half of the time that the run gives."""
    return (request.config.getoption("--fuzz-seconds") or present_profile().fuzz_seconds) / 2


@pytest.fixture
def platform(database: Database, clock: TestClock, published: object) -> Iterator[Platform]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as wire:
        platform = Platform().register(database, clock())
        platform.serve_keys(wire)
        yield platform


@pytest.fixture
def recorded(database: Database) -> Callable[[], list[int]]:
    """How many rows every table of the database has."""
    counts: list[Select[Any]] = [select(func.count()).select_from(table) for table in metadata.sorted_tables]
    query = union_all(*counts)

    def count() -> list[int]:
        with database.read() as connection:
            return list(connection.execute(query).scalars())

    return count


def fire(attack: Attack, ammunition: SearchStrategy[Any], seconds: float) -> int:
    """Attack with one drawn value after the other until the time is over, with FEWEST at least; how many there were."""
    ends_at, shots = time.monotonic() + seconds, 0

    @settings(
        max_examples=EXAMPLES_AT_ONCE,
        deadline=None,
        database=None,
        derandomize=False,  # each volley draws anew, also where CI is set, which would make hypothesis repeat itself
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(ammunition)
    def volley(drawn: Any) -> None:
        nonlocal shots
        if shots < FEWEST or time.monotonic() < ends_at:
            attack(drawn)
            shots += 1

    while shots < FEWEST or time.monotonic() < ends_at:
        volley()
    return shots


def test_whatever_a_login_holds_is_answered_and_records_nothing(
    app: Flask, platform: Platform, recorded: Callable[[], list[int]], seconds: float
) -> None:
    before = recorded()

    def attack(login: hostile.Login) -> None:
        hold(send_login(app.test_client(), platform, login))
        assert recorded() == before

    assert fire(attack, hostile.logins, seconds) > 0


def test_whatever_a_launch_holds_is_answered_and_what_is_refused_records_nothing(
    app: Flask, platform: Platform, clock: TestClock, recorded: Callable[[], list[int]], seconds: float
) -> None:
    taken, before = 0, recorded()

    def attack(launch: hostile.Launch) -> None:
        nonlocal taken, before
        response = send_launch(app.test_client(), platform, clock, launch)
        hold(response)
        if response.status_code == 303:
            assert re.match(r"/(?!/)", response.headers["Location"])
            taken, before = taken + 1, recorded()
        else:
            assert recorded() == before

    shots = fire(attack, hostile.launches, seconds)
    assert 0 < taken < shots, "some of what is sent must be good, or the fire does not reach what lies behind"


def test_whatever_bytes_arrive_the_tool_still_answers(tmp_path: Path, seconds: float, database_url: str) -> None:
    environment = {
        "GATEHOUSE_PUBLIC_URL": PUBLIC_URL,
        "GATEHOUSE_SECRET_KEY": "the secret key of the tests, which is long enough",
        "GATEHOUSE_FIELD_KEYS": FIELD_KEY,
        "GATEHOUSE_DATA": str(tmp_path),
        "GATEHOUSE_DATABASE_URL": database_url,
        "GATEHOUSE_PROGRAMME": str(DEMO_PROGRAMME),
    }
    with serving(environment, tmp_path, "--no-worker") as served:

        def attack(raw: bytes) -> None:
            answer = exchange(served, raw)
            assert not re.match(rb"HTTP/1\.[01] 5(?!05)", answer), answer[:200]

        assert fire(attack, hostile.raw_requests, seconds / 3) > 0
        assert served.get("/readyz") == 200
    assert "unexpected error" not in served.log.read_text()


def hold(response: TestResponse) -> None:
    """What every answer is: no fault of ours, and a page with a code when it is a refusal."""
    assert response.status_code < 500, response.get_data(as_text=True)
    if response.status_code >= 400:
        assert response.mimetype in ("text/html", "application/json")
        code = code_of(response) if response.mimetype == "text/html" else response.get_json()["error"]
        assert CODE.fullmatch(code), response.get_data(as_text=True)


def send_login(client: FlaskClient, platform: Platform, login: hostile.Login) -> TestResponse:
    good = {
        "iss": platform.issuer,
        "client_id": platform.client_id,
        "login_hint": "user-1",
        "lti_message_hint": "hint",
        "target_link_uri": TARGET,
    }
    kept = {name: value for name, value in (good | login.changed).items() if name not in login.without}
    raw = hostile.encoded([*kept.items(), *login.repeated]) if login.raw is None else login.raw
    usual = "application/x-www-form-urlencoded" if login.content_type is None else login.content_type
    if login.method == "GET":
        query = {"QUERY_STRING": raw.decode("latin-1")}
        return client.get("/lti/login", environ_overrides=query, headers=_headers(login.headers))
    return client.post("/lti/login", data=raw, content_type=usual, headers=_headers(login.headers))


def send_launch(client: FlaskClient, platform: Platform, clock: TestClock, launch: hostile.Launch) -> TestResponse:
    begun = parameters_of(platform.login(client))
    make = {
        "LtiResourceLinkRequest": platform.claims,
        "LtiDeepLinkingRequest": platform.deep_linking_claims,
        "LtiSubmissionReviewRequest": platform.review_claims,
    }[launch.message]
    claims = hostile.changed_claims(make(begun["nonce"], clock()), launch)
    token = hostile.damaged(sign(platform, claims, launch.header), launch)
    fields = {"id_token": token, "state": begun["state"]}
    body = hostile.encoded([*(fields | dict(launch.form)).items(), *launch.form])
    usual = "application/x-www-form-urlencoded" if launch.content_type is None else launch.content_type
    sender = client if launch.with_cookies else client.application.test_client()
    return sender.post("/lti/launch", data=body, content_type=usual, headers=_headers(launch.headers))


def sign(platform: Platform, claims: dict[str, Any], header: dict[str, Any]) -> str:
    """The platform's signature over claims and header, whatever they are; a JWT library would refuse many a header."""
    parts = ({"alg": "RS256", "typ": "JWT", "kid": platform.kid} | header, claims)
    signed = b".".join(base64url_encode(json.dumps(part).encode()) for part in parts)
    signature = platform.key.sign(signed, PKCS1v15(), SHA256())
    return (signed + b"." + base64url_encode(signature)).decode()


def exchange(served: Served, raw: bytes) -> bytes:
    """Send bytes, say that no more will come, and read what is answered."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=SOCKET_SECONDS) as line:
        try:
            line.sendall(raw)
            line.shutdown(socket.SHUT_WR)
            return line.recv(4096)
        except OSError:  # the tool has hung up: no fault
            return b""


def _headers(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if not {"\r", "\n"} & set(value)}
