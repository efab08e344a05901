"""Calls to a platform's services: access tokens by client assertion, and scores (facts: lti.md §8 and §9)."""

import json
import secrets
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import jwt

from lti_tool.db import Database
from lti_tool.errors import AddressRefused, PlatformRefused
from lti_tool.http import Http, Reply
from lti_tool.lti.keys import ToolKeys
from lti_tool.lti.registration import Registration, load, origin

SCORE_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/score"
SCORE_TYPE = "application/vnd.ims.lis.v1.score+json"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFE = timedelta(minutes=5)
# Moodle allows no skew: an assertion issued a second in its future is refused.
ISSUED_AGO = timedelta(seconds=5)
DROPPED_BEFORE_EXPIRY = timedelta(seconds=60)
LIFE_WHEN_UNSAID = timedelta(minutes=10)
LONGEST_LIFE = timedelta(days=1)

TokenKey = tuple[int, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a platform said to a score: the HTTP status, whatever it is, and the first characters of its body."""

    status: int
    body_start: str

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    usable_until: datetime


class PlatformApi:
    """The services of the registered platforms. Safe to use from several threads; call it outside of a transaction,
    for it reads registrations and keys in its own and waits for other machines."""

    def __init__(self, database: Database, http: Http, keys: ToolKeys, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._http = http
        self._keys = keys
        self._clock = clock
        self._tokens: dict[TokenKey, _Token] = {}
        self._locks: dict[TokenKey, threading.Lock] = {}

    def token(self, registration_id: int, scopes: Collection[str]) -> str:
        """An access token for exactly these scopes (whole URIs), kept until a minute before it expires.

        Raises PlatformRefused `token_refused` or `scope_refused`, NoAnswer, AddressRefused.
        """
        return self._token(self._registration(registration_id), scopes)

    def post_score(self, registration_id: int, line_item_url: str, score: Mapping[str, Any]) -> Answer:
        """Post one AGS 2.0 score to a line item; any status is an Answer, for the ledger to judge.

        A 401 or 403 is asked once more with a new token. Raises AddressRefused when the line item is not on one of the
        platform's own hosts, PlatformRefused when no token is to be had, NoAnswer when nothing came back: the score may
        then have arrived.
        """
        registration = self._registration(registration_id)
        _verify_own(registration, line_item_url)
        url, body = scores_url(line_item_url), json.dumps(score).encode()

        def post() -> Reply:
            token = self._token(registration, (SCORE_SCOPE,))
            headers = {"Authorization": f"Bearer {token}", "Content-Type": SCORE_TYPE, "Accept": "*/*"}
            return self._http.request("POST", url, headers=headers, data=body)

        reply = post()
        if reply.status in (401, 403):
            self._forget(registration, (SCORE_SCOPE,))
            reply = post()
        return Answer(reply.status, reply.body_start)

    def _registration(self, registration_id: int) -> Registration:
        with self._database.read() as connection:
            return load(connection, registration_id)

    def _token(self, registration: Registration, scopes: Collection[str]) -> str:
        key = _token_key(registration, scopes)
        with self._locks.setdefault(key, threading.Lock()):
            token = self._tokens.get(key)
            if token is None or self._clock() >= token.usable_until:
                token = self._tokens[key] = self._fetch_token(registration, key[2])
            return token.value

    def _forget(self, registration: Registration, scopes: Collection[str]) -> None:
        self._tokens.pop(_token_key(registration, scopes), None)

    def _fetch_token(self, registration: Registration, scopes: tuple[str, ...]) -> _Token:
        """TK-1 to TK-4. An assertion is used once, so the request is repeated only by asking for a token again."""
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self._assertion(registration),
            "scope": " ".join(scopes),
        }
        reply = self._http.request("POST", registration.token_url, headers={"Accept": "application/json"}, data=form)
        document = _read_token(reply)
        granted = document.get("scope")
        if isinstance(granted, str) and not set(scopes) <= set(granted.split()):
            raise PlatformRefused(
                "scope_refused", "The platform does not allow this service to the tool.", answered=reply.status
            )
        return _Token(document["access_token"], self._clock() + _life(document) - DROPPED_BEFORE_EXPIRY)

    def _assertion(self, registration: Registration) -> str:
        key, now = self._keys.signing_key(), self._clock()
        claims = {
            "iss": registration.client_id,
            "sub": registration.client_id,
            "aud": registration.token_audience or registration.token_url,
            "iat": int((now - ISSUED_AGO).timestamp()),
            "exp": int((now - ISSUED_AGO + ASSERTION_LIFE).timestamp()),
            "jti": secrets.token_urlsafe(24),
        }
        return jwt.encode(claims, key.private_key, algorithm="RS256", headers={"kid": key.kid})


def scores_url(line_item_url: str) -> str:
    """The line item's path with `/scores` after it; its query stays (AG-3: Moodle's carry `?type_id=`)."""
    parts = urlsplit(line_item_url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/scores"))


def _verify_own(registration: Registration, url: str) -> None:
    if origin(url) not in registration.hosts:
        raise AddressRefused(
            "line_item_foreign",
            "The line item is not on one of the platform's own hosts, so no access token is sent there.",
            "Check the platform's addresses with `gatehouse platform show`.",
        )


def _token_key(registration: Registration, scopes: Collection[str]) -> TokenKey:
    return registration.id, registration.client_id, tuple(sorted(set(scopes)))


def _read_token(reply: Reply) -> dict[str, Any]:
    """The token endpoint's answer, JSON whatever its media type says. Raises PlatformRefused `token_refused`."""
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError):
        document = None
    if reply.is_ok and isinstance(document, dict) and _is_bearer(document):
        return document
    raise PlatformRefused(
        "token_refused",
        "The platform gave no access token. Often it cannot read this tool's key set, or the clocks disagree.",
        answered=reply.status,
        body_start=reply.body_start if not reply.is_ok else "",
    )


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


def _life(document: Mapping[str, Any]) -> timedelta:
    try:
        return min(timedelta(seconds=float(document["expires_in"])), LONGEST_LIFE)
    except (KeyError, TypeError, ValueError, OverflowError):
        return LIFE_WHEN_UNSAID
