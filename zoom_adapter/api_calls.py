"""One call of Zoom's REST interface: the token, the rate limits, retries, and lists of several pages (zoom.md §6).

Server-to-Server OAuth gives the access token and the host that goes with it. There is no refresh token, and several
tokens are valid at once, so a refused token is replaced by a new one.

The rate limits are an account's, for all of its apps together. Gatehouse uses half of the calls per second, so that
other apps have room, and counts the calls of a day (UTC) only where the plan limits them.
"""

import json
import random
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from logging import getLogger
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from lti_tool import http
from lti_tool.errors import AddressRefused, NoAnswer
from lti_tool.http import Http, Reply
from lti_tool.oauth import WAIT_SECONDS, AccessToken, TokenCache, usable_for
from lti_tool.settings import Settings
from zoom_adapter.api_errors import (
    AUTOMATIC_RETRY,
    INVALID_REQUEST,
    ZoomRefused,
    daily_limit,
    rate_limited,
    refusal,
    registrant_limit,
    text_of,
    token_refused,
    unreadable,
)

log = getLogger(__name__)

Weight = Literal["light", "medium", "heavy"]

SHARE_OF_LIMIT = 0.5
# After a 429 that names no time: one second, then two, four, each with a random part on top.
FIRST_BACKOFF_SECONDS = 1.0
# A call that would have to wait longer fails: the worker has other things to do.
MAX_WAIT_SECONDS = 15.0
MAX_BACKOFFS = 3
MAX_RETRY_AFTER = timedelta(days=2)
LONG_AGO = datetime.min.replace(tzinfo=UTC)

MAX_TOKEN_LIFE = timedelta(hours=1)
# The HTTP client would quote a token that is no valid header in its error.
VALID_TOKEN = re.compile(r"[!-~]+")
ZOOM_DOMAINS = ("zoom.us", "zoomgov.com")

PAGE_SIZE = 300
# 10,000 people with fourteen connections each are 467 pages.
MAX_PAGES = 2000
# How often a list is begun again because its page token expired on the way.
MAX_NEW_BEGINNINGS = 3
# A page of 300 rows is 150 KB, and the polls of a large class several MB: the default cap of Http is too small.
MAX_ANSWER_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Allowance:
    """The calls of one weight that an account may make."""

    per_second: float
    per_day: int | None = None


PLANS: Mapping[str, Mapping[Weight, Allowance]] = {
    "free": {"light": Allowance(4, 6_000), "medium": Allowance(2, 2_000), "heavy": Allowance(1, 1_000)},
    "pro": {"light": Allowance(30), "medium": Allowance(20), "heavy": Allowance(10, 30_000)},
    "business": {"light": Allowance(80), "medium": Allowance(60), "heavy": Allowance(40, 60_000)},
}


@dataclass(slots=True)
class _Pace:
    """The calls of one weight: when the next may start (monotonic seconds), how many there were today, and until when
    no call is allowed."""

    allowance: Allowance
    next_at: float = 0.0
    day: date = date.min
    calls: int = 0
    closed_until: datetime = LONG_AGO
    paused_until: datetime = LONG_AGO


