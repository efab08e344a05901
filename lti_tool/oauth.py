"""OAuth 2.0 access tokens: kept in memory while they last, and fetched once for all threads that want the same one."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from lti_tool.http import SingleFlight

DROPPED_BEFORE_EXPIRY = timedelta(seconds=60)
LIFE_WHEN_NOT_STATED = timedelta(minutes=10)
# How long a thread waits for the token that another thread is fetching.
WAIT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token, and until when it is used: a minute less than it lasts."""

    value: str = field(repr=False)
    usable_until: datetime


Key = TypeVar("Key", bound=Hashable)
Token = TypeVar("Token", bound=AccessToken)


class TokenCache(Generic[Key, Token]):
    """The tokens by key. Safe for several threads: a service that hangs holds up only those who want its token."""

    def __init__(self, clock: Callable[[], datetime], *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._tokens: dict[Key, Token] = {}
        self._fetching: SingleFlight[Key, Token] = SingleFlight()

    def token(self, key: Key, fetch: Callable[[], Token]) -> Token:
        """The token of this key; `fetch` gets a new one if none is usable. Raises TimeoutError if another thread takes
        too long to fetch one, and whatever `fetch` raises."""

        def renew() -> Token:
            # Another thread may have brought one between our look and our turn.
            token = self._usable(key) or fetch()
            self._tokens[key] = token
            return token

        return self._usable(key) or self._fetching.run(key, renew, wait_seconds=self._wait_seconds)

    def forget(self, key: Key, refused: str) -> None:
        """Drop the token with this value, which a service refused, unless it has been replaced meanwhile."""
        known = self._tokens.get(key)
        if known is not None and known.value == refused:
            self._tokens.pop(key, None)

    def _usable(self, key: Key) -> Token | None:
        known = self._tokens.get(key)
        return known if known is not None and self._clock() < known.usable_until else None


def usable_for(document: Mapping[str, Any], longest: timedelta) -> timedelta:
    """How long a token is used, by the `expires_in` (seconds) of the answer that brought it."""
    try:
        life = min(timedelta(seconds=float(document["expires_in"])), longest)
    except (KeyError, TypeError, ValueError, OverflowError):
        life = LIFE_WHEN_NOT_STATED
    return life - DROPPED_BEFORE_EXPIRY
