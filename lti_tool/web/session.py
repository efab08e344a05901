"""The browser session inside an LMS's frame: its token, its viewer, and what their role may do.

The token is random, and the database holds only its SHA-256. It is kept in a cookie that is `SameSite=None; Secure;
Partitioned`, so that browsers which block third-party cookies keep it per LMS. If a browser keeps no cookie at all and
the platform's storage confirmed the launch (lti_tool/lti/login.py), the token lives in the memory of the page's own
script (static/visit.js), which sends it as `Authorization: Bearer`.
"""

import errno
import hmac
import secrets
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g
from flask import request as http_request
from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, false, select
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from lti_tool import audit, languages, people, rights
from lti_tool.db import Database
from lti_tool.errors import AccessDenied, BadInput
from lti_tool.languages import gettext
from lti_tool.people import LANGUAGE
from lti_tool.rights import Right
from lti_tool.signing import digest, fingerprint
from lti_tool.tables.browser_sessions import web_sessions
from lti_tool.tables.live_sessions import live_sessions
from lti_tool.tables.operations import audit_log
from lti_tool.tables.people import trainees
from lti_tool.tables.platforms import registrations
from lti_tool.web import course_scope
from lti_tool.web.course_scope import Course
from lti_tool.web.request import READING_METHODS, abandon, append, connection, context, no_room, now

COOKIE = "__Host-gatehouse"
# Where a browser without cookies goes next.
GO_ON = "Gatehouse-Location"
CSRF_FIELD = "csrf"
URLENCODED = "application/x-www-form-urlencoded"
# A training day and the evening after it.
LIFETIME = timedelta(hours=12)

Level = Literal["public", "trainee"]
Role = Literal["trainee", "staff"]
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Viewer:
    """The person who looks at the page, in one course of one platform. Staff have a `trainee_id` too; `placement_id`
    is None if no resource link led here. `visit`, the digest of the session's token, names the session and opens
    nothing. `role` is that of the launch, `granted` are the programme roles that the person holds now, by name with
    blanks between. `language` is None if neither the person nor the platform named one, `name` if the platform told
    none."""

    visit: str
    trainee_id: int
    registration_id: int
    context_id: str | None
    placement_id: int | None
    role: Role
    granted: str | None = None
    language: str | None = None
    name: str | None = None

    @property
    def is_staff(self) -> bool:
        """Whether the desk is open to them: as teacher of their course, or by a programme role."""
        return self.teaches or bool(self.granted)

    @property
    def teaches(self) -> bool:
        """Whether their launch was a teacher's. Who holds a role and opens the course as a learner sees what learners
        see, and the desk beside it."""
        return self.role == "staff"

    @property
    def roles(self) -> frozenset[str]:
        """The programme roles, and COURSE_STAFF for a teacher."""
        return frozenset((self.granted or "").split()) | ({rights.COURSE_STAFF} if self.teaches else set())

    @property
    def course(self) -> Course:
        return self.registration_id, self.context_id or None

    def may(self, right: Right, *, reads: bool = False) -> bool:
        """Whether they may do this anywhere, or look at it; a right that is theirs in one course only is no answer."""
        return right.is_held(self.roles - {rights.COURSE_STAFF}, reads=reads)

    def may_in_course(self, right: Right, *, reads: bool = False) -> bool:
        """Whether they may do this at least in their own course."""
        return right.is_held(self.roles, reads=reads)

    @property
    def actor(self) -> str:
        """The id that the audit log keeps, such as "staff:3"."""
        return f"{'staff' if self.is_staff else 'trainee'}:{self.trainee_id}"


def new_session(
    *, nonce: str, registration_id: int, context_id: str | None, role: Role, now: datetime
) -> tuple[str, dict[str, Any]]:
    """A session for one visit: the token that `set_cookie` puts into the browser, and the row to insert, still without
    trainee and placement. Whoever inserts its row first consumes the nonce."""
    token = secrets.token_urlsafe(32)
    row = {
        "token_digest": fingerprint(token),
        "nonce": nonce,
        "registration_id": registration_id,
        "context_id": context_id,
        "role": role,
        "created_at": now,
        "expires_at": now + LIFETIME,
    }
    return token, row


