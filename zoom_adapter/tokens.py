"""Server-to-Server OAuth: the access token of Zoom's REST interface, and the host that goes with it (zoom.md §6).

Zoom gives no refresh token; several tokens are valid at once, so one that is refused is simply asked for anew.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from logging import getLogger
from typing import Any
from urllib.parse import urlsplit

from lti_tool.errors import AddressRefused, NoAnswer
from lti_tool.flights import Flights
from lti_tool.http import Http, Reply
from lti_tool.settings import Settings
from zoom_adapter.api_errors import document, rate_limited, refusal, text_of, token_refused
from zoom_adapter.limits import retry_at

log = getLogger(__name__)

DROPPED_BEFORE_EXPIRY = timedelta(seconds=60)
LIFE_WHEN_UNSAID = timedelta(minutes=10)
LONGEST_LIFE = timedelta(hours=1)
# How long a thread waits for the token that another one asks for.
WAIT_SECONDS = 20
# What the client of HTTP would refuse as a header, it would quote in its complaint.
FITS_A_HEADER = re.compile(r"[!-~]+")
ZOOM_DOMAINS = ("zoom.us", "zoomgov.com")


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, the address of the interface it is for, and until when it is used."""

    value: str = field(repr=False)
    api_url: str
    usable_until: datetime


class ZoomTokens:
    """The token in memory. Safe to use from several threads: they share one request for a new one."""

    def __init__(
        self, http: Http, settings: Settings, clock: Callable[[], datetime], *, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        self._http = http
        self._settings = settings
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._token: Token | None = None
        self._flights: Flights[str, Token] = Flights()

    def token(self) -> Token:
        """A token, kept until a minute before it expires.

        Raises ZoomRefused `zoom_token_refused` or `zoom_rate_limited`, NoAnswer, AddressRefused.
        """
        known = self._token
        if known is not None and self._clock() < known.usable_until:
            return known
        try:
            return self._flights.join("token", self._renew, wait_seconds=self._wait_seconds)
        except TimeoutError as error:
            raise NoAnswer("zoom_token_awaited", "Zoom's token service is slow.", "Try again in a minute.") from error

    def forget(self, refused: Token) -> None:
        """Drop a token that Zoom refused; one that came meanwhile stays."""
        if self._token == refused:
            self._token = None

    def _renew(self) -> Token:
        known = self._token
        if known is not None and self._clock() < known.usable_until:  # came between our look and our turn
            return known
        self._token = token = self._read(self._ask())
        return token

    def _ask(self) -> Reply:
        pair = f"{self._settings.zoom_client_id}:{self._settings.zoom_client_secret}"
        headers = {"Authorization": f"Basic {b64encode(pair.encode()).decode()}", "Accept": "application/json"}
        form = {"grant_type": "account_credentials", "account_id": self._settings.zoom_account_id or ""}
        return self._http.request("POST", self._settings.zoom_token_url, headers=headers, data=form)

    def _read(self, reply: Reply) -> Token:
        if reply.status == 429:
            raise rate_limited(retry_at(reply.headers, self._clock(), daily=False))
        if reply.status >= 500:
            raise refusal(reply, "")
        said = document(reply)
        value = text_of(said, "access_token")
        if not reply.is_ok or not FITS_A_HEADER.fullmatch(value):
            log.error("Zoom gave no token", extra={"status": reply.status})
            raise token_refused(reply.status)
        life = _life(said) - DROPPED_BEFORE_EXPIRY
        return Token(value, self._api_url(said.get("api_url")), self._clock() + life)

    def _api_url(self, said: object) -> str:
        """The interface on the host that Zoom names for this token, or as configured where that host is not one to send
        a token to. Zoom names a host only; the path (`/v2`) is the configured one's."""
        configured = self._settings.zoom_api_url
        if not isinstance(said, str) or not said.strip():
            return configured
        try:
            self._http.check_url(said)
            own = _origin(said)
        except (AddressRefused, ValueError):
            own = ""
        if own == _origin(configured) or _is_zooms(own):
            return f"{own}{urlsplit(configured).path.rstrip('/')}"
        log.warning("Zoom named a foreign host for its interface; the configured one is used")
        return configured


def _is_zooms(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    own = any(host == domain or host.endswith(f".{domain}") for domain in ZOOM_DOMAINS)
    return own and origin.startswith("https://")


def _origin(url: str) -> str:
    """Scheme, host and port. Raises ValueError for a port that is none."""
    parts = urlsplit(url)
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{(parts.hostname or '').lower()}{port}"


def _life(said: Mapping[str, Any]) -> timedelta:
    try:
        return min(timedelta(seconds=float(said["expires_in"])), LONGEST_LIFE)
    except (KeyError, TypeError, ValueError, OverflowError):
        return LIFE_WHEN_UNSAID
