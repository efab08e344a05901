"""One call of Zoom's REST interface: the token, the pace, what is worth asking again, and lists of several pages.

How often Zoom's REST interface may be asked: spacing within this process, and what Zoom's headers say (zoom.md §6).

The limits are an account's, for all of its apps together: Gatehouse takes half of the calls per second, so that the
others have room, and counts the day's only where a plan limits them. A day is a UTC day.

Server-to-Server OAuth: the access token of Zoom's REST interface, and the host that goes with it (zoom.md §6).

Zoom gives no refresh token; several tokens are valid at once, so one that is refused is simply asked for anew.
"""

import json
import random
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from logging import getLogger
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from lti_tool.errors import AddressRefused, NoAnswer
from lti_tool.http import Http, Reply
from lti_tool.oauth import WAIT_SECONDS, AccessToken, TokenCache, usable_for
from lti_tool.settings import Settings
from zoom_adapter.api_errors import (
    ZoomRefused,
    daily_limit,
    document,
    rate_limited,
    refusal,
    registrant_limit,
    text_of,
    token_refused,
    unreadable,
)

Weight = Literal["light", "medium", "heavy"]

LONG_AGO = datetime.min.replace(tzinfo=UTC)
OUR_SHARE = 0.5
# After a 429 without a word of how long: one second, two, four, each with a random part on top.
FIRST_BACKOFF_SECONDS = 1.0
# Longer than this nobody waits inside a call: the worker has other things to do.
LONGEST_WAIT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one account may do with calls of one weight."""

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
    there is to be none."""

    allowance: Allowance
    next_at: float = 0.0
    day: date = date.min
    calls: int = 0
    closed_until: datetime = LONG_AGO


@dataclass
class Limits:
    """The paces of one account. Safe to use from several threads: each call gets a moment of its own."""

    plan: str
    clock: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._paces: dict[Weight, _Pace] = {weight: _Pace(each) for weight, each in PLANS[self.plan].items()}

    def wait(self, weight: Weight) -> None:
        """Return when a call of this weight may be made. Raises ZoomRefused `zoom_daily_limit` when there is to be none
        today."""
        with self._lock:
            seconds = self._reserve(self._paces[weight], self.clock())
        if seconds > 0:
            self.sleep(seconds)

    def _reserve(self, pace: _Pace, now: datetime) -> float:
        """Take the next free moment; the seconds until it."""
        if now < pace.closed_until:
            raise daily_limit(pace.closed_until, answered=0)
        if pace.day != now.date():
            pace.day, pace.calls = now.date(), 0
        if pace.allowance.per_day is not None and pace.calls >= pace.allowance.per_day:
            raise daily_limit(next_day(now), answered=0)
        pace.calls += 1
        at = self.monotonic()
        starts = max(at, pace.next_at)
        pace.next_at = starts + 1 / (pace.allowance.per_second * OUR_SHARE)
        return starts - at

    def heed(self, weight: Weight, headers: Mapping[str, str]) -> None:
        """Obey what the headers of any answer say: nothing left of the day closes this weight until tomorrow, nothing
        left of the second delays the next call by one."""
        if _remaining(headers) != 0:
            return
        with self._lock:
            pace = self._paces[weight]
            if is_daily(headers):
                pace.closed_until = max(pace.closed_until, retry_at(headers, self.clock(), daily=True))
            else:
                pace.next_at = max(pace.next_at, self.monotonic() + 1)

    def close(self, weight: Weight, until: datetime) -> None:
        """No call of this weight before this instant."""
        with self._lock:
            pace = self._paces[weight]
            pace.closed_until = max(pace.closed_until, until)

    def back_off(self, attempt: int, until: datetime) -> bool:
        """Wait after a 429 of the second, for the `attempt`-th time (from 0); False when `until` is too far away to
        wait for."""
        asked = (until - self.clock()).total_seconds()
        if asked > LONGEST_WAIT_SECONDS:
            return False
        least = FIRST_BACKOFF_SECONDS * 2**attempt
        # The random part keeps several processes from coming back in the same moment; no secret hangs on it.
        self.sleep(min(max(asked, least), LONGEST_WAIT_SECONDS) + random.uniform(0, least / 2))  # noqa: S311
        return True


