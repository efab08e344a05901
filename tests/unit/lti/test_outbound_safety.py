"""Every address that a platform supplies, through the call that uses it: where it may lead, and how much it may cost.

Every bad address is tried at the outbound door, and some at each call that uses it. The bad address belongs to the
registration's own hosts here, so that nothing but the outbound door stands in its way.
"""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from sqlalchemy import update

from lti_tool.db import Database
from lti_tool.errors import AddressRefused, GatehouseError, NoAnswer, PlatformRefused, RefusedLaunch
from lti_tool.http import MOST_BYTES, Http
from lti_tool.lti import registration
from lti_tool.lti.key_sets import KeySets
from lti_tool.lti.keys import ToolKeys
from lti_tool.lti.line_items import (
    LineItem,
    NewLineItem,
    change_line_item,
    create_line_item,
    fetch_result,
    find_line_items,
)
from lti_tool.lti.notices import ask_for_notices
from lti_tool.lti.nrps import fetch_differences, fetch_groups, fetch_roster
from lti_tool.lti.platform_api import PlatformApi
from lti_tool.lti.registration import origin
from lti_tool.lti.service_log import of_registration
from lti_tool.tables.platforms import registrations
from tests.clock import TestClock
from tests.platform import Platform

pytestmark = pytest.mark.databases("sqlite")

# What calls the outbound door with an address as it is.
DOOR = "registration configuration"
NEW = NewLineItem("F1", 1, "F1", "ce")


@dataclass
class World:
    """One registered platform whose addresses a test turns bad, and all that the tool would call it with."""

    database: Database
    clock: TestClock
    http: Http
    platform: Platform

    @property
    def id(self) -> int:
        return self.platform.registration_id

    @property
    def api(self) -> PlatformApi:
        return PlatformApi(self.database, self.http, ToolKeys(self.database, self.clock), self.clock)

    def change(self, **values: Any) -> None:
        """Turn the platform's addresses bad, whatever the checks of a registration say."""
        with self.database.write() as connection:
            connection.execute(update(registrations).where(registrations.c.id == self.id).values(**values))

    def own(self, url: str) -> None:
        """Let the origin of an address be one of the platform's own."""
        self.change(service_origins=[origin(url)] if origin(url) else [])


def item(url: str) -> LineItem:
    return LineItem(url, "F1", 1, None, None, None, {})


def ask_token(world: World, url: str) -> None:
    world.change(token_url=url)
    world.api.token(world.id, ["scope"])


def read_key_set(world: World, url: str) -> None:
    """A launch is told only that the keys cannot be read; why is noted."""

    def note(_1: int, _2: str, _3: str, status: int, code: str) -> None:
        noted.append((status, code))

    noted: list[tuple[int, str]] = []
    with world.database.read() as connection:
        registered = replace(registration.load(connection, world.id), key_set_url=url)
    with suppress(RefusedLaunch):
        KeySets(world.http, world.clock, note).key(registered, "key-1")
    ((status, code),) = noted
    raise PlatformRefused(code, "As it was noted.", answered=status) if code else AssertionError("it was read")


def post_score(world: World, url: str) -> None:
    world.api.post_score(world.id, url, {"userId": "user-1"})


def read_roster(world: World, url: str) -> None:
    list(fetch_roster(world.api, world.id, url))


def follow_next(world: World, url: str) -> None:
    """The first page is a good one of the same host, and names the bad address as the next."""
    parts = urlsplit(url)
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if origin(url) else world.platform.origin
    list(fetch_roster(world.api, world.id, f"{host}/first?next={url}"))


def read_differences(world: World, url: str) -> None:
    list(fetch_differences(world.api, world.id, url))


