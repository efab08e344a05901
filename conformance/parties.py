"""What the tests ask of a platform, whichever it is: the one of our own, or in our test suite Open edX's consumer."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from conformance.cases import Case, Change
from lti_tool.lti.registration import NewRegistration

Service = Literal["token", "roster", "line_items", "line_item", "scores", "results", "other"]


@dataclass(frozen=True, slots=True)
class Heard:
    """One request of the tool to a service of the platform. `scopes` are those of the access token that came with it,
    and `authorized` says whether the platform took it; the token itself is kept as a digest. For `token` the scopes are
    those that were granted, and `authorized` says whether the client assertion held."""

    at: str
    service: Service
    method: str
    path: str
    status: int
    accept: str = ""
    content_type: str = ""
    scheme: str = ""
    token: str = ""
    scopes: tuple[str, ...] = ()
    authorized: bool = False
    body: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The platform's answer to a login: the form that the browser posts to the tool, and what is in its token.
    `as_sent` says that the platform made the message itself and nothing was changed in it."""

    url: str
    fields: Mapping[str, str]
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    as_sent: bool = True


@dataclass(frozen=True, slots=True)
class Returned:
    """What the platform made of a deep linking response: the status of its page, and the items that it keeps."""

    status: int
    kept: Sequence[Mapping[str, Any]] = ()


class Platform(Protocol):
    """One platform with its people, its units and its services."""

    title: str

    def registrations(self) -> Sequence[tuple[NewRegistration, Collection[str]]]:
        """What to register in the tool: each with its deployment ids."""

    def login(self, case: Case, change: Change) -> str:
        """Where the platform sends a browser to begin this launch: an address of the tool."""

    def answer(self, case: Case, change: Change, auth_url: str) -> Answer:
        """What the platform answers to the tool's authentication request, with this change made."""

    def take_return(self, url: str, fields: Mapping[str, str]) -> Returned:
        """Post a deep linking response to the platform, in the browser of the person who picked."""

    def expected_return(self) -> Mapping[str, str]:
        """Who speaks to whom in a deep linking response to this platform: `iss`, `aud` and `deployment_id`."""

    def members(self) -> Collection[str]:
        """The user ids of the course's roster."""

    def heard(self) -> Sequence[Heard]:
        """Every request of the tool to the platform's services so far, oldest first."""


def digest(secret: str) -> str:
    """What a token is called in the evidence: the beginning of its SHA-256."""
    return "sha256:" + hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:16]
