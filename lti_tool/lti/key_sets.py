"""Platforms' key sets: for each registration the keys that sign its launches, fetched seldom and never from a token.

Kept for a while and used on when the platform does not answer. A kid that is not in the set leads to one new fetch per
window; within the window it is refused without asking again (lti.md LA-3, KE-1).
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from lti_tool.errors import OutboundError, PlatformRefused, RefusedLaunch
from lti_tool.http import Http, Pauses
from lti_tool.languages import gettext
from lti_tool.lti.registration import Registration

log = logging.getLogger(__name__)

FRESH = timedelta(minutes=15)
USABLE_IF_PLATFORM_IS_SILENT = timedelta(hours=24)
REFETCH_WINDOW = timedelta(seconds=60)
WINDOW_AFTER_FAILURE = timedelta(seconds=5)
# How long a launch waits for the fetch that another launch has begun.
WAIT_SECONDS = 1
MOST_KEYS = 50
KEY_BITS = range(2048, 8193)

Note = Callable[[int, str, str, int, str], None]


@dataclass(slots=True)
class _KeySet:
    """What is known of one registration's key set. The lock is held by the one thread that fetches."""

    keys: Mapping[str, RSAPublicKey] = field(default_factory=dict)
    fetched_at: datetime | None = None
    asked_at: datetime | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def age(self, now: datetime) -> timedelta:
        """The age of the keys; a clock that was set back makes them old too."""
        return timedelta.max if self.fetched_at is None else abs(now - self.fetched_at)

    def may_ask(self, now: datetime) -> bool:
        window = REFETCH_WINDOW if self.asked_at == self.fetched_at else WINDOW_AFTER_FAILURE
        return self.asked_at is None or abs(now - self.asked_at) >= window


class KeySets:
    """The key sets of all registrations. Safe to use from several threads; call it outside of a transaction.

    `note` gets the result of each fetch, as `service_log.AnswerBook.note` does.
    """

    def __init__(self, http: Http, clock: Callable[[], datetime], note: Note | None = None) -> None:
        self._http = http
        self._clock = clock
        self._note = note or (lambda *_: None)
        self._pauses: Pauses[tuple[int, str]] = Pauses(clock)
        self._sets: dict[tuple[int, str], _KeySet] = {}

    def key(self, registration: Registration, kid: str) -> RSAPublicKey:
        """The registration's key of this kid. Raises RefusedLaunch `key_unknown` or `key_set_unreachable`."""
        known = self._sets.setdefault(_place(registration), _KeySet())
        now = self._clock()
        if kid not in known.keys or known.age(now) > FRESH:
            self._refresh(known, registration, kid)
        if known.age(now) > USABLE_IF_PLATFORM_IS_SILENT:
            raise _unreachable()
        try:
            return known.keys[kid]
        except KeyError:
            shown = kid if len(kid) <= 64 and kid.isprintable() else "(unreadable)"
            raise RefusedLaunch(
                "key_unknown",
                gettext(
                    "The launch was signed with the key %(key)s, which is not in the learning platform's key set.",
                    key=shown,
                ),
                "Try again in a minute. If it stays, tell the people who run the platform: launch and key set "
                "disagree.",
                status=401,
            ) from None

    def _refresh(self, known: _KeySet, registration: Registration, kid: str) -> None:
        """Fetch at most once per window. A thread that has its key does not wait for the thread that fetches; any other
        waits only a moment, so that a slow platform does not block every thread."""
        is_known = kid in known.keys
        if not known.lock.acquire(timeout=0 if is_known else WAIT_SECONDS):
            if is_known:
                return
            raise _unreachable()
        try:
            is_paused = self._pauses.end(_place(registration)) is not None
            if known.may_ask(self._clock()) and not is_paused:
                self._ask(known, registration)
        finally:
            known.lock.release()

    def _ask(self, known: _KeySet, registration: Registration) -> None:
        """The window begins when the platform has answered or failed to answer."""
        try:
            known.keys = self._fetch(registration)
        except OutboundError as error:
            log.warning("key set not read", extra={"registration": registration.id, "code": error.code})
            known.asked_at = self._clock()
            self._note(registration.id, "key_set", registration.key_set_url, error.answered, error.code)
        else:
            known.asked_at = known.fetched_at = self._clock()
            self._note(registration.id, "key_set", registration.key_set_url, 200, "")

    def _fetch(self, registration: Registration) -> dict[str, RSAPublicKey]:
        """Raises OutboundError: PlatformRefused `key_set_unreadable` if the answer is no key set."""
        reply = self._http.request("GET", registration.key_set_url, headers={"Accept": "application/json"})
        self._pauses.heed(_place(registration), reply)
        try:
            return parse_key_set(json.loads(reply.body) if reply.is_ok else None)
        except (ValueError, RecursionError):
            raise PlatformRefused(
                "key_set_unreadable", "The platform's keys are not as RFC 7517 describes them.", answered=reply.status
            ) from None


def _place(registration: Registration) -> tuple[int, str]:
    return registration.id, registration.key_set_url


def parse_key_set(document: Any) -> dict[str, RSAPublicKey]:
    """The RSA signature keys of a key set by their kid; keys without `alg` or `use` count (Open edX), others are
    skipped. Raises ValueError when the document has no list of keys."""
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no list of keys")
    of_rsa = {"kty": "RSA", "use": "sig", "alg": "RS256"}
    usable = [
        jwk
        for jwk in listed[:MOST_KEYS]
        if isinstance(jwk, dict)
        and "kty" in jwk
        and all(jwk.get(name, value) == value for name, value in of_rsa.items())
        and isinstance(jwk.get("kid"), str)
    ]
    return {jwk["kid"]: key for jwk in usable if (key := _public_key(jwk)) is not None}


def _public_key(jwk: Mapping[str, Any]) -> RSAPublicKey | None:
    """The key of a JWK's public numbers alone; None when they make no RSA key of a safe size."""
    try:
        key = RSAAlgorithm.from_jwk({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]})
    except (InvalidKeyError, KeyError, TypeError, ValueError):
        return None
    return key if isinstance(key, RSAPublicKey) and key.key_size in KEY_BITS else None


def _unreachable() -> RefusedLaunch:
    return RefusedLaunch(
        "key_set_unreachable",
        "The learning platform's keys could not be read, so this launch cannot be checked.",
        "Try again in a few minutes. If it stays, tell the people who run the course: the platform's key set URL does "
        "not answer.",
        status=503,
    )
