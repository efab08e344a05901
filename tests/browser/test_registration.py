"""A platform registers itself inside its own administration page, and that page hears when it is done."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from playwright.sync_api import Browser, FrameLocator, Page, expect

from lti_tool.lti.dynamic_registration import PLATFORM, TOOL
from sandbox.stage import Stage

CLOSED = {"subject": "org.imsglobal.lti.close"}
LISTENER = "window.heard = []; addEventListener('message', (event) => heard.push([event.origin, event.data]));"
LISTS = {
    "token_endpoint_auth_methods_supported": ["private_key_jwt"],
    "token_endpoint_auth_signing_alg_values_supported": ["RS256"],
    "id_token_signing_alg_values_supported": ["RS256"],
    "response_types_supported": ["id_token"],
}
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri", "registration_endpoint")


class Registrar(BaseHTTPRequestHandler):
    """A platform at `localhost`: it describes itself, takes registrations, and frames what is pasted as a tool's link
    into its administration page (`/administration?link=…`)."""

    @property
    def origin(self) -> str:
        return f"http://localhost:{self.server.server_address[1]}"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path == "/configuration":
            described = {"issuer": self.origin, **{name: f"{self.origin}/{name}" for name in ENDPOINTS}, **LISTS}
            self.say("application/json", json.dumps({**described, PLATFORM: {"product_family_code": "example"}}))
            return
        (link,) = parse_qs(address.query)["link"]
        asked = urlencode({"openid_configuration": f"{self.origin}/configuration", "registration_token": "token"})
        frame = f'<iframe title="Tool" width="820" height="700" src="{escape(f"{link}&{asked}")}"></iframe>'
        icon = '<link rel="icon" href="data:,">'
        self.say("text/html", f"<!doctype html><title>Administration</title>{icon}<script>{LISTENER}</script>{frame}")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        deployment_id: str = self.server.deployment_id  # type: ignore[attr-defined]
        self.say("application/json", json.dumps({"client_id": "a-client", TOOL: {"deployment_id": deployment_id}}))

    def say(self, kind: str, body: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def registrar(deployment_id: str) -> Iterator[str]:
    """A platform that gives every tool this deployment id; the address of its administration page."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registrar)
    server.deployment_id = deployment_id  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_address[1]}/administration"
    server.shutdown()
    server.server_close()


def register(page: Page, stage: Stage, administration: str) -> FrameLocator:
    """Paste a fresh invitation and press the button; the tool's last page."""
    link = stage.gatehouse_json("platform", "invite")["link"]
    page.goto(f"{administration}?{urlencode({'link': link})}")
    tool = page.frame_locator("iframe")
    tool.get_by_role("button", name="Register").click()
    expect(tool.get_by_role("heading", name="Registered")).to_be_visible()
    return tool


# What the platform's page was told, but for the height of the frame, which every page tells.
HEARD = 'heard.filter(([, said]) => said.subject !== "lti.frameResize")'


def heard(page: Page) -> list[tuple[str, Any]]:
    return [tuple(each) for each in page.evaluate(HEARD)]


def test_the_platform_hears_that_its_registration_is_done(browser: Browser, stage: Stage) -> None:
    with registrar("7") as administration, browser.new_page() as page:
        tool = register(page, stage, administration)
        page.wait_for_function(f"{HEARD}.length == 1")
        assert heard(page) == [(stage.tool_url, CLOSED)]
        expect(tool.get_by_text("Until then its launches are refused.")).to_be_visible()
    issuer = administration.removesuffix("/administration")
    (pending,) = [each for each in stage.gatehouse_json("platform", "list") if each["issuer"] == issuer]
    assert (pending["status"], pending["came_by"], pending["deployment_ids"]) == ("pending", "dynamic", ["7"])
    stage.gatehouse("platform", "disable", str(pending["id"]))


def test_what_is_left_to_be_read_is_not_closed_away(browser: Browser, stage: Stage) -> None:
    with registrar("") as administration, browser.new_page() as page:
        tool = register(page, stage, administration)
        expect(tool.get_by_text("Your platform named no deployment id.")).to_be_visible()
        assert heard(page) == []
        tool.get_by_role("button", name="Back to the platform").click()
        page.wait_for_function(f"{HEARD}.length == 1")
        assert heard(page) == [(stage.tool_url, CLOSED)]


def test_a_page_at_another_host_than_the_issuer_hears_it_too(browser: Browser, stage: Stage) -> None:
    """Canvas opens tools from the school's own host, and its issuer is one for all schools."""
    with registrar("7") as administration, registrar("7") as school, browser.new_page() as page:
        link = stage.gatehouse_json("platform", "invite")["link"]
        described = administration.replace("administration", "configuration")
        page.goto(f"{school}?link=data:,")
        with page.expect_popup() as opened:
            page.evaluate("(address) => void open(address)", f"{link}&{urlencode({'openid_configuration': described})}")
        opened.value.get_by_role("button", name="Register").click()
        page.wait_for_function(f"{HEARD}.length == 1")
        assert heard(page) == [(stage.tool_url, CLOSED)]


def test_another_page_may_not_frame_the_invitation(browser: Browser, stage: Stage) -> None:
    with registrar("7") as administration, registrar("7") as other, browser.new_page() as page:
        link = stage.gatehouse_json("platform", "invite")["link"]
        asked = (
            f"{link}&{urlencode({'openid_configuration': administration.replace('administration', 'configuration')})}"
        )
        with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
            page.goto(f"{other}?{urlencode({'link': asked})}")
