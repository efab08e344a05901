"""The outbound door: which addresses it calls, and how much it takes."""

import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest
import responses

from lti_tool.errors import AddressRefused, NoAnswer, PlatformRefused
from lti_tool.http import MOST_BYTES, Http, is_public

URL = "https://lms.example.org/keys"
# A few hundred bytes that become 100 MB.
BOMB = gzip.compress(gzip.compress(bytes(100 * MOST_BYTES)))


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def http() -> Http:
    return Http()


@pytest.mark.parametrize(
    "url",
    [
        "http://lms.example.org/keys",
        "ftp://lms.example.org/keys",
        "file:///etc/passwd",
        "gopher://lms.example.org",
        "https:///keys",
        "lms.example.org/keys",
        "",
        "https://user:password@lms.example.org/keys",
        "https://@lms.example.org/keys",
        "https://lms.example.org:port/keys",
        "https://[::1/keys",
        "https://lms.example.org\\@evil.example/",
        "https://lms.example.org/ke ys",
        "https://lms.example.org/\r\nHost: evil",
        "https://127.0.0.1/",
        "https://127.8.9.1:8443/",
        "https://10.0.0.8/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://0.0.0.0/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::1]/",
        "https://[::]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fd00::1]/",
        "https://[ff02::1]/",
        "https://[::ffff:10.0.0.8]/",
        "https://[::ffff:7f00:1]/",
    ],
)
def test_an_address_that_may_not_be_called_is_refused_before_anything_is_sent(url: str, http: Http) -> None:
    with pytest.raises(AddressRefused) as refused:
        http.request("GET", url)
    assert refused.value.code == "address_refused"


@pytest.mark.parametrize(
    "address",
    [
        "192.0.0.192",
        "64:ff9b:1::7f00:1",
        "::ffff:192.168.0.1",
        "2002:7f00:1::",
        "64:ff9b::a00:1",
        "fec0::1",
        "240.0.0.1",
        "198.18.0.1",
    ],
)
def test_a_private_address_in_disguise_is_private(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("answers", [["10.0.0.8"], ["93.184.216.34", "127.0.0.1"], ["::1"], ["0.0.0.0"]])
def test_a_name_that_leads_to_a_private_address_is_refused(answers: list[str]) -> None:
    http = Http(resolve=lambda name, port: answers)
    with pytest.raises(AddressRefused):
        http.request("GET", URL)


@pytest.mark.parametrize("error", [OSError("no such name"), UnicodeError("label too long"), ValueError("no address")])
def test_a_name_without_an_address_gives_no_answer(error: Exception) -> None:
    def resolve(name: str, port: int) -> list[str]:
        raise error

    with pytest.raises(NoAnswer):
        Http(resolve=resolve).request("GET", URL)


def test_the_tool_names_itself_and_keeps_no_cookies(http: Http, wire: responses.RequestsMock) -> None:
    wire.get(URL, json={}, headers={"Set-Cookie": "a=b"})
    http.request("GET", URL)
    http.request("GET", URL, headers={"Accept": "application/json"})
    sent = wire.calls[1].request.headers
    assert sent["User-Agent"].startswith("Gatehouse/")
    assert sent["Accept"] == "application/json"
    assert "Cookie" not in sent


def test_any_status_but_a_redirect_is_a_reply(http: Http, wire: responses.RequestsMock) -> None:
    wire.get(URL, body="gone", status=404)
    reply = http.request("GET", URL)
    assert (reply.status, reply.body, reply.is_ok) == (404, b"gone", False)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int, http: Http, wire: responses.RequestsMock) -> None:
    wire.get(URL, status=status, headers={"Location": "https://evil.example/"})
    with pytest.raises(PlatformRefused) as refused:
        http.request("GET", URL)
    assert (refused.value.code, refused.value.answered) == ("redirect_refused", status)


def test_the_start_of_a_body_can_be_kept_and_shown(http: Http, wire: responses.RequestsMock) -> None:
    """PostgreSQL takes no NUL, and a terminal should see no escape."""
    wire.get(URL, body=b"a\x00b\x1b[31m\xff\r\nc" + b"x" * 300)
    start = http.request("GET", URL).body_start
    assert start.startswith("a b [31m\ufffd  cx")
    assert (start.isprintable(), len(start)) == (True, 200)


