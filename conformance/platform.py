"""A generic LTI 1.3 platform of our own, a real web server on this machine: it signs what a test asks for, right or
wrong, and keeps what the tool asks of its services.
"""

import json
import secrets
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from jwt.algorithms import RSAAlgorithm
from werkzeug.serving import make_server

from conformance.cases import Case, Change, altered, altered_header
from conformance.endpoints import Endpoints
from conformance.messages import PEOPLE, Unit, claims_for
from conformance.parties import Answer, Heard, Returned
from conformance.services import Services
from conformance.tool import HOST, QuietRequests, Tool
from conformance.trust import ToolTrust
from conformance.visitor import Visitor
from lti_tool.http import Http
from lti_tool.lti.login import LAUNCH_PATH, LOGIN_PATH
from lti_tool.lti.registration import NewRegistration

CLIENT_ID, DEPLOYMENT_ID = "gatehouse-certification", "certification-1"


@dataclass
class GenericPlatform:
    """The platform, its key and its one unit. It answers while `open_platform` holds it."""

    tool: Tool
    unit: Unit
    key: RSAPrivateKey
    title: str = "the generic platform"
    kid: str = field(default_factory=lambda: secrets.token_hex(8))
    endpoints: Endpoints = field(init=False)
    _asked: dict[str, tuple[Case, Change]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.endpoints = Endpoints(
            url=self.url,
            key_set={"keys": [self._public_jwk()]},
            redirect_uri=self.tool.public_url + LAUNCH_PATH,
            trust=ToolTrust(Http(allow_private_addresses=True), self.tool.key_set_url, CLIENT_ID),
            services=Services(self.url),
            sign=self._sign,
        )

    @property
    def url(self) -> str:
        return self.unit.platform_url

    def registrations(self) -> Sequence[tuple[NewRegistration, Collection[str]]]:
        new = NewRegistration(
            issuer=self.url,
            client_id=CLIENT_ID,
            auth_login_url=f"{self.url}/auth",
            token_url=f"{self.url}/token",
            key_set_url=f"{self.url}/keys",
        )
        return [(new, [DEPLOYMENT_ID])]

    def login(self, case: Case, change: Change) -> str:
        """The message hint names the message that is to follow: a platform's own, opaque to the tool."""
        hint = f"message {len(self._asked) + 1} of test {case.number} +/="
        self._asked[hint] = case, change
        parameters = {
            "iss": self.url,
            "login_hint": PEOPLE[case.role]["sub"],
            "target_link_uri": self.unit.target_link_uri,
            "client_id": CLIENT_ID,
            "lti_deployment_id": DEPLOYMENT_ID,
            "lti_message_hint": hint,
        }
        return f"{self.tool.public_url}{LOGIN_PATH}?{urlencode(parameters)}"

    def answer(self, _case: Case, change: Change, auth_url: str) -> Answer:
        """The form on the page that the platform answers with."""
        form = self._visitor().get(auth_url).forms[0]
        token = form.fields["id_token"]
        claims = jwt.decode(token, options={"verify_signature": False})
        return Answer(form.action, form.fields, jwt.get_unverified_header(token), claims, change == Change())

    def take_return(self, url: str, fields: Mapping[str, str]) -> Returned:
        self.endpoints.items = []
        page = self._visitor().post(url, fields)
        return Returned(page.status, tuple(self.endpoints.items))

    def expected_return(self) -> Mapping[str, str]:
        return {"iss": CLIENT_ID, "aud": self.url, "deployment_id": DEPLOYMENT_ID}

    def members(self) -> Collection[str]:
        return {person["sub"] for person in PEOPLE.values()}

    def heard(self) -> Sequence[Heard]:
        return tuple(self.endpoints.heard)

    def _sign(self, asked: Mapping[str, str]) -> str:
        case, change = self._asked[asked["lti_message_hint"]]
        claims = altered(claims_for(case, self.unit, asked["nonce"], int(datetime.now(UTC).timestamp())), change)
        header = altered_header({"kid": self.kid}, change)
        return jwt.PyJWS().encode(json.dumps(claims).encode(), self.key, algorithm="RS256", headers=header)

    def _public_jwk(self) -> dict[str, Any]:
        numbers = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"kty": "RSA", "n": numbers["n"], "e": numbers["e"], "kid": self.kid, "alg": "RS256", "use": "sig"}

    def _visitor(self) -> Visitor:
        return Visitor(self.url, (HOST, urlsplit(self.url).port or 80))


@contextmanager
def open_platform(tool: Tool, module_id: str) -> Iterator[GenericPlatform]:
    """The platform on a free port of this machine, as long as the block runs."""
    server = make_server(
        HOST, 0, lambda *given: platform.endpoints(*given), threaded=True, request_handler=QuietRequests
    )
    url = f"http://{HOST}:{server.server_port}"
    unit = Unit(url, CLIENT_ID, DEPLOYMENT_ID, tool.public_url + LAUNCH_PATH, module_id)
    platform = GenericPlatform(tool, unit, generate_private_key(public_exponent=65537, key_size=2048))
    thread = threading.Thread(target=server.serve_forever, name="generic platform")
    thread.start()
    try:
        yield platform
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
