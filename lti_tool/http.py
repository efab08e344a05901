"""The only outbound door: everything Gatehouse asks of another system goes through `Http.request`.

Addresses come from platforms and administrators, so each one is checked (lti.md §11): https only, no user part, and
after name resolution no private, loopback, link-local, multicast or unspecified address. The connection goes to the
very address that was checked, so a name that resolves differently the second time gains nothing. Redirects are refused.
Sizes and waits are bounded: the name look-up, the connection, and an answer that drips byte by byte.
"""

import io
import ipaddress
import json
import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from lti_tool.errors import AddressRefused, NoAnswer, PlatformRefused

log = logging.getLogger(__name__)

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Start = Callable[[Callable[[], None]], object]


class SingleFlight(Generic[Key, Value]):
    """One run per key at a time: threads that want the same work share one run and its result."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Key, Future[Value]] = {}

    def run(
        self, key: Key, work: Callable[[], Value], *, wait_seconds: float, start: Start = lambda job: job()
    ) -> Value:
        """The result of `work`, or of the run that another thread has begun for this key.

        All threads that share a run get the same value or the same exception. Raises TimeoutError when it takes longer
        than `wait_seconds`; the run goes on. `start` starts the run: in this thread, or in a new one.
        """
        with self._lock:
            result = self._running.get(key)
            is_first = result is None
            if result is None:
                result = self._running[key] = Future()
        if is_first:
            try:
                start(lambda: self._work(key, result, work))
            except BaseException as error:  # for example, no thread could be started
                self._finish(key)
                result.set_exception(error)
        return result.result(wait_seconds)

    def _work(self, key: Key, result: Future[Value], work: Callable[[], Value]) -> None:
        """A run is over before its result is given out: whoever comes after that begins a new one."""
        try:
            value = work()
        except BaseException as error:
            self._finish(key)
            result.set_exception(error)
        else:
            self._finish(key)
            result.set_result(value)

    def _finish(self, key: Key) -> None:
        with self._lock:
            del self._running[key]


LOOKUP_SECONDS = 5
MOST_AT_ONCE = 16

Resolve = Callable[[str, int], list[str]]


def resolve_by_system(name: str, port: int) -> list[str]:
    """The addresses of a name, without scope ids. Raises OSError when it has none."""
    answers = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]).partition("%")[0] for *_, sockaddr in answers]


class BoundedLookups:
    """`resolve` with a time limit; called as `resolve` is called.

    The system's own look-up has no time limit and cannot be stopped. So each one runs in a daemon thread that the
    caller leaves behind when the time is over. A name has one look-up at a time, and all names together have `at_once`.
    """

    def __init__(self, resolve: Resolve, *, seconds: float = LOOKUP_SECONDS, at_once: int = MOST_AT_ONCE) -> None:
        self._resolve = resolve
        self._seconds = seconds
        self._free = threading.BoundedSemaphore(at_once)
        self._lookups: SingleFlight[tuple[str, int], list[str]] = SingleFlight()

    def __call__(self, name: str, port: int) -> list[str]:
        """The addresses of a name; an address is its own. Raises OSError (TimeoutError) when there is no answer."""
        if _as_address(name) is not None:
            return [name.partition("%")[0]]

        def look_up() -> list[str]:
            if not self._free.acquire(timeout=self._seconds):
                raise TimeoutError("too many look-ups hang")
            try:
                return self._resolve(name, port)
            finally:
                self._free.release()

        def in_a_thread(job: Callable[[], None]) -> None:
            threading.Thread(target=job, daemon=True, name="look-up").start()

        return self._lookups.run((name, port), look_up, wait_seconds=self._seconds, start=in_a_thread)


USER_AGENT = "Gatehouse/0.1 (LTI 1.3 tool)"
CONNECT_SECONDS = 3
READ_SECONDS = 10
WHOLE_ANSWER_SECONDS = 15
MOST_BYTES = 1024 * 1024
CONNECTIONS_PER_HOST = 32

NAT64 = ipaddress.ip_network("64:ff9b::/96")
# IANA's block for protocols, where a cloud keeps its metadata (192.0.0.192); Python before 3.11.10 knows parts of it.
PROTOCOLS = ipaddress.ip_network("192.0.0.0/24")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with any status but a redirect; `headers` are looked up without regard to case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object, whatever its media type says; empty if it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def body_start(self) -> str:
        """The first 200 characters, for the ledger; what cannot be printed is a blank (PostgreSQL takes no NUL)."""
        start = self.body[:800].decode("utf-8", "replace")[:200]
        return "".join(each if each.isprintable() else " " for each in start)


# The longest that a service makes its callers wait: a mistake there must not stop scores for days (lti.md FR-2).
MAX_RETRY_AFTER = timedelta(minutes=15)
SPREAD_SHARE = 0.1


def retry_at(headers: Mapping[str, str], now: datetime, *, longest: timedelta = MAX_RETRY_AFTER) -> datetime | None:
    """When `Retry-After` allows the next request, at most `longest` from now (lti.md FR-2).

    The header gives seconds, an HTTP date, or an ISO 8601 date (Zoom). None without the header, for a date that has
    passed, and for anything else.
    """
    said = headers.get("Retry-After", "").strip()
    if said.isascii() and said.isdigit() and len(said) < 8:
        at: datetime | None = now + timedelta(seconds=int(said))
    else:
        at = _date(said)
    return min(at, now + longest) if at is not None and at > now else None


def spread(until: datetime, now: datetime) -> datetime:
    """A moment after `until`, by at most a tenth of the wait, so that not all who wait come back together."""
    return until + (until - now) * SPREAD_SHARE * random.random()  # noqa: S311


def _date(text: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = read(text)
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


class Pauses(Generic[Key]):
    """Which services have asked for a pause, and until when. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._until: dict[Key, datetime] = {}

    def end(self, key: Key) -> datetime | None:
        """When the pause of this service ends; None if it may be asked now."""
        until, now = self._until.get(key), self._clock()
        # A later end was noted before the clock was set back.
        return until if until is not None and now < until <= now + MAX_RETRY_AFTER else None

    def verify_over(self, key: Key) -> None:
        """Raise PlatformRefused `asked_to_wait` while the pause of this service lasts: it is not asked."""
        if (until := self.end(key)) is not None:
            error = PlatformRefused("asked_to_wait", "The other system asked for a pause.", answered=429)
            error.retry_at = until
            raise error

    def heed(self, key: Key, reply: Reply) -> datetime | None:
        """Note the pause that an error asks for (`Retry-After`). Returns its end; None for none."""
        until = retry_at(reply.headers, self._clock()) if reply.status >= 400 else None
        if until is not None:
            self._until[key] = until
        return until


