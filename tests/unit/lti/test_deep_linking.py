"""The signed answer to a deep linking request, claim by claim (lti.md DL-3 to DL-7), and where it may be sent."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import jwt
import pytest

from lti_tool.errors import BadInput, RefusedLaunch
from lti_tool.http import Http
from lti_tool.lti.claims import DL, LTI, DeepLinkingSettings
from lti_tool.lti.deep_linking import ContentItem, item_claim, offered_type, sign_response, verify_return_url
from lti_tool.lti.keys import ToolKey
from lti_tool.lti.line_items import NewLineItem
from lti_tool.lti.quirks import PROFILES
from lti_tool.lti.registration import Registration
from tests.platform import KEY, OTHER_KEY

NOW = datetime.fromisoformat("2026-12-01T18:00:00.250000+00:00")
TOOL_KEY = ToolKey("kid-1", KEY, {}, NOW, NOW, None)
REGISTRATION = Registration(
    id=1,
    issuer="https://lms.example.org",
    client_id="client-1",
    auth_login_url="https://lms.example.org/auth",
    token_url="https://api.lms.example.org/token",
    key_set_url="https://lms.example.org/keys",
    token_audience=None,
    profile=PROFILES["openedx"],
    old_roles=False,
    status="active",
    deployment_ids=frozenset({"1"}),
    service_origins=frozenset({"https://files.lms.example.org"}),
)
SETTINGS = DeepLinkingSettings(
    return_url="https://lms.example.org/return",
    accept_types=("ltiResourceLink", "link"),
    accept_multiple=True,
    accept_line_item=None,
    data='csrf: "a+b/c" é\n',
    title=None,
    text=None,
)
ITEM = ContentItem(
    "ltiResourceLink",
    "https://gatehouse.example.org/modules/F1",
    "Module 1: Introduction",
    text="A first day",
    custom={"module_id": "F1", "score": "ce"},
    score=NewLineItem("Module 1", 100, "module:F1", "ce"),
)


def signed(*items: ContentItem, settings: DeepLinkingSettings = SETTINGS) -> str:
    return sign_response(TOOL_KEY, REGISTRATION, "1", settings, items, "The link is ready.", NOW)


def read(token: str, key: Any = KEY, audience: str = "https://lms.example.org") -> Mapping[str, Any]:
    """What the platform reads, at the moment it was signed."""
    options = {"verify_exp": False, "verify_iat": False, "require": ["iss", "aud", "iat", "exp", "nonce"]}
    return jwt.decode(token, key.public_key(), algorithms=["RS256"], audience=audience, options=options)


def test_the_answer_says_who_sends_it_to_whom_and_for_what() -> None:
    claims = read(signed(ITEM))
    assert (claims["iss"], claims["aud"]) == ("client-1", "https://lms.example.org")
    assert claims[LTI + "message_type"] == "LtiDeepLinkingResponse"
    assert claims[LTI + "version"] == "1.3.0"
    assert claims[LTI + "deployment_id"] == "1"
    assert claims[DL + "msg"] == "The link is ready."
    assert jwt.get_unverified_header(signed(ITEM)) == {"alg": "RS256", "kid": "kid-1", "typ": "JWT"}


def test_it_was_issued_seconds_ago_and_lives_five_minutes() -> None:
    claims = read(signed(ITEM))
    issued, ends = (datetime.fromtimestamp(claims[name], NOW.tzinfo) for name in ("iat", "exp"))
    assert timedelta(seconds=5) <= NOW - issued < timedelta(seconds=7), "Moodle refuses one that comes from its future"
    assert timedelta(minutes=4, seconds=59) <= ends - NOW <= timedelta(minutes=5)


def test_every_answer_has_a_nonce_of_its_own() -> None:
    nonces = {read(signed(ITEM))["nonce"] for _ in range(3)}
    assert len(nonces) == 3
    assert all(len(each) >= 22 for each in nonces)


def test_data_goes_back_byte_for_byte_and_is_left_out_when_none_was_given() -> None:
    assert read(signed(ITEM))[DL + "data"] == SETTINGS.data
    assert read(signed(ITEM, settings=replace(SETTINGS, data="")))[DL + "data"] == ""
    assert DL + "data" not in read(signed(ITEM, settings=replace(SETTINGS, data=None)))


def test_an_answer_changed_on_its_way_or_for_somebody_else_does_not_verify() -> None:
    token = signed(ITEM)
    with pytest.raises(jwt.InvalidSignatureError):
        read(token, OTHER_KEY)
    with pytest.raises(jwt.InvalidAudienceError):
        read(token, audience="https://other.example.org")
    head, body, signature = token.split(".")
    other_body = signed(replace(ITEM, title="Another")).split(".")[1]
    with pytest.raises(jwt.InvalidSignatureError):
        read(f"{head}.{other_body}.{signature}")
    assert body != other_body


def test_a_picked_item_carries_address_title_custom_and_line_item() -> None:
    (item,) = read(signed(ITEM))[DL + "content_items"]
    assert item == {
        "type": "ltiResourceLink",
        "url": "https://gatehouse.example.org/modules/F1",
        "title": "Module 1: Introduction",
        "text": "A first day",
        "custom": {"module_id": "F1", "score": "ce"},
        "lineItem": {"label": "Module 1", "scoreMaximum": 100, "resourceId": "module:F1", "tag": "ce"},
    }


def test_nothing_in_an_item_is_empty_or_null() -> None:
    bare = replace(ITEM, text="", custom={"module_id": ""}, score=None)
    assert set(item_claim(bare, SETTINGS)) == {"type", "url", "title"}


def test_texts_stay_within_what_platforms_keep() -> None:
    score = NewLineItem("l" * 300, 100, "r", "t" * 300)
    item = item_claim(replace(ITEM, title="t" * 300, score=score), SETTINGS)
    assert (len(item["title"]), len(item["lineItem"]["label"]), len(item["lineItem"]["tag"])) == (255, 100, 50)


@pytest.mark.parametrize(("accepts", "comes"), [(None, True), (True, True), (False, False)])
def test_a_line_item_comes_unless_the_platform_says_that_it_takes_none(accepts: bool | None, comes: bool) -> None:
    assert ("lineItem" in item_claim(ITEM, replace(SETTINGS, accept_line_item=accepts))) is comes


def test_a_plain_link_carries_nothing_that_only_a_launch_could_bring() -> None:
    assert set(item_claim(replace(ITEM, type="link"), SETTINGS)) == {"type", "url", "title", "text"}


@pytest.mark.parametrize(
    ("accepted", "offered"),
    [
        (("link", "ltiResourceLink", "file"), "ltiResourceLink"),
        (("html", "link"), "link"),
        (("file", "image", "html"), None),
        (("LTIRESOURCELINK",), None),
        ((), None),
    ],
)
def test_the_better_of_the_accepted_types_is_offered(accepted: tuple[str, ...], offered: str | None) -> None:
    assert offered_type(replace(SETTINGS, accept_types=accepted)) == offered


def test_a_type_that_was_not_asked_for_is_never_signed() -> None:
    with pytest.raises(BadInput) as refused:
        signed(ITEM, settings=replace(SETTINGS, accept_types=("link",)))
    assert refused.value.code == "deep_link_type_refused"


def test_two_items_are_never_signed_where_one_is_taken() -> None:
    one_only = replace(SETTINGS, accept_multiple=False)
    assert read(signed(ITEM, settings=one_only))
    with pytest.raises(BadInput) as refused:
        signed(ITEM, ITEM, settings=one_only)
    assert refused.value.code == "deep_link_one_only"


def test_who_cancels_sends_no_items_and_a_message() -> None:
    claims = read(signed())
    assert claims[DL + "content_items"] == []
    assert claims[DL + "msg"]


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://lms.example.org/return?sesskey=a&b=%3Cscript%3E", "https://lms.example.org"),
        ("https://LMS.example.org:443/return", "https://lms.example.org"),
        ("https://api.lms.example.org/return", "https://api.lms.example.org"),
        ("https://files.lms.example.org/return", "https://files.lms.example.org"),
    ],
)
def test_the_answer_goes_to_a_host_of_the_platform(url: str, origin: str) -> None:
    assert verify_return_url(REGISTRATION, url, Http().check_url) == origin


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://lms.example.org/return", "return_url_refused"),
        ("javascript:alert(1)", "return_url_refused"),
        ("data:text/html,<form>", "return_url_refused"),
        ("//lms.example.org/return", "return_url_refused"),
        ("", "return_url_refused"),
        ("https://lms.example.org@evil.example/", "return_url_refused"),
        ("https://lms.example.org\\@evil.example/", "return_url_refused"),
        ("https://lms.example.org/ return", "return_url_refused"),
        ("https://lms.example.org:99999/", "return_url_refused"),
        ("https://127.0.0.1/return", "return_url_refused"),
        ("https://evil.example/return", "return_url_foreign"),
        ("https://lms.example.org.evil.example/return", "return_url_foreign"),
        ("https://lms.example.org:8443/return", "return_url_foreign"),
    ],
)
def test_the_answer_goes_nowhere_else(url: str, code: str) -> None:
    with pytest.raises(RefusedLaunch) as refused:
        verify_return_url(REGISTRATION, url, Http().check_url)
    assert refused.value.code == code


def test_http_is_for_a_site_that_allows_private_addresses() -> None:
    local = replace(REGISTRATION, auth_login_url="http://localhost:8000/auth")
    url, check = "http://localhost:8000/return", Http(allow_private_addresses=True).check_url
    assert verify_return_url(local, url, check) == "http://localhost:8000"
