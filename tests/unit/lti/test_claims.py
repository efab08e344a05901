"""The claims of a message as one value, from what the platforms really send."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lti_tool.errors import RefusedLaunch
from lti_tool.lti.claims import AGS, GROUPS, LTI, NOTICES, NRPS, Ags, DeepLinkingSettings, Launch, load_launch
from lti_tool.lti.quirks import PROFILES
from lti_tool.lti.registration import Registration
from lti_tool.lti.roles import INSTITUTION, SYSTEM
from tests.clock import START
from tests.platform import ABSENT, Platform

REGISTRATION = Registration(
    id=1,
    issuer="https://lms.example.org",
    client_id="client-1",
    auth_login_url="https://lms.example.org/auth",
    token_url="https://lms.example.org/token",
    key_set_url="https://lms.example.org/keys",
    token_audience=None,
    profile=PROFILES["openedx"],
    old_roles=False,
    status="active",
    deployment_ids=frozenset({"1"}),
)


def loaded(changed: dict[str, Any], old_roles: bool = False) -> Launch:
    return load_launch(Platform().claims("nonce", START, **changed), replace(REGISTRATION, old_roles=old_roles))


def test_old_role_style_counts_only_where_the_registration_says_so() -> None:
    old_style = {"roles": [INSTITUTION + "Instructor", SYSTEM + "None"]}
    assert not loaded(old_style).is_staff
    assert loaded(old_style, old_roles=True).is_staff


@pytest.mark.parametrize("value", ["", "  ", "$Unresolved.Variable", "${unresolved}"])
def test_an_empty_or_unresolved_custom_parameter_is_missing(value: str) -> None:
    claims = Platform().claims("nonce", START, custom={"module_id": value})
    assert load_launch(claims, REGISTRATION).custom_value("module_id") is None


def test_a_name_is_put_together_from_its_parts_when_it_comes_in_parts() -> None:
    claims = Platform().claims("nonce", START, name=None, given_name="Maya", family_name="Example")
    assert load_launch(claims, REGISTRATION).name == "Maya Example"


def test_the_smallest_launch_that_open_edx_sends_is_read() -> None:
    claims = Platform().claims("nonce", START)
    smallest = {name: value for name, value in claims.items() if name not in ("name", "email") and "lti-" not in name}
    launch = load_launch(smallest, REGISTRATION)
    assert (launch.name, launch.email, launch.ags, launch.memberships_url) == (None, None, None, None)


# A launch as Moodle 4.5 sends it: short context type, its own custom values, empty texts, lists for empty objects.
MOODLE: dict[str, Any] = {
    "given_name": "Maya",
    "family_name": "",
    "resource_link": {"id": "12", "title": "Graded", "description": ""},
    "context": {"id": "2", "label": "LTI101", "title": "First course & co", "type": ["CourseSection"]},
    "custom": {"level": "7", "groups": "", "bogus": "$No.Such.Variable", "module_id": "F1", "number": 3, "flag": True},
    LTI + "lis": {"course_section_sourcedid": "", "person_sourcedid": ""},
    LTI + "launch_presentation": [],
    AGS: {"scope": [], "lineitems": "https://moodle.example.org/lineitems?type_id=1", "lineitem": ""},
    NRPS: [],
}


def test_a_launch_as_moodle_sends_it_is_read() -> None:
    launch = loaded(MOODLE)
    assert (launch.resource_link_id, launch.resource_link_title) == ("12", "Graded")
    assert (launch.context_id, launch.context_title) == ("2", "First course & co")
    assert (launch.custom_value("module_id"), launch.custom_value("bogus"), launch.custom_value("groups")) == (
        "F1",
        None,
        None,
    )
    assert launch.custom["number"] == "3"
    assert "flag" not in launch.custom
    assert launch.ags is not None
    assert (launch.ags.line_item_url, launch.ags.line_items_url) == (
        None,
        "https://moodle.example.org/lineitems?type_id=1",
    )
    assert launch.memberships_url is None


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({"context": {}}, "context_id"),
        ({"context": []}, "context_title"),
        ({"context": {"id": "", "title": "", "label": None}}, "context_id"),
        ({"context": {"id": "1", "title": "", "label": ""}}, "context_title"),
        ({"resource_link": {"id": "1", "title": ""}}, "resource_link_title"),
        ({"email": ""}, "email"),
        ({"name": "", "given_name": None}, "name"),
        ({"name": " "}, "name"),
        ({AGS: []}, "ags"),
        ({NRPS: {"context_memberships_url": ""}}, "memberships_url"),
        ({GROUPS: {"context_groups_url": ""}}, "groups_url"),
        ({NOTICES: {"notice_types_supported": ["LtiHelloWorldNotice"]}}, "notices"),
        ({"target_link_uri": ""}, "target_link_uri"),
    ],
)
def test_what_is_left_empty_is_missing(changed: dict[str, Any], missing: str) -> None:
    assert getattr(loaded(changed), missing) is None


@pytest.mark.parametrize("custom", [{"module_id": None}, {"module_id": ["F1"]}, ["module_id"], "module_id", 7, None])
def test_custom_parameters_of_odd_kinds_name_nothing(custom: object) -> None:
    assert loaded({"custom": custom}).custom_value("module_id") is None


def test_groups_and_notices_are_read_where_they_are_offered() -> None:
    launch = loaded(
        {
            GROUPS: {"scope": ["a-scope"], "context_groups_url": "https://lms.example.org/groups"},
            NOTICES: {
                "platform_notification_service_url": "https://lms.example.org/notices",
                "notice_types_supported": ["LtiContextCopyNotice", "LtiHelloWorldNotice"],
            },
        }
    )
    assert launch.groups_url == "https://lms.example.org/groups"
    assert launch.notices is not None
    assert launch.notices.url == "https://lms.example.org/notices"
    assert launch.notices.notice_types == ("LtiContextCopyNotice", "LtiHelloWorldNotice")


def deep_linking(**changed: Any) -> DeepLinkingSettings:
    found = load_launch(Platform().deep_linking_claims("nonce", START, **changed), REGISTRATION).deep_linking
    assert found is not None
    return found


def test_the_settings_of_open_edx_are_read() -> None:
    """Its request carries no data, empty title and text, and lets several items through."""
    settings = deep_linking(
        settings_accept_types=["link", "file", "html", "ltiResourceLink", "image"],
        settings_auto_create=True,
        settings_title="",
        settings_text="",
    )
    assert settings.accept_types == ("link", "file", "html", "ltiResourceLink", "image")
    assert (settings.accept_multiple, settings.accept_line_item) == (True, None)
    assert (settings.data, settings.title, settings.text) == (None, None, None)


def test_one_item_is_allowed_unless_the_platform_says_more() -> None:
    assert deep_linking(settings_accept_multiple=ABSENT).accept_multiple is False
    assert deep_linking(settings_accept_multiple=None, settings_accept_lineitem=False).accept_line_item is False


@given(data=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200))
def test_data_is_kept_as_it_came(data: str) -> None:
    assert deep_linking(settings_data=data).data == data


def test_data_may_be_long() -> None:
    assert deep_linking(settings_data="d" * 60_000).data == "d" * 60_000


@pytest.mark.parametrize(
    "changed",
    [
        {"settings_accept_multiple": "perhaps"},
        {"settings_data": "d" * 65_537},
        {"settings_data": {"a": 1}},
        {"settings_deep_link_return_url": "https://lms.example.org/" + "r" * 8192},
    ],
)
def test_what_cannot_be_read_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(RefusedLaunch) as refused:
        deep_linking(**changed)
    assert refused.value.code == "claims_wrong"


def test_the_learner_under_review_is_read() -> None:
    review = load_launch(Platform().review_claims("nonce", START, of="user-9"), REGISTRATION)
    assert review.for_user == "user-9"


def test_a_deep_linking_request_needs_neither_link_nor_target() -> None:
    launch = load_launch(Platform().deep_linking_claims("nonce", START), REGISTRATION)
    assert (launch.resource_link_id, launch.target_link_uri) == (None, None)
    assert launch.deep_linking is not None


def test_names_titles_and_custom_values_are_cleaned() -> None:
    sent = {
        "name": "Marie\u00a0Lefevre\u200b",
        "context": {"id": "c", "title": "Mod\u00adule\u30001"},
        "custom": {"module_id": "F1\u200b\u00a0"},
    }
    launch = loaded(sent)
    assert (launch.name, launch.context_title, launch.custom_value("module_id")) == ("Marie Lefevre", "Module 1", "F1")


def test_a_title_stays_within_its_length_when_its_letters_are_two_each_in_nfc() -> None:
    launch = loaded({"context": {"id": "c", "title": "\u0958" * 255}})
    assert launch.context_title == ("\u0915\u093c" * 128)[:255]


@pytest.mark.parametrize("odd", [7, ["a@example.org"], {"a": 1}, True, "\x00", "\ud800"])
def test_what_is_only_shown_is_absent_when_it_is_no_text(odd: Any) -> None:
    title = {"id": "course-1", "title": odd, "label": odd}
    link = {"id": "unit-1", "title": odd}
    launch = loaded({"name": odd, "given_name": odd, "email": odd, "context": title, "resource_link": link})
    assert (launch.name, launch.email) == (None, None)
    assert (launch.context_id, launch.context_title) == ("course-1", None)
    assert (launch.resource_link_id, launch.resource_link_title) == ("unit-1", None)


def test_an_address_that_is_too_long_is_absent_and_a_name_is_cut() -> None:
    launch = loaded({"email": "x" * 256, "name": "n" * 256})
    assert (launch.email, launch.name) == (None, "n" * 255)


@pytest.mark.parametrize(
    "odd",
    [
        {"scope": "https://purl.imsglobal.org/spec/lti-ags/scope/score", "lineitem": "https://lms.example.org/1"},
        {"scope": [7]},
        {"lineitem": ["https://lms.example.org/1"]},
        {"lineitems": "https://lms.example.org/" + "x" * 2048},
        "https://lms.example.org/1",
        [1],
        7,
    ],
)
def test_an_offer_of_grades_that_cannot_be_read_offers_none(odd: Any) -> None:
    assert loaded({AGS: odd}).ags == Ags(None, None, (), is_unreadable=True)


def test_other_services_that_cannot_be_read_are_not_offered() -> None:
    odd = {NRPS: "here", GROUPS: [1], NOTICES: {"notice_types_supported": [None]}, LTI + "for_user": {}}
    launch = loaded(odd)
    assert (launch.memberships_url, launch.groups_url, launch.notices, launch.for_user) == (None, None, None, None)