class Http:
    """The door, with its pool of connections. Safe to use from several threads."""

    def __init__(
        self,
        *,
        allow_private_addresses: bool = False,
        resolve: Resolve = resolve_by_system,
        lookup_seconds: float = LOOKUP_SECONDS,
        answer_seconds: float = WHOLE_ANSWER_SECONDS,
    ) -> None:
        self._allow_private = allow_private_addresses
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no netrc: the checked address is the one that is called
        self._session.cookies = RequestsCookieJar(DefaultCookiePolicy(allowed_domains=[]))
        lookups = BoundedLookups(resolve, seconds=lookup_seconds)
        adapter = _PinnedAdapter(lookups, self._check_address, answer_seconds)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, adapter)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | bytes | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> Reply:
        """Ask once. Returns the reply whatever its status.

        Raises AddressRefused, NoAnswer (also for a body above `most_bytes`), or PlatformRefused for a redirect.
        """
        self.check_url(url)
        try:
            with self._session.request(
                method,
                url,
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **(headers or {})},
                data=data,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = _read(response, most_bytes)
        except (requests.RequestException, OSError, UnicodeError) as error:
            log.info("no answer from another system", extra={"error": type(error).__name__})
            raise NoAnswer(
                "no_answer", "The other system did not answer in time.", "Try again in a few minutes."
            ) from error
        if 300 <= response.status_code < 400:
            raise PlatformRefused(
                "redirect_refused",
                "The other system sent us to another address, which we do not follow.",
                answered=response.status_code,
            )
        return Reply(response.status_code, response.headers, body)

    def check_url(self, url: str) -> None:
        """Raise AddressRefused unless this address may be called, as far as one can tell without a lookup."""
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            raise _refused("This is not a web address.") from error
        if any(character <= " " or character == "\\" or character == "\x7f" for character in url):
            raise _refused("The address holds a blank, a backslash or a control character.")
        schemes = ("https", "http") if self._allow_private else ("https",)
        if (
            parts.scheme not in schemes
            or not parts.hostname
            or parts.username is not None
            or parts.password is not None
        ):
            raise _refused("The address must start with https:// and name a host, without a user or password in it.")
        if (literal := _as_address(parts.hostname)) is not None:
            self._check_address(literal)

    def _check_address(self, address: Address) -> None:
        if not self._allow_private and not is_public(address):
            raise _refused("The address leads into a private network or to this machine itself.")


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet. An IPv4 address inside an IPv6 one (mapped, 6to4, Teredo,
    NAT64) is judged itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        teredo = address.teredo
        if inner := address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None):
            return is_public(inner)
        if address.is_site_local:
            return False
    if address in PROTOCOLS:
        return False
    return address.is_global and not (address.is_multicast or address.is_unspecified or address.is_reserved)


