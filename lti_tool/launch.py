"""LTI launches: the login, the launch itself, the key set, and the page that a verified message opens.

The message's type decides what is opened, never the address it was sent to (lti.md DL-1). Its signed claims name the
content, by custom parameter or by target link, so that a page keeps its name when a course is run again and its
resource link ids change (openedx.md §1).
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from flask import Blueprint, Response, after_this_request, jsonify, make_response, redirect, render_template
from flask import request as http_request
from sqlalchemy import Connection, bindparam, func, select, update

from lti_tool import people
from lti_tool.db import Database, insert_ignoring, upsert
from lti_tool.errors import RefusedLaunch
from lti_tool.lti import deep_linking, id_token, keys, service_log
from lti_tool.lti import login as oidc
from lti_tool.lti.claims import (
    DEEP_LINKING_REQUEST,
    RESOURCE_LINK_REQUEST,
    SUBMISSION_REVIEW_REQUEST,
    Ags,
    Launch,
    is_plain_text,
    load_launch,
)
from lti_tool.lti.login import NewTab, Site, State, Step
from lti_tool.lti.registration import Registration
from lti_tool.programme import versions
from lti_tool.tables.browser_sessions import web_sessions
from lti_tool.tables.courses import enrolments, placements
from lti_tool.tables.people import identities, trainees
from lti_tool.web.headers import allow
from lti_tool.web.request import abandon, append, connection, context, now
from lti_tool.web.session import COOKIE, LIFETIME, Limits, Role, access, drop_cookie, new_session, set_cookie
from lti_tool.web.staff import submission_review

# A form with an id_token, whose own limit is lower (id_token.LONGEST_TOKEN), and a state.
LAUNCH_LIMITS = Limits(max_bytes=256 * 1024)
# Custom parameter `page` → the page it opens.
PAGES = {"dashboard": "/", "retreats": "/retreats", "calendar": "/calendar", "desk": "/desk"}
PAGE_OF_TARGET = {address: page for page, address in PAGES.items() if address != "/"}
OFFERING_OF_TARGET = re.compile(r"/(?P<kind>module|retreat)s/(?P<id>[^/]+)")
# Kind of offering → the refusal of a link whose offering is not in the published programme.
UNKNOWN_OFFERING = {
    "module": (
        "module_unknown",
        "This unit is connected to a module that the programme does not have.",
        "Tell the people who run the course: the unit's custom parameter module_id names no module of the published "
        "programme.",
    ),
    "retreat": (
        "retreat_of_link_unknown",
        "This unit is connected to a retreat that the programme does not have.",
        "Tell the people who run the course: the unit's custom parameter retreat_id names no retreat of the published "
        "programme.",
    ),
}
# Messages that only a teacher of the course may send → the refusal for others.
FOR_STAFF = {
    DEEP_LINKING_REQUEST: (
        "deep_linking_for_staff",
        "Only the people who run the course choose what a link opens.",
        "If you teach this course, open it with your teaching role.",
    ),
    SUBMISSION_REVIEW_REQUEST: (
        "review_for_staff",
        "Only the people who run the course review a learner's attendance.",
        "Your own attendance is on the page of the module in your course.",
    ),
}
SCORE_MEANINGS = ("completion", "ce", "both")
# As long as `placements.content` is.
LONGEST_CONTENT = 96
PLATFORM_ERROR = re.compile(r"[a-z_]{1,40}")

blueprint = Blueprint("lti", __name__)
log = logging.getLogger(__name__)


@blueprint.route(oidc.LOGIN_PATH, methods=["GET", "POST"])
@access("public")
def login() -> Response:
    """Third-party initiated login: send the browser on to the platform. Writes nothing.

    If the platform offers storage, a page first asks it to keep this login's value. It goes on either way.
    """
    begun = oidc.begin_login(context().registrations, _site(), http_request.values, now())
    if begun.state.storage_target:
        response = _uncached(make_response(render_template("shared/launch_store.html", begun=begun)))
    else:
        response = _uncached(make_response(redirect(begun.auth_url, 302)))
    set_cookie(response, begun.state.cookie, begun.cookie_value, oidc.LIFETIME)
    return response


@blueprint.post(oidc.LAUNCH_PATH)
@access("public", LAUNCH_LIMITS)
def launch() -> Response:
    """Authentication response: verify it outside of any transaction, then enter.

    The browser's cookie binds it to its login. Without the cookie, a page asks the platform's storage and comes back
    with the value it kept (LTI client-side postMessage storage). Without either, the person gets a new tab.
    """
    state = oidc.load_state(_site(), _form_field("state"), now())
    platform = context().registrations.load_active(state.registration_id, now())

    def drop_state(response: Response) -> Response:
        drop_cookie(response, state.cookie)
        return response

    if "error" in http_request.form:
        # The state is used up (lti.md OIDC-8): the browser drops the cookie without which the state opens nothing.
        after_this_request(drop_state)
        raise _platform_error()
    stored, origin = http_request.form.get("stored"), http_request.headers.get("Origin")
    try:
        step = oidc.climb(_site(), state, platform, http_request.cookies, stored, origin)
    except NewTab as offer:
        log.info("a new tab is offered", extra={"registration": platform.id, "code": offer.code})
        shown = {"message": offer.message, "again_url": offer.again_url, "code": offer.code}
        return _uncached(make_response(render_template("shared/launch_new_tab.html", **shown), offer.status))
    if step is Step.ASK_PLATFORM:
        return _ask_platform(state, platform)
    claims = _verified_claims(state, platform)
    launched = load_launch(claims, platform)
    try:
        entered = enter(_site(), launched, state, now())
    except UnknownOffering as refused:
        abandon()
        with context().database.write() as recording:
            record_refused(recording, launched, refused.content, now())
        raise
    if step is Step.ENTER_WITHOUT_COOKIES:
        # The page's script keeps the session's token in its memory and opens the page.
        log.info("launched by the platform's storage", extra={"registration": platform.id})
        return _uncached(jsonify(visit=entered.token, path=entered.path))
    response = _uncached(make_response(redirect(entered.path, 303)))
    set_cookie(response, COOKIE, entered.token, LIFETIME)
    return drop_state(response)


@blueprint.get("/lti/jwks.json")
@access("public")
def key_set() -> Response:
    """The tool's public key set."""
    response = jsonify(context().keys.key_set())
    response.headers["Cache-Control"] = f"public, max-age={int(keys.MAX_AGE.total_seconds())}"
    return response


