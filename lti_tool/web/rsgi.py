"""Between the web server and Flask: an RSGI application that reads each body and then calls Flask in a thread.

The web server hands a WSGI application its request before the body has arrived, and sets no limit to how long the
body may take: sixteen slow uploads would hold sixteen threads for as long as they like. Here bodies are read by the
event loop, which costs no thread, and each must arrive in time (docs/decisions/0017).

A large body, which only staff may send, goes to a file that has no name instead of the memory, and a file is sent by
the server itself, as fast as its reader takes it (docs/decisions/0021).

What must be answered whatever people do has threads of its own: Zoom's deliveries and the health checks never wait
behind pages.
"""

import asyncio
import io
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from tempfile import TemporaryFile, gettempdir
from typing import IO, Any

from lti_tool.errors import BadInput, GatehouseError
from lti_tool.web.request import FILE, REFUSED, no_room
from zoom_adapter.webhook import ARRIVED_AT

# The most that is read of a body; Flask refuses longer ones by their length. Only a form with a file is sent in parts.
MAX_BODY_BYTES = 1024 * 1024
MAX_MULTIPART_BYTES = 2 * 1024 * 1024
# The most that all bodies on their way may take of the memory.
MAX_BYTES_IN_HAND = 128 * 1024 * 1024
# How many large bodies may be in hand, one of each browser session, and how slowly one may come: as many bytes in each
# span of so many seconds.
MAX_LARGE_BODIES = 4
SPAN_SECONDS = 30
SPAN_BYTES = SPAN_SECONDS * 64 * 1024
# As many deliveries as commonly wait for one commit, and the few health checks of a machine that watches.
WEBHOOK_THREADS = 32
HEALTH_THREADS = 2

Environ = dict[str, Any]
WsgiApplication = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Answer = tuple[int, list[tuple[str, str]], bytes]
# What a view takes of a body before it is read: the browser session and the most bytes, or None for as much as
# everywhere.
LargeBody = Callable[[Environ], tuple[str, int] | None]
# The browser session whose large body is in hand; in the environment.
SENDER = "gatehouse.sender"


