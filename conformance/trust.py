"""How a platform trusts the tool: by its key set, read over HTTP, and by what its JWTs say."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from lti_tool.http import Http
from lti_tool.lti.key_sets import parse_key_set

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_LIFE_SECONDS = 300
REQUIRED = ["iss", "sub", "aud", "iat", "exp", "jti"]


class NotTrusted(Exception):
    """A JWT that does not stand; the text says why."""


@dataclass
class ToolTrust:
    """What a platform knows of the tool: where its key set is, and its client id."""

    http: Http
    key_set_url: str
    client_id: str
    seen: set[str] = field(default_factory=set)

    def verify(self, token: str, **options: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Header and claims of a JWT that the tool signed with RS256 by a published key. Raises NotTrusted."""
        try:
            header = jwt.get_unverified_header(token)
            keys = parse_key_set(json.loads(self.http.request("GET", self.key_set_url).body))
            claims = jwt.decode(token, keys[header["kid"]], algorithms=["RS256"], **options)
        except (jwt.PyJWTError, KeyError, ValueError) as error:
            raise NotTrusted(f"{type(error).__name__}: {error}") from error
        return header, claims

    def verify_assertion(self, form: Mapping[str, str], token_url: str) -> None:
        """lti.md TK-1, TK-2: the request for an access token, with an assertion that is used once.

        Raises NotTrusted.
        """
        _need(form.get("grant_type") == "client_credentials", "grant_type is client_credentials")
        _need(form.get("client_assertion_type") == ASSERTION_TYPE, "client_assertion_type is jwt-bearer")
        _, claims = self.verify(form.get("client_assertion", ""), audience=token_url, options={"require": REQUIRED})
        _need(claims["iss"] == claims["sub"] == self.client_id, "iss and sub are the client id")
        _need(claims["exp"] - claims["iat"] <= LONGEST_LIFE_SECONDS, "the assertion lives for minutes")
        _need(claims["jti"] not in self.seen, "jti is new")
        self.seen.add(claims["jti"])


def _need(holds: bool, says: str) -> None:
    if not holds:
        raise NotTrusted(f"not so: {says}")
