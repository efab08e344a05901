"""The documents of dynamic registration: what is believed of a platform, and what we say of ourselves."""

import json
from typing import Any

import pytest

from lti_tool.errors import BadInput
from lti_tool.lti.dynamic_registration import (
    CLAIMS,
    PLATFORM,
    RARE_SCOPES,
    SCOPES,
    TOOL,
    Answer,
    Configuration,
    new_registration,
    read_answer,
    read_asked,
    read_configuration,
    registration_document,
)
from tests.unit.platforms.moodle import CONFIGURATION_URL, SITE, configuration

OURS = "https://gatehouse.example.org"


def read(document: Any, url: str = CONFIGURATION_URL) -> Configuration:
    return read_configuration(document if isinstance(document, bytes) else json.dumps(document).encode(), url)


def described(**changed: Any) -> dict[str, Any]:
    """A configuration whose LTI part is changed."""
    return configuration(**{PLATFORM: configuration()[PLATFORM] | changed})


def refusal(document: Any, url: str = CONFIGURATION_URL) -> str:
    with pytest.raises(BadInput) as refused:
        read(document, url)
    return refused.value.code


def test_a_platform_is_kept_as_it_describes_itself() -> None:
    new = new_registration(read(configuration()), "client-7")
    assert new.issuer == "https://moodle.example.org"
    assert new.client_id == "client-7"
    assert new.auth_login_url == "https://moodle.example.org/mod/lti/auth.php"
    assert new.token_url == "https://moodle.example.org/mod/lti/token.php"
    assert new.key_set_url == "https://moodle.example.org/mod/lti/certs.php"
    assert (new.token_audience, new.profile, new.old_roles) == (None, "moodle", False)


@pytest.mark.parametrize(
    ("family", "profile"),
    [
        ("moodle", "moodle"),
        ("Canvas", "canvas"),
        ("sakai", "generic"),
        ("", "generic"),
        (None, "generic"),
        (7, "generic"),
    ],
)
def test_the_profile_follows_the_product(family: Any, profile: str) -> None:
    assert read(described(product_family_code=family)).profile == profile


def test_the_authorization_server_is_the_audience_of_token_requests() -> None:
    assert read(configuration(authorization_server="moodle.example.org")).token_audience == "moodle.example.org"


@pytest.mark.parametrize("audience", ["https://moodle.example.org/lti", "https://Moodle.example.org:443", SITE])
def test_the_audience_may_be_any_address_of_the_platform(audience: str) -> None:
    assert read(configuration(authorization_server=audience)).token_audience == audience


@pytest.mark.parametrize("audience", ["https://bank.example.org/token", "bank.example.org", "urn:bank", "https://["])
def test_a_platform_cannot_have_us_sign_what_another_one_would_take(audience: str) -> None:
    """What we sign for its token service it could show to the platform that the audience names, as ours."""
    with pytest.raises(BadInput) as refused:
        read(configuration(authorization_server=audience))
    assert refused.value.code == "audience_foreign"


@pytest.mark.parametrize("audience", [7, "", " ", "a\nb", "x" * 256])
def test_an_audience_that_cannot_be_kept_is_left_out(audience: Any) -> None:
    assert read(configuration(authorization_server=audience)).token_audience is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'"text"',
        b"7",
        b"null",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"issuer": 1' + b"0" * 5000 + b"}",
    ],
    ids=["nothing", "a page", "a list", "a text", "a number", "null", "no UTF-8", "too deep", "a huge number"],
)
def test_what_is_no_description_is_refused(body: bytes) -> None:
    assert refusal(body) == "configuration_unreadable"


ADDRESS_NAMES = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "registration_endpoint")
NO_ADDRESSES = (
    None, 7, [], {}, "", "moodle.example.org/auth", "javascript:alert(1)", "data:text/html,x", "file:///etc/passwd",
    "//moodle.example.org/auth", "https://", "https://moodle.example.org/\x00", "https://[::1/x",
    "https://moodle.example.org/" + "b" * 3000,
)  # fmt: skip


@pytest.mark.parametrize("name", ADDRESS_NAMES)
def test_each_address_must_be_a_web_address(name: str, subtests: pytest.Subtests) -> None:
    for value in NO_ADDRESSES:
        with subtests.test(value=str(value)[:30]):
            assert refusal(configuration(**{name: value})) == "configuration_incomplete"
    without = configuration()
    del without[name]
    assert refusal(without) == "configuration_incomplete"


@pytest.mark.parametrize("described", [None, [], "text"])
def test_a_configuration_without_its_lti_part_is_refused(described: Any) -> None:
    assert refusal(configuration(**{PLATFORM: described})) == "configuration_incomplete"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token_endpoint_auth_methods_supported", ["client_secret_basic"]),
        ("token_endpoint_auth_methods_supported", "private_key_jwt"),
        ("token_endpoint_auth_methods_supported", None),
        ("token_endpoint_auth_signing_alg_values_supported", ["ES256"]),
        ("id_token_signing_alg_values_supported", ["HS256", "none"]),
        ("id_token_signing_alg_values_supported", [["RS256"]]),
        ("response_types_supported", ["code"]),
    ],
)
def test_a_platform_that_lacks_what_lti_needs_is_refused(name: str, value: Any) -> None:
    assert refusal(configuration(**{name: value})) == "configuration_unfit"


@pytest.mark.parametrize(
    "issuer",
    [
        "https://elsewhere.example.org",
        "https://moodle.example.org.elsewhere.example.org",
        "https://example.org",
        "https://sub.moodle.example.org",
        "http://moodle.example.org",
        "https://moodle.example.org:8443",
        "https://moodle.example.org@elsewhere.example.org",
    ],
)
def test_an_issuer_of_another_host_is_refused(issuer: str) -> None:
    assert refusal(configuration(issuer=issuer)) == "issuer_foreign"


