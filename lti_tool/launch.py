"""The three LTI endpoints. What a good launch leaves behind is `entry`'s.

What a verified message leaves behind: who, where, and a session that opens one page.

The message's type decides what is opened, never the address it was sent to (lti.md DL-1).

What a launch opens: the content that its signed claims name, by custom parameter or by target link.

A page or a module keeps its name when a course is run again and resource link ids change (openedx.md §1).
"""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from flask import Blueprint, Response, after_this_request, jsonify, make_response, redirect, render_template
from flask import request as http_request
from sqlalchemy import Connection, bindparam, select, update

from lti_tool import people
from lti_tool.db import upsert
from lti_tool.errors import RefusedLaunch
from lti_tool.lti import deep_linking, id_token, keys
from lti_tool.lti import login as nonces
from lti_tool.lti import login as oidc
from lti_tool.lti.claims import (
    DEEP_LINKING_REQUEST,
    RESOURCE_LINK_REQUEST,
    SUBMISSION_REVIEW_REQUEST,
    Ags,
    Launch,
    load_launch,
)
from lti_tool.lti.login import Login, NewTab, Site, State, Step
from lti_tool.lti.registration import Registration
from lti_tool.programme import versions
from lti_tool.tables.courses import enrolments, placements
from lti_tool.web.headers import allow
from lti_tool.web.request import connection, house, now
from lti_tool.web.session import COOKIE, LIFETIME, Role, access, drop_cookie, set_cookie, start
from lti_tool.web.staff import submission_review

# Custom parameter `page` → the page it opens.
PAGES = {"dashboard": "/", "retreats": "/retreats", "calendar": "/calendar", "desk": "/desk"}
PAGE_OF_TARGET = {address: page for page, address in PAGES.items() if address != "/"}
OFFERING_OF_TARGET = re.compile(r"/(?P<kind>modules|retreats)/(?P<id>[^/]+)")


@dataclass(frozen=True, slots=True)
class Content:
    """What a link opens; at most one of the three is named."""

    module_id: str | None = None
    retreat_id: str | None = None
    page: str | None = None

    @property
    def key(self) -> str:
        """What `placements.content` holds: "module:F1", "retreat:R1", "page:retreats"; "" when nothing is named."""
        named = {"module": self.module_id, "retreat": self.retreat_id, "page": self.page}
        return next((f"{kind}:{name}" for kind, name in named.items() if name is not None), "")

    @property
    def address(self) -> str | None:
        """The path of its page; None when nothing is named."""
        if self.module_id is not None:
            return f"/modules/{quote(self.module_id, safe='')}"
        if self.retreat_id is not None:
            return f"/retreats/{quote(self.retreat_id, safe='')}"
        return PAGES[self.page] if self.page is not None else None


def content_of(connection: Connection, launched: Launch) -> Content:
    """The content that the claims name; custom parameters come before the target link.

    Raises RefusedLaunch `module_unknown` or `retreat_of_link_unknown` when the published programme has no such module
    or retreat.
    """
    content = _of_custom(launched) or _of_target(launched) or Content()
    _verify(connection, content)
    return content


def _of_custom(launched: Launch) -> Content | None:
    if module_id := launched.custom_value("module_id"):
        return Content(module_id=module_id)
    if retreat_id := launched.custom_value("retreat_id"):
        return Content(retreat_id=retreat_id)
    page = launched.custom_value("page")
    return Content(page=page) if page in PAGES else None


def _of_target(launched: Launch) -> Content | None:
    path = urlsplit(launched.target_link_uri or "").path
    if offering := OFFERING_OF_TARGET.fullmatch(path):
        named = unquote(offering["id"])
        return Content(module_id=named) if offering["kind"] == "modules" else Content(retreat_id=named)
    return Content(page=PAGE_OF_TARGET[path]) if path in PAGE_OF_TARGET else None


