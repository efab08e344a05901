"""The headers of every answer. A page may be framed by registered platforms only; nothing is cached or referred."""

import logging
import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask, Response, g
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from lti_tool.db import Database
from lti_tool.tables.platforms import registrations

log = logging.getLogger(__name__)

# How long a change of the registrations may take to show in frame-ancestors.
REMEMBERED_SECONDS = 10.0
# A policy is split at blanks, commas and semicolons, so an origin holds none.
ORIGIN = re.compile(r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Allowed:
    """The origins that one answer allows besides."""

    form_to: tuple[str, ...] = ()
    framed_by: tuple[str, ...] = ()


class FrameAncestors:
    """The origins that may frame the tool: those of the active registrations' login pages and issuers, and those a
    site adds because its platform shows courses from another host (Open edX's learning micro-frontend)."""

    def __init__(
        self, database: Database, added: tuple[str, ...], *, remembered_seconds: float = REMEMBERED_SECONDS
    ) -> None:
        self._database = database
        self._added = added
        self._remembered_seconds = remembered_seconds
        self._lock = threading.Lock()
        self._value = "'none'"
        self._read_at = float("-inf")

    def value(self) -> str:
        """The origins as the policy writes them. While the database is away, those last read."""
        with self._lock:
            if time.monotonic() - self._read_at > self._remembered_seconds:
                try:
                    self._value = " ".join(sorted(self._origins())) or "'none'"
                except SQLAlchemyError as error:
                    log.warning("frame ancestors not read", extra={"error": type(error).__name__})
                self._read_at = time.monotonic()
            return self._value

    def _origins(self) -> set[str]:
        addresses = select(registrations.c.auth_login_url, registrations.c.issuer)
        with self._database.read() as connection:
            active = connection.execute(addresses.where(registrations.c.status == "active"))
            urls = [url for row in active for url in row]
        return {origin for url in urls if (origin := origin_of(url))} | set(self._added)


def origin_of(url: str) -> str | None:
    """Scheme, host and port of an http(s) address; None for anything else (an issuer may be any text)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return origin if ORIGIN.fullmatch(origin) else None


def allow(*, form_to: Iterable[str | None] = (), framed_by: Iterable[str | None] = ()) -> None:
    """Within a view: let the forms of this one answer be sent to the origins of these addresses, or let the page be
    framed by them, besides what every page allows. An address that has no http(s) origin allows nothing.
    """
    g.allowed = _Allowed(_origins(form_to), _origins(framed_by))


def _origins(addresses: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({origin for each in addresses if (origin := origin_of(each or ""))}))


def register(app: Flask, ancestors: FrameAncestors, *, https: bool) -> None:
    """Put the headers on every answer of the app."""

    @app.after_request
    def add_headers(response: Response) -> Response:
        headers = response.headers
        headers.setdefault("Cache-Control", "no-store")
        headers["Referrer-Policy"] = "no-referrer"
        headers["X-Content-Type-Options"] = "nosniff"
        allowed = g.pop("allowed", _Allowed())
        if response.mimetype == "text/html":
            headers["Content-Security-Policy"] = _policy(ancestors.value(), allowed)
        if https:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        return response


def _policy(frame_ancestors: str, allowed: _Allowed) -> str:
    # img-src data: is Bootstrap's own icons inside its style sheet.
    form_action = _also("'self'", allowed.form_to)
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"connect-src 'self'; base-uri 'none'; form-action {form_action}; "
        f"frame-ancestors {_also(frame_ancestors, allowed.framed_by)}"
    )


def _also(sources: str, origins: tuple[str, ...]) -> str:
    """The sources and some more; 'none' stands alone or not at all."""
    known = [] if sources == "'none'" else sources.split()
    return " ".join([*known, *(each for each in origins if each not in known)]) or sources
