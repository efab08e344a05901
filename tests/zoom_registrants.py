"""Zoom's registrants for tests, answered at the wire: who is registered, what was asked, and what goes wrong."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
import responses

from lti_tool.http import Http
from lti_tool.settings import Settings
from zoom_adapter.api import ZoomApi
from zoom_adapter.api_calls import Limits

API = "https://api.zoom.example.org/v2"
TOKEN_URL = "https://zoom.example.org/oauth/token"

Answer = tuple[int, Mapping[str, str], str]


def with_credentials(settings: Settings, **changed: Any) -> Settings:
    own = {
        "zoom_account_id": "the-account",
        "zoom_client_id": "the-client",
        "zoom_client_secret": "the-client-secret",
        "zoom_api_url": API,
        "zoom_token_url": TOKEN_URL,
        "zoom_plan": "business",
    }
    return replace(settings, **{**own, **changed})


@dataclass
class Registrants:
    """One meeting's registrants by address: {"id", "join_url", "status"}. `calls` names every call in order; `trouble`
    may answer a call in Zoom's place; `settings` are the meeting's."""

    wire: responses.RequestsMock
    meeting: str
    kind: str = "meeting"
    by_email: dict[str, dict[str, str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    settings: dict[str, Any] = field(default_factory=dict)
    trouble: Callable[[str, Any], Answer | Exception | None] = lambda _call, _body: None
    after: Callable[[str], None] = lambda _call: None

    def serve(self) -> "Registrants":
        token = {"access_token": "a-token", "expires_in": 3600, "scope": "", "api_url": "https://api.zoom.example.org"}
        self.wire.post(TOKEN_URL, json=token)
        base = f"{API}/{self.kind}s/{self.meeting}"
        calls = {
            "register": ("POST", "/registrants", self._register),
            "batch": ("POST", "/batch_registrants", self._register_many),
            "status": ("PUT", "/registrants/status", self._change),
            "list": ("GET", "/registrants", self._list),
            "settings": ("GET", "", lambda _asked: (200, {}, json.dumps({"settings": self.settings}))),
        }
        for name, (method, path, answer) in calls.items():
            self.wire.add_callback(method, base + path, callback=self._guarded(name, answer))
        return self

    def api(self, settings: Settings, clock: Callable[[], datetime]) -> ZoomApi:
        """A client with credentials that never sleeps."""
        allowed = with_credentials(settings)
        limits = Limits("business", clock, sleep=lambda _seconds: None)
        return ZoomApi(Http(resolve=lambda _name, _port: ["93.184.216.34"]), allowed, clock, limits=limits)

    def of(self, status: str) -> set[str]:
        return {email for email, each in self.by_email.items() if each["status"] == status}

    def _guarded(self, name: str, answer: Callable[[requests.PreparedRequest], Answer]) -> Callable[..., Any]:
        def guarded(asked: requests.PreparedRequest) -> Any:
            body = json.loads(asked.body) if asked.body else None
            self.calls.append(name)
            answered = self.trouble(name, body) or answer(asked)
            self.after(name)
            return answered

        return guarded

    def _register(self, asked: requests.PreparedRequest) -> Answer:
        made = self._add(json.loads(asked.body or "{}"))
        return 201, {}, json.dumps({name: made[name] for name in ("registrant_id", "join_url")})

    def _register_many(self, asked: requests.PreparedRequest) -> Answer:
        people = json.loads(asked.body or "{}")["registrants"]
        assert len(people) <= 30
        return 201, {}, json.dumps({"registrants": [self._add(each) for each in people]})

    def _add(self, person: Mapping[str, str]) -> dict[str, str]:
        email = person["email"]
        self.asked[email] += 1
        number = f"rg-{email.partition('@')[0]}"
        known = self.by_email.get(email)
        if known is None or known["status"] == "cancelled":
            link = f"https://zoom.example.org/w/{self.meeting}?tk={number}"
            known = self.by_email[email] = {"id": number, "join_url": link, "status": "approved"}
        return {"registrant_id": number, "join_url": known["join_url"], "email": email}

    def _change(self, asked: requests.PreparedRequest) -> Answer:
        answered = json.loads(asked.body or "{}")
        becomes = {"approve": "approved", "deny": "denied", "cancel": "cancelled"}[answered["action"]]
        for each in answered["registrants"]:
            self.by_email[each["email"]]["status"] = becomes
        return 204, {}, ""

    def _list(self, asked: requests.PreparedRequest) -> Answer:
        status = parse_qs(urlsplit(asked.url or "").query)["status"][0]
        rows = [{**each, "email": email} for email, each in self.by_email.items() if each["status"] == status]
        return 200, {}, json.dumps({"registrants": rows, "next_page_token": ""})


def refusal(status: int, code: int, **headers: str) -> Answer:
    return status, headers, json.dumps({"code": code, "message": "No."})