def _verify(connection: Connection, content: Content) -> None:
    if content.module_id is None and content.retreat_id is None:
        return
    programme = versions.current(connection).programme
    if content.module_id is not None and content.module_id not in programme.modules:
        raise RefusedLaunch(
            "module_unknown",
            "This unit is connected to a module that the programme does not have.",
            "Tell the people who run the course: the unit's custom parameter module_id names no module of the "
            "published programme.",
            status=404,
        )
    if content.retreat_id is not None and content.retreat_id not in programme.retreats:
        raise RefusedLaunch(
            "retreat_of_link_unknown",
            "This unit is connected to a retreat that the programme does not have.",
            "Tell the people who run the course: the unit's custom parameter retreat_id names no retreat of the "
            "published programme.",
            status=404,
        )


SCORE_MEANINGS = ("completion", "ce")
LAUNCH_NOTED_AGAIN = timedelta(hours=1)

# Messages that only a teacher of the course may send, and how others are told.
FOR_STAFF = {
    DEEP_LINKING_REQUEST: (
        "deep_linking_for_staff",
        "What a link opens is picked by the people who run the course.",
        "If you teach this course, open it with your teaching role.",
    ),
    SUBMISSION_REVIEW_REQUEST: (
        "review_for_staff",
        "Somebody's attendance is reviewed by the people who run the course.",
        "Your own attendance is on the page of the module in your course.",
    ),
}

_statements: dict[tuple[str, ...], Any] = {}


@dataclass(frozen=True, slots=True)
class Entered:
    """The end of a launch: the token of the session that began, and the page to open."""

    token: str
    path: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The page a message opens, and the placement that led there, if any."""

    path: str
    placement_id: int | None = None


def enter(connection: Connection, site: Site, launched: Launch, state: State, now: datetime) -> Entered:
    """Let a verified message in: consume its nonce, record the person, open what it asks for, begin a session.

    Everything happens in the caller's transaction. Raises RefusedLaunch `nonce_used`, `target_foreign`,
    `deep_linking_for_staff`, `review_for_staff`, and what the message's own opening raises.
    """
    nonces.use(connection, state.nonce, state.expires_at)
    if launched.target_link_uri is not None and not site.is_own(launched.target_link_uri):
        raise oidc.target_foreign()
    _verify_role(launched)
    role: Role = "staff" if launched.is_staff else "trainee"
    trainee_id = people.find_or_add(
        connection, launched.issuer, launched.sub, name=launched.name, email=launched.email, now=now
    )
    enrol(connection, launched, trainee_id, role, now)
    opened = OPENINGS[launched.message_type](connection, launched, trainee_id, now)
    token = start(
        connection,
        trainee_id=trainee_id,
        registration_id=launched.registration_id,
        context_id=launched.context_id,
        placement_id=opened.placement_id,
        role=role,
        now=now,
    )
    return Entered(token, opened.path)


def enrol(connection: Connection, launched: Launch, trainee_id: int, role: Role, now: datetime) -> None:
    """Record that this person was seen in this course, under the platform's own user id."""
    key = {
        "registration_id": launched.registration_id,
        "context_id": launched.context_id or "",
        "trainee_id": trainee_id,
    }
    _write(connection, enrolments, key, {"user_id": launched.sub, "role": role, "last_launch_at": now})


def open_unit(connection: Connection, launched: Launch, _trainee_id: int, now: datetime) -> Opened:
    """A launch of a unit opens what its claims name, else the module that staff assigned to it, else the dashboard or
    the desk. Raises RefusedLaunch `module_unknown`, `retreat_of_link_unknown`."""
    content = content_of(connection, launched)
    placement_id, assigned = place(connection, launched, content, now)
    if not content.key and assigned is not None:
        content = Content(module_id=assigned)
    return Opened(content.address or ("/desk" if launched.is_staff else "/"), placement_id)


def pick_content(connection: Connection, launched: Launch, trainee_id: int, now: datetime) -> Opened:
    """A deep linking request waits for the teacher's choice."""
    return Opened(f"/deep-linking/{deep_linking.begin(connection, launched, trainee_id, now)}")


def review_submission(connection: Connection, launched: Launch, _trainee_id: int, _now: datetime) -> Opened:
    """A submission review opens the learner's attendance. Raises RefusedLaunch `review_module_unknown`."""
    module_id = content_of(connection, launched).module_id or submission_review.module_of(connection, launched)
    address = f"/desk/review/{quote(module_id, safe='')}"
    found = people.of_identities(connection, launched.issuer, [launched.for_user or ""])
    return Opened("/".join([address, *(str(each.id) for each in found.values())]))


