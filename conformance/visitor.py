"""A visitor of the tool: a browser without a screen, which reads pages, keeps cookies and submits forms.

The tool's pages are at its public address; the visitor reaches them where the tool listens, on this machine. Cookies
are kept by hand: a `Secure` cookie with the prefix `__Host-` would not come back over http by an ordinary cookie jar.
"""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

WAIT_SECONDS = 20
MOST_STEPS = 5
FORM_TYPE = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a page: where it goes, how, and its fields; what is chosen among radio buttons and boxes is in
    `offered`, every value in its order."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    offered: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """What came back: where, with which status, and what it says."""

    url: str
    status: int
    html: str
    headers: Mapping[str, str]
    steps: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def code(self) -> str | None:
        """The stable code that a page of refusal names."""
        _, found, rest = self.html.partition("<code>")
        return rest.partition("</code>")[0] if found else None

    @property
    def forms(self) -> list[Form]:
        return _Forms(self.html).forms


class _Forms(HTMLParser):
    """The forms of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), given.get("method", "get").lower()))
        elif tag in ("input", "button", "textarea") and self.forms and given.get("name"):
            self._take(given)

    def _take(self, given: Mapping[str, str]) -> None:
        name, value = given["name"], given.get("value", "")
        if given.get("type") in ("radio", "checkbox", "submit"):
            self.forms[-1].offered.setdefault(name, []).append(value)
        if given.get("type") not in ("radio", "checkbox", "submit") or "checked" in given:
            self.forms[-1].fields[name] = value


class Visitor:
    """One person's browser at the tool. `public_url` is the tool's own name, `served_at` (host, port) where it
    listens."""

    def __init__(self, public_url: str, served_at: tuple[str, int]) -> None:
        self.public_url = public_url
        self._served_at = served_at
        self.cookies: dict[str, str] = {}

    def get(self, url: str) -> Page:
        """Ask once; a redirect is not followed."""
        return self._send("GET", url, None)

    def open(self, path: str) -> Page:
        """A page of the tool, after its redirects."""
        return self.follow(self.get(self.public_url + path))

    def post(self, url: str, fields: Mapping[str, str]) -> Page:
        """Post a form; a redirect is not followed."""
        return self._send("POST", url, urlencode(fields).encode())

    def follow(self, page: Page) -> Page:
        """Follow redirects within the tool until a page stands still."""
        for _ in range(MOST_STEPS):
            if page.status not in (302, 303):
                return page
            onward = self.get(urljoin(page.url, page.headers["Location"]))
            page = Page(onward.url, onward.status, onward.html, onward.headers, (*page.steps, onward.path))
        return page

    def _send(self, method: str, url: str, body: bytes | None) -> Page:
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        line = http.client.HTTPConnection(*self._served_at, timeout=WAIT_SECONDS)
        try:
            line.request(method, target, body, self._headers(body))
            answer = line.getresponse()
            html = answer.read().decode("utf-8", "replace")
        finally:
            line.close()
        for cookie in answer.headers.get_all("Set-Cookie", []):
            self._keep(cookie)
        return Page(url, answer.status, html, dict(answer.headers))

    def _headers(self, body: bytes | None) -> dict[str, str]:
        headers = {"Host": urlsplit(self.public_url).netloc, "Accept": "text/html"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            headers["Content-Type"] = FORM_TYPE
        return headers

    def _keep(self, cookie: str) -> None:
        pair, *attributes = cookie.split(";")
        name, _, value = pair.strip().partition("=")
        if any(each.strip().lower() == "max-age=0" for each in attributes):
            self.cookies.pop(name, None)
        else:
            self.cookies[name] = value
