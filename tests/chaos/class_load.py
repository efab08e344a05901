"""Classes on a running tool: Zoom's deliveries, launches, and the scores that follow.

Whatever is not acknowledged comes again, as Zoom and browsers repeat it, so the tool may end at any moment.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from lti_tool.attendance import live_sessions
from lti_tool.db import Database
from lti_tool.lti.claims import AGS
from lti_tool.programme.versions import Published
from sandbox.zoom.training_day import Attendee, TrainingDay, encode, registrant_id, signed
from tests.platform import SCOPE, Platform
from tests.simulated_platform import ORIGIN, SimulatedPlatform
from tests.waiting import until

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
STAYS = ("all_day", "breakouts", "away_for_lunch", "leaves_at_lunch")
# How many people may wait for their score before Zoom tells of the next class.
MOST_UNSCORED = 240
# A score that was being posted when its worker was killed is tried again when that worker's lease has run out.
PATIENCE_SECONDS = 300
ZOOM_SENDERS, BROWSERS = 2, 2


class Lms(ThreadingHTTPServer):
    """A platform on this machine with the rules of Open edX's gradebook: its key set, its tokens, its one column."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, on_score: Callable[[], object]) -> None:
        super().__init__(("127.0.0.1", 0), _LmsAnswer)
        self.origin = f"http://127.0.0.1:{self.server_port}"
        self.platform = Platform(origin=self.origin)
        self.gradebook = SimulatedPlatform(
            "openedx", datetime.now(UTC), on_take=lambda *_score: (self.tick(), on_score())
        )
        self.line_item = self.gradebook.add_item().replace(ORIGIN, self.origin)
        self.one_at_a_time = threading.Lock()

    def tick(self) -> None:
        self.gradebook.now = datetime.now(UTC)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A tool that is killed breaks off its requests."""


class _LmsAnswer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Lms

    def do_GET(self) -> None:
        if self.path == "/keys":
            self._send(200, json.dumps({"keys": [self.server.platform.jwk()]}).encode())
        else:
            self._serve(None)

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _serve(self, body: bytes | None) -> None:
        with self.server.one_at_a_time:
            reply = self.server.gradebook.request(self.command, ORIGIN + self.path, headers=self.headers, data=body)
        self._send(reply.status, reply.body.replace(ORIGIN.encode(), self.server.origin.encode()))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def running_lms(on_score: Callable[[], object]) -> Iterator[Lms]:
    lms = Lms(on_score)
    threading.Thread(target=lms.serve_forever, daemon=True).start()
    try:
        yield lms
    finally:
        lms.shutdown()
        lms.server_close()


class Steps:
    """How much has been acknowledged, by the tool and by the platform."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.count = 0

    def add(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait_for_more(self, number: int) -> None:
        """Return once so many more steps have been taken."""
        with self._changed:
            wanted = self.count + number
            assert self._changed.wait_for(lambda: self.count >= wanted, PATIENCE_SECONDS), "nothing goes on"


@dataclass
class Classes:
    """So many classes of the same shape, one person for each of STAYS, told and launched until `stopping` is set.

    `delivered` and `launched` are what the tool acknowledged: bodies, and people with the cookies and the page that
    their launch gave them; `repeated` counts requests that got no good answer, and came again.
    """

    secret: str
    number: int
    lms: Lms
    steps: Steps
    port: int = 0
    sessions: dict[int, int] = field(default_factory=dict)  # class → live session
    delivered: list[bytes] = field(default_factory=list)
    launched: dict[str, tuple[str, str]] = field(default_factory=dict)
    repeated: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    failures: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.closes_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        self._lock = threading.Lock()
        self._told, self._opened = iter(range(self.number)), iter(range(self.number))
        self.begun: dict[str, list[int]] = defaultdict(list)
        self._threads: list[threading.Thread] = []

    def schedule(self, database: Database, published: Published) -> None:
        """Lay the live sessions of all classes in."""
        now = datetime.now(UTC)
        starts = self.closes_at - timedelta(hours=8)
        with database.write() as connection:
            for each in range(self.number):
                self.sessions[each] = live_sessions.add(
                    connection,
                    published,
                    module_id="F1",
                    starts=starts.replace(tzinfo=None),
                    zone="UTC",
                    zoom_meeting_id=self.meeting(each),
                    actor="cli",
                    now=now,
                )

    @staticmethod
    def meeting(number: int) -> str:
        return str(85_000_000_000 + number)

    @staticmethod
    def user(number: int, stay: str) -> str:
        return f"{stay}-{number}"

    def day(self, number: int) -> TrainingDay:
        meeting = self.meeting(number)
        cast = tuple(
            Attendee(
                f"Trainee {number} {stay}",
                email := f"{self.user(number, stay)}@example.org",
                registrant_id(meeting, email),
                stay,
            )
            for stay in STAYS
        )
        return TrainingDay(meeting, self.closes_at - timedelta(hours=8), self.closes_at, cast)

    def begin(self) -> None:
        for act, threads in ((self._tell, ZOOM_SENDERS), (self._open, BROWSERS)):
            for _ in range(threads):
                thread = threading.Thread(target=self._guarded, args=[act], daemon=True)
                thread.start()
                self._threads.append(thread)

    def finish(self) -> None:
        """Let the classes that have begun come to their end, everyone of them launched."""
        self.stopping.set()
        for each in self._threads:
            each.join(PATIENCE_SECONDS)
            assert not each.is_alive(), "a class does not come to its end"
        assert not self.failures, self.failures
        for number in sorted(set(self.begun["told"]) - set(self.begun["opened"])):
            self._open_class(number)
        for number in sorted(set(self.begun["opened"]) - set(self.begun["told"])):
            self._tell_class(number)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as failure:
            self.failures.append(failure)
            raise

    def _next(self, kind: str, numbers: Iterator[int]) -> int | None:
        with self._lock:
            number = None if self.stopping.is_set() else next(numbers, None)
            if number is not None:
                self.begun[kind].append(number)
            return number

    def _tell(self) -> None:
        while (number := self._next("told", self._told)) is not None:
            self._tell_class(number)
            until(lambda: self.stopping.is_set() or self._unscored() <= MOST_UNSCORED, PATIENCE_SECONDS)

    def _open(self) -> None:
        while (number := self._next("opened", self._opened)) is not None:
            self._open_class(number)
            until(self._are_classes_told, PATIENCE_SECONDS)

    def _are_classes_told(self) -> bool:
        return self.stopping.is_set() or len(self.begun["opened"]) <= len(self.begun["told"]) + BROWSERS

    def _unscored(self) -> int:
        return len(STAYS) * len(self.begun["told"]) - len(self.lms.gradebook.kept)

    def _tell_class(self, number: int) -> None:
        day = self.day(number)
        for body in map(encode, [*day.registrations(), *day.events()]):
            self._repeat(lambda body=body: self._deliver(body))
            self.delivered.append(body)
            self.steps.add()

    def _open_class(self, number: int) -> None:
        for user in (self.user(number, stay) for stay in STAYS):
            self.launched[user] = self._repeat(lambda user=user: self._launch(user))
            self.steps.add()

    def _repeat(self, act: Callable[[], Any]) -> Any:
        """The first good answer."""

        def once() -> Any:
            try:
                return act()
            except (OSError, HTTPException):
                self.repeated += 1
                return None

        return until(once, PATIENCE_SECONDS)

    def _deliver(self, body: bytes) -> bool:
        status, _ = self.ask("POST", "/zoom/webhook", body, signed(body, self.secret, datetime.now(UTC)))
        return status == 204

    def _launch(self, user: str) -> tuple[str, str] | None:
        """Login and launch as a browser does them: the page it is led to, and its cookies."""
        platform = self.lms.platform
        asked = {
            "iss": platform.issuer,
            "client_id": platform.client_id,
            "login_hint": user,
            "target_link_uri": "https://gatehouse.example.org/lti/launch",
        }
        status, headers = self.ask("POST", "/lti/login", urlencode(asked).encode(), FORM)
        if status != 302:
            return None
        query = parse_qs(urlsplit(headers["Location"]).query)
        services = {
            "scope": [SCOPE + each for each in ("lineitem.readonly", "result.readonly", "score")],
            "lineitem": self.lms.line_item,
        }
        named = {"name": f"Trainee {user}", "email": f"{user}@example.org", AGS: services}
        claims = platform.claims(query["nonce"][0], datetime.now(UTC), user, **named)
        form = {"id_token": platform.sign(claims), "state": query["state"][0]}
        status, headers = self.ask(
            "POST", "/lti/launch", urlencode(form).encode(), {**FORM, "Cookie": _cookies(headers)}
        )
        return (headers["Location"], _cookies(headers)) if status == 303 else None

    def opens(self, user: str) -> int:
        """The status of the page that an acknowledged launch led to."""
        location, cookie = self.launched[user]
        parts = urlsplit(location)
        return self.ask("GET", parts.path + (f"?{parts.query}" if parts.query else ""), b"", {"Cookie": cookie})[0]

    def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, HTTPMessage]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers
        finally:
            connection.close()


def _cookies(headers: HTTPMessage) -> str:
    return "; ".join(each.partition(";")[0] for each in headers.get_all("Set-Cookie", []))
