"""What speaks against a platform that registered itself: that it would speak for people or services of another."""

from dataclasses import replace

import pytest

from lti_tool.lti.quirks import PROFILES
from lti_tool.lti.registration import Registration, doubts

KNOWN = Registration(
    id=1,
    issuer="https://lms.example.org",
    client_id="client-1",
    auth_login_url="https://lms.example.org/auth",
    token_url="https://lms.example.org/token",
    key_set_url="https://lms.example.org/keys",
    token_audience=None,
    profile=PROFILES["generic"],
    old_roles=False,
    status="active",
    deployment_ids=frozenset({"1"}),
    service_origins=frozenset({"https://api.example.org"}),
)
AGAIN = replace(KNOWN, id=2, client_id="client-2", status="pending", came_by="dynamic", service_origins=frozenset())
STRANGER = replace(
    AGAIN,
    issuer="https://other.example.org",
    auth_login_url="https://other.example.org/auth",
    token_url="https://other.example.org/token",
    key_set_url="https://other.example.org/keys",
)
# Another site at the same address: what one page of it says need not be what the platform says.
OTHER_KEYS = replace(AGAIN, key_set_url="https://lms.example.org/~somebody/keys")


def test_a_platform_of_its_own_and_a_second_client_of_one_raise_no_doubt() -> None:
    assert doubts(STRANGER, [KNOWN, STRANGER]) == []
    assert doubts(AGAIN, [KNOWN, AGAIN]) == []


def test_other_keys_for_a_known_issuer_could_sign_in_as_anybody() -> None:
    (doubt,) = doubts(OTHER_KEYS, [KNOWN, OTHER_KEYS])
    assert "https://lms.example.org is registered here already (platform 1)" in doubt


def test_a_platform_that_was_switched_off_is_still_known() -> None:
    assert doubts(OTHER_KEYS, [replace(KNOWN, status="disabled")])


def test_who_was_declined_once_does_not_vouch_for_the_next() -> None:
    assert doubts(OTHER_KEYS, [KNOWN, replace(OTHER_KEYS, id=3, status="disabled")])


def test_what_nobody_has_decided_on_yet_stands_in_nobodys_way() -> None:
    assert doubts(OTHER_KEYS, [replace(KNOWN, status="pending")]) == []


@pytest.mark.parametrize("name", ["auth_login_url", "token_url", "key_set_url"])
@pytest.mark.parametrize(
    "taken", ["https://lms.example.org/x", "https://LMS.example.org:443/", "https://api.example.org/"]
)
def test_another_platforms_hosts_could_be_asked_for_its_tokens(name: str, taken: str) -> None:
    (doubt,) = doubts(replace(STRANGER, **{name: taken}), [KNOWN])
    assert "belong to platform 1" in doubt