OPENINGS: Mapping[str, Callable[[Connection, Launch, int, datetime], Opened]] = {
    RESOURCE_LINK_REQUEST: open_unit,
    DEEP_LINKING_REQUEST: pick_content,
    SUBMISSION_REVIEW_REQUEST: review_submission,
}


def place(connection: Connection, launched: Launch, content: Content, now: datetime) -> tuple[int, str | None]:
    """Record what the resource link opens and which services it was offered at this launch; the placement's id and the
    module it opens, which for a link whose claims name nothing is the one that staff assigned.

    Most launches change nothing: then nothing is written but once an hour that there was one, so launches of one unit
    do not wait for each other's commit.
    """
    key = {
        "registration_id": launched.registration_id,
        "deployment_id": launched.deployment_id,
        "resource_link_id": launched.resource_link_id,
        "content": content.key,
    }
    values = _offered(launched) | ({"module_id": content.module_id} if content.key else {}) | _shared(launched)
    known = connection.execute(_place_of_link, key).first()
    assigned = None if known is None else known.module_id
    if known is not None and all(known._mapping[name] == value for name, value in values.items()):
        if now - known.launched_at >= LAUNCH_NOTED_AGAIN:
            connection.execute(_note_launch, {"place": known.id, "now": now})
        return int(known.id), assigned
    seen = {"updated_at": now, "launched_at": now}
    placement_id = int(_write(connection, placements, key, values | seen).scalar_one())
    return placement_id, content.module_id or assigned


def _offered(launched: Launch) -> dict[str, Any]:
    """What any launch says of its course, its link and the services there."""
    ags = launched.ags or Ags(None, None, ())
    score = launched.custom_value("score")
    return {
        "resource_link_title": launched.resource_link_title,
        "context_id": launched.context_id,
        "context_title": launched.context_title,
        "score_meaning": score if score in SCORE_MEANINGS else None,
        "line_item_url": ags.line_item_url,
        "line_items_url": ags.line_items_url,
        "ags_scopes": list(ags.scopes),
        "memberships_url": launched.memberships_url,
        "groups_url": launched.groups_url,
        "notices_url": launched.notices.url if launched.notices else None,
    }


def _shared(launched: Launch) -> dict[str, Any]:
    """Whether a learner's launch carried name and address: a teacher's says nothing about the learners'."""
    if launched.is_staff:
        return {}
    return {"shares_name": launched.name is not None, "shares_email": launched.email is not None}


def _verify_role(launched: Launch) -> None:
    refusal = None if launched.is_staff else FOR_STAFF.get(launched.message_type)
    if refusal is not None:
        raise RefusedLaunch(*refusal, status=403)


def _write(connection: Connection, table: Any, key: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """Insert the row of this key or bring it up to date; each statement is built once."""
    known = (connection.dialect.name, table.name, *values)
    if known not in _statements:
        statement = upsert(connection, table)
        new = {name: statement.excluded[name] for name in values}
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=new)
        _statements[known] = statement.returning(*table.primary_key.columns)
    return connection.execute(_statements[known], {**key, **values})


_place_of_link = select(placements).where(
    placements.c.registration_id == bindparam("registration_id"),
    placements.c.deployment_id == bindparam("deployment_id"),
    placements.c.resource_link_id == bindparam("resource_link_id"),
    placements.c.content == bindparam("content"),
)
_note_launch = update(placements).where(placements.c.id == bindparam("place")).values(launched_at=bindparam("now"))

blueprint = Blueprint("lti", __name__)
log = logging.getLogger(__name__)

ERROR_CODE = re.compile(r"[a-z_]{1,40}")


@blueprint.route(oidc.LOGIN_PATH, methods=["GET", "POST"])
@access("public")
def login() -> Response:
    """Third-party initiated login: send the browser on to the platform. Writes nothing."""
    begun = oidc.begin_login(house().registrations, _site(), http_request.values, now())
    response = _store_first(begun) if begun.state.storage_target else _redirect(begun.auth_url, 302)
    set_cookie(response, begun.state.cookie, begun.cookie_value, oidc.LIFETIME)
    return response


