"""The id_token's checks, one wrong thing at a time, over HTTP."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import jwt
import pytest
import responses
from cryptography.hazmat.primitives import serialization
from flask.testing import FlaskClient

from lti_tool.db import Database
from lti_tool.lti.claims import AGS, LTI
from lti_tool.lti.id_token import EVERY_MESSAGE, MESSAGES
from lti_tool.lti.roles import INSTITUTION
from tests.clock import TestClock
from tests.platform import (
    ABSENT,
    INSTRUCTOR,
    KEY,
    LEARNER,
    MEMBERSHIP,
    OTHER_KEY,
    Platform,
    code_of,
    parameters_of,
)

ASSISTANT = "http://purl.imsglobal.org/vocab/lis/v2/membership/Instructor#TeachingAssistant"

pytestmark = pytest.mark.usefixtures("published")


def at(clock: TestClock, changed: dict[str, Any]) -> dict[str, Any]:
    """The changed claims with "now+5" made five seconds after now."""
    moment = clock().timestamp()
    return {
        name: int(moment + float(value[3:])) if isinstance(value, str) and value.startswith("now") else value
        for name, value in changed.items()
    }


# What is changed in an ordinary launch, and the code of the refusal.
WRONG_CLAIMS: list[tuple[dict[str, Any], str]] = [
    ({"iss": "https://lms.example.org/"}, "issuer_wrong"),
    ({"iss": "https://LMS.example.org"}, "issuer_wrong"),
    ({"iss": "https://lms.exаmple.org"}, "issuer_wrong"),  # a Cyrillic а
    ({"iss": ABSENT}, "issuer_wrong"),
    ({"iss": ["https://lms.example.org"]}, "issuer_wrong"),
    ({"aud": "client-2"}, "audience_wrong"),
    ({"aud": ["client-1", "stranger"], "azp": "client-1"}, "audience_wrong"),
    ({"aud": []}, "audience_wrong"),
    ({"aud": ABSENT}, "audience_wrong"),
    ({"aud": {"client-1": 1}}, "audience_wrong"),
    ({"aud": ["client-1", "client-1"]}, "authorized_party_wrong"),
    ({"azp": "client-2"}, "authorized_party_wrong"),
    ({"azp": None}, "authorized_party_wrong"),
    ({"exp": ABSENT}, "token_expired"),
    ({"exp": "now-61"}, "token_expired"),
    ({"exp": "soon"}, "token_expired"),
    ({"exp": True}, "token_expired"),
    ({"exp": 10**400}, "token_expired"),
    ({"exp": float("nan")}, "token_expired"),
    ({"iat": ABSENT}, "issued_wrong"),
    ({"iat": "now+61"}, "issued_wrong"),
    ({"iat": "now-601"}, "issued_wrong"),
    ({"iat": "now-31536000"}, "issued_wrong"),
    ({"iat": 11111, "exp": 22222}, "token_expired"),
    ({"nbf": "now+61"}, "not_valid_yet"),
    ({"nonce": "never-issued"}, "nonce_wrong"),
    ({"nonce": ABSENT}, "nonce_wrong"),
    ({"sub": ABSENT}, "subject_wrong"),
    ({"sub": ""}, "subject_wrong"),
    ({"sub": 6}, "subject_wrong"),
    ({"sub": "x" * 256}, "subject_wrong"),
    ({"sub": "nul\x00"}, "subject_wrong"),
    ({"sub": "user-2"}, "login_hint_wrong"),
    ({"version": "1.1"}, "version_wrong"),
    ({"version": "not-1.3"}, "version_wrong"),
    ({"version": "11.3"}, "version_wrong"),
    ({"version": "2.3"}, "version_wrong"),
    ({"version": 1.3}, "version_wrong"),
    ({"version": ABSENT}, "version_wrong"),
    ({"message_type": ABSENT}, "message_type_missing"),
    ({"message_type": 1}, "message_type_missing"),
    ({"message_type": "LtiInventedRequest"}, "message_not_served"),
    ({"message_type": "LtiStartProctoring"}, "message_not_served"),
    ({"message_type": "ltiresourcelinkrequest"}, "message_not_served"),
    ({"message_type": ["LtiResourceLinkRequest"]}, "message_type_missing"),
    ({"message_type": ""}, "message_type_missing"),
    ({"message_type": "LtiDeepLinkingRequest"}, "settings_missing"),
    ({"message_type": "LtiSubmissionReviewRequest"}, "learner_missing"),
    ({"deployment_id": ABSENT}, "deployment_unknown"),
    ({"deployment_id": "2"}, "deployment_unknown"),
    ({"deployment_id": 1}, "deployment_unknown"),
    ({"roles": ABSENT}, "roles_wrong"),
    ({"roles": "Instructor"}, "roles_wrong"),
    ({"roles": {"0": "Instructor"}}, "roles_wrong"),
    ({"roles": None}, "roles_wrong"),
    ({"roles": [1]}, "roles_wrong"),
    ({"resource_link": ABSENT}, "resource_link_missing"),
    ({"resource_link": {"id": ""}}, "resource_link_missing"),
    ({"resource_link": "unit-1"}, "resource_link_missing"),
    ({"target_link_uri": ABSENT}, "target_missing"),
    ({"target_link_uri": ""}, "target_missing"),
    ({"target_link_uri": 1}, "target_missing"),
    ({"target_link_uri": "https://gatehouse.example.org/" + "x" * 2048}, "claims_wrong"),
    ({"target_link_uri": "https://gatehouse.example.org.evil.example/"}, "target_foreign"),
    ({"resource_link": {"id": "x" * 256}}, "claims_wrong"),
    ({"context": {"id": "\ud800"}}, "claims_wrong"),
    ({"context": {"id": "a\x00b"}}, "claims_wrong"),
    ({"context": "course-1"}, "claims_wrong"),
    ({"roles": ["x" * 300]}, "claims_wrong"),
    ({"custom": {"module_id": "no-such-module"}}, "module_unknown"),
    ({"custom": {"module_id": "F\x0099"}}, "module_unknown"),
]


def test_a_launch_with_a_wrong_claim_is_refused(
    client: FlaskClient, platform: Platform, clock: TestClock, subtests: pytest.Subtests
) -> None:
    for changed, code in WRONG_CLAIMS:
        with subtests.test(changed=str(changed)[:60]):
            response = platform.launch(client, clock(), **at(clock, changed))
            assert code_of(response) == code
            assert 400 <= response.status_code < 500
            assert "__Host-gatehouse=" not in str(response.headers)


# What is changed in a teacher's deep linking request, and the code of the refusal.
WRONG_DEEP_LINKING: list[tuple[dict[str, Any], str]] = [
    ({"settings_deep_link_return_url": ABSENT}, "return_url_wrong"),
    ({"settings_deep_link_return_url": ""}, "return_url_wrong"),
    ({"settings_deep_link_return_url": 1}, "return_url_wrong"),
    ({"settings_deep_link_return_url": "/deep-linking/return"}, "return_url_wrong"),
    ({"settings_deep_link_return_url": "//lms.example.org/return"}, "return_url_wrong"),
    ({"settings_deep_link_return_url": "http://lms.example.org/return"}, "return_url_wrong"),
    ({"settings_deep_link_return_url": "javascript:alert(1)"}, "return_url_wrong"),
    ({"settings_deep_link_return_url": "https://lms.example.org@evil.example/"}, "return_url_wrong"),
    ({"settings_deep_link_return_url": 'https://lms.example.org/"><script>'}, "return_url_wrong"),
    ({"settings_deep_link_return_url": "https://lms.example.org\\@evil.example/"}, "return_url_wrong"),
    ({"settings_deep_link_return_url": "https://lms.example.org/\n"}, "return_url_wrong"),
    ({"settings_deep_link_return_url": "https://lms.exаmple.org/"}, "return_url_wrong"),  # a Cyrillic а
    ({"settings_deep_link_return_url": "https://lms.example.org:port/"}, "return_url_wrong"),
    ({"settings_accept_types": ABSENT}, "accept_types_missing"),
    ({"settings_accept_types": "ltiResourceLink"}, "accept_types_missing"),
    ({"settings_accept_types": [1]}, "accept_types_missing"),
    ({"roles": ABSENT}, "roles_wrong"),
    ({"roles": [LEARNER]}, "deep_linking_for_staff"),
    ({"roles": [""]}, "deep_linking_for_staff"),
    ({"roles": [INSTRUCTOR, ASSISTANT]}, "deep_linking_for_staff"),
    ({"roles": [INSTITUTION + "Instructor"]}, "deep_linking_for_staff"),
    ({"target_link_uri": "https://evil.example/"}, "target_foreign"),
    ({"deployment_id": "2"}, "deployment_unknown"),
    ({"nonce": "never-issued"}, "nonce_wrong"),
]

# What is changed in a teacher's submission review, and the code of the refusal.
WRONG_REVIEWS: list[tuple[dict[str, Any], str]] = [
    ({LTI + "for_user": ABSENT}, "learner_missing"),
    ({LTI + "for_user": {}}, "learner_missing"),
    ({LTI + "for_user": {"user_id": ""}}, "learner_missing"),
    ({LTI + "for_user": {"user_id": 2}}, "learner_missing"),
    ({LTI + "for_user": {"user_id": "x" * 256}}, "learner_missing"),
    ({LTI + "for_user": "user-2"}, "learner_missing"),
    ({"roles": [LEARNER]}, "review_for_staff"),
    ({AGS: ABSENT, "resource_link": ABSENT}, "review_module_unknown"),
]


def test_a_deep_linking_request_with_a_wrong_claim_is_refused(
    client: FlaskClient, platform: Platform, clock: TestClock, subtests: pytest.Subtests
) -> None:
    for changed, code in WRONG_DEEP_LINKING:
        with subtests.test(changed=str(changed)[:90]):
            response = platform.launch(client, clock(), message=platform.deep_linking_claims, **changed)
            assert code_of(response) == code
            assert "__Host-gatehouse=" not in str(response.headers)
            assert "<script>" not in response.get_data(as_text=True)


def test_a_submission_review_with_a_wrong_claim_is_refused(
    client: FlaskClient, platform: Platform, clock: TestClock, subtests: pytest.Subtests
) -> None:
    for changed, code in WRONG_REVIEWS:
        with subtests.test(changed=str(changed)[:90]):
            response = platform.launch(client, clock(), message=platform.review_claims, **changed)
            assert code_of(response) == code
            assert "__Host-gatehouse=" not in str(response.headers)


def test_every_check_has_a_case_of_its_own() -> None:
    checks = {check.code for check in (*EVERY_MESSAGE, *chain.from_iterable(MESSAGES.values()))}
    assert checks <= {code for _, code in (*WRONG_CLAIMS, *WRONG_DEEP_LINKING, *WRONG_REVIEWS)}


def test_a_deployment_is_known_in_its_own_spelling_and_registration_only(
    client: FlaskClient, database: Database, clock: TestClock, wire: responses.RequestsMock
) -> None:
    ours = Platform(deployment_id="Dep-A").register(database, clock())
    other = Platform(client_id="client-2", deployment_id="Dep-B").register(database, clock())
    ours.serve_keys(wire)
    assert ours.launch(client, clock()).status_code == 303
    for wrong in ("dep-a", "Dep-A ", other.deployment_id):
        response = ours.launch(client, clock(), deployment_id=wrong)
        assert (code_of(response), response.status_code) == ("deployment_unknown", 403)


ACCEPTED_CLAIMS: list[dict[str, Any]] = [
    {"aud": ["client-1"]},
    {"aud": ["client-1", "client-1"], "azp": "client-1"},
    {"azp": "client-1"},
    {"exp": "now-59"},
    {"iat": "now+59"},
    {"iat": "now-599"},
    {"roles": []},
    {"roles": [""]},
    {"roles": ["Instructor"]},
    {"roles": ["an unknown role"]},
    {"roles": [f"{MEMBERSHIP}Learner", f"{INSTITUTION}Student", f"{MEMBERSHIP}Mentor"]},
    {"roles": [f"{MEMBERSHIP}Instructor", f"{INSTITUTION}Staff", f"{INSTITUTION}Other"]},
    {"context": ABSENT, "roles": [INSTRUCTOR]},
    {"name": ABSENT, "given_name": "Maya", "family_name": "Example", "email": ABSENT},
    {"name": ABSENT, "email": "maya@example.org"},
    {"custom": {f"key-{number}": "v" * 100 for number in range(300)}},
    {"name": "N" * 5000},
    {"context": ABSENT},
    {"context": {"id": "course-1", "title": "T" * 5000}},
    {"name": None, "email": None},
    {"name": ABSENT, "given_name": "Maya", "email": ABSENT},
    {"custom": ABSENT},
    {"custom": []},
    {"custom": {"module_id": "F1", "number": 7, "list": [1]}},
    {"https://example.org/an/unknown/claim": {"a": "b"}},
]


def test_a_launch_that_differs_in_what_may_differ_is_let_in(
    client: FlaskClient, platform: Platform, clock: TestClock, subtests: pytest.Subtests
) -> None:
    for changed in ACCEPTED_CLAIMS:
        with subtests.test(changed=str(changed)[:60]):
            assert platform.launch(client, clock(), **at(clock, changed)).status_code == 303


def test_a_platform_that_promises_nothing_about_the_login_hint_may_name_another_subject(
    client: FlaskClient, database: Database, clock: TestClock, wire: responses.RequestsMock
) -> None:
    platform = Platform(origin="https://other.example.org", profile="generic").register(database, clock())
    platform.serve_keys(wire)
    begun = parameters_of(platform.login(client, user="a hint"))
    token = platform.sign(platform.claims(begun["nonce"], clock(), user="somebody"))
    assert client.post("/lti/launch", data={"id_token": token, "state": begun["state"]}).status_code == 303


def public_pem() -> bytes:
    return KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def hmac_keyed_with_our_public_key(platform: Platform, claims: dict[str, Any]) -> str:
    """HS256 with the platform's public PEM as the secret; PyJWT refuses to make it, so it is made by hand."""
    header = jwt.utils.base64url_encode(b'{"alg":"HS256","typ":"JWT","kid":"key-1"}')
    body = jwt.utils.base64url_encode(jwt.PyJWT()._encode_payload(claims))
    signing_input = header + b"." + body
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(signing_input, public_pem())
    return (signing_input + b"." + jwt.utils.base64url_encode(signature)).decode()


