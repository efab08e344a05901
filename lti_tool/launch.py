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
from sqlalchemy import Connection

from lti_tool import people
from lti_tool.errors import GatehouseError, RefusedLaunch
from lti_tool.languages import gettext
from lti_tool.lti import deep_linking, id_token, keys, service_log
from lti_tool.lti import login as oidc
from lti_tool.lti.claims import (
    DEEP_LINKING_REQUEST,
    RESOURCE_LINK_REQUEST,
    SUBMISSION_REVIEW_REQUEST,
    Launch,
    load_launch,
)
from lti_tool.lti.login import NewTab, Site, State, Step
from lti_tool.lti.registration import Registration
from lti_tool.platforms import launch_records
from lti_tool.platforms.launch_records import UNKNOWN_OFFERING, Content, Entry
from lti_tool.web.headers import allow
from lti_tool.web.request import connection, context, now, submit
from lti_tool.web.session import COOKIE, LIFETIME, Limits, access, drop_cookie, new_session, set_cookie
from lti_tool.web.staff import submission_review

# A form with an id_token, whose own limit is lower (id_token.LONGEST_TOKEN), and a state.
LAUNCH_LIMITS = Limits(max_bytes=256 * 1024)
# Custom parameter `page` → the page it opens.
PAGES = {"dashboard": "/", "retreats": "/retreats", "calendar": "/calendar", "desk": "/desk"}
PAGE_OF_TARGET = {address: page for page, address in PAGES.items() if address != "/"}
OFFERING_OF_TARGET = re.compile(r"/(?P<kind>module|retreat)s/(?P<id>[^/]+)")
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
    entered = enter(_site(), load_launch(_verified_claims(state, platform), platform), state, now())
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
            gettext("The learning platform's answer lacks %(name)s.", name=name),
            "Open the unit from your course. This address is meant for the platform, not for a bookmark.",
        )
    return value


def _platform_error() -> RefusedLaunch:
    given = http_request.form["error"]
    named = given if PLATFORM_ERROR.fullmatch(given) else gettext("an error")
    return RefusedLaunch(
        "platform_error",
        gettext("The learning platform refused this launch (%(reason)s).", reason=named),
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


def enter(site: Site, launched: Launch, state: State, now: datetime) -> Entered:
    """Record the person of a verified message, open what it asks for, and begin a browser session, which consumes the
    nonce.

    Launches of resource links share their commits. Any other message is one transaction. Raises RefusedLaunch
    `nonce_used`, `target_foreign`, `deep_linking_for_staff`, `review_for_staff`, and what `launch_records.record` and
    the openings refuse.
    """
    if launched.target_link_uri is not None and not site.is_own(launched.target_link_uri):
        raise oidc.target_foreign()
    if not launched.is_staff and launched.message_type in FOR_STAFF:
        raise RefusedLaunch(*FOR_STAFF[launched.message_type], status=403)
    token, row = new_session(
        nonce=state.nonce,
        registration_id=launched.registration_id,
        context_id=launched.context_id,
        role="staff" if launched.is_staff else "trainee",
        now=now,
    )
    content = content_of(launched)
    if launched.message_type == RESOURCE_LINK_REQUEST:
        outcome: launch_records.Outcome = submit(launch_records.WRITER, Entry(launched, content, row))
        if isinstance(outcome, GatehouseError):
            raise outcome
        if not content.key and outcome.module_id is not None:
            content = Content("module", outcome.module_id)
        return Entered(token, address_of(content) or ("/desk" if launched.is_staff else "/"))
    (trainee_id,) = launch_records.enrol(connection(), [launched], now)
    path = OPENINGS[launched.message_type](connection(), launched, content, trainee_id, now)
    if not launch_records.begin_sessions(connection(), [{**row, "trainee_id": trainee_id, "placement_id": None}]):
        raise oidc.nonce_used()
    return Entered(token, path)


def pick_content(connection: Connection, launched: Launch, _content: Content, trainee_id: int, now: datetime) -> str:
    """A deep linking request opens the picker."""
    return f"/deep-linking/{deep_linking.begin(connection, launched, trainee_id, now)}"


def review_submission(
    connection: Connection, launched: Launch, content: Content, _trainee_id: int, _now: datetime
) -> str:
    """A submission review opens the learner's attendance. Raises RefusedLaunch `review_module_unknown`,
    `module_unknown`, `retreat_of_link_unknown`."""
    launch_records.verify_offered(connection, content)
    module_id = content.name if content.kind == "module" else submission_review.module_of(connection, launched)
    address = f"/desk/review/{quote(module_id, safe='')}"
    found = people.of_identities(connection, launched.issuer, [launched.for_user or ""])
    return "/".join([address, *(str(each.id) for each in found.values())])


# What any other message than a resource link opens: a path.
OPENINGS: Mapping[str, Callable[[Connection, Launch, Content, int, datetime], str]] = {
    DEEP_LINKING_REQUEST: pick_content,
    SUBMISSION_REVIEW_REQUEST: review_submission,
}


def content_of(launched: Launch) -> Content:
    """The content that the claims name; custom parameters come before the target link."""
    path = urlsplit(launched.target_link_uri or "").path
    if module_id := launched.custom_value("module_id"):
        return Content("module", module_id)
    if retreat_id := launched.custom_value("retreat_id"):
        return Content("retreat", retreat_id)
    if (page := launched.custom_value("page")) in PAGES:
        return Content("page", page or "")
    if offering := OFFERING_OF_TARGET.fullmatch(path):
        return Content(offering["kind"], unquote(offering["id"]))
    if path in PAGE_OF_TARGET:
        return Content("page", PAGE_OF_TARGET[path])
    return Content()


def address_of(content: Content) -> str | None:
    """The path of its page; None if nothing is named."""
    if content.kind in UNKNOWN_OFFERING:
        return f"/{content.kind}s/{quote(content.name, safe='')}"
    return PAGES.get(content.name)