def set_cookie(response: Response, name: str, value: str, lifetime: timedelta) -> None:
    """Set a cookie of the tool: for this host only, hidden from scripts, usable in a frame."""
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


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest body that a view takes, and the most fields of a form in it. Both are checked before anything parses
    the body."""

    max_bytes: int = 64 * 1024
    max_fields: int = 200


FORM = Limits()
# From here on a body is too large to be read before it is known who sends it.
LARGE_BYTES = 2 * 1024 * 1024


def access(
    level: Level | Right, limits: Limits = FORM, *, reads: bool = False
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare who may call a view. Every view of the tool carries this decorator.

    "public": anyone. "trainee": anyone with a session. A right: whoever of the staff holds it; who holds it as teacher
    of a course only, for what belongs to that course (lti_tool/web/course_scope.py). But for "public", a request that
    changes something must carry the session's CSRF token. The form is read completely before a connection is taken, so
    that a slow upload holds none. A view that takes files or long messages declares its own `limits`; one that takes a
    form and yet only reads says `reads`. Raises AccessDenied, or BadInput `form_unreadable`, `form_too_large` or
    `form_too_many_fields` (both 413).
    """

    def declare(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **named: P.kwargs) -> R:
            try:
                if http_request.method not in READING_METHODS:
                    _verify_form(limits)
                if level != "public":
                    _verify_access(level, http_request.view_args or {}, reads=reads)
                return view(*args, **named)
            except Exception:
                abandon()
                raise

        guarded.access, guarded.limits = level, limits  # type: ignore[attr-defined]
        return guarded

    return declare


def large_body(app: Flask, environ: dict[str, Any]) -> tuple[str, int] | None:
    """The browser session and the most bytes of its body, if the view takes large ones; None for every other view.
    The server asks this before it reads the body. Raises AccessDenied for anyone but staff."""
    try:
        endpoint, _ = app.url_map.bind_to_environ(environ).match()
    except HTTPException:
        return None
    limits: Limits = getattr(app.view_functions[endpoint], "limits", FORM)
    if limits.max_bytes <= LARGE_BYTES:
        return None
    with app.request_context(environ), context().database.read() as connection:
        token = session_token()
        g.viewer = viewer_of(connection, fingerprint(token), context().clock()) if token else None
        _verify_right(getattr(app.view_functions[endpoint], "access"), http_request.view_args or {}, reads=False)  # noqa: B009
        return viewer().visit, limits.max_bytes


def _verify_form(limits: Limits) -> None:
    """The body is within the limits; of a form, only then the fields are parsed. People type no NUL, and PostgreSQL
    stores none."""
    http_request.max_content_length = limits.max_bytes
    http_request.max_form_parts = limits.max_fields
    try:
        body = http_request.get_data() if http_request.mimetype == URLENCODED else b""
        # A body of unknown length is cut at the limit without an error.
        if http_request.content_length is None and len(body) >= limits.max_bytes:
            raise RequestEntityTooLarge
        if body.count(b"&") >= limits.max_fields:
            raise BadInput(
                "form_too_many_fields",
                gettext("This form has more than %(most)s fields.", most=limits.max_fields),
                "Open the page again and send the form from there.",
                status=413,
            )
        http_request.form  # noqa: B018 (parses the form)
    except RequestEntityTooLarge as error:
        is_large = limits.max_bytes > LARGE_BYTES
        most = f"{limits.max_bytes // 2**20} MB" if is_large else f"{limits.max_bytes // 1024} KB"
        raise BadInput(
            "form_too_large",
            gettext(
                "What was sent is larger than %(size)s, or has more than %(most)s fields.",
                size=most,
                most=limits.max_fields,
            ),
            "Send fewer or smaller files." if is_large else "Send a shorter text.",
            status=413,
        ) from error
    except OSError as error:  # a file of the form is copied to the disk
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise no_room() from error
        raise
    if any("\0" in text for field in http_request.form.items(multi=True) for text in field):
        raise BadInput("form_unreadable", "The form contains a character that cannot be stored.", "Go back and fix it.")


def _verify_right(right: Right, named: Mapping[str, Any], *, reads: bool) -> None:
    found = viewer()
    if not found.is_staff:
        raise AccessDenied(
            "role_not_allowed",
            "This page is for the people who run the course.",
            "If you teach this course, open it from the course with your teaching role.",
        )
    g.reads = reads
    if found.may(right, reads=reads):
        return
    reaches = not right.is_confined or course_scope.holds(connection(), found.course, named)
    if not (found.may_in_course(right, reads=reads) and reaches):
        raise rights.missing(right, in_course=found.may_in_course(right, reads=reads))