KINDS: dict[str, Callable[[World, str], object]] = {
    "token": ask_token,
    "key set": read_key_set,
    "scores": post_score,
    "line items": lambda world, url: find_line_items(world.api, world.id, url),
    "a new line item": lambda world, url: create_line_item(world.api, world.id, url, NEW),
    "a changed line item": lambda world, url: change_line_item(world.api, world.id, item(url), tag="x"),
    "results": lambda world, url: fetch_result(world.api, world.id, url, "user-1"),
    "roster": read_roster,
    "next page": follow_next,
    "differences": read_differences,
    "groups": lambda world, url: fetch_groups(world.api, world.id, url),
    "notices": lambda world, url: ask_for_notices(world.api, world.id, url, "https://gatehouse.example.org/", ["x"]),
    DOOR: lambda world, url: world.http.request("GET", url),
}
BAD_ADDRESSES = {
    "private": "https://10.0.0.8/x",
    "private too": "https://192.168.1.1:8443/x",
    "carrier": "https://100.64.0.1/x",
    "loopback": "https://127.0.0.1/x",
    "loopback elsewhere": "https://127.8.9.1/x",
    "link-local": "https://169.254.7.7/x",
    "cloud metadata": "https://169.254.169.254/latest/meta-data",
    "unspecified": "https://0.0.0.0/x",
    "IPv6 loopback": "https://[::1]/x",
    "IPv6 private": "https://[fd00::1]/x",
    "IPv6 link-local": "https://[fe80::1]/x",
    "IPv4 in IPv6": "https://[::ffff:10.0.0.8]/x",
    "IPv4 in IPv6, in hex": "https://[::ffff:a9fe:a9fe]/x",
    "NAT64": "https://[64:ff9b::7f00:1]/x",
    "a number": "https://2130706433/x",
    "a short number": "https://127.1/x",
    "http": "http://public.example.org/x",
    "user": "https://user@public.example.org/x",
    "user and password": "https://public.example.org:443@inside.example.org/x",
    "a name that leads inside": "https://inside.example.org/x",
    "a name that leads to this machine": "https://here.example.org/x",
    "a name that leads to cloud metadata": "https://metadata.example.org/x",
    "a name that leads inside over IPv6": "https://inside6.example.org/x",
    "a name that leads inside and outside": "https://both.example.org/x",
    "another scheme": "ftp://public.example.org/x",
    "a file": "file:///etc/passwd",
    "a backslash": "https://public.example.org\\@inside.example.org/x",
}
NAMES = {
    "public.example.org": ["93.184.216.34"],
    "inside.example.org": ["10.0.0.8"],
    "here.example.org": ["127.0.0.1"],
    "metadata.example.org": ["169.254.169.254"],
    "inside6.example.org": ["fd00::1"],
    "both.example.org": ["93.184.216.34", "10.0.0.8"],
    "2130706433": ["127.0.0.1"],
    "127.1": ["127.0.0.1"],
}
REFUSED = {"address_refused", "service_foreign", "next_link_foreign"}


@pytest.fixture
def world(database: Database, clock: TestClock) -> World:
    http = Http(resolve=lambda name, port: NAMES[name])
    return World(database, clock, http, Platform().register(database, clock()))


@pytest.fixture
def wire(world: World) -> Iterator[responses.RequestsMock]:
    """The platform's own addresses answer; a request for any other goes through the real door."""

    def give(request: Any) -> tuple[int, dict[str, str], str]:
        granted = parse_qs(request.body)["scope"][0]
        return 200, {}, json.dumps({"access_token": "secret", "token_type": "bearer", "scope": granted})

    def first_page(request: Any) -> tuple[int, dict[str, str], str]:
        following = parse_qs(urlsplit(request.url).query)["next"][0]
        return 200, {"Link": f'<{following}>; rel="next"'}, '{"members": []}'

    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        mock.add_callback("POST", world.platform.token_url, give)
        mock.add_callback("GET", re.compile(r"https?://[^/]+/first\b"), first_page)
        for url in BAD_ADDRESSES.values():
            mock.add_passthru(url.partition("/x")[0].partition("/latest")[0])
        yield mock


def cases() -> Iterator[Any]:
    """Every bad address at the door itself, and two at each call: one that only the door can know to be bad, one that
    is bad by its look."""
    for name in BAD_ADDRESSES:
        yield pytest.param(DOOR, BAD_ADDRESSES[name], id=f"{DOOR}-{name}")
    for kind in sorted(KINDS.keys() - {DOOR}):
        for name in ("a name that leads inside", "a backslash"):
            yield pytest.param(kind, BAD_ADDRESSES[name], id=f"{kind}-{name}")


@pytest.mark.parametrize(("kind", "url"), [*cases()])
def test_no_address_of_a_platform_leads_where_it_may_not(
    kind: str, url: str, world: World, wire: responses.RequestsMock
) -> None:
    world.own(url)
    with pytest.raises(GatehouseError) as refused:
        KINDS[kind](world, url)
    assert refused.value.code in ({"address_refused"} if origin(url) else REFUSED)


