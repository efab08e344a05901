"""Another unit of a platform: only what differs is said."""

import pytest

from lti_tool.errors import BadInput
from lti_tool.lti.quirks import PROFILES
from lti_tool.lti.registration import Registration
from lti_tool.platforms.registered import beside

BASE = "https://lms.example.org/api/lti_consumer/v1"
SIBLING = Registration(
    id=1,
    issuer="https://lms.example.org",
    client_id="client-1",
    auth_login_url=f"{BASE}/launch/",
    token_url=f"{BASE}/token/1111-aaaa",
    key_set_url=f"{BASE}/public_keysets/1111-aaaa",
    token_audience="lms",
    profile=PROFILES["openedx"],
    old_roles=True,
    status="active",
    deployment_ids=frozenset({"1"}),
)


def test_what_is_not_given_is_the_siblings() -> None:
    new = beside(SIBLING, "client-2")
    assert (new.issuer, new.client_id, new.auth_login_url) == ("https://lms.example.org", "client-2", f"{BASE}/launch/")
    assert (new.token_url, new.key_set_url) == (SIBLING.token_url, SIBLING.key_set_url)
    assert (new.token_audience, new.profile, new.old_roles) == ("lms", "openedx", True)


def test_one_of_the_two_addresses_of_an_open_edx_unit_tells_the_other() -> None:
    by_keys = beside(SIBLING, "client-2", key_set_url=f"{BASE}/public_keysets/2222-bbbb")
    by_token = beside(SIBLING, "client-2", token_url=f"{BASE}/token/2222-bbbb")
    assert by_keys == by_token
    assert by_keys.token_url == f"{BASE}/token/2222-bbbb"
    assert by_token.key_set_url == f"{BASE}/public_keysets/2222-bbbb"


def test_both_addresses_are_taken_as_they_are() -> None:
    new = beside(SIBLING, "client-2", key_set_url=f"{BASE}/public_keysets/2", token_url=f"{BASE}/token/3")
    assert (new.key_set_url, new.token_url) == (f"{BASE}/public_keysets/2", f"{BASE}/token/3")


def test_addresses_without_a_common_end_do_not_tell_each_other() -> None:
    moodle = Registration(**{name: getattr(SIBLING, name) for name in SIBLING.__slots__} | {"token_url": "https://m/t"})
    assert beside(moodle, "client-2", key_set_url="https://m/k2").token_url == "https://m/t"


def test_an_address_cut_short_is_refused() -> None:
    with pytest.raises(BadInput) as refused:
        beside(SIBLING, "client-2", key_set_url=f"{BASE}/public_keysets/")
    assert refused.value.code == "unit_address_wrong"
