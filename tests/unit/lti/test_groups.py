"""Groups of a course over the wire."""

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
import responses

from lti_tool.errors import AddressRefused, PlatformRefused
from lti_tool.lti.nrps import Group, fetch_groups
from lti_tool.lti.platform_api import PlatformApi
from tests.platform import Platform

pytestmark = pytest.mark.databases("sqlite")

URL = "https://lms.example.org/api/groups"


def refused_code(api: PlatformApi, platform: Platform) -> str:
    with pytest.raises(PlatformRefused) as refused:
        fetch_groups(api, platform.registration_id, URL)
    return refused.value.code


def test_the_groups_of_all_pages_are_read(
    api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.get(URL, json={"id": URL, "groups": [{"id": "g1", "name": "Cohort A", "tag": "x", "set_id": "s"}]},
                 headers={"Link": f'<{URL}?page=2>; rel="next"'})  # fmt: skip
    generous.get(f"{URL}?page=2", json={"groups": [{"id": 2}]})
    assert fetch_groups(api, platform.registration_id, URL) == [Group("g1", "Cohort A"), Group("2", "2")]
    token, asked = generous.calls[0].request, generous.calls[1].request
    assert parse_qs(str(token.body))["scope"] == ["https://purl.imsglobal.org/spec/lti-gs/scope/contextgroup.readonly"]
    assert asked.headers["Accept"] == "application/vnd.ims.lti-gs.v1.contextgroupcontainer+json"


@pytest.mark.parametrize("answer", [None, [], {}, {"groups": {}}, {"groups": ["g1"]}, {"groups": [{"name": "A"}]}])
def test_what_is_no_list_of_groups_is_unreadable(
    answer: Any, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.get(URL, body=json.dumps(answer))
    assert refused_code(api, platform) == "groups_unreadable"


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusal_is_told(status: int, api: PlatformApi, platform: Platform, generous: responses.RequestsMock) -> None:
    generous.get(URL, status=status)
    assert refused_code(api, platform) == "groups_refused"


def test_no_token_goes_to_another_host(api: PlatformApi, platform: Platform) -> None:
    with pytest.raises(AddressRefused):
        fetch_groups(api, platform.registration_id, "https://evil.example/groups")
