"""The page of the demo's mail server: every message, the newest first."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from threading import Lock

from flask import Flask, Response, jsonify, render_template


@dataclass(frozen=True, slots=True)
class Kept:
    """One message for one address; `at` is when it came."""

    number: int
    at: datetime
    to: str
    subject: str
    body: str


@dataclass
class Mailbox:
    """Every message since the start. Safe to use from several threads."""

    _kept: list[Kept] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def keep(self, address: str, message: EmailMessage) -> None:
        text = message.get_body(("plain",))
        body = text.get_content() if text else ""
        with self._lock:
            number = len(self._kept) + 1
            self._kept.append(Kept(number, datetime.now(UTC), address, str(message["Subject"]), body))

    def newest_first(self) -> list[Kept]:
        with self._lock:
            return self._kept[::-1]


def create_pages(mailbox: Mailbox) -> Flask:
    """The page as a Flask application."""
    app = Flask("sandbox.mail")

    @app.get("/")
    def page() -> str:
        return render_template("mailbox.html", messages=mailbox.newest_first())

    @app.get("/messages.json")
    def messages() -> Response:
        return jsonify([{"to": each.to, "subject": each.subject} for each in mailbox.newest_first()])

    @app.get("/healthz")
    def healthz() -> Response:
        return jsonify({"status": "ok"})

    return app
