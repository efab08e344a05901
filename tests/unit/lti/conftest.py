"""A registered platform, and the tool's door to its services."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
import responses

from lti_tool.db import Database
from lti_tool.http import Http
from lti_tool.lti.keys import ToolKeys
from lti_tool.lti.platform_api import PlatformApi
from tests.clock import TestClock
from tests.platform import Platform


@pytest.fixture
def keys(database: Database, clock: TestClock) -> ToolKeys:
    return ToolKeys(database, clock)


@pytest.fixture
def api(database: Database, keys: ToolKeys, clock: TestClock) -> PlatformApi:
    return PlatformApi(database, Http(), keys, clock)


@pytest.fixture
def platform(database: Database, clock: TestClock) -> Platform:
    return Platform().register(database, clock())


@pytest.fixture
def generous(platform: Platform) -> Iterator[responses.RequestsMock]:
    """The platform on the wire: its token service gives every scope that is asked for."""

    def give(request: Any) -> tuple[int, dict[str, str], str]:
        asked = parse_qs(request.body)["scope"][0]
        return 200, {}, json.dumps({"access_token": "token-1", "token_type": "bearer", "scope": asked})

    with responses.RequestsMock(assert_all_requests_are_fired=False) as wire:
        wire.add_callback("POST", platform.token_url, give)
        yield wire
