"""A browser without a screen: it signs in to the sandbox LMS, opens units and follows the launch as a person's would.

It keeps cookies, follows redirects, and submits the forms that pages submit by script (LTI's form_post response mode).
Only the frame is not drawn: what a unit frames is opened directly.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urljoin

import requests
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar

TIMEOUT = (3, 20)
MOST_STEPS = 8

# Where Open edX's student view sends the frame once the person agrees to share name and e-mail. It writes the address
# into the attribute without escaping its ampersands, so it is taken as it stands.
LAUNCH_ADDRESS = re.compile(r'data-target="([^"]+/lti/login[^"]*)"')


@dataclass
class Form:
    """One form of a page: where it goes, how, and its fields with their present values."""

    action: str
    method: str
    id: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class _Document(HTMLParser):
    """The forms, frames, links and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.frames: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self._silent = 0
        self._select = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(found.get("action", ""), found.get("method", "get").lower(), found.get("id", "")))
        elif tag in ("input", "textarea") and self.forms and found.get("name"):
            self._field(tag, found)
        elif tag == "select":
            self._select = found.get("name", "")
        elif tag == "option" and self.forms and self._select:
            # The first option is what a browser sends unless another one is marked.
            if self._select not in self.forms[-1].fields or "selected" in found:
                self.forms[-1].fields[self._select] = found.get("value", "")
        elif tag == "iframe":
            self.frames.append(found.get("src", ""))
        elif tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag in ("script", "style"):
            self._silent += 1

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._silent -= 1

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.words.append(" ".join(data.split()))

    def _field(self, tag: str, found: dict[str, str]) -> None:
        chosen = found.get("type") not in ("checkbox", "radio", "submit") or "checked" in found
        if tag != "input" or chosen:
            self.forms[-1].fields[found["name"]] = found.get("value", "")


@dataclass(frozen=True)
class Page:
    """What came back: where, with which status and headers, and what it says."""

    url: str
    status: int
    html: str
    headers: Mapping[str, str]

    @property
    def document(self) -> _Document:
        return _Document(self.html)

    @property
    def words(self) -> str:
        return " ".join(self.document.words)

    def form(self, part_of_action: str) -> Form:
        """The first form whose action or id contains the text."""
        for form in self.document.forms:
            if part_of_action in form.action or part_of_action in form.id:
                return form
        raise LookupError(f"{self.url} has no form with {part_of_action!r}")


class Browser:
    """One person's browser. Secure cookies are kept over http, as browsers do for loopback addresses."""

    def __init__(self, lms_url: str) -> None:
        self.lms_url = lms_url
        self.http = requests.Session()
        self.http.trust_env = False
        self.cookies = RequestsCookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))

    def sign_in(self, username: str) -> None:
        page = self._send("POST", f"{self.lms_url}/sandbox/sign-in", data={"username": username})
        if page.status != 200:
            raise LookupError(f"{username} cannot sign in: {page.status}")

    def open(self, url: str) -> Page:
        return self._send("GET", url)

    def post(self, url: str, fields: Mapping[str, str]) -> Page:
        return self._send("POST", url, data=dict(fields))

    def submit(self, page: Page, form: Form, **values: str) -> Page:
        """Send a form of a page with its own values and the given ones."""
        url = urljoin(page.url, form.action or page.url)
        fields = {**form.fields, **values}
        if form.method == "post":
            return self._send("POST", url, data=fields)
        return self._send("GET", url, params=fields)

    def open_unit(self, block: str) -> Page:
        """Open a course unit and everything it frames, up to the page of the tool that the person then sees."""
        return self.settle(self.open(f"{self.lms_url}/unit/{block}"))

    def settle(self, page: Page) -> Page:
        """Follow frames and self-submitting forms until a page stands still."""
        for _ in range(MOST_STEPS):
            onward = self._onward(page)
            if onward is None:
                return page
            page = onward
        raise LookupError(f"{page.url} never stands still")

    def _onward(self, page: Page) -> Page | None:
        document = page.document
        posted_back = [form for form in document.forms if "id_token" in form.fields or "state" in form.fields]
        if posted_back:
            return self.submit(page, posted_back[0])
        if not page.url.startswith(self.lms_url):
            return None
        launch = LAUNCH_ADDRESS.search(page.html)
        if launch:
            return self.open(launch[1])
        return self.open(urljoin(page.url, document.frames[0])) if document.frames else None

    def _send(self, method: str, url: str, **content: dict[str, str]) -> Page:
        """Send with our own cookies and follow redirects: requests would put Secure cookies into no http request."""
        for _ in range(MOST_STEPS):
            prepared = requests.Request(method, url, **content).prepare()
            prepared.prepare_cookies(self.cookies)
            answer = self.http.send(prepared, allow_redirects=False, timeout=TIMEOUT)
            extract_cookies_to_jar(self.cookies, prepared, answer.raw)
            if not answer.is_redirect:
                return Page(answer.url, answer.status_code, answer.text, answer.headers)
            method, url, content = "GET", urljoin(url, answer.headers["Location"]), {}
        raise LookupError(f"{url} redirects for ever")
