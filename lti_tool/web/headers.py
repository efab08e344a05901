"""The headers of every response: only registered platforms may frame a page, and nothing is cached."""

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

# How long a change of the registrations may take to reach frame-ancestors.
REMEMBERED_SECONDS = 10.0
# A policy is split at spaces, commas and semicolons, so an origin must not contain any.
ORIGIN = re.compile(r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Allowed:
    """The origins that one response allows in addition."""

    form_to: tuple[str, ...] = ()
    framed_by: tuple[str, ...] = ()


class FrameAncestors:
    """The origins that may frame the tool: those of the active registrations' login pages and issuers, and those that
    the settings add for a platform that shows courses from another host (Open edX's learning micro-frontend)."""

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
        """The origins as the policy writes them. While the database is away, those read last."""
        with self._lock:
            if time.monotonic() - self._read_at > self._remembered_seconds:
                try:
                    with self._database.read() as connection:
                        active = connection.execute(_active_addresses).all()
                    origins = _origins(url for row in active for url in row)
                    self._value = " ".join(sorted({*origins, *self._added})) or "'none'"
                except SQLAlchemyError as error:
                    log.warning("frame ancestors not read", extra={"error": type(error).__name__})
                self._read_at = time.monotonic()
            return self._value


_active_addresses = select(registrations.c.auth_login_url, registrations.c.issuer).where(
    registrations.c.status == "active"
)


def origin_of(url: str) -> str | None:
    """Scheme, host and port of an http(s) address; None for anything else (an issuer may be any text)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return origin if ORIGIN.fullmatch(origin) else None


def allow(*, form_to: Iterable[str | None] = (), framed_by: Iterable[str | None] = ()) -> None:
    """Within a view: let the forms of this response go to the origins of these addresses, or let these origins frame
    it, in addition to what every page allows. An address without an http(s) origin allows nothing."""
    g.allowed = _Allowed(_origins(form_to), _origins(framed_by))


def _origins(addresses: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({origin for each in addresses if (origin := origin_of(each or ""))}))


def register(app: Flask, ancestors: FrameAncestors, *, https: bool) -> None:
    """Put the headers on every response of the app."""

    @app.after_request
    def add_headers(response: Response) -> Response:
        headers = response.headers
        headers.setdefault("Cache-Control", "no-store")
        headers["Referrer-Policy"] = "no-referrer"
        headers["X-Content-Type-Options"] = "nosniff"
        allowed = g.pop("allowed", _Allowed())
        if response.mimetype == "text/html":
            form_action = _joined("'self'", allowed.form_to)
            headers["Content-Security-Policy"] = (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
                f"connect-src 'self'; media-src 'self'; base-uri 'none'; form-action {form_action}; "
                f"frame-ancestors {_joined(ancestors.value(), allowed.framed_by)}"
            )
        if https:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        return response


def _joined(sources: str, origins: tuple[str, ...]) -> str:
    """The sources and these origins. 'none' stands alone or not at all."""
    known = [] if sources == "'none'" else sources.split()
    return " ".join([*known, *(each for each in origins if each not in known)]) or sources
