"""What roles and custom parameters mean."""

import pytest

from lti_tool.lti.claims import INSTITUTION, MEMBERSHIP, SYSTEM, is_teacher, load_launch
from lti_tool.lti.quirks import PROFILES
from lti_tool.lti.registration import Registration
from tests.clock import START
from tests.platform import Platform

ASSISTANT = "http://purl.imsglobal.org/vocab/lis/v2/membership/Instructor#TeachingAssistant"

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


@pytest.mark.parametrize(
    "roles",
    [
        [MEMBERSHIP + "Instructor"],
        [MEMBERSHIP + "Administrator", INSTITUTION + "None"],
        ["Instructor"],
        [MEMBERSHIP + "Learner", MEMBERSHIP + "Instructor"],
        [INSTITUTION + "Staff", "Other", MEMBERSHIP + "Instructor"],
    ],
)
def test_a_teacher_of_the_course_is_staff(roles: list[str]) -> None:
    assert is_teacher(roles, old_roles=False)


@pytest.mark.parametrize(
    "roles",
    [
        [],
        [""],
        [MEMBERSHIP + "Learner"],
        ["Learner"],
        ["instructor"],
        ["unknown/role#Helper"],
        [ASSISTANT],
        [ASSISTANT, MEMBERSHIP + "Learner"],
        [MEMBERSHIP + "Instructor#TeachingAssistant"],
        [INSTITUTION + "Instructor"],
        [INSTITUTION + "Administrator", SYSTEM + "Administrator"],
        [SYSTEM + "SysAdmin"],
    ],
)
def test_everybody_else_is_a_learner(roles: list[str]) -> None:
    assert not is_teacher(roles, old_roles=False)


def test_old_role_style_counts_only_where_the_registration_says_so() -> None:
    assert is_teacher([INSTITUTION + "Instructor"], old_roles=True)
    assert is_teacher([SYSTEM + "Administrator"], old_roles=True)
    assert not is_teacher([INSTITUTION + "Student", SYSTEM + "None"], old_roles=True)


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
