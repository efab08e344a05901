"""A teacher whom a platform sent to pick what a link opens, and the platform that reads the answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from re import search
from typing import Any

import jwt
import pytest
import responses
from flask import Flask
from flask.testing import FlaskClient
from jwt.algorithms import RSAAlgorithm

from lti_tool.db import Database
from lti_tool.lti.claims import DL
from lti_tool.programme.versions import Published
from tests.clock import TestClock
from tests.platform import Platform
from tests.unit.web.browser import BASE, Page

# The test's clock is not the clock of whoever reads the answer.
AT_ANY_TIME = {"verify_exp": False, "verify_iat": False}


@dataclass
class Teacher:
    """One browser with the session that a deep linking request began, at the page it was sent to."""

    client: FlaskClient
    path: str

    def open(self) -> Page:
        return Page(self.client.get(self.path, base_url=BASE))

    def send(self, page: Page, *picked: str, **fields: str) -> Page:
        """Send the form of a picker; `picked` are ids of choices."""
        data = {"csrf": page.csrf, "choice": list(picked), **fields}
        return Page(self.client.post(self.path, base_url=BASE, data=data))

    def pick(self, *picked: str, **fields: str) -> Page:
        """Open the picker and send its form."""
        return self.send(self.open(), *picked, **fields)


@dataclass
class Sender:
    """The platform of these tests, registered with the tool."""

    app: Flask
    platform: Platform
    clock: TestClock

    def teacher(self, *, user: str = "teacher-1", **changed: Any) -> Teacher:
        """A teacher just arrived; what starts with `settings_` changes what the platform asks for."""
        client = self.app.test_client()
        message = self.platform.deep_linking_claims
        response = self.platform.launch(client, self.clock(), user=user, message=message, **changed)
        assert response.status_code == 303, response.get_data(as_text=True)
        return Teacher(client, response.headers["Location"])

    def read(self, answer: Page) -> Mapping[str, Any]:
        """The claims of an answer, verified with the key set that the tool publishes."""
        found = search(r'name="JWT" value="([^"]+)"', answer.html)
        assert found, answer.text
        token = unescape(found[1])
        published = self.app.test_client().get("/lti/jwks.json").get_json()["keys"]
        jwk = next(each for each in published if each["kid"] == jwt.get_unverified_header(token)["kid"])
        key = RSAAlgorithm.from_jwk(jwk)
        issuer = self.platform.issuer
        return jwt.decode(token, key, algorithms=["RS256"], audience=issuer, options=AT_ANY_TIME)  # type: ignore[arg-type]

    def items(self, answer: Page) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.read(answer)[DL + "content_items"]
        return items


@pytest.fixture
def sender(
    app: Flask, database: Database, clock: TestClock, wire: responses.RequestsMock, published: Published
) -> Sender:
    platform = Platform(profile="generic").register(database, clock())
    platform.serve_keys(wire)
    return Sender(app, platform, clock)


@pytest.fixture
def openedx(
    app: Flask, database: Database, clock: TestClock, wire: responses.RequestsMock, published: Published
) -> Sender:
    platform = Platform("https://openedx.example.org", profile="openedx").register(database, clock())
    platform.serve_keys(wire)
    return Sender(app, platform, clock)


@pytest.fixture
def moodle(
    app: Flask, database: Database, clock: TestClock, wire: responses.RequestsMock, published: Published
) -> Sender:
    platform = Platform("https://moodle.example.org", profile="moodle").register(database, clock())
    platform.serve_keys(wire)
    return Sender(app, platform, clock)