def _verified_claims(state: State, platform: Registration) -> Mapping[str, Any]:
    """Raises as `id_token.verify`. A launch that cannot be checked at the moment is counted."""
    try:
        return id_token.verify(_form_field("id_token"), platform, state, context().key_sets, now())
    except RefusedLaunch as refused:
        if refused.status == 503:
            with context().database.write() as counting:
                service_log.count_refused_launch(counting, refused.code, now())
        raise


def _site() -> Site:
    settings = context().settings
    return Site(settings.public_url, settings.secret_key)


def _form_field(name: str) -> str:
    value = http_request.form.get(name)
    if value is None and "error" in http_request.form:
        raise _platform_error()
    if not value:
        raise RefusedLaunch(
            "launch_incomplete",
            f"The learning platform's answer lacks {name}.",
            "Open the unit from your course. This address is meant for the platform, not for a bookmark.",
        )
    return value


def _platform_error() -> RefusedLaunch:
    given = http_request.form["error"]
    named = given if PLATFORM_ERROR.fullmatch(given) else "an error"
    return RefusedLaunch(
        "platform_error",
        f"The learning platform refused this launch ({named}).",
        "Go back to your course, make sure that you are signed in there, and open this unit again.",
    )


def _ask_platform(state: State, platform: Registration) -> Response:
    """A page that asks the platform's storage for the login's value and comes back with it. All pages of this visit
    are shown inside this one, so it also allows forms that go to the platform (picked content)."""
    allow(form_to=platform.hosts)
    sent = {"id_token": _form_field("id_token"), "state": _form_field("state"), "stored": ""}
    shown = {"sent": sent, "login": state, "platform": platform, "launch_path": oidc.LAUNCH_PATH}
    return _uncached(make_response(render_template("shared/launch_ask.html", **shown)))