@dataclass
class Limits:
    """The rate limits of one account. Safe to use from several threads: each call gets its own moment."""

    plan: str
    clock: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._paces: dict[Weight, _Pace] = {weight: _Pace(each) for weight, each in PLANS[self.plan].items()}

    def wait(self, weight: Weight) -> None:
        """Wait until a call of this weight may be made. Raises ZoomRefused `zoom_daily_limit` if none may today,
        `zoom_rate_limited` while Zoom wants a pause."""
        with self._lock:
            pace, now = self._paces[weight], self.clock()
            if now < pace.closed_until:
                raise daily_limit(pace.closed_until, answered=0)
            if now < pace.paused_until:
                raise rate_limited(pace.paused_until)
            if pace.day != now.date():
                pace.day, pace.calls = now.date(), 0
            if pace.allowance.per_day is not None and pace.calls >= pace.allowance.per_day:
                raise daily_limit(next_day(now), answered=0)
            pace.calls += 1
            at = self.monotonic()
            starts_at = max(at, pace.next_at)
            pace.next_at = starts_at + 1 / (pace.allowance.per_second * SHARE_OF_LIMIT)
        if starts_at > at:
            self.sleep(starts_at - at)

    def heed(self, weight: Weight, headers: Mapping[str, str]) -> None:
        """Obey the rate limit headers of any answer.

        If no call is left today, close this weight until tomorrow; if none is left this second, delay the next call by
        one second.
        """
        remaining = headers.get("X-RateLimit-Remaining", "").strip()
        if not (remaining.isascii() and remaining.isdigit() and len(remaining) < 10 and int(remaining) == 0):
            return
        if is_daily(headers):
            self.close(weight, retry_at(headers, self.clock(), daily=True))
            return
        with self._lock:
            pace = self._paces[weight]
            pace.next_at = max(pace.next_at, self.monotonic() + 1)

    def close(self, weight: Weight, until: datetime) -> None:
        """Allow no call of this weight before this instant."""
        with self._lock:
            pace = self._paces[weight]
            pace.closed_until = max(pace.closed_until, until)

    def pause(self, weight: Weight, until: datetime) -> None:
        """Allow no call of this weight before this instant, which Zoom gave in `Retry-After`; never for longer than any
        service may ask."""
        with self._lock:
            pace = self._paces[weight]
            pace.paused_until = max(pace.paused_until, min(until, self.clock() + http.MAX_RETRY_AFTER))

    def back_off(self, attempt: int, until: datetime) -> bool:
        """Wait after the 429 of attempt number `attempt` (from 0); return False if `until` is too far away."""
        asked = (until - self.clock()).total_seconds()
        if asked > MAX_WAIT_SECONDS:
            return False
        least = FIRST_BACKOFF_SECONDS * 2**attempt
        # The random part keeps several processes from retrying at the same moment; it protects no secret.
        self.sleep(min(max(asked, least), MAX_WAIT_SECONDS) + random.uniform(0, least / 2))  # noqa: S311
        return True


def retry_at(headers: Mapping[str, str], now: datetime, *, daily: bool) -> datetime:
    """When Zoom wants to be asked again: always in the future, at most two days away.

    `Retry-After` gives it as a date or in seconds; without one it is in a second, or at the next UTC midnight for a
    daily limit.
    """
    fallback = next_day(now) if daily else now + timedelta(seconds=1)
    return http.retry_at(headers, now, longest=MAX_RETRY_AFTER) or fallback


