"""Notices: asking for them, and which of those that come stand."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
import responses

from lti_tool.db import Database
from lti_tool.errors import PlatformRefused, RefusedLaunch
from lti_tool.http import Http
from lti_tool.lti import registration
from lti_tool.lti.claims import LTI
from lti_tool.lti.key_sets import KeySets
from lti_tool.lti.notices import CHECKS, MOST_NOTICES, Notice, ask_for_notices, load_notices
from lti_tool.lti.platform_api import PlatformApi
from lti_tool.lti.registration import Registration
from tests.clock import START, TestClock
from tests.platform import ABSENT, OTHER_KEY, Platform

pytestmark = pytest.mark.databases("sqlite")

SERVICE = "https://lms.example.org/api/notice-handlers/1"
HANDLER = "https://gatehouse.example.org/lti/notices"
NOW = int(START.timestamp())

Load = Callable[[bytes], list[Notice]]


def claims(**changed: Any) -> dict[str, Any]:
    """A notice of a copied course as Canvas documents it; a claim changed to ABSENT is left out."""
    said = {
        "iss": "https://lms.example.org",
        "aud": "client-1",
        "azp": "client-1",
        "iat": NOW - 5,
        "exp": NOW + 3600,
        "nonce": "nonce-1",
        f"{LTI}version": "1.3.0",
        f"{LTI}deployment_id": "1",
        f"{LTI}notice": {"id": "notice-1", "timestamp": "2026-12-01T18:00:00Z", "type": "LtiContextCopyNotice"},
        f"{LTI}context": {"id": "course-2", "title": "The copy", "type": ["CourseOffering"]},
        f"{LTI}origin_contexts": ["course-1"],
    }
    named = {(LTI + name if LTI + name in said else name): value for name, value in changed.items()}
    return {name: value for name, value in {**said, **named}.items() if value is not ABSENT}


def body(*tokens: str) -> bytes:
    return json.dumps({"notices": [{"jwt": token} for token in tokens]}).encode()


@pytest.fixture
def load(platform: Platform, database: Database, clock: TestClock, generous: responses.RequestsMock) -> Load:
    """Reads a delivery as the endpoint does, with the platform's key set on the wire."""
    platform.serve_keys(generous)
    key_sets = KeySets(Http(), clock)

    def find(issuer: str, client_id: str) -> Registration:
        with database.read() as connection:
            return registration.find(connection, issuer, client_id)

    return lambda delivered: load_notices(delivered, find, key_sets, clock())


def refused_code(load: Load, delivered: bytes) -> str:
    with pytest.raises(RefusedLaunch) as refused:
        load(delivered)
    return refused.value.code


def test_a_notice_of_a_copied_course_is_read(load: Load, platform: Platform) -> None:
    assert load(body(platform.sign(claims()))) == [
        Notice(
            registration_id=platform.registration_id,
            deployment_id="1",
            id="notice-1",
            type="LtiContextCopyNotice",
            nonce="nonce-1",
            expires_at=datetime.fromtimestamp(NOW + 3660, UTC),
            context_id="course-2",
            origin_context_ids=("course-1",),
        )
    ]


def test_several_notices_may_come_at_once(load: Load, platform: Platform) -> None:
    tokens = [platform.sign(claims(nonce=f"nonce-{number}")) for number in range(3)]
    assert [each.nonce for each in load(body(*tokens))] == ["nonce-0", "nonce-1", "nonce-2"]
    assert load(body()) == []


def test_a_notice_of_another_kind_needs_no_context(load: Load, platform: Platform) -> None:
    hello = {"id": "n", "timestamp": "now", "type": "LtiHelloWorldNotice"}
    (notice,) = load(body(platform.sign(claims(notice=hello, context=ABSENT, origin_contexts=ABSENT))))
    assert (notice.type, notice.context_id, notice.origin_context_ids) == ("LtiHelloWorldNotice", None, ())


def test_a_copy_without_a_known_origin_is_read(load: Load, platform: Platform) -> None:
    (notice,) = load(body(platform.sign(claims(origin_contexts=ABSENT))))
    assert notice.origin_context_ids == ()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"aud": ["client-1", "stranger"]}, "notice_audience_wrong"),
    ({"azp": "stranger"}, "notice_audience_wrong"),
    ({"exp": NOW - 60}, "notice_time_wrong"),
    ({"exp": ABSENT}, "notice_time_wrong"),
    ({"exp": "later"}, "notice_time_wrong"),
    ({"exp": NOW + 90_000}, "notice_time_wrong"),
    ({"iat": NOW + 61}, "notice_time_wrong"),
    ({"iat": ABSENT}, "notice_time_wrong"),
    ({"iat": True}, "notice_time_wrong"),
    ({"nonce": ABSENT}, "notice_nonce_missing"),
    ({"nonce": ""}, "notice_nonce_missing"),
    ({"nonce": 5}, "notice_nonce_missing"),
    ({"nonce": "x" * 256}, "notice_nonce_missing"),
    ({"version": "1.1"}, "notice_version_wrong"),
    ({"version": ABSENT}, "notice_version_wrong"),
    ({"deployment_id": "2"}, "notice_deployment_unknown"),
    ({"deployment_id": ABSENT}, "notice_deployment_unknown"),
    ({"deployment_id": ["1"]}, "notice_deployment_unknown"),
    ({"notice": ABSENT}, "notice_unnamed"),
    ({"notice": "LtiContextCopyNotice"}, "notice_unnamed"),
    ({"notice": {"id": "1"}}, "notice_unnamed"),
    ({"notice": {"id": "1", "type": 5}}, "notice_unnamed"),
    ({"context": ABSENT}, "notice_contexts_wrong"),
    ({"context": {}}, "notice_contexts_wrong"),
    ({"context": "course-2"}, "notice_contexts_wrong"),
    ({"context": {"id": ["course-2"]}}, "notice_contexts_wrong"),
    ({"origin_contexts": "course-1"}, "notice_contexts_wrong"),
    ({"origin_contexts": [5]}, "notice_contexts_wrong"),
    ({"origin_contexts": [""]}, "notice_contexts_wrong"),
    ({"origin_contexts": ["c"] * 101}, "notice_contexts_wrong"),
    (
        {"notice": {"id": "n", "type": "LtiOtherNotice"}, "context": ABSENT, "origin_contexts": 5},
        "notice_contexts_wrong",
    ),
]


