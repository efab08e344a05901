"""Access tokens of the platforms: asked for by client assertion, kept while they last (facts: lti.md §9, TK-1 to TK-5).

A platform that hangs holds up only those who want the same token, and each of them for a bounded time.
"""

import json
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import jwt

from lti_tool.errors import NoAnswer, OutboundError, PlatformRefused
from lti_tool.flights import Flights
from lti_tool.http import Http, Reply
from lti_tool.lti.claims import LTI
from lti_tool.lti.keys import ToolKeys
from lti_tool.lti.registration import Registration
from lti_tool.lti.service_answers import AnswerBook

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFE = timedelta(minutes=5)
# Moodle allows no skew: an assertion issued a second in its future is refused.
ISSUED_AGO = timedelta(seconds=5)
DROPPED_BEFORE_EXPIRY = timedelta(seconds=60)
LIFE_WHEN_UNSAID = timedelta(minutes=10)
LONGEST_LIFE = timedelta(days=1)
# How long a thread waits for the token that another one asks for.
WAIT_SECONDS = 20

TokenKey = tuple[int, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    usable_until: datetime


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What an error of the token endpoint means, and the signs by which it is known."""

    code: str
    message: str
    errors: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()

    def fits(self, status: int, error: str, words: str) -> bool:
        return error in self.errors or status in self.statuses or any(each in words for each in self.words)


SCOPE_REFUSED = _Refusal(
    "scope_refused", "The platform does not allow this service to the tool.", errors=("invalid_scope",)
)
# Open edX: openedx.md §6. Moodle puts an internal message where the OAuth code belongs (moodle.md §4); what it says of
# a token's time is (unverified).
REFUSALS = (
    _Refusal(
        "assertion_expired",
        "The platform finds our request for access too old or too early: the clocks of both machines disagree.",
        errors=("unidentified_error",),
        words=("expired", "prior to", "not yet valid"),
    ),
    SCOPE_REFUSED,
    _Refusal(
        "tool_keys_unreadable",
        "The platform could not check our signature: it cannot read this tool's key set, or has another key for it.",
        errors=("invalid_client",),
    ),
    _Refusal(
        "token_url_wrong",
        "There is no token service at the platform's token address, or it does not know this client.",
        statuses=(404, 405, 410),
    ),
)
UNKNOWN_REFUSAL = _Refusal(
    "token_refused",
    "The platform gave no access token. Often it cannot read this tool's key set, or the clocks disagree.",
)


class Tokens:
    """The tokens in memory, by (registration, client, scopes). Safe to use from several threads; call it outside of a
    transaction."""

    def __init__(
        self,
        http: Http,
        keys: ToolKeys,
        clock: Callable[[], datetime],
        answers: AnswerBook,
        *,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._http = http
        self._keys = keys
        self._clock = clock
        self._answers = answers
        self._wait_seconds = wait_seconds
        self._tokens: dict[TokenKey, _Token] = {}
        self._flights: Flights[TokenKey, str] = Flights()

    def token(self, registration: Registration, scopes: Collection[str]) -> str:
        """A token for exactly these scopes (whole URIs), kept until a minute before it expires.

        Raises PlatformRefused `token_refused`, `scope_refused`, `tool_keys_unreadable`, `assertion_expired` or
        `token_url_wrong`, NoAnswer (`token_awaited` when another thread's request takes too long), AddressRefused.
        """
        key = _token_key(registration, scopes)
        known = self._tokens.get(key)
        if known is not None and self._clock() < known.usable_until:
            return known.value
        try:
            return self._flights.join(key, partial(self._renew, key, registration), wait_seconds=self._wait_seconds)
        except TimeoutError as error:
            raise NoAnswer(
                "token_awaited", "The platform's token service is slow.", "Try again in a few minutes."
            ) from error

    def forget(self, registration: Registration, scopes: Collection[str], refused: str) -> None:
        """Drop the token that a service refused; one that came meanwhile stays."""
        key = _token_key(registration, scopes)
        known = self._tokens.get(key)
        if known is not None and known.value == refused:
            self._tokens.pop(key, None)

    def _renew(self, key: TokenKey, registration: Registration) -> str:
        known = self._tokens.get(key)
        if known is not None and self._clock() < known.usable_until:  # came between our look and our turn
            return known.value
        note = partial(self._answers.note, registration.id, "token", " ".join(key[2]))
        try:
            reply = self._ask(registration, key[2])
            token = self._read(reply, key[2])
        except OutboundError as error:
            note(error.answered if isinstance(error, PlatformRefused) else 0, error.code)
            raise
        note(reply.status, "")
        self._tokens[key] = token
        return token.value

    def _ask(self, registration: Registration, scopes: tuple[str, ...]) -> Reply:
        """lti.md TK-1. An assertion is used once, so the request is repeated only by asking for a token again."""
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._assertion(registration),
            "scope": " ".join(scopes),
        }
        return self._http.request("POST", registration.token_url, headers={"Accept": "application/json"}, data=form)

    def _read(self, reply: Reply, scopes: tuple[str, ...]) -> _Token:
        document = _document(reply)
        if not reply.is_ok or not _is_bearer(document):
            raise _refused(reply, document)
        if not set(scopes) <= _granted(document, scopes):
            raise PlatformRefused(SCOPE_REFUSED.code, SCOPE_REFUSED.message, answered=reply.status)
        return _Token(document["access_token"], self._clock() + _life(document) - DROPPED_BEFORE_EXPIRY)

    def _assertion(self, registration: Registration) -> str:
        """lti.md TK-2. The deployment is named where there is no doubt which one it is (core 6.2.1)."""
        key, now = self._keys.signing_key(), self._clock()
        claims = {
            "iss": registration.client_id,
            "sub": registration.client_id,
            "aud": registration.token_audience or registration.token_url,
            "iat": int((now - ISSUED_AGO).timestamp()),
            "exp": int((now - ISSUED_AGO + ASSERTION_LIFE).timestamp()),
            "jti": secrets.token_urlsafe(24),
        }
        if len(registration.deployment_ids) == 1:
            claims[LTI + "deployment_id"] = next(iter(registration.deployment_ids))
        return jwt.encode(claims, key.private_key, algorithm="RS256", headers={"kid": key.kid})


def _token_key(registration: Registration, scopes: Collection[str]) -> TokenKey:
    return registration.id, registration.client_id, tuple(sorted(set(scopes)))


def _document(reply: Reply) -> dict[str, Any]:
    """The answer as JSON whatever its media type says (lti.md TK-4); empty when it is none."""
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _refused(reply: Reply, document: Mapping[str, Any]) -> PlatformRefused:
    error = document.get("error")
    words = f"{error} {document.get('error_description')}"[:1000].lower()
    fitting = (each for each in REFUSALS if not reply.is_ok and each.fits(reply.status, str(error), words))
    refusal = next(fitting, UNKNOWN_REFUSAL)
    return PlatformRefused(refusal.code, refusal.message, answered=reply.status)


def _is_bearer(document: Mapping[str, Any]) -> bool:
    value, kind = document.get("access_token"), document.get("token_type", "bearer")
    return (
        isinstance(value, str)
        and value.isascii()
        and value.isprintable()
        and bool(value.strip())
        and isinstance(kind, str)
        and kind.lower() == "bearer"
    )


def _granted(document: Mapping[str, Any], asked: Collection[str]) -> set[str]:
    """lti.md TK-3: what the answer says it is good for, and what was asked where it says nothing (RFC 6749 5.1)."""
    said = document.get("scope")
    if said is None:
        return set(asked)
    words = said.split() if isinstance(said, str) else said
    return {each for each in words if isinstance(each, str)} if isinstance(words, list) else set()


def _life(document: Mapping[str, Any]) -> timedelta:
    try:
        return min(timedelta(seconds=float(document["expires_in"])), LONGEST_LIFE)
    except (KeyError, TypeError, ValueError, OverflowError):
        return LIFE_WHEN_UNSAID
