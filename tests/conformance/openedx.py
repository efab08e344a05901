"""Open edX's own LTI consumer as the platform of the certification tests: its block, its key, its services.

What it can send itself, it sends itself: units that share no names, learners, teachers, deep linking from Studio. A
message that it would never send is its own message, changed, and signed again with its own key inside its process.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import jwt
import requests

from conformance.cases import Case, Change, Role, altered, altered_header
from conformance.parties import Answer, Heard, Returned, Service
from lti_tool.lti.registration import NewRegistration
from sandbox.browser import LAUNCH_ADDRESS, Browser
from sandbox.ports import free_port
from sandbox.stage import ROOT, Actor
from tests.stages import SANDBOX_PYTHON

PEOPLE: Mapping[Role, str] = {"teacher": "ida", "learner": "maya"}
COURSE = "course-v1:Polaris+KAP101+2026"
# The tests whose messages Open edX makes by itself, from what is set in Studio; all others are changed.
MADE_BY_ITSELF = frozenset({13, 18, 19, 20, 22, 27, 28, 29, *range(32, 44)})
# Which unit a test launches, and what staff of the course switch on in it beforehand.
UNITS: Mapping[str, str] = {"deep linking": "deeplink", "assignment and grades": "programmatic"}
E_MAIL_ONLY, NAMES_ONLY = {"ask_to_send_email": True}, {"ask_to_send_full_name": True, "ask_to_send_username": True}
NOTHING: Mapping[str, bool] = {}
SHARED: Mapping[int, Mapping[str, bool]] = {
    18: E_MAIL_ONLY,
    19: NAMES_ONLY,
    20: NOTHING,
    21: E_MAIL_ONLY,
    27: E_MAIL_ONLY,
    28: NAMES_ONLY,
    29: NOTHING,
    30: E_MAIL_ONLY,
}
SHARES = ("ask_to_send_email", "ask_to_send_full_name", "ask_to_send_username")
PATIENCE = (3, 20)


@dataclass
class OpenEdx:
    """The sandbox LMS, one browser for each person. `module_id` is what the unit of programmatic grading shows."""

    url: str
    module_id: str
    title: str = "Open edX's LTI consumer"
    _browsers: dict[str, Browser] = field(default_factory=dict)
    _now: Browser | None = None

    def registrations(self) -> Sequence[tuple[NewRegistration, Collection[str]]]:
        return [(_registration(each), [each["deployment_id"]]) for each in self._registered]

    def login(self, case: Case, change: Change) -> str:
        """The address that the block's student view (deep linking: the author view in Studio) opens."""
        self._prepare(case)
        browser = self._now = self._browser(PEOPLE[case.role])
        if case.kind == "deep linking":
            page = browser.open(f"{self.url}/studio/{self._unit(case)}/xblock")
            return next(link for link in page.document.links if "/lti/login" in link)
        page = browser.open(f"{self.url}/xblock/{self._unit(case)}")
        found = LAUNCH_ADDRESS.search(page.html)
        return found[1] if found else urljoin(page.url, page.document.frames[0])

    def answer(self, case: Case, change: Change, auth_url: str) -> Answer:
        """The form that Open edX posts, its message changed where it is not what the test wants already."""
        assert self._now is not None
        form = self._now.open(auth_url).form("lti-launch")
        token = form.fields["id_token"]
        header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
        wanted, wanted_header = altered(claims, change), altered_header(header, change)
        if (wanted, wanted_header) == (claims, header):
            return Answer(form.action, form.fields, header, claims)
        message = {"claims": wanted, "header": {k: v for k, v in wanted_header.items() if k not in ("alg", "typ")}}
        signed = self._post(f"sandbox/units/{self._unit(case)}/sign.json", message)["id_token"]
        return Answer(form.action, {**form.fields, "id_token": signed}, wanted_header, wanted, as_sent=False)

    def take_return(self, url: str, fields: Mapping[str, str]) -> Returned:
        assert self._now is not None
        page = self._now.post(url, fields)
        return Returned(page.status, self._get(f"sandbox/units/{UNITS['deep linking']}/content.json"))

    def expected_return(self) -> Mapping[str, str]:
        unit = next(each for each in self._registered if UNITS["deep linking"] in each["units"])
        return {"iss": unit["client_id"], "aud": unit["issuer"], "deployment_id": unit["deployment_id"]}

    def members(self) -> Collection[str]:
        people = self._get("sandbox/state.json")["people"]
        return {each["lti_user_id"] for each in people if COURSE in each["courses"]}

    def heard(self) -> Sequence[Heard]:
        return [_heard(each) for each in self._get("sandbox/requests.json")]

    def _prepare(self, case: Case) -> None:
        """What staff set in Studio before this test."""
        if case.number in SHARED:
            self._post("sandbox/units/bare", dict.fromkeys(SHARES, False) | dict(SHARED[case.number]))
        if case.kind == "assignment and grades":
            self._post("sandbox/units/programmatic", {"custom_parameters": [f"module_id = {self.module_id}"]})

    def _unit(self, case: Case) -> str:
        return "bare" if case.number in SHARED else UNITS.get(case.kind, "dashboard")

    def _browser(self, username: str) -> Browser:
        if username not in self._browsers:
            self._browsers[username] = Browser(self.url)
            self._browsers[username].sign_in(username)
        return self._browsers[username]

    @cached_property
    def _registered(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._get("sandbox/registrations.json")
        return found

    def _get(self, path: str) -> Any:
        return self._ask("GET", path, None)

    def _post(self, path: str, body: Any) -> Any:
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: Any) -> Any:
        with requests.Session() as plain:
            plain.trust_env = False
            answer = plain.request(method, f"{self.url}/{path}", json=body, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()


def _registration(each: Mapping[str, Any]) -> NewRegistration:
    addresses = {name: each[name] for name in ("issuer", "client_id", "auth_login_url", "token_url", "key_set_url")}
    return NewRegistration(**addresses, profile="openedx")


def _heard(logged: Mapping[str, Any]) -> Heard:
    values = {**logged, "scopes": tuple(logged["scopes"])}
    return Heard(service=_service(urlsplit(logged["path"]).path), authorized=logged["status"] < 400, **values)


def _service(path: str) -> Service:
    if "/token/" in path:
        return "token"
    last = path.rsplit("/", 1)[1]
    names: dict[str, Service] = {
        "memberships": "roster",
        "lti-ags": "line_items",
        "scores": "scores",
        "results": "results",
    }
    return names.get(last, "results" if "/results/" in path else "line_item")


@contextmanager
def open_lms(folder: Path, tool_url: str, module_id: str) -> Iterator[OpenEdx]:
    """The sandbox LMS in a process of its own, for a tool at this address."""
    assert SANDBOX_PYTHON.exists(), "the sandbox LMS is not installed: run `make environments`"
    port = free_port()
    url = f"http://localhost:{port}"
    options = {"--port": str(port), "--public-url": url, "--tool-url": tool_url, "--data": str(folder / "lms")}
    command = [str(SANDBOX_PYTHON), "-m", "sandbox.openedx", *(word for pair in options.items() for word in pair)]
    lms = Actor("lms", command, folder, {"PYTHONPATH": str(ROOT), "NO_PROXY": "*"})
    lms.start()
    try:
        lms.wait_until_ready(f"{url}/healthz")
        yield OpenEdx(url, module_id)
    finally:
        lms.stop()