def next_day(now: datetime) -> datetime:
    """The next UTC midnight."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)


def is_daily(headers: Mapping[str, str]) -> bool:
    """Whether the headers are about the daily limit (`X-RateLimit-Type`: `QPS` or a text with "daily")."""
    return "daily" in headers.get("X-RateLimit-Type", "").lower()


@dataclass(frozen=True, slots=True)
class Token(AccessToken):
    """An access token, and the address of the interface it is for."""

    api_url: str


class ZoomTokens:
    """The access token, kept in memory; threads share one request for a new one."""

    def __init__(
        self, http: Http, settings: Settings, clock: Callable[[], datetime], *, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        self._http = http
        self._settings = settings
        self._clock = clock
        self._paused_until = LONG_AGO
        self._cache: TokenCache[str, Token] = TokenCache(clock, wait_seconds=wait_seconds)

    def token(self) -> Token:
        """A token, cached until a minute before it expires.

        Raises ZoomRefused `zoom_token_refused` or `zoom_rate_limited`, NoAnswer, AddressRefused.
        """
        try:
            return self._cache.token("zoom", self._fetch)
        except TimeoutError as error:
            raise NoAnswer("zoom_token_awaited", "Zoom's token service is slow.", "Try again in a minute.") from error

    def forget(self, refused: Token) -> None:
        """Drop a token that Zoom refused, unless it has been replaced meanwhile."""
        self._cache.forget("zoom", refused.value)

    def _fetch(self) -> Token:
        if self._clock() < self._paused_until:
            raise rate_limited(self._paused_until)
        pair = f"{self._settings.zoom_client_id}:{self._settings.zoom_client_secret}"
        headers = {"Authorization": f"Basic {b64encode(pair.encode()).decode()}", "Accept": "application/json"}
        form = {"grant_type": "account_credentials", "account_id": self._settings.zoom_account_id or ""}
        reply = self._http.request("POST", self._settings.zoom_token_url, headers=headers, data=form)
        if reply.status == 429:
            self._paused_until = retry_at(reply.headers, self._clock(), daily=False)
            raise rate_limited(self._paused_until)
        if reply.status >= 500:
            raise refusal(reply, "")
        said = reply.json_object
        value = text_of(said, "access_token")
        if not reply.is_ok or not VALID_TOKEN.fullmatch(value):
            log.error("Zoom gave no token", extra={"status": reply.status})
            raise token_refused(reply.status)
        usable_until = self._clock() + usable_for(said, MAX_TOKEN_LIFE)
        return Token(value, usable_until, self._api_url(said.get("api_url")))

    def _api_url(self, said: object) -> str:
        """The interface on the host that Zoom names for this token; the configured one if that host is not trusted.

        Zoom names only a host; the path (`/v2`) comes from the configuration.
        """
        configured = self._settings.zoom_api_url
        if not isinstance(said, str) or not said.strip():
            return configured
        try:
            self._http.check_url(said)
            own = _origin(said)
        except (AddressRefused, ValueError):
            own = ""
        host = urlsplit(own).hostname or ""
        is_zooms = any(host == domain or host.endswith(f".{domain}") for domain in ZOOM_DOMAINS)
        if own == _origin(configured) or (is_zooms and own.startswith("https://")):
            return f"{own}{urlsplit(configured).path.rstrip('/')}"
        log.warning("Zoom named a foreign host for its interface; the configured one is used")
        return configured


def _origin(url: str) -> str:
    """Scheme, host and port. Raises ValueError for an invalid port."""
    parts = urlsplit(url)
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme}://{(parts.hostname or '').lower()}{port}"


class Call(NamedTuple):
    """A kind of call: its weight for the rate limits, and the scope it needs, which an error names if it is missing."""

    weight: Weight
    scope: str


@dataclass(frozen=True, slots=True)
class Question:
    """One request: a path below the interface's address, with each segment already encoded."""

    call: Call
    path: str
    method: str = "GET"
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)


class _PageTokenExpiredError(Exception):
    """Zoom takes this page token no more. The first page needs none, so nothing else is wrong with the request."""


