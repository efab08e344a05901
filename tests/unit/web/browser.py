"""A reader of our pages: opens them, reads their text, fills in their forms."""

import re
from dataclasses import dataclass
from html import unescape

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

BASE = "https://localhost"


@dataclass(frozen=True)
class Page:
    """An answer, read as a person reads it."""

    response: TestResponse

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def html(self) -> str:
        return self.response.get_data(as_text=True)

    @property
    def text(self) -> str:
        """Everything a reader sees, in one line."""
        body = self.html.partition("<main")[2]
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split()).replace(" .", ".").replace(" ,", ",")

    @property
    def heading(self) -> str:
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.html, re.S)
        assert found, "a page has one h1"
        return unescape(re.sub(r"<[^>]*>", "", found[1])).strip()

    @property
    def links(self) -> list[str]:
        return [unescape(each) for each in re.findall(r'<a [^>]*href="([^"]*)"', self.html)]

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.html)
        assert found, "a form carries the session's token"
        return found[1]

    @property
    def sent_to(self) -> str:
        return self.response.headers["Location"]


def calendar_address(browser: "Browser") -> str:
    """The path of the reader's calendar feed, newly made."""
    made = browser.send(browser.open("/calendar"), "/calendar")
    (address,) = set(re.findall(r"/calendar/[\w-]+\.ics", made.html))
    return str(address)


@dataclass(frozen=True)
class Browser:
    client: FlaskClient

    def open(self, path: str) -> Page:
        return Page(self.client.get(path, base_url=BASE))

    def send(self, page: Page, path: str, **fields: str) -> Page:
        """Send a form that stands on `page`."""
        return Page(self.client.post(path, base_url=BASE, data={"csrf": page.csrf, **fields}))