def _uncached(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@dataclass(frozen=True, slots=True)
class Entered:
    """The end of a launch: the token of the new browser session, and the page to open."""

    token: str
    path: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The page that a message opens, for whom, and its placement, if any."""

    path: str
    trainee_id: int
    placement_id: int | None = None


def enter(site: Site, launched: Launch, state: State, now: datetime) -> Entered:
    """Record the person of a verified message, open what it asks for, and begin a browser session, which consumes the
    nonce.

    Most launches change nothing that is known: then only the session is appended, in a commit shared with other
    launches. Any other launch is one transaction. Raises RefusedLaunch `nonce_used`, `target_foreign`,
    `deep_linking_for_staff`, `review_for_staff`, and whatever the message's opening raises.
    """
    if launched.target_link_uri is not None and not site.is_own(launched.target_link_uri):
        raise oidc.target_foreign()
    if not launched.is_staff and launched.message_type in FOR_STAFF:
        raise RefusedLaunch(*FOR_STAFF[launched.message_type], status=403)
    role: Role = "staff" if launched.is_staff else "trainee"
    opened = open_known(launched)
    is_known = opened is not None
    if opened is None:
        trainee_id = people.find_or_add(
            connection(), launched.issuer, launched.sub, name=launched.name, email=launched.email, now=now
        )
        enrol(connection(), launched, trainee_id, now)
        opened = OPENINGS[launched.message_type](connection(), launched, trainee_id, now)
    session = new_session(
        nonce=state.nonce,
        trainee_id=opened.trainee_id,
        registration_id=launched.registration_id,
        context_id=launched.context_id,
        placement_id=opened.placement_id,
        role=role,
        now=now,
    )
    if is_known:
        is_new = append(web_sessions, session.row)
    else:
        is_new = bool(connection().execute(insert_ignoring(connection(), web_sessions), session.row).rowcount)
    if not is_new:
        raise oidc.nonce_used()
    return Entered(session.token, opened.path)


def open_known(launched: Launch) -> Opened | None:
    """What a resource link opens, if person, enrolment and placement are recorded just as this launch names them; else
    None. The time of the latest launch is recorded later, by `record_latest_launches`."""
    if launched.message_type != RESOURCE_LINK_REQUEST:
        return None
    with context().database.read() as reading:
        content = content_of(reading, launched)
        key = {**_link_of(launched, content), "course": launched.context_id or "", "sub": launched.sub}
        known = reading.execute(_known_launch, {**key, "issuer": launched.issuer}).first()
    if known is None:
        return None
    profile = people.profile(launched.name, launched.email)
    expected = {
        **{name: value for name, value in profile._asdict().items() if value is not None},
        "user_id": launched.sub,
        "enrolled_as": launched.course_role,
        **_offered(launched, content),
    }
    if any(known._mapping[name] != value for name, value in expected.items()):
        return None
    return Opened(_address(launched, content, known.module_id), known.trainee_id, known.id)


def enrol(connection: Connection, launched: Launch, trainee_id: int, now: datetime) -> None:
    """Record this person in this course, under the platform's own user id."""
    key = {
        "registration_id": launched.registration_id,
        "context_id": launched.context_id or "",
        "trainee_id": trainee_id,
    }
    _upsert(connection, enrolments, key, {"user_id": launched.sub, "role": launched.course_role, "last_launch_at": now})


def open_unit(connection: Connection, launched: Launch, trainee_id: int, now: datetime) -> Opened:
    """A resource link opens the content that its claims name, or else the module that staff assigned to it, or else the
    dashboard or the desk. Raises RefusedLaunch `module_unknown`, `retreat_of_link_unknown`."""
    content = content_of(connection, launched)
    placement_id, assigned = place(connection, launched, content, now)
    return Opened(_address(launched, content, assigned), trainee_id, placement_id)


def pick_content(connection: Connection, launched: Launch, trainee_id: int, now: datetime) -> Opened:
    """A deep linking request opens the picker."""
    return Opened(f"/deep-linking/{deep_linking.begin(connection, launched, trainee_id, now)}", trainee_id)


def review_submission(connection: Connection, launched: Launch, trainee_id: int, _now: datetime) -> Opened:
    """A submission review opens the learner's attendance. Raises RefusedLaunch `review_module_unknown`."""
    content = content_of(connection, launched)
    module_id = content.name if content.kind == "module" else submission_review.module_of(connection, launched)
    address = f"/desk/review/{quote(module_id, safe='')}"
    found = people.of_identities(connection, launched.issuer, [launched.for_user or ""])
    return Opened("/".join([address, *(str(each.id) for each in found.values())]), trainee_id)


OPENINGS: Mapping[str, Callable[[Connection, Launch, int, datetime], Opened]] = {
    RESOURCE_LINK_REQUEST: open_unit,
    DEEP_LINKING_REQUEST: pick_content,
    SUBMISSION_REVIEW_REQUEST: review_submission,
}


@dataclass(frozen=True, slots=True)
class Content:
    """What a link opens: a module, a retreat or a page, by its id. Empty if the link names nothing."""

    kind: str = ""
    name: str = ""

    @property
    def key(self) -> str:
        """The value of `placements.content`: "module:F1", "retreat:R1", "page:retreats"; "" if nothing is named."""
        return f"{self.kind}:{self.name}" if self.kind else ""

    @property
    def address(self) -> str | None:
        """The path of its page; None if nothing is named."""
        if self.kind in UNKNOWN_OFFERING:
            return f"/{self.kind}s/{quote(self.name, safe='')}"
        return PAGES.get(self.name)


class UnknownOffering(RefusedLaunch):
    """The unit names a module or retreat that the published programme does not have."""

    def __init__(self, content: Content) -> None:
        super().__init__(*UNKNOWN_OFFERING[content.kind], status=404)
        self.content = content


def _address(launched: Launch, content: Content, assigned: str | None) -> str:
    """The page of a resource link; `assigned` is the module that staff assigned to a link whose claims name nothing."""
    if not content.key and assigned is not None:
        content = Content("module", assigned)
    return content.address or ("/desk" if launched.is_staff else "/")


def content_of(connection: Connection, launched: Launch) -> Content:
    """The content that the claims name; custom parameters come before the target link.

    Raises RefusedLaunch `module_unknown` or `retreat_of_link_unknown` if the published programme has no such module or
    retreat.
    """
    path = urlsplit(launched.target_link_uri or "").path
    if module_id := launched.custom_value("module_id"):
        content = Content("module", module_id)
    elif retreat_id := launched.custom_value("retreat_id"):
        content = Content("retreat", retreat_id)
    elif (page := launched.custom_value("page")) in PAGES:
        content = Content("page", page or "")
    elif offering := OFFERING_OF_TARGET.fullmatch(path):
        content = Content(offering["kind"], unquote(offering["id"]))
    elif path in PAGE_OF_TARGET:
        content = Content("page", PAGE_OF_TARGET[path])
    else:
        return Content()
    if content.kind in UNKNOWN_OFFERING:
        programme = versions.current(connection).programme
        offered = programme.modules if content.kind == "module" else programme.retreats
        if content.name not in offered:
            raise UnknownOffering(content)
    return content


def record_refused(connection: Connection, launched: Launch, content: Content, now: datetime) -> None:
    """Record a unit whose offering the programme does not have, and to whom it was refused, for the set-up doctor. It
    shows nothing and takes no grades. It consumes no nonce: opened again, the unit explains itself again."""
    if launched.resource_link_id is None or not is_plain_text(content.key, LONGEST_CONTENT):
        return
    trainee_id = people.find_or_add(
        connection, launched.issuer, launched.sub, name=launched.name, email=launched.email, now=now
    )
    enrol(connection, launched, trainee_id, now)
    values = _offered(launched, content) | {"module_id": None, "refused_trainee_id": trainee_id}
    _upsert(connection, placements, _link_of(launched, content), values | {"updated_at": now, "launched_at": now})


def place(connection: Connection, launched: Launch, content: Content, now: datetime) -> tuple[int, str | None]:
    """Record what the resource link opens and the services of this launch. Returns the placement's id and the module
    that it opens; for a link whose claims name nothing, that is the module that staff assigned. Writes only what is
    new, so that launches of one unit do not wait for each other's commit."""
    key, values = _link_of(launched, content), _offered(launched, content)
    known = connection.execute(_place_of_link, key).first()
    if known is not None and all(known._mapping[name] == value for name, value in values.items()):
        return int(known.id), known.module_id
    assigned = None if known is None else known.module_id
    changed = values | {"updated_at": now, "launched_at": now}
    return int(_upsert(connection, placements, key, changed).scalar_one()), values.get("module_id") or assigned


def _link_of(launched: Launch, content: Content) -> dict[str, Any]:
    """The key of a placement."""
    return {
        "registration_id": launched.registration_id,
        "deployment_id": launched.deployment_id,
        "resource_link_id": launched.resource_link_id,
        "content": content.key,
    }


def _offered(launched: Launch, content: Content) -> dict[str, Any]:
    """The course, the link, its services and, if its claims name any content, its module, as this launch names them.
    Only a learner's launch says whether learners' names and addresses are shared."""
    ags = launched.ags or Ags(None, None, ())
    score = launched.custom_value("score")
    shared = {"shares_name": launched.name is not None, "shares_email": launched.email is not None}
    named = {"module_id": content.name if content.kind == "module" else None}
    return {
        "resource_link_title": launched.resource_link_title,
        "context_id": launched.context_id,
        "context_title": launched.context_title,
        "score_meaning": score if score in SCORE_MEANINGS else None,
        "line_item_url": ags.line_item_url,
        "line_items_url": ags.line_items_url,
        "ags_scopes": list(ags.scopes),
        "is_ags_unreadable": ags.is_unreadable,
        "memberships_url": launched.memberships_url,
        "groups_url": launched.groups_url,
        "notices_url": launched.notices.url if launched.notices else None,
        "refused_trainee_id": None,
        **({} if launched.is_staff else shared),
        **(named if content.key else {}),
    }


def record_latest_launches(database: Database) -> bool:
    """Periodic job: record when each person last launched in a course, and each unit was last launched; the browser
    sessions tell. Returns False: there is never more to do at once."""
    course = func.coalesce(web_sessions.c.context_id, "").label("course")
    enrolled = (web_sessions.c.registration_id, course, web_sessions.c.trainee_id)
    at = func.max(web_sessions.c.created_at).label("at")
    by_person = select(*enrolled, at).group_by(*enrolled).subquery()
    by_unit = select(web_sessions.c.placement_id, at).group_by(web_sessions.c.placement_id).subquery()
    with database.write() as connection:
        connection.execute(
            update(enrolments)
            .values(last_launch_at=by_person.c.at)
            .where(
                enrolments.c.registration_id == by_person.c.registration_id,
                enrolments.c.context_id == by_person.c.course,
                enrolments.c.trainee_id == by_person.c.trainee_id,
                enrolments.c.last_launch_at < by_person.c.at,
            )
        )
        connection.execute(
            update(placements)
            .values(launched_at=by_unit.c.at)
            .where(placements.c.id == by_unit.c.placement_id, placements.c.launched_at < by_unit.c.at)
        )
    return False


_statements: dict[tuple[str, ...], Any] = {}


def _upsert(connection: Connection, table: Any, key: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """Insert the row of this key or update it. Each statement is built once."""
    known = (connection.dialect.name, table.name, *values)
    if known not in _statements:
        statement = upsert(connection, table)
        new = {name: statement.excluded[name] for name in values}
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=new)
        _statements[known] = statement.returning(*table.primary_key.columns)
    return connection.execute(_statements[known], {**key, **values})


_of_link = (
    placements.c.registration_id == bindparam("registration_id"),
    placements.c.deployment_id == bindparam("deployment_id"),
    placements.c.resource_link_id == bindparam("resource_link_id"),
    placements.c.content == bindparam("content"),
)
_place_of_link = select(placements).where(*_of_link)
_known_launch = (
    select(
        trainees.c.id.label("trainee_id"),
        trainees.c.name,
        trainees.c.email,
        enrolments.c.user_id,
        enrolments.c.role.label("enrolled_as"),
        placements,
    )
    .join_from(identities, trainees)
    .join(enrolments, enrolments.c.trainee_id == trainees.c.id)
    .join(placements, placements.c.registration_id == enrolments.c.registration_id)
    .where(
        identities.c.issuer == bindparam("issuer"),
        identities.c.sub == bindparam("sub"),
        enrolments.c.context_id == bindparam("course"),
        enrolments.c.last_launch_at.is_not(None),
        *_of_link,
    )
)
