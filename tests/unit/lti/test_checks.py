"""Where picked content may be sent back to."""

import pytest

from lti_tool.lti.id_token import DEEP_LINKING_SETTINGS, Candidate, is_return_url_safe
from lti_tool.lti.login import State
from lti_tool.lti.quirks import PROFILES
from lti_tool.lti.registration import Registration
from tests.clock import START


def is_safe(url: str, platform: str) -> bool:
    registration = Registration(
        id=1,
        issuer=platform,
        client_id="client-1",
        auth_login_url=f"{platform}/auth",
        token_url=f"{platform}/token",
        key_set_url=f"{platform}/keys",
        token_audience=None,
        profile=PROFILES["generic"],
        old_roles=False,
        status="active",
        deployment_ids=frozenset({"1"}),
    )
    state = State(1, "user-1", None, "https://gatehouse.example.org/lti/launch", "nonce", START)
    claims = {DEEP_LINKING_SETTINGS: {"deep_link_return_url": url}}
    return is_return_url_safe(Candidate(claims, registration, state, START.timestamp()))


@pytest.mark.parametrize(
    "url",
    [
        "https://lms.example.org/mod/lti/contentitem_return.php?course=2&sesskey=abc",
        "https://elsewhere.example.org/return",
        "HTTPS://lms.example.org/return#fragment",
        "https://lms.example.org/course-v1:Demo+LTI(101)'s,unit;a=b*~!$",
    ],
)
def test_any_https_address_will_do(url: str) -> None:
    assert is_safe(url, "https://lms.example.org")


def test_http_will_do_only_where_the_platform_itself_was_registered_so() -> None:
    """Such a platform takes the setting for private addresses: a sandbox."""
    assert is_safe("http://localhost:8000/return", "http://localhost:8000")
    assert not is_safe("http://localhost:9000/return", "http://localhost:8000")
    assert not is_safe("http://lms.example.org/return", "https://lms.example.org")