def require(right: Right) -> None:
    """Within a view: something that takes a right of its own. Raises AccessDenied `right_missing`."""
    if not viewer().may(right):
        raise rights.missing(right)


def _verify_access(level: Literal["trainee"] | Right, named: Mapping[str, Any], *, reads: bool) -> None:
    if level == "trainee":
        viewer()
    else:
        _verify_right(level, named, reads=reads or http_request.method in READING_METHODS)
    if http_request.method not in READING_METHODS and not is_own_form(http_request.form.get(CSRF_FIELD, "")):
        raise AccessDenied(
            "form_not_ours",
            "This form does not belong to your current session. Nothing was changed.",
            "Open the page again and send the form from there.",
        )


def viewer() -> Viewer:
    """The viewer of this request. Raises AccessDenied `session_missing`."""
    found = viewer_or_none()
    if found is None:
        raise AccessDenied(
            "session_missing",
            "You are not signed in here, or your session has expired.",
            "Go back to your course and open this unit again. If you see this page every time, your browser refuses "
            "cookies inside the course page: open the unit in a new tab or window, or allow cookies for this site.",
        )
    return found


def viewer_or_none() -> Viewer | None:
    """The viewer of this request; None if its browser sent no valid session."""
    if "viewer" not in g:
        token = session_token()
        g.viewer = viewer_of(connection(), fingerprint(token), now()) if token else None
        if g.viewer is not None:
            choose_language(g.viewer)
    found: Viewer | None = g.viewer
    return found


def only_course(right: Right = rights.SEE_CLASSES) -> Course | None:
    """The course of a viewer whose right ends with it; None for whoever has the right in all courses."""
    return None if viewer().may(right, reads=g.get("reads", True)) else viewer().course


def is_ours(registration_id: int, context_id: str | None, right: Right = rights.SEE_CLASSES) -> bool:
    """Whether the viewer's right reaches this course."""
    course = only_course(right)
    if course is None or course == (registration_id, context_id or None):
        return True
    same = course[1] is not None and course[1] == context_id
    return same and registration_id in connection().scalars(course_scope.registration_ids(course)).all()


def our_sessions() -> list[ColumnElement[bool]]:
    """Which sessions the viewer may see, where those are not all: those of the own course, or none."""
    course = only_course()
    if not viewer().may_in_course(rights.SEE_CLASSES, reads=True):
        return [false()]
    return [] if course is None else [live_sessions.c.module_id.in_(course_scope.module_ids(course))]


def our_people() -> Set[int] | None:
    """The people of the viewer's course, where the viewer sees no others."""
    course = only_course()
    return None if course is None else set(connection().scalars(course_scope.trainee_ids(course)))


def passes_gate(who: Viewer, module_id: str) -> bool:
    """Staff pass the gate of every module, a teacher without a role those of the own course (gates.md A9)."""
    is_own = {"module_id": module_id}
    return who.teaches and (
        who.may(rights.SEE_CLASSES, reads=True) or course_scope.holds(connection(), who.course, is_own)
    )


def may_open(address: str) -> bool:
    """Whether the view at this address is the viewer's, at least for their own course. Pages show no link to others."""
    endpoint, _ = current_app.url_map.bind("").match(urlsplit(address).path)
    level = getattr(current_app.view_functions[str(endpoint)], "access", "public")
    found = viewer_or_none()
    return isinstance(level, str) or (found is not None and found.may_in_course(level, reads=True))


def may(right_name: str, *, reads: bool = False) -> bool:
    """For templates: whether the viewer may do this, at least in their own course."""
    found = viewer_or_none()
    return found is not None and found.may_in_course(rights.named(right_name), reads=reads)


def choose_language(reader: Viewer | None) -> None:
    """Write the page in the language of its reader: what they chose, else what their platform says, else what their
    browser asks for. The desk is in English, and so is all that staff see."""
    if reader is not None and (reader.teaches or http_request.path.startswith("/desk")):
        languages.choose(languages.ENGLISH)
    else:
        languages.choose(languages.known_language(reader and reader.language) or _asked_language())


