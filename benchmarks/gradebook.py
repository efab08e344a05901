"""A platform that takes scores, and takes its time: each request is answered after 50 ms."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER_SECONDS = 0.05


class _Gradebook(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        time.sleep(ANSWER_SECONDS)
        if self.path.endswith("/token"):
            scope = "https://purl.imsglobal.org/spec/lti-ags/scope/score"
            self._answer({"access_token": "t", "token_type": "Bearer", "expires_in": 3600, "scope": scope})
        else:
            self._answer({})

    def _answer(self, body: dict[str, object]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def running_gradebook() -> Iterator[str]:
    """Serve on this machine; the address."""
    server = _Gradebook(("127.0.0.1", 0), _Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
