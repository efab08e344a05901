"""Zoom's REST interface as far as reports are concerned, at the wire: a test says what it answers about which uuid."""

import json
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import requests
import responses

from lti_tool.settings import Settings

ROOT = "https://api.zoom.us/v2"
Answer = tuple[int, dict[str, str], str]


def with_credentials(settings: Settings) -> Settings:
    return replace(settings, zoom_account_id="account", zoom_client_id="client", zoom_client_secret="a secret")


@dataclass
class ReportingZoom:
    """`rows` are the reports by uuid, `past` the lists of past participants; what is in neither is not found. `held`
    are the instances by meeting number. `refusals` come first: part of a path and page (0: all) → status, Zoom's
    code. `meanwhile` happens, each once, before a report is answered."""

    wire: responses.RequestsMock
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    past: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    held: dict[str, list[tuple[str, datetime]]] = field(default_factory=lambda: defaultdict(list))
    webinars: set[str] = field(default_factory=set)
    refusals: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    page_size: int = 300
    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        token = {"access_token": "token", "expires_in": 3600, "scope": "", "api_url": "https://api.zoom.us"}
        self.wire.post("https://zoom.us/oauth/token", json=token)
        for kind in ("meetings", "webinars"):
            for path in (f"report/{kind}/(.+)/participants", f"past_{kind}/(.+)/(?:participants|instances)"):
                self.wire.add_callback("GET", re.compile(f"{ROOT}/{path}"), self._answer)

    def refuse(self, part: str, status: int, code: int, page: int = 0) -> None:
        self.refusals[part, page] = (status, code)

    def questions(self, part: str = "report/") -> int:
        """How often something was asked whose path holds this; a list of pages counts once."""
        return sum(part in path for path in self.asked)

    def _answer(self, request: requests.PreparedRequest) -> Answer:
        url = urlsplit(str(request.url))
        path, page = url.path.removeprefix("/v2/"), int(parse_qs(url.query).get("next_page_token", ["1"])[0])
        if page == 1:
            self.asked.append(path)
        if path.startswith("report/") and self.meanwhile:
            self.meanwhile.pop()()
        for (part, number), (status, code) in self.refusals.items():
            if part in path and number in (0, page):
                return _said(status, {"code": code, "message": "No."})
        whose, _, what = path.rpartition("/")
        subject = unquote(unquote(whose.partition("meetings/")[2] or whose.partition("webinars/")[2]))
        if what == "instances":
            return self._instances(subject, "meetings" if "meetings" in path else "webinars")
        if "meetings/" in path and subject in self.webinars:
            return _said(400, {"code": 3000, "message": "This is a webinar."})
        return self._page((self.rows if path.startswith("report/") else self.past).get(subject), page)

    def _instances(self, number: str, kind: str) -> Answer:
        found = [{"uuid": uuid, "start_time": f"{at:%Y-%m-%dT%H:%M:%SZ}"} for uuid, at in self.held[number]]
        return _said(200, {kind: found})

    def _page(self, rows: list[dict[str, Any]] | None, page: int) -> Answer:
        if rows is None:
            return _said(404, {"code": 3001, "message": "Not there."})
        more = len(rows) > page * self.page_size
        shown = rows[(page - 1) * self.page_size : page * self.page_size]
        return _said(200, {"participants": shown, "next_page_token": str(page + 1) if more else ""})


def _said(status: int, body: dict[str, Any]) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(body)