class Calls:
    """Sends requests to Zoom. Safe to use from several threads; never call it inside a transaction."""

    def __init__(self, http: Http, tokens: ZoomTokens, limits: Limits) -> None:
        self._http = http
        self._tokens = tokens
        self._limits = limits

    def ask(self, question: Question) -> dict[str, Any]:
        """The answer's JSON object; empty for an answer without a body.

        Raises ZoomRefused for a refusal, NoAnswer if there is no answer or it cannot be read.
        """
        reply, token = self._within_limits(question)
        if reply.status == 401 and refusal(reply, "").code != "zoom_scope_missing":
            self._tokens.forget(token)
            reply, _ = self._within_limits(question)
        if not reply.is_ok:
            raise refusal(reply, question.call.scope)
        said = reply.json_object
        if reply.body.strip() and not said and reply.body.strip() != b"{}":
            raise unreadable()
        return said

    def pages(self, question: Question, name: str) -> list[dict[str, Any]]:
        """All rows of the list `name` from all pages; never a part of them. If a page token expires on the way, the
        list is begun again: it may have changed meanwhile.

        Raises what `ask` raises, and NoAnswer `zoom_pages_endless` if the pages repeat, `zoom_pages_expired` if the
        tokens keep expiring.
        """
        for _ in range(1 + MAX_NEW_BEGINNINGS):
            try:
                found: list[dict[str, Any]] = []
                for page in self._pages(question):
                    rows = page.get(name)
                    if not isinstance(rows, list):
                        raise unreadable()
                    found += [row for row in rows if isinstance(row, dict)]
                return found
            except _PageTokenExpiredError:
                log.info("Zoom's page token expired; the list is begun again")
        raise NoAnswer("zoom_pages_expired", "Zoom's list takes longer than it allows for reading it.", AUTOMATIC_RETRY)

    def _pages(self, question: Question) -> Iterator[dict[str, Any]]:
        """A page token lives 15 minutes and needs the same parameters again (zoom.md §6)."""
        used: set[str] = set()
        following: dict[str, str] = {}
        while len(used) < MAX_PAGES:
            parameters = {**question.parameters, "page_size": str(PAGE_SIZE), **following}
            try:
                page = self.ask(Question(question.call, question.path, parameters=parameters))
            except ZoomRefused as refused:
                if following and refused.answered == 400 and refused.zoom_code == INVALID_REQUEST:
                    raise _PageTokenExpiredError from refused
                raise
            yield page
            token = page.get("next_page_token") or ""
            if token == "":
                return
            if not isinstance(token, str) or token in used:
                break
            used.add(token)
            following = {"next_page_token": token}
        raise NoAnswer("zoom_pages_endless", "Zoom's list does not end.", AUTOMATIC_RETRY)

    def _within_limits(self, question: Question) -> tuple[Reply, Token]:
        """The answer and the token used. Zoom does not carry out what it answers with 429, so any call is retried."""
        weight = question.call.weight
        for attempt in range(MAX_BACKOFFS + 1):
            self._limits.wait(weight)
            token = self._tokens.token()
            reply = self._send(question, token)
            if reply.status != 429:
                self._limits.heed(weight, reply.headers)
                if reply.status == 503 and (until := http.retry_at(reply.headers, self._limits.clock())):
                    self._limits.pause(weight, until)
                return reply, token
            limited = self._limited(weight, reply)
            if attempt == MAX_BACKOFFS or limited.code != "zoom_rate_limited" or limited.retry_at is None:
                raise limited
            log.info("Zoom limits the rate of calls", extra={"code": limited.code, "attempts": attempt + 1})
            if not self._limits.back_off(attempt, limited.retry_at):
                self._limits.pause(weight, limited.retry_at)
                raise limited
        raise AssertionError("the last attempt returns or raises")

    def _limited(self, weight: Weight, reply: Reply) -> ZoomRefused:
        """The meaning of a 429. The daily limit of one registrant does not affect other calls."""
        now = self._limits.clock()
        message = str(reply.json_object.get("message", "")).lower()
        if is_daily(reply.headers) or "daily" in message:
            if "registrant" in message:
                return registrant_limit(next_day(now))
            until = retry_at(reply.headers, now, daily=True)
            self._limits.close(weight, until)
            log.error("Zoom's calls of the day are used up", extra={"kind": weight, "at": until.isoformat()})
            return daily_limit(until)
        return rate_limited(retry_at(reply.headers, now, daily=False))

    def _send(self, question: Question, token: Token) -> Reply:
        headers = {"Authorization": f"Bearer {token.value}", "Accept": "application/json"}
        body = None
        if question.body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(question.body).encode()
        query = f"?{urlencode(question.parameters, quote_via=quote)}" if question.parameters else ""
        url = f"{token.api_url}/{question.path}{query}"
        return self._http.request(question.method, url, headers=headers, data=body, most_bytes=MAX_ANSWER_BYTES)


def uuid_forms(uuid: str) -> tuple[str, str]:
    """A uuid as a path segment, the likelier form first.

    Zoom wants a uuid that begins with `/` or contains `//` encoded twice, and does not document a single `/` inside. If
    it does not know the first form, it may know the other.
    """
    once = quote(uuid, safe="")
    twice = quote(once, safe="")
    return (twice, once) if "/" in uuid else (once, twice)


def number_path(meeting_id: str) -> str:
    """A meeting's number as a path segment."""
    return quote(meeting_id, safe="")