def test_what_a_platform_told_is_in_no_repr(http: Http, wire: responses.RequestsMock) -> None:
    wire.get(URL, body="secret", headers={"X": "secret"})
    assert repr(http.request("GET", URL)) == "Reply(status=200)"


def test_an_answer_larger_than_a_megabyte_is_cut_off(http: Http, wire: responses.RequestsMock) -> None:
    wire.get(URL, body=b"x" * (MOST_BYTES + 1))
    with pytest.raises(NoAnswer) as refused:
        http.request("GET", URL)
    assert refused.value.code == "answer_too_large"


@pytest.mark.parametrize("status", [429, 503])
def test_nothing_is_asked_twice(status: int, http: Http, wire: responses.RequestsMock) -> None:
    once = wire.get(URL, status=status)
    assert (http.request("GET", URL).status, once.call_count) == (status, 1)


@pytest.fixture
def server() -> Iterator[tuple[int, list[str]]]:
    """A real server on this machine; the port, and the Host headers it has seen."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Host"])
            self.send_response(200)
            if self.path == "/bomb":
                self.send_header("Content-Encoding", "gzip, gzip")
            self.end_headers()
            bodies = {"/large": b"x" * (MOST_BYTES + 1), "/bomb": BOMB}
            self.wfile.write(bodies.get(self.path, b"xxxxx"))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running.server_address[1], seen
        running.shutdown()
        thread.join()


def counting_resolver(asked: list[str]) -> Callable[[str, int], list[str]]:
    """Answers with this machine the first time, and with another one afterwards."""

    def resolve(name: str, port: int) -> list[str]:
        asked.append(name)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.99"]

    return resolve


def test_the_connection_goes_to_the_address_that_was_checked(server: tuple[int, list[str]]) -> None:
    port, seen = server
    asked: list[str] = []
    http = Http(allow_private_addresses=True, resolve=counting_resolver(asked))
    assert http.request("GET", f"http://lms.example.org:{port}/").body == b"xxxxx"
    assert asked == ["lms.example.org"]
    assert seen == [f"lms.example.org:{port}"]


def test_a_real_answer_that_is_too_large_is_cut_off(server: tuple[int, list[str]]) -> None:
    http = Http(allow_private_addresses=True)
    with pytest.raises(NoAnswer):
        http.request("GET", f"http://127.0.0.1:{server[0]}/large")


def test_an_answer_that_grows_when_it_is_unpacked_is_cut_off_before(server: tuple[int, list[str]]) -> None:
    http = Http(allow_private_addresses=True)
    tracemalloc.start()
    with pytest.raises(NoAnswer) as refused:
        http.request("GET", f"http://127.0.0.1:{server[0]}/bomb")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (refused.value.code, most < 10 * MOST_BYTES) == ("answer_too_large", True)


def test_no_proxy_of_the_environment_comes_between(
    server: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert Http(allow_private_addresses=True).request("GET", f"http://127.0.0.1:{server[0]}/").is_ok


@pytest.fixture(params=["headers", "a body", "chunks"])
def dripping(request: pytest.FixtureRequest) -> Iterator[int]:
    """A server whose answer never ends and never pauses for long; its port."""
    start, drip = {
        "headers": (b"HTTP/1.1 200 OK\r\n", b"X-More: x\r\n"),
        "a body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    }[request.param]

    def answer() -> None:
        with listener.accept()[0] as connection:
            connection.recv(4096)
            connection.sendall(start)
            try:
                while True:
                    connection.sendall(drip)
                    time.sleep(0.05)
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_an_answer_that_drips_is_given_up_when_its_time_is_over(dripping: int) -> None:
    http = Http(allow_private_addresses=True, answer_seconds=0.5)
    with pytest.raises(NoAnswer) as given_up:
        http.request("GET", f"http://127.0.0.1:{dripping}/")
    assert any(isinstance(each, TimeoutError) for each in causes(given_up.value))


def test_a_name_whose_look_up_hangs_is_given_up_when_its_time_is_over() -> None:
    over, answered = threading.Event(), []

    def resolve(name: str, port: int) -> list[str]:
        over.wait(60)
        answered.append(name)
        return ["93.184.216.34"]

    with pytest.raises(NoAnswer):
        Http(resolve=resolve, lookup_seconds=0.3).request("GET", URL)
    assert answered == []
    over.set()


def test_nobody_there_gives_no_answer() -> None:
    with pytest.raises(NoAnswer):
        Http(allow_private_addresses=True).request("GET", "http://127.0.0.1:9/")
