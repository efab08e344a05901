"""The three LTI endpoints. What a good launch leaves behind is `entry`'s."""

import logging
import re

from flask import Blueprint, Response, after_this_request, jsonify, make_response, redirect, render_template
from flask import request as http_request

from lti_tool.entry import Entered, enter
from lti_tool.errors import RefusedLaunch
from lti_tool.lti import id_token, keys, oidc
from lti_tool.lti.claims import load_launch
from lti_tool.lti.cookie_ladder import Step
from lti_tool.lti.oidc import Login, NewTab, Site, State
from lti_tool.lti.registration import Registration
from lti_tool.request import connection, house, now
from lti_tool.security_headers import allow
from lti_tool.session import COOKIE, LIFETIME, access, drop_cookie, set_cookie

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
    return _private(make_response(render_template("launch/store.html", begun=begun)))


def _ask_platform(state: State, platform: Registration) -> Response:
    """The second rung: a page that asks the platform's storage for that value and comes back with it. The whole visit
    takes place in this page, so it allows what a page of it may need: picked content goes to the platform as a form."""
    allow(form_to=platform.hosts)
    sent = {"id_token": _field("id_token"), "state": _field("state"), "stored": ""}
    page = render_template("launch/ask.html", sent=sent, login=state, platform=platform, launch_path=oidc.LAUNCH_PATH)
    return _private(make_response(page))


def _hand_to_script(entered: Entered, platform: Registration) -> Response:
    """A session for the memory of our page's script, which opens the page."""
    log.info("launched by the platform's storage", extra={"registration": platform.id})
    return _private(jsonify(visit=entered.token, path=entered.path))


def _offer_new_tab(offer: NewTab, platform: Registration) -> Response:
    """The third rung."""
    log.info("a new tab is offered", extra={"registration": platform.id, "code": offer.code})
    page = render_template("launch/new_tab.html", message=offer.message, again_url=offer.again_url, code=offer.code)
    return _private(make_response(page, offer.status))


def _redirect(address: str, status: int) -> Response:
    return _private(make_response(redirect(address, status)))


def _private(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
