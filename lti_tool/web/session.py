"""The browser's session inside an LMS's frame: its token, who is behind it, and what that role may do.

The token is random; the database holds only its SHA-256. It is kept in a cookie that is `SameSite=None; Secure;
Partitioned`, so that browsers which block third-party cookies keep it per LMS. Where a browser keeps no cookie at all
and the platform's storage vouched for the launch (lti.cookie_ladder), the token lives in the memory of the page's own
script (static/visit.js), which sends it as `Authorization: Bearer`.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Literal, ParamSpec, TypeVar

from flask import Flask, Response, g
from flask import request as http_request
from sqlalchemy import Connection, bindparam, delete, insert, select

from lti_tool.db import Database
from lti_tool.errors import AccessDenied, BadInput
from lti_tool.signing import digest, fingerprint
from lti_tool.tables.browser_sessions import web_sessions
from lti_tool.tables.platforms import registrations
from lti_tool.web.request import READING_METHODS, abandon, connection, house, now

COOKIE = "__Host-gatehouse"
# Where a visit without cookies goes on to.
GO_ON = "Gatehouse-Location"
CSRF_FIELD = "csrf"
# A training day and the evening after it.
LIFETIME = timedelta(hours=12)

Level = Literal["public", "trainee", "staff"]
Role = Literal["trainee", "staff"]
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at the page: a person (`trainee_id`; staff are people too) in one course of one platform;
    `placement_id` is None when no resource link led here. `visit` is the digest of the session's token: it names the
    session and opens nothing."""

    visit: str
    trainee_id: int
    registration_id: int
    context_id: str | None
    placement_id: int | None
    role: Role

    @property
    def is_staff(self) -> bool:
        return self.role == "staff"

    @property
    def actor(self) -> str:
        """The id that the audit log keeps, such as "staff:3"."""
        return f"{self.role}:{self.trainee_id}"


def start(
    connection: Connection,
    *,
    trainee_id: int,
    registration_id: int,
    context_id: str | None,
    placement_id: int | None,
    role: Role,
    now: datetime,
) -> str:
    """Begin a session in the caller's transaction; the token that `set_cookie` puts into the browser."""
    token = secrets.token_urlsafe(32)
    row = {
        "token_digest": fingerprint(token),
        "trainee_id": trainee_id,
        "registration_id": registration_id,
        "context_id": context_id,
        "placement_id": placement_id,
        "role": role,
        "created_at": now,
        "expires_at": now + LIFETIME,
    }
    connection.execute(_insert_session, row)
    return token


def set_cookie(response: Response, name: str, value: str, lifetime: timedelta) -> None:
    """Set a cookie the way every cookie of the tool is set: host-only, unreadable to scripts, usable in a frame."""
    response.set_cookie(
        name,
        value,
        max_age=lifetime,
        path="/",
        secure=True,
        httponly=True,
        samesite="None",
        partitioned=True,
    )


def drop_cookie(response: Response, name: str) -> None:
    """Make the browser forget a cookie that `set_cookie` set."""
    set_cookie(response, name, "", timedelta())


def access(level: Level) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare who may call a view; every view of the tool carries this decorator.

    "public": anybody. "trainee": anybody with a session. "staff": a session that a teacher's launch started. For the
    latter two a request that changes something must carry the session's CSRF token. A form is read whole before anybody
    asks for a connection: one that arrives slowly keeps nobody waiting. Raises AccessDenied, or BadInput
    `form_unreadable`.
    """

    def declare(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **named: P.kwargs) -> R:
            try:
                if http_request.method not in READING_METHODS:
                    _read_form()
                if level != "public":
                    _let_in(level)
                return view(*args, **named)
            except Exception:
                abandon()
                raise

        guarded.access = level  # type: ignore[attr-defined]
        return guarded

    return declare


def viewer() -> Viewer:
    """The viewer of this request. Raises AccessDenied `session_missing`."""
    found = viewer_or_none()
    if found is None:
        raise AccessDenied(
            "session_missing",
            "You are not signed in here, or your visit has ended.",
            "Go back to your course and open this unit again. If you see this page every time, your browser refuses "
            "cookies inside the course page: open the unit in a new tab or window, or allow cookies for this site.",
        )
    return found


def viewer_or_none() -> Viewer | None:
    """The viewer of this request, None when its browser sent no valid session."""
    if "viewer" not in g:
        token = session_token()
        g.viewer = viewer_of(connection(), fingerprint(token), now()) if token else None
    found: Viewer | None = g.viewer
    return found


def session_token() -> str | None:
    """The token that this request carries: that of a visit without cookies, else the cookie's."""
    return _bearer() or http_request.cookies.get(COOKIE)