class RsgiApplication:
    """A WSGI application behind an event loop that reads the bodies. `pools` are the threads of paths that have their
    own."""

    def __init__(
        self,
        wsgi: WsgiApplication,
        *,
        threads: int,
        body_seconds: int,
        large_body: LargeBody = lambda _environ: None,
        least_free_bytes: int = 0,
    ) -> None:
        self._wsgi = wsgi
        self._body_seconds = body_seconds
        self._large_body = large_body
        self._least_free_bytes = least_free_bytes
        self._large_bodies: dict[str, int] = {}  # their lengths
        self._bytes_in_hand = 0
        self._pages = ThreadPoolExecutor(threads, "page")
        health = ThreadPoolExecutor(HEALTH_THREADS, "health")
        self.pools = {
            "/zoom/webhook": ThreadPoolExecutor(WEBHOOK_THREADS, "webhook"),
            "/healthz": health,
            "/readyz": health,
        }

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop's own handlers stand now: signals that were held back since the start may come."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one request."""
        environ = _environ(scope)
        environ[ARRIVED_AT] = time.monotonic()
        try:
            if scope.method not in ("GET", "HEAD", "OPTIONS"):
                await self._read_body(environ, protocol)
            pool = self.pools.get(scope.path, self._pages)
            status, headers, body = await asyncio.get_running_loop().run_in_executor(pool, self._answer, environ)
        finally:
            environ["wsgi.input"].close()
            if SENDER in environ:
                del self._large_bodies[environ[SENDER]]
        if FILE in environ and scope.method == "GET" and status in (200, 206):
            _send_file(protocol, status, headers, environ[FILE])
        else:
            protocol.response_bytes(status, headers, body)

    def close(self) -> None:
        """Let the requests in hand finish."""
        for pool in {self._pages, *self.pools.values()}:
            pool.shutdown()

    async def _read_body(self, environ: Environ, protocol: Any) -> None:
        """Read the body into the environment. A body that is too long is not read; one that breaks off, or has not
        arrived in time, is shorter than its CONTENT_LENGTH, which is how Flask notices."""
        announced = environ.get("CONTENT_LENGTH", "")
        if not (announced.isascii() and announced.isdigit()):
            environ[REFUSED] = BadInput(
                "length_required",
                "The request does not say how long its body is.",
                "Send it with a Content-Length.",
                status=411,
            )
            return
        length, most = int(announced), MAX_BODY_BYTES
        if environ.get("CONTENT_TYPE", "").lower().startswith("multipart/"):
            most = MAX_MULTIPART_BYTES
            if large := await self._ask_for_large(environ):
                sender, large_most = large
                if 0 < length <= large_most:
                    await self._read_large_body(environ, protocol, sender, length)
                return
        if length == 0 or length > most:
            return
        body = bytearray()
        try:
            async with asyncio.timeout(self._body_seconds):
                async for chunk in protocol:
                    body += chunk
                    self._bytes_in_hand += len(chunk)
                    if len(body) >= length:
                        break
                    if self._bytes_in_hand > MAX_BYTES_IN_HAND:
                        environ[REFUSED] = _busy()
                        break
        except TimeoutError:
            pass
        finally:
            self._bytes_in_hand -= len(body)
        environ["wsgi.input"] = io.BytesIO(body)

    async def _ask_for_large(self, environ: Environ) -> tuple[str, int] | None:
        """Who sends a large body to a view that takes it, and how much that takes. None: the view takes none, or not of
        them."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pages, self._large_body, environ)
        except Exception as error:  # Flask answers it, as it answers every error
            environ[REFUSED] = error
            return None

    async def _read_large_body(self, environ: Environ, protocol: Any, sender: str, length: int) -> None:
        """Read a large body into a file without a name; it is gone with the process, whatever happens."""
        if len(self._large_bodies) >= MAX_LARGE_BODIES or sender in self._large_bodies:
            environ[REFUSED] = _busy()
            return
        self._large_bodies[sender], environ[SENDER] = length, sender
        try:
            # Flask copies the files out of each body.
            wanted = 2 * sum(self._large_bodies.values()) + self._least_free_bytes
            if shutil.disk_usage(gettempdir()).free < wanted:
                environ[REFUSED] = no_room()
                return
            file = environ["wsgi.input"] = TemporaryFile()  # noqa: SIM115 (closed once it is answered)
            await _copy_body(protocol, file, length)
        except TimeoutError:
            pass
        except OSError as error:
            refusal = no_room()
            refusal.__cause__ = error
            environ[REFUSED] = refusal
        environ["wsgi.input"].seek(0)

    def _answer(self, environ: Environ) -> Answer:
        """Call the WSGI application, in a thread of a pool."""
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: Any = None) -> None:
            started[:] = int(status[:3]), headers

        chunks = self._wsgi(environ, start_response)
        try:
            body = b"" if FILE in environ and started[0] in (200, 206) else b"".join(chunks)
        finally:
            if close := getattr(chunks, "close", None):
                close()
        status, headers = started
        return status, headers, body


def _busy() -> GatehouseError:
    return BadInput(
        "too_many_bodies", "Too much is being sent at the moment.", "Wait a moment, then try again.", status=503
    )


async def _copy_body(protocol: Any, file: IO[bytes], length: int) -> None:
    """Raises TimeoutError when too little comes in one span."""
    chunks, received = aiter(protocol), 0
    while received < length:
        due = min(received + SPAN_BYTES, length)
        async with asyncio.timeout(SPAN_SECONDS):
            while received < due:
                chunk = await anext(chunks, None)
                if chunk is None:
                    return
                file.write(chunk)
                received += len(chunk)


def _send_file(protocol: Any, status: int, headers: list[tuple[str, str]], path: str) -> None:
    """Let the server send this file, or the range of it that the headers name."""
    if status == 200:
        protocol.response_file(status, headers, path)
        return
    span = dict(headers)["Content-Range"].removeprefix("bytes ").partition("/")[0]
    first, _, last = span.partition("-")
    protocol.response_file_range(status, headers, path, int(first), int(last) + 1)


def _environ(scope: Any) -> Environ:
    """The WSGI environment (PEP 3333) of a request whose body is still to come."""
    host, _, port = scope.server.rpartition(":")
    headers = scope.headers
    environ: Environ = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string.encode().decode("latin-1"),
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name in headers:
        if "_" in name:  # it would stand for the header with a hyphen
            continue
        # A value that is not ASCII comes as an empty text.
        values = headers.get_all(name) or [""]
        key = name.upper().replace("-", "_")
        joint = "; " if name == "cookie" else ","
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = joint.join(values)
    return environ
