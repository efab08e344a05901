"""The tool's door to a platform's services."""

import json
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
def generous(platform: Platform, wire: responses.RequestsMock) -> responses.RequestsMock:
    """The platform on the wire: its token service gives every scope that is asked for."""

    def give(request: Any) -> tuple[int, dict[str, str], str]:
        asked = parse_qs(request.body)["scope"][0]
        return 200, {}, json.dumps({"access_token": "token-1", "token_type": "bearer", "scope": asked})

    wire.add_callback("POST", platform.token_url, give)
    return wire
