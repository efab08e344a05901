"""Lists that come in pages: headers as platforms write them, and links that are not followed."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import responses

from lti_tool.errors import AddressRefused, PlatformRefused
from lti_tool.http import Http, Reply
from lti_tool.lti.paging import MOST_PAGES, is_same_origin, link, pages
from lti_tool.lti.platform_api import PlatformApi, Question
from tests.platform import SCOPE, Platform

pytestmark = pytest.mark.databases("sqlite")

FIRST = "https://lms.example.org/list?Course=A%2Bb"
NEXT = "https://lms.example.org/list?Course=A%2Bb&from=100"


def question(platform: Platform, url: str = FIRST) -> Question:
    return Question(platform.registration_id, (f"{SCOPE}score",), url, "roster")


def with_link(header: str) -> Reply:
    return Reply(200, {"Link": header}, b"")


@pytest.mark.parametrize(
    "header",
    [
        f'<{NEXT}>; rel="next"',
        f"<{NEXT}>;rel=next",
        f"<{NEXT}> ; REL = 'NEXT'",
        f'<{NEXT}>; rel="last next"',
        f'<{NEXT}>; title="a; b"; rel="next"',
        f'<https://lms.example.org/1>; rel="prev", <{NEXT}>; rel="next", <https://lms.example.org/9>; rel="last"',
        f"<https://lms.example.org/1>; rel=“first”, <{NEXT.replace('&', '&amp;')}>; rel=“next”",
        f"<{NEXT}>; rel=“next”".encode().decode("latin-1"),
        "</list?Course=A%2Bb&from=100>; rel=next",
        "<?Course=A%2Bb&from=100>; rel=next",
    ],
)
def test_the_next_page_is_found_as_platforms_write_it(header: str) -> None:
    assert link(with_link(header), "next", FIRST) == NEXT


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"<{NEXT}>",
        f'<{NEXT}>; rel="prev"',
        f'<{NEXT}>; rel="nextish"',
        f"{NEXT}; rel=next",
        "<>;;;=,<",
        f'<{NEXT}>; title="next"',
        "é" * 1000,
    ],
)
def test_a_header_without_a_next_page_ends_the_list(header: str) -> None:
    assert link(with_link(header), "next", FIRST) is None


def test_an_address_is_left_as_it_is() -> None:
    odd = "https://lms.example.org/A/../List?Filter=X%2By&copy=1&B=%C3%A9#x"
    assert link(with_link(f'<{odd}>; rel="differences"'), "differences", FIRST) == odd


def test_a_reply_without_the_header_is_the_last() -> None:
    assert link(Reply(200, {}, b""), "next", FIRST) is None


def test_every_page_is_asked_for_as_the_platform_says(
    api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.get(FIRST, body="1", headers={"Link": f'<{NEXT}>; rel="next"'})
    third = "https://lms.example.org/list?Third"
    generous.get(NEXT, body="2", headers={"Link": f'<{third}>; rel="next"'})
    generous.get(third, body="3")
    assert list(pages(api, question(platform), lambda reply: reply.body)) == [b"1", b"2", b"3"]


def test_a_relative_next_page_is_one_beside_the_page_that_names_it(
    api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    first, *others = [f"https://lms.example.org/{path}" for path in ("list", "list/2", "list/3")]
    generous.get(first, body="1", headers={"Link": '<list/2>; rel="next"'})
    generous.get(others[0], body="2", headers={"Link": '<3>; rel="next"'})
    generous.get(others[1], body="3")
    assert list(pages(api, question(platform, first), lambda reply: reply.body)) == [b"1", b"2", b"3"]


def test_a_page_is_asked_for_when_it_is_wanted(
    api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.get(FIRST, body="1", headers={"Link": f'<{NEXT}>; rel="next"'})
    second = generous.get(NEXT, body="2")
    found = pages(api, question(platform), lambda reply: reply.body)
    assert next(found) == b"1"
    assert second.call_count == 0


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/list",
        "http://lms.example.org/list",
        "https://lms.example.org:8443/list",
        "https://lms.example.org.evil.example/list",
        "https://lms.example.org@evil.example/list",
        "//evil.example/list",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://[::1",
        "https://lms.example.org:port/",
    ],
)
def test_a_next_page_on_another_host_is_not_asked_for(
    following: str, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.get(FIRST, body="1", headers={"Link": f'<{following}>; rel="next"'})
    with pytest.raises(PlatformRefused) as refused:
        list(pages(api, question(platform), lambda reply: reply.body))
    assert refused.value.code == "next_link_foreign"
    assert [call.request.url for call in generous.calls] == [platform.token_url, FIRST]


def test_a_next_page_with_a_user_in_its_address_is_not_asked_for(
    api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.get(FIRST, headers={"Link": '<https://user@lms.example.org/list>; rel="next"'})
    with pytest.raises(AddressRefused):
        list(pages(api, question(platform), lambda reply: reply.body))
    assert len(generous.calls) == 2


def test_another_host_of_the_same_platform_is_another_host() -> None:
    assert is_same_origin("https://LMS.example.org:443/b", "https://lms.example.org/a")
    assert not is_same_origin("https://other.example.org/b", "https://lms.example.org/a")
    assert not is_same_origin("nothing", "nothing")


@pytest.mark.parametrize("following", [FIRST, NEXT])
def test_pages_that_lead_back_are_refused(
    following: str, api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    generous.get(FIRST, headers={"Link": f'<{NEXT}>; rel="next"'})
    generous.get(NEXT, headers={"Link": f'<{following}>; rel="next"'})
    with pytest.raises(PlatformRefused) as refused:
        list(pages(api, question(platform), lambda reply: reply.body))
    assert refused.value.code == "pages_in_circle"


def test_a_list_without_an_end_is_refused_and_not_cut_off(
    api: PlatformApi, platform: Platform, generous: responses.RequestsMock
) -> None:
    def answer(request: object) -> tuple[int, dict[str, str], str]:
        return 200, {"Link": f'<https://lms.example.org/list?page={len(generous.calls)}>; rel="next"'}, ""

    asked = generous.add_callback("GET", "https://lms.example.org/list", answer)
    with pytest.raises(PlatformRefused) as refused:
        list(pages(api, question(platform, "https://lms.example.org/list"), lambda reply: reply.body))
    assert (refused.value.code, asked.call_count) == ("pages_endless", MOST_PAGES)


def test_typographic_quotes_survive_a_real_connection() -> None:
    """What a header's bytes become on their way is the HTTP library's business: here it is the real one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write("HTTP/1.0 200 OK\r\nLink: </2?a=1&amp;b=2>; rel=“next”\r\n\r\n".encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{running.server_address[1]}/1"
        reply = Http(allow_private_addresses=True).request("GET", url)
        running.shutdown()
        thread.join()
    assert link(reply, "next", url) == f"{url[:-1]}2?a=1&b=2"