def kid_of_a_number(platform: Platform, claims: dict[str, Any]) -> str:
    """PyJWT refuses to make it."""
    head, _, _ = platform.sign(claims).partition(".")
    header = jwt.utils.base64url_encode(b'{"alg":"RS256","typ":"JWT","kid":1}').decode()
    return platform.sign(claims).replace(head, header, 1)


def changed_after_signing(platform: Platform, claims: dict[str, Any]) -> str:
    head, _, signature = platform.sign(claims).split(".")
    other = platform.sign(claims | {"name": "Somebody Else"}).split(".")[1]
    return f"{head}.{other}.{signature}"


BAD_TOKENS: list[tuple[str, Callable[[Platform, dict[str, Any]], str], str]] = [
    ("no algorithm", lambda _, claims: jwt.encode(claims, None, "none", {"kid": "key-1"}), "token_algorithm"),
    ("the public key as a shared secret", hmac_keyed_with_our_public_key, "token_algorithm"),
    ("RS384", lambda _, claims: jwt.encode(claims, KEY, "RS384", {"kid": "key-1"}), "token_algorithm"),
    ("RS512", lambda _, claims: jwt.encode(claims, KEY, "RS512", {"kid": "key-1"}), "token_algorithm"),
    ("no kid", lambda platform, claims: platform.sign(claims, kid=ABSENT), "key_id_missing"),
    ("an empty kid", lambda platform, claims: platform.sign(claims, kid=""), "key_id_missing"),
    ("a kid that is a number", kid_of_a_number, "key_id_missing"),
    ("an unknown kid", lambda platform, claims: platform.sign(claims, kid="key-2"), "key_unknown"),
    ("a kid like a path", lambda platform, claims: platform.sign(claims, kid="../../etc/passwd"), "key_unknown"),
    ("a kid of markup", lambda platform, claims: platform.sign(claims, kid="<script>"), "key_unknown"),
    ("another key", lambda _, claims: jwt.encode(claims, OTHER_KEY, "RS256", {"kid": "key-1"}), "signature_wrong"),
    ("changed claims", changed_after_signing, "signature_wrong"),
    ("no token", lambda *_: "nonsense", "token_unreadable"),
    ("two dots", lambda *_: "..", "token_unreadable"),
    ("not ASCII", lambda *_: "é.é.é", "token_unreadable"),
    ("huge", lambda *_: "e30." + "A" * 70_000 + ".AA", "token_unreadable"),
    (
        "claims that are a list",
        lambda platform, _: jwt.PyJWS().encode(b"[]", KEY, "RS256", {"kid": "key-1"}),
        "token_unreadable",
    ),
    (
        "claims nested without end",
        lambda *_: jwt.PyJWS().encode(b'{"a":' + b"[" * 40_000, KEY, "RS256", {"kid": "key-1"}),
        "token_unreadable",
    ),
    (
        "claims that are no JSON",
        lambda *_: jwt.PyJWS().encode(b"\xff", KEY, "RS256", {"kid": "key-1"}),
        "token_unreadable",
    ),
    ("only a name", lambda platform, _: platform.sign({"name": "badltilaunch"}), "issuer_wrong"),
]


