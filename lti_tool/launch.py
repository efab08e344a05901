"""The three LTI endpoints. What a good launch leaves behind is `entry`'s."""

import re
from collections.abc import Mapping

from flask import Blueprint, Response, jsonify, make_response, redirect, render_template
from flask import request as http_request

from lti_tool.entry import enter
from lti_tool.errors import RefusedLaunch
from lti_tool.lti import id_token, keys, oidc
from lti_tool.lti.claims import load_launch
from lti_tool.lti.oidc import Site
from lti_tool.request import connection, house, now
from lti_tool.session import COOKIE, LIFETIME, access, drop_cookie, set_cookie

blueprint = Blueprint("lti", __name__)

ERROR_CODE = re.compile(r"[a-z_]{1,40}")


@blueprint.route(oidc.LOGIN_PATH, methods=["GET", "POST"])
@access("public")
def login() -> Response:
    """Third-party initiated login: send the browser on to the platform. Writes nothing."""
    begun = oidc.begin_login(house().registrations, _site(), http_request.values, now())
    response = _redirect(begun.auth_url, 302)
    set_cookie(response, begun.cookie, begun.cookie_value, oidc.LIFETIME)
    return response


@blueprint.post(oidc.LAUNCH_PATH)
@access("public")
def launch() -> Response:
    """Authentication response: verify it outside of any transaction, then enter in one."""
    state = oidc.load_state(_site(), _field("state"), now())
    platform = house().registrations.load_active(state.registration_id, now())
    try:
        oidc.verify_browser(_site(), state, platform, http_request.cookies)
    except oidc.CookieMissing as missing:
        return _offer_new_tab(missing)
    _verify_no_error(http_request.form)
    claims = id_token.verify(_field("id_token"), platform, state, house().key_sets, now())
    entered = enter(connection(), _site(), load_launch(claims, platform), state, now())
    response = _redirect(entered.path, 303)
    set_cookie(response, COOKIE, entered.token, LIFETIME)
    drop_cookie(response, state.cookie)
    return response


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
        _verify_no_error(http_request.form)
    if not value:
        raise RefusedLaunch(
            "launch_incomplete",
            f"The learning platform's answer lacks {name}.",
            "Open the unit from your course. This address is meant for the platform, not for a bookmark.",
        )
    return value


def _verify_no_error(form: Mapping[str, str]) -> None:
    """The platform may answer a login with an error of its own (OIDC-8)."""
    if "error" not in form:
        return
    named = form["error"] if ERROR_CODE.fullmatch(form["error"]) else "an error"
    raise RefusedLaunch(
        "platform_error",
        f"The learning platform did not let this launch through ({named}).",
        "Go back to your course, make sure that you are signed in there, and open this unit again.",
    )


def _offer_new_tab(missing: oidc.CookieMissing) -> Response:
    page = render_template(
        "launch/new_tab.html", message=missing.message, again_url=missing.again_url, code=missing.code
    )
    return make_response(page, missing.status)


def _redirect(address: str, status: int) -> Response:
    response = make_response(redirect(address, status))
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