def retry_at(headers: Mapping[str, str], now: datetime, *, daily: bool) -> datetime:
    """When Zoom wants to be asked again: `Retry-After` as a date or in seconds; without one in a second, or at the next
    UTC midnight for a daily limit. Always to come, never later than two days from now."""
    said = _instant(headers.get("Retry-After", ""), now)
    fallback = next_day(now) if daily else now + timedelta(seconds=1)
    return min(said if said and said > now else fallback, now + timedelta(days=2))


def next_day(now: datetime) -> datetime:
    """The next UTC midnight."""
    return datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), datetime.min.time(), UTC)


def is_daily(headers: Mapping[str, str]) -> bool:
    """Whether the limit that the headers speak of is the day's (`X-RateLimit-Type`: `QPS` or a text with "daily")."""
    return "daily" in headers.get("X-RateLimit-Type", "").lower()


def _remaining(headers: Mapping[str, str]) -> int | None:
    text = headers.get("X-RateLimit-Remaining", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _instant(text: str, now: datetime) -> datetime | None:
    """Seconds from now, an ISO 8601 instant, or an HTTP date; None for anything else."""
    plain = text.strip()
    if plain.isascii() and plain.isdigit() and len(plain) < 8:
        return now + timedelta(seconds=int(plain))
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = read(plain)
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


log = getLogger(__name__)

LONGEST_LIFE = timedelta(hours=1)
# What the client of HTTP would refuse as a header, it would quote in its complaint.
FITS_A_HEADER = re.compile(r"[!-~]+")
ZOOM_DOMAINS = ("zoom.us", "zoomgov.com")


@dataclass(frozen=True, slots=True)
class Token(AccessToken):
    """An access token, and the address of the interface it is for."""

    api_url: str


class ZoomTokens:
    """The token in memory; threads share one request for a new one."""

    def __init__(
        self, http: Http, settings: Settings, clock: Callable[[], datetime], *, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        self._http = http
        self._settings = settings
        self._clock = clock
        self._cache: TokenCache[str, Token] = TokenCache(clock, wait_seconds=wait_seconds)

    def token(self) -> Token:
        """A token, kept until a minute before it expires.

        Raises ZoomRefused `zoom_token_refused` or `zoom_rate_limited`, NoAnswer, AddressRefused.
        """
        try:
            return self._cache.token("zoom", lambda: self._read(self._ask()))
        except TimeoutError as error:
            raise NoAnswer("zoom_token_awaited", "Zoom's token service is slow.", "Try again in a minute.") from error

    def forget(self, refused: Token) -> None:
        """Drop a token that Zoom refused; one that came meanwhile stays."""
        self._cache.forget("zoom", refused.value)

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
        usable_until = self._clock() + usable_for(said, LONGEST_LIFE)
        return Token(value, usable_until, self._api_url(said.get("api_url")))

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


MOST_BACKOFFS = 3
PAGE_SIZE = 300
# 10,000 people with fourteen stays each are 467 pages.
MOST_PAGES = 2000
# A page of 300 rows is 150 KB, the polls of a large class several MB in one answer: the door's usual cap is for less.
MOST_BYTES = 16 * 1024 * 1024

Answer = TypeVar("Answer")


class Call(NamedTuple):
    """A kind of call: how heavy it is for the limits, and the scope it needs, to be named when it is missing."""

    weight: Weight
    scope: str


@dataclass(frozen=True, slots=True)
class Question:
    """One request: a path below the interface's address, each step of it encoded as it is to be sent."""

    call: Call
    path: str
    method: str = "GET"
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)


class Calls:
    """Asks Zoom. Safe to use from several threads; call it outside of a transaction."""

    def __init__(self, http: Http, tokens: ZoomTokens, limits: Limits) -> None:
        self._http = http
        self._tokens = tokens
        self._limits = limits

    def ask(self, question: Question) -> dict[str, Any]:
        """The answer's JSON object, empty for an answer without a body.

        Raises ZoomRefused with what Zoom refuses, NoAnswer when there is no answer or none that can be read.
        """
        reply = self._reply(question)
        if not reply.is_ok:
            raise refusal(reply, question.call.scope)
        said = document(reply)
        if reply.body.strip() and not said and reply.body.strip() != b"{}":
            raise unreadable()
        return said

    def pages(self, question: Question, name: str) -> list[dict[str, Any]]:
        """All rows of the list `name` from all pages, or an exception: half a list is none.

        Raises what `ask` raises, and NoAnswer `zoom_pages_endless` when the pages go round in a circle.
        """
        rows: list[dict[str, Any]] = []
        for page in self._pages(question):
            found = page.get(name)
            if not isinstance(found, list):
                raise unreadable()
            rows += [each for each in found if isinstance(each, dict)]
        return rows

    def _pages(self, question: Question) -> Iterator[dict[str, Any]]:
        """Zoom's token for the next page lives 15 minutes and wants the same parameters again."""
        seen: set[str] = {""}
        following: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            parameters = {**question.parameters, "page_size": str(PAGE_SIZE), **following}
            page = self.ask(Question(question.call, question.path, parameters=parameters))
            yield page
            token = page.get("next_page_token") or ""
            if token == "":
                return
            if not isinstance(token, str) or token in seen:
                break
            seen.add(token)
            following = {"next_page_token": token}
        raise _endless()

    def _reply(self, question: Question) -> Reply:
        """The answer to a question that Zoom had time for; a token that is refused is replaced once."""
        reply, token = self._in_time(question)
        if reply.status == 401 and not _is_about_scope(reply):
            self._tokens.forget(token)
            reply, _ = self._in_time(question)
        return reply

    def _in_time(self, question: Question) -> tuple[Reply, Token]:
        """A 429 was not carried out, so any request may be repeated after one."""
        for attempt in range(MOST_BACKOFFS + 1):
            self._limits.wait(question.call.weight)
            token = self._tokens.token()
            reply = self._send(question, token)
            if reply.status != 429:
                self._limits.heed(question.call.weight, reply.headers)
                return reply, token
            limited = self._limited(question.call.weight, reply)
            is_last = attempt == MOST_BACKOFFS
            if is_last or limited.code != "zoom_rate_limited" or not self._waited(attempt, limited):
                raise limited
        raise AssertionError("the last attempt returns or raises")

    def _waited(self, attempt: int, limited: ZoomRefused) -> bool:
        log.info("Zoom asks for patience", extra={"code": limited.code, "attempts": attempt + 1})
        return limited.retry_at is not None and self._limits.back_off(attempt, limited.retry_at)

    def _limited(self, weight: Weight, reply: Reply) -> ZoomRefused:
        """What a 429 means. The day's limit of one registrant says nothing about other calls."""
        now = self._limits.clock()
        message = str(document(reply).get("message", "")).lower()
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
        return self._http.request(question.method, url, headers=headers, data=body, most_bytes=MOST_BYTES)


def uuid_forms(uuid: str) -> tuple[str, str]:
    """A uuid as a step of a path, the likelier form first. Zoom wants one that begins with `/` or holds `//` encoded
    twice and says nothing of a single `/` inside; it takes the other form where it does not know the first one."""
    once = quote(uuid, safe="")
    twice = quote(once, safe="")
    return (twice, once) if "/" in uuid else (once, twice)


def number_path(meeting_id: str) -> str:
    """A meeting's number as a step of a path."""
    return quote(meeting_id, safe="")


def chunks(values: Sequence[Answer], size: int) -> Iterator[Sequence[Answer]]:
    """The values in portions of at most `size`."""
    return (values[start : start + size] for start in range(0, len(values), size))


def _is_about_scope(reply: Reply) -> bool:
    found = refusal(reply, "")
    return isinstance(found, ZoomRefused) and found.code == "zoom_scope_missing"


def _endless() -> NoAnswer:
    return NoAnswer("zoom_pages_endless", "Zoom's list does not come to an end.", "It is tried again by itself.")