class _PinnedAdapter(HTTPAdapter):
    """Resolves the name, checks every address it has, and connects to one of those; the name stays in Host and SNI."""

    def __init__(self, resolve: Resolve, check: Callable[[Address], None], answer_seconds: float) -> None:
        self._resolve = resolve
        self._check = check
        self._answer_seconds = answer_seconds
        super().__init__(pool_connections=CONNECTIONS_PER_HOST, pool_maxsize=CONNECTIONS_PER_HOST)

    def init_poolmanager(self, *given: Any, **named: Any) -> None:
        super().init_poolmanager(*given, **named)
        self.poolmanager.pool_classes_by_scheme = _pools(self._answer_seconds)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host: Any
        pool: Any
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        parts = urlsplit(request.url or "")
        name = parts.hostname or ""
        request.headers["Host"] = parts.netloc.rpartition("@")[2]
        if parts.scheme == "https":
            pool = {**pool, "server_hostname": name}
        found = self._resolve(name, parts.port or 443)
        for each in found:
            self._check(ipaddress.ip_address(each))
        # IPv4 first: without an IPv6 route, a connection to an IPv6 address only times out.
        return {**host, "host": min(found, key=lambda each: ":" in each)}, pool


class _TimedAnswer(io.RawIOBase):
    """What comes from a socket, until a moment: before every read the socket is told how long it may still wait."""

    def __init__(self, raw: io.RawIOBase, waiting: socket.socket, seconds: float) -> None:
        self._raw = raw
        self._socket = waiting
        self._ends_at = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends_at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._socket.settimeout(min(READ_SECONDS, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _pools(answer_seconds: float) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools by scheme, with connections whose answers (headers and body) end in time."""

    class Answer(HTTPResponse):
        def __init__(self, sock: socket.socket, *given: Any, **named: Any) -> None:
            super().__init__(sock, *given, **named)
            self.fp = io.BufferedReader(_TimedAnswer(self.fp.detach(), sock, answer_seconds))

    class Plain(HTTPConnection):
        response_class = Answer

    class Encrypted(HTTPSConnection):
        response_class = Answer

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


def _read(response: requests.Response, most_bytes: int) -> bytes:
    """The whole body, within the size that one answer may have."""
    body = bytearray()
    for chunk in response.iter_content(65536):
        body += chunk
        if len(body) > most_bytes:
            raise NoAnswer("answer_too_large", "The other system's answer is larger than we take.")
    return bytes(body)


def _as_address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _refused(why: str) -> AddressRefused:
    return AddressRefused("address_refused", why, "Ask the platform's administrator for the right address.")
