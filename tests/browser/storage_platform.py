"""A small platform that keeps values for tools (LTI client-side postMessage storage), well or badly, as a test wants.
It tells neither names nor addresses.

Neither Open edX nor Moodle does. Its course page frames the tool; its name is `localhost`, so that to the browser it is
another site than the tool at `127.0.0.1`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps, loads
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from sandbox.stage import Stage
from tests.platform import ABSENT, INSTRUCTOR, Platform

# Answers what tools ask; MANNER says how well. What it heard is for the test.
STORAGE = """
const kept = {};
window.heard = [];
addEventListener("message", function (event) {
  const asked = event.data;
  if (asked.subject === "lti.frameResize") return;
  heard.push(asked.subject);
  if (MANNER === "silent") return;
  const place = event.origin + " " + asked.key;
  const answer = { subject: asked.subject + ".response", message_id: asked.message_id, key: asked.key };
  if (asked.subject === "lti.put_data") {
    if (MANNER === "full") answer.error = { code: "storage_exhaustion", message: "There is no room." };
    else answer.value = kept[place] = asked.value;
    event.source.postMessage(answer, event.origin);
    return;
  }
  answer.value = kept[place];
  if (MANNER === "tampering") answer.value = "A" + answer.value.slice(1).toLowerCase();
  if (MANNER === "another question") answer.message_id = "another";
  if (MANNER === "another subject") answer.subject = "lti.put_data.response";
  if (MANNER === "through a stranger") return frames.stranger.postMessage(answer, "*");
  event.source.postMessage(answer, event.origin);
});
"""
# Services (tokens, rosters, grades) are not here.
PATHS = ("/course", "/storage", "/stranger", "/auth", "/keys", "/deep-linking/return")
STRANGER = 'addEventListener("message", (event) => parent.frames.unit.postMessage(event.data, "*"));'


@dataclass
class CourseSite:
    """The platform and its one course, registered at a stage's tool. `stranger` is another origin on the same page."""

    platform: Platform
    tool_url: str
    stranger: str

    @property
    def origin(self) -> str:
        return self.platform.origin

    def course(self, manner: str, *, target: str = "_parent", user: str = "user-1", **custom: str) -> str:
        """The address of the course page. `manner` is how the storage behaves, `target` which frame is it ("" for
        none); `custom` parameters say what the unit opens."""
        chosen = {"manner": manner, "target": target, "user": user, "hint": dumps(custom)}
        return f"{self.origin}/course?{urlencode(chosen)}"

    def register(self, stage: Stage) -> None:
        values = {
            "--issuer": self.platform.issuer,
            "--client-id": self.platform.client_id,
            "--deployment-id": self.platform.deployment_id,
            "--auth-login-url": self.platform.auth_url,
            "--token-url": self.platform.token_url,
            "--key-set-url": self.platform.key_set_url,
        }
        stage.gatehouse("platform", "add", *(word for pair in values.items() for word in pair))

    def answer(self, path: str, asked: dict[str, str]) -> tuple[str, str]:
        """The media type and the body of a page."""
        if path == "/keys":
            return "application/json", dumps({"keys": [self.platform.jwk()]})
        if path == "/deep-linking/return":
            return "text/plain", f"Picked: {'JWT' in asked}"
        pages = {"/course": self._course, "/storage": self._storage, "/stranger": self._stranger, "/auth": self._auth}
        return (
            "text/html; charset=utf-8",
            f"<!doctype html><html lang=en><link rel=icon href=data:,>{pages[path](asked)}</html>",
        )

    def _course(self, asked: dict[str, str]) -> str:
        login = {
            "iss": self.platform.issuer,
            "client_id": self.platform.client_id,
            "login_hint": asked["user"],
            "lti_message_hint": asked["hint"],
            "target_link_uri": f"{self.tool_url}/lti/launch",
        } | ({"lti_storage_target": asked["target"]} if asked["target"] else {})
        beside = f'<iframe title="Storage" name="beside" src="/storage?manner={asked["manner"]}"></iframe>'
        return (
            f"<title>A course</title><h1>A course</h1>{_script(asked['manner'])}{beside}"
            f'<iframe title="Stranger" name="stranger" src="{self.stranger}/stranger"></iframe>'
            '<iframe title="Unit" name="unit" width="820" height="900" '
            f'src="{escape(f"{self.tool_url}/lti/login?{urlencode(login)}")}"></iframe>'
        )

    def _storage(self, asked: dict[str, str]) -> str:
        return f"<title>Storage</title>{_script(asked['manner'])}"

    def _stranger(self, _asked: dict[str, str]) -> str:
        return f"<title>Stranger</title><script>{STRANGER}</script>"

    def _auth(self, asked: dict[str, str]) -> str:
        """The person is signed in here: back to the tool with the signed launch, at once."""
        custom, instant = loads(asked["lti_message_hint"]), datetime.now(UTC)
        unit = {"target_link_uri": f"{self.tool_url}/lti/launch", "custom": custom}
        if asked["login_hint"].startswith("teacher"):
            unit["roles"] = [INSTRUCTOR]
        message = self.platform.claims if custom else self.platform.deep_linking_claims
        # Without an address nobody of this course is taken for somebody of the other.
        nameless = {"name": ABSENT, "email": ABSENT}
        claims = message(asked["nonce"], instant, asked["login_hint"], **nameless, **(unit if custom else {}))
        sent = {"id_token": self.platform.sign(claims), "state": asked["state"]}
        fields = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in sent.items())
        return (
            f'<title>Signed in</title><form method="post" action="{escape(asked["redirect_uri"])}">{fields}'
            "<button>Continue</button></form><script>document.forms[0].submit()</script>"
        )


def _script(manner: str) -> str:
    return f"<script>const MANNER = {dumps(manner)};{STORAGE}</script>"


# They may do everything.
TEACHERS = ("teacher-1", "teacher-2")


@contextmanager
def course_site(stage: Stage) -> Iterator[CourseSite]:
    """The platform in a thread of its own, registered at the stage's tool; gone at the end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    port = server.server_address[1]
    platform = Platform(origin=f"http://localhost:{port}", client_id="storage", profile="generic")
    site = CourseSite(platform, stage.tool_url, f"http://127.0.0.1:{port}")
    server.site = site  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    site.register(stage)
    for teacher in TEACHERS:
        for role in ("programme_admin", "platform_admin"):
            whose = ("--issuer", platform.issuer, "--sub", teacher, "--reason", "Teaches.")
            stage.gatehouse("role", "grant", role, *whose)
    yield site
    server.shutdown()
    server.server_close()


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

    def _answer(self, asked: str) -> None:
        site: CourseSite = self.server.site  # type: ignore[attr-defined]
        path = urlsplit(self.path).path
        if path not in PATHS:
            self.send_error(404)
            return
        kind, body = site.answer(path, dict(parse_qsl(asked, keep_blank_values=True)))
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_args: Any) -> None:
        pass
