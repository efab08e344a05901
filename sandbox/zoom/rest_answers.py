"""What the REST side of the simulated Zoom remembers between calls, and the forms its answers have."""

import secrets
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

from flask import Response, abort, jsonify, request

from sandbox.zoom.account import Account, Registrant, registration_event
from sandbox.zoom.player import Player
from sandbox.zoom.switches import Board


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the tool signs in with."""

    account_id: str = "account-of-the-sandbox"
    client_id: str = "client-of-the-sandbox"
    client_secret: str = "secret-of-the-sandbox"
    app_id: str = "app-of-the-sandbox"


@dataclass
class Rest:
    """The interface with all it remembers between calls."""

    player: Player
    account: Account
    credentials: Credentials = field(default_factory=Credentials)
    board: Board = field(default_factory=Board)
    tokens: dict[str, datetime] = field(default_factory=dict)
    asks: Counter[str] = field(default_factory=Counter)
    calls: list[dict[str, Any]] = field(default_factory=list)
    pages: dict[str, tuple[str, int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def announce(self, kind: str, name: str, meeting_id: str, registrant: Registrant) -> None:
        if self.board.now.announce:
            self.player.announce(registration_event(kind, name, meeting_id, registrant, now()))


def now() -> datetime:
    return datetime.now(UTC)


def refuse(status: int, code: int, message: str, headers: dict[str, str] | None = None) -> NoReturn:
    """End the request with an error in Zoom's shape."""
    answer = jsonify({"code": code, "message": message})
    answer.status_code = status
    answer.headers.update(headers or {})
    abort(answer)


def page(rest: Rest, name: str, rows: Sequence[dict[str, Any]]) -> Response:
    """One page, and the token for the next one, which wants the same parameters again."""
    size = min(request.args.get("page_size", 30, type=int), rest.board.now.most_rows)
    same = "&".join(f"{key}={value}" for key, value in sorted(request.args.items()) if key != "next_page_token")
    question = f"{request.path}?{same}"
    given = request.args.get("next_page_token", "")
    asked, number = rest.pages.get(given, (question, 0))
    if asked != question or (given and given not in rest.pages):
        refuse(400, 300, "The next page token is either invalid or has expired.")
    following = ""
    if (number + 1) * size < len(rows):
        following = secrets.token_urlsafe(16)
        rest.pages[following] = (question, number + 1)
    some = rows[number * size : (number + 1) * size]
    return jsonify({"page_size": size, "total_records": len(rows), "next_page_token": following, name: some})
