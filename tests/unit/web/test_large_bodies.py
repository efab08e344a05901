"""Large bodies before Flask sees them: who may send one, how slowly, and whether the disk has room for it."""

import asyncio
import errno
from collections.abc import AsyncIterator, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Request

from lti_tool.web import rsgi
from lti_tool.web.request import REFUSED
from lti_tool.web.rsgi import RsgiApplication
from tests.sample_files import PDF
from tests.unit.web.test_materials import F1, upload

LENGTH = 50 * 2**20


class Headers(dict[str, str]):
    def get_all(self, name: str) -> list[str]:
        return [self[name]]


class Sender:
    """What the web server hands over of one request: its chunks, and then nothing for as long as `is_slow`."""

    def __init__(self, *chunks: bytes, is_slow: bool = False) -> None:
        self.chunks, self.is_slow = list(chunks), is_slow
        self.begun = asyncio.Event()
        self.status = 0
        self.body = b""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self.begun.set()
        if self.chunks:
            return self.chunks.pop(0)
        if self.is_slow:
            await asyncio.Event().wait()
        raise StopAsyncIteration

    def response_bytes(self, status: int, _headers: Any, body: bytes) -> None:
        self.status, self.body = status, body


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    refused = environ.get(REFUSED)
    start_response(f"{refused.status if refused else 200} -", [])
    return [environ["wsgi.input"].read()]


@pytest.fixture
def serve():
    """Makes a server; it answers one request of a browser session."""
    served: list[RsgiApplication] = []

    def server(least_free_bytes: int = 0) -> Any:
        def large_body(environ: dict[str, Any]) -> tuple[str, int]:
            return environ["HTTP_COOKIE"], LENGTH

        options = {"threads": 2, "body_seconds": 10, "least_free_bytes": least_free_bytes}
        application = RsgiApplication(wsgi, large_body=large_body, **options)
        served.append(application)

        async def ask(sender: Sender, visit: str, length: int = LENGTH) -> int:
            headers = Headers({"content-type": "multipart/form-data", "content-length": str(length), "cookie": visit})
            scope = SimpleNamespace(
                method="POST", path="/", query_string="", server="h:1", client="h:2", http_version="1.1", scheme="http",
                headers=headers,
            )  # fmt: skip
            await application.__rsgi__(scope, sender)
            return sender.status

        return ask

    yield server
    for each in served:
        each.close()


def test_a_body_that_comes_too_slowly_is_cut_and_its_place_is_free_again(serve, monkeypatch) -> None:
    monkeypatch.setattr(rsgi, "SPAN_SECONDS", 0.01)

    async def run() -> None:
        ask, slow = serve(), Sender(b"some", is_slow=True)
        assert await ask(slow, "one") == 200
        assert slow.body == b"some"
        whole = Sender(b"whole")
        assert await ask(whole, "one", 5) == 200
        assert whole.body == b"whole"

    asyncio.run(run())


def test_a_browser_session_sends_one_large_body_at_a_time(serve) -> None:
    async def run() -> None:
        ask, slow = serve(), Sender(is_slow=True)
        first = asyncio.create_task(ask(slow, "one"))
        await slow.begun.wait()
        assert await ask(Sender(b"whole"), "one", 5) == 503
        assert await ask(Sender(b"whole"), "two", 5) == 200
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert await ask(Sender(b"whole"), "one", 5) == 200

    asyncio.run(run())


def test_a_body_that_the_disk_has_no_room_for_is_refused_unread(serve) -> None:
    async def run() -> None:
        sender = Sender(b"whole")
        assert await serve(least_free_bytes=2**60)(sender, "one", 5) == 507
        assert not sender.begun.is_set()

    asyncio.run(run())


def test_a_disk_that_fills_while_a_form_is_read_is_called_full(browse, happened, monkeypatch) -> None:
    def fail(*_rest: Any, **_named: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    staff = browse(happened.staff)
    staff.open(F1)
    monkeypatch.setattr(Request, "_get_file_stream", fail)
    answer = upload(staff, F1, ("a.pdf", PDF))
    assert answer.status == 507
    assert "no_room_for_upload" in answer.text
