"""The only outbound door. Everything Gatehouse asks of another system goes through `Http.request`.

Addresses come from platforms and administrators, so each is checked (facts: lti.md §11): https only, no user part,
and after name resolution no private, loopback, link-local, multicast or unspecified address. The connection goes to the
very address that was checked, so a name that answers differently the second time gains nothing. Redirects are refused,
sizes and waits are bounded: the look-up of the name, the connection, and an answer that drips, byte by byte, are given
up when their time is over.

Names to addresses, in bounded time.

The system's own look-up knows no time limit, and nothing can stop it once it hangs. So each runs in a thread of its own
that the asker leaves behind when its time is over. One name has one look-up under way, and all names together a few.

Work that several threads want at once and one of them does: the others wait for what it brings, but not for ever.
"""

import io
import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Generic, TypeVar
from urllib.parse import SplitResult, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from lti_tool.errors import AddressRefused, NoAnswer, PlatformRefused

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Start = Callable[[Callable[[], None]], object]


def here(job: Callable[[], None]) -> None:
    """Start a job in the thread that asks for it."""
    job()


class Flights(Generic[Key, Value]):
    """What is under way, by key. Different keys never wait for each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Key, Future[Value]] = {}

    def join(self, key: Key, work: Callable[[], Value], *, wait_seconds: float, start: Start = here) -> Value:
        """What `work` brings, or what the same work brings that another thread began for this key.

        Everybody who joined gets the same value or the same exception. Raises TimeoutError when it takes longer than
        `wait_seconds`; the work goes on.
        """
        with self._lock:
            flight = self._under_way.get(key)
            is_first = flight is None
            if flight is None:
                flight = self._under_way[key] = Future()
        if is_first:
            self._start(key, flight, lambda: self._fly(key, flight, work), start)
        return flight.result(wait_seconds)

    def _start(self, key: Key, flight: Future[Value], job: Callable[[], None], start: Start) -> None:
        """What cannot be started (no thread is to be had) is over."""
        try:
            start(job)
        except BaseException as error:
            self._land(key)
            flight.set_exception(error)

    def _fly(self, key: Key, flight: Future[Value], work: Callable[[], Value]) -> None:
        """Who comes once it has ended begins anew: the flight is over before its value is handed out."""
        try:
            value = work()
        except BaseException as error:
            self._land(key)
            flight.set_exception(error)
        else:
            self._land(key)
            flight.set_result(value)

    def _land(self, key: Key) -> None:
        with self._lock:
            del self._under_way[key]


LOOKUP_SECONDS = 5
MOST_AT_ONCE = 16

Resolve = Callable[[str, int], list[str]]


def resolve_by_system(name: str, port: int) -> list[str]:
    """The addresses of a name, without scope ids. Raises OSError when it has none."""
    answers = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]).partition("%")[0] for *_, sockaddr in answers]


class BoundedLookups:
    """`resolve` with a time limit; called as it is called."""

    def __init__(self, resolve: Resolve, *, seconds: float = LOOKUP_SECONDS, at_once: int = MOST_AT_ONCE) -> None:
        self._resolve = resolve
        self._seconds = seconds
        self._free = threading.BoundedSemaphore(at_once)
        self._flights: Flights[tuple[str, int], list[str]] = Flights()

    def __call__(self, name: str, port: int) -> list[str]:
        """The addresses of a name; an address is its own. Raises OSError (TimeoutError) when there is no answer."""
        if _is_address(name):
            return [name.partition("%")[0]]
        look_up = partial(self._look_up, name, port)
        return self._flights.join((name, port), look_up, wait_seconds=self._seconds, start=_in_a_thread)

    def _look_up(self, name: str, port: int) -> list[str]:
        if not self._free.acquire(timeout=self._seconds):
            raise TimeoutError("too many look-ups hang")
        try:
            return self._resolve(name, port)
        finally:
            self._free.release()


def _in_a_thread(job: Callable[[], None]) -> None:
    """A daemon: a look-up that hangs does not keep the process from ending."""
    threading.Thread(target=job, daemon=True, name="look-up").start()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


log = logging.getLogger(__name__)

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
    def body_start(self) -> str:
        """The first 200 characters, for the ledger; what cannot be printed is a blank (PostgreSQL takes no NUL)."""
        start = self.body[:800].decode("utf-8", "replace")[:200]
        return "".join(each if each.isprintable() else " " for each in start)


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
        return self._ask(method, url, headers or {}, data, most_bytes)

    def check_url(self, url: str) -> None:
        """Raise AddressRefused unless this address may be called, as far as one can tell without a lookup."""
        parts = _split(url)
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

    def _ask(self, method: str, url: str, headers: Mapping[str, str], data: Any, most_bytes: int) -> Reply:
        named = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
        try:
            with self._session.request(
                method,
                url,
                headers=named,
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


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet; an IPv4 address inside an IPv6 one is judged itself."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inner_ipv4(address)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    if address in PROTOCOLS:
        return False
    return address.is_global and not (address.is_multicast or address.is_unspecified or address.is_reserved)


def _inner_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for: mapped, 6to4, Teredo, NAT64."""
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


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
        return {**host, "host": self._checked_address(name, parts.port or 443)}, pool

    def _checked_address(self, name: str, port: int) -> str:
        found = self._resolve(name, port)
        for each in found:
            self._check(ipaddress.ip_address(each))
        # IPv4 first: a host without an IPv6 route would wait for nothing.
        return min(found, key=lambda each: ":" in each)


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


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise _refused("This is not a web address.") from error
    if any(character <= " " or character == "\\" or character == "\x7f" for character in url):
        raise _refused("The address holds a blank, a backslash or a control character.")
    return parts


def _as_address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _refused(why: str) -> AddressRefused:
    return AddressRefused("address_refused", why, "Ask the platform's administrator for the right address.")