@pytest.mark.parametrize(
    "issuer", ["https://moodle.example.org/", "https://MOODLE.example.org:443", "https://moodle.example.org/a"]
)
def test_an_issuer_of_the_same_host_is_kept_as_it_is_written(issuer: str) -> None:
    assert read(configuration(issuer=issuer)).issuer == issuer


def test_odd_lists_are_passed_over() -> None:
    odd = read(
        configuration(scopes_supported={"a": 1}, **{PLATFORM: {"messages_supported": ["text", {"type": 7}, {}]}})
    )
    assert (odd.scopes, odd.messages, odd.profile) == (frozenset(), {}, "generic")


def test_we_introduce_ourselves_as_the_specification_asks() -> None:
    said = registration_document(OURS, read(configuration()))
    tool = said.pop(TOOL)
    assert said == {
        "application_type": "web",
        "response_types": ["id_token"],
        "grant_types": ["client_credentials", "implicit"],
        "initiate_login_uri": "https://gatehouse.example.org/lti/login",
        "redirect_uris": ["https://gatehouse.example.org/lti/launch"],
        "client_name": "Gatehouse",
        "jwks_uri": "https://gatehouse.example.org/lti/jwks.json",
        "token_endpoint_auth_method": "private_key_jwt",
        "scope": " ".join(SCOPES),
    }
    assert tool["domain"] == "gatehouse.example.org"
    assert tool["target_link_uri"] == "https://gatehouse.example.org/lti/launch"
    assert tool["claims"] == list(CLAIMS) == ["iss", "sub", "name", "email"]
    assert tool["custom_parameters"] == {}


def test_picking_content_is_offered_in_the_content_area_where_there_is_one() -> None:
    tool = registration_document(OURS, read(configuration()))[TOOL]
    link, picking = tool["messages"]
    assert link["type"] == "LtiResourceLinkRequest"
    assert picking["type"] == "LtiDeepLinkingRequest"
    assert picking["target_link_uri"] == "https://gatehouse.example.org/lti/launch"
    assert picking["placements"] == ["ContentArea"]
    bare = registration_document(OURS, read(described(messages_supported=[])))[TOOL]["messages"]
    assert [sorted(each) for each in bare] == [["label", "target_link_uri", "type"]] * 2


def test_a_review_is_offered_only_where_the_platform_knows_it() -> None:
    rows = [{"type": "LtiSubmissionReviewRequest"}]
    types = [
        each["type"] for each in registration_document(OURS, read(described(messages_supported=rows)))[TOOL]["messages"]
    ]
    assert types[2:] == ["LtiSubmissionReviewRequest"]


@pytest.mark.parametrize("scope", RARE_SCOPES)
def test_groups_and_notices_are_asked_for_only_where_they_are_listed(scope: str) -> None:
    document = registration_document(OURS, read(configuration(scopes_supported=["openid", scope])))
    assert document["scope"].split() == [*SCOPES, scope]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"client_id": "c-1", TOOL: {"deployment_id": "3"}}, Answer("c-1", "3")),
        ({"client_id": "c-1", TOOL: {"deployment_id": 3}}, Answer("c-1", "3")),
        ({"client_id": 10000000000042}, Answer("10000000000042", None)),
        ({"client_id": "c-1", TOOL: {}}, Answer("c-1", None)),
        ({"client_id": "c-1", TOOL: {"deployment_id": ""}}, Answer("c-1", None)),
        ({"client_id": "c-1", TOOL: []}, Answer("c-1", None)),
    ],
)
def test_the_answer_gives_a_client_id_and_perhaps_a_deployment(document: Any, expected: Answer) -> None:
    assert read_answer(json.dumps(document).encode()) == expected


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"client_id": ""},
        {"client_id": "  "},
        {"client_id": True},
        {"client_id": ["c-1"]},
        {"client_id": "x" * 256},
        {"client_id": "a\x00b"},
        {"client_id": "\ud800"},
        {"client_id": "c-1", TOOL: {"deployment_id": {"id": 1}}},
        {"client_id": "c-1", TOOL: {"deployment_id": "x" * 256}},
        [],
        "text",
    ],
)
def test_an_answer_that_cannot_be_kept_is_refused(document: Any) -> None:
    with pytest.raises(BadInput) as refused:
        read_answer(json.dumps(document).encode())
    assert refused.value.code == "registration_answer_unreadable"


def test_parameters_are_read_whether_they_are_added_with_an_ampersand_or_a_second_question_mark() -> None:
    url = "https://moodle.example.org/c?a=1"
    proper = {"invitation": "tok", "openid_configuration": url, "registration_token": "jwt"}
    hanging = {"invitation": f"tok?openid_configuration={url}", "registration_token": "jwt"}
    assert read_asked(proper) == read_asked(hanging)
    assert read_asked({"invitation": "tok?registration_token=jwt", "openid_configuration": url}) == read_asked(proper)
    assert read_asked({}).invitation == ""


@pytest.mark.parametrize("token", ["a b", "a\r\nX-Header: 1", "é", "x" * 4097])
def test_a_registration_token_that_cannot_stand_in_a_header_is_refused(token: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_asked({"registration_token": token})
    assert refused.value.code == "registration_token_wrong"


@pytest.mark.parametrize("url", ["moodle", "javascript:alert(1)", "https://a b\x00", "https://a/" + "b" * 3000])
def test_what_is_no_address_of_a_configuration_is_refused(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_asked({"openid_configuration": url})
    assert refused.value.code == "registration_address_wrong"