def write_for(trainee_id: int) -> None:
    """Write the answer in the language of a person whom a signed link names, where it is known."""
    if known := people.language_of(connection(), trainee_id):
        languages.choose(known)


def _asked_language() -> str:
    """The language that the browser asks for, of those that have a catalogue."""
    known = (languages.known_language(tag) for tag in http_request.accept_languages.values())
    return next(filter(None, known), languages.ENGLISH)


def session_token() -> str | None:
    """The token that this request carries: in the header if the browser has no cookies, otherwise in the cookie."""
    return _bearer() or http_request.cookies.get(COOKIE)


def viewer_of(connection: Connection, visit: str, now: datetime) -> Viewer | None:
    """The viewer of an unexpired session whose platform is still active; `visit` is the digest of its token."""
    row = connection.execute(_viewer_of_session, {"digest": visit, "now": now}).first()
    return None if row is None else Viewer(**row._mapping)


def csrf_token() -> str:
    """The value of the field `csrf` in this session's forms: a salt, and a digest of it and of the session's token.

    The salt is new for each request. So a page may be compressed: nothing secret on it stays the same while somebody
    else varies what the page repeats of its address.
    """
    if "csrf" not in g:
        g.csrf = _csrf_token(secrets.token_urlsafe(9))
    return str(g.csrf)


def is_own_form(given: str) -> bool:
    """Whether this is a value that `csrf_token` gave for this session."""
    expected = _csrf_token(given.partition(".")[0])
    return bool(expected) and hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))


def _csrf_token(salt: str) -> str:
    token = session_token()
    return f"{salt}.{digest(context().settings.secret_key, 'csrf', f'{salt}.{token}')}" if token else ""


def record_visit(act: str, subject: str, **details: Any) -> None:
    """Record in the audit log that the viewer looked at something, for views that only read (gates.md A7.7)."""
    append(audit_log, audit.row(viewer().actor, act, subject, now(), None, details))


def forget_sessions(database: Database, now: datetime) -> bool:
    """Periodic job: delete expired sessions. Returns False: there is never more to do at once. One that was ended early
    is kept as long as any other, for its nonce is used."""
    expired = and_(web_sessions.c.expires_at < now, web_sessions.c.created_at < now - LIFETIME)
    with database.read() as connection:
        if connection.execute(select(web_sessions.c.token_digest).where(expired).limit(1)).first() is None:
            return False
    with database.write() as connection:
        connection.execute(delete(web_sessions).where(expired))
    return False


def register(app: Flask) -> None:
    """Give every template `csrf_token()`, `viewer_or_none()`, `may()` and `may_open()`. Forget the viewer when a
    request ends."""

    def redirect_by_header(response: Response) -> Response:
        """Tell a browser without cookies by a header where to go: Safari before 16.1 drops `Authorization` when it
        follows a redirect, and a script cannot follow one to another site."""
        if response.location and _bearer():
            response.headers[GO_ON] = response.headers.pop("Location")
            response.status_code = 204
            response.set_data(b"")
        return response

    def forget_viewer(_error: BaseException | None = None) -> None:
        g.pop("viewer", None)
        g.pop("reads", None)
        g.pop("csrf", None)

    app.jinja_env.globals.update(csrf_token=csrf_token, viewer_or_none=viewer_or_none, may=may, may_open=may_open)
    app.before_request(lambda: choose_language(None))
    app.after_request(redirect_by_header)
    app.teardown_request(forget_viewer)


def _bearer() -> str:
    scheme, _, token = http_request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


_viewer_of_session = (
    select(
        web_sessions.c.token_digest.label("visit"),
        web_sessions.c.trainee_id,
        web_sessions.c.registration_id,
        web_sessions.c.context_id,
        web_sessions.c.placement_id,
        web_sessions.c.role,
        rights.held_by(web_sessions.c.trainee_id, bindparam("now")).label("granted"),
        LANGUAGE.label("language"),
        trainees.c.name,
    )
    .join_from(web_sessions, registrations)
    .join(trainees, trainees.c.id == web_sessions.c.trainee_id)
    .where(
        web_sessions.c.token_digest == bindparam("digest"),
        web_sessions.c.expires_at > bindparam("now"),
        registrations.c.status == "active",
    )
)
