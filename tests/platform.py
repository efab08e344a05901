"""A small LTI 1.3 platform of our own for unit tests: it signs what a test asks for, right or wrong.

The stories use Open edX's own code; here every claim, header and key can be changed one at a time.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import responses
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from flask.testing import FlaskClient
from jwt.algorithms import RSAAlgorithm
from werkzeug.test import TestResponse

from lti_tool.db import Database
from lti_tool.lti import registration
from lti_tool.lti.claims import AGS, DL, LTI, NRPS
from lti_tool.lti.registration import NewRegistration

SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/"
MEMBERSHIP = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
LEARNER, INSTRUCTOR = MEMBERSHIP + "Learner", MEMBERSHIP + "Instructor"
TARGET = "https://gatehouse.example.org/lti/launch"
ABSENT = object()

KEY = generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Platform:
    """One registration of the tool at one platform; its addresses follow from its origin."""

    origin: str = "https://lms.example.org"
    client_id: str = "client-1"
    deployment_id: str = "1"
    profile: str = "openedx"
    key: RSAPrivateKey = KEY
    kid: str = "key-1"
    registration_id: int = 0

    @property
    def issuer(self) -> str:
        return self.origin

    @property
    def auth_url(self) -> str:
        return f"{self.origin}/auth"

    @property
    def token_url(self) -> str:
        return f"{self.origin}/token"

    @property
    def key_set_url(self) -> str:
        return f"{self.origin}/keys"

    @property
    def line_item_url(self) -> str:
        return f"{self.origin}/lineitems/7"

    def register(self, database: Database, now: datetime, *, old_roles: bool = False) -> "Platform":
        """Register this platform with the tool."""
        new = NewRegistration(
            issuer=self.issuer,
            client_id=self.client_id,
            auth_login_url=self.auth_url,
            token_url=self.token_url,
            key_set_url=self.key_set_url,
            profile=self.profile,
            old_roles=old_roles,
        )
        with database.write() as connection:
            self.registration_id = registration.add(connection, new, [self.deployment_id], actor="cli", now=now)
        return self

    def jwk(self) -> dict[str, Any]:
        """The public key as Open edX publishes it: without `alg` and `use`."""
        numbers = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"kty": "RSA", "n": numbers["n"], "e": numbers["e"], "kid": self.kid}

    def serve_keys(self, wire: responses.RequestsMock, **answer: Any) -> responses.BaseResponse:
        """Answer for the key set; `answer` overrides what is answered."""
        return wire.get(self.key_set_url, **({"json": {"keys": [self.jwk()]}} | answer))

    def serve_token(
        self, wire: responses.RequestsMock, token: str = "token-1", **answer: Any
    ) -> responses.BaseResponse:
        """Answer for the token endpoint, under the media type that Moodle uses."""
        said = {"access_token": token, "token_type": "bearer", "expires_in": 3600, "scope": f"{SCOPE}score"} | answer
        return wire.post(self.token_url, body=json.dumps(said), content_type="text/html")

    def login(self, client: FlaskClient, *, user: str = "user-1", method: str = "GET", **changed: Any) -> TestResponse:
        """Begin a login in the client's browser; a parameter changed to ABSENT is left out."""
        parameters = _changed(
            {
                "iss": self.issuer,
                "client_id": self.client_id,
                "login_hint": user,
                "lti_message_hint": "hint+/= 1",
                "target_link_uri": TARGET,
            },
            changed,
        )
        if method == "GET":
            return client.get("/lti/login", query_string=parameters)
        return client.post("/lti/login", data=parameters)

    def claims(self, issued_nonce: str, now: datetime, user: str = "user-1", **changed: Any) -> dict[str, Any]:
        """The claims of an ordinary launch of module F1 by a learner; LTI's own are named without their prefix."""
        plain = {
            "iss": self.issuer,
            "aud": self.client_id,
            "sub": user,
            "nonce": issued_nonce,
            "iat": int(now.timestamp()),
            "exp": int(now.timestamp()) + 3600,
            "name": "Maya Example",
            "email": "maya@example.org",
            AGS: {"scope": [f"{SCOPE}score"], "lineitem": self.line_item_url, "lineitems": f"{self.origin}/lineitems"},
            NRPS: {"context_memberships_url": f"{self.origin}/members", "service_versions": ["2.0"]},
        }
        lti = {
            "message_type": "LtiResourceLinkRequest",
            "version": "1.3.0",
            "deployment_id": self.deployment_id,
            "target_link_uri": TARGET,
            "roles": [LEARNER],
            "resource_link": {"id": "unit-1"},
            "context": {"id": "course-1", "title": "A course"},
            "custom": {"module_id": "F1"},
        }
        own = {name: value for name, value in changed.items() if name in lti}
        rest = {name: value for name, value in changed.items() if name not in lti}
        return _changed(plain, rest) | {LTI + name: value for name, value in _changed(lti, own).items()}

    def deep_linking_claims(
        self, issued_nonce: str, now: datetime, user: str = "user-1", **changed: Any
    ) -> dict[str, Any]:
        """The claims of a teacher who is sent to pick what a link opens, no more than certification sends; what starts
        with `settings_` changes the deep linking settings."""
        own = {name.removeprefix("settings_"): value for name, value in changed.items() if name.startswith("settings_")}
        settings = {
            "deep_link_return_url": f"{self.origin}/deep-linking/return",
            "accept_types": ["ltiResourceLink", "link"],
            "accept_presentation_document_targets": ["iframe", "window"],
            "accept_multiple": True,
        }
        usual = {
            "message_type": "LtiDeepLinkingRequest",
            "roles": [INSTRUCTOR],
            "resource_link": ABSENT,
            "target_link_uri": ABSENT,
            "custom": ABSENT,
            AGS: ABSENT,
            NRPS: ABSENT,
            DL + "deep_linking_settings": _changed(settings, own),
        }
        rest = {name: value for name, value in changed.items() if not name.startswith("settings_")}
        return self.claims(issued_nonce, now, user, **(usual | rest))

    def review_claims(self, issued_nonce: str, now: datetime, user: str = "user-1", **changed: Any) -> dict[str, Any]:
        """The claims of a teacher who opens, from the gradebook, what the learner "user-2" handed in at the line
        item that launches of F1 name; `of` names another learner."""
        usual = {
            "message_type": "LtiSubmissionReviewRequest",
            "roles": [INSTRUCTOR],
            LTI + "for_user": {"user_id": changed.pop("of", "user-2")},
            "custom": ABSENT,
        }
        return self.claims(issued_nonce, now, user, **(usual | changed))

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """An RS256 token of these claims with our kid; a header changed to ABSENT is left out."""
        headers = _changed({"kid": self.kid}, header)
        return jwt.PyJWS().encode(json.dumps(claims).encode(), self.key, algorithm="RS256", headers=headers)

    def launch(
        self,
        client: FlaskClient,
        now: datetime,
        *,
        user: str = "user-1",
        header: Mapping[str, Any] | None = None,
        message: Callable[..., dict[str, Any]] | None = None,
        **changed: Any,
    ) -> TestResponse:
        """Login and launch in one go, as a browser does them. `message` makes the claims of another message:
        `self.deep_linking_claims` or `self.review_claims`."""
        begun = parameters_of(self.login(client, user=user))
        claims = (message or self.claims)(begun["nonce"], now, user, **changed)
        token = self.sign(claims, **(header or {}))
        return client.post("/lti/launch", data={"id_token": token, "state": begun["state"]})


def parameters_of(response: TestResponse) -> dict[str, str]:
    """The query parameters of the address a response redirects to."""
    query = parse_qs(urlsplit(response.headers["Location"]).query, keep_blank_values=True, strict_parsing=True)
    return {name: values[0] for name, values in query.items()}


def code_of(response: TestResponse) -> str:
    """The stable code that a page of refusal names."""
    page = response.get_data(as_text=True)
    return page.partition("<code>")[2].partition("</code>")[0]


def _changed(values: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**values, **changed}.items() if value is not ABSENT}