def test_an_address_that_may_be_called_is_called(world: World, wire: responses.RequestsMock) -> None:
    """The table above refuses what is bad, not everything: the same calls get through to a good one."""
    good = "https://services.example.org/x"
    world.own(good)
    for method in ("GET", "POST", "PUT"):
        wire.add(method, "https://services.example.org", status=418)
        wire.add(method, good, status=418)
        wire.add(method, f"{good}/scores", status=418)
        wire.add(method, f"{good}/results/user-1", status=418)
    for kind, call in KINDS.items():
        with suppress(PlatformRefused):
            call(world, good)
        assert str(wire.calls[-1].request.url).startswith(good), kind
        world.change(token_url=world.platform.token_url)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"token", "key set", DOOR}))
def test_a_host_that_is_not_the_platforms_gets_no_token(kind: str, world: World, wire: responses.RequestsMock) -> None:
    with pytest.raises(GatehouseError) as refused:
        KINDS[kind](world, "https://public.example.org/x")
    assert refused.value.code in REFUSED
    assert {urlsplit(str(call.request.url)).hostname for call in wire.calls} <= {"lms.example.org"}
    with world.database.read() as connection:
        noted = {each.code for each in of_registration(connection, world.id)}
    assert noted & REFUSED


class Misbehaving(BaseHTTPRequestHandler):
    """A real platform: good at /token and /first, and as bad as the path says at any other address."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if url.path == "/token":
            self.answer(b'{"access_token": "secret", "token_type": "bearer"}')
        elif url.path == "/first":
            self.answer(b'{"members": []}', Link=f'<{parse_qs(url.query)["next"][0]}>; rel="next"')
        elif "redirect" in url.path:
            self.answer(b"", status=307, Location="/token")
        elif "large" in url.path:
            self.answer(b"[" + b" " * MOST_BYTES + b"]")
        else:
            self.drip()

    do_POST = do_PUT = do_GET

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    def drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            while not self.server.is_over.is_set():  # type: ignore[attr-defined]
                self.wfile.write(b" ")
                time.sleep(0.02)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def misbehaving(database: Database, clock: TestClock, request: pytest.FixtureRequest) -> Iterator[World]:
    """Its parameter is how long a whole answer may take, in seconds."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving) as server:
        server.is_over = threading.Event()  # type: ignore[attr-defined]
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        here = Platform(origin=f"http://127.0.0.1:{server.server_address[1]}").register(database, clock())
        yield World(database, clock, Http(allow_private_addresses=True, answer_seconds=request.param), here)
        server.is_over.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("behaviour", "code", "misbehaving"),
    [("redirect", "redirect_refused", 30), ("large", "answer_too_large", 30), ("drip", "no_answer", 0.3)],
    indirect=["misbehaving"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_of_a_platform_costs_more_than_it_may(
    kind: str, behaviour: str, code: str, misbehaving: World
) -> None:
    with pytest.raises((NoAnswer, PlatformRefused)) as refused:
        KINDS[kind](misbehaving, f"{misbehaving.platform.origin}/{behaviour}")
    assert refused.value.code == code


@pytest.mark.parametrize("kind", KINDS)
def test_a_platform_that_is_silent_is_given_up(kind: str, database: Database, clock: TestClock) -> None:
    """It takes the connection and says nothing; what is slower than the whole answer may be is not waited for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = Platform(origin=f"http://127.0.0.1:{listener.getsockname()[1]}").register(database, clock())
        world = World(database, clock, Http(allow_private_addresses=True, answer_seconds=0.2), silent)
        with pytest.raises((NoAnswer, PlatformRefused)) as refused:
            KINDS[kind](world, f"{silent.origin}/x")
        assert refused.value.code == "no_answer"


def test_the_address_that_was_refused_is_not_told_to_the_log(
    world: World, wire: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="lti_tool")
    for kind, call in KINDS.items():
        world.own("https://inside.example.org/x")
        with pytest.raises((AddressRefused, PlatformRefused)):
            call(world, "https://inside.example.org/x")
        assert "inside.example.org" not in caplog.text, kind
        world.change(token_url=world.platform.token_url)