@blueprint.post(oidc.LAUNCH_PATH)
@access("public")
def launch() -> Response:
    """Authentication response: verify it outside of any transaction, then enter in one."""
    state = oidc.load_state(_site(), _field("state"), now())
    platform = house().registrations.load_active(state.registration_id, now())
    _verify_no_error(state)
    try:
        step = oidc.climb(_site(), state, platform, http_request.cookies, *_stored())
    except NewTab as offer:
        return _offer_new_tab(offer, platform)
    if step is Step.ASK_PLATFORM:
        return _ask_platform(state, platform)
    claims = id_token.verify(_field("id_token"), platform, state, house().key_sets, now())
    entered = enter(connection(), _site(), load_launch(claims, platform), state, now())
    return _hand_to_script(entered, platform) if step is Step.ENTER_WITHOUT_COOKIES else _open_page(entered, state)


@blueprint.get("/lti/jwks.json")
@access("public")
def key_set() -> Response:
    """The tool's public key set."""
    response = jsonify(house().keys.key_set())
    response.headers["Cache-Control"] = f"public, max-age={int(keys.MAX_AGE.total_seconds())}"
    return response


def _site() -> Site:
    settings = house().settings
    return Site(settings.public_url, settings.secret_key)


def _field(name: str) -> str:
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


def _stored() -> tuple[str | None, str | None]:
    """What the platform's storage gave to our page, and whose page sends it (LTI client-side postMessage storage)."""
    return http_request.form.get("stored"), http_request.headers.get("Origin")


def _verify_no_error(state: State) -> None:
    """The platform may answer a login with an error of its own; its state is used up by that (lti.md OIDC-8): the
    browser drops the cookie without which the state opens nothing."""
    if "error" in http_request.form:
        after_this_request(lambda response: _drop(response, state))
        raise _platform_error()


def _drop(response: Response, state: State) -> Response:
    drop_cookie(response, state.cookie)
    return response


def _platform_error() -> RefusedLaunch:
    given = http_request.form["error"]
    named = given if ERROR_CODE.fullmatch(given) else "an error"
    return RefusedLaunch(
        "platform_error",
        f"The learning platform did not let this launch through ({named}).",
        "Go back to your course, make sure that you are signed in there, and open this unit again.",
    )


def _open_page(entered: Entered, state: State) -> Response:
    """The first rung: a session in a cookie."""
    response = _redirect(entered.path, 303)
    set_cookie(response, COOKIE, entered.token, LIFETIME)
    return _drop(response, state)


def _store_first(begun: Login) -> Response:
    """A page that asks the platform's storage to keep this login's value, then goes on to the platform, kept or not."""
    return _private(make_response(render_template("shared/launch_store.html", begun=begun)))


def _ask_platform(state: State, platform: Registration) -> Response:
    """The second rung: a page that asks the platform's storage for that value and comes back with it. The whole visit
    takes place in this page, so it allows what a page of it may need: picked content goes to the platform as a form."""
    allow(form_to=platform.hosts)
    sent = {"id_token": _field("id_token"), "state": _field("state"), "stored": ""}
    page = render_template(
        "shared/launch_ask.html", sent=sent, login=state, platform=platform, launch_path=oidc.LAUNCH_PATH
    )
    return _private(make_response(page))


def _hand_to_script(entered: Entered, platform: Registration) -> Response:
    """A session for the memory of our page's script, which opens the page."""
    log.info("launched by the platform's storage", extra={"registration": platform.id})
    return _private(jsonify(visit=entered.token, path=entered.path))


def _offer_new_tab(offer: NewTab, platform: Registration) -> Response:
    """The third rung."""
    log.info("a new tab is offered", extra={"registration": platform.id, "code": offer.code})
    page = render_template(
        "shared/launch_new_tab.html", message=offer.message, again_url=offer.again_url, code=offer.code
    )
    return _private(make_response(page, offer.status))


def _redirect(address: str, status: int) -> Response:
    return _private(make_response(redirect(address, status)))


def _private(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