def viewer_of(connection: Connection, visit: str, now: datetime) -> Viewer | None:
    """The viewer of an unexpired session whose platform is still active; `visit` is the digest of its token."""
    row = connection.execute(_viewer_of_session, {"digest": visit, "now": now}).first()
    return None if row is None else Viewer(**row._mapping)


def csrf_token() -> str:
    """What a form of this session carries in the field `csrf`: derived from the session's token, stored nowhere."""
    token = session_token()
    return digest(house().settings.secret_key, "csrf", token) if token else ""


def forget_sessions(database: Database, now: datetime) -> bool:
    """Periodic job: drop the sessions whose time is over. Never more to do."""
    over = web_sessions.c.expires_at < now
    with database.read() as connection:
        if connection.execute(select(web_sessions.c.token_digest).where(over).limit(1)).first() is None:
            return False
    with database.write() as connection:
        connection.execute(delete(web_sessions).where(over))
    return False


def register(app: Flask) -> None:
    """Give every template of the app `csrf_token()` and `viewer_or_none()`; tell visits without cookies where to go on;
    forget the viewer when a request ends."""
    app.jinja_env.globals.update(csrf_token=csrf_token, viewer_or_none=viewer_or_none)
    app.after_request(_tell_redirect)
    app.teardown_request(_forget_viewer)


def _bearer() -> str:
    scheme, _, token = http_request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _tell_redirect(response: Response) -> Response:
    """A visit without cookies is told where to go on, by a header: Safari before 16.1 drops `Authorization` when it
    follows a redirect by itself, and a script cannot follow one to another site."""
    if response.location and _bearer():
        response.headers[GO_ON] = response.headers.pop("Location")
        response.status_code = 204
        response.set_data(b"")
    return response


def _forget_viewer(_error: BaseException | None = None) -> None:
    g.pop("viewer", None)


def _read_form() -> None:
    """No person types a NUL, and PostgreSQL stores none."""
    if any("\0" in text for field in http_request.form.items(multi=True) for text in field):
        raise BadInput("form_unreadable", "The form holds a character that cannot be stored.", "Go back and mend it.")


def _let_in(level: Level) -> None:
    found = viewer()
    if level == "staff" and not found.is_staff:
        raise AccessDenied(
            "role_not_allowed",
            "This page is for the people who run the course.",
            "If you teach this course, open it from the course with your teaching role.",
        )
    if http_request.method not in READING_METHODS:
        _verify_csrf()


def _verify_csrf() -> None:
    given = http_request.form.get(CSRF_FIELD, "")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), csrf_token().encode()):
        raise AccessDenied(
            "form_not_ours",
            "This form was not sent from a page of your present visit. Nothing was changed.",
            "Open the page again and send the form from there.",
        )


_insert_session = insert(web_sessions)
_viewer_of_session = (
    select(
        web_sessions.c.token_digest.label("visit"),
        web_sessions.c.trainee_id,
        web_sessions.c.registration_id,
        web_sessions.c.context_id,
        web_sessions.c.placement_id,
        web_sessions.c.role,
    )
    .join_from(web_sessions, registrations)
    .where(
        web_sessions.c.token_digest == bindparam("digest"),
        web_sessions.c.expires_at > bindparam("now"),
        registrations.c.status == "active",
    )
)
