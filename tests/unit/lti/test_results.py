"""What a platform's gradebook holds for one person."""

import json
from typing import Any

import pytest
import responses

from lti_tool.db import Database
from lti_tool.errors import PlatformRefused
from lti_tool.lti.line_items import Result, fetch_result, results_url
from lti_tool.lti.platform_api import PlatformApi
from tests.clock import TestClock
from tests.platform import Platform

pytestmark = pytest.mark.databases("sqlite")

ITEM = "https://lms.example.org/lineitems/7"
RESULT = {"id": f"{ITEM}/results/1", "userId": "user+1", "resultScore": 83, "resultMaximum": 100, "comment": "Well."}
READ = Result("user+1", 83, 100, "Well.")


@pytest.mark.parametrize(
    ("line_item", "form", "expected"),
    [
        (ITEM, "path", f"{ITEM}/results/user%2B1"),
        (ITEM, "query", f"{ITEM}/results?user_id=user%2B1"),
        (f"{ITEM}?type_id=1", "query", f"{ITEM}/results?type_id=1&user_id=user%2B1"),
        (f"{ITEM}?type_id=1", "path", f"{ITEM}/results/user%2B1?type_id=1"),
    ],
)
def test_one_person_is_asked_for_in_either_form(line_item: str, form: str, expected: str) -> None:
    assert results_url(line_item, "user+1", form) == expected


@pytest.mark.parametrize(
    ("profile", "url"),
    [
        ("openedx", f"{ITEM}/results/user%2B1"),
        ("moodle", f"{ITEM}/results?user_id=user%2B1"),
        ("canvas", f"{ITEM}/results?user_id=user%2B1"),
        ("generic", f"{ITEM}/results?user_id=user%2B1"),
    ],
)
def test_the_form_is_the_one_of_the_platform(
    profile: str, url: str, api: PlatformApi, database: Database, clock: TestClock, generous: responses.RequestsMock
) -> None:
    registered = Platform(client_id=profile, profile=profile).register(database, clock())
    generous.get(url, json=[RESULT])
    assert fetch_result(api, registered.registration_id, ITEM, "user+1") == READ
    sent = generous.calls[-1].request
    assert sent.headers["Accept"] == "application/vnd.ims.lis.v2.resultcontainer+json"
    assert "limit" not in str(sent.url)


@pytest.fixture
def url() -> str:
    return f"{ITEM}/results/user%2B1"


def fetch(api: PlatformApi, platform: Platform) -> Result | None:
    return fetch_result(api, platform.registration_id, ITEM, "user+1")


def test_a_platform_that_answers_with_everybody_is_filtered(
    url: str, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.get(url, json=[{**RESULT, "userId": "user-2"}, {**RESULT, "userId": "USER+1"}, RESULT])
    assert fetch(api, platform) == READ


def test_only_other_people_mean_no_result(
    url: str, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.get(url, json=[{**RESULT, "userId": "user-2"}])
    assert fetch(api, platform) is None


def test_a_result_alone_is_read_too(
    url: str, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.get(url, json=RESULT)
    assert fetch(api, platform) == READ


def test_a_row_without_a_grade_is_a_result_without_one(
    url: str, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.get(url, json=[{"userId": "user+1", "timestamp": "2026-12-01T18:00:00Z", "comment": 5}])
    assert fetch(api, platform) == Result("user+1", None, None, None)


def test_a_person_on_a_later_page_is_found(
    url: str, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.get(url, json=[], headers={"Link": f'<{ITEM}/results?page=2>; rel="next"'})
    generous.get(f"{ITEM}/results?page=2", json=[RESULT])
    assert fetch(api, platform) == READ


@pytest.mark.parametrize(
    "answer",
    [
        None,
        7,
        "text",
        [7],
        [[]],
        {},
        [{}],
        [{**RESULT, "userId": None}],
        [{**RESULT, "userId": ["user+1"]}],
        [{**RESULT, "resultScore": "83"}],
        [{**RESULT, "resultScore": True}],
        [{**RESULT, "resultMaximum": {}}],
        [RESULT, {"userId": "user-2", "resultScore": "none"}],
    ],
)
def test_what_is_no_list_of_results_is_unreadable(
    answer: Any, url: str, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.get(url, body=json.dumps(answer))
    with pytest.raises(PlatformRefused) as refused:
        fetch(api, platform)
    assert refused.value.code == "results_unreadable"


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_refusal_is_told(
    status: int, url: str, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.get(url, status=status)
    with pytest.raises(PlatformRefused) as refused:
        fetch(api, platform)
    assert (refused.value.code, refused.value.answered) == ("results_refused", status)