@pytest.mark.parametrize(("changed", "code"), WRONG)
def test_a_notice_that_does_not_stand_is_refused(
    changed: dict[str, Any], code: str, load: Load, platform: Platform
) -> None:
    assert refused_code(load, body(platform.sign(claims(**changed)))) == code


def test_every_check_has_a_case_of_its_own() -> None:
    # Which platform it comes from is looked up by its own word, so that check cannot fail by itself.
    assert {check.code for check in CHECKS} - {code for _, code in WRONG} == {"notice_issuer_wrong"}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"iss": "https://other.example.org"}, "platform_unknown"),
        ({"aud": "client-9"}, "platform_unknown"),
        ({"aud": []}, "notice_unreadable"),
        ({"aud": ABSENT}, "notice_unreadable"),
        ({"iss": 5}, "notice_unreadable"),
        ({"iss": "x" * 256}, "notice_unreadable"),
    ],
)
def test_a_notice_of_nobody_we_know_is_refused(
    changed: dict[str, Any], code: str, load: Load, platform: Platform
) -> None:
    assert refused_code(load, body(platform.sign(claims(**changed)))) == code


def test_one_bad_notice_refuses_the_delivery(load: Load, platform: Platform) -> None:
    tokens = [platform.sign(claims()), platform.sign(claims(version="9"))]
    assert refused_code(load, body(*tokens)) == "notice_version_wrong"


def test_a_notice_that_the_platform_did_not_sign_is_refused(load: Load, platform: Platform) -> None:
    forged = Platform(key=OTHER_KEY, registration_id=platform.registration_id)
    assert refused_code(load, body(forged.sign(claims()))) == "signature_wrong"
    head, payload, signature = platform.sign(claims()).split(".")
    other = platform.sign(claims(nonce="other")).split(".")[1]
    assert refused_code(load, body(f"{head}.{other}.{signature}")) == "signature_wrong"
    unsigned = jwt.PyJWS().encode(json.dumps(claims()).encode(), None, algorithm="none", headers={"kid": "key-1"})
    assert refused_code(load, body(unsigned)) == "token_algorithm"
    assert refused_code(load, body(platform.sign(claims(), kid=ABSENT))) == "key_id_missing"
    assert refused_code(load, body(platform.sign(claims(), kid="key-9"))) == "key_unknown"
    assert payload != other


@pytest.mark.parametrize(
    "delivered",
    [
        b"",
        b"nothing",
        b"[]",
        b"{}",
        b'{"notices": null}',
        b'{"notices": {"jwt": "a.b.c"}}',
        b'{"notices": ["a.b.c"]}',
        b'{"notices": [{}]}',
        b'{"notices": [{"jwt": 5}]}',
        b'{"notices": [{"jwt": ""}]}',
        b'{"notices": [{"jwt": "a.b.c"}]}',
        b'{"notices": [{"jwt": "a.bnVsbA.c"}]}',
        b'{"notices": [{"jwt": "\\u00e9.\\u00e9.\\u00e9"}]}',
        b"\xff\xfe",
        b"[" * 100_000,
        body(*["a.b.c"] * (MOST_NOTICES + 1)),
    ],
)
def test_what_is_no_delivery_of_notices_is_refused(delivered: bytes, load: Load) -> None:
    assert refused_code(load, delivered) == "notice_unreadable"


def test_a_platform_is_asked_for_each_type(
    api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.put(SERVICE, json={})
    ask_for_notices(api, platform.registration_id, SERVICE, HANDLER, ["LtiContextCopyNotice", "LtiHelloWorldNotice"])
    token, first, second = (call.request for call in generous.calls)
    assert parse_qs(str(token.body))["scope"] == ["https://purl.imsglobal.org/spec/lti/scope/noticehandlers"]
    assert first.headers["Content-Type"] == "application/json"
    assert json.loads(first.body) == {"notice_type": "LtiContextCopyNotice", "handler": HANDLER}
    assert json.loads(second.body)["notice_type"] == "LtiHelloWorldNotice"


def test_a_platform_that_sends_no_notices_is_told(
    api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.put(SERVICE, status=404)
    with pytest.raises(PlatformRefused) as refused:
        ask_for_notices(api, platform.registration_id, SERVICE, HANDLER, ["LtiContextCopyNotice"])
    assert (refused.value.code, refused.value.answered) == ("notices_refused", 404)