def test_a_token_that_the_platform_did_not_sign_is_refused(
    client: FlaskClient, platform: Platform, clock: TestClock, subtests: pytest.Subtests
) -> None:
    for name, make, code in BAD_TOKENS:
        with subtests.test(name):
            begun = parameters_of(platform.login(client))
            token = make(platform, platform.claims(begun["nonce"], clock()))
            response = client.post("/lti/launch", data={"id_token": token, "state": begun["state"]})
            assert (code_of(response), response.status_code) == (code, 401)
            assert "<script>" not in response.get_data(as_text=True)


def test_key_material_in_the_header_is_ignored(client: FlaskClient, platform: Platform, clock: TestClock) -> None:
    stranger = Platform(key=OTHER_KEY)
    begun = parameters_of(platform.login(client))
    urls = {"jku": "https://evil.example/keys", "x5u": "https://evil.example/cert"}
    header = {"jwk": stranger.jwk(), "x5c": ["bm8gY2VydGlmaWNhdGU="], **urls}
    token = stranger.sign(platform.claims(begun["nonce"], clock()), **header)
    response = client.post("/lti/launch", data={"id_token": token, "state": begun["state"]})
    assert code_of(response) == "signature_wrong"


def test_a_kid_of_one_platform_opens_nothing_at_another(
    client: FlaskClient, database: Database, platform: Platform, clock: TestClock, wire: responses.RequestsMock
) -> None:
    other = Platform(origin="https://other.example.org", key=OTHER_KEY).register(database, clock())
    other.serve_keys(wire)
    assert other.launch(client, clock()).status_code == 303
    begun = parameters_of(platform.login(client))
    token = other.sign(platform.claims(begun["nonce"], clock()))
    response = client.post("/lti/launch", data={"id_token": token, "state": begun["state"]})
    assert code_of(response) == "signature_wrong"
