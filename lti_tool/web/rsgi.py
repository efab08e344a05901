"""Between the web server and Flask: an RSGI application that reads each body and then calls Flask in a thread.

The web server hands a WSGI application its request before the body has arrived, and sets no limit to how long the
body may take: sixteen slow uploads would hold sixteen threads for as long as they like. Here bodies are read by the
event loop, which costs no thread, and each must arrive in time (docs/decisions/0017).

What must be answered whatever people do has threads of its own: Zoom's deliveries and the health checks never wait
behind pages.
"""

import asyncio
import io
import signal
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lti_tool.errors import BadInput
from lti_tool.web.request import REFUSED
from zoom_adapter.webhook import ARRIVED_AT

# The most that is read of a body; Flask refuses longer ones by their length. Only a form with a file is sent in parts.
MAX_BODY_BYTES = 1024 * 1024
MAX_MULTIPART_BYTES = 2 * 1024 * 1024
# The most that all bodies on their way may take of the memory.
MAX_BYTES_IN_HAND = 128 * 1024 * 1024
# As many deliveries as commonly wait for one commit, and the few health checks of a machine that watches.
WEBHOOK_THREADS = 32
HEALTH_THREADS = 2

Environ = dict[str, Any]
WsgiApplication = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Answer = tuple[int, list[tuple[str, str]], bytes]


class RsgiApplication:
    """A WSGI application behind an event loop that reads the bodies. `pools` are the threads of paths that have their
    own."""

    def __init__(self, wsgi: WsgiApplication, *, threads: int, body_seconds: int) -> None:
        self._wsgi = wsgi
        self._body_seconds = body_seconds
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
        if scope.method not in ("GET", "HEAD", "OPTIONS"):
            await self._read_body(environ, protocol)
        pool = self.pools.get(scope.path, self._pages)
        status, headers, body = await asyncio.get_running_loop().run_in_executor(pool, self._answer, environ)
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
                        environ[REFUSED] = BadInput(
                            "too_many_bodies",
                            "Too much is being sent at the moment.",
                            "Wait a moment, then try again.",
                            status=503,
                        )
                        break
        except TimeoutError:
            pass
        finally:
            self._bytes_in_hand -= len(body)
        environ["wsgi.input"] = io.BytesIO(body)

    def _answer(self, environ: Environ) -> Answer:
        """Call the WSGI application, in a thread of a pool."""
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: Any = None) -> None:
            started[:] = int(status[:3]), headers

        chunks = self._wsgi(environ, start_response)
        try:
            body = b"".join(chunks)
        finally:
            if close := getattr(chunks, "close", None):
                close()
        status, headers = started
        return status, headers, body


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
